"""Cropping, blurring and downsampling: the first half of making a low-resolution picture.

"We blur I^HR using a Gaussian filter and sub-sample it by a factor of r" (Shi et al. 2016, section
3.1); the published figures are measured on MATLAB's bicubic pictures.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from espcn.imaging.resize import imresize, pad_symmetric

TRUNCATE = 4.0  # the Gaussian ends at this many sigma, as SciPy's does


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
            sigma of 0 and a shift of 0.5 the result is the mean of the two nearest pixels, the
            limit as sigma approaches 0.

    Returns:
        The blurred image, of the same shape.
    """
    kernel = torch.from_numpy(_gaussian(sigma, shift)).to(image.dtype)
    radius = len(kernel) // 2
    h, w = image.shape[-2:]
    padded = pad_symmetric(image, radius).reshape(-1, 1, h + 2 * radius, w + 2 * radius)
    blurred = F.conv2d(F.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])
    return blurred.reshape(image.shape)


def bicubic(image: Tensor, r: int, blur: float) -> Tensor:
    """Blur, then downsample as MATLAB's `imresize` does, with its antialiasing.

    Args:
        image: `(..., height, width)`, both sides multiples of `r`.
        r: The factor.
        blur: Sigma of the Gaussian in pixels of `image`.

    Returns:
        float64 `(..., height / r, width / r)`, neither clipped nor rounded.
    """
    height, width = image.shape[-2:]
    return imresize(gaussian_blur(image.double(), blur), height // r, width // r)


def decimate(image: Tensor, r: int, blur: float) -> Tensor:
    """Blur and keep every r-th pixel, so that both pictures stay centred on each other.

    A low-resolution pixel covers r x r high-resolution ones and shares their centre: for odd r the
    middle pixel, for even r the corner of the four middle pixels, where the blur is shifted by half
    a pixel.

    Args:
        image: `(..., height, width)`, both sides multiples of `r`.
        r: The factor.
        blur: Sigma of the Gaussian in pixels of `image`.

    Returns:
        float64 `(..., height / r, width / r)`.
    """
    blurred = gaussian_blur(image.double(), blur, shift=0.0 if r % 2 else 0.5)
    first = (r - 1) // 2
    return blurred[..., first::r, first::r]


def skimage_resize(image: Tensor, r: int, blur: float) -> Tensor:
    """Blur and resize with scikit-image, as the notebook does.

    `resize` blurs again by a sigma of (r - 1) / 2.

    Args:
        image: uint8 `(..., height, width)`, both sides multiples of `r`.
        r: The factor.
        blur: Sigma of the first Gaussian in pixels of `image`.

    Returns:
        float64 `(..., height / r, width / r)`, 0..255, not rounded.
    """
    import skimage.filters
    import skimage.transform  # here, because they take longer to import than weights to load

    height, width = image.shape[-2:]
    pictures = image.reshape(-1, height, width).permute(1, 2, 0).numpy() / 255.0
    blurred = skimage.filters.gaussian(pictures, sigma=blur, channel_axis=-1)
    small = skimage.transform.resize(blurred, (height // r, width // r))
    small = torch.from_numpy(small).permute(2, 0, 1) * 255.0
    return small.reshape(*image.shape[:-2], height // r, width // r)


def _gaussian(sigma: float, shift: float) -> np.ndarray:
    """Return an odd-sized normalised kernel, float64; with `shift` > 0 its first value is 0."""
    if sigma < 0.01:  # every other weight is below exp(-5000)
        return np.array([0.0, 0.5, 0.5] if shift else [1.0])
    radius = int(TRUNCATE * sigma + 0.5) + math.ceil(shift)
    distance = np.arange(-radius, radius + 1) - shift
    # Measured from the nearest pixel, so that no narrow Gaussian underflows to zero everywhere.
    kernel = np.exp(-(distance**2 - np.min(distance**2)) / (2 * sigma**2))
    if shift:
        kernel[0] = 0.0  # as many pixels on each side
    return kernel / kernel.sum()


# By name, as configurations call them: functions of a uint8 image, r and the blur.
DOWNSAMPLE = {"bicubic": bicubic, "skimage": skimage_resize, "decimate": decimate}
