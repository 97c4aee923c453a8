"""Upscale one picture file into another, or an animation frame by frame.

Of a picture, reading, computing and writing overlap.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageSequence

from espcn.io.atomic import atomic_write
from espcn.io.prefetch import prefetch
from espcn.io.reading import Rows, open_picture
from espcn.io.writing import QUALITY, check_size, save_picture
from espcn.upscaling.upscaler import Upscaler

Progress = Callable[[int, int], None]

ANIMATED = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG"}
MAX_ANIMATION = 400_000_000  # pixels of all upscaled frames: 1.6 GB


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


def upscale_animation(
    upscaler: Upscaler,
    source: Path,
    target: Path,
    quality: int = QUALITY,
    progress: Progress = lambda done, total: None,
) -> None:
    """Upscale an animated GIF, WebP or PNG into one of its own kind.

    Frames keep their durations and the number of repetitions; they are written whole, since what
    changes from one to the next is blended differently at another size. All are held in memory.

    Args:
        upscaler: What upscales its frames.
        source: The animation.
        target: The file to write, which ends as the source does.
        quality: Quality of a WebP, 1 to 100.
        progress: As for `upscale_picture`, with frames instead of rows.

    Raises:
        ValueError: `target` is of another kind, the animation is damaged, or too large to be held.
        OSError: The target can't be written.
    """
    kind = ANIMATED.get(source.suffix.lower())
    if kind is None or ANIMATED.get(target.suffix.lower()) != kind:
        endings = " ".join(ANIMATED)
        raise ValueError(f"{target} must end as {source} does, an animation ({endings})")
    frames: list[Image.Image] = []
    durations: list[int] = []
    with Image.open(source, formats=(kind,)) as opened:
        total, loop = getattr(opened, "n_frames", 1), opened.info.get("loop")
        pixels = total * opened.width * opened.height * upscaler.r**2
        if pixels > MAX_ANIMATION:
            raise ValueError(
                f"{source} would have {total} frames, {pixels // 10**6} megapixels together, over "
                f"{MAX_ANIMATION // 10**6}: make it a video first, say by FFmpeg"
            )
        try:
            for number, frame in enumerate(ImageSequence.Iterator(opened)):
                frames.append(upscaler(frame.convert("RGBA")))
                durations.append(round(frame.info.get("duration", 100)))
                progress(number + 1, total)
        except (OSError, ValueError, SyntaxError) as error:
            raise ValueError(
                f"{source} is damaged or cut short ({error}): copy or download it again"
            ) from error
    options: dict[str, Any] = {"duration": durations, "loop": 0 if loop is None else loop}
    if kind == "GIF":
        options |= {"disposal": 2}  # each frame begins with an empty picture
        if loop is None:
            del options["loop"]  # shown once
    elif kind == "WEBP":
        options |= {"quality": quality}
    with atomic_write(target) as part:
        frames[0].save(part, kind, save_all=True, append_images=frames[1:], **options)
