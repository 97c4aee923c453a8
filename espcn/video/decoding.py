"""Read a video: its frames, the packets of its other streams, and its damage."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import av

from espcn.network.strengths import Compression
from espcn.video.compression import VideoCompression
from espcn.video.frames import frame_rate


@dataclass
class Seen:
    """Findings while a video is read.

    Attributes:
        compression: Its current compression.
        damaged: Number of damaged frames.
        missing: Number of damaged packets of other streams.
        end: The end of the last packet of any stream, in seconds.
        error: Why reading stopped before the end.
    """

    compression: VideoCompression
    damaged: int = 0
    missing: int = 0
    end: float = 0.0
    error: str = ""


class Decoded(NamedTuple):
    """A frame and its compression.

    Attributes:
        frame: PyAV's frame.
        compression: The compression at this frame.
    """

    frame: Any
    compression: Compression


def open_video(source: Path) -> Any:
    """Open a video.

    Args:
        source: The file.

    Returns:
        PyAV's container.

    Raises:
        ValueError: It is not a complete video.
    """
    try:
        return av.open(url(source), metadata_errors="replace")
    except av.FFmpegError as error:
        raise ValueError(
            f"{source} is not a complete video ({in_words(error)}): provide the whole file"
        ) from error


def moving_stream(incoming: Any, source: Path) -> Any:
    """Return the stream to upscale: the first video stream that is not a cover picture.

    Args:
        incoming: PyAV's container.
        source: The file, for messages.

    Returns:
        PyAV's stream.

    Raises:
        ValueError: There is none.
    """
    moving = [s for s in incoming.streams.video if not s.disposition & s.disposition.attached_pic]
    if not moving:
        raise ValueError(f"{source} has no video stream: nothing to upscale")
    moving[0].thread_type = "AUTO"
    return moving[0]


def read_video(incoming: Any, video: Any, seen: Seen) -> Iterator[Any]:
    """Read a video as far as possible.

    Args:
        incoming: PyAV's container.
        video: The stream to decode.
        seen: Receives the findings.

    Yields:
        Decoded frames, and the packets of all other streams, in file order.
    """
    compression = seen.compression
    began = late = None

    def decoded(frame: Any) -> Decoded:
        nonlocal late
        if incoming.format.name == "avi":
            # All it says is when packets are decoded. Frames are later by what the decoder holds.
            if late is None and frame.dts is not None:
                late = frame.dts - began
            frame.pts = None if frame.dts is None else frame.dts - late
        return Decoded(frame, compression())

    packets = incoming.demux()
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.FFmpegError as error:
            seen.error = in_words(error)
            yield from map(decoded, _rest(video))
            return
        if packet.pts is not None:
            seen.end = max(seen.end, float((packet.pts + packet.duration) * packet.time_base))
        if packet.stream.index != video.index:  # `stream_index` is 0 in empty packets
            if packet.size:  # each stream ends with an empty packet
                yield packet
            continue
        if not packet.size and packet.dts is not None:  # Theora repeats a frame so
            continue
        began = packet.dts if began is None else began
        compression.see_packet(packet)
        try:
            frames = packet.decode()
        except av.FFmpegError:
            seen.damaged += 1
            continue
        for frame in frames:
            seen.damaged += bool(frame.is_corrupt)
            compression.see_frame(frame)
            yield decoded(frame)


def until_frame(pieces: Iterator[Any]) -> list[Any]:
    """Return everything up to the first frame, which determines the layout.

    Args:
        pieces: The items from `read_video`.

    Returns:
        Packets, then a frame; nothing if there is no frame.
    """
    head = []
    for piece in pieces:
        head.append(piece)
        if isinstance(piece, Decoded):
            return head
    return []


def frame_count(incoming: Any, video: Any) -> int | None:
    """Return the number of frames of a video.

    Args:
        incoming: PyAV's container.
        video: The stream.

    Returns:
        Their number, estimated if the file does not state it; None if nothing is known.
    """
    if video.frames:
        return video.frames
    duration = incoming.duration
    return round(frame_rate(video) * duration / 1_000_000) if duration else None


def url(path: Path) -> str:
    """Return a file's URL, so that FFmpeg does not mistake part of its name for a protocol.

    Args:
        path: The file.

    Returns:
        Text like "file:a.mkv".
    """
    return f"file:{path}"


def in_words(error: av.FFmpegError) -> str:
    """Return FFmpeg's description of an error.

    Args:
        error: The error.

    Returns:
        The description, without numbers.
    """
    return error.strerror or type(error).__name__


def _rest(video: Any) -> Iterator[Any]:
    """Flush the decoder and yield its remaining frames."""
    try:
        for frame in video.codec_context.decode(None):
            frame.time_base = video.time_base  # flushed frames have none of their own
            yield frame
    except av.FFmpegError:
        return
