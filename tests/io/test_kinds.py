"""Every kind of picture goes in and comes out as it was; what upscales is `repeat` here."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from espcn.io.kinds import apply


def twice(pixels: np.ndarray) -> np.ndarray:
    assert pixels.ndim == 3
    return pixels.repeat(2, 0).repeat(2, 1)


def pixels(*shape: int, kind: str = "uint8") -> np.ndarray:
    random = np.random.default_rng(0)
    if kind.startswith("float"):
        return random.random(shape).astype(kind)
    return random.integers(0, np.iinfo(kind).max, shape, kind, endpoint=True)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3), (2, 4, 5, 4)])
def test_arrays_and_batches(shape: tuple[int, ...], kind: str) -> None:
    given = pixels(*shape, kind=kind)
    down = 0 if given.ndim < 4 else 1
    got = apply(twice, given)
    assert got.dtype == given.dtype
    np.testing.assert_array_equal(got, given.repeat(2, down).repeat(2, down + 1))


@pytest.mark.parametrize("kind", [torch.uint8, torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5), (2, 1, 4, 5)])
def test_tensors_have_channels_first(shape: tuple[int, ...], kind: torch.dtype) -> None:
    given = torch.from_numpy(pixels(*shape))
    given = given if kind == torch.uint8 else (given / 255).to(kind).requires_grad_()
    got = apply(twice, given)
    assert (got.dtype, got.is_contiguous(), got.requires_grad) == (kind, True, False)
    assert torch.equal(got, given.detach().repeat_interleave(2, -2).repeat_interleave(2, -1))


@pytest.mark.parametrize(
    ("mode", "becomes"),
    [("L", "L"), ("LA", "LA"), ("RGB", "RGB"), ("RGBA", "RGBA"), ("P", "RGB"), ("1", "L"),
     ("CMYK", "RGB"), ("I;16", "I;16")],
)  # fmt: skip
def test_pil_pictures(mode: str, becomes: str) -> None:
    given = Image.fromarray(pixels(4, 5, 3)).convert("L" if mode == "I;16" else mode)
    given = given.convert(mode) if mode == "I;16" else given
    got = apply(twice, given)
    assert (got.mode, got.size) == (becomes, (10, 8))
    np.testing.assert_array_equal(
        np.asarray(got)[::2, ::2], np.asarray(given if mode == becomes else given.convert(becomes))
    )


def test_deep_and_float_pil_pictures() -> None:
    deep = pixels(4, 5, kind="uint16")
    got = apply(twice, Image.fromarray(deep.astype(np.int32)))  # how Pillow opens a 16-bit PGM
    np.testing.assert_array_equal(np.asarray(got)[::2, ::2], deep)
    floats = pixels(4, 5, kind="float32")
    got = apply(twice, Image.fromarray(floats))
    assert got.mode == "F"
    np.testing.assert_array_equal(np.asarray(got)[::2, ::2], floats)
    assert apply(twice, Image.fromarray(pixels(4, 5, 2)).convert("La")).mode == "LA"


def test_palette_with_transparency_keeps_it() -> None:
    given = Image.fromarray(pixels(4, 5)).convert("P")
    given.info["transparency"] = 0
    assert apply(twice, given).mode == "RGBA"
    given = Image.fromarray(pixels(4, 5, 3))
    given.info["transparency"] = tuple(map(int, np.asarray(given)[0, 0]))
    assert apply(twice, given).mode == "RGBA"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((4, 4), np.int32), "must be of uint8, uint16 or floats, got int32: convert it"),
        ("a.png", "must be a NumPy array, a tensor, a PIL picture, .*, got str"),
        (np.zeros((3, 4, 5), np.uint8), r"1 to 4\) or a batch of such, got \(3, 4, 5\)"),
        (np.zeros((2, 3, 4, 5), np.uint8), r"a batch of such, got \(2, 3, 4, 5\)"),
        (np.zeros((0, 4), np.uint8), r"got \(0, 4\)"),
        (torch.zeros(5, 4, 3), r"\(1 to 4, height, width\) or a batch of such, got \(5, 4, 3\)"),
        (torch.zeros(4, 5, dtype=torch.int64), "got int64"),
        (np.full((4, 4), 255.0), "but are 255 to 255: divide by the value of white"),
        (np.linspace(-1, 1, 16).reshape(4, 4), "but are -1 to 1: add 1 and halve them"),
        (Image.fromarray(np.full((4, 4), 70_000, np.int32)), "of mode I must be from 0 to 65535"),
        (Image.fromarray(np.full((4, 4), -1, np.int32)), "but goes from -1 to -1: scale it"),
        (
            np.full((4, 4), -0.2),
            r"be from 0 to 1, or near it \(-0.15 to 1.5\), but are -0.2 to -0.2",
        ),
        *((np.array([[0, bad]]), "must be finite, .*NaN") for bad in (np.nan, np.inf)),
    ],
)
def test_what_is_no_picture_is_refused(given: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        apply(twice, given)
