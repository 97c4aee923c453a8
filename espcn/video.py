"""A video, enlarged frame by frame, with everything that comes with it.

The planes of a frame go straight to the upscaler: luma through the network, chroma bicubic, no RGB
on the way. Reading, the network and writing each run in a thread of their own. What isn't picture
is copied as it is: sound, subtitles, chapters.
"""

import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np

from espcn.ahead import ahead
from espcn.files import whole_file
from espcn.formats import CONTAINERS
from espcn.upscaler import Upscaler

MOST_PIXELS = 2**27  # of an enlarged frame: about what the last level of H.264 has room for
EARLY = 0.5  # seconds that a whole video may end before it says

_OF_THE_CONTAINER = ("major_brand", "minor_version", "compatible_brands", "encoder")

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Encoding:
    """How frames are written: the encoder by FFmpeg's name, its quality and its speed.

    `crf` is the constant rate factor, the lower the better, `preset` the encoder's own word.
    Raises a ValueError if there is no such encoder.
    """

    codec: str = "libx264"
    crf: float = 18
    preset: str = "veryfast"

    def __post_init__(self) -> None:
        try:
            av.Codec(self.codec, "w")
        except ValueError as error:
            ours = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "mpeg4")
            there = ", ".join(name for name in ours if name in av.codecs_available)
            raise ValueError(
                f"`codec` (={self.codec}) must be an encoder that is there: take one of {there}"
            ) from error


@dataclass
class Seen:
    """What was met with while a video was read."""

    damaged: int = 0
    end: float = 0.0  # seconds: where the last packet of any stream ends
    error: str = ""
    remarks: list[str] = field(default_factory=list)


def upscale_video(
    upscaler: Upscaler,
    source: Path,
    target: Path,
    encoding: Encoding | None = None,
    progress: Progress = lambda done, total: None,
) -> list[str]:
    """Enlarge a video; give a remark for each thing that was damaged, cut off or left out.

    `progress` is called after each frame with how many are done and how many there should be; what
    it raises ends the work. The target appears once it is whole. Raises a ValueError for what isn't
    a video or can't be kept in the target, an OSError for what can't be written.
    """
    encoding = Encoding() if encoding is None else encoding
    if target.suffix.lower() not in CONTAINERS:
        raise ValueError(f"{target} must end in one of {' '.join(CONTAINERS)}: name it with -o")
    with _opened(source) as incoming:
        video = _video_of(incoming, source)
        total = video.frames or _guessed_frames(incoming, video)
        seen = Seen()
        with closing(ahead(_read(incoming, video, seen), 8)) as pieces:
            head = _until_frame(pieces)
            if not head:
                reason = f" ({seen.error})" if seen.error else ""
                raise ValueError(f"{source} has no frame that can be read{reason}")
            flow = ahead(_enlarged(upscaler, source, head, pieces), 4)
            with whole_file(target) as part, closing(flow):
                try:
                    with av.open(_url(part), "w", CONTAINERS[target.suffix.lower()]) as outgoing:
                        stream = _add_video(outgoing, video, head[-1], upscaler.r, encoding)
                        others = _add_others(outgoing, incoming, video, target, seen)
                        done = _write(outgoing, stream, others, flow, progress, total)
                except av.FFmpegError as error:
                    words = f"{encoding.codec}, preset {encoding.preset}, crf {encoding.crf:g}"
                    raise OSError(
                        f"{target} could not be written by {words}: {_words(error)}"
                    ) from error
        return seen.remarks + _losses(incoming, seen, done, total)


def enlarge_frame(upscaler: Upscaler, frame: av.VideoFrame) -> av.VideoFrame:
    """Give a frame r times as high and wide, its planes subsampled as they were.

    An odd height or width loses its last row or column, if chroma has half as many.
    """
    kind = planar(frame.format)
    centred = frame.format.name.startswith("yuvj")  # JPEG's chroma lies between two pixels
    if frame.format.name not in (kind, kind.replace("yuv", "yuvj")):
        frame = frame.reformat(format=kind)
    width, height = _size(upscaler.r * frame.width, upscaler.r * frame.height, kind)
    large = av.VideoFrame(width, height, kind)
    bits = large.format.components[0].bits
    across = large.format.chroma_width(2) == 1 and not centred
    for index, (small, plane) in enumerate(zip(frame.planes, large.planes, strict=True)):
        samples, enlarged = _array(small, bits), _array(plane, bits)
        if index == 0:
            upscaler.luma(samples, bits, enlarged)
        else:
            upscaler.chroma(samples, bits, enlarged, across)
    large.pts, large.time_base, large.duration = frame.pts, frame.time_base, frame.duration
    return large


