"""Which compression a source has suffered, per file and, in a video, as it goes on.

A JPEG says it in its table, a lossy WebP or AVIF in its header, a video in its macroblocks or
headers. Other pictures are clean unless their pixels show the grid of an old JPEG.
"""

import math
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from PIL.JpegImagePlugin import JpegImageFile

from espcn import checks
from espcn.imaging.jpeg_traces import SIDE, grid_quality, quality_quantizer, table_quality
from espcn.io.quantizers import HeaderQuantizers, jpeg_table, luma_table, still_index
from espcn.io.reading import open_picture
from espcn.io.vp8 import webp_index
from espcn.network.strengths import NONE, Compression

FAR = 16_000_000  # pixels: a large picture is judged by a detail that is read sooner
WINDOW = 32  # frames, or packets, whose mean is the quality of the moment
FAITHFUL = ("prores", "dnxhd", "cfhd")  # codecs that lose too little to matter
# Of the others nothing is known but bits per pixel: these H.264 has at this quantiser, and half of
# them at one higher by 6. Codecs of before need more bits for the same quality.
USUAL_BITS, USUAL_QUANTIZER = 0.06, 27.0
# fmt: off
OLDER = {
    "mpeg1video": 4.0, "mpeg2video": 3.0, "mpeg4": 2.0, "msmpeg4v2": 2.0, "msmpeg4v3": 2.0,
    "flv1": 2.5, "wmv1": 2.5, "wmv2": 2.0, "theora": 2.0, "vp8": 1.2,
}
# fmt: on


def given_compression(wanted: str | int | None) -> Compression | None:
    """Return the compression that a user gives.

    Args:
        wanted: `none` or None, `auto`, or a quality like JPEG's, 1 to 100.

    Returns:
        The compression; None for `auto`.

    Raises:
        ValueError: It is none of these.
    """
    if wanted in ("auto", "none", None):
        return None if wanted == "auto" else replace(NONE, found="as given")
    quality = int(wanted) if isinstance(wanted, str) and wanted.isdecimal() else wanted
    if isinstance(quality, str):
        raise ValueError(f"`compression` (={wanted}) must be auto, none or a quality of 1 to 100")
    checks.integer("compression", quality, 1, "auto looks for itself, none is none", most=100)
    return Compression("jpeg", float(quality), f"quality {quality}, as given")  # type: ignore[arg-type]


def picture_compression(source: Path) -> Compression:
    """Return how a picture file was compressed, now or before it became this file.

    Args:
        source: The file.

    Returns:
        The compression; NONE for a clean picture.

    Raises:
        ValueError: It is not a picture.
    """
    with source.open("rb") as file:
        head = file.read(12)
    table = jpeg_table(source) if head.startswith(b"\xff\xd8") else None
    if table is not None:
        return _by_table(table)
    index = webp_index(source)
    if index is not None:
        return Compression("webp", index, f"WebP with a quantiser (0 to 127) of {index}")
    still = still_index(source) if head[4:8] == b"ftyp" else None
    if still is not None:
        codec, number = still
        # A still's frame is predicted from no other: the same quantiser means something else.
        kind = {"av1": "avif", "hevc": "heic"}.get(codec, codec)
        return Compression(kind, number, f"{_scale(codec)} of {number:.0f}")
    try:
        grid = grid_quality(_detail(open_picture(source)))
    except pyvips.Error:  # damaged: which reading it in order says better
        return NONE
    if grid is None:
        return NONE
    return Compression("jpeg", grid, f"once a JPEG of quality {grid:.0f}, by its pixels")


def held_compression(picture: Any) -> Compression | None:
    """Return how a picture in memory was compressed, if it says so.

    Args:
        picture: A picture of any kind.

    Returns:
        The compression of a PIL picture that a JPEG file was opened as, which carries its tables;
        None for all others.
    """
    table = luma_table(picture) if isinstance(picture, JpegImageFile) else None
    return None if table is None else _by_table(table)


