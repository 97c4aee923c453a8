"""A run's directory: its name, its stored configuration, its commands, its result.

Reads and writes only plain files, and needs neither PyTorch nor Lightning.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from espcn.io.atomic import make_folder, write_json, write_text
from espcn.runs.identity import (
    PLACES,
    check_names,
    completed,
    flatten,
    identity,
    plain_settings,
    upgraded,
)

CONFIG, RESULT, COMMAND = "config.yaml", "result.json", "command.txt"
INIT = "init.txt"  # the fingerprint of the weights that training began with
THREADS = "threads.txt"  # the number of threads that it trains with, and goes on with
LOCK = ".lock"  # held by the process that is at work in the directory
# The settings that decide which images are held out, the same for every seed.
HELD_OUT = ("data.split", "data.val_fraction", "data.fold", "data.folds")
# What a resumed run may be given anew: how long it trains, what it is scored on, where things lie.
# That `data.path` holds the same images is checked before it goes on.
RENEWED = ("max_epochs", "max_time", "patience", "sets", *PLACES, "data.path")

_made: set[Path] = set()  # folders that this process makes


def read_config(directory: Path) -> dict[str, Any] | None:
    """Return the configuration stored in a run's directory.

    Args:
        directory: The run's directory.

    Returns:
        Plain settings in the current format; None if the directory contains no run.

    Raises:
        ValueError: The file is damaged.
    """
    path = directory / CONFIG
    if not path.is_file():
        return None
    try:
        stored: Any = OmegaConf.to_container(OmegaConf.load(path))
        if not isinstance(stored, dict) or not all(isinstance(name, str) for name in stored):
            raise ValueError("it holds no settings by name")
    except (ValueError, YAMLError, OmegaConfBaseException, RecursionError) as error:
        raise ValueError(
            f"{path} must be as it was written, but is damaged "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}): put back a "
            "copy of it, or begin anew in another directory"
        ) from error
    return upgraded(stored)


def read_result(directory: Path) -> dict[str, Any] | None:
    """Return a run's result.

    Args:
        directory: The run's directory.

    Returns:
        The content of its result.json; None if it does not exist yet or is damaged.
    """
    try:
        content = json.loads((directory / RESULT).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and "status" in content else None


def images_seen(directory: Path, settings: dict[str, Any]) -> dict[str, str]:
    """Return what the metadata of weights would say of the images that a run was trained on.

    Args:
        directory: The run's directory.
        settings: Plain settings of a run that begins with its weights.

    Returns:
        Their `fingerprint` and `encoders`; empty if they are not known, or if that run held out the
        same images.
    """
    result, own = read_result(directory) or {}, flatten(settings)
    if not result.get("fingerprint") or all(result.get(one) == own[one] for one in HELD_OUT):
        return {}
    encoders = json.dumps(result.get("encoders") or {})
    return {"fingerprint": str(result["fingerprint"]), "encoders": encoders}


def read_threads(directory: Path) -> int | None:
    """Return the number of threads that a run was started with.

    Args:
        directory: The run's directory.

    Returns:
        The number; None if it was not recorded.
    """
    try:
        return max(1, int((directory / THREADS).read_text()))
    except (OSError, ValueError):
        return None


def store_config(settings: dict[str, Any], directory: Path) -> None:
    """Write a run's configuration into its directory.

    Args:
        settings: Plain settings.
        directory: The run's directory; created if missing.
    """
    make_folder(directory)
    write_text(directory / CONFIG, OmegaConf.to_yaml(OmegaConf.create(settings)))


def note_resumed(directory: Path) -> None:
    """Note in the result of a completed run that it goes on, since it may be killed without a word.

    Args:
        directory: The run's directory.
    """
    result = read_result(directory)
    if result is not None and result["status"] == "completed":
        said = {"status": "interrupted", "error": "it was resumed, and has not ended since"}
        write_json(directory / RESULT, result | said)


def record_command(directory: Path, command: str | None) -> str | None:
    """Record the command that starts or resumes a run, one per line.

    Args:
        directory: The run's directory.
        command: The command; None, or an already recorded command, adds nothing.

    Returns:
        The commands that reproduce the run, joined by `&&`; None if there are none.
    """
    path = directory / COMMAND
    lines = []
    if path.is_file():
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    if command is not None and command not in lines:
        lines.append(command)
        write_text(path, "\n".join(lines) + "\n")
    return " && ".join(lines) or None


def settings_of(config: DictConfig, directory: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Return the settings of the run in a directory.

    A new directory has those of `config`. A directory with a run keeps its settings: with `resume`,
    only RENEWED and the trainer may change; without it, the settings must be the same, except for
    PLACES. The precision is kept unless `config` sets one, because another CPU may have another
    default, and so are all other options of the trainer.

    Args:
        config: The configuration that Hydra composed.
        directory: The run's directory.
        overrides: The overrides on the command line, such as `max_epochs=40`.

    Returns:
        Plain settings.

    Raises:
        ValueError: A setting is unknown, `resume` is not a run, or the settings differ from those
            of the run there.
    """
    stored = read_config(directory)
    settings = plain_settings(config, stored)
    check_names(settings)
    if config.resume is not None:
        if stored is None:
            raise ValueError(
                f"`resume` (={config.resume}) must be the directory of a run, which holds a "
                f"{CONFIG}: this one has none"
            )
        settings = _renewed(completed(stored), settings, overrides)
    elif stored is not None and identity(stored) != identity(settings):
        raise ValueError(
            f"the directory {directory} must be a new one or that of a run with the same settings, "
            "but holds another run: take another, or go on with that run by resume=DIR"
        )
    return settings


