"""What results were made from, kept beside them, so that an old result never passes for a new one.

The record of `big/a_x3.jpg` is `big/.espcn/a_x3.jpg.json`: the source's content, the weights, and
the settings. A result without a record, or changed since, is somebody else's and left alone.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espcn import __version__
from espcn.io.atomic import MAX_PLAIN_BYTES, write_json
from espcn.upscaling.plan import Job, stamp

FOLDER = ".espcn"
_PRETRAINED = Path(__file__).parents[1] / "network" / "pretrained"


def weights_digest(r: int, ckpt: str | None) -> str:
    """Return what stands for the weights that a command uses.

    Args:
        r: The factor.
        ckpt: The user's own weights or run; None for the shipped ones.

    Returns:
        A digest of the files' content. Of the shipped weights it is that of all for this factor.

    Raises:
        OSError: They can't be read.
    """
    if ckpt is not None:
        path = Path(ckpt)
        return _digest(path / "best.ckpt" if path.is_dir() else path)
    files = [*sorted(_PRETRAINED.glob(f"espcn_x{r}*.safetensors")), _PRETRAINED / "levels.json"]
    return hashlib.sha256("".join(map(_digest, files)).encode()).hexdigest()


def is_outdated(job: Job, settings: Mapping[str, Any]) -> bool:
    """Return whether a result that exists was made by this program from something else.

    Args:
        job: The source and its result.
        settings: What results are made with now, weights included.

    Returns:
        True if the result is as this program left it, but source, weights or settings have
        changed. False if nothing has, or if it is not known what the result was made from.
    """
    path = record_path(job.target)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if tuple(record["result"]) != stamp(job.target):
            return False  # somebody else's by now
        if record["settings"] != dict(settings):
            return True
        source = record["source"]
        same = tuple(source["stamp"]) == stamp(job.source)
        return not same and source["sha256"] != _digest(job.source)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_record(job: Job, settings: Mapping[str, Any]) -> None:
    """Write down what a result was made from.

    Args:
        job: The source and its result, which has just been written.
        settings: What it was made with, weights included.

    Raises:
        OSError: The record can't be written.
    """
    path = record_path(job.target)
    path.parent.mkdir(exist_ok=True)
    source = {
        "name": job.source.name,
        "stamp": stamp(job.source),
        "sha256": _digest(job.source),
    }
    record = {"source": source, "settings": dict(settings), "made_by": f"espcn {__version__}"}
    write_json(path, record | {"result": stamp(job.target)})


def record_path(target: Path) -> Path:
    """Return where a result's record is.

    Args:
        target: The result.

    Returns:
        The path of a JSON file.
    """
    name = target.name
    if len(os.fsencode(name)) > MAX_PLAIN_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return target.parent / FOLDER / f"{name}.json"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
