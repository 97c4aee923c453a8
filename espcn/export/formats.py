"""The export formats, each identified by a file's ending.

To add one, write a module of this package with a function like `onnx.write`, and name it in
`FORMATS`: the command's help and errors include it automatically.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # it needs PyTorch, and the command's help shall not
    from espcn.network.model import ESPCN


class Write(Protocol):
    """The type of the `write` function in a format's module."""

    def __call__(self, path: Path, network: "ESPCN", about: Mapping[str, str]) -> str:
        """Write a network in this format, checking it with a program that reads the format.

        Args:
            path: The file, in a folder that exists; it is written atomically.
            network: The network, in evaluation mode, on the CPU.
            about: Text by name to store in the file if the format supports it: factor, degradation,
                source, licence and the like.

        Returns:
            How the file was checked: "checked by X 1.2", or "not checked: X is not installed".

        Raises:
            ValueError: The format does not support this network, a package that writes it is not
                installed, or the program differs from PyTorch.
        """


@dataclass(frozen=True)
class Format:
    """A format for exporting the network.

    Attributes:
        module: The module of this package whose `write` makes it.
        readers: The programs that read it, in a few words for the command's help.
        is_for_videos: Whether it is for videos, which need other weights than JPEGs.
    """

    module: str
    readers: str
    is_for_videos: bool = False

    @property
    def write(self) -> Write:
        """The function that checks and writes; its module is imported on first use."""
        return import_module(f"espcn.export.{self.module}").write


FORMATS = {
    ".onnx": Format("onnx", "ONNX Runtime and other programs that read ONNX"),
    ".pb": Format("superres", "OpenCV's dnn_superres up to OpenCV 5.0"),
    ".opencv.onnx": Format("superres", "OpenCV's dnn_superres since OpenCV 5.1"),
    ".glsl": Format("glsl", "mpv, and FFmpeg's libplacebo, as a user shader", True),
    ".html": Format("page", "browsers: a page that upscales the visitor's pictures and videos"),
}


def format_of(path: Path) -> Format:
    """Return the format of a file's ending.

    Args:
        path: The file to write.

    Returns:
        One of `FORMATS`.

    Raises:
        ValueError: The ending is unknown; the message lists the known ones.
    """
    fitting = [ending for ending in FORMATS if path.name.lower().endswith(ending)]
    if not fitting:
        raise ValueError(
            f"`-o` (={path}) must end in {' or '.join(FORMATS)}: the ending chooses the format"
        )
    return FORMATS[max(fitting, key=len)]  # .opencv.onnx is one of its own


def check_network(network: "ESPCN", reader: str) -> None:
    """Check that a network is for luma, with replicate padding: some formats have no other.

    Args:
        network: The network.
        reader: What reads it, for the message.

    Raises:
        ValueError: It is another one.
    """
    if network.channels != 1 or not network.halo:
        raise ValueError(
            f"`channels` (={network.channels}) and `padding` (={network.padding}) of the network "
            f"must be 1 and replicate for {reader}: write .onnx, or train with these"
        )
