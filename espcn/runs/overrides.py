"""The settings named on the command line, checked before Hydra composes the configuration.

Of a misspelt one Hydra says only that a leading plus would add it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from espcn.checks import nearest
from espcn.runs.identity import CONFIG_NAME, flatten

CONF = Path(__file__).parents[2] / "conf"
OWNERS = {"optim": "optimiser", "trainer": "Trainer"}  # of options that have no default here


def check_overrides(arguments: Sequence[str], command: str = CONFIG_NAME) -> None:
    """Check that a command has the settings that are given.

    Args:
        arguments: The command-line arguments. Only those of the form `name=value` are looked at,
            and none beside configurations of one's own.
        command: `train` or `evaluate`.

    Raises:
        ValueError: A setting is unknown in every choice of its group; the message suggests the
            closest known one.
    """
    if any(one.startswith(("--config", "-cd", "-cn", "-cp")) for one in arguments):
        return
    known = _known(command)
    for argument in arguments:
        name, equals, value = argument.partition("=")
        group = name.partition(".")[0]
        if not equals or group == "hydra" or not name.replace(".", "").isidentifier():
            continue
        if name not in known:
            hint = _hint(argument, known)
            raise ValueError(f"`{name}` (={value}) must be a setting of {command}.py: {hint}")
        if command == CONFIG_NAME and (owners := _other_owners(name, arguments)):
            choices = " and ".join(f"{group}={owner}" for owner in owners)
            also = f", or say +{argument} if the {OWNERS[group]} has it" if group in OWNERS else ""
            raise ValueError(
                f"`{name}` (={value}) is a setting of {choices} only: choose that{also}"
            )


def _hint(argument: str, known: set[str]) -> str:
    name = argument.partition("=")[0]
    group, _, option = name.partition(".")
    if group not in OWNERS or option in known:  # trainer.max_epochs, for example
        near = nearest(option if option in known else name, known)
        return f"did you mean `{near}`?" if near else "--help lists them"
    near = nearest(option, {one.partition(".")[2] for one in known if one.startswith(f"{group}.")})
    return (
        f"did you mean `{group}.{near}`?"
        if near
        else f"say +{argument} if the {OWNERS[group]} has it"
    )


def _other_owners(name: str, arguments: Sequence[str]) -> list[str]:
    """Return the choices of a group that have a setting, if one of the command has it not.

    Of what is not simply a choice, or several, Hydra will say what is wrong.
    """
    group, _, option = name.partition(".")
    paths = sorted(CONF.glob(f"{group}/*.yaml")) if option else []
    owners = [path.stem for path in paths if option in _inherited(path)]
    base = CONF / f"{CONFIG_NAME}.yaml"
    given = dict(one.partition("=")[::2] for one in arguments)
    added = not given.keys().isdisjoint((f"+{name}", f"++{name}"))
    if not owners or added or name in _names(base):
        return []
    if group not in given and "experiment" in given:  # which may make a choice of its own
        return []
    usual = [one[group] for one in _defaults(base) if isinstance(one, dict) and group in one]
    chosen = set(given[group].split(",")) if group in given else set(usual)
    are_known = chosen <= {path.stem for path in paths}
    return owners if are_known and not chosen <= set(owners) else []


def _known(command: str) -> set[str]:
    """Return the names of all groups, and of all settings in any of their choices."""
    known = _names(CONF / f"{command}.yaml") | _names(CONF / "degradation.yaml")
    if command == CONFIG_NAME:
        for path in CONF.glob("*/*.yaml"):
            group = path.parent.name
            inner = set() if group == "experiment" else _names(path)
            known |= {group, *(f"{group}.{name}" for name in inner)}
    return known


def _inherited(path: Path) -> set[str]:
    """Return the names of a choice's settings, and of those of the choices that it builds on."""
    return _names(path).union(*(_inherited(path.with_stem(one)) for one in _defaults(path)))


def _defaults(path: Path) -> list[Any]:
    content = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(content, dict)
    return content.get("defaults", [])


def _names(path: Path) -> set[str]:
    content = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(content, dict)
    settings = {str(name): value for name, value in content.items() if name != "defaults"}
    return {*settings, *flatten(settings)}
