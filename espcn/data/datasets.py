"""Load the known image sets, from disk or by download, or substitutes for them.

The paper trains on T91 and tests on Set5, Set14, BSD300 and BSD500 (section 3.1). None of them
may be redistributed, so each file is downloaded from a pinned commit and checked against the
registry. If that fails, the photographs in the scikit-image package are used instead.
"""

import importlib.util
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from espcn import checks
from espcn.data.download import TIMEOUT, Timeout, download
from espcn.data.image_set import (
    File,
    ImageSet,
    image_set,
    join_sets,
    list_pictures,
    load_folder,
    read_files,
)
from espcn.data.registry import (
    CROPS,
    EMBEDDED,
    EMBEDDED_TEST,
    EMBEDDED_TRAIN,
    GREY,
    SETS,
    checksums_by_name,
    checksums_by_path,
    images_by_pixels,
    pixel_digest,
)
from espcn.files import expanded

USUAL = ("Set5", "Set14", "BSD300", "BSD500")  # those of the paper, where nothing else is asked for


class Unavailable(OSError):
    """A known set is neither on disk nor downloadable; the message says what to do."""


def data_root(data_dir: str | None) -> Path:
    """Return the folder that contains one subfolder for each known set.

    Args:
        data_dir: The setting; by default $ESPCN_DATA, or `datasets` if that is not set.

    Returns:
        The folder, which may not exist.

    Raises:
        ValueError: It is below an unknown home directory.
    """
    if data_dir not in (None, ""):
        return expanded(data_dir, "data_dir")
    return expanded(os.environ.get("ESPCN_DATA") or "datasets", "ESPCN_DATA")


def load_set(name: str, data_dir: str | None = None, download: bool = True) -> ImageSet:
    """Load a known set, downloading it if needed; each file must match the registry.

    Args:
        name: One of SETS, or one of the two embedded sets.
        data_dir: The folder that holds the sets.
        download: Download files that are missing or differ.

    Returns:
        The set. If the folder contains its pictures in other files, with the same pixels or all
        cropped to multiples of the same number, `is_copy` and `source` say so.

    Raises:
        ValueError: The name is unknown.
        Unavailable: The set is incomplete, and can't be downloaded.
    """
    if name in EMBEDDED:
        return _load_embedded(name)
    _check_known(name)
    folder = data_root(data_dir).absolute() / name
    registry = checksums_by_path(name)
    files, reasons = read_files(folder, checksums_by_name(registry))
    if reasons and (copy := _load_copy(name, folder)):
        return copy
    if reasons and download:
        _download(name, folder, SETS[name], registry)
        files, reasons = read_files(folder, checksums_by_name(registry))
    if reasons:
        raise _unavailable(name, folder, _differences(folder, checksums_by_name(registry), reasons))
    return image_set(name, files, str(folder))


def load_training(
    source: str, data_dir: str | None = None, path: str | Path | None = None
) -> tuple[ImageSet, str]:
    """Load the images to train on.

    Args:
        source: `t91`, `t291`, `skimage`, `auto` or `folder`; see `PatchData`.
        data_dir: The folder that holds the sets.
        path: The folder of your own pictures, for `folder`.

    Returns:
        The set, and a line for the user that names the images and why they were chosen.

    Raises:
        ValueError: `source` is unknown, or `path` is missing.
    """
    checks.choice("data", source, ("auto", "t91", "t291", "skimage", "folder"))
    if source == "skimage":
        images = load_set(EMBEDDED_TRAIN)
        return images, f"Data: {len(images)} photographs from {images.source}"
    if source == "folder":
        if not path:  # in which case "" would be the working directory
            raise ValueError("`data.path` must be given with data=folder: your pictures' folder")
        images = load_folder(path, lazily=True)
        return images, f"Data: {len(images)} pictures from {images.source}"
    if source == "t291":
        images = join_sets([load_set(name, data_dir) for name in ("T91", "BSD200")])
        return images, f"Data: {images.name}, {len(images)} images from {images.source}"
    try:
        images = load_set("T91", data_dir)
        other = "" if source == "t91" else ", complete there (data=skimage for photographs instead)"
        return images, f"Data: T91, {len(images)} images from {images.source}{other}"
    except Unavailable as error:
        if source == "t91":
            raise
        images = load_set(EMBEDDED_TRAIN)
        return images, f"Data: {len(images)} photographs from {images.source}, because {error}"


def check_sets(names: list[str]) -> None:
    """Check that each name is a known set or the path of a folder.

    Args:
        names: The names.

    Raises:
        ValueError: One is neither.
    """
    for name in names:
        if not expanded(name, "sets").is_dir():
            _check_known(name)


