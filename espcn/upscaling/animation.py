"""Upscale an animation frame by frame."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from PIL import Image
from PIL.Image import Resampling

from espcn.io.atomic import atomic_write
from espcn.io.signatures import first_bytes, picture_suffix
from espcn.io.writing import MAX_SIDE, QUALITY
from espcn.network.strengths import NONE
from espcn.upscaling.enlargement import enlargement
from espcn.upscaling.picture import Progress
from espcn.upscaling.remarks import Remarks
from espcn.upscaling.size import Size
from espcn.upscaling.upscaler import Upscaler

KEPT = ("icc_profile", "exif", "dpi")  # in Pillow's words
# What Pillow raises of damaged files.
DAMAGED = (
    OSError, ValueError, SyntaxError, IndexError, EOFError, struct.error,
    Image.DecompressionBombError,
)  # fmt: skip
ANIMATED = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG"}
MAX_ANIMATION = 400_000_000  # pixels of all upscaled frames: 1.6 GB


def upscale_animation(
    upscaler: Upscaler,
    source: str | Path,
    target: str | Path,
    size: Size | None = None,
    quality: int = QUALITY,
    progress: Progress = lambda done, total: None,
) -> Remarks:
    """Upscale an animated GIF, WebP or PNG to the same format.

    Frames keep their durations; the file keeps its number of repetitions, colour profile, EXIF and
    resolution. Frames are upscaled in full, since partial updates would be blended differently at
    another size. All are held in memory.

    Args:
        upscaler: The upscaler for its frames.
        source: The animation.
        target: The file to write, with a suffix of the source's format.
        size: The size of the result; by default the upscaler's factor.
        quality: Quality of a WebP, 1 to 100.
        progress: See `upscale_picture`, with frames instead of rows.

    Returns:
        Which weights were used, and what is not kept. The frames are taken as clean unless the
        upscaler was made with a compression.

    Raises:
        LargeEnough: `source` is already as large as `size`.
        ValueError: `target` has another format, the animation is damaged, or too large for memory.
        OSError: The target can't be written.
    """
    source, target = Path(source), Path(target)
    kind = ANIMATED.get(suffix := picture_suffix(source) or "")
    if kind is None:
        raise ValueError(f"{source} must be an animated GIF, WebP or PNG")
    if ANIMATED.get(target.suffix.lower()) != kind:
        raise ValueError(
            f"{target} must end in {suffix}, as {source} is an animated {kind}: name it with -o"
        )
    frames: list[np.ndarray] = []
    durations: list[float] = []  # in ms, whole ones except in a PNG
    with _read(source, Image.open, source, "r", (kind,)) as opened:
        total, loop = _read(source, getattr, opened, "n_frames", 1), opened.info.get("loop")
        options: dict[str, Any] = {name: opened.info[name] for name in KEPT if name in opened.info}
        if options.get("icc_profile", b"")[16:20] == b"GRAY":  # the frames become colours
            del options["icc_profile"]
        # A PNG has perhaps one more at first, for programs that play no animation.
        apart = getattr(opened, "default_image", False)
        found = upscaler.compression or NONE
        wanted = enlargement(upscaler, size, *opened.size).suited_to(found)
        pixels = total * wanted.width * wanted.height
        most = MAX_SIDE[kind.lower()]
        if max(wanted.width, wanted.height) > most:
            raise ValueError(
                f"{target} would be {wanted.width} x {wanted.height} pixels, but {kind} holds at "
                f"most {most} a side: choose a smaller size"
            )
        if pixels > MAX_ANIMATION:
            raise ValueError(
                f"{source} would have {total} frames, {pixels // 10**6} megapixels in total, over "
                f"{MAX_ANIMATION // 10**6}: convert it to a video first, for example with FFmpeg"
            )
        for number in range(total):
            _read(source, opened.seek, number)
            large = _read(source, rgba, opened)
            durations.append(opened.info.get("duration", 100))
            for step in wanted.steps:
                large = step(large)
            large = large.resize((wanted.width, wanted.height), Resampling.LANCZOS)
            frames.append(np.asarray(large))
            progress(number + 1, total)
    with atomic_write(target) as part:
        if kind == "GIF":
            part.write_bytes(_gif(frames, durations, loop))
        else:
            options |= {"duration": durations[apart:], "loop": 0 if loop is None else loop}
            options |= {"quality": quality} if kind == "WEBP" else {"default_image": apart}
            first, *others = map(Image.fromarray, frames)
            first.save(part, kind, save_all=True, append_images=others, **options)
    remarks = Remarks(compression=f"{found}, {wanted.steps[0].strength}")
    if kind == "PNG" and first_bytes(source, 25)[24] == 16:
        remarks.left_out.append("its 16 bits: an animated PNG is written with 8")
    return remarks


def rgba(frame: Image.Image) -> Image.Image:
    """Return a frame as RGBA of 8 bits.

    Args:
        frame: The frame, of any mode.

    Returns:
        The frame.
    """
    if frame.mode.startswith("I"):  # grey of 16 bits, which Pillow would clip at 255
        frame = Image.fromarray(np.round(np.asarray(frame) / 257).astype(np.uint8))
    return frame.convert("RGBA")


def _gif(frames: list[np.ndarray], durations: list[float], loop: int | None) -> bytes:
    """Return RGBA frames as a GIF; a pixel is visible if its alpha is at least 128.

    libvips writes it, because Pillow shows every pixel with any alpha, in a palette for RGBA that
    is 8 dB worse.
    """
    column = pyvips.Image.arrayjoin([pyvips.Image.new_from_array(one) for one in frames], across=1)
    column = column.copy(interpretation="srgb")
    column.set_type(pyvips.GValue.gint_type, "page-height", len(frames[0]))
    column.set_type(pyvips.GValue.array_int_type, "delay", durations)
    # A file counts repetitions, and 0 is forever; libvips counts how often it is shown.
    shown = 1 if loop is None else loop and loop + 1
    column.set_type(pyvips.GValue.gint_type, "loop", shown)
    # Dither would differ from frame to frame, and flicker. More effort takes twice as long.
    return column.gifsave_buffer(dither=0, effort=5, keep_duplicate_frames=True)


def _read(source: Path, get: Callable[..., Any], *arguments: Any) -> Any:
    """Return what Pillow gives, or raise a ValueError that names the file."""
    try:
        return get(*arguments)
    except DAMAGED as error:
        raise ValueError(
            f"{source} is damaged or cut short ({error}): copy or download it again"
        ) from error
