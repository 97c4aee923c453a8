"""How coarsely a file was quantised, as the file itself says, in its codec's own numbers.

| codec | number |
|---|---|
| jpeg | libjpeg's quality, 1 to 100, from the quantisation table of luma |
| webp | the index of VP8, 0 to 127 |
| h264, hevc | the quantiser, 0 to 51 |
| vp9, av1 | the index, 0 to 255 |
"""

import io
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import av.logging
import numpy as np
from av.bitstream import BitStreamFilterContext
from PIL.JpegImagePlugin import JpegImageFile

TRACED = ("hevc", "vp9", "av1")
FRAME_HEAD = 256  # bytes of VP8's frame, of which its quantisers take fewer
# Messages and metadata are taken out before the trace, which writes a line for each of their bytes.
_FILTERS = {
    "hevc": "filter_units=remove_types=39-40,trace_headers",
    "vp9": "trace_headers",
    "av1": "filter_units=remove_types=5,trace_headers",
}
_LOG = threading.Lock()
# What FFmpeg calls the quantisers in its trace of the headers.
_NAMED = re.compile(r"\b(init_qp_minus26|slice_qp_delta|base_q_idx)\b.*= (-?\d+)")


def jpeg_table(source: Path | bytes) -> np.ndarray | None:
    """Return the quantisation table of a JPEG's luma.

    Args:
        source: A picture file, or its content.

    Returns:
        Steps in grey levels, `(8, 8)`, row by row; None for what is no JPEG.
    """
    try:
        # Not by Image.open, which warns of many pixels. Only the headers are read.
        with JpegImageFile(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
            tables, index = picture.quantization, picture.layer[0][3]  # the first component's
            return np.array(tables[index]).reshape(8, 8)
    except (OSError, ValueError, SyntaxError, LookupError):
        return None


def webp_index(source: Path | bytes) -> int | None:
    """Return VP8's quantiser index of a lossy WebP (RFC 6386, sections 9.1 to 9.6).

    Args:
        source: The file, or its content.

    Returns:
        0 to 127, the mean over VP8's segments; None for a lossless or an animated WebP, and for
        what is no WebP.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        start = file.read(12)
        if start[:4] != b"RIFF" or start[8:] != b"WEBP":
            return None
        while len(head := file.read(8)) == 8 and head[:4] != b"VP8 ":
            size = int.from_bytes(head[4:], "little")
            file.seek(size + size % 2, os.SEEK_CUR)
        frame = file.read(FRAME_HEAD) if head[:4] == b"VP8 " else b""
    if len(frame) < 32 or frame[3:6] != b"\x9d\x01\x2a":
        return None
    bits = _BoolDecoder(frame[10:])  # after the tag, the start code, width and height
    bits.literal(2)  # colour space, clamping
    segments = _segment_indices(bits) if bits.literal(1) else []
    bits.literal(1 + 6 + 3)  # the loop filter's kind, level and sharpness
    if bits.literal(1) and bits.literal(1):  # its adjustments, updated
        for _ in range(8):
            if bits.literal(1):
                bits.literal(6 + 1)
    bits.literal(2)  # partitions
    index = bits.literal(7)
    if not segments:
        return index
    absolute, values = segments[0], segments[1:]
    mean = sum(values) / len(values) + (0 if absolute else index)
    return min(127, max(0, round(mean)))


class HeaderQuantizers:
    """Reads the quantisers from the headers of a video stream's packets, by FFmpeg's own parser.

    Args:
        stream: A video stream of PyAV's. One of another codec than HEVC, VP9 and AV1, or whose
            parameters are damaged, has no quantiser that is read here.
    """

    def __init__(self, stream: Any) -> None:
        self.codec = stream.codec_context.codec.canonical_name
        self._base = 26  # of HEVC, to which a slice adds
        self._filter: Any = None
        if self.codec in TRACED:
            try:
                with _trace() as lines:  # of the parameters that stand before the first packet
                    self._filter = BitStreamFilterContext(_FILTERS[self.codec], stream)
                self._numbers(lines)
            except av.FFmpegError:
                self._filter = None

    @property
    def works(self) -> bool:
        """Whether the stream's headers can be read."""
        return self._filter is not None

    def __call__(self, packet: Any) -> float | None:
        """Return the mean quantiser of a packet's slices or frames.

        Args:
            packet: A packet of the stream, which is left as it is.

        Returns:
            The number; None if its headers hold none.
        """
        if self._filter is None or not packet.size:
            return None
        try:
            with _trace() as lines:
                self._filter.filter(av.Packet(bytes(packet)))  # it empties what it is given
        except av.FFmpegError:
            self._filter.flush()
            return None
        found = self._numbers(lines)
        return float(np.mean(found)) if found else None

    def _numbers(self, lines: list[Any]) -> list[int]:
        found = []
        for _, _, text in lines:
            named = _NAMED.search(text)
            if named is None:
                continue
            if named[1] == "init_qp_minus26":
                self._base = 26 + int(named[2])
            else:
                found.append(int(named[2]) + (self._base if named[1] == "slice_qp_delta" else 0))
        return found


@contextmanager
def _trace() -> Iterator[list[Any]]:
    """Collect what FFmpeg logs on this thread, its trace of headers included.

    One thread at a time, because the level of the log is the process's.
    """
    with _LOG:
        level = av.logging.get_level()
        av.logging.set_level(av.logging.INFO)
        try:
            with av.logging.Capture() as lines:
                yield lines
        finally:
            av.logging.set_level(level)


def still_index(path: Path) -> tuple[str, float] | None:
    """Return the codec and the quantiser of an AVIF or a HEIC.

    Args:
        path: The file.

    Returns:
        `av1` or `hevc`, and its number; None if it can't be read.
    """
    try:
        with av.open(f"file:{path}") as container:
            stream = container.streams.video[0]
            quantizers = HeaderQuantizers(stream)
            for packet in container.demux(stream):
                found = quantizers(packet)
                if found is not None:
                    return quantizers.codec, found
    except (av.FFmpegError, IndexError):
        pass
    return None


def _segment_indices(bits: "_BoolDecoder") -> list[int]:
    """Return whether the segments' indices are absolute, and the indices; [] if there are none."""
    update_map, update_data = bits.literal(1), bits.literal(1)
    found = []
    if update_data:
        found = [bits.literal(1), *(bits.signed(7) for _ in range(4))]
        for _ in range(4):  # of the loop filter
            bits.signed(6)
    if update_map:
        for _ in range(3):
            if bits.literal(1):
                bits.literal(8)
    return found


class _BoolDecoder:
    """VP8's arithmetic decoder (RFC 6386, section 7), for bits of equal probability.

    Args:
        content: The partition's bytes.
    """

    def __init__(self, content: bytes) -> None:
        self._rest = iter(content)
        self._value = self._byte() << 8 | self._byte()
        self._range, self._shifts = 255, 0

    def _byte(self) -> int:
        return next(self._rest, 0)

    def _bit(self) -> int:
        split = 1 + ((self._range - 1) * 128 >> 8)
        bit = int(self._value >= split << 8)
        if bit:
            self._range -= split
            self._value -= split << 8
        else:
            self._range = split
        while self._range < 128:
            self._value <<= 1
            self._range <<= 1
            self._shifts += 1
            if self._shifts == 8:
                self._shifts = 0
                self._value |= self._byte()
        return bit

    def literal(self, count: int) -> int:
        """Return an unsigned number, the highest bit first.

        Args:
            count: Number of bits.

        Returns:
            The number.
        """
        number = 0
        for _ in range(count):
            number = number << 1 | self._bit()
        return number

    def signed(self, count: int) -> int:
        """Return a number that may be left out, with its sign behind it.

        Args:
            count: Number of bits without the sign.

        Returns:
            The number; 0 if it is left out.
        """
        if not self.literal(1):
            return 0
        number = self.literal(count)
        return -number if self.literal(1) else number
