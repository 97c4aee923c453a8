"""Luma and RGB, as the benchmark protocol of super-resolution sees them.

The network works on luma alone: "we only consider the luminance channel in YCbCr colour space"
(Shi et al. 2016, section 3.2).
"""

import numpy as np
import torch
from torch import Tensor

# ITU-R BT.601, studio range, for red, green and blue in 0..255 (MATLAB's rgb2ycbcr): the rows give
# Y (16 to 235), Cb and Cr (16 to 240).
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
    """Give RGB pictures `(..., 3, height, width)`, 0..255, in YCbCr: float64, not yet rounded."""
    return torch.einsum("ij,...jhw->...ihw", YCBCR_FROM_RGB, rgb.double()) + YCBCR_OFFSET


def from_ycbcr(ycbcr: Tensor) -> Tensor:
    """Undo `to_ycbcr`; beyond 0..255 where no colour has such a luma and chroma."""
    return torch.einsum("ij,...jhw->...ihw", RGB_FROM_YCBCR, ycbcr.double() - YCBCR_OFFSET)


def luma(rgb: Tensor) -> Tensor:
    """Give the luma of RGB pictures, rounded to whole grey levels.

    `rgb` is `(..., 3, height, width)`, 0..255; the luma is float64 `(..., 1, height, width)` and
    lies between 16 and 235, not between 0 and 255.
    """
    weights = YCBCR_FROM_RGB[:1]
    y = torch.einsum("ij,...jhw->...ihw", weights, rgb.double()) + YCBCR_OFFSET[0]
    return y.round()


def to_channels(pixels: np.ndarray, channels: int) -> Tensor:
    """Give a picture as a network takes it: uint8 `(channels, height, width)`, 0..255.

    `pixels` is a picture as `read_picture` gives it, uint8 or uint16 `(height, width, 1 to 4)`;
    its alpha is left out. `channels` is 1 for luma, 3 for RGB. A grey picture is used as it is, not
    scaled to 16..235: only so do the published figures of Set14 (whose bridge is grey) come out.
    """
    if pixels.dtype == np.uint16:
        pixels = np.round(pixels / 257.0).astype(np.uint8)
    picture = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    if len(picture) < 3:
        return picture[:1].repeat(channels, 1, 1)
    return picture[:3] if channels == 3 else luma(picture[:3]).to(torch.uint8)
