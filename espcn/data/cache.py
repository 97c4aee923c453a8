"""Patches of a large set, prepared once, in memory-mapped files.

The patches of fifty thousand images don't fit into memory. Several processes cut them into 8-bit
arrays on disk, under a name derived from the files' content and the settings. A killed preparation
resumes where it stopped, and two runs that need the same patches prepare them once. Patches that
are damaged later, for example by a failing disk, are rebuilt.

python -m espcn.data.cache                   lists all entries
python -m espcn.data.cache --unused 30       deletes entries that no run has used for 30 days
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from tabulate import tabulate

from espcn import checks
from espcn.data.cache_layout import DONE, META, CacheLayout, delete, entries
from espcn.data.image_set import LazyImages, read_unchanged
from espcn.data.patches import Patches, Recipe, cut
from espcn.files import expanded
from espcn.imaging.color import to_channels
from espcn.interrupts import interrupts_held
from espcn.io.atomic import make_folder, write_json
from espcn.io.reading import read_picture
from espcn.progress import bar

VERSION = 2  # of what is written: another one is another cache
# The same for what depends on a setting of the degradation: since 1, the whole image decides the
# range of a JPEG, and the frames of a clip differ by more than a shift.
VERSIONS = {"jpeg": 1, "h264": 1}
CHUNK = 16  # images that a process takes at a time
ALONE = 4 * CHUNK  # so many images are done sooner than other processes are started
PROCESSES = 4  # at most: each takes 260 MB, mostly PyTorch's, and all with this one 1 GB


@dataclass(frozen=True)
class PreparedPatches:
    """All patches of a set, ordered by image, then by scale.

    Attributes:
        patches: The patches, memory-mapped.
        first: int64 `(images, scales + 1)`: where the patches of each image and scale begin; the
            last column is where they end.
        bad: Indices of images that could not be read; their patches must be ignored.
    """

    patches: Patches
    first: np.ndarray
    bad: tuple[int, ...]

    def indices(self, images: Sequence[int], scale: int) -> torch.Tensor:
        """Return where the patches of some images are.

        Args:
            images: Indices of images.
            scale: Index of the scale.

        Returns:
            int64 `(n,)`, in the order of `images`.
        """
        ranges = [np.arange(*self.first[i, scale : scale + 2]) for i in images]
        return torch.from_numpy(np.concatenate([np.empty(0, np.int64), *ranges]))


def cache_folder(folder: str | None) -> Path:
    """Return the folder for prepared patches: `folder`, $ESPCN_CACHE or ~/.cache/espcn.

    Args:
        folder: The setting `data.cache`.

    Returns:
        The folder, which may not exist yet.

    Raises:
        ValueError: It is below a home directory that does not exist.
    """
    named = folder or os.environ.get("ESPCN_CACHE") or "~/.cache/espcn"
    return expanded(named, "data.cache")


def prepare(images: LazyImages, recipe: Recipe, folder: Path) -> PreparedPatches:
    """Return the patches of picture files, preparing them if needed.

    A preparation that was stopped goes on where it was.

    Args:
        images: The files.
        recipe: How they are cut, at each of its scales.
        folder: The folder of the cache.

    Returns:
        All patches.

    Raises:
        ValueError: More than a tenth of the files can't be read, or one has changed.
        OSError: `folder` has no room for the patches, or can't be written to.
    """
    paths, sizes, digests = images.paths, images.sizes, images.digests
    settings = {"version": VERSION, **asdict(recipe), "scales": list(recipe.scales)}
    # Without its defaults: a setting that is added to the degradation leaves this cache valid.
    settings["degradation"] = recipe.degradation.settings()
    if recipe.degradation.encoders():
        settings["encoders"] = recipe.degradation.encoders()
    for name, version in VERSIONS.items():
        if name in recipe.degradation.settings():
            settings[f"{name}_version"] = version
    if not recipe.degradation.is_random:
        del settings["seed"]
    name = hashlib.sha256(json.dumps([settings, *digests]).encode()).hexdigest()[:24]
    counts = np.array([_counts(recipe, *size) for size in sizes], np.int64)
    ends = counts.cumsum().reshape(counts.shape)
    first = np.concatenate([ends[:, :1] - counts[:, :1], ends], 1)
    layout = CacheLayout(folder / name, int(counts.sum()), recipe)
    try:
        make_folder(folder)
        with FileLock(folder / f"{name}.lock"):
            make_folder(layout.folder)  # while nobody deletes it
            meta = settings | {"images": len(paths), "patches": layout.count}
            bad = layout.bad(meta)
            if bad is None:
                layout.reserve(len(paths))
                bad = _fill(paths, digests, first, layout)
                write_json(
                    layout.folder / META, meta | {"bad": bad, "checksums": layout.checksums()}
                )
            with suppress(OSError):  # a cache that is not ours to write to
                os.utime(layout.folder / META)  # its age counts from its last use
    except OSError as error:
        raise OSError(
            f"`data.cache` (={folder}) must have room for {layout.bytes / 1e9:.2f} GB of patches "
            f"and be writable: {error.strerror or error}. Else say data.cache=DIR"
        ) from error
    if len(bad) > len(paths) / 10:
        reasons = "; ".join(list(bad.values())[:3])
        raise ValueError(
            f"{len(bad)} of {len(paths)} pictures can't be read, more than a tenth: repair or "
            f"remove them: {reasons}"
        )
    if bad:
        warnings.warn(f"left out: {'; '.join(bad.values())}", stacklevel=2)
    owner = np.repeat(np.arange(len(paths)), counts.sum(1))
    low, target = (torch.from_numpy(array) for array in layout.arrays("c"))
    patches = Patches(low, target, torch.from_numpy(owner))
    return PreparedPatches(patches, first, tuple(sorted(bad)))


def processes() -> int:
    """Return the number of processes that cut the patches of many images.

    Returns:
        The number, at most that of the cores that this process may use.
    """
    allowed = getattr(os, "sched_getaffinity", None)  # only Linux tells
    return min(PROCESSES, len(allowed(0)) if allowed else os.cpu_count() or 1)


def _counts(recipe: Recipe, height: int, width: int) -> list[int]:
    """Return the number of patches of an image of this size, scale by scale."""
    sizes = [[max(1, round(side * s)) for side in (height, width)] for s in recipe.scales]
    return [recipe.count(h, w) for h, w in sizes]


def _fill(
    paths: Sequence[Path], digests: Sequence[str], first: np.ndarray, layout: CacheLayout
) -> dict[int, str]:
    """Cut the remaining images; return the reason for each image that can't be read."""
    done = np.memmap(layout.folder / DONE, np.uint8, "r+")
    rest = np.flatnonzero(done != 1).tolist()  # the unreadable (2) are tried again
    parts = [rest[at : at + CHUNK] for at in range(0, len(rest), CHUNK)]
    work = [(part, [(paths[i], digests[i], first[i, 0]) for i in part], layout) for part in parts]
    bad: dict[int, str] = {}
    counts = {"total": len(paths), "initial": len(paths) - len(rest)}
    with bar(**counts, unit="image", delay=1) as shown:
        for part, reasons in _all(work, len(rest)):
            done[part] = 1
            done[list(reasons)] = 2
            done.flush()
            bad |= reasons
            shown.update(len(part))
    return bad


