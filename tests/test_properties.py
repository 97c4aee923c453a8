"""Properties that hold for any size, mode, factor and channels, on pictures made by Hypothesis.

Expected values come from NumPy, SciPy, or a formula written out here. The same code gets
the same examples in every run.
"""

import functools

import numpy as np
import pytest
import pyvips
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from espcn.imaging.color import from_ycbcr, luma, to_channels, to_ycbcr
from espcn.imaging.degradation import Degradation
from espcn.imaging.downsampling import DOWNSAMPLE, crop_to_multiple, gaussian_blur
from espcn.imaging.metrics import crop_border, psnr, quantize, ssim
from espcn.imaging.resize import bicubic_filters, imresize, pad_symmetric
from espcn.imaging.shuffle import (
    flip,
    flip_preshuffled,
    paper_order,
    paper_preshuffle,
    paper_shuffle,
    preshuffle,
    shuffle,
)
from espcn.io.reading import Rows, open_picture
from espcn.network.model import ESPCN
from espcn.network.strengths import FINER, load_strength
from espcn.upscaling import tiles
from espcn.upscaling.upscaler import Upscaler

settings.register_profile(
    "espcn",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],  # a slow machine is no failure
)
settings.load_profile("espcn")

factors = st.integers(2, 5)
sides = st.integers(1, 12)
channels = st.sampled_from([1, 3])
leading = st.lists(st.integers(1, 3), max_size=2)  # none, a batch, or a batch of batches
symmetries = st.integers(0, 7)
seeds = st.integers(0, 2**32 - 1)
blurs = st.just(0.0) | st.floats(0.01, 4)
modes = st.sampled_from(sorted(DOWNSAMPLE))
paddings = st.sampled_from(["replicate", "zeros"])
activations = st.sampled_from(["tanh", "relu"])

