"""Expected figures come from scikit-image, torchmetrics or arithmetic done by hand."""

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from espcn.imaging.metrics import PEAK, crop_border, is_scorable, psnr, quantize, ssim


def pair(height: int, width: int) -> tuple[Tensor, Tensor]:
    """A smooth picture and a noisy version of it, whole grey levels."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0:width]
    smooth = 128 + 60 * np.sin(x / 5) + 50 * np.cos(y / 7)
    noisy = np.clip(smooth + rng.normal(0, 12, smooth.shape), 0, 255)
    return torch.from_numpy(np.round(noisy)), torch.from_numpy(np.round(smooth))


def test_psnr_is_that_of_scikit_image() -> None:
    noisy, smooth = pair(40, 51)
    expected = peak_signal_noise_ratio(smooth.numpy(), noisy.numpy(), data_range=255)
    got = psnr(noisy, smooth, data_range=255)
    assert got == pytest.approx(expected, abs=1e-5)  # ours ends in float32


def test_psnr_of_one_grey_level_is_48_13_db() -> None:
    # A squared error of 1 at every pixel: 20 log10(255) = 48.1308 dB.
    black = torch.zeros(5, 7)
    assert psnr(black + 1, black, data_range=255) == pytest.approx(48.1308, abs=1e-4)
    half = black.clone()
    half[0, 0] = math.sqrt(35)  # the same error in one pixel of 35
    assert psnr(half, black, data_range=255) == pytest.approx(48.1308, abs=1e-4)


def test_psnr_is_the_same_on_every_scale() -> None:
    # An error of a tenth of the range: 20 log10(10) = 20 dB.
    grey = torch.full((5, 7), 0.5)
    assert psnr(grey + 0.1, grey, data_range=1) == pytest.approx(20, abs=1e-4)
    assert psnr(255 * grey + 25.5, 255 * grey, data_range=255) == pytest.approx(20, abs=1e-4)


def test_black_and_white_are_the_whole_range_apart() -> None:
    levels = torch.tensor([[0, 255]], dtype=torch.uint8)
    assert psnr(levels, levels.flip(1), data_range=PEAK) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_range_is_named(metric: Callable[..., float]) -> None:
    with pytest.raises(TypeError):
        metric(*pair(20, 20), 255)


def test_ssim_is_the_same_on_every_scale() -> None:
    noisy, smooth = pair(20, 20)
    expected = ssim(noisy, smooth, data_range=255)
    assert ssim(noisy / 255, smooth / 255, data_range=1) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_metrics_take_tensors_that_are_being_trained(metric: Callable[..., float]) -> None:
    noisy, smooth = pair(20, 20)
    got = metric(noisy.requires_grad_(), smooth, data_range=255)
    assert got == metric(noisy.detach(), smooth, data_range=255)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_metrics_want_a_range_and_pictures_of_one_shape(metric: Callable[..., float]) -> None:
    noisy, smooth = pair(20, 20)
    with pytest.raises(TypeError, match="data_range"):
        metric(noisy, smooth)
    for wrong in (0, -1.0, True, math.inf):
        with pytest.raises(
            ValueError, match=r"`data_range` \(=.+\) must be a number above 0: 255 for grey"
        ):
            metric(noisy, smooth, data_range=wrong)
    message = r"`picture` and `reference` must have the same shape, got \(20, 20\) and \(20, 19\):"
    with pytest.raises(ValueError, match=message):
        metric(noisy, smooth[:, 1:], data_range=255)


@pytest.mark.parametrize("shape", [(10, 20), (20, 10), (1, 20, 20)])
def test_ssim_wants_one_channel_that_holds_its_window(shape: tuple[int, ...]) -> None:
    picture = torch.zeros(shape)
    with pytest.raises(ValueError, match=r"`picture` must be \(height, width\), both at least 11,"):
        ssim(picture, picture, data_range=255)


def test_psnr_does_not_wrap_8_bits() -> None:
    black, white = torch.zeros(4, 4, dtype=torch.uint8), torch.full((4, 4), 255, dtype=torch.uint8)
    for one, two in ((black, white), (white, black)):
        got = psnr(one, two, data_range=255)
        assert got == pytest.approx(0, abs=1e-5)  # the error is the peak itself


def test_psnr_of_equal_pictures_is_infinite() -> None:
    assert psnr(pair(6, 6)[0], pair(6, 6)[0], data_range=255) == math.inf


@pytest.mark.parametrize(("height", "width"), [(40, 51), (11, 11), (11, 30)])
def test_ssim_is_the_mean_where_the_window_lies_within_the_picture(height: int, width: int) -> None:
    noisy, smooth = pair(height, width)
    _, full = structural_similarity_index_measure(
        noisy[None, None], smooth[None, None], data_range=255.0, return_full_image=True
    )
    expected = full[0, 0, 5:-5, 5:-5].mean().item()
    assert 0.1 < expected < 0.95
    assert ssim(noisy, smooth, data_range=255) == pytest.approx(expected, abs=1e-6)


def test_ssim_of_equal_pictures_is_1() -> None:
    noisy, _ = pair(20, 20)
    assert ssim(noisy, noisy, data_range=255) == pytest.approx(1, abs=1e-12)


def test_ssim_of_flat_pictures_compares_their_means() -> None:
    # Without variance only Wang's luminance term is left: (2ab + c) / (a^2 + b^2 + c), with
    # c = (0.01 x 255)^2; for 100 and 110 that is 0.99548 by hand.
    flat = torch.full((15, 15), 100, dtype=torch.uint8)
    assert ssim(flat, flat + 10, data_range=255) == pytest.approx(0.99548, abs=1e-5)


@pytest.mark.parametrize("border", [0, 1, 3])
def test_crop_leaves_out_the_border(border: int) -> None:
    picture = torch.arange(2 * 9 * 8).reshape(2, 9, 8)
    expected = picture.numpy()[:, border : 9 - border, border : 8 - border]
    np.testing.assert_array_equal(crop_border(picture, border), expected)


@pytest.mark.parametrize(("border", "size"), [(2, (4, 9)), (3, (4, 4)), (5, (40, 10))])
def test_crop_that_would_leave_nothing_is_refused(border: int, size: tuple[int, int]) -> None:
    message = (
        rf"`border` \(={border}\) must leave a pixel of `picture`, got {re.escape(str(size))}:"
    )
    with pytest.raises(ValueError, match=message):
        crop_border(torch.zeros(size), border)


def test_border_is_a_whole_number() -> None:
    for wrong in (-1, 1.0):
        with pytest.raises(
            ValueError, match=r"`border` \(=.+\) must be a whole number of at least"
        ):
            crop_border(torch.zeros(9, 9), wrong)  # type: ignore[arg-type]


def test_quantized_picture_is_clipped_and_whole() -> None:
    picture = torch.tensor([-3.2, -0.4, 0.4, 0.6, 99.7, 254.6, 255.4, 300.0])
    assert quantize(picture).tolist() == [0, 0, 0, 1, 100, 255, 255, 255]


@pytest.mark.parametrize("r", [2, 3, 4, 11])  # only 11 can leave just the window
def test_scorable_is_just_what_ssim_can_take(r: int) -> None:
    answers = set()
    for size in range(1, 36):
        whole = size // r * r
        try:
            rest = crop_border(torch.zeros(whole, whole + 40), r)
            fits = math.isfinite(ssim(rest, rest, data_range=255))
        except ValueError:  # the window exceeds what is left, or nothing is
            fits = False
        assert is_scorable(size, size + 40, r) is fits
        assert is_scorable(size + 40, size, r) is fits
        answers.add(fits)
    assert answers == {True, False}
