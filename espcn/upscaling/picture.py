"""Upscale one picture file into another; reading, computing and writing overlap."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from espcn.io.reading import Rows, open_picture
from espcn.io.writing import QUALITY, check_size, save_picture
from espcn.upscaling.prefetch import prefetch
from espcn.upscaling.upscaler import Upscaler

Progress = Callable[[int, int], None]


def upscale_photo(
    upscaler: Upscaler,
    source: Path,
    target: Path,
    quality: int = QUALITY,
    progress: Progress = lambda done, total: None,
) -> None:
    """Upscale a picture file of any size, in bounded memory where its formats allow it.

    The new file appears once it is complete.

    Args:
        upscaler: The network.
        source: The picture.
        target: The file to write, whose suffix names its format.
        quality: Of JPEG, WebP and AVIF, 1 to 100.
        progress: Called now and then with the number of finished rows and of all rows; what it
            raises ends the work.

    Raises:
        ValueError: `source` is not a picture, or does not fit the target's format.
        OSError: A file can't be read or written.
    """
    picture = open_picture(source)
    height, width, channels = picture.height, picture.width, picture.bands
    r = upscaler.r
    check_size(target, r * width, r * height, channels)

    def watched(bands: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        done = 0
        for band in bands:
            yield band
            done += len(band)
            progress(done, r * height)

    rows = Rows(picture, source)
    with closing(prefetch(upscaler.bands(rows, height, width, channels))) as bands:
        save_picture(target, watched(bands), r * height, r * width, picture, quality)
