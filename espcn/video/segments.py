"""Segments of a video that is being written, kept until it is complete, so that it can resume.

An encoder's state can't be saved. Each segment therefore has its own encoder, even without an
interruption, and its packets are kept: a resumed video has the same packets.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from espcn.io.atomic import make_folder, sync_folder

if TYPE_CHECKING:  # PyAV: only when there is a video to go on with
    import av

# Frames that one encoder makes; x264 and x265 would begin anew there by themselves. With 50, files
# would be 4 to 6 % larger.
SEGMENT = 250
_LENGTH = 8  # bytes at the end of a segment's file that say how long its list of packets is


@dataclass(frozen=True)
class Segments:
    """The finished segments of a video, each in its own file.

    A file contains the packets one after another, then a JSON list of them with a digest.

    Attributes:
        folder: Their folder, for this video only; None keeps nothing.
        made_from: The source and settings, as plain values; segments with other values are not
            used.
    """

    folder: Path | None = None
    made_from: Mapping[str, Any] = field(default_factory=dict)

    def also_from(self, **made_from: Any) -> "Segments":
        """Return the same segments with further values added to `made_from`.

        Args:
            **made_from: Plain values by name.

        Returns:
            The segments.
        """
        return replace(self, made_from={**self.made_from, **made_from})

    def count(self) -> int:
        """Return the number of finished segments, counted from the first; delete all others.

        Returns:
            Their number; each is complete and matches `made_from`.
        """
        if self.folder is None or not self.folder.is_dir():
            return 0
        number = 0
        while _whole(self._path(number), self._digest):
            number += 1
        kept = {self._path(done).name for done in range(number)}
        for path in list(self.folder.iterdir()):
            if path.name not in kept:
                with suppress(OSError):
                    path.unlink()
        return number

    def read(self, number: int) -> Iterator["av.Packet"]:
        """Read the packets of a finished segment.

        Args:
            number: Its number, from 0.

        Yields:
            The packets as they came from the encoder.
        """
        import av

        with self._path(number).open("rb") as file:
            content = _content(file)
            file.seek(0)
            for size, pts, dts, duration, is_key, base in content["packets"]:
                packet = av.Packet(file.read(size))
                packet.time_base = Fraction(base)
                packet.pts, packet.dts, packet.duration = pts, dts, duration
                packet.is_keyframe = is_key
                yield packet

    def write(self, number: int) -> "SegmentWriter":
        """Begin a segment.

        Args:
            number: Its number, from 0.

        Returns:
            A writer for its packets.
        """
        return SegmentWriter(None if self.folder is None else self._path(number), self._digest)

    def remove(self) -> None:
        """Delete all of them."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _digest(self) -> str:
        text = json.dumps(self.made_from, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def _path(self, number: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{number:06}"


class SegmentWriter:
    """Writes the packets of a segment as they come from the encoder.

    If a segment can't be kept, as on a full disk, it is dropped: the video itself is written
    elsewhere.

    Args:
        path: The segment's file, which appears once it is finished; None keeps nothing.
        made_from: The digest of `Segments.made_from`.
    """

    def __init__(self, path: Path | None, made_from: str) -> None:
        self._path, self._made_from = path, made_from
        self._packets: list[list[Any]] = []
        self._digest = hashlib.sha256()
        self._file: BinaryIO | None = None
        if path is not None:
            with suppress(OSError):
                make_folder(path.parent)
                self._file = self._part.open("wb")

    def add(self, packet: "av.Packet") -> None:
        """Keep a packet.

        Args:
            packet: The packet, before it is added to the video, which changes its timestamps.
        """
        if self._file is None:
            return
        data, base = bytes(packet), str(packet.time_base)
        row = [len(data), packet.pts, packet.dts, packet.duration, packet.is_keyframe, base]
        self._packets.append(row)
        self._digest.update(data)
        try:
            self._file.write(data)
        except OSError:
            self.discard()

    def finish(self) -> None:
        """Sync the segment to the disk, then rename it to its final name."""
        if self._file is None:
            return
        content = {"packets": self._packets, "made_from": self._made_from}
        self._digest.update(json.dumps(content).encode())
        listing = json.dumps(content | {"sha256": self._digest.hexdigest()}).encode()
        try:
            self._file.write(listing + len(listing).to_bytes(_LENGTH, "little"))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            assert self._path is not None
            os.replace(self._part, self._path)
            sync_folder(self._path.parent)
        except OSError:
            self.discard()

    def discard(self) -> None:
        """Delete the unfinished segment."""
        if self._file is None:
            return
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._part.unlink()
        self._file = None

    @property
    def _part(self) -> Path:
        assert self._path is not None
        return self._path.with_suffix(".part")


def _content(file: BinaryIO) -> dict[str, Any]:
    """Read the list at the end of a segment's file."""
    end = file.seek(-_LENGTH, os.SEEK_END)
    length = int.from_bytes(file.read(_LENGTH), "little")
    file.seek(end - length)  # ValueError below 0
    return json.loads(file.read(length))


def _whole(path: Path, made_from: str) -> bool:
    """Return whether a segment's file exists, is undamaged and matches `made_from`."""
    try:
        with path.open("rb") as file:
            content = _content(file)
            expected = content.pop("sha256")
            digest, left = hashlib.sha256(), sum(row[0] for row in content["packets"])
            file.seek(0)
            while left:
                piece = file.read(min(left, 2**20))
                if not piece:
                    return False
                digest.update(piece)
                left -= len(piece)
        digest.update(json.dumps(content).encode())
        return content["made_from"] == made_from and digest.hexdigest() == expected
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False