def planar(kind: av.VideoFormat) -> str:
    """Give the format that a frame is enlarged in: luma and chroma apart, 8 or 10 bits."""
    opaque = [component for component in kind.components if not component.is_alpha]
    depth = "10le" if opaque[0].bits > 8 else ""
    if len(opaque) == 1 and not kind.has_palette:
        return f"gray{depth}"
    halved = (kind.chroma_width(4) == 2, kind.chroma_height(4) == 2)
    way = {(True, True): "420", (True, False): "422"}.get(halved, "444")
    return f"yuv{way}p{depth}"


def _opened(source: Path) -> Any:
    try:
        return av.open(_url(source), metadata_errors="replace")
    except av.FFmpegError as error:
        raise ValueError(
            f"{source} is not a video, or only part of one ({_words(error)}): give it whole"
        ) from error


def _video_of(incoming: Any, source: Path) -> Any:
    """Give the stream that is enlarged: the first that moves."""
    moving = [s for s in incoming.streams.video if not s.disposition & s.disposition.attached_pic]
    if not moving:
        raise ValueError(f"{source} has no video stream: nothing to enlarge")
    moving[0].thread_type = "AUTO"
    return moving[0]


def _read(incoming: Any, video: Any, seen: Seen) -> Iterator[Any]:
    """Give the frames of the video, and the packets of all other streams, as they come."""
    packets = incoming.demux()
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.FFmpegError as error:
            seen.error = _words(error)
            yield from video.codec_context.decode(None)
            return
        if packet.pts is not None:
            seen.end = max(seen.end, float((packet.pts + packet.duration) * packet.time_base))
        if packet.stream.index != video.index:  # `stream_index` is 0 in the empty ones
            if packet.size:  # at the end comes an empty one for each stream
                yield packet
            continue
        try:
            frames = packet.decode()
        except av.FFmpegError:
            seen.damaged += 1
            continue
        for frame in frames:
            seen.damaged += bool(frame.is_corrupt)
            yield frame


def _until_frame(pieces: Iterator[Any]) -> list[Any]:
    """Give all up to the first frame, without which the target can't be laid out; [] if none."""
    head = []
    for piece in pieces:
        head.append(piece)
        if isinstance(piece, av.VideoFrame):
            return head
    return []


def _enlarged(
    upscaler: Upscaler, source: Path, head: list[Any], pieces: Iterator[Any]
) -> Iterator[Any]:
    """Enlarge the frames, and hand on the packets between them."""
    width, height = head[-1].width, head[-1].height
    if width * height * upscaler.r**2 > MOST_PIXELS:
        raise ValueError(
            f"{source} would be {upscaler.r * width} x {upscaler.r * height} pixels, too large for "
            "a video: take a smaller factor with -r"
        )
    for part in (head, pieces):
        for piece in part:
            if isinstance(piece, av.Packet):
                yield piece
                continue
            if (piece.width, piece.height) != (width, height):
                raise ValueError(
                    f"{source} changes from {width} x {height} to {piece.width} x {piece.height} "
                    "pixels on the way: cut it there"
                )
            yield enlarge_frame(upscaler, piece)


def _add_video(outgoing: Any, video: Any, first: Any, r: int, encoding: Encoding) -> Any:
    """Add the enlarged stream, told what the original says of itself."""
    kind = planar(first.format)
    codec = av.Codec(encoding.codec, "w")
    if kind not in [known.name for known in codec.video_formats or []]:
        raise ValueError(f"`codec` (={encoding.codec}) must hold {kind}: take libx264 or libx265")
    rate = video.average_rate or video.guessed_rate
    try:
        stream = outgoing.add_stream(encoding.codec, rate=rate)
    except ValueError as error:
        raise ValueError(
            f"`codec` (={encoding.codec}) must be one that {outgoing.format.name} can hold: take "
            "another, or name an .mkv file with -o"
        ) from error
    context = stream.codec_context
    context.width, context.height = _size(r * first.width, r * first.height, kind)
    context.pix_fmt = kind
    context.time_base = stream.time_base = video.time_base
    context.sample_aspect_ratio = video.sample_aspect_ratio or 0
    context.options = {"crf": f"{encoding.crf:g}", "preset": encoding.preset}
    context.color_range = first.color_range
    context.colorspace, context.color_primaries = first.colorspace, first.color_primaries
    context.color_trc = first.color_trc
    stream.metadata.update(video.metadata)
    matrix = first.side_data.get("DISPLAYMATRIX")
    if matrix is not None:
        stream.set_display_matrix(struct.unpack("9i", bytes(matrix)))
    return stream


