"""Grey levels of samples, and samples of grey levels; expected values are worked out by hand."""

import numpy as np
import pytest
import torch

from espcn.imaging.levels import LUMA_FROM_RGB, RGB_FROM_LUMA, grey_levels, limited, luma_levels

CPU = torch.device("cpu")
# The samples of black, a fifth and white, of each type.
FIFTHS = {
    "uint8": [0, 51, 255],
    "uint16": [0, 13107, 65535],
    "float32": [0, 0.2, 1],
    "float64": [0, 0.2, 1],
}


@pytest.mark.parametrize("name", FIFTHS)
def test_samples_of_any_type_are_levels_of_0_to_255(name: str) -> None:
    pixels = np.array(FIFTHS[name], name).reshape(1, 3, 1) * np.ones((1, 1, 2), name)
    levels = grey_levels(pixels, CPU)
    assert levels.dtype == torch.float32
    assert levels.shape == (2, 1, 3)
    np.testing.assert_allclose(levels, [[[0, 51, 255]]] * 2, rtol=1e-6)


def test_channels_come_first_and_rows_stay_rows() -> None:
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    assert grey_levels(pixels, CPU)[3, 1, 2] == pixels[1, 2, 3]


@pytest.mark.parametrize("name", FIFTHS)
def test_levels_return_to_the_samples_that_they_were(name: str) -> None:
    pixels = np.array(FIFTHS[name], name).reshape(1, 3, 1)
    samples = limited(grey_levels(pixels, CPU), pixels.dtype)
    assert samples.dtype == getattr(torch, name)
    np.testing.assert_allclose(samples.double()[0], pixels[..., 0].astype(float), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("uint8", [0, 100, 101, 255]),
        ("uint16", [0, 25803, 25854, 65535]),  # 100.4 and 100.6 times 257, rounded
        ("float32", [0, 100.4 / 255, 100.6 / 255, 1]),
        ("float64", [0, 100.4 / 255, 100.6 / 255, 1]),
    ],
)
def test_levels_are_clipped_and_rounded_for_whole_numbers(name: str, expected: list) -> None:
    levels = torch.tensor([-3.0, 100.4, 100.6, 256.0])
    assert limited(levels, np.dtype(name)).tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("whole", [False, True])
def test_grey_has_the_luma_of_three_equal_channels(channels: int, whole: bool) -> None:
    planes = torch.rand(channels, 2, 3) * 255
    luma = luma_levels(planes, whole)
    assert torch.equal(luma, luma_levels(planes[:1].repeat(3, 1, 1), whole))
    wanted = planes[:1] * 219 / 255 + 16
    torch.testing.assert_close(luma, wanted.round() if whole else wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("channels", [3, 4])
def test_luma_of_colours_is_that_of_bt601(channels: int) -> None:
    # White is 235, and green 16 + 128.553 = 144.553, whatever their alpha.
    planes = torch.zeros(channels, 1, 2)
    planes[:3, 0, 0] = planes[1, 0, 1] = 255
    planes[3:] = 77
    assert luma_levels(planes, False)[0, 0].tolist() == pytest.approx([235, 144.553], abs=1e-4)
    assert luma_levels(planes, True).tolist() == [[[235, 145]]]


def test_gain_of_luma_undoes_its_weights() -> None:
    # One level of luma is as much of R, G and B each as has that luma.
    assert RGB_FROM_LUMA * float(LUMA_FROM_RGB.sum()) == pytest.approx(1, rel=1e-6)
