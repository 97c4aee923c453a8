"""The registry of known image sets: where their files are, and their checksums.

`checksums/NAME.txt` holds SHA-256, two spaces and the path in the repository of each file.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

_RAW = "https://raw.githubusercontent.com/"
_SRCNN = _RAW + "tegg89/SRCNN-Tensorflow/78be1a24697935fc39a3a8cf59a6632264afade7/"
_BSDS = _RAW + "BIDS/BSDS500/a04b7c6c3a9f0ace74bf205c72a43d32e1c72722/"
_SELFEX = _RAW + "jbhuang0604/SelfExSR/8f6dd8c1d20cb7e8792a7177b4f6fd677633f598/"


@dataclass(frozen=True)
class Origin:
    """Where the files of a set are.

    Attributes:
        url: The address that its paths are relative to.
        role: "train" for a set to train on, "test" for one that is only scored.
    """

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
EMBEDDED = {  # the two motorcycles are a stereo pair and stay together
    EMBEDDED_TRAIN: "brick.png camera.png coins.png grass.png gravel.png hubble_deep_field.jpg "
    "motorcycle_left.png motorcycle_right.png retina.jpg rocket.jpg",
    EMBEDDED_TEST: "astronaut.png chelsea.png coffee.png",
}


def checksums_by_path(name: str) -> dict[str, str]:
    """Return the checksums of a known set.

    Args:
        name: One of SETS.

    Returns:
        SHA-256 by path in the repository.
    """
    text = resources.files("espcn").joinpath("data", "checksums", f"{name}.txt").read_text()
    return {path: digest for digest, path in (line.split("  ", 1) for line in text.splitlines())}


def checksums_by_name(registry: Mapping[str, str]) -> dict[str, str | None]:
    """Return the checksums of a set by the file names used in the set's folder.

    Args:
        registry: SHA-256 by path.

    Returns:
        SHA-256 by base name.
    """
    return {os.path.basename(path): digest for path, digest in registry.items()}
