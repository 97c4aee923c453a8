"""Claims: which process may write a file, and what killed writers have left beside it.

A hidden file beside the final one is locked while its process works. The lock ends with the
process, however it ends, so a hidden file that is not locked was left behind.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where commands that write the same file must not run together
    fcntl = None  # type: ignore[assignment]

MAX_PLAIN_BYTES = 230  # file systems take names of 255 bytes; a name to write under needs some
_LEFTOVER = re.compile(r"(.+?\.)(?:(?:[0-9a-f]{8}\.)?part|claim)", re.DOTALL)
_UNLOCKED = -1  # in place of the number of a locked file


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
    mark = beside(path, "claim")
    try:
        held = hold(mark)
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
        release(held)


def remove_leftovers(paths: Iterable[Path]) -> None:
    """Delete the leftovers of killed writers; those of running writers stay.

    Args:
        paths: The final paths.
    """
    folders: dict[Path, set[str]] = {}
    for path in paths:
        folders.setdefault(path.parent, set()).add(beside(path, "").name)
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
        # Its writer may have renamed it meanwhile, and another begun a new one.
        if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
            path.unlink()


def beside(path: Path, ending: str) -> Path:
    """Return a hidden path next to a file, named after it.

    Args:
        path: The file.
        ending: What the hidden name ends with.

    Returns:
        The path; a name that would be too long is replaced with its hash.
    """
    name = path.name
    if len(os.fsencode(name)) > MAX_PLAIN_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return path.with_name(f".{name}.{ending}")


def hold(path: Path) -> int | None:
    """Open a file and lock it until it is released, or until this process ends.

    Args:
        path: The file, which is created if it is missing.

    Returns:
        What `release` takes; None if another process has locked the file.

    Raises:
        OSError: The file can't be opened.
    """
    while True:
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if fcntl is None:
            os.close(opened)  # an open file could not be renamed
            return _UNLOCKED
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


def release(held: int) -> None:
    """Unlock a file.

    Args:
        held: What `hold` returned.
    """
    if held != _UNLOCKED:
        os.close(held)
