"""Atomic writes: a file is written beside its final name, then renamed.

After a loss of power both the content, which is synced before the rename, and the name are still
there, because the folder is synced afterwards. A file that is written later can therefore vouch for
earlier ones.
"""

import csv
import errno
import json
import math
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from espcn.io.claims import beside, hold, release

# What file systems say that can't sync a folder, over a network say.
_CANNOT = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF)

_waiting: ContextVar[set[Path] | None] = ContextVar("_waiting", default=None)  # to be synced


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Provide a temporary path that is renamed to `path` only if the block succeeds.

    Once the block has ended, the content and the name survive a loss of power, but see `together`.
    Writers never share a temporary path: it is `.NAME.part`, which a killed writer may have left
    behind, with a further suffix while another writer holds that one.

    Args:
        path: The final path.

    Yields:
        The path to write to, an empty file in the same folder.

    Raises:
        OSError: Writing failed; errors that name no file, such as those of a full disk, get this
            file's name, and so does that of a missing folder.
    """
    part = beside(path, "part")
    try:
        held = hold(part)
        while held is None:  # once is enough
            part = beside(path, f"{secrets.token_hex(4)}.part")
            held = hold(part)
    except OSError as error:
        error.filename = str(path)
        raise
    try:
        if part.stat().st_size:  # left behind
            os.truncate(part, 0)
        yield part
        sync_file(part)  # or a loss of power could leave the name without the content
        os.replace(part, path)
        sync_folder(path.parent)
    except BaseException as error:
        with suppress(PermissionError):  # of what is still open, on Windows
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and not error.filename:
            error.filename = str(path)
        raise
    finally:
        release(held)


@contextmanager
def together() -> Iterator[None]:
    """Sync folders once, at the end of the block, for many files that don't depend on each other.

    Yields:
        None; if power is lost within the block, files that this thread wrote in it may be missing.
    """
    folders: set[Path] = set()
    outer = _waiting.set(folders)
    try:
        yield
    finally:
        _waiting.reset(outer)
    for folder in folders:
        sync_folder(folder)


def sync_file(path: Path) -> None:
    """Make the content of a file survive a loss of power.

    Args:
        path: The file.

    Raises:
        OSError: The disk is full or has failed.
    """
    with path.open("rb+") as file:  # Windows syncs only what may be written to
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power, if the platform supports it.

    Args:
        folder: The folder.

    Raises:
        OSError: The disk has failed.
    """
    waiting = _waiting.get()
    if waiting is not None:
        waiting.add(folder)
        return
    try:
        opened = os.open(folder, os.O_RDONLY)
    except PermissionError:  # on Windows, or of a folder that can't be listed
        return
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    finally:
        os.close(opened)


def make_folder(folder: Path) -> None:
    """Create a folder and any missing parents, so that they survive a loss of power.

    Args:
        folder: The folder. If it exists, its parent is still synced: another program may have just
            created it.

    Raises:
        OSError: It can't be created.
    """
    missing = [one for one in folder.parents if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in (*reversed(missing), folder):
        sync_folder(one.parent)


def check_folder(folder: Path, setting: str, given: object) -> None:
    """Check that a folder can be written to; create it if it is missing.

    Args:
        folder: The folder.
        setting: The setting that names it, for the message.
        given: That setting's value, for the message.

    Raises:
        ValueError: The folder is not writable.
    """
    try:
        make_folder(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"`{setting}` (={given}) must be a folder that can be written to: {error.strerror}"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, atomically.

    Bytes of a file name that are not UTF-8 are written as they are, for `errors="surrogateescape"`.

    Args:
        path: The file.
        text: Its content.
    """
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_json(path: Path, content: dict[str, Any]) -> None:
    r"""Write a JSON file, atomically; a number that is not finite becomes null, as JSON has no NaN.

    Bytes of a file name that are not UTF-8 are written as `\udcff`, which JSON reads back.

    Args:
        path: The file.
        content: Plain values by name.
    """
    text = json.dumps(_finite(content), indent=2, ensure_ascii=False) + "\n"
    write_text(path, text.encode(errors="backslashreplace").decode())


def write_csv(path: Path, rows: list[dict[str, Any]], digits: int | None = None) -> None:
    """Write rows as CSV, atomically.

    Names that are not UTF-8 are written as by `write_text`.

    Args:
        path: The file.
        rows: Values by column; the columns appear in the order of their first appearance.
        digits: Significant digits of floats; all if not given.
    """
    if digits is not None:
        rows = [
            {k: float(f"{v:.{digits}g}") if isinstance(v, float) else v for k, v in row.items()}
            for row in rows
        ]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (
        atomic_write(path) as part,
        part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
