"""Files and folders as they are on disk: a digest of a file's content, and what a folder holds."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, at about a second per gigabyte.

    Args:
        path: The file.

    Returns:
        Hexadecimal digits of SHA-256.

    Raises:
        OSError: It can't be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def expanded(path: str | Path, setting: str) -> Path:
    """Return a path whose `~` stands for a home directory.

    Args:
        path: The path; Hydra parses a name like 2020 as a number.
        setting: The setting that names it, for the message.

    Returns:
        The path, which may not exist.

    Raises:
        ValueError: There is no such user, or they have no home directory.
    """
    try:
        return Path(str(path)).expanduser()
    except RuntimeError as error:
        raise ValueError(
            f"`{setting}` (={path}) must be a folder, but its home directory is unknown: give "
            f"{setting} the whole path"
        ) from error


def visible_files(
    top: Path,
    unlisted: Callable[[OSError], None],
    enters: Callable[[Path], bool] = lambda folder: True,
) -> Iterator[Path]:
    """Return the files of a folder and its subfolders, linked ones too, except hidden ones.

    Args:
        top: The folder.
        unlisted: Called with the error for a folder that can't be listed.
        enters: Says which subfolders are gone into.

    Yields:
        Paths that begin with `top`, each folder's in the order of their names.
    """
    seen = set()  # a link may lead back up
    for name, folders, files in os.walk(top, followlinks=True, onerror=unlisted):
        real = os.path.realpath(name)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        here = Path(name)
        folders[:] = sorted(one for one in folders if one[0] != "." and enters(here / one))
        for file in sorted(files):
            if file[0] != ".":
                yield here / file
