"""The export job: choose a network, and write it in the format chosen by the file's ending."""

from pathlib import Path
from typing import NamedTuple

from espcn.export.formats import format_of
from espcn.network.strengths import Strength, given_strength, links, load_strength
from espcn.network.weights import load


class Written(NamedTuple):
    """A file that was written.

    Attributes:
        path: The file.
        check: How it was checked, or why it was not, in a few words.
        weights: Which weights it holds, in a few words.
    """

    path: Path
    check: str
    weights: str


def export(
    r: int | None = None,
    ckpt: str | None = None,
    output: str | None = None,
    compression: int | str | None = None,
) -> Written:
    """Export a network, after a program that reads the format has agreed with PyTorch.

    Args:
        r: The factor of the shipped weights, 3 if not given.
        ckpt: Your own checkpoint or weights instead.
        output: The file, whose ending chooses the format; by default espcn_xR.onnx.
        compression: The JPEG quality that the shipped weights should suit, 1 to 100, or, in formats
            for videos, that of videos that lose as much; `none` for the finer weights; None for
            those of T91, for clean sources, too.

    Returns:
        The file, and how it was checked.

    Raises:
        ValueError: The ending is unknown, the file is a folder, or its folder is missing; the
            format does not support the network, or the result differs from PyTorch; or
            `compression` is invalid, or given with `ckpt`.
    """
    trained = load(r, ckpt)
    path = Path(output or f"espcn_x{trained.network.r}.onnx")
    kind = format_of(path)
    network, origin = trained.network, trained.metadata
    suits = str(trained.degradation)
    weights = f"the weights of {ckpt}" if ckpt is not None else "the clean weights of T91"
    if compression is not None:
        taken = given_strength(network.r, compression, ckpt, kind.is_for_videos)
        sources = "videos like JPEGs" if kind.is_for_videos else "JPEGs"
        sources = f"{sources} of quality {compression}"
        sources = "clean sources" if compression == "none" else sources
        network, suits = load_strength(network.r, taken), f"{sources}: {taken}"
        origin, weights = _origin(network.r, taken), f"{taken}, for {sources}"
    if path.is_dir():
        raise ValueError(f"`-o` (={path}) must be a file, but is a folder: name a file in it")
    if not path.parent.is_dir():
        raise ValueError(f"`-o` (={path}) must be in a folder that exists: make {path.parent}")
    about = origin | {
        "factor": str(network.r),
        "source": f"{origin.get('command', trained.path.name)}; Shi et al., CVPR 2016, "
        "arXiv 1609.05158",
        "degradation": suits,
    }
    return Written(path, kind.write(path, network, about), weights)


def _origin(r: int, taken: Strength) -> dict[str, str]:
    """Return the metadata of shipped weights, or a description if two were interpolated."""
    if not taken.level.is_integer():
        return {"command": f"mixed from the shipped weights: {taken}"}
    return load(r, links(r)[f"{taken.chain}{taken.level:.0f}" if taken.level else "clean"]).metadata
