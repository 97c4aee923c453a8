"""One picture file, enlarged into another: read, enlarged and written at the same time."""

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
    """Enlarge a picture file of any size, in bounded memory where its formats allow it.

    `quality` is that of JPEG, WebP and AVIF. `progress` is called now and then with how many
    rows are done and how many there will be; what it raises ends the work. The target appears once
    it is whole. Raises a ValueError for what isn't a picture or doesn't fit the target's format, an
    OSError for what can't be read or written.
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
