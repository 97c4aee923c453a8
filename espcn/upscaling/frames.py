"""Upscale one frame of a video plane by plane: luma by the network, chroma bicubically.

No RGB on the way: but for frames that are RGB themselves, which become YCbCr without subsampling.
"""

from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from espcn.upscaling.upscaler import Upscaler

# Codecs whose chroma lies in the middle between two luma columns. All others, and so what is
# written, have it in the place of the left one.
CENTRED = ("mjpeg", "mpeg1video")


def upscale_frame(upscaler: Upscaler, frame: av.VideoFrame, centred: bool = False) -> av.VideoFrame:
    """Upscale a frame, its planes subsampled as they were.

    An odd height or width loses its last row or column if chroma has half as many.

    Args:
        upscaler: The network.
        frame: The frame.
        centred: Whether its chroma lies in the middle between two luma columns: see `CENTRED`.

    Returns:
        A frame r times as high and wide.
    """
    kind = planar(frame.format)
    if is_rgb(frame.format):
        frame = frame.reformat(
            format=kind, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
    elif frame.format.name.replace("yuvj", "yuv") != kind:
        frame = frame.reformat(format=kind)
    width, height = upscaled_size(frame, upscaler.r, kind)
    large = av.VideoFrame(width, height, kind)
    bits = large.format.components[0].bits
    shift = 0.0
    if large.format.chroma_width(2) == 1:
        # In low-resolution chroma samples: the left luma column of two is nearer to their middle
        # in the larger frame, and where the chroma was there before, it is to the left of it.
        shift = -1 / (4 * upscaler.r) + (0 if centred else 1 / 4)
    for index, (small, plane) in enumerate(zip(frame.planes, large.planes, strict=True)):
        samples, upscaled = _array(small, bits), _array(plane, bits)
        if index == 0:
            upscaler.luma(samples, bits, upscaled)
        else:
            upscaler.chroma(samples, bits, upscaled, shift)
    large.pts, large.time_base, large.duration = frame.pts, frame.time_base, frame.duration
    return large


def planar(kind: av.VideoFormat) -> str:
    """Return the format that a frame is upscaled in: planes of luma and chroma, 8 or 10 bits.

    Args:
        kind: The frame's format.

    Returns:
        A format's name in FFmpeg.
    """
    opaque = [component for component in kind.components if not component.is_alpha]
    depth = "10le" if opaque[0].bits > 8 else ""
    if len(opaque) == 1 and not kind.has_palette:
        return f"gray{depth}"
    halved = (kind.chroma_width(4) == 2, kind.chroma_height(4) == 2)
    way = {(True, True): "420", (True, False): "422"}.get(halved, "444")
    return f"yuv{way}p{depth}"


def is_rgb(kind: av.VideoFormat) -> bool:
    """Return whether frames of a format hold colours rather than luma and chroma.

    Args:
        kind: The format.

    Returns:
        Whether they do.
    """
    return kind.is_rgb or kind.has_palette


def upscaled_size(frame: av.VideoFrame, r: int, kind: str) -> tuple[int, int]:
    """Return the size of an upscaled frame, whose chroma has whole samples.

    Args:
        frame: The frame.
        r: The factor.
        kind: The format of the upscaled frame.

    Returns:
        Width and height in pixels.
    """
    width, height = r * frame.width, r * frame.height
    if "420" in kind or "422" in kind:
        width -= width % 2
    if "420" in kind:
        height -= height % 2
    return width, height


def _array(plane: Any, bits: int) -> np.ndarray:
    """Return a plane's samples as an array `(height, width)` that shares its memory."""
    kind = np.dtype("u1" if bits == 8 else "<u2")
    rows = np.frombuffer(plane, kind).reshape(-1, plane.line_size // kind.itemsize)
    return rows[: plane.height, : plane.width]
