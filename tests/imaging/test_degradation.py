"""Expected pictures come from SciPy, scikit-image or MATLAB's published algorithm in NumPy."""

import math
import os
import re
from typing import Any

import numpy as np
import pytest
import skimage.filters
import skimage.transform
import torch
from scipy import ndimage
from torch import Tensor

from espcn.data.datasets import load_set
from espcn.imaging.color import to_channels
from espcn.imaging.compression import compress_jpeg
from espcn.imaging.degradation import Degradation
from espcn.imaging.downsampling import DOWNSAMPLE, bicubic, crop_to_multiple, gaussian_blur
from espcn.imaging.metrics import crop_border, psnr, quantize, ssim
from espcn.imaging.resize import imresize, pad_symmetric

REAL = os.environ.get("ESPCN_DATA")
needs_real = pytest.mark.skipif(not REAL, reason="ESPCN_DATA doesn't point to the real sets")


def noise(*shape: int, seed: int = 0) -> Tensor:
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return torch.from_numpy(values)


def chelsea() -> np.ndarray:
    pictures = load_set("skimage-test")
    return pictures.images[pictures.names.index("chelsea.png")]


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic with a = -0.5."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def matlab_imresize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """MATLAB's imresize.m: the loop over `contributions`, one axis after the other."""
    for axis, size in enumerate((height, width)):
        length = picture.shape[axis]
        scale = size / length
        shrink = min(scale, 1.0)  # antialiasing widens the kernel when it shrinks
        support = 4 / shrink
        rows = []
        for x in range(1, size + 1):  # MATLAB counts from 1
            u = x / scale + 0.5 * (1 - 1 / scale)
            at = math.floor(u - support / 2) + np.arange(math.ceil(support) + 2)
            weights = shrink * cubic(shrink * (u - at))
            mirror = np.concatenate([np.arange(length), np.arange(length)[::-1]])
            taken = np.take(picture, mirror[(at - 1) % (2 * length)], axis)
            rows.append(np.tensordot(weights / weights.sum(), taken, (0, axis)))
        picture = np.stack(rows, axis)
    return picture


@pytest.mark.parametrize("r", [2, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(7, 11), (1, 5), (16, 9)])
def test_imresize_is_that_of_matlab(height: int, width: int, r: int) -> None:
    large, small = noise(r * height, r * width).double(), noise(height, width).double()
    for image, size in ((large, (height, width)), (small, (r * height, r * width))):
        got = imresize(image, *size)
        expected = matlab_imresize(image.numpy(), *size)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)


def test_imresize_takes_pictures_one_by_one() -> None:
    batch = noise(2, 3, 12, 18).double()
    got = imresize(batch, 4, 6)
    assert got.shape == (2, 3, 4, 6)
    for picture, small in zip(batch.flatten(0, 1), got.flatten(0, 1), strict=True):
        np.testing.assert_allclose(small, matlab_imresize(picture.numpy(), 4, 6), atol=1e-9)


@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.5, 1.0, 2.7])
def test_gaussian_blur_is_that_of_scipy(sigma: float) -> None:
    image = noise(2, 13, 21).double()
    got = gaussian_blur(image, sigma)
    for channel, blurred in zip(image, got, strict=True):
        expected = ndimage.gaussian_filter(channel.numpy(), sigma, mode="reflect", truncate=4)
        np.testing.assert_allclose(blurred, expected, rtol=0, atol=1e-9)


def test_blur_of_0_changes_nothing() -> None:
    image = noise(9, 8).double()
    assert torch.equal(gaussian_blur(image, 0.0), image)


def test_shifted_blur_of_0_is_the_mean_of_four_pixels() -> None:
    image = noise(9, 8).double()
    expected = (image[:-1, :-1] + image[1:, :-1] + image[:-1, 1:] + image[1:, 1:]) / 4
    assert torch.equal(gaussian_blur(image, 0.0, shift=0.5)[:-1, :-1], expected)


@pytest.mark.parametrize("sigma", [0.03, 0.01, 1e-100])
def test_shifted_blur_tends_to_that_of_0(sigma: float) -> None:
    image = noise(9, 8).double()
    expected = gaussian_blur(image, 0.0, shift=0.5)
    torch.testing.assert_close(gaussian_blur(image, sigma, shift=0.5), expected)


