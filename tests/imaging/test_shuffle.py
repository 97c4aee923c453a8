"""Expected layouts come from the paper's Eq. 4 as loops, or from PyTorch's own shuffle."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from espcn.imaging.shuffle import (
    SYMMETRIES,
    flip,
    flip_preshuffled,
    inverse,
    paper_order,
    paper_preshuffle,
    paper_shuffle,
    preshuffle,
    shuffle,
)

RS, CHANNELS = (2, 3, 4), (1, 3)
all_sizes = pytest.mark.parametrize(("r", "channels"), [(r, c) for r in RS for c in CHANNELS])


def numbered(*shape: int) -> Tensor:
    """Every value another, so that no two places can be confused."""
    return torch.arange(int(np.prod(shape))).reshape(shape)


@all_sizes
def test_paper_shuffle_is_equation_4(r: int, channels: int) -> None:
    height, width = 3, 5
    low = numbered(channels * r * r, height, width)
    t = low.permute(1, 2, 0)  # the paper's T[x, y, channel], x the first index
    expected = torch.empty(r * height, r * width, channels, dtype=low.dtype)
    for x in range(r * height):
        for y in range(r * width):
            for c in range(channels):
                at = channels * r * (y % r) + channels * (x % r) + c
                expected[x, y, c] = t[x // r, y // r, at]
    assert torch.equal(paper_shuffle(low, r), expected.permute(2, 0, 1))


@all_sizes
def test_shuffle_is_that_of_pytorch(r: int, channels: int) -> None:
    low = numbered(2, channels * r * r, 3, 5)
    assert torch.equal(shuffle(low, r), F.pixel_shuffle(low, r))


@all_sizes
def test_preshuffled_channel_holds_every_rth_pixel(r: int, channels: int) -> None:
    picture = numbered(2, channels, 3 * r, 5 * r)
    got = preshuffle(picture, r)
    assert got.shape == (2, channels * r * r, 3, 5)
    for c in range(channels):
        for row in range(r):
            for column in range(r):
                expected = picture[:, c, row::r, column::r]
                assert torch.equal(got[:, c * r * r + r * row + column], expected)


@all_sizes
def test_paper_order_leads_from_the_papers_channels_to_pytorchs(r: int, channels: int) -> None:
    order = paper_order(r, channels)
    assert order.dtype == torch.int64
    assert order.sort().values.tolist() == list(range(channels * r * r))
    low = numbered(channels * r * r, 3, 5)
    assert torch.equal(F.pixel_shuffle(low[order], r), paper_shuffle(low, r))


def test_paper_order_is_not_pytorchs() -> None:
    # For one channel the paper counts down the columns, PyTorch along the rows.
    assert paper_order(2, 1).tolist() == [0, 2, 1, 3]


@all_sizes
def test_preshuffle_and_shuffle_undo_each_other(r: int, channels: int) -> None:
    picture, low = numbered(2, channels, 2 * r, 3 * r), numbered(2, channels * r * r, 2, 3)
    assert torch.equal(shuffle(preshuffle(picture, r), r), picture)
    assert torch.equal(preshuffle(shuffle(low, r), r), low)
    assert torch.equal(paper_shuffle(paper_preshuffle(picture, r), r), picture)
    assert torch.equal(paper_preshuffle(paper_shuffle(low, r), r), low)


@pytest.mark.parametrize("count", [5, 6])
@pytest.mark.parametrize("one", [shuffle, paper_shuffle])
def test_channels_must_fill_whole_cells(one: Callable[[Tensor, int], Tensor], count: int) -> None:
    said = rf"`channels` must be a multiple of `r`\^2 \(=4\) in number, got {count} in \({count}, "
    with pytest.raises(ValueError, match=said):
        one(numbered(count, 3, 3), 2)


@pytest.mark.parametrize("one", [preshuffle, paper_preshuffle])
def test_picture_must_be_of_whole_cells(one: Callable[[Tensor, int], Tensor]) -> None:
    message = r"`picture` height and width must be multiples of `r` \(=3\), got \(4, 6\): crop it"
    with pytest.raises(ValueError, match=message):
        one(numbered(1, 4, 6), 3)


@pytest.mark.parametrize("one", [shuffle, preshuffle, paper_shuffle, paper_preshuffle])
def test_shuffle_wants_three_axes_and_a_factor(one: Callable[[Tensor, int], Tensor]) -> None:
    with pytest.raises(ValueError, match=r"must have at least three axes, .* got \(4, 4\): give"):
        one(numbered(4, 4), 2)
    for wrong in (0, -2, 2.0):
        with pytest.raises(ValueError, match=r"`r` \(=.+\) must be a whole number of at least 1:"):
            one(numbered(4, 4, 4), wrong)  # type: ignore[arg-type]


def test_eight_symmetries_are_those_of_the_square() -> None:
    picture = numbered(3, 3)
    square = {
        np.rot90(side, turns).tobytes() for side in (picture, picture.mT) for turns in range(4)
    }
    got = [flip(picture, symmetry).contiguous().numpy().tobytes() for symmetry in SYMMETRIES]
    assert len(square) == len(got) == 8
    assert set(got) == square


def test_every_symmetry_has_one_that_undoes_it() -> None:
    picture = torch.arange(6).reshape(2, 3)
    for symmetry in SYMMETRIES:
        assert torch.equal(flip(flip(picture, symmetry), inverse(symmetry)), picture)


def test_bits_of_a_symmetry_mirror_and_transpose() -> None:
    picture = numbered(2, 3, 5)
    assert torch.equal(flip(picture, 0), picture)
    np.testing.assert_array_equal(flip(picture, 1), picture.numpy()[:, :, ::-1])
    np.testing.assert_array_equal(flip(picture, 2), picture.numpy()[:, ::-1])
    np.testing.assert_array_equal(flip(picture, 4), picture.numpy().transpose(0, 2, 1))
    both = picture.numpy()[:, ::-1, ::-1].transpose(0, 2, 1)
    np.testing.assert_array_equal(flip(picture, 7), both)


@all_sizes
@pytest.mark.parametrize("symmetry", range(8))
def test_flipping_what_is_preshuffled_flips_the_picture(
    symmetry: int, r: int, channels: int
) -> None:
    picture = numbered(2, channels, 4 * r, 3 * r)
    got = flip_preshuffled(F.pixel_unshuffle(picture, r), r, symmetry)
    assert torch.equal(F.pixel_shuffle(got, r), flip(picture, symmetry))
