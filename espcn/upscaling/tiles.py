"""Tiles of pictures and planes of video: luma with the network, everything else bicubically.

Tiles include a halo. Memory stays bounded for a picture of any size, and the result is the same as
without tiles.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from espcn.imaging.levels import (
    LUMA_FROM_RGB,
    RGB_FROM_LUMA,
    grey_levels,
    limited,
    luma_levels,
)
from espcn.imaging.resize import BICUBIC_HALO, bicubic_filters
from espcn.network.engine import Beyond, Engine, Engines
from espcn.network.model import HALO
from espcn.upscaling.alpha import REACH, bleed

BAND = 1_000_000  # low-resolution pixels in memory at a time
TILE_WIDTH = 512  # low-resolution pixels

ReadRows = Callable[[int, int], np.ndarray]


def upscaled_bands(
    engines: Engines, rows: ReadRows, height: int, width: int, channels: int
) -> Iterator[np.ndarray]:
    """Upscale a picture in bands, from top to bottom.

    Args:
        engines: The network.
        rows: Returns rows `top` to `bottom` of the picture, `(bottom - top, width, channels)`. It
            is called from top to bottom; successive calls overlap by the halo.
        height: The picture's height in pixels.
        width: Its width in pixels.
        channels: Its channels, 1 to 4.

    Yields:
        Upscaled rows, `(rows, r width, channels)`.
    """
    r, beside = engines.r, ((HALO, HALO), (0, 0))
    reach = REACH if channels in (2, 4) else 0
    for top, bottom in _parts(
        height, max(4, min(BAND // width, engines.quick.tile // min(width, TILE_WIDTH)))
    ):
        above, below = min(top, HALO), min(height - bottom, HALO)
        if reach:  # colours come from farther away than what is upscaled
            first, last = max(0, top - above - reach), min(height, bottom + below + reach)
            held = bleed(rows(first, last))[top - above - first : bottom + below - first]
        else:
            held = rows(top - above, bottom + below)
        margins = ((HALO - above, HALO - below), *beside)
        # The network is trained on replicated borders; MATLAB's bicubic mirrors them.
        repeated, mirrored = (np.pad(held, margins, mode) for mode in ("edge", "symmetric"))
        band = np.empty((r * (bottom - top), r * width, channels), held.dtype)
        for left, right in _parts(width, TILE_WIDTH):
            context = slice(left, right + 2 * HALO)
            beyond = _beyond((top, bottom, height), (left, right, width))
            band[:, r * left : r * right] = _tile(
                engines, repeated[:, context], mirrored[:, context], beyond
            )
        yield band


@torch.inference_mode()
def upscale_luma(
    engines: Engines, plane: np.ndarray, bits: int, large: np.ndarray, full_range: bool = False
) -> None:
    """Upscale a luma plane.

    Args:
        engines: The network.
        plane: `(height, width)`, uint8 or uint16.
        bits: Bit depth, 8 or 10.
        large: The array to write to, `(r height, r width)`, or one row or column smaller.
        full_range: Whether black and white are 0 and 255 at 8 bits rather than 16 and 235.

    Raises:
        ValueError: It is an RGB network.
    """
    if engines.quick.channels != 1:
        raise ValueError(
            "only the luma of a video is upscaled, but the network in `ckpt` is for RGB: train one "
            "with channels=1, or leave `ckpt` out"
        )
    height, width = plane.shape
    if full_range:
        _upscale_grey(engines, plane, 2**bits - 1, large)
        return
    engine = engines.quick if bits == 8 else engines.exact
    levels = F.pad(_levels(plane, bits, engine), [HALO] * 4, mode="replicate")
    for top, bottom in _parts(height, max(16, engine.tile // width)):
        beyond = _beyond((top, bottom, height), (0, width, width))
        strip = engine(levels[..., top : bottom + 2 * HALO, :], beyond)[0]
        _store(strip, engine.r, bits, large[engine.r * top : engine.r * bottom])


@torch.inference_mode()
def upscale_chroma(
    engines: Engines, plane: np.ndarray, bits: int, large: np.ndarray, shift: float = 0.0
) -> None:
    """Upscale a chroma plane by bicubic interpolation.

    Args:
        engines: The network, whose factor and device are used.
        plane: `(height, width)`, uint8 or uint16.
        bits: Bit depth, 8 or 10.
        large: The array to write to, `(r height, r width)`, or one row or column smaller.
        shift: Shift of the sampling points to the right, in columns of `plane`, for chroma that is
            not centred between its luma columns.
    """
    engine = engines.quick
    levels = F.pad(_levels(plane, bits, engine), [BICUBIC_HALO] * 4, mode="replicate")
    filters = _interpolation(engine.r, shift, engine.device)
    _store(F.conv2d(levels, filters)[0], engine.r, bits, large)


def _beyond(rows: tuple[int, int, int], columns: tuple[int, int, int]) -> Beyond:
    """Return how far a tile's context lies beyond the border, from (begin, end, whole length)."""
    (above, below), (left, right) = (
        (max(0, HALO - begin), max(0, end + HALO - length))
        for begin, end, length in (rows, columns)
    )
    return Beyond(above, below, left, right)


