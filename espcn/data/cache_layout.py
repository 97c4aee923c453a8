"""The files of a cache of prepared patches: their names, shapes and sizes."""

import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from espcn.data.patches import Recipe
from espcn.files import digest
from espcn.io.atomic import sync_folder

META, DONE = "meta.json", "done.u1"
_NAME = re.compile("[0-9a-f]{24}")


@dataclass(frozen=True)
class CacheLayout:
    """The files of a cache: their names, shapes and sizes.

    Attributes:
        folder: The cache's folder.
        count: Number of patches.
        recipe: How they are cut.
    """

    folder: Path
    count: int
    recipe: Recipe

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each array, by file name."""
        recipe, size = self.recipe, self.recipe.patch + 2 * self.recipe.halo
        return {
            "low.u1": (self.count, recipe.channels, size, size),
            "target.u1": (
                self.count, recipe.channels * recipe.r**2, recipe.patch, recipe.patch,
            ),
        }  # fmt: skip

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each array, by file name."""
        return {name: int(np.prod(shape)) for name, shape in self.shapes.items()}

    @property
    def bytes(self) -> int:
        """Total bytes of all arrays."""
        return sum(self.sizes.values())

    def bad(self, meta: dict[str, Any]) -> dict[int, str] | None:
        """Return the images that could not be read, and the reasons.

        Args:
            meta: What the cache's meta.json must say.

        Returns:
            Reasons by the image's index; None if the cache is not complete.
        """
        try:
            found = json.loads((self.folder / META).read_text(encoding="utf-8"))
            bad = {int(index): str(reason) for index, reason in found.pop("bad").items()}
            checksums = found.pop("checksums")
        except (OSError, ValueError, LookupError, AttributeError, TypeError):
            return None
        whole = found == meta and self._has(self.sizes) and checksums == self.checksums()
        return bad if whole else None

    def checksums(self) -> dict[str, str]:
        """Return the checksum of each array, which takes a second per gigabyte.

        Returns:
            SHA-256 by file name.
        """
        return {name: digest(self.folder / name) for name in self.sizes}

    def reserve(self, images: int) -> None:
        """Allocate the files up front, so that a full disk is noticed before the work.

        Earlier work is discarded unless it was left by an interrupted preparation.

        Args:
            images: Number of images.
        """
        sizes = self.sizes | {DONE: images}
        if (self.folder / META).exists() or not self._has(sizes):
            (self.folder / DONE).unlink(missing_ok=True)
            sync_folder(self.folder)  # or the flags could come back, without what they stand for
            (self.folder / META).unlink(missing_ok=True)
        for name, size in sizes.items():
            _reserve(self.folder / name, size)
        sync_folder(self.folder)

    def _has(self, sizes: dict[str, int]) -> bool:
        """Return whether the files exist with the right sizes."""
        paths = {self.folder / name: size for name, size in sizes.items()}
        return all(path.is_file() and path.stat().st_size == n for path, n in paths.items())

    def arrays(self, mode: Any) -> list[np.ndarray]:
        """Map both arrays into memory.

        Args:
            mode: As for `numpy.memmap`.

        Returns:
            The low-resolution patches and their targets, uint8.
        """
        if not self.count:
            return [np.empty(shape, np.uint8) for shape in self.shapes.values()]
        return [
            np.memmap(self.folder / name, np.uint8, mode, shape=shape)
            for name, shape in self.shapes.items()
        ]


@dataclass(frozen=True)
class CacheEntry:
    """One prepared set of patches on disk.

    Attributes:
        folder: Its folder.
        bytes: Its size.
        days: Days since it was last used or, if it is incomplete, last written to.
        meta: The content of its meta.json; empty if it is incomplete.
    """

    folder: Path
    bytes: int
    days: float
    meta: dict[str, Any]

    def row(self) -> dict[str, Any]:
        """Return it as a row of a table.

        Returns:
            Values by column.
        """
        meta = self.meta
        degradation = meta.get("degradation")  # what differs from the default
        made = {name: meta[name] for name in ("r", "patch") if name in meta}
        made |= degradation if isinstance(degradation, dict) else {}
        named = ", ".join(f"{name}={value}" for name, value in made.items())
        made_for = named if meta else "not complete"
        return {
            "cache": self.folder.name, "MB": self.bytes / 1e6, "days unused": self.days,
            "images": meta.get("images"), "patches": meta.get("patches"), "made for": made_for,
        }  # fmt: skip


def entries(folder: Path) -> list[CacheEntry]:
    """Return the entries in the folder of the cache.

    Args:
        folder: The folder.

    Returns:
        The entries, the longest unused first. Other files are ignored.
    """
    found = []
    for one in folder.iterdir() if folder.is_dir() else ():
        if not _NAME.fullmatch(one.name) or not one.is_dir():
            continue
        try:
            files = [path.stat() for path in one.iterdir() if path.is_file()]
        except FileNotFoundError:  # another process has deleted it just now
            continue
        try:
            meta = dict(json.loads((one / META).read_text(encoding="utf-8")))
            used = (one / META).stat().st_mtime
        except (OSError, ValueError, TypeError, RecursionError):
            meta, used = {}, max((file.st_mtime for file in files), default=one.stat().st_mtime)
        days = max(0.0, (time.time() - used) / 86400)
        found.append(CacheEntry(one, sum(file.st_size for file in files), days, meta))
    return sorted(found, key=lambda entry: -entry.days)


def delete(entry: CacheEntry) -> bool:
    """Delete an entry, unless another process is preparing it.

    Args:
        entry: The entry. A run that has it open can use it until the run ends, except on Windows.

    Returns:
        Whether it was deleted.
    """
    lock = entry.folder.with_name(f"{entry.folder.name}.lock")
    try:
        with FileLock(lock, timeout=0):
            (entry.folder / META).unlink(missing_ok=True)  # first: what is left is not complete
            shutil.rmtree(entry.folder)
    except (Timeout, FileNotFoundError):  # it is at work, or has deleted it first
        return False
    return True  # and the lock stays, or two could hold one of its name


def _reserve(path: Path, size: int) -> None:
    with path.open("ab") as file:
        file.truncate(size)
        if size and hasattr(os, "posix_fallocate"):  # macOS has none, and takes the room later
            os.posix_fallocate(file.fileno(), 0, size)
