"""Inputs changed by chance: bytes, ranges, lengths, the numbers in their headers."""

import random
import re
import zlib
from collections.abc import Callable

EDGE = 512  # bytes at both ends of a file, which tell most of it and are changed most


def mutated(content: bytes, seed: int, number: int) -> bytes:
    """Return a file with one to four random changes, the same for the same numbers."""
    chance = random.Random(f"{seed} {number}")
    for _ in range(chance.choice((1, 1, 2, 4))):
        if content:
            content = chance.choice(WAYS)(chance, content)
    # Else nearly all would be refused for a sum that is wrong, and nothing behind it be tried.
    return _with_sums(content) if chance.random() < 0.8 else content


def _place(chance: random.Random, content: bytes) -> int:
    """Choose a byte: mostly of the beginning, often of the end, of which the rest hangs."""
    last, where = len(content) - 1, chance.random()
    if where < 0.5:
        return chance.randint(0, min(EDGE, last))
    return chance.randint(max(0, last - EDGE), last) if where < 0.7 else chance.randint(0, last)


def _piece(chance: random.Random, content: bytes) -> tuple[int, int]:
    """Choose a piece of a file, short ones more often: where it begins and ends."""
    begin = _place(chance, content)
    return begin, min(len(content), begin + 2 ** chance.randint(0, 10))


def _change_bytes(chance: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(2 ** chance.randint(0, 5)):
        changed[_place(chance, content)] = chance.randrange(256)
    return bytes(changed)


def _change_bit(chance: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    changed[_place(chance, content)] ^= 2 ** chance.randrange(8)
    return bytes(changed)


def _zero(chance: random.Random, content: bytes) -> bytes:
    begin, end = _piece(chance, content)
    return content[:begin] + bytes(end - begin) + content[end:]


def _cut(chance: random.Random, content: bytes) -> bytes:
    begin, end = _piece(chance, content)
    return content[:begin] + content[end:]


def _repeat(chance: random.Random, content: bytes) -> bytes:
    begin, end = _piece(chance, content)
    return content[:end] + content[begin:end] * chance.choice((1, 1, 7, 99)) + content[end:]


def _swap(chance: random.Random, content: bytes) -> bytes:
    begin, end = _piece(chance, content)
    other = _place(chance, content)
    piece, changed = content[begin:end], bytearray(content)
    changed[begin:end] = content[other : other + len(piece)]
    changed[other : other + len(piece)] = piece
    return bytes(changed)


def _truncate(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.randint(0, len(content))]


def _set_number(chance: random.Random, content: bytes) -> bytes:
    """Set a whole number of a header, or what may be one, to an extreme."""
    size = chance.choice((1, 2, 2, 4, 4, 8))
    most = 2 ** (8 * size)
    number = chance.choice((0, 1, most - 1, most - 2, most // 2, most // 2 - 1, 20_000, 100_000))
    begin = _place(chance, content)
    order = chance.choice(("big", "little"))
    written = (number % most).to_bytes(size, order)  # type: ignore[arg-type]
    return content[:begin] + written + content[begin + size :]


def _set_digits(chance: random.Random, content: bytes) -> bytes:
    """Set a number that is written in digits, as in PPM and in the header of safetensors."""
    found = list(re.finditer(rb"\d+", content[:4096]))
    if not found:
        return _set_number(chance, content)
    begin, end = chance.choice(found[:100]).span()
    number = chance.choice((b"0", b"-1", b"255", b"65535", b"99999", b"4294967296", b"9" * 30))
    return content[:begin] + number + content[end:]


def _with_sums(content: bytes) -> bytes:
    """Return a PNG with correct checksums of its chunks; other files unchanged."""
    if not content.startswith(b"\x89PNG"):
        return content
    changed, begin = bytearray(content), 8
    while begin + 12 <= len(content):
        end = begin + 8 + int.from_bytes(content[begin : begin + 4], "big")
        if end + 4 > len(content):
            break
        changed[end : end + 4] = zlib.crc32(content[begin + 4 : end]).to_bytes(4, "big")
        begin = end + 4
    return bytes(changed)


WAYS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _change_bytes, _change_bytes, _change_bit, _zero, _cut, _repeat, _swap, _truncate,
    _set_number, _set_number, _set_digits,
)  # fmt: skip
