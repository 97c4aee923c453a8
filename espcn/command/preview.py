"""A preview: the most detailed region of a picture or video, bicubic and by the network.

It takes seconds, while the whole may take hours.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyvips
from PIL import Image, ImageDraw, ImageFont
from PIL.Image import Resampling

from espcn.io.atomic import atomic_write
from espcn.io.containers import is_video
from espcn.io.reading import open_picture
from espcn.io.signatures import is_animation
from espcn.io.writing import FORMATS, LOSSY, QUALITY
from espcn.network.strengths import NONE, Compression
from espcn.upscaling.animation import rgba
from espcn.upscaling.compression import picture_compression
from espcn.upscaling.enlargement import enlargement
from espcn.upscaling.size import Size
from espcn.upscaling.upscaler import Upscaler
from espcn.video.compression import WINDOW, VideoCompression
from espcn.video.decoding import moving_stream, open_video

SIDE = 480  # pixels of each of the two details, upscaled
MARGIN = 16  # low-resolution pixels around the detail: more than its upscaled pixels depend on
GAP, TEXT = 8, 18  # pixels between what is shown, and of the text's height
WHITE = (255, 255, 255)
LAPLACE = [[0, -1, 0], [-1, 4, -1], [0, -1, 0]]


def save_preview(
    upscaler: Upscaler,
    source: Path,
    target: Path,
    size: Size | None = None,
    quality: int = QUALITY,
) -> str:
    """Write a picture of a detail, upscaled bicubically and by the network, side by side.

    Args:
        upscaler: The upscaler.
        source: A picture or a video, from which a frame one third of the way through is taken.
        target: The picture to write.
        size: The size that the whole result would have; by default the upscaler's factor.
        quality: Quality of JPEG, WebP and AVIF, 1 to 100.

    Returns:
        How the source was compressed and which weights were used, in a phrase.

    Raises:
        LargeEnough: `source` is already as large as `size`.
        ValueError: `source` can't be read.
        OSError: The target can't be written.
    """
    opened, found = _still(source, upscaler.compression)
    picture = opened()
    wanted = enlargement(upscaler, size, picture.width, picture.height).suited_to(found)
    times = wanted.width / picture.width
    side = max(1, round(SIDE / times))
    width, height = min(side, picture.width), min(side, picture.height)
    left, top = most_detailed(picture, width, height)
    before, above = min(left, MARGIN), min(top, MARGIN)
    behind = min(picture.width - left - width, MARGIN)
    below = min(picture.height - top - height, MARGIN)
    context = opened().crop(
        left - before, top - above, before + width + behind, above + height + below
    )
    small = context.numpy().reshape(context.height, context.width, -1)
    large = small
    for step in wanted.steps:
        large = step(large)
    shown = (round(times * width), round(times * height))
    box = np.array([before, above, before + width, above + height])
    details = {
        "bicubic": _seen(small).resize(shown, Resampling.BICUBIC, tuple(box)),
        "ESPCN": _seen(large).resize(shown, Resampling.LANCZOS, tuple(wanted.r * box)),
    }
    profile = picture.get("icc-profile-data") if picture.get_typeof("icc-profile-data") else b""
    if profile[16:20] != b"RGB ":  # the preview is in RGB
        profile = None
    with atomic_write(target) as part:
        canvas = _side_by_side({f"{name}, {times:.3g} times": d for name, d in details.items()})
        kind = FORMATS[target.suffix.lower()]
        canvas.save(
            part, kind, icc_profile=profile, **({"quality": quality} if kind in LOSSY else {})
        )
    return f"{found}, {wanted.steps[0].strength}"


def most_detailed(picture: pyvips.Image, width: int, height: int) -> tuple[int, int]:
    """Return the position of the region whose pixels differ most from their neighbours.

    Args:
        picture: The picture; it is read once, from top to bottom.
        width: Width of the region in pixels, at most that of the picture.
        height: Height of the region.

    Returns:
        Left and top of the region, to within an eighth of its size.
    """
    plane = picture[1 if picture.bands > 2 else 0].cast("float")
    if picture.bands in (2, 4):  # what is hidden does not count
        plane = plane * picture[picture.bands - 1]
    step = max(1, min(width, height) // 8)
    coarse = plane.conv(pyvips.Image.new_from_array(LAPLACE)).abs().shrink(step, step)
    rows, columns = max(1, height // step), max(1, width // step)
    counts = coarse.numpy().reshape(coarse.height, coarse.width)
    sums = np.pad(counts.astype(np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    within = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns]
    place = np.argmax(within + sums[:-rows, :-columns])
    down, right = np.unravel_index(place, within.shape)
    return (
        min(int(right) * step, picture.width - width),
        min(int(down) * step, picture.height - height),
    )


def _still(
    source: Path, given: Compression | None
) -> tuple[Callable[[], pyvips.Image], Compression]:
    """Return a function that opens a picture or a frame, and its compression."""
    if is_video(source):
        pixels, found = _frame(source, given)
    elif is_animation(source):
        with Image.open(source) as animation:
            pixels, found = np.asarray(rgba(animation)), given or NONE
    else:
        found = given or picture_compression(source)
        return lambda: open_picture(source), found
    return lambda: pyvips.Image.new_from_array(pixels), found


def _frame(source: Path, given: Compression | None) -> tuple[np.ndarray, Compression]:
    """Return a frame as displayed, uint8 RGB, and the video's compression there."""
    with open_video(source) as incoming:
        video = moving_stream(incoming, source)
        seen, begin = VideoCompression(video, given), incoming.start_time or 0
        for moment in (begin + (incoming.duration or 0) // 3, begin):
            if (frame := _frame_after(incoming, video, seen, moment)) is not None:
                upright = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
                return np.ascontiguousarray(upright), replace(seen(), evidence=seen.summary())
    raise ValueError(f"{source} has no frame that can be read")


def _frame_after(incoming: Any, video: Any, seen: VideoCompression, moment: int) -> Any:
    """Return a frame far enough after a moment that its compression is known, or None."""
    last, count = None, 0
    with suppress(av.FFmpegError):  # some files can't be sought in: those are read as they come
        incoming.seek(moment)
    with suppress(av.FFmpegError):
        for packet in incoming.demux(video):
            seen.see_packet(packet)
            with suppress(av.FFmpegError):
                for last in packet.decode():
                    seen.see_frame(last)
                    count += 1
            if count >= WINDOW:
                break
    return last


def _seen(pixels: np.ndarray) -> Image.Image:
    """Return a picture as displayed on white, 8-bit RGB."""
    if pixels.dtype == np.uint16:
        pixels = np.round(pixels / 257).astype(np.uint8)
    picture = Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)
    paper = Image.new("RGBA", picture.size, WHITE)
    return Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")


def _side_by_side(details: dict[str, Image.Image]) -> Image.Image:
    """Return pictures of one size side by side, under their names."""
    width, height = next(iter(details.values())).size
    font = ImageFont.load_default(TEXT)
    column = max(width, *(int(font.getlength(name)) for name in details)) + GAP
    canvas = Image.new("RGB", (len(details) * column + GAP, height + TEXT + 3 * GAP), WHITE)
    pen = ImageDraw.Draw(canvas)
    for number, (name, detail) in enumerate(details.items()):
        pen.text((GAP + number * column, GAP), name, "black", font)
        canvas.paste(detail, (GAP + number * column, TEXT + 2 * GAP))
    return canvas
