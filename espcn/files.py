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