class VideoCompression:
    """How strongly a video is compressed at the moment, from what its decoder and headers say.

    Args:
        stream: PyAV's video stream, before its first packet is decoded.
        given: What to say instead of looking; None looks. A quality like JPEG's is turned into the
            quantiser of H.264 that loses as much.
    """

    def __init__(self, stream: Any, given: Compression | None = None) -> None:
        context = stream.codec_context  # None for a codec that FFmpeg does not know
        self.codec = context.codec.canonical_name if context else ""
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._headers: HeaderQuantizers | None = None
        self._least, self._most = math.inf, -math.inf
        self._known = given  # where nothing changes
        if given is not None:
            if given.codec == "jpeg":
                self._known = replace(given, codec="h264", number=quality_quantizer(given.number))
        elif not context or not context.codec.lossy or self.codec in FAITHFUL:
            self._known = NONE
        elif self.codec == "h264":
            # Per macroblock. The frame's own number is not the quantiser.
            context.options = context.options | {"export_side_data": "venc_params"}
            # Threads of whole frames would hand out quantisers of what another still decodes.
            stream.thread_type = "SLICE"
        elif self.codec != "mjpeg":
            self._headers = HeaderQuantizers(stream)
            if not self._headers.works:
                self._known = _by_bits(stream)

    def see_packet(self, packet: Any) -> None:
        """Take note of a packet of the stream, in the order of the file.

        Args:
            packet: The packet.
        """
        if self._known is not None:
            return
        if self.codec == "mjpeg" and packet.size:
            table = jpeg_table(bytes(packet))
            self._note(None if table is None else table_quality(table))
        elif self._headers is not None:
            self._note(self._headers(packet))

    def see_frame(self, frame: Any) -> None:
        """Take note of a decoded frame.

        Args:
            frame: The frame.
        """
        if self._known is None and self.codec == "h264":
            self._note(_macroblock_mean(frame))

    def __call__(self) -> Compression:
        """Return the compression of the last second or so.

        Returns:
            The compression; NONE as long as nothing is known.
        """
        if self._known is not None:
            return self._known
        if not self._recent:
            return NONE
        return Compression("jpeg" if self.codec == "mjpeg" else self.codec, self._mean())

    def summary(self) -> str:
        """Return what has been found so far.

        Returns:
            A phrase like "H.264 with a quantiser (0 to 51) of 22 to 31", the range of means over a
            second.
        """
        if self._known is not None or self._most < 0:
            return str(self._known or NONE)
        least, most = f"{self._least:.0f}", f"{self._most:.0f}"
        numbers = least if least == most else f"{least} to {most}"
        if self.codec == "mjpeg":
            return f"JPEG frames of quality {numbers}"
        return f"{_scale(self.codec)} of {numbers}"

    def extremes(self) -> tuple[Compression, Compression]:
        """Return the weakest and the strongest compression so far.

        Returns:
            Two compressions, equal where nothing has changed.
        """
        if self._known is not None or self._most < 0:
            return self._known or NONE, self._known or NONE
        codec = "jpeg" if self.codec == "mjpeg" else self.codec
        return Compression(codec, self._least), Compression(codec, self._most)

    def _mean(self) -> float:
        return sum(self._recent) / len(self._recent)

    def _note(self, number: float | None) -> None:
        if number is not None:
            self._recent.append(number)
            self._least = min(self._least, self._mean())
            self._most = max(self._most, self._mean())


def _by_table(table: np.ndarray) -> Compression:
    quality = table_quality(table)
    return Compression("jpeg", quality, f"JPEG of quality {quality:.0f}")


def _macroblock_mean(frame: Any) -> float | None:
    """Return the mean quantiser of a frame's macroblocks; None if it codes none."""
    for data in frame.side_data:
        if type(data).__name__ == "VideoEncParams" and data.nb_blocks:
            blocks = np.frombuffer(bytes(data), np.uint8)[data.blocks_offset :]
            deltas = blocks.view(np.int32).reshape(data.nb_blocks, -1)[:, -1]
            quantizers = data.qp + deltas
            coded = quantizers[quantizers > 0]  # what is only copied has 0
            deeper = 6 * (frame.format.components[0].bits - 8)  # more bits have finer steps
            return max(0.0, float(coded.mean()) - deeper) if coded.size else None
    return None


def _by_bits(stream: Any) -> Compression:
    """Guess H.264's quantiser from the bits per pixel of another codec."""
    context, rate = stream.codec_context, stream.average_rate
    bits = (stream.bit_rate or stream.container.bit_rate or 0) / OLDER.get(
        context.codec.canonical_name, 1.0
    )
    pixels = float(rate or 0) * context.width * context.height
    if not pixels or not bits:
        return NONE
    number = float(np.clip(USUAL_QUANTIZER - 6 * np.log2(bits / pixels / USUAL_BITS), 0, 51))
    return Compression("h264", number, f"{context.name}, by its bits as H.264 at {number:.0f}")


def _detail(picture: pyvips.Image) -> np.ndarray:
    """Return the middle of a picture, or what is in its middle further up, uint8."""
    deepest = max(0, FAR // picture.width - SIDE)
    top = min(max(0, (picture.height - SIDE) // 2), deepest)
    left = max(0, (picture.width - SIDE) // 2)
    size = min(SIDE, picture.width), min(SIDE, picture.height - top)
    detail = picture.crop(left, top, *size).numpy()
    detail = detail[..., None] if detail.ndim == 2 else detail
    return (detail >> 8).astype(np.uint8) if detail.dtype == np.uint16 else detail


def _scale(codec: str) -> str:
    """Name a codec, and say how far its quantisers go."""
    return {
        "h264": "H.264 with a quantiser (0 to 51)",
        "hevc": "HEVC with a quantiser (0 to 51)",
        "vp9": "VP9 with a quantiser (0 to 255)",
        "av1": "AV1 with a quantiser (0 to 255)",
    }[codec]
