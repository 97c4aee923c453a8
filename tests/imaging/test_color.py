"""Expected colours: the 100 % colour bars of ITU-R BT.601, and scikit-image."""

import numpy as np
import pytest
import skimage.color
import torch

from espcn.imaging.color import from_ycbcr, luma, to_channels, to_ycbcr

# Colour bars of 100 % in BT.601, 8 bits, as published: RGB, then Y, Cb, Cr. MATLAB's
# rgb2ycbcr(uint8(...)) gives the same whole numbers.
BARS = {
    "black": ((0, 0, 0), (16, 128, 128)),
    "white": ((255, 255, 255), (235, 128, 128)),
    "red": ((255, 0, 0), (81, 90, 240)),
    "green": ((0, 255, 0), (145, 54, 34)),
    "blue": ((0, 0, 255), (41, 240, 110)),
    "yellow": ((255, 255, 0), (210, 16, 146)),
    "cyan": ((0, 255, 255), (170, 166, 16)),
    "magenta": ((255, 0, 255), (106, 202, 222)),
}
NOISE = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)


def chw(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


@pytest.mark.parametrize(("rgb", "ycbcr"), BARS.values(), ids=BARS)
def test_colour_bars_have_their_published_values(rgb: tuple, ycbcr: tuple) -> None:
    picture = torch.tensor(rgb, dtype=torch.uint8).reshape(3, 1, 1)
    assert tuple(to_ycbcr(picture).round().flatten().tolist()) == ycbcr
    assert luma(picture).item() == ycbcr[0]


def test_ycbcr_is_that_of_scikit_image() -> None:
    expected = skimage.color.rgb2ycbcr(NOISE[..., :3])
    got = to_ycbcr(chw(NOISE[..., :3])).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-9)


def test_luma_is_the_rounded_first_channel_of_ycbcr() -> None:
    expected = np.round(skimage.color.rgb2ycbcr(NOISE[..., :3])[..., 0])
    got = luma(chw(NOISE[..., :3]))
    assert got.dtype == torch.float64
    assert got.shape == (1, 20, 30)
    np.testing.assert_array_equal(got[0], expected)


def test_batches_are_converted_picture_by_picture() -> None:
    batch = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (2, 5, 3, 4, 6)))
    for function in (to_ycbcr, luma, from_ycbcr):
        each = torch.stack([torch.stack([function(one) for one in row]) for row in batch])
        torch.testing.assert_close(function(batch), each, rtol=0, atol=1e-9)


def test_from_ycbcr_undoes_to_ycbcr() -> None:
    rgb = chw(NOISE[..., :3])
    torch.testing.assert_close(from_ycbcr(to_ycbcr(rgb)), rgb.double(), rtol=0, atol=1e-9)


def test_from_ycbcr_leaves_0_to_255_unclipped() -> None:
    # Studio black and white are 0 and 255, so by the same slope (255 / 219) 0 and 255 are beyond.
    greys = torch.tensor([[0.0, 128, 128], [255, 128, 128]]).T[..., None]
    expected = torch.tensor([-16 * 255 / 219, 239 * 255 / 219], dtype=torch.float64)
    got = from_ycbcr(greys)[..., 0]
    torch.testing.assert_close(got, expected.expand(3, 2), rtol=0, atol=1e-9)


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_is_used_as_it_is(channels: int) -> None:
    grey = NOISE[..., :1]
    got = to_channels(grey, channels)
    assert got.dtype == torch.uint8
    assert got.shape == (channels, 20, 30)
    for channel in got:
        np.testing.assert_array_equal(channel, grey[..., 0])


def test_colour_becomes_luma_or_stays_colour() -> None:
    rgb = NOISE[..., :3]
    expected = np.round(skimage.color.rgb2ycbcr(rgb)[..., :1]).astype(np.uint8)
    got = to_channels(rgb, 1)
    assert got.dtype == torch.uint8
    np.testing.assert_array_equal(got, expected.transpose(2, 0, 1))
    np.testing.assert_array_equal(to_channels(rgb, 3), rgb.transpose(2, 0, 1))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("samples", [2, 4])
def test_alpha_is_left_out(samples: int, channels: int) -> None:
    got = to_channels(NOISE[..., :samples], channels)
    assert torch.equal(got, to_channels(NOISE[..., : samples - 1], channels))


@pytest.mark.parametrize("samples", [1, 3])
def test_16_bits_become_the_nearest_of_8(samples: int) -> None:
    # 65535 = 257 x 255, so the 8-bit level v is the 16-bit level 257 v.
    wide = NOISE[..., :samples].astype(np.uint16) * 257
    for off in (-128, 0, 128):
        moved = np.clip(wide.astype(int) + off, 0, 65535).astype(np.uint16)
        np.testing.assert_array_equal(
            to_channels(moved, samples), NOISE[..., :samples].transpose(2, 0, 1)
        )


def test_pixels_are_left_as_they_were() -> None:
    for dtype in (np.uint8, np.uint16):
        pixels = NOISE[..., :3].astype(dtype)
        to_channels(pixels, 1)
        np.testing.assert_array_equal(pixels, NOISE[..., :3])
