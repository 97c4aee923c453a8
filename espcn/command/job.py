"""A file to upscale and its result, and what changes when a file does."""

from dataclasses import dataclass, field
from pathlib import Path

from espcn.io.containers import VIDEO_SUFFIXES


@dataclass(frozen=True)
class Job:
    """A file to upscale and its target.

    Attributes:
        source: The picture or video.
        target: The file to write.
        existing: What stood there when this was planned, as `stamp` tells.
    """

    source: Path
    target: Path
    existing: tuple[int, int] | None = field(default=None, compare=False)

    @property
    def is_video(self) -> bool:
        """Whether the source is a video, judging by its suffix."""
        return self.source.suffix.lower() in VIDEO_SUFFIXES


def stamp(path: Path) -> tuple[int, int] | None:
    """Return what changes when a file does.

    Args:
        path: The file.

    Returns:
        Its length in bytes and the time of its last change in ns; None if it does not exist, or
        can't.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