# BT.601 for RGB in 0..1, as published: Y, Cb and Cr in 0..255.
WEIGHTS = np.array(
    [[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]
)
OFFSET = np.array([16.0, 128.0, 128.0])


def noise(seed: int, *shape: int, white: int = 255) -> np.ndarray:
    """Any levels for an even seed; for an odd one black and white alone, which overshoot most."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 2, shape) * white if seed % 2 else rng.integers(0, white + 1, shape)
    return levels.astype(np.uint8 if white == 255 else np.uint16)


def numbered(*shape: int) -> torch.Tensor:
    """Every value another, so that no two places can be confused."""
    return torch.arange(int(np.prod(shape))).reshape(shape)


def resizing(length: int, size: int, border: str = "symmetric", shift: float = 0.0) -> np.ndarray:
    """Keys' cubic (a = -1/2) as a matrix `(size, length)`, stretched when it shrinks."""
    scale = size / length
    stretch, margin = min(scale, 1.0), int(4 / min(scale, 1.0))
    places = (np.arange(size) + 0.5) / scale - 0.5 + shift
    x = stretch * np.abs(places[:, None] - np.arange(-margin, length + margin))
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
    padded = np.pad(np.eye(length), ((margin, margin), (0, 0)), border)  # type: ignore[call-overload]
    return weights / weights.sum(1, keepdims=True) @ padded


def resized(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """MATLAB's imresize of planes `(..., h, w)`."""
    h, w = planes.shape[-2:]
    return resizing(h, height) @ planes @ resizing(w, width).T


@given(r=st.integers(1, 5), c=st.integers(1, 4), height=sides, width=sides, lead=leading)
def test_shuffle_takes_each_pixel_from_its_channel(
    r: int, c: int, height: int, width: int, lead: list[int]
) -> None:
    low = numbered(*lead, c * r * r, height, width)
    plane, y, x = np.ogrid[:c, : r * height, : r * width]
    expected = low.numpy()[..., plane * r * r + r * (y % r) + x % r, y // r, x // r]
    large = shuffle(low, r)
    np.testing.assert_array_equal(large, expected)
    assert torch.equal(preshuffle(large, r), low)


@given(r=st.integers(1, 5), c=st.integers(1, 4), height=sides, width=sides, lead=leading)
def test_paper_shuffle_is_equation_4_at_any_size(
    r: int, c: int, height: int, width: int, lead: list[int]
) -> None:
    low = numbered(*lead, c * r * r, height, width)
    plane, x, y = np.ogrid[:c, : r * height, : r * width]  # the paper's x is the row
    expected = low.numpy()[..., c * r * (y % r) + c * (x % r) + plane, x // r, y // r]
    large = paper_shuffle(low, r)
    np.testing.assert_array_equal(large, expected)
    assert torch.equal(paper_preshuffle(large, r), low)
    assert torch.equal(shuffle(low[..., paper_order(r, c), :, :], r), large)


@given(
    r=st.integers(1, 5),
    c=st.integers(1, 4),
    height=sides,
    width=sides,
    lead=leading,
    turns=st.lists(symmetries, min_size=1, max_size=4),
)
def test_any_turns_of_what_is_preshuffled_turn_the_picture(
    r: int, c: int, height: int, width: int, lead: list[int], turns: list[int]
) -> None:
    picture = numbered(*lead, c, r * height, r * width)
    expected, turned, apart = picture.numpy(), picture, preshuffle(picture, r)
    for turn in turns:
        expected = expected[..., ::-1] if turn & 1 else expected
        expected = expected[..., ::-1, :] if turn & 2 else expected
        expected = expected.swapaxes(-1, -2) if turn & 4 else expected
        turned, apart = flip(turned, turn), flip_preshuffled(apart, r, turn)
    np.testing.assert_array_equal(turned, expected)
    np.testing.assert_array_equal(shuffle(apart, r), expected)


@given(
    level=st.integers(0, 255),
    r=factors,
    blur=st.floats(0, 20),
    downsample=modes,
    height=sides,
    width=sides,
)
def test_constant_image_of_any_size_stays_constant(
    level: int, r: int, blur: float, downsample: str, height: int, width: int
) -> None:
    image = torch.full((r * height, r * width), level, dtype=torch.uint8)
    expected = np.full((height, width), level)
    np.testing.assert_array_equal(Degradation(blur, downsample)(image, r), expected)


@given(seed=seeds, r=factors, blur=blurs, downsample=modes, height=sides, width=sides, lead=leading)
def test_degraded_pictures_are_as_many_and_r_times_smaller(
    seed: int, r: int, blur: float, downsample: str, height: int, width: int, lead: list[int]
) -> None:
    image = noise(seed, *lead, r * height, r * width)
    small = Degradation(blur, downsample)(torch.from_numpy(image), r)
    assert small.dtype == torch.uint8
    assert small.shape == (*lead, height, width)
    np.testing.assert_array_equal(image, noise(seed, *image.shape))


@given(
    seed=seeds,
    r=factors,
    blur=blurs,
    downsample=st.sampled_from(["skimage", "decimate"]),
    height=sides,
    width=sides,
    low=st.integers(0, 127),
    high=st.integers(128, 255),
)
def test_means_of_pixels_stay_within_their_range(
    seed: int, r: int, blur: float, downsample: str, height: int, width: int, low: int, high: int
) -> None:
    image = noise(seed, r * height, r * width).clip(low, high)
    small = Degradation(blur, downsample)(torch.from_numpy(image), r)
    assert image.min() <= small.min()
    assert small.max() <= image.max()


@given(seed=seeds, r=factors, blur=blurs, downsample=modes, height=sides, width=sides)
def test_turned_picture_is_degraded_to_the_turned_result(
    seed: int, r: int, blur: float, downsample: str, height: int, width: int
) -> None:
    image = torch.from_numpy(noise(seed, r * height, r * width))
    small = Degradation(blur, downsample)(image, r)
    for symmetry in range(1, 8):
        turned = Degradation(blur, downsample)(flip(image, symmetry).contiguous(), r).int()
        # A tie may fall on either side.
        assert (turned - flip(small, symmetry).int()).abs().max() <= 1


@given(seed=seeds, r=factors, height=sides, width=sides, lead=leading)
def test_degradation_by_bicubic_is_the_formula_rounded(
    seed: int, r: int, height: int, width: int, lead: list[int]
) -> None:
    image = noise(seed, *lead, r * height, r * width)
    exact = resized(image.astype(float), height, width).clip(0, 255)
    got = Degradation()(torch.from_numpy(image), r)
    np.testing.assert_allclose(got, exact, rtol=0, atol=0.5 + 1e-9)


@given(seed=seeds, r=st.integers(2, 8), height=sides, width=sides)
def test_decimation_keeps_the_middle_of_each_cell(
    seed: int, r: int, height: int, width: int
) -> None:
    image = noise(seed, r * height, r * width)
    first, last = (r - 1) // 2, r // 2
    cells = image.reshape(height, r, width, r)[:, first : last + 1, :, first : last + 1]
    got = Degradation(downsample="decimate")(torch.from_numpy(image), r)
    np.testing.assert_allclose(got, cells.mean((1, 3)), rtol=0, atol=0.5 + 1e-9)


@given(seed=seeds, r=st.integers(1, 6), height=sides, width=sides, lead=leading)
def test_imresize_is_the_formula_up_and_down(
    seed: int, r: int, height: int, width: int, lead: list[int]
) -> None:
    small = noise(seed, *lead, height, width).astype(float)
    large = noise(seed, *lead, r * height, r * width).astype(float)
    for image, size in ((small, (r * height, r * width)), (large, (height, width))):
        got = imresize(torch.from_numpy(image), *size)
        np.testing.assert_allclose(got, resized(image, *size), rtol=0, atol=1e-9)


@given(
    seed=seeds,
    scale=st.floats(-10, 10),
    sigma=blurs,
    shift=st.sampled_from([0.0, 0.5]),
    r=factors,
    height=sides,
    width=sides,
)
def test_imresize_and_blur_are_linear(
    seed: int, scale: float, sigma: float, shift: float, r: int, height: int, width: int
) -> None:
    one, two = torch.from_numpy(noise(seed, 2, r * height, r * width)).double()
    for function in (
        lambda image: imresize(image, height, width),
        lambda image: imresize(image, r * r * height, r * r * width),
        lambda image: gaussian_blur(image, sigma, shift),
    ):
        expected = function(one) + scale * function(two)
        torch.testing.assert_close(function(one + scale * two), expected, rtol=0, atol=1e-9)


@given(seed=seeds, sigma=blurs, height=sides, width=sides, lead=leading)
def test_blur_is_scipys_and_keeps_the_mean(
    seed: int, sigma: float, height: int, width: int, lead: list[int]
) -> None:
    image = noise(seed, *lead, height, width).astype(float)
    blurred = gaussian_blur(torch.from_numpy(image), sigma).numpy()
    means = image.mean((-2, -1))
    np.testing.assert_allclose(blurred.mean((-2, -1)), means, rtol=0, atol=1e-9)
    expected = ndimage.gaussian_filter(image, sigma, mode="reflect", truncate=4, axes=(-2, -1))
    np.testing.assert_allclose(blurred, expected, rtol=0, atol=1e-9)


@given(margin=st.integers(0, 40), height=sides, width=sides, lead=leading)
def test_symmetric_margin_is_numpys_however_wide(
    margin: int, height: int, width: int, lead: list[int]
) -> None:
    image = numbered(*lead, height, width)
    margins = [(0, 0)] * len(lead) + [(margin, margin)] * 2
    expected = np.pad(image.numpy(), margins, "symmetric")
    np.testing.assert_array_equal(pad_symmetric(image, margin), expected)


@given(r=factors, height=sides, width=sides, lead=leading)
def test_cropped_picture_loses_less_than_r_rows_and_columns(
    r: int, height: int, width: int, lead: list[int]
) -> None:
    image = numbered(*lead, height, width)
    cropped = crop_to_multiple(image, r)
    h, w = cropped.shape[-2:]
    assert h % r == w % r == 0
    assert 0 <= height - h < r
    assert 0 <= width - w < r
    np.testing.assert_array_equal(cropped, image.numpy()[..., :h, :w])


@given(seed=seeds, r=st.integers(1, 6), height=sides, width=sides)
def test_bicubic_filters_are_imresize_at_any_size(
    seed: int, r: int, height: int, width: int
) -> None:
    planes = noise(seed, 2, 1, height, width).astype(float)
    padded = np.pad(planes, [(0, 0)] * 2 + [(2, 2)] * 2, "symmetric")
    large = shuffle(F.conv2d(torch.from_numpy(padded), bicubic_filters(r)), r)
    expected = resized(planes, r * height, r * width)
    np.testing.assert_allclose(large, expected, rtol=0, atol=1e-9)
    again = imresize(torch.from_numpy(planes), r * height, r * width)
    torch.testing.assert_close(large, again, rtol=0, atol=1e-9)


@given(
    r=st.integers(1, 6),
    shift=st.floats(-0.5, 0.5),
    a=st.floats(-5, 5),
    b=st.floats(-5, 5),
    c=st.floats(-5, 5),
)
def test_shifted_bicubic_filters_keep_parabolas(
    r: int, shift: float, a: float, b: float, c: float
) -> None:
    # Keys' cubic has third order: it gives a polynomial of degree 2 back as it was.
    x = torch.arange(9, dtype=torch.float64).expand(1, 1, 6, 9)
    large = shuffle(F.conv2d(a * x**2 + b * x + c, bicubic_filters(r, shift)), r)[0, 0]
    at = (np.arange(5 * r) + 0.5) / r - 0.5 + 2 + shift
    expected = np.broadcast_to(a * at**2 + b * at + c, (2 * r, 5 * r))
    np.testing.assert_allclose(large, expected, rtol=0, atol=1e-9)


@functools.cache
def upscaler(r: int) -> Upscaler:
    return Upscaler(r, engine="torch", precision="float32", device="cpu")


@functools.cache
def network(r: int) -> ESPCN:
    return load_strength(r, FINER).double()


def upscaled(picture: np.ndarray, r: int) -> np.ndarray:
    """Return the plain way, whole and in float64, of a picture `(height, width, 1 to 4)`, 0..1."""
    planes = picture.transpose(2, 0, 1)
    _, height, width = planes.shape
    large = resized(planes, r * height, r * width)
    rgb = planes[:3] if len(planes) > 2 else planes[:1].repeat(3, 0)
    known = (np.tensordot(WEIGHTS[:1], rgb, 1) + 16) / 255
    with torch.no_grad():
        finer = network(r)(torch.from_numpy(known)[None])[0].numpy()
    if len(planes) > 2:
        ycbcr = np.tensordot(WEIGHTS, large[:3], 1) + OFFSET[:, None, None]
        ycbcr[:1] = 255 * finer
        large[:3] = np.tensordot(np.linalg.inv(WEIGHTS), ycbcr - OFFSET[:, None, None], 1)
    else:
        large[:1] = (255 * finer - 16) / 219
    return large.transpose(1, 2, 0).clip(0, 1)


@given(
    seed=seeds,
    r=st.integers(2, 4),
    height=st.integers(1, 24),
    width=st.integers(1, 16),
    samples=st.integers(1, 4),
    kind=st.sampled_from(["uint8", "uint16", "float32", "float64"]),
    band=st.integers(1, 400),
    across=st.integers(1, 20),
    tile=st.integers(1, 200),
)
def test_any_tiles_give_the_whole_picture(
    seed: int,
    r: int,
    height: int,
    width: int,
    samples: int,
    kind: str,
    band: int,
    across: int,
    tile: int,
) -> None:
    picture = noise(seed, height, width, samples, white=65535)
    white, error = {"uint8": (255, 0.51), "uint16": (65535, 1)}.get(kind, (1, 1e-5))
    if white < 65535:
        picture = (picture / (65535 / white)).astype(kind)
    if samples in (2, 4):
        picture[picture == 0] = 1 if white > 1 else 1e-3  # nothing is hidden: see test_alpha
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "BAND", band)
        patch.setattr(tiles, "TILE_WIDTH", across)
        patch.setattr(upscaler(r).engine, "tile", tile)
        large = upscaler(r)(picture)
    assert large.dtype == kind
    wanted = white * upscaled(picture.astype(float) / white, r)
    np.testing.assert_allclose(large, wanted, rtol=0, atol=error)


@given(
    height=st.integers(1, 60),
    width=st.integers(1, 9),
    band=st.integers(1, 100),
    tile=st.integers(1, 100),
)
def test_bands_ask_for_rows_from_top_to_bottom(
    height: int, width: int, band: int, tile: int
) -> None:
    picture, asked = noise(0, height, width, 1), [(0, 0)]

    def rows(top: int, bottom: int) -> np.ndarray:
        above, below = asked[-1]
        assert above <= top <= below <= bottom <= height
        asked.append((top, bottom))
        return picture[top:bottom]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "BAND", band)
        patch.setattr(upscaler(2).engine, "tile", tile)
        bands = list(upscaler(2).bands(rows, height, width, 1))
    assert asked[-1][1] == height
    assert sum(map(len, bands)) == 2 * height


@given(
    seed=seeds,
    height=st.integers(1, 40),
    width=st.integers(1, 9),
    samples=st.integers(1, 4),
    white=st.sampled_from([255, 65535]),
    steps=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=12),
)
def test_rows_are_those_of_the_picture_in_any_steps(
    seed: int, height: int, width: int, samples: int, white: int, steps: list[tuple[int, int]]
) -> None:
    picture = noise(seed, height, width, samples, white=white)
    grey, color = ("b-w", "srgb") if white == 255 else ("grey16", "rgb16")
    image = pyvips.Image.new_from_array(picture, interpretation=grey if samples < 3 else color)
    file = image.write_to_buffer(".png")
    rows, top, bottom = Rows(open_picture(file), file), 0, 0
    for step, count in [*steps, (0, height)]:
        top = min(top + step, bottom)
        bottom = min(top + count, height)
        got = rows(top, bottom)
        assert got.dtype == picture.dtype
        np.testing.assert_array_equal(got, picture[top:bottom])


@given(
    seed=seeds,
    r=st.integers(2, 4),
    height=st.integers(1, 40),
    width=sides,
    bits=st.sampled_from([8, 10]),
    tile=st.integers(1, 400),
    cut=st.booleans(),
    shift=st.floats(-0.5, 0.5),
)
def test_planes_of_video_are_upscaled_whole_or_cut(
    seed: int, r: int, height: int, width: int, bits: int, tile: int, cut: bool, shift: float
) -> None:
    white = 2**bits - 1
    plane = noise(seed, height, width) if bits == 8 else noise(seed, height, width, white=white)
    scale = 255 * 2 ** (bits - 8)
    with torch.no_grad():
        finer = scale * network(r)(torch.from_numpy(plane / scale)[None, None])[0, 0].numpy()
    down = resizing(height, r * height, "edge")
    smooth = down @ plane @ resizing(width, r * width, "edge", shift).T
    large = np.empty((r * height - cut, r * width - cut), plane.dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upscaler(r).engine, "tile", tile)
        upscaler(r).luma(plane, bits, large)
    wanted = finer[: r * height - cut, : r * width - cut].clip(0, white)
    np.testing.assert_allclose(large, wanted, rtol=0, atol=0.51)
    upscaler(r).chroma(plane, bits, large, shift)
    wanted = smooth[: r * height - cut, : r * width - cut].clip(0, white)
    np.testing.assert_allclose(large, wanted, rtol=0, atol=0.51)


@given(seed=seeds, height=sides, width=sides, lead=leading)
def test_colours_are_the_published_formula_there_and_back(
    seed: int, height: int, width: int, lead: list[int]
) -> None:
    rgb = noise(seed, *lead, 3, height, width)
    expected = np.moveaxis(np.moveaxis(rgb / 255, -3, -1) @ WEIGHTS.T + OFFSET, -1, -3)
    ycbcr = to_ycbcr(torch.from_numpy(rgb))
    np.testing.assert_allclose(ycbcr, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(from_ycbcr(ycbcr), rgb, rtol=0, atol=1e-9)
    any_ycbcr = torch.from_numpy(rgb).double()
    back = to_ycbcr(from_ycbcr(any_ycbcr))
    torch.testing.assert_close(back, any_ycbcr, rtol=0, atol=1e-9)


@given(seed=seeds, height=sides, width=sides, lead=leading)
def test_luma_is_a_whole_number_of_16_to_235(
    seed: int, height: int, width: int, lead: list[int]
) -> None:
    rgb = noise(seed, *lead, 3, height, width)
    y = luma(torch.from_numpy(rgb)).numpy()
    assert y.shape == (*lead, 1, height, width)
    assert y.min() >= 16
    assert y.max() <= 235
    np.testing.assert_array_equal(y, np.floor(y))
    exact = np.tensordot(np.moveaxis(rgb / 255, -3, -1), WEIGHTS[0], 1) + 16
    np.testing.assert_allclose(y[..., 0, :, :], exact, rtol=0, atol=0.5 + 1e-9)


@given(
    seed=seeds,
    height=sides,
    width=sides,
    samples=st.integers(1, 4),
    count=channels,
    white=st.sampled_from([255, 65535]),
)
def test_network_is_given_grey_as_it_is_and_no_alpha(
    seed: int, height: int, width: int, samples: int, count: int, white: int
) -> None:
    pixels = noise(seed, height, width, samples, white=white)
    got = to_channels(pixels, count)
    assert got.dtype == torch.uint8
    assert got.shape == (count, height, width)
    levels = pixels.transpose(2, 0, 1) * (255 / white)
    if samples < 3:
        expected = np.repeat(levels[:1], count, 0)
    elif count == 3:
        expected = levels[:3]
    else:
        expected = np.tensordot(WEIGHTS[:1] / 255, np.round(levels[:3]), 1) + 16
    np.testing.assert_allclose(got, expected, rtol=0, atol=0.5 + 1e-9)


@given(seed=seeds, height=sides, width=sides, lead=leading)
def test_psnr_is_the_formula_either_way_round(
    seed: int, height: int, width: int, lead: list[int]
) -> None:
    one, two = noise(seed, 2, *lead, height, width)
    two.flat[0] = one.flat[0] ^ 1  # never equal
    expected = 10 * np.log10(255**2 / np.square(one.astype(float) - two).mean())
    for pair in ((one, two), (two, one)):
        got = psnr(*map(torch.from_numpy, pair), data_range=255)
        assert got == pytest.approx(expected, abs=1e-4)


@given(seed=seeds, difference=st.integers(1, 255), height=sides, width=sides)
def test_psnr_of_a_constant_difference_is_its_ratio_to_255(
    seed: int, difference: int, height: int, width: int
) -> None:
    dark = torch.from_numpy(noise(seed, height, width)).clamp(max=255 - difference)
    expected = 20 * np.log10(255 / difference)
    assert psnr(dark + difference, dark, data_range=255) == pytest.approx(expected, abs=1e-4)


@given(seed=seeds, height=st.integers(11, 24), width=st.integers(11, 24), flat=st.booleans())
def test_ssim_is_1_for_equal_pictures_and_never_above(
    seed: int, height: int, width: int, flat: bool
) -> None:
    one, two = map(torch.from_numpy, noise(seed, 2, height, width))
    if flat:
        one = torch.full_like(one, int(one[0, 0]))
    two[0, 0] = one[0, 0] ^ 1
    assert ssim(one, one, data_range=255) == pytest.approx(1, abs=1e-12)
    assert -1 <= ssim(one, two, data_range=255) < 1
    assert ssim(one, two, data_range=255) == pytest.approx(
        ssim(two, one, data_range=255), abs=1e-12
    )


@given(a=st.integers(0, 255), b=st.integers(0, 255), size=st.integers(11, 24))
def test_ssim_of_flat_pictures_is_wangs_luminance_term(a: int, b: int, size: int) -> None:
    one, two = (torch.full((size, 11), level, dtype=torch.uint8) for level in (a, b))
    c = (0.01 * 255) ** 2
    assert ssim(one, two, data_range=255) == pytest.approx(
        (2 * a * b + c) / (a * a + b * b + c), abs=1e-9
    )


@given(border=st.integers(0, 6), height=sides, width=sides, lead=leading)
def test_cropped_border_is_that_much_on_each_side(
    border: int, height: int, width: int, lead: list[int]
) -> None:
    inner = numbered(*lead, height, width)
    margins = [(0, 0)] * len(lead) + [(border, border)] * 2
    framed = np.pad(inner.numpy(), margins, constant_values=-1)
    assert torch.equal(crop_border(torch.from_numpy(framed), border), inner)


@given(seed=seeds, height=sides, width=sides)
def test_quantized_levels_are_the_nearest_of_256(seed: int, height: int, width: int) -> None:
    picture = np.random.default_rng(seed).uniform(-300, 600, (height, width))
    got = quantize(torch.from_numpy(picture))
    nearest = np.abs(picture[..., None] - np.arange(256)).argmin(-1)
    np.testing.assert_array_equal(got, nearest)


def made(seed: int, r: int, count: int, padding: str, activation: str, **shifts: float) -> ESPCN:
    """A network in float64 with biases too, which a fresh one has at zero."""
    torch.manual_seed(seed)
    network = ESPCN(r, count, activation, padding, **shifts).double().requires_grad_(False)
    for layer in (network.conv1, network.conv2, network.conv3):
        assert layer.bias is not None
        torch.nn.init.normal_(layer.bias, std=0.1)
    return network


@given(
    seed=seeds,
    height=sides,
    width=sides,
    centers=st.tuples(*[st.floats(-2, 2)] * 3),
    gains=st.tuples(*[st.floats(0.1, 300)] * 3),
    r=factors,
    count=channels,
    padding=paddings,
    activation=activations,
)
def test_network_folded_to_any_center_and_gain_is_the_same_function(
    seed: int,
    height: int,
    width: int,
    centers: tuple[float, ...],
    gains: tuple[float, ...],
    r: int,
    count: int,
    padding: str,
    activation: str,
) -> None:
    network = made(seed, r, count, padding, activation, center=centers[0], gain=gains[0])
    low = torch.from_numpy(noise(seed, 2, count, height, width)) / 255.0
    expected = network(low.double())
    folded = network
    for center, gain in zip(centers[1:], gains[1:], strict=True):
        folded = folded.folded(center, gain)
        assert (folded.center, folded.gain) == (center, gain)
        torch.testing.assert_close(folded(low.double()), expected, rtol=0, atol=1e-8)


@given(
    seed=seeds,
    rows=st.tuples(st.integers(0, 5), sides, st.integers(0, 5)),
    columns=st.tuples(st.integers(0, 5), sides, st.integers(0, 5)),
    r=factors,
    count=channels,
    activation=activations,
)
def test_patch_with_its_context_is_the_crop_of_the_whole(
    seed: int,
    rows: tuple[int, int, int],
    columns: tuple[int, int, int],
    r: int,
    count: int,
    activation: str,
) -> None:
    network = made(seed, r, count, "replicate", activation)
    low = torch.from_numpy(noise(seed, 2, count, sum(rows), sum(columns))) / 255.0
    framed = np.pad(low.double(), [(0, 0)] * 2 + [(4, 4)] * 2, "edge")
    (top, height, _), (left, width, _) = rows, columns
    patch = framed[..., top : top + height + 8, left : left + width + 8]
    got = F.pixel_shuffle(network.preshuffled(torch.from_numpy(patch)), r)
    whole = network(low.double())
    expected = whole[..., r * top : r * (top + height), r * left : r * (left + width)]
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


@given(
    seed=seeds,
    height=sides,
    width=sides,
    r=factors,
    count=channels,
    padding=paddings,
    activation=activations,
)
def test_network_is_its_plain_convolutions_at_any_size(
    seed: int, height: int, width: int, r: int, count: int, padding: str, activation: str
) -> None:
    network = made(seed, r, count, padding, activation, center=0.0, gain=1.0)
    x = noise(seed, 2, count, height, width) / 255
    if padding == "replicate":
        x = np.pad(x, [(0, 0)] * 2 + [(4, 4)] * 2, "edge")
    for number, layer in enumerate((network.conv1, network.conv2, network.conv3)):
        assert layer.bias is not None
        weight, bias = layer.weight.numpy(), layer.bias.numpy()
        reach = weight.shape[-1] // 2
        if padding == "zeros":
            x = np.pad(x, [(0, 0)] * 2 + [(reach, reach)] * 2)
        windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[-2:], (-2, -1))
        x = np.einsum("bchwij,ocij->bohw", windows, weight, optimize=True) + bias[:, None, None]
        if number < 2:
            x = np.tanh(x) if activation == "tanh" else x.clip(0)
    expected = x.reshape(2, count, r, r, height, width).transpose(0, 1, 4, 2, 5, 3)
    expected = expected.reshape(2, count, r * height, r * width)
    got = network(torch.from_numpy(noise(seed, 2, count, height, width) / 255))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
