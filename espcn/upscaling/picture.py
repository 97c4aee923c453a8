"""Upscale a picture file to another: reading, computing and writing overlap."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from espcn.io.prefetch import prefetch
from espcn.io.reading import Rows, jpeg_damage, open_picture
from espcn.io.signatures import is_hdr
from espcn.io.writing import FORMATS, OPAQUE, QUALITY, check_size, save_picture
from espcn.upscaling.compression import picture_compression
from espcn.upscaling.enlargement import enlargement
from espcn.upscaling.remarks import Remarks
from espcn.upscaling.size import Size
from espcn.upscaling.upscaler import Upscaler

Progress = Callable[[int, int], None]


def upscale_picture(
    upscaler: Upscaler,
    source: str | Path,
    target: str | Path,
    size: Size | None = None,
    quality: int = QUALITY,
    progress: Progress = lambda done, total: None,
) -> Remarks:
    """Upscale a picture file, in bounded memory if its formats allow it.

    The target appears only once it is complete.

    Args:
        upscaler: The upscaler.
        source: The picture.
        target: The file to write, whose suffix names its format.
        size: The size of the result; by default the upscaler's factor.
        quality: Quality of JPEG, WebP and AVIF, 1 to 100.
        progress: Called after each band with the number of finished rows and of all rows of
            the target; an exception raised by it aborts the work.

    Returns:
        How the picture was compressed, what of it is not in the result, and whether the source is a
        damaged JPEG that could be read nevertheless.

    Raises:
        LargeEnough: `source` is already as large as `size`.
        ValueError: `source` is not a picture, or the target's format can't hold the result.
        OSError: The source can't be read, or the target can't be written.
    """
    source, target = Path(source), Path(target)
    found = upscaler.compression or picture_compression(source)
    picture = open_picture(source)
    height, width, channels = picture.height, picture.width, picture.bands
    wanted = enlargement(upscaler, size, width, height).suited_to(found)
    check_size(target, wanted.width, wanted.height, channels)
    rows_in_all, columns = wanted.r * height, wanted.r * width
    clear = False  # anywhere

    def reporting(bands: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        nonlocal clear
        done = 0
        for band in bands:
            yield band
            clear |= channels in (2, 4) and band[..., -1].min() < np.iinfo(band.dtype).max
            done += len(band)
            progress(done * wanted.height // rows_in_all, wanted.height)

    rows, final = Rows(picture, source), (wanted.width, wanted.height)
    with closing(prefetch(wanted.bands(rows, height, width, channels))) as bands:
        save_picture(target, reporting(bands), rows_in_all, columns, picture, quality, final)
    remarks = Remarks(compression=f"{found}, {wanted.steps[0].strength}")
    kind = FORMATS[target.suffix.lower()]
    if clear and kind in OPAQUE:
        remarks.left_out.append(
            f"its transparency, which {kind.upper()} can't hold: it is now on white"
        )
    if is_hdr(source):
        remarks.left_out.append("its HDR colours (PQ or HLG), which now look pale")
    if picture.get_typeof("gainmap-data"):
        remarks.left_out.append("its gain map, which makes it HDR")
    if damage := jpeg_damage(source):
        remarks.damaged.append(f"{source} is damaged ({damage}): copy or download it again")
    return remarks
