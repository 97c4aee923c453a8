"""Write picture files: the limits of each format, and how rows are written.

libvips writes a picture from top to bottom while it is being computed, with the metadata of the
original: EXIF, XMP, IPTC, ICC profile, resolution. Pillow writes BMP, which libvips does not.
"""

import os
import shutil
import struct
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from espcn.io.atomic import atomic_write

# File-name endings, and the format that each of them means.
# fmt: off
FORMATS = {
    ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".jfif": "jpeg",
    ".tif": "tiff", ".tiff": "tiff", ".webp": "webp", ".avif": "avif", ".bmp": "bmp",
}
# fmt: on
LOSSY = ("jpeg", "webp", "avif")  # those that have a quality
OPAQUE = ("jpeg", "bmp")  # those without transparency: it is put on white
# Pixels a side. JPEG's own limit is 65,535, libjpeg's a little less.
MAX_SIDE = {
    "jpeg": 65_500, "webp": 16_383, "avif": 16_384, "gif": 65_535, "png": 2**31 - 1,
    "tiff": 2**31 - 1,
}  # fmt: skip
MM_PER_INCH = 25.4  # libvips has resolutions per mm
UNKNOWN_DPI = 72  # in EXIF
RESOLUTION_UNIT = 296  # the tag of TIFF
FULL = 2**20  # bytes: a disk with less has no room for what failed to be written
BMP_BYTES = 2**30  # BMP is written from memory
QUALITY = 95  # of JPEG, WebP and AVIF, 1 to 100: what was upscaled with care is kept so

_META = ("xmp-data", "iptc-data", "icc-profile-data", "image-description", "resolution-unit")


