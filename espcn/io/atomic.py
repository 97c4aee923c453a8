"""Files that are whole or not there: written beside their final name, then renamed."""

import csv
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MAX_PLAIN_BYTES = 240  # file systems take names of 255 bytes; a name to write under needs some


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a name to write under; the file appears at `path` only when the block ends well.

    An OSError that names no file, as a full disk's does, is given the name of this one.
    """
    name = path.name
    if len(os.fsencode(name)) > MAX_PLAIN_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    part = path.with_name(f".{name}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())  # or a loss of power could leave the name without the content
        os.replace(part, path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and not error.filename:
            error.filename = str(path)
        raise


def check_folder(folder: Path, setting: str, given: object) -> None:
    """Make a folder where there is none; a ValueError if nothing can be written there.

    The error says that `setting` was `given`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"`{setting}` (={given}) must be a folder that can be written to: {error.strerror}"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8."""
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, content: dict[str, Any]) -> None:
    r"""Write a JSON file; what is not finite becomes null, since JSON has no NaN.

    A file's name need not be UTF-8: what of it is none becomes `\udcff`, which JSON reads back.
    """
    text = json.dumps(_finite(content), indent=2, ensure_ascii=False) + "\n"
    write_text(path, text.encode(errors="backslashreplace").decode())


def write_csv(path: Path, rows: list[dict[str, Any]], digits: int | None = None) -> None:
    """Write rows under the names of all their columns, in the order of first appearance.

    Floats get `digits` significant digits, if given, else all that they have.
    """
    if digits is not None:
        rows = [
            {k: float(f"{v:.{digits}g}") if isinstance(v, float) else v for k, v in row.items()}
            for row in rows
        ]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_write(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
