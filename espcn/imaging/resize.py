"""Resizing by bicubic interpolation: MATLAB's `imresize`, and its filters as a convolution.

Upscaling by r is one convolution at low resolution with r^2 filters, one for each position in the
r x r cell of a pixel, followed by the periodic shuffle: the network learns such filters, and here
they are known in advance.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

BICUBIC_HALO = 2  # low-resolution pixels beyond its own that an output pixel depends on


def imresize(image: Tensor, height: int, width: int) -> Tensor:
    """Resize an image as MATLAB's `imresize` does: bicubic, antialiased when it shrinks.

    Away from the border, PyTorch's antialiased interpolation is the same. At the border it drops
    samples that MATLAB mirrors; a symmetric margin, cropped afterwards, makes them agree
    everywhere.

    Args:
        image: `(..., h, w)`, floating point.
        height: Height of the result in pixels; a whole multiple or fraction of `h`.
        width: Width of the result in pixels, resized by the same factor.

    Returns:
        `(..., height, width)`, neither clipped nor rounded.

    Raises:
        ValueError: `image` holds whole numbers, which would round the result, or `height` and
            `width` are not its size times or divided by one whole number.
    """
    if not image.is_floating_point():
        raise ValueError(
            f"`image` must be floating point, got {image.dtype}: give image.double(), and round "
            "the result"
        )
    h, w = image.shape[-2:]
    whole = height > 0 and (height % h == 0 or h % height == 0)
    if not whole or height * w != width * h:
        raise ValueError(
            f"`height` and `width` (={(height, width)}) must be those of `image` {(h, w)} times or "
            "divided by one whole number: crop it to a multiple first, or resize it to one and crop"
        )
    margin = 4 * max(h // height, 1)  # beyond the kernel, and a multiple of the factor
    padded = pad_symmetric(image, margin).reshape(1, -1, h + 2 * margin, w + 2 * margin)
    across, down = margin * width // w, margin * height // h
    resized = F.interpolate(
        padded, size=(height + 2 * down, width + 2 * across), mode="bicubic", antialias=True
    )
    return resized[..., down : down + height, across : across + width].reshape(
        *image.shape[:-2], height, width
    )


def pad_symmetric(image: Tensor, margin: int) -> Tensor:
    """Mirror an image beyond its borders; the border pixels themselves are repeated.

    Args:
        image: `(..., height, width)`.
        margin: Pixels to add on each side.

    Returns:
        `(..., height + 2 margin, width + 2 margin)`.
    """
    for dim in (-2, -1):
        size = image.shape[dim]
        at = torch.arange(-margin, size + margin, device=image.device) % (2 * size)
        image = image.index_select(dim, torch.where(at < size, at, 2 * size - 1 - at))
    return image


def bicubic_filters(r: int, across: float = 0.0) -> Tensor:
    """Return the filters of Keys' cubic (a = -1/2), which is MATLAB's.

    Pad planes by BICUBIC_HALO pixels on each side, convolve them with the filters, then shuffle:
    the result is the planes upscaled by r.

    Args:
        r: The factor.
        across: Shifts the sampling points to the right by this many low-resolution pixels, at most
            a half, for chroma that is not centred on its pixels.

    Returns:
        float64 `(r^2, 1, 5, 5)`.
    """
    down, right = _weights(r, 0.0), _weights(r, across)
    return torch.einsum("ay,bx->abyx", down, right).reshape(r * r, 1, 5, 5)


def _weights(r: int, shift: float) -> Tensor:
    """Return the weights of five neighbours for each of the r positions: `(r, 5)`."""
    place = (torch.arange(r, dtype=torch.float64) + 0.5) / r - 0.5 + shift
    distance = (place[:, None] - torch.arange(-BICUBIC_HALO, BICUBIC_HALO + 1)).abs()
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
