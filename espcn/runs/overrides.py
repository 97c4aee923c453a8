"""The settings named on the command line, checked before Hydra composes the configuration.

Of a misspelt one Hydra says only that a leading plus would add it.
"""

from collections.abc import Sequence
from pathlib import Path

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


def _known(command: str) -> set[str]:
    """Return the names of all groups, and of all settings in any of their choices."""
    known = _names(CONF / f"{command}.yaml") | _names(CONF / "degradation.yaml")
    if command == CONFIG_NAME:
        for path in CONF.glob("*/*.yaml"):
            group = path.parent.name
            inner = set() if group == "experiment" else _names(path)
            known |= {group, *(f"{group}.{name}" for name in inner)}
    return known


def _names(path: Path) -> set[str]:
    content = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(content, dict)
    settings = {str(name): value for name, value in content.items() if name != "defaults"}
    return {*settings, *flatten(settings)}
