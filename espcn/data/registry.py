"""The registry of known image sets: the locations of their files, and their checksums.

For each file, `checksums/NAME.txt` contains its SHA-256, two spaces and its path in the repository.
`checksums/NAME.pixels.txt` contains its name and digests of its decoded pixels, for the whole
picture and cropped to each of CROPS. They identify copies in other formats and under other names.
"""

import hashlib
import os
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable

import numpy as np

_RAW = "https://raw.githubusercontent.com/"
_SRCNN = _RAW + "tegg89/SRCNN-Tensorflow/78be1a24697935fc39a3a8cf59a6632264afade7/"
_BSDS = _RAW + "BIDS/BSDS500/a04b7c6c3a9f0ace74bf205c72a43d32e1c72722/"
_SELFEX = _RAW + "jbhuang0604/SelfExSR/8f6dd8c1d20cb7e8792a7177b4f6fd677633f598/"


# The address that the paths of each set are relative to.
SETS = {
    "T91": _SRCNN,
    "BSD200": _BSDS,
    "Set5": _SRCNN,
    "Set14": _SRCNN,
    "BSD300": _BSDS,
    "BSD500": _BSDS,
    "Urban100": _SELFEX,
}
EMBEDDED_TRAIN = "skimage-train"
EMBEDDED_TEST = "skimage-test"
EMBEDDED = {  # the two motorcycles, a stereo pair, are in one set, but may be in different folds
    EMBEDDED_TRAIN: "brick.png camera.png coins.png grass.png gravel.png hubble_deep_field.jpg "
    "motorcycle_left.png motorcycle_right.png retina.jpg rocket.jpg",
    EMBEDDED_TEST: "astronaut.png chelsea.png coffee.png",
}


GREY = ("bridge.bmp",)  # the only registered file with one channel, of Set14
# Copies are often cut, at the bottom and the right, to a multiple of the factors that are scored.
CROPS = (1, 2, 3, 4, 6, 8, 12)


def checksums_by_path(name: str) -> dict[str, str]:
    """Return the checksums of a known set.

    Args:
        name: One of SETS.

    Returns:
        SHA-256 by path in the repository.
    """
    text = _checksums(name, "txt").read_text()
    return {path: digest for digest, path in (line.split("  ", 1) for line in text.splitlines())}


def checksums_by_name(registry: Mapping[str, str]) -> dict[str, str | None]:
    """Return the checksums of a set by the file names used in the set's folder.

    Args:
        registry: SHA-256 by path.

    Returns:
        SHA-256 by base name.
    """
    return {os.path.basename(path): digest for path, digest in registry.items()}


def images_by_pixels(name: str) -> dict[str, tuple[list[str], set[int]]]:
    """Return the pixel digests of a known set.

    Args:
        name: One of SETS.

    Returns:
        For each `pixel_digest`, the names of the files with these pixels (T91 has a pair), and the
        values of CROPS to whose multiples they are cropped. Empty for a set whose pixels are not
        registered.
    """
    file = _checksums(name, "pixels.txt")
    found: dict[str, tuple[list[str], set[int]]] = {}
    for line in file.read_text().splitlines() if file.is_file() else ():
        image, *digests = line.split("  ")
        for digest, multiple in zip(digests, CROPS, strict=True):
            images, multiples = found.setdefault(digest, ([], set()))
            multiples.add(multiple)
            if image not in images:
                images.append(image)
    return found


def pixel_digest(pixels: np.ndarray) -> str:
    """Return a digest of the decoded pixels, independent of the file format.

    A grey picture in three channels, an opaque alpha channel, and 8 bits stored as 16 give the same
    digest.

    Args:
        pixels: uint8 or uint16 `(height, width, channels)`.

    Returns:
        Sixteen hexadecimal digits.
    """
    if pixels.dtype == np.uint16 and not (pixels % 257).any():
        pixels = (pixels // 257).astype(np.uint8)
    if pixels.shape[2] in (2, 4) and (pixels[..., -1] == np.iinfo(pixels.dtype).max).all():
        pixels = pixels[..., :-1]
    if pixels.shape[2] == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., :1]
    content = f"{pixels.shape} {pixels.dtype} ".encode() + pixels.tobytes()
    return hashlib.sha256(content).hexdigest()[:16]


def _checksums(name: str, ending: str) -> Traversable:
    return resources.files("espcn").joinpath("data", "checksums", f"{name}.{ending}")