def check_size(path: Path, width: int, height: int, channels: int) -> None:
    """Check that a format can hold a picture of some size.

    Args:
        path: The file to write, whose suffix names the format.
        width: Width in pixels.
        height: Height in pixels.
        channels: Number of channels.

    Raises:
        ValueError: It can't, or the suffix is of no format that can be written.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"{path} must end in one of {' '.join(FORMATS)}: name it with -o")
    remedy = "write it as PNG or TIFF with -o"
    if kind == "bmp":
        if width * height * channels > BMP_BYTES:
            raise ValueError(
                f"{path} would be {width} x {height} pixels, too large for BMP here: {remedy}"
            )
    elif max(width, height) > MAX_SIDE[kind]:
        raise ValueError(
            f"{path} would be {width} x {height} pixels, but {kind.upper()} holds at most "
            f"{MAX_SIDE[kind]} a side: {remedy}"
        )


def save_picture(
    path: Path,
    bands: Iterable[np.ndarray],
    height: int,
    width: int,
    original: pyvips.Image,
    quality: int = QUALITY,
    size: tuple[int, int] | None = None,
) -> None:
    """Write a picture while its rows are computed; the file appears once it is complete.

    Args:
        path: The file, whose suffix names the format.
        bands: Rows from top to bottom, uint8 or uint16 `(rows, width, channels)`.
        height: Total height of all rows in pixels.
        width: Width in pixels.
        original: The picture that was upscaled, as `open_picture` returns it, whose channels, depth
            and metadata the new one keeps.
        quality: Of JPEG, WebP and AVIF, 1 to 100.
        size: Width and height in pixels to reduce the picture to; by default it is not reduced.

    Raises:
        OSError: The disk is full, or the file can't be written for another reason.
    """
    kind = FORMATS[path.suffix.lower()]
    with atomic_write(path) as part:
        depth = 16 if original.format == "ushort" else 8
        rows = _Source(_uncompressed_png(bands, height, width, original.bands, depth))
        try:
            picture = pyvips.Image.pngload_source(rows.source, access="sequential", fail_on="error")
            if size is not None:
                picture = reduced(picture, *size)
            if kind in OPAQUE and picture.hasalpha():
                white = 2**depth - 1
                picture = picture.flatten(background=[white] * (picture.bands - 1))
            picture = _with_metadata(picture, original)
            if kind == "bmp":
                try:
                    _save_bmp(part, picture)
                except OSError as error:
                    raise OSError(f"{path} could not be written: {error.strerror}") from error
            else:
                _save(part, kind, picture, _options(kind, picture, original, quality))
                if not _has_resolution(original):
                    _forget_resolution(part, kind)
            if rows.error is not None:
                raise rows.error
        except pyvips.Error as error:
            if rows.error is not None:
                raise rows.error from None  # the rows failed, not the writing
            reason = str(error).strip().splitlines()[-1].strip()
            if shutil.disk_usage(path.parent).free < FULL:  # which libvips seldom says
                reason = "No space left on device"
            elif not os.access(path.parent, os.W_OK):
                reason = "Permission denied"
            raise OSError(f"{path} could not be written: {reason}") from error


def _save(path: Path, kind: str, picture: pyvips.Image, options: dict[str, Any]) -> None:
    """Save a picture with libvips; its file is closed with the target that this function holds."""
    target = pyvips.Target.new_to_file(os.fsencode(path))
    getattr(picture, f"{'heif' if kind == 'avif' else kind}save_target")(target, **options)


def reduced(picture: pyvips.Image, width: int, height: int) -> pyvips.Image:
    """Return a picture downsampled by an antialiased Lanczos filter with three lobes.

    Colours must have been extended under transparency: alpha is reduced separately.

    Args:
        picture: The picture.
        width: Width of the result in pixels, at most that of the picture.
        height: Height of the result in pixels.

    Returns:
        A picture with the same kind of samples; sequential access is preserved. The picture itself
        if it already has that size.
    """
    if (picture.width, picture.height) == (width, height):
        return picture
    # In floating point, or libvips would round between rows and columns.
    smaller = picture.cast("float").resize(width / picture.width, vscale=height / picture.height)
    return smaller.rint().cast(picture.format)


def _has_resolution(picture: pyvips.Image) -> bool:
    return picture.get_typeof("resolution-unit") != 0


def _forget_resolution(path: Path, kind: str) -> None:
    """Take away the unit of resolution, which libvips always gives to a PNG or TIFF."""
    with path.open("r+b") as file:

        def number(size: int) -> int:
            return int.from_bytes(file.read(size), sys.byteorder)  # libvips writes TIFFs in this

        if kind == "png":
            file.seek(8)
            while (head := file.read(8))[4:] != b"pHYs":
                if not head:
                    return
                file.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
            file.seek(-len(head), os.SEEK_CUR)
            file.write(_chunk(b"pHYs", struct.pack(">IIB", 1, 1, 0)))  # pixels are square
        elif kind == "tiff":
            place, count, entry = (8, 8, 20) if b"+" in file.read(4) else (4, 2, 12)  # in bytes
            file.seek(place)
            file.seek(number(place))
            for _ in range(number(count)):
                tag = file.tell()
                if number(2) == RESOLUTION_UNIT:
                    file.seek(tag + entry - place)
                    file.write((1).to_bytes(2, sys.byteorder))  # none
                    return
                file.seek(tag + entry)


def _options(kind: str, picture: Any, original: Any, quality: int) -> dict[str, Any]:
    options = _encoding(kind, picture, original, quality)
    if not _has_resolution(original) and not original.get_typeof("exif-data"):
        options["keep"] = "xmp|iptc|icc|other"  # not EXIF, which libvips makes up with a resolution
    return options


def _encoding(kind: str, picture: Any, original: Any, quality: int) -> dict[str, Any]:
    if kind == "png":
        # For photographs a tenth larger than at libvips' own 6, and written in a third of the time.
        return {"compression": 3, "filter": "paeth"}
    if kind == "tiff":
        large = picture.width * picture.height * picture.bands * 2 > 2**31
        return {"compression": "deflate", "predictor": "horizontal", "bigtiff": large}
    if kind in ("jpeg", "webp"):
        return {"Q": quality}
    bits = original.get("bits-per-sample") if original.get_typeof("bits-per-sample") else 16
    deep = {"bitdepth": min(bits, 12)} if picture.format == "ushort" else {}
    return {"Q": quality, "compression": "av1", "effort": 4, **deep}


def _with_metadata(picture: pyvips.Image, original: pyvips.Image) -> pyvips.Image:
    across, down = original.xres, original.yres
    if not _has_resolution(original):
        across = down = UNKNOWN_DPI / MM_PER_INCH
    picture = picture.copy(xres=across, yres=down)
    kept = [
        name
        for name in original.get_fields()
        if name in _META or name.startswith(("exif-", "png-comment"))
    ]
    for name in kept:
        picture.set_type(original.get_typeof(name), name, original.get(name))
    # `open_picture` has turned it: else EXIF would have it turned again.
    picture.set_type(pyvips.GValue.gint_type, "orientation", 1)
    return picture


def _uncompressed_png(
    bands: Iterable[np.ndarray], height: int, width: int, channels: int, depth: int
) -> Iterator[bytes]:
    """Yield rows as an uncompressed PNG, the only way to feed generated rows into libvips."""
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    yield b"\x89PNG\r\n\x1a\n"
    yield _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    stream = zlib.compressobj(0)
    for band in bands:
        samples = np.ascontiguousarray(band, ">u2" if depth == 16 else "u1")
        lines = samples.reshape(len(band), -1).view(np.uint8)
        unfiltered = np.pad(lines, ((0, 0), (1, 0)))  # each row says its filter: 0, none
        yield _chunk(b"IDAT", stream.compress(unfiltered.tobytes()))
    yield _chunk(b"IDAT", stream.flush())
    yield _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


class _Source:
    """A libvips source that reads from an iterator, and keeps the error that it raises.

    Args:
        pieces: The bytes of a file, in order.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.error: BaseException | None = None
        self._pieces, self._rest = pieces, memoryview(b"")
        self.source = pyvips.SourceCustom()
        self.source.on_read(self._read)

    def _read(self, size: int) -> bytes:
        try:
            while not self._rest:
                self._rest = memoryview(next(self._pieces))
        except StopIteration:
            return b""
        except BaseException as error:
            # libvips is written in C, and would print and forget it.
            self.error = error
            return b""
        piece, self._rest = self._rest[:size], self._rest[size:]
        return bytes(piece)


def _save_bmp(path: Path, picture: pyvips.Image) -> None:
    from PIL import Image

    pixels = picture.numpy().reshape(picture.height, picture.width, -1)
    if pixels.dtype == np.uint16:  # BMP has 8 bits
        pixels = (pixels / 257).round().astype(np.uint8)
    bitmap = Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)
    known = _has_resolution(picture)  # if not, 0 says so
    dpi = tuple(known * per_mm * MM_PER_INCH for per_mm in (picture.xres, picture.yres))
    bitmap.save(path, "BMP", dpi=dpi)