@pytest.mark.parametrize("sigma", [0.3, 0.5, 1.0, 2.7])
def test_shifted_blur_is_a_gaussian_between_the_pixels(sigma: float) -> None:
    # An even number of taps, at -0.5, 0.5 and so on, carried out by SciPy.
    image = noise(13, 21).double()
    reach = int(4 * sigma + 0.5) + 0.5
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    expected = image.numpy()
    for axis in (0, 1):
        expected = ndimage.correlate1d(expected, kernel / kernel.sum(), axis, origin=-1)
    got = gaussian_blur(image, sigma, shift=0.5)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("margin", [1, 5, 23])
def test_symmetric_padding_is_that_of_numpy(margin: int) -> None:
    image = noise(2, 5, 9)
    expected = np.pad(image, ((0, 0), (margin, margin), (margin, margin)), "symmetric")
    np.testing.assert_array_equal(pad_symmetric(image, margin), expected)


@pytest.mark.parametrize("r", [2, 3, 4])
@pytest.mark.parametrize("blur", [0, 0.1, 0.5, 1.5])
@pytest.mark.parametrize("downsample", DOWNSAMPLE)
def test_constant_image_stays_constant(downsample: str, blur: float, r: int) -> None:
    for level in (0, 1, 128, 255):
        image = torch.full((1, 5 * r, 4 * r), level, dtype=torch.uint8)
        expected = torch.full((1, 5, 4), level, dtype=torch.uint8)
        assert torch.equal(Degradation(blur, downsample)(image, r), expected)


@pytest.mark.parametrize("r", [2, 3, 4])
@pytest.mark.parametrize("blur", [0.0, 0.5])
@pytest.mark.parametrize("downsample", DOWNSAMPLE)
def test_result_is_8_bits_and_each_picture_stands_alone(
    downsample: str, blur: float, r: int
) -> None:
    batch = noise(2, 3, 6 * r, 5 * r)
    got = Degradation(blur, downsample)(batch, r)
    assert got.dtype == torch.uint8
    assert got.shape == (2, 3, 6, 5)
    for index, pictures in enumerate(batch):
        assert torch.equal(Degradation(blur, downsample)(pictures, r), got[index])  # (C, H, W)
        assert torch.equal(Degradation(blur, downsample)(pictures[1], r), got[index, 1])  # (H, W)


@pytest.mark.parametrize("r", [2, 3, 4])
@pytest.mark.parametrize("blur", [0.0, 0.7])
def test_bicubic_is_scipys_blur_then_matlabs_imresize_rounded(blur: float, r: int) -> None:
    image = noise(10 * r, 7 * r)
    blurred = ndimage.gaussian_filter(image.numpy().astype(float), blur, mode="reflect", truncate=4)
    exact = matlab_imresize(blurred, 10, 7)
    got = Degradation(blur)(image, r).double().numpy()
    # A tie may fall on either side.
    np.testing.assert_allclose(got, np.clip(exact, 0, 255), rtol=0, atol=0.5 + 1e-9)


def test_overshoot_is_clipped() -> None:
    image = torch.zeros(24, 24, dtype=torch.uint8)
    image[:, 12:] = 255
    exact = imresize(image.double(), 8, 8)
    assert exact.min() < -1  # the cubic's negative lobes: without clipping uint8 would wrap
    assert exact.max() > 256
    got = Degradation()(image, 3)
    assert got[:, :4].max() < 128 <= got[:, 4:].min()


@pytest.mark.parametrize("r", [2, 3, 4])
@pytest.mark.parametrize("blur", [0.0, 0.25, 1.0])
def test_skimage_is_the_two_calls_of_the_notebook(blur: float, r: int) -> None:
    # The notebook: gaussian(image, sigma, multichannel=True), then resize(image, (h // r, w // r));
    # multichannel is now called channel_axis.
    image = chelsea()[: 20 * r, : 17 * r]
    blurred = skimage.filters.gaussian(image, sigma=blur, channel_axis=2)
    exact = skimage.transform.resize(blurred, (20, 17)) * 255
    got = Degradation(blur, "skimage")(to_channels(image, 3), r).permute(1, 2, 0).double()
    np.testing.assert_allclose(got, exact, rtol=0, atol=0.5 + 1e-6)


