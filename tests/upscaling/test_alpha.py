"""Colours under transparency."""

import numpy as np
import pytest

from espcn.upscaling.alpha import REACH, bleed


def disc(channels: int, white: float, kind: str = "uint8") -> np.ndarray:
    """Return a white disc on transparent black."""
    y, x = np.mgrid[:48, :64]
    pixels = np.zeros((48, 64, channels), kind)
    pixels[(y - 23.5) ** 2 + (x - 31.5) ** 2 < 100] = white
    return pixels


@pytest.mark.parametrize(("kind", "white"), [("uint8", 255), ("uint16", 65535), ("float32", 1)])
@pytest.mark.parametrize("channels", [2, 4])
def test_hidden_pixels_take_the_colour_of_visible_ones(
    kind: str, white: float, channels: int
) -> None:
    pixels = disc(channels, white, kind)
    filled = bleed(pixels)
    assert filled.dtype == pixels.dtype
    np.testing.assert_array_equal(filled[..., -1], pixels[..., -1])
    row = filled[24, :, 0] / white
    assert row[22 - REACH : 42 + REACH] == pytest.approx(1, abs=1e-4)
    assert row[: 20 - REACH].max() == 0  # far away nothing changes


def test_the_nearest_visible_colour_counts_most() -> None:
    pixels = np.zeros((1, 12, 4), np.uint8)
    pixels[0, 0], pixels[0, 11] = (200, 0, 0, 255), (0, 0, 200, 255)
    filled = bleed(pixels)
    assert filled[0, 1, 0] > 195 > 5 > filled[0, 1, 2]
    assert filled[0, 10, 2] > 195 > 5 > filled[0, 10, 0]


def test_visible_pixels_keep_their_colour() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 4), dtype=np.uint8)
    pixels[:16, :, 3] = 0
    pixels[20, 20, 3] = 1
    filled = bleed(pixels)
    visible = pixels[..., 3] > 0
    np.testing.assert_array_equal(filled[visible], pixels[visible])


@pytest.mark.parametrize("alpha", [0, 1, 255])
def test_pictures_that_are_transparent_nowhere_or_everywhere_stay(alpha: int) -> None:
    pixels = np.full((8, 8, 4), alpha, np.uint8)
    assert bleed(pixels) is pixels


def line(*visible: tuple[int, float, float]) -> np.ndarray:
    """Return a line of transparent floats, in which there are a place, a level and its alpha."""
    pixels = np.zeros((1, 20, 2), np.float32)
    for place, level, alpha in visible:
        pixels[0, place] = level, alpha
    return pixels


def test_colours_count_by_a_gaussian_of_their_distance_and_by_their_alpha() -> None:
    # Sigma is 1.5 pixels: 1 and 2 pixels away the weights are exp(-1 / 4.5) and exp(-4 / 4.5).
    near, far = 0.8007374 * 0.25, 0.4111123 * 1.0
    filled = bleed(line((9, 100, 0.25), (12, 40, 1.0)))
    expected = (100 * near + 40 * far) / (near + far)
    assert filled[0, 10, 0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", [(1, 20, 2), (20, 1, 2)])
def test_colours_bleed_eight_pixels_far(shape: tuple[int, int, int]) -> None:
    filled = bleed(line((10, 100, 1.0)).reshape(shape))[..., 0].ravel()
    assert np.flatnonzero(filled).tolist() == list(range(2, 19))
    assert filled[2:19] == pytest.approx(100, rel=1e-5)


def test_negative_alpha_counts_as_none() -> None:
    filled = bleed(line((9, 100, 1.0), (11, 900, -0.5)))
    assert filled[0, 10:12, 0] == pytest.approx(100, rel=1e-5)
