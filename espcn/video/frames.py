"""Upscale a video frame plane by plane: luma with the network, chroma bicubically.

Frames are not converted to RGB. RGB frames are converted to YCbCr without chroma subsampling.
"""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation

if TYPE_CHECKING:  # torch: only when there is work to do
    from espcn.upscaling.upscaler import Upscaler

# Codecs whose chroma samples lie midway between two luma columns. In all others, and in what is
# written, they coincide with the left one.
CENTRED = ("mjpeg", "mpeg1video")
ROW_STEP = 16  # of the rows whose detail is measured, which costs a thousandth of upscaling


def upscale_frame(
    upscaler: "Upscaler",
    frame: av.VideoFrame,
    centred: bool = False,
    size: tuple[int, int] | None = None,
) -> av.VideoFrame:
    """Upscale a frame and keep its chroma subsampling.

    Where chroma is subsampled, an odd height or width of the result is reduced by one.

    Args:
        upscaler: The upscaler for its planes.
        frame: The frame.
        centred: Whether its chroma samples lie midway between two luma columns; see `CENTRED`.
        size: Width and height in pixels to which the frame is then reduced by a Lanczos filter.

    Returns:
        A frame r times as high and wide, or of that size.
    """
    kind = planar(frame.format)
    if is_rgb(frame.format):
        frame = frame.reformat(
            format=kind, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
    elif frame.format.name.replace("yuvj", "yuv") != kind:
        frame = frame.reformat(format=kind)
    width, height = even_size(upscaler.r * frame.width, upscaler.r * frame.height, kind)
    target = (width, height) if size is None else even_size(*size, kind)
    large = av.VideoFrame(width, height, kind)
    large.color_range = color_range(frame)
    bits = large.format.components[0].bits
    shift = 0.0
    if large.format.chroma_width(2) == 1:
        # In low-resolution chroma samples. The left luma column of a pair lies 1/4 of a chroma
        # sample to the left of the pair's centre: 1 / (4 r) in the upscaled frame, and 1/4 in
        # the source unless its chroma is centred. What reduces the frame takes chroma for centred:
        # its samples are put where they will then be right.
        shift = -width / (4 * upscaler.r * target[0]) + (0 if centred else 1 / 4)
    for index, (small, plane) in enumerate(zip(frame.planes, large.planes, strict=True)):
        samples, upscaled = _array(small, bits), _array(plane, bits)
        if index == 0:
            upscaler.luma(samples, bits, upscaled, large.color_range == ColorRange.JPEG)
        else:
            upscaler.chroma(samples, bits, upscaled, shift)
    if target != (width, height):
        large = large.reformat(*target, interpolation=Interpolation.LANCZOS)
    large.pts, large.time_base, large.duration = frame.pts, frame.time_base, frame.duration
    return large


def planar(kind: av.VideoFormat) -> str:
    """Return the planar format, 8 or 10 bits, in which frames of a given format are upscaled.

    Args:
        kind: The frame's format.

    Returns:
        FFmpeg's name of the format.
    """
    opaque = [component for component in kind.components if not component.is_alpha]
    depth = "10le" if opaque[0].bits > 8 else ""
    if len(opaque) == 1 and not kind.has_palette:
        return f"gray{depth}"
    halved = (kind.chroma_width(4) == 2, kind.chroma_height(4) == 2)
    subsampling = {(True, True): "420", (True, False): "422"}.get(halved, "444")
    return f"yuv{subsampling}p{depth}"


def is_rgb(kind: av.VideoFormat) -> bool:
    """Return whether a format stores RGB, directly or through a palette.

    Args:
        kind: The format.

    Returns:
        Whether it does.
    """
    return kind.is_rgb or kind.has_palette


def color_range(frame: av.VideoFrame) -> int:
    """Return the range of a frame's values: full for grey that states none, as players show it.

    Args:
        frame: The frame.

    Returns:
        FFmpeg's number of the range.
    """
    unknown = frame.color_range == ColorRange.UNSPECIFIED
    is_grey = planar(frame.format).startswith("gray")
    return ColorRange.JPEG if unknown and is_grey else frame.color_range


def even_size(width: int, height: int, kind: str) -> tuple[int, int]:
    """Return the size that a frame can have: even in each direction of chroma subsampling.

    Args:
        width: The desired width, in pixels.
        height: The desired height, in pixels.
        kind: The frame's format.

    Returns:
        Width and height in pixels.
    """
    if "420" in kind or "422" in kind:
        width -= width % 2
    if "420" in kind:
        height -= height % 2
    return width, height


def frame_rate(stream: Any) -> Fraction:
    """Return the frame rate of a video.

    Args:
        stream: PyAV's video stream. Ogg, and ASF with gaps, give no average rate.

    Returns:
        Frames per second; 25 if nothing is known.
    """
    return stream.average_rate or stream.guessed_rate or Fraction(25)


def detail(frame: av.VideoFrame) -> float:
    """Return how much detail a frame has: the mean second difference of luma along a row.

    Args:
        frame: A frame whose first plane is luma, or stands for it.

    Returns:
        The mean of its absolute values over some of the rows, in grey levels of 8 bits; 0 for a
        frame of less than three columns.
    """
    bits = frame.format.components[0].bits
    rows = _array(frame.planes[0], bits)[::ROW_STEP]
    levels = (rows >> (bits - 8)).astype(np.int16)
    bends = 2 * levels[:, 1:-1] - levels[:, :-2] - levels[:, 2:]
    return float(np.abs(bends).mean()) if bends.size else 0.0


def _array(plane: Any, bits: int) -> np.ndarray:
    """Return a plane's samples as an array `(height, width)` that shares its memory."""
    kind = np.dtype("u1" if bits == 8 else "<u2")
    rows = np.frombuffer(plane, kind).reshape(-1, plane.line_size // kind.itemsize)
    return rows[: plane.height, : plane.width]
