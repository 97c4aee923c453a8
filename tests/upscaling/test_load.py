"""One `Upscaler` for many at once: whoever asks gets, byte for byte, what one alone gets."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import skimage.data

from espcn.upscaling.upscaler import Upscaler


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Return 200 pictures of many sizes, colour and grey, of 8 bits and of 16."""
    draw = np.random.default_rng(0)
    photos = [skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea()]
    made = []
    for number in range(200):
        photo = photos[number % 3]
        height, width = draw.integers(3, 90, 2)
        top = draw.integers(0, photo.shape[0] - height)
        left = draw.integers(0, photo.shape[1] - width)
        picture = photo[top : top + height, left : left + width]
        picture = picture[..., 0] if number % 5 == 0 else picture
        made.append(picture.astype(np.uint16) * 257 if number % 7 == 0 else picture)
    return made


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(3, device="cpu")  # by the engine and precision that it takes by itself


@pytest.fixture(scope="module")
def one_by_one(upscaler: Upscaler, pictures: list[np.ndarray]) -> list[bytes]:
    return [upscaler(picture).tobytes() for picture in pictures]


def test_sixteen_threads_give_what_one_gives(
    upscaler: Upscaler, pictures: list[np.ndarray], one_by_one: list[bytes]
) -> None:
    with ThreadPoolExecutor(16) as pool:
        large = [one.tobytes() for one in pool.map(upscaler, pictures)]
    assert large == one_by_one


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_four_processes_give_what_one_gives(
    upscaler: Upscaler, pictures: list[np.ndarray], one_by_one: list[bytes], method: str
) -> None:
    with multiprocessing.get_context(method).Pool(4) as pool:
        large = [one.tobytes() for one in pool.map(upscaler, pictures, chunksize=10)]
    assert large == one_by_one
