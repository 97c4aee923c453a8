"""The periodic shuffle, its inverse, and the symmetries of preshuffled pictures.

The network's last layer gives r^2 C channels at low resolution; the shuffle lays them out as C
channels at high resolution (Shi et al. 2016, Eq. 4). "Preshuffled" is a high-resolution picture
taken apart in the same way, so that training compares it with the network's output as it is.

Throughout this project the channels stand in PyTorch's order: `c r^2 + r (row mod r) + (column
mod r)`. The paper's order is `C r (y mod r) + C (x mod r) + c`, with x the first index and y the
second; `paper_order` relates the two.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def shuffle(channels: Tensor, r: int) -> Tensor:
    """Lay out `(..., C r^2, height, width)` as `(..., C, r height, r width)`, PyTorch's order."""
    return F.pixel_shuffle(channels, r)


def preshuffle(picture: Tensor, r: int) -> Tensor:
    """Take `(..., C, r height, r width)` apart into `(..., C r^2, height, width)`: the inverse."""
    return F.pixel_unshuffle(picture, r)


def paper_order(r: int, channels: int) -> Tensor:
    """Give the permutation `p` with `shuffle(T[p], r)` equal to `paper_shuffle(T, r)`.

    `p` is int64 `(channels r^2,)`: where the paper keeps what PyTorch keeps at each place.
    """
    places = torch.arange(channels * r * r).reshape(r, r, channels)  # (y mod r, x mod r, c)
    return places.permute(2, 1, 0).reshape(-1)  # (c, x mod r, y mod r): x is the row


def paper_shuffle(channels: Tensor, r: int) -> Tensor:
    """Carry out the paper's Eq. 4 on `(..., C r^2, height, width)` in the paper's channel order.

    PS(T)[x, y, c] = T[x // r, y // r, C r (y mod r) + C (x mod r) + c], for whoever brings weights
    or targets in that order.
    """
    return shuffle(channels[..., paper_order(r, channels.shape[-3] // r**2), :, :], r)


def paper_preshuffle(picture: Tensor, r: int) -> Tensor:
    """Undo `paper_shuffle`: `(..., C, r height, r width)` to `(..., C r^2, height, width)`."""
    back = torch.argsort(paper_order(r, picture.shape[-3]))
    return preshuffle(picture, r)[..., back, :, :]


def flip(picture: Tensor, symmetry: int) -> Tensor:
    """Apply one of the 8 symmetries of the square to pictures `(..., height, width)`.

    `symmetry` is 0 to 7, of whose bits the first mirrors left and right, the second mirrors top
    and bottom, and the third, last of all, transposes.
    """
    if symmetry & 1:
        picture = picture.flip(-1)
    if symmetry & 2:
        picture = picture.flip(-2)
    return picture.mT if symmetry & 4 else picture


def flip_preshuffled(channels: Tensor, r: int, symmetry: int) -> Tensor:
    """Apply a symmetry to preshuffled pictures `(..., C r^2, height, width)`, exactly.

    Equal to `preshuffle(flip(shuffle(channels)))`: the pixels of each r x r cell change places
    within the cell as the cells do within the picture.
    """
    count = channels.shape[-3]
    cells = torch.arange(count, device=channels.device).reshape(-1, r, r)
    return flip(channels, symmetry)[..., flip(cells, symmetry).reshape(-1), :, :]
