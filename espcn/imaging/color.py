"""Luma and RGB, as defined in the super-resolution benchmark protocol.

The network works on luma alone: "we only consider the luminance channel in YCbCr colour space"
(Shi et al. 2016, section 3.2).
"""

import numpy as np
import torch
from torch import Tensor

# ITU-R BT.601, limited range, for RGB in 0..255 (MATLAB's rgb2ycbcr). The rows yield Y (16 to 235),
# Cb and Cr (16 to 240).
YCBCR_FROM_RGB = (
    torch.tensor(
        [[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]],
        dtype=torch.float64,
    )
    / 255
)
RGB_FROM_YCBCR = torch.linalg.inv(YCBCR_FROM_RGB)
YCBCR_OFFSET = torch.tensor([16.0, 128.0, 128.0], dtype=torch.float64)[:, None, None]


def to_ycbcr(rgb: Tensor) -> Tensor:
    """Convert RGB pictures to YCbCr.

    Args:
        rgb: `(..., 3, height, width)`, 0..255.

    Returns:
        float64 of the same shape, not yet rounded: Y in 16..235, Cb and Cr in 16..240.
    """
    return torch.einsum("ij,...jhw->...ihw", YCBCR_FROM_RGB, rgb.double()) + YCBCR_OFFSET


def from_ycbcr(ycbcr: Tensor) -> Tensor:
    """Convert YCbCr pictures to RGB, the inverse of `to_ycbcr`.

    Args:
        ycbcr: `(..., 3, height, width)`: Y in 16..235, Cb and Cr in 16..240.

    Returns:
        float64 of the same shape; outside 0..255 for YCbCr values that correspond to no RGB colour.
    """
    return torch.einsum("ij,...jhw->...ihw", RGB_FROM_YCBCR, ycbcr.double() - YCBCR_OFFSET)


def luma(rgb: Tensor) -> Tensor:
    """Return the luma of RGB pictures, rounded to whole grey levels.

    Args:
        rgb: `(..., 3, height, width)`, 0..255.

    Returns:
        float64 `(..., 1, height, width)`, in 16..235, not in 0..255.
    """
    weights = YCBCR_FROM_RGB[:1]
    y = torch.einsum("ij,...jhw->...ihw", weights, rgb.double()) + YCBCR_OFFSET[0]
    return y.round()


def to_channels(pixels: np.ndarray, channels: int) -> Tensor:
    """Convert a picture to the input of a network.

    A grey picture is used unchanged, not scaled to 16..235. Only this reproduces the published
    figures for Set14, which contains the grey `bridge`.

    Args:
        pixels: uint8 or uint16 `(height, width, 1 to 4)`, as `read_picture` returns it; alpha is
            ignored.
        channels: 1 for luma, 3 for RGB.

    Returns:
        uint8 `(channels, height, width)`, 0..255.
    """
    if pixels.dtype == np.uint16:
        pixels = np.round(pixels / 257.0).astype(np.uint8)
    picture = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    if len(picture) < 3:
        return picture[:1].repeat(channels, 1, 1)
    return picture[:3] if channels == 3 else luma(picture[:3]).to(torch.uint8)
