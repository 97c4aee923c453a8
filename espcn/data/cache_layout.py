"""The files of a cache of prepared patches: their names, shapes and sizes."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from espcn.data.patches import Recipe

META, DONE = "meta.json", "done.u1"


@dataclass(frozen=True)
class CacheLayout:
    """The files of a cache: their names, shapes and sizes.

    Attributes:
        folder: Where they are.
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
        """Bytes of all arrays together."""
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
        except (OSError, ValueError, LookupError, AttributeError, TypeError):
            return None
        return bad if found == meta and self._has(self.sizes) else None

    def reserve(self, images: int) -> None:
        """Allocate the files at once: a full disk is then known before the work, not after it.

        Earlier work is discarded unless it is what a stopped preparation leaves.

        Args:
            images: Number of images.
        """
        sizes = self.sizes | {DONE: images}
        if (self.folder / META).exists() or not self._has(sizes):
            (self.folder / DONE).unlink(missing_ok=True)
            (self.folder / META).unlink(missing_ok=True)
        for name, size in sizes.items():
            _reserve(self.folder / name, size)

    def _has(self, sizes: dict[str, int]) -> bool:
        """Say whether the files are there, each of its size."""
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


def _reserve(path: Path, size: int) -> None:
    with path.open("ab") as file:
        file.truncate(size)
        if size and hasattr(os, "posix_fallocate"):  # macOS has none, and takes the room later
            os.posix_fallocate(file.fileno(), 0, size)
