"""Upscale a video frame by frame; copy its sound, subtitles and chapters.

Reading, upscaling and writing run in separate threads. A resumed video reads the source from its
start, which is fast, but does not upscale or encode finished segments again.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av

from espcn.io.atomic import atomic_write
from espcn.io.containers import CONTAINER_OPTIONS, CONTAINERS
from espcn.io.prefetch import prefetch
from espcn.network.strengths import strength
from espcn.upscaling.enlargement import Enlargement, enlargement
from espcn.upscaling.remarks import Remarks
from espcn.upscaling.size import Size
from espcn.upscaling.upscaler import Upscaler
from espcn.video.compression import VideoCompression
from espcn.video.decoding import (
    Seen,
    frame_count,
    in_words,
    moving_stream,
    open_video,
    read_video,
    until_frame,
    url,
)
from espcn.video.encoder import SegmentedEncoder
from espcn.video.encoding import Encoding, add_video_stream
from espcn.video.frames import CENTRED, planar, upscale_frame
from espcn.video.segments import SEGMENT, Segments
from espcn.video.streams import copy_other_streams

MAX_FRAME_PIXELS = 2**27  # of an upscaled frame, about the limit of the highest level of H.264
# By how much a complete video may end before its stated duration: seconds, or frames if these take
# longer, as packets of WMV and FLV don't state how long the last frame is shown.
EARLY, EARLY_FRAMES = 0.5, 1.5
FROM_ZERO = ("matroska,webm", "flv")  # their duration begins at 0, that of others when they do

Progress = Callable[[int, int | None], None]


def upscale_video(
    upscaler: Upscaler,
    source: str | Path,
    target: str | Path,
    size: Size | None = None,
    encoding: Encoding | None = None,
    progress: Progress = lambda done, total: None,
    segments: Segments | None = None,
) -> Remarks:
    """Upscale a video, with its sound, subtitles and metadata.

    The target appears only once it is complete. It is the same file whether it is written in one go
    or resumed from finished segments.

    Args:
        upscaler: The upscaler for its frames. Unless it was made with a compression, that of the
            video is detected and its changes are followed.
        source: The video.
        target: The file to write, whose suffix names its container.
        size: The size of the result as displayed, upright; by default the upscaler's factor.
        encoding: How frames are encoded.
        progress: Called with the number of finished frames and of all frames, if known: at the
            start, then after each frame; an exception raised by it aborts the work.
        segments: Where finished segments are kept until the target is complete, with its source and
            settings; by default none are kept.

    Returns:
        What was damaged, cut off or could not be kept, and the detected compression.

    Raises:
        LargeEnough: `source` is already as large as `size`.
        ValueError: `source` is not a video, or the target's container does not support the result.
        OSError: The target can't be written.
    """
    source, target = Path(source), Path(target)
    suffix = target.suffix.lower()
    container, variant = CONTAINERS.get(suffix), CONTAINER_OPTIONS.get(suffix)
    if container is None:
        raise ValueError(f"{target} must end in one of {' '.join(CONTAINERS)}: name it with -o")
    with open_video(source) as incoming:
        video = moving_stream(incoming, source)
        total = frame_count(incoming, video)
        seen, remarks = Seen(VideoCompression(video, upscaler.compression)), Remarks()
        with closing(prefetch(read_video(incoming, video, seen), 8)) as pieces:
            head = until_frame(pieces)
            if not head:
                reason = f" ({seen.error})" if seen.error else ""
                raise ValueError(f"{source} has no frame that can be read{reason}")
            first = head[-1].frame
            encoding, kind = encoding or Encoding(), planar(first.format)
            encoding.check(container, kind)
            codec, options = encoding.within(container, kind)
            wanted = _enlargement(upscaler, size, first, source)
            size_in_pixels = (wanted.width, wanted.height)
            made_by = [
                container, size_in_pixels, codec, options, upscaler.engine.settings,
                av.library_versions, SEGMENT,
            ]  # fmt: skip
            add_stream = partial(
                add_video_stream, video=video, first=first, size=size_in_pixels, codec=codec,
                options=options,
            )  # fmt: skip
            kept = (segments or Segments()).also_from(video=made_by)
            finished = kept.count()
            done = finished * SEGMENT
            progress(done, total)
            flow = prefetch(_upscaled(wanted, source, video, head, pieces, done), 4)
            with atomic_write(target) as part, closing(flow):
                try:
                    with av.open(url(part), "w", container, container_options=variant) as outgoing:
                        stream = add_stream(outgoing, remarks=remarks)
                        others = copy_other_streams(outgoing, incoming, video, head, remarks)
                        counted = first.pts is None

                        def again() -> Any:
                            spare = av.open(os.devnull, "w", container)  # lives with its stream
                            return add_stream(spare, remarks=Remarks())

                        encoder = SegmentedEncoder(stream, again, kept, finished)
                        with closing(encoder):
                            for done in _write(outgoing, encoder, others, flow, counted, seen):
                                progress(max(done, finished * SEGMENT), total)
                except av.FFmpegError as error:
                    words = " ".join([codec, *(f"{k}={v}" for k, v in options.items())])
                    raise OSError(
                        f"{target} could not be written by {words}: {in_words(error)}"
                    ) from error
        kept.remove()
        _note_losses(incoming, seen, done, remarks)
        remarks.compression = _found(seen.compression, wanted.steps[0])
        return remarks


def _found(compression: VideoCompression, upscaler: Upscaler) -> str:
    """Describe how the video was compressed, and which weights were used."""
    if upscaler.is_own:
        return compression.summary()
    first, last = (str(strength(upscaler.r, one)) for one in compression.extremes())
    weights = first if first == last else f"{first} to {last.rpartition(' ')[2]}"
    return f"{compression.summary()}, {weights}"


def _enlargement(upscaler: Upscaler, size: Size | None, first: Any, source: Path) -> Enlargement:
    """Plan the upscaling of the frames, which are stored rotated in an upright video."""
    turned = first.rotation % 180 != 0
    shown = (first.height, first.width) if turned else (first.width, first.height)
    wanted = enlargement(upscaler, size, *shown)
    if wanted.width * wanted.height > MAX_FRAME_PIXELS:
        raise ValueError(
            f"{source} would be {wanted.width} x {wanted.height} pixels, too large for a video: "
            "choose a smaller factor or size"
        )
    return replace(wanted, width=wanted.height, height=wanted.width) if turned else wanted


def _upscaled(
    wanted: Enlargement, source: Path, video: Any, head: list[Any], pieces: Iterator[Any],
    finished: int,
) -> Iterator[Any]:  # fmt: skip
    """Upscale the unfinished frames, and pass on the packets between them."""
    seen = 0
    width, height = head[-1].frame.width, head[-1].frame.height
    centred = video.codec_context.name in CENTRED
    for part in (head, pieces):
        for piece in part:
            if isinstance(piece, av.Packet):
                yield piece
                continue
            frame, compression = piece
            if (frame.width, frame.height) != (width, height):
                raise ValueError(
                    f"{source} changes from {width} x {height} to {frame.width} x {frame.height} "
                    "pixels: split it there"
                )
            seen += 1
            if seen <= finished:
                yield frame
            else:
                yield _enlarged(wanted.suited_to(compression), frame, centred)


def _enlarged(wanted: Enlargement, frame: Any, centred: bool) -> Any:
    """Upscale a frame step by step, and reduce the result."""
    *before, last = wanted.steps
    for step in before:
        frame, centred = upscale_frame(step, frame, centred), False
    return upscale_frame(last, frame, centred, (wanted.width, wanted.height))


def _write(
    outgoing: Any, encoder: SegmentedEncoder, others: dict[int, Any], flow: Iterator[Any],
    counted: bool, seen: Seen,
) -> Iterator[int]:  # fmt: skip
    """Encode the frames and copy the packets; yield the number of finished frames after each.

    With `counted`, frames follow one another at the stream's rate, as in raw streams. A frame
    without a timestamp follows its predecessor in the same way.
    """
    stream, last, base = encoder.stream, None, encoder.stream.codec_context.time_base
    time = Fraction(0)
    for piece in flow:
        if isinstance(piece, av.Packet):
            if piece.stream_index in others:
                piece.stream = others[piece.stream_index]
                try:
                    outgoing.mux(piece)
                except (av.InvalidDataError, av.ArgumentError):  # a full disk is reported
                    seen.missing += 1
            continue
        if counted:
            time = encoder.done / stream.average_rate
        else:
            lost = piece.pts is None
            time = time + 1 / stream.average_rate if lost else piece.pts * piece.time_base
        piece.duration = 0 if counted else round(piece.duration * piece.time_base / base)
        piece.time_base, piece.pts = base, round(time / base)
        if last is not None and piece.pts <= last:
            piece.pts = last + 1  # encoders require increasing timestamps
        last = piece.pts
        outgoing.mux(encoder.encode(piece))
        yield encoder.done
    outgoing.mux(encoder.rest())


def _note_losses(incoming: Any, seen: Seen, done: int, remarks: Remarks) -> None:
    """Note what could not be read of the source."""
    if seen.damaged:
        frames = "1 damaged frame is" if seen.damaged == 1 else f"{seen.damaged} damaged frames are"
        remarks.damaged.append(f"{frames} incomplete or missing")
    if seen.missing:
        packets, verb = ("packet", "is") if seen.missing == 1 else ("packets", "are")
        remarks.damaged.append(
            f"{seen.missing} damaged {packets} of sound or subtitles {verb} missing"
        )
    start, length = (incoming.start_time or 0) / 1e6, (incoming.duration or 0) / 1e6
    claimed = length if incoming.format.name in FROM_ZERO else start + length
    interval = (seen.end - start) / max(done - 1, 1)
    if seen.error or claimed - seen.end > max(EARLY, EARLY_FRAMES * interval):
        where = f"after {done} frames, {seen.end:.1f} of {claimed:.1f} s"
        remarks.damaged.append(
            f"the source is cut off {where}{': ' if seen.error else ''}{seen.error}"
        )
