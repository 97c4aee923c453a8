"""Atomic writes: a file is written beside its final name, then renamed.

After a loss of power both the content, which is synced before the rename, and the name are still
there, because the folder is synced afterwards. A file that is written later can therefore vouch for
earlier ones.
"""

import csv
import errno
import hashlib
import json
import math
import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows, where commands that write the same file must not run together
    fcntl = None  # type: ignore[assignment]

MAX_PLAIN_BYTES = 230  # file systems take names of 255 bytes; a name to write under needs some
_LEFTOVER = re.compile(r"(.+?\.)(?:(?:[0-9a-f]{8}\.)?part|claim)", re.DOTALL)
UNLOCKED = -1  # in place of the number of a locked file
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
        OSError: Writing failed; errors that name no file, such as those of a full disk, or the
            temporary one, such as that of a missing folder, get this file's name.
    """
    part = _beside(path, "part")
    try:
        held = _hold(part)
        while held is None:  # once is enough
            part = _beside(path, f"{secrets.token_hex(4)}.part")
            held = _hold(part)
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
        _release(held)


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


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Claim a file for writing, exclusively among all processes.

    Args:
        path: The file; it need not exist.

    Yields:
        Whether the claim succeeded; False while another process holds it.

    Raises:
        OSError: The file's folder is not writable.
    """
    mark = _beside(path, "claim")
    try:
        held = _hold(mark)
    except OSError as error:
        error.filename = str(path)
        raise
    if held is None:
        yield False
        return
    try:
        yield True
    finally:
        mark.unlink(missing_ok=True)
        _release(held)


def remove_leftovers(paths: Iterable[Path]) -> None:
    """Delete the leftovers of killed writers; those of running writers stay.

    Args:
        paths: The final paths.
    """
    folders: dict[Path, set[str]] = {}
    for path in paths:
        folders.setdefault(path.parent, set()).add(_beside(path, "").name)
    for folder, names in folders.items():
        for one in list(folder.glob(".*")):
            match = _LEFTOVER.fullmatch(one.name)
            if match and match[1] in names:
                with suppress(OSError):  # one that is not ours to delete
                    _remove_left(one)


def _remove_left(path: Path) -> None:
    """Delete a file unless it is locked, or locks can't tell whether it is being written."""
    if fcntl is None:
        return
    with path.open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


def _beside(path: Path, ending: str) -> Path:
    """Return a hidden path next to a file, named after it."""
    name = path.name
    if len(os.fsencode(name)) > MAX_PLAIN_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return path.with_name(f".{name}.{ending}")


def _hold(path: Path) -> int | None:
    """Open a file and lock it while it is open; None if another process has locked it.

    The lock ends with the process, however it ends, so an unlocked file was left behind.
    """
    while True:
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if fcntl is None:
            os.close(opened)  # an open file could not be renamed
            return UNLOCKED
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(opened)
            return None
        except OSError:  # a file system without locks
            return opened
        # The one who held it may have renamed or deleted it meanwhile.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(opened), os.stat(path)):
                return opened
        os.close(opened)


def _release(held: int) -> None:
    if held != UNLOCKED:
        os.close(held)


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

    Args:
        path: The file.
        text: Its content.
    """
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


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
