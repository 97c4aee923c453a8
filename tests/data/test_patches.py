"""Expected patches are slices of the whole picture, their number the notebook's own formula."""

import os
from dataclasses import astuple

import numpy as np
import pytest
import torch
from torch import Tensor

from espcn.data.datasets import load_set
from espcn.data.patches import Patches, Recipe, cut, join, rescale
from espcn.imaging.color import to_channels
from espcn.imaging.compression import compress_jpeg
from espcn.imaging.degradation import Degradation
from espcn.imaging.downsampling import bicubic
from espcn.imaging.shuffle import flip, preshuffle

REAL = os.environ.get("ESPCN_DATA")
needs_real = pytest.mark.skipif(not REAL, reason="ESPCN_DATA doesn't point to the real sets")


def noise(*shape: int, seed: int = 0) -> Tensor:
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return torch.from_numpy(values)


def notebook_count(height: int, width: int, r: int) -> int:
    """The notebook's subsample(): 17r x 17r every 14r, floor((side - 3r) / 14r) to a side."""
    return ((height - 3 * r) // (14 * r)) * ((width - 3 * r) // (14 * r))


def equal(one: Patches, two: Patches) -> bool:
    return all(torch.equal(a, b) for a, b in zip(astuple(one), astuple(two), strict=True))


@pytest.mark.parametrize("r", [2, 3, 4])
def test_number_of_patches_is_the_notebooks(r: int) -> None:
    for height, width in ((17 * r, 17 * r), (31 * r - 1, 17 * r + 1), (31 * r, 60 * r + 2)):
        patches = cut(
            [noise(1, height, width)], Recipe(r=r, degradation=Degradation(downsample="decimate"))
        )
        assert len(patches) == notebook_count(height, width, r) > 0


@needs_real
def test_t91_gives_as_many_patches_as_in_the_notebook() -> None:
    images = [to_channels(pixels, 1) for pixels in load_set("T91", REAL, download=False).images]
    patches = cut(images, Recipe(r=3, degradation=Degradation(downsample="decimate")))
    expected = [notebook_count(*image.shape[-2:], 3) for image in images]
    assert torch.bincount(patches.owner, minlength=91).tolist() == expected
    assert len(patches) == sum(expected) > 1000


@pytest.mark.parametrize("halo", [0, 4])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("r", [2, 3])
@pytest.mark.parametrize("downsample", ["bicubic", "decimate"])
def test_patches_are_slices_of_the_whole_degraded_picture(
    downsample: str, r: int, channels: int, halo: int
) -> None:
    patch, stride = 5, 3
    rows, columns = 3, 4
    height, width = patch + (rows - 1) * stride, patch + (columns - 1) * stride
    image = noise(channels, height * r + r - 1, width * r + 1)  # a little more than fits
    patches = cut(
        [image],
        Recipe(
            r=r, degradation=Degradation(0.5, downsample), patch=patch, stride=stride, halo=halo
        ),
    )

    small = Degradation(0.5, downsample)(image[:, : height * r, : width * r], r)
    padded = np.pad(small, ((0, 0), (halo, halo), (halo, halo)), "edge")
    assert patches.low.dtype == patches.target.dtype == torch.uint8
    assert len(patches) == rows * columns
    for index, low in enumerate(patches.low):
        y, x = divmod(index, columns)
        y, x = y * stride, x * stride
        reach = patch + 2 * halo
        np.testing.assert_array_equal(low, padded[:, y : y + reach, x : x + reach])


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("r", [2, 3])
def test_targets_are_the_preshuffled_crops(r: int, channels: int, each: bool) -> None:
    patch, stride = 5, 3
    image = noise(channels, 11 * r, 8 * r)
    patches = cut(
        [image],
        Recipe(
            r=r,
            degradation=Degradation(downsample="decimate"),
            patch=patch,
            stride=stride,
            per_patch=each,
        ),
    )
    corners = [(y, x) for y in (0, 3, 6) for x in (0, 3)]
    assert patches.target.shape == (len(corners), channels * r * r, patch, patch)
    for (y, x), target in zip(corners, patches.target, strict=True):
        crop = image[:, y * r : (y + patch) * r, x * r : (x + patch) * r]
        for channel, values in enumerate(target):
            c, place = divmod(channel, r * r)
            row, column = divmod(place, r)
            assert torch.equal(values, crop[c, row::r, column::r])


@pytest.mark.parametrize("halo", [0, 4])
@pytest.mark.parametrize("downsample", ["bicubic", "skimage"])
def test_each_target_is_degraded_on_its_own_where_asked(downsample: str, halo: int) -> None:
    r, patch, stride = 3, 5, 3
    image = noise(1, 11 * r, 8 * r)
    alone = cut(
        [image],
        Recipe(
            r=r,
            degradation=Degradation(0.5, downsample),
            patch=patch,
            stride=stride,
            halo=halo,
            per_patch=True,
        ),
    )
    corners = [(y * r, x * r) for y in (0, 3, 6) for x in (0, 3)]
    for (y, x), low in zip(corners, alone.low, strict=True):
        small = Degradation(0.5, downsample)(image[:, y : y + patch * r, x : x + patch * r], r)
        expected = np.pad(small, ((0, 0), (halo, halo), (halo, halo)), "edge")
        np.testing.assert_array_equal(low, expected)
    whole = cut(
        [image],
        Recipe(
            r=r, degradation=Degradation(0.5, downsample), patch=patch, stride=stride, halo=halo
        ),
    )
    assert torch.equal(alone.target, whole.target)
    assert not torch.equal(alone.low, whole.low)


def test_owner_is_the_index_of_the_image() -> None:
    images = [noise(1, 20, 20), noise(1, 9, 30), noise(1, 30, 20, seed=1)]
    patches = cut(
        images,
        Recipe(r=2, degradation=Degradation(downsample="decimate"), patch=5, stride=5, halo=0),
    )
    assert patches.owner.dtype == torch.int64
    assert patches.owner.tolist() == [0] * 4 + [2] * 6  # the second one is too small
    alone = cut(
        images[2:],
        Recipe(r=2, degradation=Degradation(downsample="decimate"), patch=5, stride=5, halo=0),
    )
    assert torch.equal(patches.low[4:], alone.low)


@pytest.mark.parametrize("channels", [1, 3])
def test_too_small_images_give_no_patches_of_the_right_shape(channels: int) -> None:
    for images in ([noise(channels, 50, 80)], [noise(channels, 80, 50), noise(channels, 2, 2)]):
        for each in (False, True):
            none = cut(images, Recipe(r=3, channels=channels, per_patch=each))
            assert len(none) == 0
            assert none.low.shape == (0, channels, 25, 25)
            assert none.target.shape == (0, channels * 9, 17, 17)
            one = cut([noise(channels, 51, 51)], Recipe(r=3, channels=channels, per_patch=each))
            assert equal(join([none, one]), one)
    assert len(cut([], Recipe(r=3))) == 0


def test_join_and_select_undo_each_other() -> None:
    parts = [
        cut(
            [noise(1, 40, 40, seed=s)],
            Recipe(r=2, degradation=Degradation(downsample="decimate"), patch=5, stride=5),
        )
        for s in range(3)
    ]
    whole = join(parts)
    assert len(whole) == 3 * 16
    at = torch.arange(len(whole))
    for index, part in enumerate(parts):
        assert equal(whole.select(at[16 * index : 16 * index + 16]), part)
        assert equal(whole.select(at // 16 == index), part)


def bars(black: int, white: int) -> Tensor:
    image = torch.full((1, 60, 60), black, dtype=torch.uint8)
    image[..., ::3] = image[..., 20:40] = white
    return image


@pytest.mark.parametrize(("black", "white", "full_range"), [(16, 235, False), (0, 255, True)])
def test_jpeg_has_the_range_of_the_image_before_it_was_rescaled(
    black: int, white: int, full_range: bool
) -> None:
    scaled = rescale(bars(black, white), 0.8)
    assert scaled.min() < 16  # so that it looks like a picture of full range either way
    assert scaled.max() > 235
    recipe = Recipe(r=3, degradation=Degradation(jpeg=30), patch=16, stride=16, halo=0)
    got = cut([bars(black, white)], recipe, 0.8)
    assert torch.equal(got.low[0], compress_jpeg(bicubic(scaled, 3, 0.0), 30, full_range))
    assert torch.equal(got.target[0], preshuffle(scaled, 3))


def test_patch_without_black_and_white_has_the_range_of_its_image() -> None:
    image = bars(0, 255)
    image[..., :30, :30] = noise(1, 30, 30) // 2 + 64
    recipe = Recipe(3, 1, Degradation(jpeg=30), patch=10, stride=10, halo=0, per_patch=True)
    expected = compress_jpeg(bicubic(image[:, :30, :30], 3, 0.0), 30, full_range=True)
    assert torch.equal(cut([image], recipe).low[0], expected)


@pytest.mark.parametrize("symmetry", range(8))
def test_flipped_patch_is_the_patch_of_the_flipped_image(symmetry: int) -> None:
    r = 3  # where decimation takes the middle pixel, so that no rounding comes in
    image = noise(3, 5 * r, 5 * r)
    got = cut(
        [image], Recipe(r=r, degradation=Degradation(downsample="decimate"), patch=5, stride=5)
    ).flipped(r, symmetry)
    assert equal(
        got,
        cut(
            [flip(image, symmetry)],
            Recipe(r=r, degradation=Degradation(downsample="decimate"), patch=5, stride=5),
        ),
    )
    assert torch.equal(got.target[0], preshuffle(flip(image, symmetry), r))


@pytest.mark.parametrize("scale", [0.3, 0.6, 0.77, 0.9, 1.0, 1.4])
def test_rescale_keeps_a_constant(scale: float) -> None:
    for level in (0, 1, 128, 255):
        got = rescale(torch.full((3, 17, 23), level, dtype=torch.uint8), scale)
        assert got.dtype == torch.uint8
        assert got.unique().tolist() == [level]


@pytest.mark.parametrize(
    ("scale", "size"),
    [(1, (10, 14)), (0.66, (7, 9)), (0.9, (9, 13)), (0.04, (1, 1)), (2, (20, 28))],
)
def test_rescaled_size_is_rounded_and_at_least_1(scale: float, size: tuple[int, int]) -> None:
    assert rescale(noise(1, 10, 14), scale).shape == (1, *size)


def test_rescale_by_1_changes_nothing() -> None:
    assert torch.equal(rescale(noise(3, 10, 14), 1.0), noise(3, 10, 14))


def test_rescaled_ramp_keeps_its_place() -> None:
    # Output pixel i lies at (i + 0.5) / scale - 0.5: on a ramp of slope 2 that is known.
    ramp = (torch.arange(100) * 2).to(torch.uint8).expand(1, 8, 100)
    expected = 2 * ((np.arange(50) + 0.5) / 0.5 - 0.5)
    got = rescale(ramp, 0.5)[0, 2]
    np.testing.assert_array_equal(got[4:-4], expected[4:-4])
