"""Patches of a large set, prepared once, in memory-mapped files.

What T91 holds in memory, fifty thousand images can't. Their patches are cut by several processes
into arrays of 8 bits on disk, under a name that stands for the files' content and the settings. A
preparation that was killed goes on where it was, and two runs that want the same one do it once.
"""

import hashlib
import json
import multiprocessing
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from tqdm import tqdm

from espcn.color import to_channels
from espcn.datasets import read_unchanged
from espcn.files import write_json
from espcn.patches import Patches, cut, patches_in, rescale
from espcn.pictures import read_picture

VERSION = 1  # of what is written: another one is another cache
CHUNK = 16  # images that a process takes at a time
ALONE = 4 * CHUNK  # so many images are done sooner than other processes are started
PROCESSES = 4  # at most: each takes 260 MB, mostly PyTorch's, and all with this one 1 GB
META, DONE = "meta.json", "done.u1"


@dataclass(frozen=True)
class Recipe:
    """What makes patches of images: `espcn.patches.cut`'s settings, and the scales."""

    r: int
    channels: int
    blur: float
    downsample: str
    patch: int
    stride: int
    halo: int
    scales: tuple[float, ...]
    each: bool

    def cut(self, pixels: np.ndarray) -> Iterator[Patches]:
        """Cut an image, as `read_picture` gives it, at each scale in turn."""
        image = to_channels(pixels, self.channels)
        for scale in self.scales:
            yield cut(
                [rescale(image, scale)], self.r, self.blur, self.downsample, self.patch,
                self.stride, self.halo, self.each,
            )  # fmt: skip

    def counts(self, height: int, width: int) -> list[int]:
        """Give how many patches `cut` makes of an image of this size, scale by scale."""
        sizes = [[max(1, round(side * s)) for side in (height, width)] for s in self.scales]
        return [patches_in(h, w, self.r, self.patch, self.stride) for h, w in sizes]


@dataclass(frozen=True)
class Store:
    """All patches of a set, image after image, and within an image scale after scale.

    `first` is int64 `(images, scales + 1)`: where the patches of each begin, and the last one's
    end. `bad` are the indices of images that could not be read, whose patches are nothing.
    """

    patches: Patches
    first: np.ndarray
    bad: tuple[int, ...]

    def indices(self, images: Sequence[int], scale: int) -> torch.Tensor:
        """Give where the patches of some images at the scale of this number are, in their order."""
        ranges = [np.arange(*self.first[i, scale : scale + 2]) for i in images]
        return torch.from_numpy(np.concatenate([np.empty(0, np.int64), *ranges]))


def cache_folder(folder: str | None) -> Path:
    """Give the folder for prepared patches: `folder`, $ESPCN_CACHE or ~/.cache/espcn.

    Raises a ValueError where a home directory is asked for and there is none.
    """
    named = folder or os.environ.get("ESPCN_CACHE") or "~/.cache/espcn"
    try:
        return Path(str(named)).expanduser()
    except RuntimeError as error:  # in a container, say, whose user has none
        raise ValueError(
            f"`data.cache` (={named}) must be a folder, but there is no home directory: say "
            "data.cache=DIR"
        ) from error


def prepare(
    paths: Sequence[Path],
    sizes: Sequence[tuple[int, int]],
    digests: Sequence[str],
    recipe: Recipe,
    folder: Path,
) -> Store:
    """Give the patches of picture files, prepared in `folder` now or before.

    `sizes` are the pictures' heights and widths, `digests` their SHA-256. Raises a ValueError if
    more than a tenth of the files can't be read or one isn't what it was, an OSError if `folder`
    can't hold the patches. What lies there and isn't whole is prepared anew.
    """
    settings = {"version": VERSION, **asdict(recipe), "scales": list(recipe.scales)}
    name = hashlib.sha256(json.dumps([settings, *digests]).encode()).hexdigest()[:24]
    counts = np.array([recipe.counts(*size) for size in sizes], np.int64)
    ends = counts.cumsum().reshape(counts.shape)
    first = np.concatenate([ends[:, :1] - counts[:, :1], ends], 1)
    layout = _Layout(folder / name, int(counts.sum()), recipe)
    try:
        layout.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{name}.lock"):
            meta = settings | {"images": len(paths), "patches": layout.count}
            bad = layout.bad(meta)
            if bad is None:
                layout.reserve(len(paths))
                bad = _fill(paths, digests, first, layout)
                write_json(layout.folder / META, meta | {"bad": bad})
    except OSError as error:
        raise OSError(
            f"`data.cache` (={folder}) must have room for {layout.bytes / 1e9:.2f} GB of patches "
            f"and be writable: {error.strerror or error}. Else say data.cache=DIR"
        ) from error
    if len(bad) > len(paths) / 10:
        reasons = "; ".join(list(bad.values())[:3])
        raise ValueError(
            f"{len(bad)} of {len(paths)} pictures can't be read, more than a tenth: {reasons}"
        )
    if bad:
        warnings.warn(f"left out: {'; '.join(bad.values())}", stacklevel=2)
    owner = np.repeat(np.arange(len(paths)), counts.sum(1))
    low, target = (torch.from_numpy(array) for array in layout.arrays("c"))
    store = Patches(low, target, torch.from_numpy(owner))
    return Store(store, first, tuple(sorted(bad)))


