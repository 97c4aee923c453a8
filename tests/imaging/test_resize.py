"""Bicubic upscaling: MATLAB's, and moved by the part of a pixel that is asked for."""

import re

import pytest
import torch
import torch.nn.functional as F

from espcn.imaging.resize import bicubic_filters, imresize, pad_symmetric
from espcn.imaging.shuffle import shuffle


@pytest.mark.parametrize("r", [2, 3, 4])
def test_filters_upscale_as_imresize_does(r: int) -> None:
    picture = torch.rand(2, 1, 7, 9, dtype=torch.float64)
    large = shuffle(F.conv2d(pad_symmetric(picture, 2), bicubic_filters(r)), r)
    torch.testing.assert_close(large, imresize(picture, 7 * r, 9 * r), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(70, 70), (50, 25), (200, 100), (0, 0), (-100, -100), (150, 150)])
def test_size_that_is_no_whole_multiple_or_part_is_refused(size: tuple[int, int]) -> None:
    message = (
        rf"`height` and `width` \(={re.escape(str(size))}\) must be those of `image` \(100, 100\)"
    )
    with pytest.raises(ValueError, match=message):
        imresize(torch.zeros(100, 100), *size)


def test_whole_numbers_are_refused_which_would_round_the_result() -> None:
    with pytest.raises(ValueError, match=r"`image` must be floating point, got torch.uint8: give"):
        imresize(torch.zeros(4, 4, dtype=torch.uint8), 8, 8)


@pytest.mark.parametrize("shift", [0.0, 1 / 6, 0.25])
def test_shifted_filters_read_a_slope_where_they_should(shift: float) -> None:
    # Keys' cubic reproduces straight lines, so a slope says where it was sampled.
    r, slope = 3, torch.arange(20, dtype=torch.float64).expand(1, 1, 20, 20)
    large = shuffle(F.conv2d(slope, bicubic_filters(r, across=shift)), r)[0, 0, 5]
    places = (torch.arange(48, dtype=torch.float64) + 0.5) / r - 0.5 + 2 + shift
    torch.testing.assert_close(large, places, rtol=0, atol=1e-12)
