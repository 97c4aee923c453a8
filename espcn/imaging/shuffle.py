"""The periodic shuffle, its inverse, and the symmetries of preshuffled pictures.

The network's last layer gives r^2 C channels at low resolution; the shuffle lays them out as C
channels at high resolution (Shi et al. 2016, Eq. 4). A "preshuffled" picture is a high-resolution
picture rearranged by the inverse, so that training can compare it directly with the network's
output.

Throughout this project the channels are in PyTorch's order: `c r^2 + r (row mod r) + (column mod
r)`. The paper's order is `C r (y mod r) + C (x mod r) + c`, with x the first index and y the
second; `paper_order` relates the two.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from espcn import checks

SYMMETRIES = range(8)  # of the square


def shuffle(channels: Tensor, r: int) -> Tensor:
    """Rearrange channels into pixels (Shi et al. 2016, Eq. 4), in PyTorch's channel order.

    Args:
        channels: `(..., C r^2, height, width)`.
        r: The factor.

    Returns:
        `(..., C, r height, r width)`.

    Raises:
        ValueError: `channels` has fewer than three axes or a number of channels that r^2 does not
            divide, or `r` is not a whole number of at least 1.
    """
    _check_channels(channels, r)
    return F.pixel_shuffle(channels, r)


def preshuffle(picture: Tensor, r: int) -> Tensor:
    """Rearrange pixels into channels, the inverse of `shuffle`.

    Args:
        picture: `(..., C, r height, r width)`.
        r: The factor.

    Returns:
        `(..., C r^2, height, width)`.

    Raises:
        ValueError: `picture` has fewer than three axes or sides that `r` does not divide, or `r` is
            not a whole number of at least 1.
    """
    _check(picture, "picture", r)
    height, width = picture.shape[-2:]
    if height % r or width % r:
        raise ValueError(
            f"`picture` height and width must be multiples of `r` (={r}), got {(height, width)}: "
            "crop it first"
        )
    return F.pixel_unshuffle(picture, r)


def paper_order(r: int, channels: int) -> Tensor:
    """Return the permutation `p` for which `shuffle(T[p], r)` equals `paper_shuffle(T, r)`.

    Args:
        r: The factor.
        channels: The number of channels C of the shuffled picture.

    Returns:
        int64 `(channels r^2,)`: for each channel in PyTorch's order, its index in the paper's.
    """
    places = torch.arange(channels * r * r).reshape(r, r, channels)  # (y mod r, x mod r, c)
    return places.permute(2, 1, 0).reshape(-1)  # (c, x mod r, y mod r): x is the row


def paper_shuffle(channels: Tensor, r: int) -> Tensor:
    """Apply the paper's Eq. 4 in the paper's channel order, for weights or targets in that order.

    PS(T)[x, y, c] = T[x // r, y // r, C r (y mod r) + C (x mod r) + c].

    Args:
        channels: `(..., C r^2, height, width)` in the paper's order.
        r: The factor.

    Returns:
        `(..., C, r height, r width)`.

    Raises:
        ValueError: `channels` has fewer than three axes or a number of channels that r^2 does not
            divide, or `r` is not a whole number of at least 1.
    """
    _check_channels(channels, r)  # or those that are too many would be left out
    return shuffle(channels[..., paper_order(r, channels.shape[-3] // r**2), :, :], r)


def paper_preshuffle(picture: Tensor, r: int) -> Tensor:
    """Rearrange pixels into channels in the paper's order, the inverse of `paper_shuffle`.

    Args:
        picture: `(..., C, r height, r width)`.
        r: The factor.

    Returns:
        `(..., C r^2, height, width)` in the paper's order.

    Raises:
        ValueError: `picture` has fewer than three axes or sides that `r` does not divide, or `r` is
            not a whole number of at least 1.
    """
    channels = preshuffle(picture, r)
    return channels[..., torch.argsort(paper_order(r, picture.shape[-3])), :, :]


def flip(picture: Tensor, symmetry: int) -> Tensor:
    """Apply one of the 8 symmetries of the square.

    Args:
        picture: `(..., height, width)`.
        symmetry: Three bits, 0 to 7: 1 flips horizontally, 2 vertically, 4 then transposes.

    Returns:
        The flipped picture; transposing exchanges height and width.
    """
    if symmetry & 1:
        picture = picture.flip(-1)
    if symmetry & 2:
        picture = picture.flip(-2)
    return picture.mT if symmetry & 4 else picture


def inverse(symmetry: int) -> int:
    """Return the symmetry that undoes another.

    Args:
        symmetry: As for `flip`.

    Returns:
        The inverse symmetry. If it transposes, horizontal and vertical flips are exchanged.
    """
    if symmetry & 4:
        return 4 | (symmetry & 1) << 1 | (symmetry & 2) >> 1
    return symmetry


def flip_preshuffled(channels: Tensor, r: int, symmetry: int) -> Tensor:
    """Apply a symmetry to preshuffled pictures, exactly.

    Equal to `preshuffle(flip(shuffle(channels)))`: the pixels within each r x r cell are permuted
    in the same way as the cells within the picture.

    Args:
        channels: `(..., C r^2, height, width)`.
        r: The factor.
        symmetry: As for `flip`.

    Returns:
        The flipped pictures, preshuffled.
    """
    count = channels.shape[-3]
    cells = torch.arange(count, device=channels.device).reshape(-1, r, r)
    return flip(channels, symmetry)[..., flip(cells, symmetry).reshape(-1), :, :]


def _check_channels(channels: Tensor, r: int) -> None:
    _check(channels, "channels", r)
    if channels.shape[-3] % r**2:
        raise ValueError(
            f"`channels` must be a multiple of `r`^2 (={r**2}) in number, got "
            f"{channels.shape[-3]} in {tuple(channels.shape)}: take another `r`"
        )


def _check(planes: Tensor, name: str, r: int) -> None:
    checks.integer("r", r, 1, "take 2, 3 or 4")
    if planes.ndim < 3:
        raise ValueError(
            f"`{name}` must have at least three axes, the last two height and width, got "
            f"{tuple(planes.shape)}: give {name}[None]"
        )
