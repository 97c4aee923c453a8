"""A run's directory: its stored configuration, its result, and how a run is known again.

Reads and writes plain files only, and needs neither torch nor Lightning.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from espcn.files import write_text
from espcn.ranks import rank, run_directory

CONFIG, RESULT, COMMAND = "config.yaml", "result.json", "command.txt"
LOCK = ".lock"  # held by the process that is at work in the directory
LENGTHS = ("max_epochs", "max_time", "patience")  # what a resumed run may be given anew


def plain(config: Any) -> dict[str, Any]:
    """Give a composed configuration as plain values, without Hydra's own part and `resume`.

    Whole numbers are ints: `blur=0` and `blur=0.0` are one setting.
    """
    assert isinstance(config, DictConfig)
    settings = {
        name: OmegaConf.to_container(config[name], resolve=True)
        if OmegaConf.is_config(config[name])
        else config[name]
        for name in config
        if name not in ("hydra", "resume")
    }
    return _whole_numbers(settings)


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole_numbers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def settings_hash(*, _root_: DictConfig) -> str:
    """Name a sweep's job by its resolved configuration: the same settings, the same directory.

    A number would name another job as soon as a value is added to the sweep.
    """
    content = json.dumps(plain(_root_), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:10]


def flatten(settings: dict[str, Any]) -> dict[str, Any]:
    """Give settings under dotted names, `data.patch`, and groups under their own: `optim`, `data`.

    The name that a group's choice has stands under the group's: `optim: {name: sgd, momentum: 0.9}`
    becomes `optim: sgd` and `optim.momentum: 0.9`.
    """
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if not isinstance(value, dict):
            flat[name] = value
            continue
        for inner, content in flatten(value).items():
            if inner != "_target_":
                flat[name if inner == "name" else f"{name}.{inner}"] = content
    return flat


def read_config(directory: Path) -> dict[str, Any] | None:
    """Give the configuration stored in a run's directory; None where there is none."""
    path = directory / CONFIG
    if not path.is_file():
        return None
    return OmegaConf.to_container(OmegaConf.load(path))  # type: ignore[return-value]


def read_result(directory: Path) -> dict[str, Any] | None:
    """Give a run's result; None where it has none yet, or one that is not whole."""
    try:
        return json.loads((directory / RESULT).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def store_config(settings: dict[str, Any], directory: Path) -> None:
    """Write a run's configuration into its directory."""
    directory.mkdir(parents=True, exist_ok=True)
    write_text(directory / CONFIG, OmegaConf.to_yaml(OmegaConf.create(settings)))


def note_command(directory: Path, command: str | None) -> str | None:
    """Note the command that a run begins or goes on with, one a line; give what makes it again.

    Starting the same run again, and going on without a change (None), adds nothing.
    """
    path = directory / COMMAND
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    if command is not None and command not in lines:
        lines.append(command)
        write_text(path, "\n".join(lines) + "\n")
    return " && ".join(lines) or None


def settle(config: DictConfig, directory: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Give the settings that a run in `directory` has.

    A new directory takes those of `config`, and stores them. One that holds a run already goes on
    with its own: with `resume`, only lengths and the trainer may be given anew (`overrides`, as on
    the command line), and are stored once the run goes on; without, the settings must be the same.
    Raises a ValueError otherwise.
    """
    settings, stored = plain(config), read_config(directory)
    if config.resume is not None:
        if stored is None:
            raise ValueError(
                f"`resume` (={config.resume}) must be the directory of a run, which holds a "
                f"{CONFIG}: this one has none"
            )
        settings = stored | _changes(settings, overrides)
    elif stored is not None and stored != settings:
        raise ValueError(
            f"the directory {directory} must be a new one or that of a run with the same settings, "
            "but holds another run: take another, or go on with that run by resume=DIR"
        )
    if stored is None and rank() == 0:
        store_config(settings, directory)
    return settings


def _changes(settings: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    names = [override.partition("=")[0].lstrip("+~") for override in overrides]
    wrong = [n for n in names if n not in (*LENGTHS, "resume") and n.split(".")[0] != "trainer"]
    if wrong:
        raise ValueError(
            f"`{wrong[0]}` must not be given together with `resume`: a resumed run keeps its "
            f"settings but for {', '.join(LENGTHS)} and trainer; start a new run instead"
        )
    return {n.split(".")[0]: settings[n.split(".")[0]] for n in names if n != "resume"}


def register_resolvers() -> None:
    """Make known to OmegaConf what conf/train.yaml calls to name directories."""
    OmegaConf.register_new_resolver("settings_hash", settings_hash, replace=True)
    # Kept: it is asked for often, by a sweep's jobs too, and a second later would be another.
    OmegaConf.register_new_resolver("run_directory", run_directory, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("first", lambda a, b: b if a is None else a, replace=True)
