"""How a high-resolution picture becomes a low-resolution one.

"We blur I^HR using a Gaussian filter and sub-sample it by a factor of r" (Shi et al. 2016, section
3.1). The paper does not give the width of the blur, and its published figures are measured on
MATLAB's bicubic pictures without a blur. Real pictures and videos are compressed as well.
`Degradation` holds the settings of one such process.
"""

import dataclasses
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espcn import checks
from espcn.imaging.compression import (
    compress_h264,
    compress_jpeg,
    encoder_versions,
    is_studio_range,
)
from espcn.imaging.downsampling import DOWNSAMPLE
from espcn.imaging.motion import Motion

MAX_BLUR = 100  # high-resolution pixels
# The settings that may be a range, with their lowest and highest values.
AMOUNTS = {"noise": (0, 100), "jpeg": (1, 100), "h264": (0, 51)}
FRAMES = 16  # of the excerpt that is encoded as H.264

Amount = float | tuple[float, float] | None


@dataclass(frozen=True)
class Degradation:
    """The settings for making low-resolution pictures, for training and for scoring.

    Attributes:
        blur: Sigma of a Gaussian in high-resolution pixels, 0 to 100; 0 is no blur.
        downsample: The method. `bicubic` is MATLAB's `imresize` with its antialiasing. `skimage` is
            the notebook's method: `skimage.filters.gaussian`, then `skimage.transform.resize`,
            which blurs again by a sigma of (r - 1) / 2. `decimate` keeps every r-th pixel, as the
            paper says.
        noise: Sigma of the Gaussian noise that is added to the low-resolution picture before it is
            rounded, in grey levels, 0 to 100; None adds none.
        jpeg: Quality of the JPEG that the low-resolution picture is saved as, 1 to 100; None is
            no JPEG.
        h264: x264's constant rate factor, 0 to 51, at which the picture is encoded as a frame of a
            short clip in which it moves; None is no video.

    The steps are applied in this order. `noise`, `jpeg` and `h264` may be a range, `(low, high)`,
    from which each picture draws its own value.

    Raises:
        ValueError: A setting is out of its range; the message names it.
    """

    blur: float = 0.0
    downsample: str = "bicubic"
    noise: Amount = None
    jpeg: Amount = None
    h264: Amount = None

    def __post_init__(self) -> None:
        checks.number("blur", self.blur, "a sigma in pixels, 0 is no blur", most=MAX_BLUR)
        checks.choice("downsample", self.downsample, DOWNSAMPLE)
        object.__setattr__(self, "blur", float(self.blur))  # 1 and 1.0 are one setting
        for name in AMOUNTS:
            object.__setattr__(self, name, _amount(name, getattr(self, name)))

    @classmethod
    def from_settings(cls, stored: Mapping[str, Any]) -> "Degradation":
        """Build a degradation from a stored mapping, such as a run's configuration.

        Args:
            stored: Settings by name; other keys are ignored, and missing settings take their
                defaults. A value may be text, as in the metadata of weights.

        Returns:
            The degradation with these settings.

        Raises:
            ValueError: A setting is out of its range.
        """
        return cls(**{name: _from_text(stored[name]) for name in cls.names() if name in stored})

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of all settings, under which configurations store them.

        Returns:
            The names, in the order of the fields.
        """
        return tuple(field.name for field in dataclasses.fields(cls))

    def settings(self) -> dict[str, Any]:
        """Return the settings that differ from their defaults.

        Returns:
            Plain values by name, ranges as lists; `from_settings` builds the same degradation from
            them.
        """
        return {
            field.name: _plain(getattr(self, field.name))
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }

    @property
    def is_random(self) -> bool:
        """Whether the result depends on the seed."""
        ranges = any(isinstance(getattr(self, name), tuple) for name in AMOUNTS)
        return ranges or self.noise is not None or self.h264 is not None

    def encoders(self) -> dict[str, str]:
        """Return the versions of the encoders in use, since the result depends on them.

        Returns:
            Versions by the name of the setting; empty for a degradation without compression.
        """
        versions = encoder_versions()
        return {name: versions[name] for name in versions if getattr(self, name) is not None}

    def __str__(self) -> str:
        """Return the settings as written on the command line.

        Returns:
            Text like "blur=0.5 downsample=bicubic jpeg=[30,95]".
        """
        return " ".join(
            f"{name}={_text(value)}"
            for name, value in dataclasses.asdict(self).items()
            if value is not None
        )

    def draw(self, picture: Tensor, seed: int = 0) -> "Degradation":
        """Return the degradation for one picture, with a number in place of each range.

        Args:
            picture: The high-resolution picture. The draw depends only on its pixels and the seed,
                not on its position in a set or on the other settings.
            seed: Any whole number of at least 0.

        Returns:
            A degradation without ranges. Qualities are whole numbers.
        """
        drawn: dict[str, Any] = {}
        for name in AMOUNTS:
            value = getattr(self, name)
            if isinstance(value, tuple):
                random = _random(picture, seed, name)
                whole = name == "jpeg"
                drawn[name] = (
                    int(random.integers(value[0], value[1], endpoint=True))
                    if whole
                    else round(random.uniform(*value), 2)
                )
        return dataclasses.replace(self, **drawn)

    def __call__(
        self, picture: Tensor, r: int, seed: int = 0, full_range: bool | None = None
    ) -> Tensor:
        """Return the low-resolution version of a picture, rounded to 8 bits.

        Args:
            picture: uint8 `(..., height, width)`, both sides multiples of `r`. Leading dimensions
                are processed independently; for compression, a picture must be `(height, width)` or
                `(..., channels, height, width)`, with 1 channel for luma and 3 for RGB.
            r: The factor, at least 2.
            seed: Seed of the random draws, combined with a hash of the picture.
            full_range: Whether a single channel is a grey picture in 0..255 rather than luma; by
                default its pixels decide, unfit for a part of a picture or a resized one.

        Returns:
            uint8 `(..., height / r, width / r)`.

        Raises:
            ValueError: `r` is not a whole number of at least 2, or does not divide both sides.
        """
        checks.integer("r", r, 2, "choose 2, 3 or 4")
        height, width = picture.shape[-2:]
        if height % r or width % r:
            raise ValueError(
                f"`picture` height and width must be multiples of `r` (={r}), got "
                f"({height}, {width}): crop it first"
            )
        if all(getattr(self, name) is None for name in AMOUNTS):
            return _rounded(DOWNSAMPLE[self.downsample](picture, r, self.blur))
        if picture.ndim == 2:
            return self(picture[None], r, seed, full_range)[0]
        if picture.ndim > 3:
            return torch.stack([self(one, r, seed, full_range) for one in picture])
        return self.draw(picture, seed)._compressed(picture, r, seed, full_range)

    def excerpt(
        self, picture: Tensor, r: int, seed: int = 0, full_range: bool | None = None
    ) -> tuple[list[Tensor], int]:
        """Return the frames of the clip that `h264` encodes.

        One random frame shows the picture as it is, so that both intra and predicted frames occur.
        In the others it has moved; see `Motion`.

        Args:
            picture: uint8 `(channels, height, width)`, both sides multiples of `r`.
            r: The factor.
            seed: Seed of the motion, combined with a hash of the picture.
            full_range: As for `__call__`.

        Returns:
            uint8 frames `(channels, height / r, width / r)`, and the index of that frame.
        """
        random = _random(picture, seed, "motion")
        shown = int(random.integers(FRAMES))
        motion = Motion.draw(random, r)
        noise = _random(picture, seed, "pixels")
        frames = [
            self._still(motion.frame(picture, number - shown), r, noise, full_range)
            for number in range(FRAMES)
        ]
        return frames, shown

    def _compressed(self, picture: Tensor, r: int, seed: int, full_range: bool | None) -> Tensor:
        """Return the low-resolution version of `(channels, height, width)`, without ranges."""
        if self.h264 is None:
            return self._still(picture, r, _random(picture, seed, "pixels"), full_range)
        frames, shown = self.excerpt(picture, r, seed, full_range)
        return compress_h264(frames, self.h264)[shown]  # type: ignore[arg-type]

    def _still(
        self, picture: Tensor, r: int, noise: np.random.Generator, full_range: bool | None
    ) -> Tensor:
        """Apply all steps except video compression."""
        small = DOWNSAMPLE[self.downsample](picture, r, self.blur)
        if self.noise is not None:
            small = small + torch.from_numpy(noise.normal(0.0, self.noise, small.shape))  # type: ignore[arg-type]
        if self.jpeg is None:
            return _rounded(small)
        # It rounds in the file's range. The interpolation's overshoot says nothing of the range.
        if full_range is None:
            full_range = not is_studio_range(picture)
        return compress_jpeg(small, self.jpeg, full_range)  # type: ignore[arg-type]


def _rounded(small: Tensor) -> Tensor:
    return small.round().clamp(0, 255).to(torch.uint8)


def _random(picture: Tensor, seed: int, purpose: str) -> np.random.Generator:
    """Return a random number generator for one picture and one purpose."""
    pixels = zlib.crc32(np.ascontiguousarray(picture.numpy()).tobytes())
    return np.random.default_rng([seed, pixels, zlib.crc32(purpose.encode())])


def _amount(name: str, value: Any) -> Amount:
    """Check a number or a range and return it; a range of equal ends becomes a number."""
    least, most = AMOUNTS[name]
    kinds = int if name == "jpeg" else int | float
    if value is None:
        return None
    is_range = isinstance(value, Sequence) and not isinstance(value, str)
    both = list(value) if is_range else [value]
    numbers = [x for x in both if isinstance(x, kinds) and not isinstance(x, bool)]
    if (
        len(numbers) != len(both)
        or len(both) != 1 + is_range
        or not all(least <= x <= most for x in numbers)
        or numbers != sorted(numbers)
    ):
        rule = "a whole number" if name == "jpeg" else "a number"
        given = f"[{','.join(map(repr, both))}]" if is_range else repr(value)
        raise ValueError(
            f"`{name}` (={given}) must be {rule} of {least} to {most}, or a range [low,high] of "
            "them: null is none"
        )
    low, high = numbers[0], numbers[-1]
    if name == "noise" and high == 0:
        return None
    return low if low == high else (low, high)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_text, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _from_text(value: Any) -> Any:
    """Parse a number from text; return any other text unchanged."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


BENCHMARK = Degradation()  # the field's protocol: MATLAB's bicubic, no blur
