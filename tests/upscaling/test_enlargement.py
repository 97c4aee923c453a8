"""Enlarging to a size: one network or two, then Lanczos; in bands as if at once."""

import numpy as np
import pytest
from PIL import Image

from espcn.network.strengths import Compression
from espcn.upscaling import tiles
from espcn.upscaling.enlargement import enlargement
from espcn.upscaling.size import LargeEnough, Size
from espcn.upscaling.upscaler import Upscaler


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(3, engine="torch", precision="float32", device="cpu")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    import skimage.data

    return np.ascontiguousarray(skimage.data.astronaut()[20:71, 180:243])


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "deep"])
def test_two_steps_in_bands_are_one_after_the_other(
    kind: str, upscaler: Upscaler, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = photo if kind == "RGB" else photo.astype(np.uint16) * 257
    if kind == "RGBA":
        pixels = np.dstack([photo, np.where(photo[..., :1] > 99, 255, 0).astype(np.uint8)])
    height, width, channels = pixels.shape
    wanted = enlargement(upscaler, Size(scale=7.5), width, height)
    assert [step.r for step in wanted.steps] == [4, 2]
    assert (wanted.r, wanted.width, wanted.height) == (8, 473, 383)
    expected = upscaler.by(2)(upscaler.by(4)(pixels))
    monkeypatch.setattr(tiles, "BAND", width * 7)
    bands = list(wanted.bands(lambda top, end: pixels[top:end], height, width, channels))
    assert len(bands) > 20
    assert np.concatenate(bands).dtype == pixels.dtype
    difference = np.concatenate(bands).astype(int) - expected
    assert np.abs(difference).max() <= (257 if kind == "deep" else 0)


def test_without_a_size_it_is_the_upscaler_itself(upscaler: Upscaler) -> None:
    wanted = enlargement(upscaler, None, 5, 7)
    assert wanted.steps == (upscaler,)
    assert (wanted.width, wanted.height) == (15, 21)


def test_only_the_source_was_compressed(upscaler: Upscaler) -> None:
    wanted = enlargement(upscaler, Size(width=100), 20, 10).suited_to(Compression("jpeg", 20))
    assert [str(step.strength) for step in wanted.steps] == ["weights jpeg 5", "finer weights"]
    assert [step.r for step in wanted.steps] == [3, 2]
    assert wanted.steps[0].engine.lock is upscaler.engine.lock


def test_source_that_is_large_enough_is_refused(upscaler: Upscaler) -> None:
    with pytest.raises(LargeEnough, match="not smaller than requested"):
        enlargement(upscaler, Size(width=20), 20, 10)
    with pytest.raises(ValueError, match="but the maximum is 16 times"):
        enlargement(upscaler, Size(width=321), 20, 10)


def test_lanczos_is_pillows(upscaler: Upscaler, photo: np.ndarray) -> None:
    import pyvips

    from espcn.io.writing import reduced

    large = upscaler(photo)
    small = reduced(pyvips.Image.new_from_array(large), 120, 101).numpy()
    expected = np.asarray(Image.fromarray(large).resize((120, 101), Image.Resampling.LANCZOS))
    assert small.dtype == np.uint8
    assert np.abs(small.astype(int) - expected).max() <= 2  # Pillow rounds in between
