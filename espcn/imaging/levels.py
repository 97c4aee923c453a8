"""Conversion of samples of any depth to grey levels of 0 to 255, the scale used for upscaling."""

import numpy as np
import torch
from torch import Tensor

from espcn.imaging.color import YCBCR_FROM_RGB, YCBCR_OFFSET

WHITE = {"uint8": 255, "uint16": 65535, "float32": 1, "float64": 1}  # by the type of samples
# The weights of RGB in luma, and the gain of luma in each of RGB, on a scale of 0 to 255.
LUMA_FROM_RGB = YCBCR_FROM_RGB[0].float()
RGB_FROM_LUMA = 255 / 219


def grey_levels(pixels: np.ndarray, device: torch.device) -> Tensor:
    """Return samples as grey levels.

    Args:
        pixels: `(height, width, channels)` of a type in WHITE.
        device: The device to put them on.

    Returns:
        float32 `(channels, height, width)`, 0..255.
    """
    planes = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32, order="C"))
    return planes.to(device) * (255 / WHITE[pixels.dtype.name])


def luma_levels(planes: Tensor, whole: bool) -> Tensor:
    """Return a picture's limited-range BT.601 luma; grey counts as three equal channels.

    Args:
        planes: Grey levels `(channels, height, width)`: grey or RGB first, then optionally alpha.
        whole: Round the luma.

    Returns:
        Grey levels `(1, height, width)`, 16..235.
    """
    if len(planes) < 3:
        planes = planes[:1].expand(3, -1, -1)
    weights = LUMA_FROM_RGB.to(planes.device)
    luma = torch.tensordot(weights, planes[:3], 1)[None] + float(YCBCR_OFFSET[0])
    return luma.round_() if whole else luma


def limited(levels: Tensor, dtype: np.dtype) -> Tensor:
    """Return grey levels as samples: scaled, clipped, and rounded for an integer type.

    Args:
        levels: Grey levels of any shape; they are overwritten.
        dtype: A type in WHITE.

    Returns:
        Samples of that type, of the same shape.
    """
    white = WHITE[dtype.name]
    kinds = {"uint8": torch.uint8, "uint16": torch.uint16, "float64": torch.float64}
    samples = levels.mul_(white / 255)
    if dtype.kind == "u":
        samples = samples.round_()
    return samples.clamp_(0, white).to(kinds.get(dtype.name, torch.float32))
