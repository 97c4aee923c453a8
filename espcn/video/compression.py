"""How strongly a video is compressed over time, from its macroblocks or headers."""

import math
from collections import deque
from operator import methodcaller
from typing import Any

import numpy as np

from espcn.imaging.jpeg_traces import table_quality
from espcn.io.quantizers import HeaderQuantizers, jpeg_table
from espcn.network.strengths import NONE, PER_OCTAVE, STRENGTHS, Compression
from espcn.video import frames

WINDOW = 32  # frames, or packets, whose mean is the quality of the moment
FAITHFUL = ("prores", "dnxhd", "cfhd")  # codecs that lose too little to matter
# Of the others nothing is known but bits per pixel: these H.264 has at this QP, and half of
# them at one higher by 6. Codecs of before need more bits for the same quality.
USUAL_BITS, USUAL_QUANTIZER = 0.06, 27.0
# fmt: off
OLDER = {
    "mpeg1video": 4.0, "mpeg2video": 3.0, "mpeg4": 2.0, "msmpeg4v2": 2.0, "msmpeg4v3": 2.0,
    "flv1": 2.5, "wmv1": 2.5, "wmv2": 2.0, "theora": 2.0, "vp8": 1.2,
}
# fmt: on


class VideoCompression:
    """The current compression of a video, from its decoder and headers.

    Args:
        stream: PyAV's video stream, before its first packet is decoded.
        given: The compression to report; None detects it. A JPEG quality is converted to the QP of
            H.264 that loses as much.
    """

    def __init__(self, stream: Any, given: Compression | None = None) -> None:
        context = stream.codec_context  # None for a codec that FFmpeg does not know
        self.codec = context.codec.canonical_name if context else ""
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._details: deque[float] = deque(maxlen=WINDOW)
        self._extremes: list[Compression] = []  # the weakest and the strongest
        self._headers: HeaderQuantizers | None = None
        self._least, self._most = math.inf, -math.inf
        self._known = given  # where nothing changes
        if given is not None:
            self._known = given.in_video()
        elif not context or not context.codec.lossy or self.codec in FAITHFUL:
            self._known = NONE
        elif self.codec == "h264":
            # Per macroblock. The frame's own number is not the QP.
            context.options = context.options | {"export_side_data": "venc_params"}
            # With one thread per frame, QPs of frames that are still being decoded would appear.
            stream.thread_type = "SLICE"
        elif self.codec != "mjpeg":
            self._headers = HeaderQuantizers(stream)
            if not self._headers.works:
                self._known = _by_bits(stream)

    def see_packet(self, packet: Any) -> None:
        """Record a packet of the stream, in file order.

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
        """Record a decoded frame.

        Args:
            frame: The frame.
        """
        if self._known is not None:
            return
        if self.codec == "h264":
            self._note(_macroblock_mean(frame))
        if self.codec in PER_OCTAVE:
            self._details.append(frames.detail(frame))
        if self._recent:
            found = [*self._extremes, self()]
            order = methodcaller("at_detail", 1.0)
            self._extremes = [min(found, key=order), max(found, key=order)]

    def __call__(self) -> Compression:
        """Return the compression over about the last second.

        Returns:
            The compression; NONE while nothing is known.
        """
        if self._known is not None:
            return self._known
        if not self._recent:
            return NONE
        codec = "jpeg" if self.codec == "mjpeg" else self.codec
        detail = _mean(self._details) if self._details else None
        return Compression(codec, _mean(self._recent), detail=detail)

    def summary(self) -> str:
        """Summarise the compression found so far.

        Returns:
            A phrase like "H.264, QP 22 to 31 of 51", the range of means over a second.
        """
        if self._known is not None or self._most < 0:
            return str(self._known or NONE)
        least, most = f"{self._least:.0f}", f"{self._most:.0f}"
        numbers = least if least == most else f"{least} to {most}"
        if self.codec == "mjpeg":
            return f"JPEG frames of quality {numbers}"
        return STRENGTHS[self.codec].format(numbers)

    def extremes(self) -> tuple[Compression, Compression]:
        """Return the weakest and the strongest compression so far.

        Returns:
            Two compressions, equal if nothing has changed.
        """
        weakest, strongest = self._extremes or [self._known or NONE] * 2
        return weakest, strongest

    def _note(self, number: float | None) -> None:
        if number is not None:
            self._recent.append(number)
            self._least = min(self._least, _mean(self._recent))
            self._most = max(self._most, _mean(self._recent))


def _mean(numbers: deque[float]) -> float:
    return sum(numbers) / len(numbers)


def _macroblock_mean(frame: Any) -> float | None:
    """Return the mean QP of a frame's coded macroblocks; None if there are none."""
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
    """Estimate the equivalent H.264 QP from the bits per pixel of another codec."""
    context = stream.codec_context
    bits = (stream.bit_rate or stream.container.bit_rate or 0) / OLDER.get(
        context.codec.canonical_name, 1.0
    )
    pixels = float(frames.frame_rate(stream)) * context.width * context.height
    if not pixels or not bits:
        return NONE
    number = float(np.clip(USUAL_QUANTIZER - 6 * np.log2(bits / pixels / USUAL_BITS), 0, 51))
    return Compression(
        "h264", number, f"{context.name}, by its bit rate like H.264 at QP {number:.0f}"
    )
