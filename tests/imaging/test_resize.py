"""Bicubic upscaling: MATLAB's, and moved by the part of a pixel that is asked for."""

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


@pytest.mark.parametrize("shift", [0.0, 1 / 6, 0.25])
def test_shifted_filters_read_a_slope_where_they_should(shift: float) -> None:
    # Keys' cubic reproduces straight lines, so a slope says where it was sampled.
    r, slope = 3, torch.arange(20, dtype=torch.float64).expand(1, 1, 20, 20)
    large = shuffle(F.conv2d(slope, bicubic_filters(r, across=shift)), r)[0, 0, 5]
    places = (torch.arange(48, dtype=torch.float64) + 0.5) / r - 0.5 + 2 + shift
    torch.testing.assert_close(large, places, rtol=0, atol=1e-12)
