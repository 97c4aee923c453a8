"""Records of what results were made from, kept next to them, so that outdated results are found.

The record of `big/a_x3.jpg` is `big/.espcn/a_x3.jpg.json`: the source's content, the weights, and
the settings. A result without a record, or changed since, is left alone.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from espcn import __version__
from espcn.command.job import Job, stamp
from espcn.files import digest
from espcn.io.atomic import make_folder, write_json
from espcn.io.claims import MAX_PLAIN_BYTES
from espcn.video.segments import Segments

FOLDER = ".espcn"
_PRETRAINED = Path(__file__).parents[1] / "network" / "pretrained"


def weights_digest(r: int | None, ckpt: str | None) -> str:
    """Return a digest of the weights a command would use.

    Args:
        r: The factor; None for all factors.
        ckpt: The user's own weights or run; None for the shipped ones.

    Returns:
        A digest of the files' content; for shipped weights, of all files for the factor or factors.

    Raises:
        OSError: They can't be read.
    """
    if ckpt is not None:
        path = Path(ckpt)
        path = path / "best.ckpt" if path.is_dir() else path
        if not path.is_file():
            raise FileNotFoundError(
                f"`ckpt` (={path}) must be an existing file: a run leaves best.ckpt in its "
                "directory"
            )
        return digest(path)
    factor = "" if r is None else r
    files = sorted(_PRETRAINED.glob(f"espcn_x{factor}*.safetensors"))
    files.append(_PRETRAINED / "levels.json")
    return hashlib.sha256("".join(map(digest, files)).encode()).hexdigest()


class Standing(Enum):
    """The standing of an existing result."""

    KEPT = "it is up to date, or was not made by this program"
    ANOTHER = "this program made it from another source"
    # This program made it from this source, but since then
    SOURCE = "the source has changed"
    SETTINGS = "the settings have changed"
    WEIGHTS = "the weights have changed"


def standing(job: Job, settings: Mapping[str, Any]) -> Standing:
    """Return the standing of an existing result.

    Args:
        job: The source and its result.
        settings: The current settings, including the weights.

    Returns:
        Its standing; KEPT also if it has no record, or has changed since this program wrote it.
    """
    try:
        record = json.loads(record_path(job.target).read_text(encoding="utf-8"))
        source = record["source"]
        if tuple(record["result"]) != stamp(job.target):
            return Standing.KEPT  # somebody else's by now
        if source["path"] != _place(job) and source["sha256"] != digest(job.source):
            return Standing.ANOTHER  # one that was only moved or copied is the same
        same = tuple(source["stamp"]) == stamp(job.source)
        if not same and source["sha256"] != digest(job.source):
            return Standing.SOURCE
        before, now = dict(record["settings"]), dict(settings)
        changed = before.pop("weights", None) != now.pop("weights", None)
        if "options" in before:  # which once held an option for the processor as well
            before["options"] = {k: v for k, v in before["options"].items() if k != "x264-params"}
        if before != now:
            return Standing.SETTINGS  # another factor has other weights, too
        return Standing.WEIGHTS if changed else Standing.KEPT
    except (OSError, ValueError, KeyError, TypeError):
        return Standing.KEPT


def write_record(job: Job, settings: Mapping[str, Any], source: tuple[int, int] | None) -> None:
    """Record what a result was made from.

    Args:
        job: The source and its result, which has just been written.
        settings: The settings used, including the weights.
        source: The source's `stamp` before it was read.

    Raises:
        OSError: The record can't be written, or the source has changed since.
    """
    path, content = record_path(job.target), digest(job.source)
    has_changed = stamp(job.source) != source
    # No source has an empty digest: the next command makes the result anew.
    made_from = {"path": _place(job), "stamp": source, "sha256": "" if has_changed else content}
    make_folder(path.parent)
    record = {"source": made_from, "settings": dict(settings), "made_by": f"espcn {__version__}"}
    write_json(path, record | {"result": stamp(job.target)})
    if has_changed:
        raise OSError(f"{job.source} has changed while it was upscaled: run this again")


def record_path(target: Path) -> Path:
    """Return the path of a result's record.

    Args:
        target: The result.

    Returns:
        The path of a JSON file.
    """
    name = target.name
    if len(os.fsencode(name)) > MAX_PLAIN_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return target.parent / FOLDER / f"{name}.json"


def kept_segments(job: Job, settings: Mapping[str, Any]) -> Segments:
    """Return the segments of a video that are kept until it is complete.

    Args:
        job: The source and its result.
        settings: The settings in use, including the weights.

    Returns:
        The segments, in a folder beside the record.
    """
    made_from = {"source": [_place(job), stamp(job.source)], "settings": dict(settings)}
    folder = record_path(job.target).with_suffix(".segments")
    return Segments(folder, made_from | {"made_by": f"espcn {__version__}"})


def _place(job: Job) -> str:
    """Return the source's path relative to the result, since both may move together."""
    source = job.source.resolve()
    try:
        place = os.path.relpath(source, job.target.parent.resolve())
    except ValueError:  # on another drive of Windows
        place = str(source)
    return os.fsencode(place).decode(errors="backslashreplace")
