"""Image sets: named pictures with a fingerprint, and loading them from a folder."""

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from espcn.files import expanded, visible_files
from espcn.io.reading import SUFFIXES, open_picture, read_picture

_READERS = 4  # threads that read and decode

File = tuple[str, Any]  # SHA-256, and the result of decoding


@dataclass(frozen=True)
class ImageSet:
    """Named images with their origin.

    Attributes:
        name: The set's name.
        names: File names in natural order (t2 before t10).
        images: Pictures as `read_picture` returns them.
        fingerprint: Sixteen hexadecimal digits that identify the set's files.
        source: The images' location, for display.
        is_copy: Whether it is a known set whose pictures were found in other files.
    """

    name: str
    names: list[str]
    images: Sequence[np.ndarray]
    fingerprint: str
    source: str
    is_copy: bool = False

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, chosen: Sequence[int], name: str) -> "ImageSet":
        """Return some of the images under another name.

        Args:
            chosen: Their indices.
            name: The name of the new set; it keeps the fingerprint of the whole set.

        Returns:
            The images in the order of `chosen`, lazy if they were lazy.
        """
        images: Sequence[np.ndarray]
        if isinstance(self.images, LazyImages):
            images = self.images.subset(chosen)
        else:
            images = [self.images[i] for i in chosen]
        return replace(self, name=name, names=[self.names[i] for i in chosen], images=images)


class LazyImages(Sequence[np.ndarray]):
    """Picture files, each read on access.

    Args:
        paths: The files.
        sizes: Their (height, width) in pixels.
        digests: Their SHA-256.
    """

    def __init__(
        self, paths: Sequence[Path], sizes: Sequence[tuple[int, int]], digests: Sequence[str]
    ) -> None:
        self.paths, self.sizes, self.digests = list(paths), list(sizes), list(digests)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return read_picture(read_unchanged(self.paths[index], self.digests[index]))

    def subset(self, chosen: Sequence[int]) -> "LazyImages":
        """Return some of the files.

        Args:
            chosen: Their indices.

        Returns:
            The files, in the order of `chosen`.
        """
        return LazyImages(
            [self.paths[i] for i in chosen],
            [self.sizes[i] for i in chosen],
            [self.digests[i] for i in chosen],
        )


def read_unchanged(path: Path, digest: str) -> bytes:
    """Return the content of a file that must not have changed.

    Args:
        path: The file.
        digest: Its SHA-256.

    Returns:
        Its bytes.

    Raises:
        ValueError: The file has changed or can no longer be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        change = f"can no longer be read ({error.strerror})"
    else:
        if hashlib.sha256(content).hexdigest() == digest:
            return content
        change = "has changed"
    raise ValueError(
        f"`data` must not change during a run, but {path} {change} (its SHA-256 was "
        f"{digest[:16]}): restore the picture, or start a new run"
    )


def load_folder(path: str | Path, lazily: bool = False, setting: str = "data.path") -> ImageSet:
    """Load all pictures of a folder and its subfolders, except hidden ones.

    A picture that can't be read is skipped with a warning.

    Args:
        path: The folder; names are relative to it.
        lazily: Read only sizes and checksums now; the images are then `LazyImages`.
        setting: The setting that names it, for messages.

    Returns:
        The set.

    Raises:
        FileNotFoundError: The folder does not exist.
        ValueError: It contains no pictures, or more than a tenth can't be read.
    """
    path = expanded(path, setting)
    if not path.is_dir():
        raise FileNotFoundError(
            f"`{setting}` (={path}) must be an existing folder with your pictures"
        )
    names = dict.fromkeys(list_pictures(path, setting))
    files, reasons = read_files(path, names, _size if lazily else read_picture)
    total = len(files) + len(reasons)
    if not total:
        raise ValueError(
            f"`{setting}` (={path}) must contain pictures, with one of these suffixes: "
            f"{' '.join(sorted(SUFFIXES))}"
        )
    bad = [f"{name}: {reason}" for name, reason in reasons.items()]
    words = f"{len(bad)} of {total} pictures in {path} can't be read"
    if len(bad) > total / 10:
        raise ValueError(f"{words}, more than a tenth: repair or remove them: {'; '.join(bad[:3])}")
    if bad:
        warnings.warn(f"{words} and are skipped: {'; '.join(bad)}", stacklevel=2)
    images = image_set(path.resolve().name, files, str(path.absolute()))
    if not lazily:
        return images
    paths = [path.absolute() / name for name in images.names]
    digests = [files[name][0] for name in images.names]
    return replace(images, images=LazyImages(paths, images.images, digests))  # type: ignore[arg-type]


def read_files(
    folder: Path,
    digests: Mapping[str, str | None],
    decode: Callable[[bytes], Any] = read_picture,
) -> tuple[dict[str, File], dict[str, str]]:
    """Read files in parallel, each verified against its SHA-256.

    Args:
        folder: The folder that contains them.
        digests: SHA-256 by file name; None accepts any content.
        decode: Turns a file's content into an image or another value.

    Returns:
        SHA-256 and decoded content by name; and, by name, why the other files could not be read.
    """

    def read(name: str) -> File | str:
        try:
            data = (folder / name).read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            if digests[name] not in (None, digest):
                return "differs from the registry"
            return digest, decode(data)
        except (OSError, ValueError) as error:
            return str(error)

    with ThreadPoolExecutor(_READERS) as pool:
        results = dict(zip(digests, pool.map(read, digests), strict=True))
    files = {name: result for name, result in results.items() if not isinstance(result, str)}
    return files, {name: result for name, result in results.items() if isinstance(result, str)}


def _size(data: bytes) -> tuple[int, int]:
    picture = open_picture(data)
    return picture.height, picture.width


def image_set(name: str, files: Mapping[str, File], source: str) -> ImageSet:
    """Return the set of files that were read, in natural order, with its fingerprint.

    Args:
        name: The set's name.
        files: SHA-256 and image by file name.
        source: Their location, for display.

    Returns:
        The set.
    """
    names = sorted(files, key=_natural)
    lines = "\n".join(sorted(f"{files[name][0]}  {name}" for name in names))
    fingerprint = hashlib.sha256(os.fsencode(lines)).hexdigest()[:16]
    return ImageSet(name, names, [files[name][1] for name in names], fingerprint, source)


def join_sets(sets: Sequence[ImageSet]) -> ImageSet:
    """Join several sets into one with a new fingerprint.

    Args:
        sets: The sets.

    Returns:
        The joined set, named like "T91+BSD200".
    """
    fingerprint = hashlib.sha256(" ".join(one.fingerprint for one in sets).encode())
    return ImageSet(
        "+".join(one.name for one in sets),
        [name for one in sets for name in one.names],
        [image for one in sets for image in one.images],
        fingerprint.hexdigest()[:16],
        " and ".join(one.source for one in sets),
    )


def list_pictures(top: Path, setting: str = "data.path") -> Iterator[str]:
    """Return the pictures of a folder and its subfolders, except hidden ones.

    Args:
        top: The folder.
        setting: The setting that names it, for messages.

    Yields:
        Paths relative to it.

    Raises:
        ValueError: A folder can't be listed.
    """

    def refuse(error: OSError) -> None:
        raise ValueError(
            f"`{setting}` (={top}) must be readable, but {error.filename} can't be listed: "
            f"{error.strerror}"
        ) from error

    for path in visible_files(top, refuse):
        if path.suffix.lower() in SUFFIXES:
            yield path.relative_to(top).as_posix()


def _natural(name: str) -> list[str | int]:
    parts = re.split("([0-9]+)", name.casefold())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]