@pytest.mark.parametrize("r", [2, 3, 4])
@pytest.mark.parametrize("blur", [0.0, 0.3, 1.2])
def test_decimation_of_a_mirrored_picture_is_mirrored(blur: float, r: int) -> None:
    image = noise(8 * r, 6 * r)
    small = Degradation(blur, "decimate")(image, r)
    assert torch.equal(Degradation(blur, "decimate")(image.flip(1), r), small.flip(1))
    assert torch.equal(Degradation(blur, "decimate")(image.flip(0), r), small.flip(0))
    assert torch.equal(Degradation(blur, "decimate")(image.mT, r), small.mT)


@pytest.mark.parametrize("r", [2, 3, 4])
@pytest.mark.parametrize("downsample", ["bicubic", "skimage"])
def test_other_kinds_are_centred_too(downsample: str, r: int) -> None:
    image = noise(8 * r, 6 * r)
    mirrored = Degradation(0.5, downsample)(image.flip(-1), r).flip(-1).int()
    small = Degradation(0.5, downsample)(image, r).int()
    assert (mirrored - small).abs().max() <= 1  # a tie may fall on either side


@pytest.mark.parametrize("r", [2, 3, 4])
@pytest.mark.parametrize("blur", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("downsample", DOWNSAMPLE)
def test_ramp_is_sampled_at_the_centres_of_the_cells(downsample: str, blur: float, r: int) -> None:
    size, edge = 12, 4  # in low-resolution pixels; at the edge the mirrored ramp is seen
    y, x = np.mgrid[0 : size * r, 0 : size * r]
    image = torch.from_numpy((2 * y + 2 * x).astype(np.uint8))
    middle = np.arange(size) * r + (r - 1) / 2  # of each cell
    expected = 2 * middle[:, None] + 2 * middle
    assert expected.max() < 255
    got = Degradation(blur, downsample)(image, r)[edge:-edge, edge:-edge]
    np.testing.assert_array_equal(got, expected[edge:-edge, edge:-edge])


@pytest.mark.parametrize("r", [2, 4])
def test_even_decimation_without_blur_is_the_mean_of_the_four_middle_pixels(r: int) -> None:
    image = noise(9 * r, 8 * r)
    cells = image.double().reshape(9, r, 8, r)
    middle = cells[:, r // 2 - 1 : r // 2 + 1, :, r // 2 - 1 : r // 2 + 1].mean((1, 3))
    got = Degradation(downsample="decimate")(image, r).double()
    assert (got - middle).abs().max() <= 0.5


def test_odd_decimation_without_blur_keeps_the_middle_pixels() -> None:
    image = noise(15, 12)
    assert torch.equal(Degradation(downsample="decimate")(image, 3), image[1::3, 1::3])


def test_odd_decimation_samples_scipys_blur() -> None:
    image = noise(15, 12)
    blurred = ndimage.gaussian_filter(image.numpy().astype(float), 0.8, mode="reflect", truncate=4)
    got = Degradation(0.8, "decimate")(image, 3).double()
    np.testing.assert_allclose(got, blurred[1::3, 1::3], rtol=0, atol=0.5 + 1e-9)


def test_image_is_left_as_it_was() -> None:
    for downsample in DOWNSAMPLE:
        image = noise(12, 12)
        Degradation(0.5, downsample)(image, 3)
        assert torch.equal(image, noise(12, 12))


def test_crop_leaves_out_what_r_does_not_divide() -> None:
    image = noise(3, 11, 12)
    assert torch.equal(crop_to_multiple(image, 3), image[:, :9, :12])
    assert torch.equal(crop_to_multiple(image, 4), image[:, :8, :12])
    assert crop_to_multiple(image[:, :2], 3).shape == (3, 0, 12)


@pytest.mark.parametrize("r", [1, 0, -3, 2.0, "3", True, None])
def test_factor_that_is_not_whole_or_below_2_is_refused(r: Any) -> None:
    message = f"`r` (={r!r}) must be a whole number of at least 2: choose 2, 3 or 4"
    with pytest.raises(ValueError, match=re.escape(message)):
        Degradation()(noise(12, 12), r)


@pytest.mark.parametrize("blur", [-0.1, 100.5, math.inf, math.nan, "0.5", True, None])
def test_blur_that_is_no_sigma_is_refused(blur: Any) -> None:
    message = f"`blur` (={blur!r}) must be a number of 0 to 100: a sigma in pixels, 0 is no blur"
    with pytest.raises(ValueError, match=re.escape(message)):
        Degradation(blur)


@pytest.mark.parametrize("downsample", ["nearest", "Bicubic", "", None])
def test_unknown_kind_is_refused(downsample: Any) -> None:
    message = f"`downsample` (={downsample}) must be one of bicubic, skimage, decimate"
    with pytest.raises(ValueError, match=re.escape(message)):
        Degradation(downsample=downsample)


def test_degrade_checks_its_settings() -> None:
    image = noise(12, 12)
    for r, settings, name in ((1, (), "r"), (3, (-1.0,), "blur"), (3, (0.0, "no"), "downsample")):
        with pytest.raises(ValueError, match=f"^`{name}` "):
            Degradation(*settings)(image, r)


@pytest.mark.parametrize(("height", "width"), [(100, 99), (99, 101)])
def test_size_that_r_does_not_divide_is_refused(height: int, width: int) -> None:
    message = (
        "`picture` height and width must be multiples of `r` (=3), "
        f"got ({height}, {width}): crop it first"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        Degradation()(noise(height, width), 3)


# Bicubic's PSNR in dB and SSIM: as published with SRCNN, FSRCNN and their successors (BSD100 is
# BSD300's test images), then to three and four decimals as measured once by a script of its own.
BICUBIC = [
    ("Set5", 2, (33.66, 0.9299), (33.652, 0.9296)),
    ("Set5", 3, (30.39, 0.8682), (30.388, 0.8681)),
    ("Set5", 4, (28.42, 0.8104), (28.418, 0.8103)),
    ("Set14", 2, (30.24, 0.8688), (30.227, 0.8684)),
    ("Set14", 3, (27.54, 0.7742), (27.539, 0.7735)),
    ("Set14", 4, (26.00, 0.7027), (25.999, 0.7018)),
    pytest.param("BSD300", 2, (29.56, 0.8431), (29.554, 0.8429), marks=pytest.mark.slow),
    ("BSD300", 3, (27.21, 0.7385), (27.205, 0.7383)),
    pytest.param("BSD300", 4, (25.96, 0.6675), (25.959, 0.6673), marks=pytest.mark.slow),
]


@needs_real
@pytest.mark.parametrize(("name", "r", "published", "measured"), BICUBIC)
def test_bicubic_has_its_published_figures(
    name: str, r: int, published: tuple[float, float], measured: tuple[float, float]
) -> None:
    figures = []
    for pixels in load_set(name, REAL, download=False).images:
        original = crop_to_multiple(to_channels(pixels, 1), r)[0]
        result = quantize(imresize(Degradation()(original, r).double(), *original.shape))
        pair = crop_border(result, r), crop_border(original, r)
        figures.append((psnr(*pair, data_range=255), ssim(*pair, data_range=255)))
    decibels, similarity = np.mean(figures, 0)
    assert decibels == pytest.approx(published[0], abs=0.015)  # Set14 at 2 is 0.013 off
    assert similarity == pytest.approx(published[1], abs=0.001)
    assert decibels == pytest.approx(measured[0], abs=0.005)
    assert similarity == pytest.approx(measured[1], abs=0.0005)


def photograph(r: int) -> Tensor:
    """Return a photograph's luma, cropped to a multiple of r, uint8 `(1, height, width)`."""
    return crop_to_multiple(to_channels(chelsea()[:120, 100:260], 1), r)


@pytest.mark.parametrize("r", [2, 3])
def test_noise_has_its_sigma_and_follows_the_seed(r: int) -> None:
    flat = torch.full((1, 100 * r, 100 * r), 128, dtype=torch.uint8)
    noisy = Degradation(noise=5.0)(flat, r, seed=1).double()
    assert abs(float(noisy.std()) - 5) < 0.2
    assert abs(float(noisy.mean()) - 128) < 0.2
    assert torch.equal(noisy, Degradation(noise=5.0)(flat, r, seed=1).double())
    assert not torch.equal(noisy, Degradation(noise=5.0)(flat, r, seed=2).double())


def test_jpeg_is_taken_of_the_low_resolution_picture() -> None:
    image = photograph(3)
    small = bicubic(image, 3, 0.5)
    assert torch.equal(Degradation(0.5, jpeg=40)(image, 3), compress_jpeg(small, 40))


def test_overshoot_of_luma_is_still_luma_and_grey_of_full_range_is_not() -> None:
    edge = torch.full((1, 48, 48), 16, dtype=torch.uint8)
    edge[..., 24:] = 235
    small = bicubic(edge, 3, 0.0)
    assert small.max() > 236  # the cubic's lobes leave the range of luma
    assert torch.equal(Degradation(jpeg=60)(edge, 3), compress_jpeg(small, 60))
    grey = torch.where(edge == 16, 0, 255).to(torch.uint8)
    expected = compress_jpeg(bicubic(grey, 3, 0.0), 60, full_range=True)
    assert torch.equal(Degradation(jpeg=60)(grey, 3), expected)


def test_frame_of_a_clip_has_the_given_range_in_its_jpeg() -> None:
    image, degradation = photograph(2), Degradation(jpeg=30)
    frames, shown = degradation.excerpt(image, 2, full_range=True)
    expected = compress_jpeg(bicubic(image, 2, 0.0), 30, full_range=True)
    assert torch.equal(frames[shown], expected)
    assert torch.equal(degradation(image, 2, full_range=True), expected)
    assert not torch.equal(degradation(image, 2), expected)


@pytest.mark.parametrize("r", [2, 3])
def test_video_shows_the_picture_in_its_place(r: int) -> None:
    image = photograph(r)
    clean = Degradation()(image, r)
    for seed in range(4):
        frame = Degradation(h264=15)(image, r, seed)
        assert psnr(frame, clean, data_range=255) > 38
        assert psnr(frame, clean.roll(1, 2), data_range=255) < 32  # a pixel aside
        assert torch.equal(frame, Degradation(h264=15)(image, r, seed))


def test_steps_follow_one_another() -> None:
    # Noise first, which a JPEG of low quality smooths; a video last.
    image = photograph(2)
    noisy = Degradation(noise=8.0)(image, 2)
    assert psnr(Degradation(noise=8.0, jpeg=95)(image, 2), noisy, data_range=255) > 38
    assert psnr(Degradation(noise=8.0, jpeg=20)(image, 2), noisy, data_range=255) < 33
    everything = Degradation(noise=8.0, jpeg=20, h264=10)(image, 2)
    assert psnr(everything, Degradation()(image, 2), data_range=255) < 33
    both = Degradation(jpeg=20, h264=10)(image, 2)
    assert psnr(both, Degradation(jpeg=20)(image, 2), data_range=255) > psnr(
        both, Degradation()(image, 2), data_range=255
    )


def test_each_picture_draws_from_a_range_by_its_pixels_and_the_seed() -> None:
    degradation = Degradation(noise=(1, 9), jpeg=(30, 95), h264=(18, 33))
    pictures = [noise(1, 12, 12, seed=number) for number in range(200)]
    drawn = [degradation.draw(one, seed=0) for one in pictures]
    for name, (low, high) in {"noise": (1, 9), "jpeg": (30, 95), "h264": (18, 33)}.items():
        values = np.array([getattr(one, name) for one in drawn], float)
        assert low <= values.min() < low + (high - low) / 10
        assert high - (high - low) / 10 < values.max() <= high
        assert abs(values.mean() - (low + high) / 2) < (high - low) / 10
        assert values.tolist() == values.round(0 if name == "jpeg" else 2).tolist()
    assert any(round(one.h264, 1) != one.h264 for one in drawn)
    assert {Degradation(jpeg=(30, 31)).draw(one).jpeg for one in pictures} == {30, 31}
    assert drawn == [degradation.draw(one, seed=0) for one in pictures]
    assert drawn != [degradation.draw(one, seed=1) for one in pictures]
    # A setting that is added draws for itself, and changes nothing of the others.
    alone = Degradation(jpeg=(30, 95))
    assert [one.jpeg for one in drawn] == [alone.draw(one, seed=0).jpeg for one in pictures]


def test_patches_are_compressed_one_by_one() -> None:
    image = photograph(2)
    batch = torch.stack([image, image.flip(1)])
    degradation = Degradation(jpeg=(20, 90), noise=2.0)
    got = degradation(batch, 2, seed=3)
    assert torch.equal(got[1], degradation(batch[1], 2, seed=3))
    assert torch.equal(degradation(image[0], 2, seed=3), got[0, 0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"jpeg": 0}, "`jpeg` (=0) must be a whole number of 1 to 100, or a range [low,high]"),
        ({"jpeg": 50.0}, "`jpeg` (=50.0) must be a whole number of 1 to 100"),
        ({"jpeg": 50.5}, "`jpeg` (=50.5) must be a whole number of 1 to 100"),
        ({"jpeg": [95, 30]}, "`jpeg` (=[95,30]) must be a whole number of 1 to 100, or a range"),
        ({"jpeg": [30]}, "`jpeg` (=[30]) must be"),
        ({"jpeg": "high"}, "`jpeg` (='high') must be"),
        ({"jpeg": True}, "`jpeg` (=True) must be"),
        ({"jpeg": 101}, "`jpeg` (=101) must be a whole number of 1 to 100"),
        ({"h264": 52}, "`h264` (=52) must be a number of 0 to 51"),
        ({"h264": 51.5}, "`h264` (=51.5) must be a number of 0 to 51"),
        ({"h264": -0.5}, "`h264` (=-0.5) must be a number of 0 to 51"),
        ({"h264": [18, 28, 33]}, "`h264` (=[18,28,33]) must be"),
        ({"noise": 100.5}, "`noise` (=100.5) must be a number of 0 to 100"),
        ({"noise": -1}, "`noise` (=-1) must be a number of 0 to 100"),
        ({"noise": False}, "`noise` (=False) must be a number of 0 to 100"),
        ({"noise": [0, math.nan]}, "`noise` (=[0,nan]) must be"),
    ],
)
def test_amounts_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Degradation(**settings)


def test_noise_of_zero_is_none() -> None:
    for none in (0, 0.0, (0, 0), [0.0, 0]):
        assert Degradation(noise=none) == Degradation()


def test_ends_of_the_ranges_are_allowed() -> None:
    for most in (Degradation(100, noise=100, jpeg=100, h264=51), Degradation(0, jpeg=1, h264=0)):
        assert Degradation.from_settings(most.settings()) == most
    whole = Degradation(noise=(0, 100), jpeg=(1, 100), h264=(0, 51))
    assert (whole.noise, whole.jpeg, whole.h264) == ((0, 100), (1, 100), (0, 51))


def test_seed_is_0_where_none_is_given() -> None:
    image, degradation = photograph(2), Degradation(noise=(1, 9), h264=(18, 33))
    assert degradation.draw(image) == degradation.draw(image, seed=0)
    assert torch.equal(degradation(image, 2), degradation(image, 2, seed=0))
    degradation = Degradation(noise=3.0)
    one, shown = degradation.excerpt(image, 2)
    other, as_well = degradation.excerpt(image, 2, seed=0)
    assert shown == as_well
    assert torch.equal(torch.stack(one), torch.stack(other))


def test_settings_are_plain_and_lead_back() -> None:
    degradation = Degradation(0.5, noise=[1, 2.5], jpeg=[30, 95], h264=23)
    assert degradation.settings() == {
        "blur": 0.5, "noise": [1, 2.5], "jpeg": [30, 95], "h264": 23
    }  # fmt: skip
    assert Degradation.from_settings(degradation.settings()) == degradation
    as_text = {name: str(value) for name, value in degradation.settings().items()}
    assert Degradation.from_settings(as_text) == degradation
    assert Degradation.from_settings({"downsample": "skimage", "r": 3}).downsample == "skimage"
    assert str(degradation) == "blur=0.5 downsample=bicubic noise=[1,2.5] jpeg=[30,95] h264=23"
    assert Degradation(noise=0, jpeg=[50, 50]) == Degradation(jpeg=50)
    assert hash(degradation) == hash(Degradation.from_settings(degradation.settings()))


def test_encoders_are_named_where_they_are_used() -> None:
    assert Degradation(noise=3.0).encoders() == {}
    assert set(Degradation(jpeg=50, h264=(20, 30)).encoders()) == {"jpeg", "h264"}
    assert re.fullmatch(
        r"FFmpeg \S+ of PyAV \S+, one thread", Degradation(h264=0).encoders()["h264"]
    )
    assert [one.is_random for one in (Degradation(), Degradation(jpeg=5))] == [False, False]
    assert all(one.is_random for one in (Degradation(jpeg=(5, 6)), Degradation(h264=20)))
