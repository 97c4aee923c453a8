"""The identity of a run: its settings as plain values, and those that differ from the defaults.

New settings and moved code must not change the identity of a finished run. The identity therefore
omits settings at their defaults, and no setting contains an import path.
"""

import hashlib
import json
from functools import cache, lru_cache
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from espcn.checks import nearest

CONFIG_NAME = "train"
GROUPS = ("data", "optim", "trainer")  # whose choice is a setting too
PRECISION = "trainer.precision"
DEFAULT_PRECISIONS = ("32-true", "bf16-mixed")  # which of them depends on the machine
# Where things lie is no part of what a run is. `data.path` is not among them: it names the images,
# while those in `data_dir` are known by their checksums.
PLACES = ("data_dir", "data.cache")


def plain_settings(config: DictConfig, stored: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a composed configuration as plain values, without Hydra's part and `resume`.

    Args:
        config: The configuration that Hydra composed.
        stored: The settings of the run in the directory, if any. Its precision is kept unless the
            configuration sets one, also one that is no default where that run is resumed.

    Returns:
        The settings by name, with interpolations resolved. Whole numbers are ints, so that `blur=0`
        and `blur=0.0` are the same, except for Lightning's limits: 1.0 is all batches, 1 is one.
    """
    begun = flatten(stored or {}).get(PRECISION)
    kept = begun in DEFAULT_PRECISIONS or (begun is not None and config.get("resume") is not None)
    if kept and _leaves_precision(config):
        config = config.copy()
        config.trainer.precision = begun  # before what depends on it is resolved
    plain = {
        str(name): OmegaConf.to_container(config[name], resolve=True)
        if OmegaConf.is_config(config[name])
        else config[name]
        for name in config
        if name not in ("hydra", "resume")
    }
    return _whole_numbers(plain)


def check_names(settings: dict[str, Any], command: str = CONFIG_NAME) -> None:
    """Check that a command has every given setting, and that none of its own is missing.

    Hydra itself accepts any setting with a leading plus, and leaves out any with a leading tilde.
    The options of optimisers and of Lightning's Trainer are checked by them.

    Args:
        settings: Plain settings.
        command: `train` or `evaluate`.

    Raises:
        ValueError: A setting is unknown or missing; the message suggests the closest known one.
    """
    choices = [_choice(settings, group) for group in GROUPS] if command == CONFIG_NAME else []
    known = flatten(_defaults(*choices, command=command))
    for name, value in flatten(settings).items():
        if known and name not in known and not name.startswith(("optim.", "trainer.")):
            near = nearest(name, known)
            hint = f"did you mean `{near}`?" if near else "--help lists them"
            if needed := _choice_with(name, command):
                hint = f"it is one of {needed}, add that"
            raise ValueError(f"`{name}` (={value}) must be a setting of {command}.py: {hint}")
    for name in known:
        if name not in flatten(settings) and not name.startswith("optim."):
            raise ValueError(f"`{name}` must be given: leave out ~{name}, which removes it")


def upgraded(stored: dict[str, Any]) -> dict[str, Any]:
    """Return a stored configuration as this version would have stored it.

    Optimisers used to be import paths, and there was no `expansion`.

    Args:
        stored: A configuration from any version.

    Returns:
        The same settings.
    """
    if flatten(stored).get(PRECISION) == "bf16-mixed":  # in which the default is 2 now
        stored = {"expansion": 1} | stored
    optim = stored.get("optim")
    if not isinstance(optim, dict) or "_target_" not in optim:
        return stored
    kept = {name: value for name, value in optim.items() if name != "_target_"}
    name = str(optim["_target_"]).rpartition(".")[2].lower()
    return stored | {"optim": kept | {"name": name}}


def completed(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings with defaults for those that an older version did not have.

    Args:
        settings: Plain settings, possibly stored by an older version.

    Returns:
        All settings.
    """
    return _merged(_defaults_beside(settings), settings)


def identity(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that distinguish a run from the default.

    Args:
        settings: Plain settings, possibly stored by an older version.

    Returns:
        The choice of each group, and the settings that differ from the defaults for its precision,
        by dotted name, without PLACES. The precision is compared with this machine's default.
    """
    choices = {group: _choice(settings, group) for group in GROUPS}
    defaults = flatten(_defaults_beside(settings))
    defaults[PRECISION] = flatten(_defaults(*choices.values())).get(PRECISION)
    absent = object()
    changed = {k: v for k, v in flatten(settings).items() if defaults.get(k, absent) != v}
    return choices | {k: v for k, v in changed.items() if k not in PLACES}


def digest(content: dict[str, Any]) -> str:
    """Return a short digest of a mapping of plain values.

    Args:
        content: Any mapping that can be stored as JSON; the order of its keys does not matter.

    Returns:
        Ten hexadecimal digits.
    """
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def flatten(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings by dotted names such as `data.patch`, and groups' choices by their names.

    Args:
        settings: Nested settings.

    Returns:
        Flat settings: `optim: {name: sgd, momentum: 0.9}` becomes `optim: sgd` and `optim.momentum:
        0.9`.
    """
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if not isinstance(value, dict):
            flat[name] = value
            continue
        for inner, content in flatten(value).items():
            is_choice = inner == "name" and name in GROUPS
            flat[name if is_choice else f"{name}.{inner}"] = content
    return flat


def _choice(settings: dict[str, Any], group: str) -> str | None:
    chosen = settings.get(group)
    return chosen.get("name") if isinstance(chosen, dict) else None


def _choice_with(name: str, command: str) -> str | None:
    """Return the choice of a group, such as `data=folder`, that has a setting; None if none has."""
    group = name.partition(".")[0]
    choices = [f"{group}={one}" for one in _files(group)] if group in GROUPS else []
    return next((one for one in choices if name in flatten(_composed(command, one))), None)


def _leaves_precision(config: DictConfig) -> bool:
    """Return whether neither the command line nor a recipe sets a precision."""
    return "trainer" in config and OmegaConf.is_interpolation(config.trainer, "precision")


def _defaults_beside(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults for a run's GROUPS and precision, since some depend on these."""
    precision = flatten(settings).get(PRECISION)
    given = () if precision is None else (f"{PRECISION}={precision}",)
    return _defaults(*(_choice(settings, group) for group in GROUPS), given=given)


def _defaults(
    *choices: str | None, command: str = CONFIG_NAME, given: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the settings of a run with these choices of GROUPS and no other changes.

    A choice without a file, such as `optim.name=rmsprop`, has the settings of its group's default.
    Empty if there is no configuration: outside Hydra, or without a choice.
    """
    if not GlobalHydra.instance().is_initialized() or None in choices:
        return {}
    chosen = [
        f"{group}={choice}" if choice in _files(group) else f"{group}.name={choice}"
        for group, choice in zip(GROUPS, choices, strict=False)
    ]
    return _composed(command, *chosen, *given)


@cache
def _files(group: str) -> list[str]:
    return GlobalHydra.instance().config_loader().get_group_options(group)


@lru_cache
def _composed(command: str, *overrides: str) -> dict[str, Any]:
    loader = GlobalHydra.instance().config_loader()
    try:
        return plain_settings(loader.load_configuration(command, list(overrides), RunMode.RUN))
    except HydraException:
        return {}


def _merged(defaults: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    merged = dict(defaults)
    for name, value in settings.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def _whole_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: v if k.startswith("limit_") else _whole_numbers(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
