"""How a high-resolution picture becomes a low-resolution one.

"We blur I^HR using a Gaussian filter and sub-sample it by a factor of r" (Shi et al. 2016, section
3.1). The paper does not give the width of the blur, and its published figures are measured on
MATLAB's bicubic pictures without a blur. `Degradation` holds the settings of one such process.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import skimage.filters
import skimage.transform
import torch
import torch.nn.functional as F
from torch import Tensor

from espcn import checks
from espcn.imaging.resize import imresize, pad_symmetric

DOWNSAMPLE = ("bicubic", "skimage", "decimate")
MAX_BLUR = 100  # high-resolution pixels
TRUNCATE = 4.0  # the Gaussian ends at this many sigma, as SciPy's does


@dataclass(frozen=True)
class Degradation:
    """The settings that make low-resolution pictures, for training and for scoring.

    Attributes:
        blur: Sigma of a Gaussian in high-resolution pixels, 0 to 100; 0 is no blur.
        downsample: How pixels are dropped. `bicubic` is MATLAB's `imresize` with its antialiasing.
            `skimage` is the notebook's: `skimage.filters.gaussian`, then
            `skimage.transform.resize`, which blurs again by a sigma of (r - 1) / 2. `decimate`
            keeps every r-th pixel, as the paper says.

    Raises:
        ValueError: A setting is out of its range; the message names it.
    """

    blur: float = 0.0
    downsample: str = "bicubic"

    def __post_init__(self) -> None:
        if (
            isinstance(self.blur, bool)
            or not isinstance(self.blur, int | float)
            or not 0 <= self.blur <= MAX_BLUR
        ):
            raise ValueError(
                f"`blur` (={self.blur}) must be a sigma of 0 to {MAX_BLUR} pixels: 0 is no blur"
            )
        checks.choice("downsample", self.downsample, DOWNSAMPLE)
        object.__setattr__(self, "blur", float(self.blur))  # 1 and 1.0 are one setting

    @classmethod
    def from_settings(cls, stored: Mapping[str, Any]) -> "Degradation":
        """Build a degradation from a stored mapping, such as a run's configuration.

        Args:
            stored: Settings by name; other keys are ignored, and a missing setting has its default.
                A value may be text, as in the metadata of weights.

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
            Values by name; `from_settings` builds the same degradation from them.
        """
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }

    def __str__(self) -> str:
        """Return the settings as on the command line.

        Returns:
            Text like "blur=0.5 downsample=bicubic".
        """
        return " ".join(
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in dataclasses.asdict(self).items()
        )

    def __call__(self, picture: Tensor, r: int) -> Tensor:
        """Return the low-resolution version of a picture, rounded to 8 bits.

        Args:
            picture: uint8 `(..., height, width)`, both sides multiples of `r`. Leading dimensions
                are processed independently.
            r: The factor, at least 2.

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
        if self.downsample == "decimate":
            small = _decimate(picture.double(), r, self.blur)
        elif self.downsample == "skimage":
            small = _skimage(picture, r, self.blur)
        else:
            blurred = gaussian_blur(picture.double(), self.blur)
            small = imresize(blurred, height // r, width // r)
        return small.round().clamp(0, 255).to(torch.uint8)


BENCHMARK = Degradation()  # the field's protocol: MATLAB's bicubic, no blur


def _from_text(value: Any) -> Any:
    """Parse a number from text; return any other text unchanged."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def crop_to_multiple(image: Tensor, r: int) -> Tensor:
    """Crop the last rows and columns, so that `r` divides both sides.

    Args:
        image: `(..., height, width)`.
        r: The factor.

    Returns:
        A view of the cropped image.
    """
    height, width = image.shape[-2:]
    return image[..., : height - height % r, : width - width % r]


def gaussian_blur(image: Tensor, sigma: float, shift: float = 0.0) -> Tensor:
    """Blur an image by a Gaussian, mirrored at the border.

    Args:
        image: `(..., height, width)`, floating point.
        sigma: Standard deviation in pixels; 0 is no blur.
        shift: 0 or 0.5, the shift of the sampling points down and to the right in pixels. With a
            sigma of 0 and a shift of 0.5 the result is the mean of the two nearest pixels, which
            is the limit for sigma to 0.

    Returns:
        The blurred image, of the same shape.
    """
    kernel = torch.from_numpy(_gaussian(sigma, shift)).to(image.dtype)
    radius = len(kernel) // 2
    h, w = image.shape[-2:]
    padded = pad_symmetric(image, radius).reshape(-1, 1, h + 2 * radius, w + 2 * radius)
    blurred = F.conv2d(F.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])
    return blurred.reshape(image.shape)


def _gaussian(sigma: float, shift: float) -> np.ndarray:
    """Return an odd-sized normalised kernel, float64; `shift` > 0 leaves its first value 0."""
    if sigma < 0.01:  # every other weight is below exp(-5000)
        return np.array([0.0, 0.5, 0.5] if shift else [1.0])
    radius = int(TRUNCATE * sigma + 0.5) + math.ceil(shift)
    distance = np.arange(-radius, radius + 1) - shift
    # Measured from the nearest pixel, so that no narrow Gaussian underflows to zero everywhere.
    kernel = np.exp(-(distance**2 - np.min(distance**2)) / (2 * sigma**2))
    if shift:
        kernel[0] = 0.0  # as many pixels on each side
    return kernel / kernel.sum()


def _decimate(image: Tensor, r: int, blur: float) -> Tensor:
    """Blur and keep every r-th pixel, so that both pictures stay centred on each other.

    A low-resolution pixel covers r x r high-resolution ones and shares their centre: for odd r the
    middle pixel, for even r the corner of the four middle pixels, where the blur is shifted by half
    a pixel.
    """
    blurred = gaussian_blur(image, blur, shift=0.0 if r % 2 else 0.5)
    first = (r - 1) // 2
    return blurred[..., first::r, first::r]


def _skimage(image: Tensor, r: int, blur: float) -> Tensor:
    height, width = image.shape[-2:]
    pictures = image.reshape(-1, height, width).permute(1, 2, 0).numpy() / 255.0
    blurred = skimage.filters.gaussian(pictures, sigma=blur, channel_axis=-1)
    small = skimage.transform.resize(blurred, (height // r, width // r))
    small = torch.from_numpy(small).permute(2, 0, 1) * 255.0
    return small.reshape(*image.shape[:-2], height // r, width // r)
