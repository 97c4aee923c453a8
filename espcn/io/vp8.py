"""The quantiser index in the header of VP8's frames, which lossy WebP files hold (RFC 6386)."""

import io
import os
from pathlib import Path

FRAME_HEAD = 256  # bytes of a frame, of which its quantisers take fewer


def webp_index(source: Path | bytes) -> int | None:
    """Return VP8's quantiser index of a lossy WebP (RFC 6386, sections 9.1 to 9.6).

    Args:
        source: The file, or its content.

    Returns:
        0 to 127, the mean over VP8's segments; None for a lossless or animated WebP, or another
        file.
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
        """Return an optional number, whose sign follows it.

        Args:
            count: Number of bits without the sign.

        Returns:
            The number; 0 if it is absent.
        """
        if not self.literal(1):
            return 0
        number = self.literal(count)
        return -number if self.literal(1) else number
