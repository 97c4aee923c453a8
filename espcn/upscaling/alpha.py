"""Colours under transparency, which become visible when a picture is resized.

A white disc on transparent black has black neighbours: if they are interpolated unchanged, its edge
turns grey. Visible colours are therefore extended outwards before interpolation.
"""

import numpy as np
import torch
import torch.nn.functional as F

REACH = 8  # pixels that colours bleed outwards: more than a visible pixel of the result looks at
_SIGMA = 1.5  # of the weights with which visible colours count: the nearest count most


def bleed(pixels: np.ndarray) -> np.ndarray:
    """Return a picture whose fully transparent pixels take the colour of nearby visible ones.

    Args:
        pixels: `(height, width, 2 or 4)`: grey or RGB, and straight alpha; uint8, uint16 or floats.

    Returns:
        Pixels of the same type and alpha. Pixels that are at least partly visible, and those more
        than `REACH` away from any such pixel, keep their colour. `pixels` itself if nothing
        changes.
    """
    hidden = pixels[..., -1] <= 0
    if not hidden.any() or hidden.all():
        return pixels
    planes = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32))
    alpha = planes[-1:].clamp_min(0)
    weighted = torch.cat([planes[:-1] * alpha, alpha])[:, None]
    places = torch.arange(-REACH, REACH + 1, dtype=torch.float32)
    weights = torch.exp(-((places / _SIGMA) ** 2) / 2)
    for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
        weighted = F.conv2d(weighted, weights.view(shape), padding="same")
    near = weighted[-1, 0].numpy() > 0
    colors = (weighted[:-1, 0] / weighted[-1, 0]).permute(1, 2, 0).numpy()
    if pixels.dtype.kind == "u":
        colors = colors.round()
    filled = pixels.copy()
    changed = hidden & near
    filled[changed, :-1] = colors[changed]
    return filled
