"""Traces of JPEG compression: the quantisation table, and a grid of 8x8 blocks in the pixels.

Quality means libjpeg's, 1 to 100, which scales the standard luma table. Other tables, from cameras
and other programs, are assigned the quality at which the standard table loses as much.
"""

import math
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F

from espcn.imaging.downsampling import crop_to_multiple

# ITU-T T.81, table K.1: luma, row by row, at libjpeg's quality 50.
STANDARD_LUMA = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
])  # fmt: skip
# Of natural pictures' coefficients, in grey levels: the deviation of the lowest, and how it falls
# with the frequency. Measured on T91 at half its size: 116, 67, 42, 29, 19, 13, 9 along a row.
LOWEST, FALL = 110.0, 1.5

# Qualities, and the mean quantisers at which excerpts by x264 have the same PSNR, on T91 at half
# its size. A JPEG of quality 100 loses less than all but lossless videos.
EQUAL_LOSS = (
    (10, 42.7), (20, 38.3), (30, 35.9), (40, 34.4), (50, 33.1), (60, 31.9), (70, 30.2), (80, 27.6),
    (90, 22.5), (95, 17.1), (100, 0.0),
)  # fmt: skip

SIDE = 384  # pixels of the detail in which a grid is looked for
ZERO = 0.6  # a coefficient below this was quantised to zero, but for rounding to whole levels
# By how much more of the high frequencies must be zero in one place of the grid than in the others.
# Of pictures made small by bicubic none of T91's reached 0.06, of JPEGs of quality 92 none was
# below 0.15.
LEAD = 0.1
LEAST_BLOCKS = 9  # for fewer, chance leads by as much
LEAST_GAIN = 0.1  # in log-likelihood, a coefficient: tiles of pixel art reach less by chance
LEAST_TOLD = 30  # coefficients: of fewer the gain of a quality counts less
_ROUNDING = 0.6  # grey levels: the deviation of a coefficient from its multiple of the step
_QUALITIES = np.arange(5, 99)


