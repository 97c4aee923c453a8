"""Lossy compression as in real files: JPEG with Pillow, H.264 with the FFmpeg in PyAV.

A JPEG stores luma in full range, 0 to 255, and a video in limited range, 16 to 235, which is also
the range of this project's luma. Luma is therefore expanded before JPEG compression and compressed
to limited range afterwards.
"""

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:  # imported where they are used: whoever loads weights has no need of them
    import av

BLACK, WHITE = 16, 235  # of luma in studio range
# x264's own preset. Its AVX code for the look-ahead reads memory that nobody has written where
# frames are small, so that the same frames gave four different files; on processors other than x86
# the parameter does nothing.
X264 = {"preset": "medium", "x264-params": "asm=SSE4.2"}


def encoder_versions() -> dict[str, str]:
    """Return the versions of the encoders, since their output depends on them.

    Returns:
        Versions by the name of the setting, `jpeg` and `h264`.
    """
    import av
    from PIL import features

    return {
        "jpeg": f"libjpeg-turbo {features.version('libjpeg_turbo') or features.version('jpg')}",
        "h264": f"FFmpeg {av.ffmpeg_version_info} of PyAV {av.__version__}, one thread",
    }


def is_studio_range(picture: Tensor) -> bool:
    """Return whether a grey picture may be the luma of a colour picture.

    Args:
        picture: uint8 `(1, height, width)`.

    Returns:
        Whether it is within 16..235; otherwise it is a grey picture of full range.
    """
    return bool(picture.numel()) and int(picture.min()) >= BLACK and int(picture.max()) <= WHITE


def compress_jpeg(picture: Tensor, quality: int, full_range: bool = False) -> Tensor:
    """Compress a picture as a JPEG and decode it.

    Args:
        picture: `(1, height, width)`, luma in 16..235, or `(3, height, width)`, RGB in 0..255,
            whose chroma is subsampled as Pillow does by default; uint8, or unrounded floats that
            may overshoot.
        quality: libjpeg's quality, 1 to 100.
        full_range: Whether a single channel is a grey picture in 0..255 rather than luma.

    Returns:
        The compressed picture, uint8, with the same shape and range.
    """
    from PIL import Image

    stretched = len(picture) == 1 and not full_range
    samples = picture.double()
    if stretched:
        samples = (samples - BLACK) * (255 / (WHITE - BLACK))
    array = samples.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(array[..., 0] if len(picture) == 1 else array).save(
        file, "JPEG", quality=quality
    )
    with Image.open(file) as opened:
        damaged = torch.from_numpy(np.array(opened)).reshape(array.shape).permute(2, 0, 1).double()
    if stretched:
        damaged = damaged * ((WHITE - BLACK) / 255) + BLACK
    return damaged.round().to(torch.uint8)


def compress_h264(frames: Sequence[Tensor], crf: float) -> list[Tensor]:
    """Encode frames with x264 and decode them.

    A single thread encodes, because x264's output depends on the number of threads.

    Args:
        frames: uint8 `(1, height, width)`, luma, or `(3, height, width)`, RGB in 0..255, whose
            chroma is halved in both directions. All have the same size.
        crf: x264's constant rate factor, 0 to 51.

    Returns:
        The compressed frames, in the same order and range.
    """
    import av

    channels, height, width = frames[0].shape
    # The encoder wants even sides.
    size = (height + height % 2, width + width % 2)
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = size[1], size[0], "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    encoder.thread_count = 1
    encoder.options = X264 | {"crf": f"{crf:g}"}
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    packets = [
        packet
        for number, frame in enumerate(frames)
        for packet in encoder.encode(_video_frame(frame, size, number))
    ]
    packets += encoder.encode(None)
    damaged = [frame for packet in packets for frame in decoder.decode(packet)]
    damaged += decoder.decode(None)
    return [_planes(frame, channels)[:, :height, :width] for frame in damaged]


def _video_frame(picture: Tensor, size: tuple[int, int], number: int) -> "av.VideoFrame":
    """Return a yuv420p frame of this (height, width), repeating the last row and column."""
    import av
    from av.video.reformatter import ColorRange, Colorspace

    _, height, width = picture.shape
    beyond = ((0, 0), (0, size[0] - height), (0, size[1] - width))
    array = np.pad(picture.numpy(), beyond, "edge")
    if len(picture) == 1:
        chroma = np.full((size[0] // 2, size[1]), 128, np.uint8)  # no colour
        array = np.concatenate([array[0], chroma])
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), "yuv420p")
    else:
        rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(array.transpose(1, 2, 0)), "rgb24")
        frame = rgb.reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG
        )
    frame.pts, frame.time_base = number, Fraction(1, 25)
    return frame


def _planes(frame: "av.VideoFrame", channels: int) -> Tensor:
    """Return a frame's luma or its RGB, uint8 `(channels, height, width)`."""
    if channels == 1:
        return torch.from_numpy(frame.to_ndarray()[: frame.height].copy())[None]
    from av.video.reformatter import ColorRange, Colorspace

    rgb = frame.reformat(
        format="rgb24", src_colorspace=Colorspace.ITU601, src_color_range=ColorRange.MPEG
    )
    return torch.from_numpy(rgb.to_ndarray()).permute(2, 0, 1).contiguous()
