"""The formats that the network is written in, each known by a file's ending.

To add one, write a module of this package with a function like `onnx.write`, and name it in
`FORMATS`: the command's help and its errors follow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # it needs PyTorch, and the command's help shall not
    from espcn.network.model import ESPCN


class Write(Protocol):
    """What a format's module has under the name `write`."""

    def __call__(self, path: Path, network: "ESPCN", about: Mapping[str, str]) -> str:
        """Check a network in this format by a program that reads it, and write it.

        Args:
            path: The file, in a folder that exists; it appears in one piece or not at all.
            network: The network, in evaluation mode, on the CPU.
            about: Text by name to be kept in the file where the format has a place for it:
                factor, degradation, source, licence and the like.

        Returns:
            How the file was checked: "checked by X 1.2", or "not checked: X is not installed".

        Raises:
            ValueError: This network can't be written so, or the program differs from PyTorch.
        """


@dataclass(frozen=True)
class Format:
    """A format that the network can be written in.

    Attributes:
        module: The module of this package whose `write` makes it.
        readers: What reads it, in a few words for the command's help.
        is_for_videos: Whether what reads it shows videos: compressed ones ask for other weights.
    """

    module: str
    readers: str
    is_for_videos: bool = False

    @property
    def write(self) -> Write:
        """The function that checks and writes; its module is imported only now."""
        return import_module(f"espcn.export.{self.module}").write


FORMATS = {
    ".onnx": Format("onnx", "ONNX Runtime and other programs that read ONNX"),
    ".pb": Format("superres", "OpenCV's dnn_superres up to OpenCV 5.0"),
    ".opencv.onnx": Format("superres", "OpenCV's dnn_superres since OpenCV 5.1"),
    ".glsl": Format("glsl", "mpv, and FFmpeg's libplacebo, as a user shader", True),
    ".html": Format("page", "browsers: a page that upscales the visitor's pictures and videos"),
}


def format_of(path: Path) -> Format:
    """Return the format that a file's ending asks for.

    Args:
        path: The file to be written.

    Returns:
        One of `FORMATS`.

    Raises:
        ValueError: There is no such format; the message lists those that there are.
    """
    fitting = [ending for ending in FORMATS if path.name.lower().endswith(ending)]
    if not fitting:
        raise ValueError(
            f"`-o` (={path}) must end in {' or '.join(FORMATS)}: the ending chooses the format"
        )
    return FORMATS[max(fitting, key=len)]  # .opencv.onnx is one of its own
