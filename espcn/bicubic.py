"""Bicubic enlargement by a whole factor, written as the network's last layer is.

Enlarging by r is one convolution at low resolution with r^2 filters, one for each place in the
r x r cell of a pixel, and the periodic shuffle: what the network learns, here known beforehand.
"""

import torch
from torch import Tensor

REACH = 2  # low-resolution pixels beyond its own that an output pixel looks at


def bicubic_filters(r: int, across: float = 0.0) -> Tensor:
    """Give the filters, float64 `(r^2, 1, 5, 5)`, of Keys' cubic (a = -1/2), MATLAB's.

    Their convolution of planes with two more pixels on each side, shuffled, is the enlarged plane.
    `across` moves the sampling points to the right, in low-resolution pixels, up to a half: for
    chroma that does not lie in the middle of its pixels.
    """
    down, right = _weights(r, 0.0), _weights(r, across)
    return torch.einsum("ay,bx->abyx", down, right).reshape(r * r, 1, 5, 5)


def _weights(r: int, shift: float) -> Tensor:
    """Give the weights of five neighbours for each of the r places: `(r, 5)`."""
    place = (torch.arange(r, dtype=torch.float64) + 0.5) / r - 0.5 + shift
    distance = (place[:, None] - torch.arange(-REACH, REACH + 1)).abs()
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
