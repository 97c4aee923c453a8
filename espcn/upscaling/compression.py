"""How strongly a picture was compressed: as the user says, or as its file or its pixels show.

A JPEG says it in its table, a lossy WebP or AVIF in its header. Other pictures are clean unless
their pixels show the grid of an old JPEG.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from PIL.JpegImagePlugin import JpegImageFile

from espcn import checks
from espcn.imaging.jpeg_traces import SIDE, grid_quality, table_quality
from espcn.io.quantizers import jpeg_table, luma_table, still_index
from espcn.io.reading import open_picture
from espcn.io.vp8 import webp_index
from espcn.network.strengths import NONE, Compression

FAR = 16_000_000  # pixels: a large picture is judged by a detail that is read sooner


def given_compression(wanted: str | int | None) -> Compression | None:
    """Return the compression given by the user.

    Args:
        wanted: `none` or None, `auto`, or a JPEG quality, 1 to 100.

    Returns:
        The compression; None for `auto`.

    Raises:
        ValueError: `wanted` is none of these.
    """
    if wanted in ("auto", "none", None):
        return None if wanted == "auto" else replace(NONE, evidence="not compressed, as given")
    quality = int(wanted) if isinstance(wanted, str) and wanted.isdecimal() else wanted
    if isinstance(quality, str):
        raise ValueError(f"`compression` (={wanted}) must be auto, none or a quality of 1 to 100")
    checks.integer(
        "compression", quality, 1, "use auto to detect it, or none for clean files", most=100
    )
    return Compression("jpeg", float(quality), f"quality {quality}, as given")  # type: ignore[arg-type]


def picture_compression(source: Path) -> Compression:
    """Return how a picture file was compressed, in this file or an earlier one.

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
        return Compression("webp", index)
    still = still_index(source) if head[4:8] == b"ftyp" else None
    if still is not None:
        codec, number = still
        return Compression({"av1": "avif", "hevc": "heic"}.get(codec, codec), number)
    try:
        grid = grid_quality(_detail(open_picture(source)))
    except pyvips.Error:  # damaged: which reading it in order says better
        return NONE
    if grid is None:
        return NONE
    return Compression("jpeg", grid, f"once a JPEG of quality {grid:.0f}, by its pixels")


def held_compression(picture: Any) -> Compression | None:
    """Return how a picture in memory was compressed, if it is known.

    Args:
        picture: A picture of any kind.

    Returns:
        The compression of a PIL picture opened from a JPEG file, which keeps its tables; None for
        all others.
    """
    table = luma_table(picture) if isinstance(picture, JpegImageFile) else None
    return None if table is None else _by_table(table)


def _by_table(table: np.ndarray) -> Compression:
    return Compression("jpeg", table_quality(table))


def _detail(picture: pyvips.Image) -> np.ndarray:
    """Return the centre of a picture, or an area above it if the picture is large, uint8."""
    deepest = max(0, FAR // picture.width - SIDE)
    top = min(max(0, (picture.height - SIDE) // 2), deepest)
    left = max(0, (picture.width - SIDE) // 2)
    size = min(SIDE, picture.width), min(SIDE, picture.height - top)
    # libvips has one number for a single grey pixel.
    detail = picture.crop(left, top, *size).numpy().reshape(size[1], size[0], -1)
    return (detail >> 8).astype(np.uint8) if detail.dtype == np.uint16 else detail