def standard_table(quality: int) -> np.ndarray:
    """Return the luma table that libjpeg makes for a quality.

    Args:
        quality: 1 to 100.

    Returns:
        Steps in grey levels, `(8, 8)`, from 1 to 255.
    """
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((STANDARD_LUMA * scale + 50) // 100, 1, 255)


def table_quality(table: np.ndarray) -> float:
    """Return the quality at which the standard table loses as much as this one.

    Args:
        table: Steps of luma in grey levels, `(8, 8)`, row by row.

    Returns:
        1 to 100.
    """
    # Ascending for `interp`: the loss falls with the quality.
    return float(np.interp(-_loss(table), [-one for one in _standard_losses()], np.arange(1, 101)))


def quality_quantizer(quality: float) -> float:
    """Return the QP at which H.264 loses about as much as a JPEG of some quality.

    Args:
        quality: 1 to 100.

    Returns:
        0 to 51; each increase by 6 doubles the step, which is one grey level at 4.
    """
    qualities, quantizers = zip(*EQUAL_LOSS, strict=True)
    return float(np.interp(quality, qualities, quantizers))


def grid_quality(pixels: np.ndarray) -> float | None:
    """Return the quality of the JPEG that a picture once was, estimated from its pixels.

    The blocks of a JPEG have many coefficients of exactly zero, but blocks that are not aligned
    with the grid do not. The table is then found from how close the other coefficients are to
    multiples of its steps.

    Args:
        pixels: uint8 `(height, width, 1 to 4)`; grey, or RGB, with or without alpha.

    Returns:
        5 to 98; None if there is no grid, if no quality explains its coefficients, or if the
        picture is too small to tell.
    """
    colors = _detail(pixels)
    luma = (
        colors[0] if len(colors) == 1 else 0.299 * colors[0] + 0.587 * colors[1] + 0.114 * colors[2]
    )
    if (luma.shape[0] // 8 - 1) * (luma.shape[1] // 8 - 1) < LEAST_BLOCKS:
        return None
    coefficients = F.conv2d(luma[None, None], _BASIS[_HIGH][:, None])[0]
    zeros = (coefficients.abs() < ZERO).float().mean(0)
    places = torch.stack([zeros[y::8, x::8].mean() for y in range(8) for x in range(8)])
    best = int(places.argmax())
    others = (places.sum() - places[best]) / 63
    if places[best] - others < LEAD:
        return None
    down, right = divmod(best, 8)
    luma, colors = luma[down:, right:], colors[:, down:, right:]
    blocks = _blocks(luma)
    # Clipping to RGB moves coefficients. Blocks without it tell more, where there are some.
    whole = _blocks((colors - 127.5).abs().amax(0)).amax(1) < 127
    if whole.sum() >= LEAST_BLOCKS:
        found = _steps_quality(blocks[whole], 0.1)
        if found is not None:
            return found
    return _steps_quality(blocks, 0.4)


@cache
def _standard_losses() -> tuple[float, ...]:
    """Return the losses of the standard tables of quality 1 to 100."""
    return tuple(_loss(standard_table(quality)) for quality in range(1, 101))


def _loss(table: np.ndarray) -> float:
    """Return the mean squared error that a table causes in natural pictures, in dB.

    A step much smaller than a coefficient's deviation costs step^2 / 12; a much larger one loses
    the whole coefficient.
    """
    power = (LOWEST / np.maximum(np.hypot(*np.mgrid[0:8, 0:8]), 0.5) ** FALL) ** 2
    steps = np.maximum(np.asarray(table, float), 1)  # a damaged file may say 0
    lost = power * -np.expm1(-(steps**2) / (12 * power))
    return 10 * math.log10(lost.sum())


def _detail(pixels: np.ndarray) -> torch.Tensor:
    """Return the middle of a picture, without alpha, float32 `(1 or 3, height, width)`."""
    height, width, channels = pixels.shape
    top, left = max(0, (height - SIDE) // 2), max(0, (width - SIDE) // 2)
    kept = pixels[top : top + SIDE, left : left + SIDE, : 3 if channels > 2 else 1]
    return torch.from_numpy(np.ascontiguousarray(kept.transpose(2, 0, 1), np.float32))


def _blocks(plane: torch.Tensor) -> torch.Tensor:
    """Return the 8x8 blocks of a plane, `(blocks, 64)`, row by row."""
    whole = crop_to_multiple(plane, 8)
    return F.unfold(whole[None, None], 8, stride=8)[0].T


def _steps_quality(blocks: torch.Tensor, outliers: float) -> float | None:
    """Return the quality whose steps explain the blocks' coefficients best; None if none does.

    The likelihood that coefficients were rounded to multiples of the steps is compared with that of
    a smooth distribution, allowing for a fraction of outliers. Coefficients that were rounded to
    zero carry no information about the step.
    """
    coefficients = (blocks @ _BASIS[_LOW].flatten(1).T).numpy()
    best, found = LEAST_GAIN, None
    for quality in _QUALITIES:
        steps = standard_table(int(quality)).ravel()[_LOW]
        multiples = np.round(coefficients / steps)
        told = (multiples != 0) & (steps > 2)  # smaller ones are lost in the rounding
        off, size = (
            (coefficients - multiples * steps)[told],
            np.broadcast_to(steps, told.shape)[told],
        )
        peak = size / (_ROUNDING * math.sqrt(2 * math.pi)) * np.exp(-((off / _ROUNDING) ** 2) / 2)
        gain = float(np.log((1 - outliers) * peak + outliers).sum()) / max(told.sum(), LEAST_TOLD)
        if gain > best:
            best, found = gain, float(quality)
    return found


def _basis() -> torch.Tensor:
    """Return the 64 basis functions of the orthonormal 8x8 DCT, float32 `(64, 8, 8)`."""
    k = np.arange(8)
    rows = 0.5 * np.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16)
    rows[0] /= math.sqrt(2)
    return torch.from_numpy(np.einsum("vy,ux->vuyx", rows, rows).reshape(64, 8, 8)).float()


_BASIS = _basis()
_FREQUENCY = np.add(*np.mgrid[0:8, 0:8]).ravel()  # u + v of each coefficient
_HIGH = np.flatnonzero(_FREQUENCY >= 6)
_LOW = np.flatnonzero((_FREQUENCY > 0) & (_FREQUENCY <= 4))