def _add_others(
    outgoing: Any, incoming: Any, video: Any, target: Path, seen: Seen
) -> dict[int, Any]:
    """Add all other streams, to be copied: by their index in the source. What can't be is named."""
    own = {key: text for key, text in incoming.metadata.items() if key not in _OF_THE_CONTAINER}
    outgoing.metadata.update(own)
    outgoing.set_chapters(incoming.chapters())
    copies = {}
    for stream in incoming.streams:
        if stream is video:
            continue
        codec = getattr(stream, "codec_context", None)
        name = codec.name if codec else ""
        try:
            if stream.type == "attachment" and outgoing.format.name == "matroska":
                outgoing.add_attachment(stream.name, stream.mimetype, stream.data)
                continue
            if name not in outgoing.supported_codecs:
                raise ValueError(name)
            copy = copies[stream.index] = outgoing.add_stream_from_template(stream)
            copy.metadata.update(stream.metadata)
            copy.disposition = stream.disposition
        except (av.FFmpegError, ValueError, AttributeError, TypeError):
            seen.remarks.append(
                f"stream {stream.index} ({' '.join([stream.type, name]).strip()}) is left out: "
                f"{target.suffix} can't hold it, .mkv may"
            )
    return copies


def _write(
    outgoing: Any, stream: Any, others: dict[int, Any], flow: Iterator[Any], progress: Progress,
    total: int | None,
) -> int:  # fmt: skip
    """Encode the frames, copy the packets; give how many frames there were."""
    done, last = 0, None
    for piece in flow:
        if isinstance(piece, av.Packet):
            if piece.stream_index in others:
                piece.stream = others[piece.stream_index]
                outgoing.mux(piece)
            continue
        if piece.pts is None:  # as in a bare H.264 stream
            piece.pts = (
                0 if last is None else last + round(1 / stream.average_rate / stream.time_base)
            )
        if last is not None and piece.pts <= last:
            piece.pts = last + 1  # no encoder takes two frames at a time
        last = piece.pts
        outgoing.mux(stream.encode(piece))
        done += 1
        progress(done, total)
    outgoing.mux(stream.encode(None))
    return done


def _losses(incoming: Any, seen: Seen, done: int, total: int | None) -> list[str]:
    """Say what of the source could not be read."""
    losses = []
    if seen.damaged:
        losses.append(f"{seen.damaged} frames were damaged, and kept as far as they could be read")
    claimed = ((incoming.start_time or 0) + (incoming.duration or 0)) / 1e6
    if seen.error or claimed - seen.end > EARLY:
        where = f" after {done} frames, {seen.end:.1f} of {claimed:.1f} s"
        losses.append(f"it was cut off{where}{': ' if seen.error else ''}{seen.error}")
    return losses


def _guessed_frames(incoming: Any, video: Any) -> int | None:
    rate, duration = video.average_rate, incoming.duration
    return round(rate * duration / 1_000_000) if rate and duration else None


def _size(width: int, height: int, kind: str) -> tuple[int, int]:
    """Give the size of a frame whose chroma has whole samples."""
    halved = (width - width % 2, height - height % 2)
    return (
        halved[0] if "420" in kind or "422" in kind else width,
        halved[1] if "420" in kind else height,
    )


def _array(plane: Any, bits: int) -> np.ndarray:
    """Give a plane's samples as an array `(height, width)` that is the plane."""
    kind = np.dtype("u1" if bits == 8 else "<u2")
    rows = np.frombuffer(plane, kind).reshape(-1, plane.line_size // kind.itemsize)
    return rows[: plane.height, : plane.width]


def _url(path: Path) -> str:
    """Name a file so that FFmpeg takes no part of its name for a protocol."""
    return f"file:{path}"


def _words(error: av.FFmpegError) -> str:
    return error.strerror or type(error).__name__