def _all(work: list[Any], images: int) -> Iterator[tuple[list[int], dict[int, str]]]:
    if images <= ALONE:
        yield from map(_cut_some, work)
        return
    # Not forked: PyTorch's threads don't survive that.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes(), spawn, initializer=_begin) as pool:
        try:
            with interrupts_held():  # from the workers, which start here, for good
                parts = [pool.submit(_cut_some, one) for one in work]
            for part in as_completed(parts):
                yield part.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _begin() -> None:
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exit when the parent process was killed: nothing else would end this one."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _cut_some(work: Any) -> tuple[list[int], dict[int, str]]:
    """Cut some images into their places; return their indices, and the errors by image."""
    images, files, layout = work
    low, target = layout.arrays("r+")
    bad = {}
    for index, (path, digest, start) in zip(images, files, strict=True):
        content = read_unchanged(path, digest)
        try:
            pixels = read_picture(content)
        except ValueError as error:
            bad[index] = f"{path}: {error}"
            continue
        image = to_channels(pixels, layout.recipe.channels)
        for scale in layout.recipe.scales:
            patches = cut([image], layout.recipe, scale)
            low[start : start + len(patches)] = patches.low.numpy()
            target[start : start + len(patches)] = patches.target.numpy()
            start += len(patches)
    for array in (low, target):
        if isinstance(array, np.memmap):
            array.flush()  # or a loss of power could leave them marked as cut, but empty
    return images, bad


def main() -> None:
    """List the entries, or delete those that have not been used for long."""
    parser = argparse.ArgumentParser(
        "python -m espcn.data.cache", description="List the caches of patches, or delete old ones."
    )
    parser.add_argument(
        "--cache",
        metavar="DIR",
        help="the folder that holds them ($ESPCN_CACHE, else ~/.cache/espcn)",
    )
    parser.add_argument(
        "--unused", type=float, metavar="DAYS", help="delete those unused for so many days"
    )
    given = parser.parse_args()
    try:
        if given.unused is not None:
            checks.number("--unused", given.unused, "a number of days, say 30")
        folder = cache_folder(given.cache)
        found = entries(folder)
        rows = [entry.row() for entry in found]
        nothing = "is empty" if folder.is_dir() else "does not exist"
        print(tabulate(rows, "keys", floatfmt=".1f") if rows else f"{folder} {nothing}")
        old = [one for one in found if given.unused is not None and one.days >= given.unused]
        gone = [entry for entry in old if delete(entry)]
    except (ValueError, OSError) as error:
        sys.exit(f"Error: {error}")
    if given.unused is not None:
        size = sum(entry.bytes for entry in gone) / 1e9
        print(f"Deleted {len(gone)} of {len(found)}, {size:.2f} GB, from {folder}")


if __name__ == "__main__":
    main()
