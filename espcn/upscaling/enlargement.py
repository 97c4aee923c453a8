"""Upscaling to any size: one or two upscaling steps, then a reduction.

The reduction is an antialiased Lanczos filter with three lobes on the stored samples, not in linear
light. The training pictures were downsampled that way, and linear light would require applying the
colour profile, which is only kept.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from espcn.network.strengths import Compression
from espcn.upscaling.size import Size, steps
from espcn.upscaling.tiles import ReadRows
from espcn.upscaling.upscaler import Upscaler


@dataclass(frozen=True)
class Enlargement:
    """The upscaling steps and the final size for a source.

    Attributes:
        steps: One or two upscalers, applied in order.
        width: Width of the result in pixels, at most the steps' product times that of the source.
        height: Height of the result in pixels.
    """

    steps: tuple[Upscaler, ...]
    width: int
    height: int

    @property
    def r(self) -> int:
        """The factor of all steps together."""
        return math.prod(step.r for step in self.steps)

    def suited_to(self, compression: Compression) -> "Enlargement":
        """Return this with weights that suit a compression; later steps have a clean input.

        Args:
            compression: How the source was compressed.

        Returns:
            An enlargement to the same size.
        """
        first, *others = self.steps
        return replace(self, steps=(first.suited_to(compression), *others))

    def bands(self, rows: ReadRows, height: int, width: int, channels: int) -> Iterator[np.ndarray]:
        """Upscale a picture in bands by all steps; they are not yet reduced.

        Args:
            rows: As for `Upscaler.bands`.
            height: The picture's height in pixels.
            width: Its width in pixels.
            channels: Its channels, 1 to 4.

        Returns:
            An iterator over upscaled rows, `(rows, r width, channels)`.
        """
        first, *others = self.steps
        bands, r = first.bands(rows, height, width, channels), first.r
        for step in others:
            bands = step.bands(
                _BandRows(bands, r * width, channels), r * height, r * width, channels
            )
            r *= step.r
        return bands


def enlargement(upscaler: Upscaler, size: Size | None, width: int, height: int) -> Enlargement:
    """Plan the upscaling steps and the final size for a source.

    Args:
        upscaler: The upscaler, which can also provide the other shipped factors.
        size: The size of the result; None for the upscaler's factor.
        width: The source's width in pixels.
        height: Its height in pixels.

    Returns:
        The plan.

    Raises:
        LargeEnough: The source is already as large as requested.
        ValueError: The result is larger than two steps can make it.
    """
    if size is None:
        return Enlargement((upscaler,), upscaler.r * width, upscaler.r * height)
    large = size.of(width, height)
    factors = steps((width, height), large, upscaler.factors)
    return Enlargement(tuple(map(upscaler.by, factors)), *large)


class _BandRows:
    """The rows of a picture that arrives in bands, read from top to bottom.

    Args:
        bands: The bands.
        width: Their width in pixels.
        channels: Their channels.
    """

    def __init__(self, bands: Iterator[np.ndarray], width: int, channels: int) -> None:
        self._bands, self._top = bands, 0
        self._kept = np.empty((0, width, channels), np.uint8)  # of no type, as it is empty

    def __call__(self, top: int, bottom: int) -> np.ndarray:
        self._kept, self._top = self._kept[top - self._top :], top
        while len(self._kept) < bottom - top:
            self._kept = np.concatenate([self._kept, next(self._bands)])
        return self._kept[: bottom - top]