def load_test(names: list[str], data_dir: str | None = None) -> tuple[list[ImageSet], list[str]]:
    """Load test sets.

    Args:
        names: Names of known sets, and paths of folders of pictures; duplicates are ignored.
        data_dir: The folder that holds the known sets.

    Returns:
        The sets, and lines for the user. If `names` is USUAL, unavailable sets are left out, and if
        none is available, three photographs from the scikit-image package replace them.

    Raises:
        ValueError: A name is neither that of a known set nor a folder's path.
        OSError: A set that was named explicitly is not available, or a folder can't be read.
    """
    sets: list[ImageSet] = []
    lines: list[str] = []
    names = list(dict.fromkeys(names))
    for name in names:
        if name not in (*SETS, *EMBEDDED) and expanded(name, "sets").is_dir():
            sets.append(_under_its_own_name(load_folder(name, setting="sets"), name, sets))
            continue
        try:
            found = load_set(name, data_dir)
        except Unavailable as error:
            if tuple(names) != USUAL:
                raise
            lines.append(f"Left out: {name}, likewise" if lines else f"Left out: {error}")
        else:
            sets.append(found)
            if found.is_copy:
                lines.append(f"{name}: {found.source}")
    if names and not sets:
        sets = [load_set(EMBEDDED_TEST)]
        lines.append(f"Instead: {len(sets[0])} photographs from {sets[0].source}")
    return sets, lines


def _check_known(name: str) -> None:
    checks.choice("sets", name, (*SETS, *EMBEDDED), besides="a folder's path")


def _under_its_own_name(folder: ImageSet, path: str, others: list[ImageSet]) -> ImageSet:
    """Name a set after its folder, or after the folder's path if another set has that name."""
    taken = {*SETS, *EMBEDDED, *(one.name for one in others)}
    whole = "_".join(expanded(path, "sets").absolute().parts[1:])
    names = [folder.name, whole, *(f"{whole}-{number}" for number in range(2, 2 + len(taken)))]
    return replace(folder, name=next(name for name in names if name not in taken))


def _load_copy(name: str, folder: Path) -> ImageSet | None:
    """Load a known set from other files with the same pixels; None if the folder lacks them."""
    registered = images_by_pixels(name)
    wanted = {image for images, _ in registered.values() for image in images}
    there = dict.fromkeys(sorted(list_pictures(folder))) if folder.is_dir() else {}
    if not wanted or len(there) != len(wanted):
        return None
    crops = set(CROPS)
    found: dict[str, File] = {}
    for sha256, pixels in read_files(folder, there)[0].values():
        images, multiples = registered.get(pixel_digest(pixels), ([], set()))
        crops &= multiples
        # Of two pictures with the same pixels, each stands for one.
        found |= {image: (sha256, pixels) for image in [i for i in images if i not in found][:1]}
    if found.keys() != wanted or not crops:
        return None
    if 1 in crops:  # the set itself, and with its fingerprint
        paths = checksums_by_path(name)
        original = {os.path.basename(path): digest for path, digest in paths.items()}
        found = {
            image: (original[image] if _has_its_channels(image, pixels) else sha256, pixels)
            for image, (sha256, pixels) in found.items()
        }
    how = "in other files" if 1 in crops else f"cropped to multiples of {min(crops)}"
    copy = image_set(name, found, f"{folder} (its pictures, {how})")
    return replace(copy, is_copy=True)


def _has_its_channels(image: str, pixels: np.ndarray) -> bool:
    """Return whether a copy is grey if the file is: a grey picture in colour has another luma."""
    return (pixels.shape[2] < 3) == (image in GREY)


def _differences(folder: Path, registry: Mapping[str, str | None], reasons: Iterable[str]) -> str:
    """Describe which files of a folder differ from the registry."""
    there = set(list_pictures(folder)) if folder.is_dir() else set()
    groups = {
        "missing": [name for name in reasons if name not in there],
        "changed": [name for name in reasons if name in there],
        "unexpected": sorted(there - registry.keys()),
    }
    return "; ".join(
        f"{len(names)} {kind}: {', '.join(names[:5])}{', ...' * (len(names) > 5)}"
        for kind, names in groups.items()
        if names
    )


def _load_embedded(name: str) -> ImageSet:
    spec = importlib.util.find_spec("skimage")  # finds the package without its slow import
    folder = Path(spec.origin).parent / "data" if spec and spec.origin else Path("skimage/data")
    files, reasons = read_files(folder, dict.fromkeys(EMBEDDED[name].split()))
    if reasons:
        raise Unavailable(f"{', '.join(reasons)} not found in {folder}: reinstall scikit-image")
    return image_set(name, files, f"scikit-image ({folder})")


def _download(
    name: str, folder: Path, base_url: str, registry: Mapping[str, str], timeout: Timeout = TIMEOUT
) -> None:
    """Fetch the files of `registry` that `folder` lacks, or raise Unavailable."""

    def missing() -> dict[str, str]:
        _, reasons = read_files(folder, checksums_by_name(registry))
        return {path: registry[path] for path in registry if os.path.basename(path) in reasons}

    try:
        download(name, folder, base_url, missing, timeout)
    except (OSError, ValueError) as error:
        names = [os.path.basename(path) for path in missing()]
        lacking = _differences(folder, checksums_by_name(registry), names)
        raise _unavailable(name, folder, f"{lacking}; the download failed: {error}") from error


def _unavailable(name: str, folder: Path, reason: str) -> Unavailable:
    return Unavailable(
        f"{name} is not complete in {folder} ({reason}): put its files there, set data_dir or "
        f"ESPCN_DATA to the folder that holds {name}, connect to the internet, or use other "
        "pictures: a folder's path in `sets` to score on, data=folder data.path=DIR to train on"
    )
