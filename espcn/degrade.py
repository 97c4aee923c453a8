"""How a high-resolution picture becomes a low-resolution one.

"We blur I^HR using a Gaussian filter and sub-sample it by a factor of r" (Shi et al. 2016, section
3.1). The blur's width is not given there, and the published figures are measured on MATLAB's
bicubic pictures without a blur; `blur` and `downsample` say which of all these is meant.
"""

import math

import numpy as np
import skimage.filters
import skimage.transform
import torch
import torch.nn.functional as F
from torch import Tensor

DOWNSAMPLE = ("bicubic", "skimage", "decimate")
TRUNCATE = 4.0  # the Gaussian ends at this many sigma, as SciPy's does


def check_degradation(r: int, blur: float, downsample: str) -> None:
    """Raise a ValueError that names the first of the three settings that `degrade` can't take."""
    if isinstance(r, bool) or not isinstance(r, int) or r < 2:
        raise ValueError(f"`r` (={r}) must be a whole number of at least 2: take 2, 3 or 4")
    if isinstance(blur, bool) or not isinstance(blur, int | float) or not 0 <= blur <= 100:
        raise ValueError(f"`blur` (={blur}) must be a sigma of 0 to 100 pixels: 0 is no blur")
    if downsample not in DOWNSAMPLE:
        raise ValueError(f"`downsample` (={downsample}) must be one of {', '.join(DOWNSAMPLE)}")


def degrade(image: Tensor, r: int, blur: float = 0.0, downsample: str = "bicubic") -> Tensor:
    """Give the low-resolution picture of a high-resolution one, rounded to 8 bits.

    `image` is uint8 `(..., height, width)`, both multiples of `r`; the result is uint8
    `(..., height / r, width / r)`. `blur` is the sigma of a Gaussian in high-resolution pixels, 0
    for none. `downsample` is

    - `bicubic`: MATLAB's `imresize`, with its antialiasing;
    - `skimage`: the notebook's way, `skimage.filters.gaussian`, then `skimage.transform.resize`,
      which blurs again, by a sigma of (r - 1) / 2;
    - `decimate`: the paper's words, keep every r-th pixel.
    """
    check_degradation(r, blur, downsample)
    height, width = image.shape[-2:]
    if height % r or width % r:
        raise ValueError(
            f"`image` height and width must be multiples of `r` (={r}), got ({height}, {width}): "
            "crop it first"
        )
    if downsample == "decimate":
        small = _decimate(image.double(), r, blur)
    elif downsample == "skimage":
        small = _skimage(image, r, blur)
    else:
        small = imresize(gaussian_blur(image.double(), blur), height // r, width // r)
    return small.round().clamp(0, 255).to(torch.uint8)


def crop_to_multiple(image: Tensor, r: int) -> Tensor:
    """Leave out the last rows and columns of `(..., height, width)` that `r` does not divide."""
    height, width = image.shape[-2:]
    return image[..., : height - height % r, : width - width % r]


def imresize(image: Tensor, height: int, width: int) -> Tensor:
    """Resize `(..., h, w)` as MATLAB's `imresize` does: bicubic, antialiased when it shrinks.

    PyTorch's antialiased interpolation is the same away from the border, where it leaves out what
    MATLAB mirrors; a symmetric margin, cut off afterwards, makes them agree everywhere. Factors
    must be whole, up or down, in both directions alike. Clips nothing, rounds nothing.
    """
    h, w = image.shape[-2:]
    margin = 4 * max(h // height, 1)  # beyond the kernel's reach, and a multiple of the factor
    padded = pad_symmetric(image, margin).reshape(1, -1, h + 2 * margin, w + 2 * margin)
    across, down = margin * width // w, margin * height // h
    resized = F.interpolate(
        padded, size=(height + 2 * down, width + 2 * across), mode="bicubic", antialias=True
    )
    return resized[..., down : down + height, across : across + width].reshape(
        *image.shape[:-2], height, width
    )


def gaussian_blur(image: Tensor, sigma: float, shift: float = 0.0) -> Tensor:
    """Blur `(..., height, width)` by a Gaussian, mirrored at the border.

    `sigma` is in pixels, 0 for no blur. `shift` (0 or 0.5) moves the sampling points down and to
    the right by so much of a pixel; at a sigma of 0 and a shift of 0.5 that leaves the mean of the
    two nearest pixels, the limit of ever narrower Gaussians.
    """
    kernel = torch.from_numpy(_gaussian(sigma, shift)).to(image.dtype)
    reach = len(kernel) // 2
    h, w = image.shape[-2:]
    padded = pad_symmetric(image, reach).reshape(-1, 1, h + 2 * reach, w + 2 * reach)
    blurred = F.conv2d(F.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])
    return blurred.reshape(image.shape)


def pad_symmetric(image: Tensor, margin: int) -> Tensor:
    """Mirror `(..., height, width)` beyond its borders, the border pixels themselves repeated."""
    for dim in (-2, -1):
        size = image.shape[dim]
        at = torch.arange(-margin, size + margin, device=image.device) % (2 * size)
        image = image.index_select(dim, torch.where(at < size, at, 2 * size - 1 - at))
    return image


def _gaussian(sigma: float, shift: float) -> np.ndarray:
    """Give an odd-sized normalised kernel, float64; `shift` > 0 leaves its first value 0."""
    if sigma < 0.01:  # beside exp(-5000) nothing counts
        return np.array([0.0, 0.5, 0.5] if shift else [1.0])
    reach = int(TRUNCATE * sigma + 0.5) + math.ceil(shift)
    distance = np.arange(-reach, reach + 1) - shift
    # Measured from the nearest pixel, so that the narrowest Gaussian still has weight somewhere.
    kernel = np.exp(-(distance**2 - np.min(distance**2)) / (2 * sigma**2))
    if shift:
        kernel[0] = 0.0  # as many pixels on the one side as on the other
    return kernel / kernel.sum()


def _decimate(image: Tensor, r: int, blur: float) -> Tensor:
    """Blur and keep every r-th pixel, so that both pictures stay centred on each other.

    A low-resolution pixel covers r x r high-resolution ones, and its centre is theirs: for odd r
    the middle pixel, for even r the corner between the four in the middle, so that the blur itself
    is shifted there by half a pixel.
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
