"""How the results of a command are named: their ending, folder and format."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from espcn.io.containers import CONTAINERS, is_video
from espcn.io.writing import FORMATS
from espcn.upscaling.size import ENDINGS

_RESULT_STEM = re.compile(rf"(.+){ENDINGS.pattern}")


@dataclass(frozen=True)
class Naming:
    """How results are named.

    Args:
        ending: The ending of the results' names, before the dot.
        output: The output folder or, for a single file, the result's path; None puts results
            beside their sources.
        kind: The format of the results, as a file suffix such as `png`; it applies to pictures if
            it is a picture format, and to videos if it is a video format. None keeps the sources'
            format.
        stills: Results are pictures, even for videos, by default PNG.

    Raises:
        ValueError: `kind` can't be written, or `ending` can't be part of a name.
    """

    ending: str
    output: str | None = None
    kind: str | None = None
    stills: bool = False

    def __post_init__(self) -> None:
        if "/" in self.ending or os.sep in self.ending or "\0" in self.ending:
            raise ValueError(f"`--suffix` (={self.ending}) must be part of a file name: use _large")
        if self.suffix is not None and not is_writable(Path(f"a{self.suffix}")):
            known = " ".join(one.removeprefix(".") for one in [*FORMATS, *CONTAINERS])
            raise ValueError(f"`--format` (={self.kind}) must be one of {known}")

    @property
    def suffix(self) -> str | None:
        """The suffix of `kind`, with its dot; None keeps the sources'."""
        if self.kind is None and not self.stills:
            return None
        return f".{(self.kind or 'png').lower().removeprefix('.')}"

    def accepts(self, source: Path, suffix: str) -> bool:
        """Return whether a suffix suits the result of a source, which is a picture or a video.

        Args:
            source: The source.
            suffix: The suffix, with its dot.

        Returns:
            Whether it does.
        """
        return (is_video(source) and not self.stills) == (suffix in CONTAINERS)

    def target(self, source: Path, place: Path) -> Path:
        """Return where the result of a source is written, unless `output` names the file.

        Args:
            source: The source.
            place: Its path relative to the input folder.

        Returns:
            The path.
        """
        suffix = self.suffix
        moves = not self.stills and _animation(source)
        if moves:  # and keeps its format, whatever its name says and others become
            suffix = source.suffix if source.suffix.lower() == moves else moves
        elif suffix is None or not self.accepts(source, suffix):
            instead = ".mkv" if is_video(source) else ".png"
            suffix = source.suffix if is_writable(source) else instead
        name = f"{source.stem}{self.ending}{suffix}"
        beside = self.output is None
        return source.with_name(name) if beside else Path(self.output or "") / place.with_name(name)

    def names_file(self, sources: Sequence[Path], folder: str | None) -> bool:
        """Return whether `output` names a file rather than a folder.

        Args:
            sources: The files to upscale.
            folder: A folder among the inputs, if any.

        Returns:
            Whether it does.

        Raises:
            ValueError: It is empty, a file for several results, or has an unknown suffix or that of
                another kind than the animation's.
        """
        if self.output is None:
            return False
        if not self.output:
            raise ValueError(
                "`-o` must name a folder or, for a single file, the result; it is empty"
            )
        path = Path(self.output)
        if path.is_dir() or self.output.endswith(("/", os.sep)):
            return False
        moves = _animation(sources[0]) if len(sources) == 1 and not self.stills else None
        known = is_writable(path) or (moves == ".gif" and path.suffix.lower() == ".gif")
        if known and (len(sources) > 1 or folder is not None):
            why = "for several files" if folder is None else f"for a folder, {folder}"
            instead = f"-o {path.with_suffix('')}/ --format {path.suffix.removeprefix('.')}"
            raise ValueError(
                f"`-o` (={self.output}) must be a folder and not a file {why}: use {instead}"
            )
        if path.suffix and len(sources) == 1 and folder is None and not known:
            raise ValueError(
                f"`-o` (={self.output}) must end in {' '.join([*FORMATS, *CONTAINERS])}, or in / "
                "to name a folder"
            )
        if known and moves is not None and path.suffix.lower() != moves:
            raise ValueError(
                f"`-o` (={self.output}) must end in {moves}, as {sources[0]} is an animation"
            )
        if known and self.kind is not None:
            raise ValueError(
                f"`--format` (={self.kind}) must be left out where -o (={self.output}) names the "
                "file itself"
            )
        return known

    def is_result(self, place: Path, sources: set[Path]) -> bool:
        """Return whether a file is named like a result of one of the sources (without suffixes).

        It may be next to its source, or at the same place within a folder of results.

        Args:
            place: The file's path relative to the input folder.
            sources: Those of all inputs, without suffixes.

        Returns:
            Whether it is.
        """
        match = _RESULT_STEM.fullmatch(place.stem)
        names = [match[1]] if match is not None else []
        named = place.stem.removesuffix(self.ending)
        if named not in ("", place.stem):
            names.append(named)
        folders = place.parent.parts
        return any(
            Path(*folders[outer:], name) in sources
            for name in names
            for outer in range(len(folders) + 1)
        )


def is_writable(path: Path) -> bool:
    """Return whether a file's suffix names a format that can be written.

    Args:
        path: The file, which need not exist.

    Returns:
        Whether it does.
    """
    return path.suffix.lower() in FORMATS or path.suffix.lower() in CONTAINERS


def _animation(source: Path) -> str | None:
    """Return the suffix of an animation's format; None for anything else, such as a still GIF."""
    from espcn.io.signatures import is_animation, picture_suffix

    try:
        return picture_suffix(source) if not is_video(source) and is_animation(source) else None
    except OSError:  # which opening it says better
        return None
