"""Upscale one picture file into another; reading, computing and writing overlap."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from espcn.io.prefetch import prefetch
from espcn.io.reading import Rows, open_picture
from espcn.io.writing import QUALITY, check_size, save_picture
from espcn.upscaling.upscaler import Upscaler

Progress = Callable[[int, int], None]


def upscale_picture(
    upscaler: Upscaler,
    source: Path,
    target: Path,
    quality: int = QUALITY,
    progress: Progress = lambda done, total: None,
) -> None:
    """Upscale a picture file of any size, in bounded memory where its formats allow it.

    The target appears only once it is complete.

    Args:
        upscaler: What upscales it.
        source: The picture.
        target: The file to write, whose suffix names its format.
        quality: Quality of JPEG, WebP and AVIF, 1 to 100.
        progress: Called after each band with the number of finished rows and of all rows of
            the target; an exception that it raises aborts the work.

    Raises:
        ValueError: `source` is not a picture, or the target's format can't hold the result.
        OSError: The source can't be read, or the target can't be written.
    """
    picture = open_picture(source)
    height, width, channels = picture.height, picture.width, picture.bands
    r = upscaler.r
    check_size(target, r * width, r * height, channels)

    def reporting(bands: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        done = 0
        for band in bands:
            yield band
            done += len(band)
            progress(done, r * height)

    rows = Rows(picture, source)
    with closing(prefetch(upscaler.bands(rows, height, width, channels))) as bands:
        save_picture(target, reporting(bands), r * height, r * width, picture, quality)
