"""Qualities are those that Pillow was given; pictures are T91's or scikit-image's."""

import io

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from espcn.data.datasets import load_set
from espcn.imaging.color import luma, to_channels
from espcn.imaging.compression import compress_h264, compress_jpeg
from espcn.imaging.degradation import BENCHMARK
from espcn.imaging.downsampling import crop_to_multiple
from espcn.imaging.jpeg_traces import (
    grid_quality,
    quality_quantizer,
    standard_table,
    table_quality,
)
from espcn.imaging.metrics import psnr


def small(pixels: np.ndarray, r: int) -> np.ndarray:
    """Return a picture made small by bicubic, uint8 `(height, width, 3)`."""
    planes = BENCHMARK(crop_to_multiple(to_channels(pixels, 3), r), r)
    return planes.permute(1, 2, 0).numpy()


def through_jpeg(pixels: np.ndarray, quality: int, **options: object) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, **options)
    return np.array(Image.open(file))


def photographs() -> list[np.ndarray]:
    return [*load_set("skimage-test").images, *load_set("skimage-train").images]


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 95, 100])
def test_standard_table_is_that_of_pillows_files(quality: int) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG", quality=quality)
    expected = np.array(Image.open(file).quantization[0]).reshape(8, 8)
    np.testing.assert_array_equal(standard_table(quality), expected)
    assert table_quality(expected) == pytest.approx(quality, abs=0.01)


def test_other_tables_have_the_quality_that_loses_as_much() -> None:
    between = (standard_table(80) + standard_table(70)) / 2
    assert 70 < table_quality(between) < 80
    # A flat table, as some cameras have: it spares the high frequencies, and not the low ones.
    flat = np.full((8, 8), 10)
    own = {"qtables": [flat.ravel().tolist()] * 2}  # which Pillow scales by the quality, 50 for 1
    losses = []
    for quality, options in ((50, own), (round(table_quality(flat)), {})):
        errors = [
            through_jpeg(one, quality, subsampling=0, **options) - one.astype(float)
            for one in (small(pixels, 2) for pixels in photographs())
        ]
        losses.append(np.sqrt(np.mean([np.mean(error**2) for error in errors])))
    assert losses[0] == pytest.approx(losses[1], rel=0.15)


@pytest.mark.slow
def test_quantiser_of_h264_loses_as_much_as_the_jpeg() -> None:
    planes = [luma(to_channels(pixels, 3)) for pixels in photographs()[:5]]
    planes = [crop_to_multiple(plane.to(torch.uint8), 2) for plane in planes]
    for quality in (30, 60, 90):
        by_jpeg, by_h264 = [], []
        for plane in planes:
            low, (frames, shown) = BENCHMARK(plane, 2), BENCHMARK.excerpt(plane, 2)
            by_jpeg.append(psnr(compress_jpeg(low, quality), low, data_range=255))
            # In so short an excerpt x264's quantisers are about 6 above its CRF.
            damaged = compress_h264(frames, quality_quantizer(quality) - 6)[shown]
            by_h264.append(psnr(damaged, low, data_range=255))
        assert np.mean(by_h264) == pytest.approx(np.mean(by_jpeg), abs=2)
    quantizers = [quality_quantizer(quality) for quality in range(1, 101)]
    assert quantizers == sorted(quantizers, reverse=True)
    measured = [quantizers[quality - 1] for quality in (*range(10, 91, 10), 95, 100)]
    assert measured == [42.7, 38.3, 35.9, 34.4, 33.1, 31.9, 30.2, 27.6, 22.5, 17.1, 0.0]


@pytest.mark.parametrize("r", [2, 3])
def test_pictures_made_small_show_no_grid(r: int) -> None:
    for pixels in photographs():
        assert grid_quality(small(pixels, r)) is None


@pytest.mark.parametrize("shift", [0, 3])
@pytest.mark.parametrize("quality", [20, 50, 70, 85])
def test_grid_of_an_old_jpeg_is_found_with_its_quality(quality: int, shift: int) -> None:
    found = [
        grid_quality(through_jpeg(small(pixels, 2), quality)[shift:, 2 * shift :])
        for pixels in photographs()
    ]
    told = [one for one in found if one is not None]
    assert len(told) >= 0.9 * len(found)
    assert np.median(np.abs(np.array(told) - quality)) <= 1


def test_alpha_and_grey_are_looked_at_too() -> None:
    pixels = through_jpeg(small(skimage.data.astronaut(), 2), 60)
    alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    assert grid_quality(np.concatenate([pixels, alpha], 2)) == pytest.approx(60, abs=1)
    grey = through_jpeg(pixels[..., 0], 60)[..., None]
    assert grid_quality(grey) == pytest.approx(60, abs=1)


def test_picture_of_too_few_blocks_is_clean() -> None:
    pixels = through_jpeg(small(skimage.data.astronaut(), 2), 30)[96:, 96:]
    # A block less in each direction can be whole, wherever the grid lies: 9 and 8 of them.
    assert grid_quality(pixels[:32, :32]) is not None
    assert grid_quality(pixels[:24, :40]) is None
    assert grid_quality(pixels[:40, :24]) is None


def test_pictures_without_detail_are_clean() -> None:
    assert grid_quality(np.full((200, 200, 3), 90, np.uint8)) is None
    assert grid_quality(np.zeros((5, 300, 1), np.uint8)) is None
    # Tiles of 8 pixels, as in old games, are no JPEG.
    tiles = np.random.default_rng(0).integers(0, 2, (20, 25), np.uint8) * 200
    assert grid_quality(np.kron(tiles, np.ones((8, 8), np.uint8))[..., None]) is None
    kinds = np.random.default_rng(1).integers(0, 256, (16, 8, 8), np.uint8)
    kinds[::2] = kinds[::2, :1, :1]  # half of them flat
    places = np.random.default_rng(2).integers(0, 16, (18, 24))
    atlas = np.block([[kinds[place] for place in row] for row in places])
    assert grid_quality(atlas[..., None]) is None
    noise = torch.randint(256, (128, 128, 3), generator=torch.Generator().manual_seed(0))
    assert grid_quality(noise.to(torch.uint8).numpy()) is None
