"""A file to upscale and its result, and detection of changed files."""

from dataclasses import dataclass, field
from pathlib import Path

from espcn.io.containers import is_video


@dataclass(frozen=True)
class Job:
    """A file to upscale and its target.

    Attributes:
        source: The picture or video.
        target: The file to write.
        existing: The `stamp` of the target when this was planned.
    """

    source: Path
    target: Path
    existing: tuple[int, int] | None = field(default=None, compare=False)

    @property
    def is_video(self) -> bool:
        """Whether the source is a video, judging by its suffix."""
        return is_video(self.source)


def stamp(path: Path) -> tuple[int, int] | None:
    """Return the file's size and modification time, to detect changes.

    Args:
        path: The file.

    Returns:
        Its size in bytes and modification time in ns; None if it does not exist or is not
        accessible.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