def _parts(length: int, most: int) -> list[tuple[int, int]]:
    """Divide a length into parts of nearly equal size, none larger than `most`."""
    count = math.ceil(length / most)
    ends = [length * number // count for number in range(count + 1)]
    return list(itertools.pairwise(ends))


def _upscale_grey(engines: Engines, plane: np.ndarray, white: int, large: np.ndarray) -> None:
    """Upscale a full-range luma plane as a grey picture."""
    picture = plane[..., None]
    if white > 255:
        picture = picture / np.float32(white)
    (height, width), top = plane.shape, 0
    for band in upscaled_bands(engines, lambda first, last: picture[first:last], height, width, 1):
        part = large[top : top + len(band)]
        samples = band if white == 255 else np.rint(white * band)
        part[:] = samples[: len(part), : part.shape[1], 0]
        top += len(band)


@lru_cache(256)
def _interpolation(r: int, across: float, device: torch.device) -> Tensor:
    """Return the filters of `bicubic_filters` in float32 on a device."""
    # Ten times as fast in channels-last order, with one input channel.
    filters = bicubic_filters(r, across)
    return filters.to(device, torch.float32, memory_format=torch.channels_last)


@torch.inference_mode()
def _tile(
    engines: Engines, repeated: np.ndarray, mirrored: np.ndarray, beyond: Beyond
) -> np.ndarray:
    """Upscale a tile, `(height + 8, width + 8, channels)`, given with both kinds of border.

    Luma and bicubic interpolation are both linear in RGB. Therefore the network's luma replaces the
    bicubic one if their difference, scaled, is added to bicubic RGB, or to bicubic grey; chroma is
    unchanged. With an RGB network, only alpha is bicubic.
    """
    engine = engines.exact if repeated.dtype != np.uint8 else engines.quick
    planes = grey_levels(mirrored, engine.device)
    whole = engine.precision != "float32"
    known = grey_levels(repeated, engine.device)
    planes = torch.cat([planes, luma_levels(planes, whole)])
    inner = slice(HALO - BICUBIC_HALO, BICUBIC_HALO - HALO)
    filters = _interpolation(engine.r, 0.0, engine.device)
    large = F.conv2d(planes[:, None, inner, inner], filters)
    colors, luma = large[:-1], large[-1]  # each plane (r^2, height, width)
    if engine.channels == 3:
        made = _by_rgb(engine, known, beyond)
        colors[: len(made)] = made
        return _laid_out(limited(colors, repeated.dtype), engine.r)
    finer = engine(luma_levels(known, whole)[None], beyond)[0] - luma
    colors[: 3 if len(colors) > 2 else 1] += RGB_FROM_LUMA * finer
    return _laid_out(limited(colors, repeated.dtype), engine.r)


def _by_rgb(engine: Engine, known: Tensor, beyond: Beyond) -> Tensor:
    """Upscale grey levels `(1 to 4, height + 8, width + 8)` with an RGB network.

    Return `(3, r^2, height, width)`; for a grey picture, which the network gets as three equal
    channels, the luma of its output, `(1, r^2, height, width)`.
    """
    colored = len(known) > 2
    rgb = known[:3] if colored else known[:1].expand(3, -1, -1)
    made = engine(rgb[None], beyond)[0].unflatten(0, (3, -1))
    weights = RGB_FROM_LUMA * LUMA_FROM_RGB.to(made.device)
    return made if colored else torch.tensordot(weights, made, 1)[None]


def _laid_out(preshuffled: Tensor, r: int) -> np.ndarray:
    """Shuffle `(channels, r^2, height, width)` into `(r height, r width, channels)`."""
    c, _, h, w = preshuffled.shape
    cells = preshuffled.cpu().reshape(c, r, r, h, w)
    return cells.permute(3, 1, 4, 2, 0).reshape(h * r, w * r, c).numpy()


def _levels(plane: np.ndarray, bits: int, engine: Engine) -> Tensor:
    """Return samples as `(1, 1, height, width)` on the 8-bit scale: 10 bits add two binary places.

    There 64 to 940 becomes 16 to 235.
    """
    return torch.from_numpy(plane).to(engine.device, torch.float32)[None, None] / 2 ** (bits - 8)


def _store(levels: Tensor, r: int, bits: int, large: np.ndarray) -> None:
    """Round preshuffled levels, `(r^2, height, width)`, and store them shuffled in an array."""
    samples = levels if bits == 8 else levels * 2 ** (bits - 8)
    # Converted before the shuffle, and before a GPU returns it: a quarter of the bytes.
    kind = torch.uint8 if bits == 8 else torch.int16
    kept = samples.round_().clamp_(0, 2**bits - 1).to(kind)
    _, h, w = kept.shape
    cells = kept.reshape(r, r, h, w).permute(2, 0, 3, 1)
    target = torch.from_numpy(large.view(np.int16) if bits > 8 else large)
    if large.shape == (r * h, r * w):
        target.unflatten(1, (w, r)).unflatten(0, (h, r)).copy_(cells)
    else:
        rows, columns = large.shape
        target.copy_(cells.reshape(r * h, r * w)[:rows, :columns])
