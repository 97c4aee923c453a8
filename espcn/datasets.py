"""Image sets: the registry of known ones, their download, a user's own folder.

The paper trains on T91 and tests on Set5, Set14, BSD300 and BSD500 (section 3.1). None of them
may be passed on, so each file is downloaded from a pinned commit and checked against
`registry/NAME.txt`: SHA-256, two spaces, path in the repository. Where that can't be done, the
photographs inside the scikit-image package serve.
"""

import hashlib
import importlib.util
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from espcn.download import TIMEOUT, Timeout, download
from espcn.pictures import SUFFIXES, open_picture, read_picture

_RAW = "https://raw.githubusercontent.com/"
_SRCNN = _RAW + "tegg89/SRCNN-Tensorflow/78be1a24697935fc39a3a8cf59a6632264afade7/"
_BSDS = _RAW + "BIDS/BSDS500/a04b7c6c3a9f0ace74bf205c72a43d32e1c72722/"
_SELFEX = _RAW + "jbhuang0604/SelfExSR/8f6dd8c1d20cb7e8792a7177b4f6fd677633f598/"


@dataclass(frozen=True)
class Origin:
    """Where the files of a set are, and whether it may be learnt from ("train") or not ("test")."""

    url: str
    role: str


SETS = {
    "T91": Origin(_SRCNN, "train"),
    "BSD200": Origin(_BSDS, "train"),
    "Set5": Origin(_SRCNN, "test"),
    "Set14": Origin(_SRCNN, "test"),
    "BSD300": Origin(_BSDS, "test"),
    "BSD500": Origin(_BSDS, "test"),
    "Urban100": Origin(_SELFEX, "test"),
}
EMBEDDED_TRAIN = "skimage-train"
EMBEDDED_TEST = "skimage-test"
_EMBEDDED = {  # the two motorcycles are a stereo pair: they stay on one side
    EMBEDDED_TRAIN: "brick.png camera.png coins.png grass.png gravel.png hubble_deep_field.jpg "
    "motorcycle_left.png motorcycle_right.png retina.jpg rocket.jpg",
    EMBEDDED_TEST: "astronaut.png chelsea.png coffee.png",
}
_READERS = 4  # threads that decode

File = tuple[str, Any]  # SHA-256, and the image or what was asked for of it


@dataclass(frozen=True)
class ImageSet:
    """Named images as `read_picture` gives them, with what they are and where they are from.

    `names` are file names in natural order (t2 before t10), `fingerprint` tells two sets with
    different files apart, `source` says to people where the images lie.
    """

    name: str
    names: list[str]
    images: Sequence[np.ndarray]
    fingerprint: str
    source: str

    def __len__(self) -> int:
        return len(self.images)


class Files(Sequence[np.ndarray]):
    """Picture files, each read when it is asked for; `sizes` are (height, width)."""

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

    def among(self, chosen: Sequence[int]) -> "Files":
        """Give some of them."""
        return Files(
            [self.paths[i] for i in chosen],
            [self.sizes[i] for i in chosen],
            [self.digests[i] for i in chosen],
        )


def read_unchanged(path: Path, digest: str) -> bytes:
    """Give a file's content; a ValueError if it is no longer the one with this SHA-256."""
    try:
        content = path.read_bytes()
    except OSError as error:
        change = f"can no longer be read ({error.strerror})"
    else:
        if hashlib.sha256(content).hexdigest() == digest:
            return content
        change = "is another one now"
    raise ValueError(
        f"`data` must stay as it is while a run uses it, but {path} {change} (its SHA-256 was "
        f"{digest[:16]}): give the picture back, or start anew"
    )


class Unavailable(OSError):
    """A known set is not at hand and can't be downloaded; the message says what to do."""


def data_root(data_dir: str | None) -> Path:
    """The folder that holds one folder for each set: `data_dir`, $ESPCN_DATA or `datasets`."""
    # A name like 2020 comes as a number from the command line.
    return Path(str(data_dir or os.environ.get("ESPCN_DATA") or "datasets")).expanduser()


def load_set(name: str, data_dir: str | None = None, download: bool = True) -> ImageSet:
    """The set `name`, one of SETS or of the two EMBEDDED ones, downloaded where need be.

    Each file is read once and must have the SHA-256 of the registry. Raises Unavailable, or
    ValueError for an unknown name.
    """
    if name in _EMBEDDED:
        return _load_embedded(name)
    if name not in SETS:
        known = ", ".join([*SETS, *_EMBEDDED])
        raise ValueError(f"`sets` must be among {known}, got {name!r}")
    folder = data_root(data_dir).absolute() / name
    registry = _registry(name)
    files, reasons = _read_all(folder, _digests(registry))
    if reasons and download:
        _download(name, folder, SETS[name].url, registry)
        files, reasons = _read_all(folder, _digests(registry))
    if reasons:
        raise _unavailable(name, folder, f"{len(reasons)} of its files are missing or changed")
    return _image_set(name, files, str(folder))


def load_folder(path: str | Path, lazily: bool = False) -> ImageSet:
    """Every picture in a folder of the user's and in the folders below, hidden ones left out.

    `lazily` looks at their sizes and content alone, and gives `Files` as the images.
    A picture that can't be read is left out with a warning; if more than a tenth of them can't,
    that is a ValueError, as is a folder without pictures. Names are relative to `path`.
    """
    path = Path(str(path)).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(
            f"`data.path` (={path}) must be a folder with your pictures: there is no such folder"
        )
    names = dict.fromkeys(_list_pictures(path))
    files, reasons = _read_all(path, names, _size if lazily else read_picture)
    total = len(files) + len(reasons)
    if not total:
        raise ValueError(
            f"`data.path` (={path}) must hold pictures ({' '.join(sorted(SUFFIXES))}): it has none"
        )
    bad = [f"{name}: {reason}" for name, reason in reasons.items()]
    words = f"{len(bad)} of {total} pictures in {path} can't be read"
    if len(bad) > total / 10:
        raise ValueError(f"{words}, more than a tenth: mend or remove them: {'; '.join(bad[:3])}")
    if bad:
        warnings.warn(f"{words} and are left out: {'; '.join(bad)}", stacklevel=2)
    images = _image_set(path.resolve().name, files, str(path.absolute()))
    if not lazily:
        return images
    paths = [path.absolute() / name for name in images.names]
    digests = [files[name][0] for name in images.names]
    return replace(images, images=Files(paths, images.images, digests))  # type: ignore[arg-type]


