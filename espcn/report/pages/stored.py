"""The stored files of an evaluation, a run or a sweep, of any version, complete or not.

A page of half a run is better than none: missing or damaged parts are left out.
"""

import csv
import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

# Names and digests, some of which look like numbers.
TEXTS = re.compile(
    r"run|image|set|command|error|checkpoint|dataset|init|data\.path|data\.cache|data_dir|"
    r"versions\..+|(.+_)?fingerprint"
)
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|nan|[-+]?inf", re.IGNORECASE)


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file.

    Args:
        path: The file.

    Returns:
        Its values by name; none if it is missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the content of a YAML file, such as a run's config.yaml.

    Args:
        path: The file.

    Returns:
        Its values by name; none if it is missing or damaged.
    """
    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
    except (FileNotFoundError, ValueError, YAMLError, OmegaConfBaseException):
        return {}
    return {str(k): v for k, v in content.items()} if isinstance(content, dict) else {}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a CSV file.

    Args:
        path: The file.

    Returns:
        Values by column: numbers, booleans, text, and None for an empty field. No rows if the file
        is missing or damaged.
    """
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = list(csv.DictReader(file, restval=""))
    except (FileNotFoundError, csv.Error):
        return []
    return [{k: _value(k, text) for k, text in row.items() if k is not None} for row in rows]


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file.

    Args:
        path: The file.

    Returns:
        The lines; none if it is missing.
    """
    if not path.is_file():
        return []
    return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()


@dataclass(frozen=True)
class Picture:
    """The header of a PNG.

    Attributes:
        width: Pixels.
        height: Pixels.
        is_grey: Whether it has no colours.
    """

    width: int
    height: int
    is_grey: bool


def read_head(path: Path) -> Picture | None:
    """Return the header of a PNG without decoding the picture.

    Args:
        path: The file.

    Returns:
        Its size and kind; None if it is missing or damaged.
    """
    try:
        with path.open("rb") as file:
            head = file.read(26)
        width, height = struct.unpack(">II", head[16:24])
        return Picture(width, height, is_grey=head[25] == 0)
    except (OSError, struct.error, IndexError):
        return None


def _value(name: str, text: str) -> Any:
    if text == "":
        return None
    if TEXTS.fullmatch(name):
        return text
    if text in ("True", "False"):
        return text == "True"
    if not NUMBER.fullmatch(text):
        return text
    number = float(text)
    return int(text) if text.lstrip("-+").isdigit() else number