@dataclass(frozen=True)
class _Layout:
    """The files of a cache: their names, shapes and sizes."""

    folder: Path
    count: int
    recipe: Recipe

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        recipe, size = self.recipe, self.recipe.patch + 2 * self.recipe.halo
        return {
            "low.u1": (self.count, recipe.channels, size, size),
            "target.u1": (
                self.count, recipe.channels * recipe.r**2, recipe.patch, recipe.patch,
            ),
        }  # fmt: skip

    @property
    def sizes(self) -> dict[str, int]:
        return {name: int(np.prod(shape)) for name, shape in self.shapes.items()}

    @property
    def bytes(self) -> int:
        return sum(self.sizes.values())

    def bad(self, meta: dict[str, Any]) -> dict[int, str] | None:
        """Give the images that could not be read, and why; None if not all is there and whole."""
        try:
            found = json.loads((self.folder / META).read_text(encoding="utf-8"))
            bad = {int(index): str(reason) for index, reason in found.pop("bad").items()}
        except (OSError, ValueError, LookupError, AttributeError, TypeError):
            return None
        return bad if found == meta and self._has(self.sizes) else None

    def reserve(self, images: int) -> None:
        """Take the room at once: a disk too small is known before the work, not after it.

        What was done before is forgotten if it isn't what a preparation that was stopped leaves.
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
        """Give both arrays, memory-mapped."""
        if not self.count:
            return [np.empty(shape, np.uint8) for shape in self.shapes.values()]
        return [
            np.memmap(self.folder / name, np.uint8, mode, shape=shape)
            for name, shape in self.shapes.items()
        ]


def _fill(
    paths: Sequence[Path], digests: Sequence[str], first: np.ndarray, layout: _Layout
) -> dict[int, str]:
    """Cut what has not been cut yet; give the reason for each image that can't be read."""
    done = np.memmap(layout.folder / DONE, np.uint8, "r+")
    rest = np.flatnonzero(done != 1).tolist()  # the unreadable (2) are tried again
    parts = [rest[at : at + CHUNK] for at in range(0, len(rest), CHUNK)]
    work = [(part, [(paths[i], digests[i], first[i, 0]) for i in part], layout) for part in parts]
    bad: dict[int, str] = {}
    with tqdm(total=len(paths), initial=len(paths) - len(rest), unit="image", delay=1) as bar:
        for part, reasons in _all(work, len(rest)):
            done[part] = 1
            done[list(reasons)] = 2
            done.flush()
            bad |= reasons
            bar.update(len(part))
    return bad


def _all(work: list[Any], images: int) -> Iterator[tuple[list[int], dict[int, str]]]:
    if images <= ALONE:
        yield from map(_cut_some, work)
        return
    # Not forked: PyTorch's threads don't survive that.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_processes(), spawn, initializer=_begin) as pool:
        try:
            for part in as_completed([pool.submit(_cut_some, one) for one in work]):
                yield part.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _processes() -> int:
    """Give how many there should be: no more than the processors that this one may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # only Linux tells
    return min(PROCESSES, len(allowed(0)) if allowed else os.cpu_count() or 1)


def _begin() -> None:
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End when the process that wants the work was killed: nobody else would end this one."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _cut_some(work: Any) -> tuple[list[int], dict[int, str]]:
    """Cut some images into their places; give their indices, and what was wrong with which."""
    images, files, layout = work
    low, target = layout.arrays("r+")
    bad = {}
    for index, (path, digest, start) in zip(images, files, strict=True):
        content = read_unchanged(path, digest)
        try:
            pixels = read_picture(content)
        except ValueError as error:
            bad[index] = f"{path}: {str(error).removeprefix('the file is ')}"
            continue
        for patches in layout.recipe.cut(pixels):
            low[start : start + len(patches)] = patches.low.numpy()
            target[start : start + len(patches)] = patches.target.numpy()
            start += len(patches)
    return images, bad


def _reserve(path: Path, size: int) -> None:
    with path.open("ab") as file:
        file.truncate(size)
        if size and hasattr(os, "posix_fallocate"):  # macOS has none, and takes the room later
            os.posix_fallocate(file.fileno(), 0, size)