def note_missing(directory: Path) -> None:
    """Note which folders don't exist yet for a run, so that they can be removed later.

    Args:
        directory: The run's or the sweep's directory.
    """
    _made.update(one.absolute() for one in (directory, *directory.parents) if not one.exists())


def remove_refused(directory: Path) -> None:
    """Remove the directory of a rejected run, if this process created it for that run.

    Args:
        directory: The run's directory. It is kept if it contains more than a configuration, or was
            there before; then only the lock is removed.
    """
    if not directory.is_dir():
        return
    ours = {CONFIG, LOCK} if directory.absolute() in _made else {LOCK}
    if {path.name for path in directory.iterdir()} <= ours:
        for name in ours:
            with suppress(PermissionError):  # of an open lock, on Windows
                (directory / name).unlink(missing_ok=True)
        for folder in (directory.absolute(), *directory.absolute().parents):
            if folder not in _made:
                break
            with suppress(OSError):  # it holds other runs by now
                folder.rmdir()


def _renewed(
    stored: dict[str, Any], settings: dict[str, Any], overrides: Sequence[str]
) -> dict[str, Any]:
    """Return a run's settings, updated with those that change when it is resumed."""
    own, given, renewed = flatten(stored), flatten(settings), dict(stored)
    for name in (override.partition("=")[0].lstrip("+~") for override in overrides):
        group, _, inner = name.partition(".")
        if name in RENEWED and inner:
            renewed[group] = renewed[group] | {inner: given.get(name)}
        elif group == "trainer" and inner:
            option = inner.partition(".")[0]
            renewed["trainer"] = renewed["trainer"] | {option: settings["trainer"].get(option)}
        elif group == "trainer":  # whatever that choice says of the precision
            kept = {key: value for key, value in renewed["trainer"].items() if key == "precision"}
            renewed["trainer"] = renewed["trainer"] | settings["trainer"] | kept
        elif name in RENEWED:
            renewed[group] = settings[group]
        # What it has already may be said again: data.path=DIR needs data=folder beside it.
        elif name != "resume" and (name not in given or given[name] != own.get(name)):
            raise ValueError(
                f"`{name}` must not be given together with `resume`: a resumed run keeps its "
                f"settings but for {', '.join(RENEWED)} and trainer; start a new run instead"
            )
    return renewed