def load_training(
    source: str, data_dir: str | None = None, path: str | Path | None = None
) -> tuple[ImageSet, str]:
    """The images to learn from, and a line for people that says which they are and why.

    `source`: "t91"; "skimage" for the photographs inside scikit-image; "auto" for T91 or, where it
    can't be had, those; "folder" for the pictures in `path`.
    """
    if source not in ("auto", "t91", "skimage", "folder"):
        raise ValueError(f"`data` (={source}) must be auto, t91, skimage or folder")
    if source == "skimage":
        images = load_set(EMBEDDED_TRAIN)
        return images, f"Data: {len(images)} photographs from {images.source}"
    if source == "folder":
        if path is None:
            raise ValueError("`data.path` must be given with data=folder: your pictures' folder")
        images = load_folder(path, lazily=True)
        return images, f"Data: {len(images)} pictures from {images.source}"
    try:
        images = load_set("T91", data_dir)
        other = "" if source == "t91" else ", whole there (data=skimage for photographs instead)"
        return images, f"Data: T91, {len(images)} images from {images.source}{other}"
    except Unavailable as error:
        if source == "t91":
            raise
        images = load_set(EMBEDDED_TRAIN)
        return images, f"Data: {len(images)} photographs from {images.source}, because {error}"


def load_test(names: list[str], data_dir: str | None = None) -> tuple[list[ImageSet], list[str]]:
    """Those of the sets `names` that can be had, and a line for people on each that can't.

    If names are given and none can be had, the test photographs inside scikit-image.
    """
    sets: list[ImageSet] = []
    lines: list[str] = []
    for name in names:
        try:
            sets.append(load_set(name, data_dir))
        except Unavailable as error:
            lines.append(f"Left out: {name}, likewise" if lines else f"Left out: {error}")
    if names and not sets:
        sets = [load_set(EMBEDDED_TEST)]
        lines.append(f"In their place: {len(sets[0])} photographs from {sets[0].source}")
    return sets, lines


def _registry(name: str) -> dict[str, str]:
    """Path in the repository to SHA-256, of each file of a set."""
    text = resources.files("espcn").joinpath("registry", f"{name}.txt").read_text()
    return {path: digest for digest, path in (line.split("  ", 1) for line in text.splitlines())}


def _digests(registry: Mapping[str, str]) -> dict[str, str | None]:
    """The same by base name, under which the files lie in the folder of the set."""
    return {os.path.basename(path): digest for path, digest in registry.items()}


def _read_all(
    folder: Path,
    digests: Mapping[str, str | None],
    decode: Callable[[bytes], Any] = read_picture,
) -> tuple[dict[str, File], dict[str, str]]:
    """The files that can be read and have the digest asked for; of the others, why not."""

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


def _load_embedded(name: str) -> ImageSet:
    spec = importlib.util.find_spec("skimage")  # finds the package without its slow import
    folder = Path(spec.origin).parent / "data" if spec and spec.origin else Path("skimage/data")
    files, reasons = _read_all(folder, dict.fromkeys(_EMBEDDED[name].split()))
    if reasons:
        raise Unavailable(f"{', '.join(reasons)} not found in {folder}: reinstall scikit-image")
    return _image_set(name, files, f"scikit-image ({folder})")


def _image_set(name: str, files: Mapping[str, File], source: str) -> ImageSet:
    names = sorted(files, key=_natural)
    lines = "\n".join(sorted(f"{files[name][0]}  {name}" for name in names))
    fingerprint = hashlib.sha256(os.fsencode(lines)).hexdigest()[:16]
    return ImageSet(name, names, [files[name][1] for name in names], fingerprint, source)


def _list_pictures(top: Path) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise ValueError(
            f"`data.path` (={top}) must be readable, but {error.filename} can't be looked into: "
            f"{error.strerror}"
        ) from error

    seen = set()  # a link may lead back up
    for folder, folders, files in os.walk(top, followlinks=True, onerror=refuse):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in files:
            if not file.startswith(".") and Path(file).suffix.lower() in SUFFIXES:
                yield Path(folder, file).relative_to(top).as_posix()


def _natural(name: str) -> list[str | int]:
    parts = re.split("([0-9]+)", name.casefold())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


def _download(
    name: str, folder: Path, base_url: str, registry: Mapping[str, str], timeout: Timeout = TIMEOUT
) -> None:
    """Fetch the files of `registry` that `folder` lacks, or raise Unavailable."""

    def missing() -> dict[str, str]:
        _, reasons = _read_all(folder, _digests(registry))
        return {path: registry[path] for path in registry if os.path.basename(path) in reasons}

    try:
        download(name, folder, base_url, missing, timeout)
    except (OSError, ValueError) as error:
        raise _unavailable(name, folder, f"the download failed: {error}") from error


def _unavailable(name: str, folder: Path, reason: str) -> Unavailable:
    return Unavailable(
        f"{name} is not whole in {folder} ({reason}): put its files there, set data_dir or "
        f"ESPCN_DATA to the folder that holds {name}, or connect to the internet"
    )
