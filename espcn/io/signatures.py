"""Tell from a picture file's first bytes and tags, without decoding it, what it is."""

import io
import os
from pathlib import Path
from typing import Any

PNG = b"\x89P"
_TIFFS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # of either byte order, classic and BigTIFF
_HDR = (b"\x10", b"\x12")  # PQ and HLG, of H.273's transfer characteristics
# By the first bytes. WebP, AVIF and HEIC have theirs a little later.
_BEGINNINGS = {
    PNG: ".png", b"\xff\xd8": ".jpg", b"GIF8": ".gif", b"BM": ".bmp", b"P1": ".pbm",
    b"P2": ".pgm", b"P3": ".ppm", b"P4": ".pbm", b"P5": ".pgm", b"P6": ".ppm",
} | dict.fromkeys(_TIFFS, ".tif")  # fmt: skip


def picture_suffix(source: Path) -> str | None:
    """Return the suffix that a picture's name should have, from its first bytes.

    Args:
        source: The file.

    Returns:
        One of `reading.SUFFIXES`; None if it is not a readable picture.
    """
    head = first_bytes(source, 64)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp"
    if is_heic(source):
        return ".heic"
    if head[4:8] == b"ftyp" and b"avif" in head:
        return ".avif"
    return next((suffix for first, suffix in _BEGINNINGS.items() if head.startswith(first)), None)


def is_animation(source: Path) -> bool:
    """Return whether a file is an animated GIF, WebP or PNG.

    Args:
        source: The file.

    Returns:
        Whether it is one; False if its second frame can't be read.

    Raises:
        OSError: The file can't be opened.
    """
    from PIL.GifImagePlugin import GifImageFile
    from PIL.WebPImagePlugin import WebPImageFile

    head = first_bytes(source, 12)
    if head[:2] == PNG:
        return bool(chunk(source, b"acTL"))
    if head[:4] != b"GIF8" and head[8:] != b"WEBP":
        return False
    try:
        # Not by Image.open, which warns of many pixels.
        with (GifImageFile if head[:4] == b"GIF8" else WebPImageFile)(source) as picture:
            return _frames(picture) > 1
    except Exception:  # Pillow's readers fail in any way
        return False  # which reading it in order says better


def chunk(source: Path | bytes, kind: bytes) -> bytes:
    """Return a chunk of a PNG that comes before its pixels.

    Args:
        source: A path, or the file's content.
        kind: Its four letters; acTL, for example, is that of animated ones.

    Returns:
        Its content; empty if there is none, or the file is not a PNG.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        if file.read(8).startswith(PNG):
            while len(head := file.read(8)) == 8 and head[4:] not in (b"IDAT", b"IEND"):
                length = int.from_bytes(head[:4], "big")
                if head[4:] == kind:
                    return file.read(length)
                file.seek(length + 4, os.SEEK_CUR)
    return b""


def jpeg_scan(source: Path) -> int | None:
    """Return where the first scan of a JPEG begins.

    Args:
        source: The file.

    Returns:
        The place in bytes; None if the file is no JPEG, has anything between the parts of its
        header, or is one of the rare ones without Huffman codes, which may end anywhere.
    """
    with source.open("rb") as file:
        if file.read(2) != b"\xff\xd8":
            return None
        while (marker := file.read(2))[:1] == b"\xff" and marker != b"\xff\xda":
            if b"\xff\xc9" <= marker <= b"\xff\xcb":
                return None
            if marker == b"\xff\xff":  # a marker may begin with several
                file.seek(-1, os.SEEK_CUR)
            else:
                file.seek(int.from_bytes(file.read(2), "big") - 2, os.SEEK_CUR)
        return file.tell() if marker == b"\xff\xda" else None


def is_hdr(source: Path) -> bool:
    """Return whether a PNG, AVIF or HEIC says that its colours are HDR: PQ or HLG.

    Args:
        source: The file.

    Returns:
        Whether its cICP chunk or nclx box says so.
    """
    if codes := chunk(source, b"cICP"):
        return codes[1:2] in _HDR
    head = first_bytes(source, 2**16)
    _, _, codes = head.partition(b"colrnclx")
    return head[4:8] == b"ftyp" and codes[3:4] in _HDR


def is_heic(source: Path | bytes) -> bool:
    """Return whether a file is HEIC, and not AVIF.

    Args:
        source: A path, or the file's content.

    Returns:
        Whether its brands say so.
    """
    head = first_bytes(source, 64)
    brands = head[8 : min(int.from_bytes(head[:4], "big"), 64)]
    return head[4:8] == b"ftyp" and b"avif" not in brands and b"hei" in brands


def is_ycbcr_or_lab(source: Path | bytes) -> bool:
    """Return whether a file is a TIFF that stores Lab, or YCbCr other than by JPEG.

    Args:
        source: A path, or the file's content.

    Returns:
        Whether its tags say so; False if they can't be read.
    """
    head = first_bytes(source, 4)
    if head not in _TIFFS:
        return False
    from PIL import TiffImagePlugin

    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        try:
            tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(16 if b"+" in head else 8))
            file.seek(tags.next)
            tags.load(file)
            colors = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION)
            by_jpeg = tags.get(TiffImagePlugin.COMPRESSION) in (6, 7)
        except Exception:  # a damaged one, of which libvips says more
            return False
    return colors in (8, 9, 10) or (colors == 6 and not by_jpeg)


def first_bytes(source: Path | bytes, count: int) -> bytes:
    """Return the beginning of a file.

    Args:
        source: A path, or the file's content.
        count: The number of bytes.

    Returns:
        That many bytes, or all if there are fewer.
    """
    if isinstance(source, bytes):
        return source[:count]
    with source.open("rb") as file:
        return file.read(count)


def _frames(picture: Any) -> int:
    """Return the number of frames of Pillow's picture, or of those before it is damaged."""
    try:
        return getattr(picture, "n_frames", 1)  # which does not decode them, as seeking does
    except Exception:
        return picture.tell() + 1
