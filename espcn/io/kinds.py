"""The kinds of in-memory pictures, and their conversion to and from arrays.

Every kind is converted to NumPy arrays `(height, width, channels)`, and results are converted back.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

KINDS = "a NumPy array, a tensor, a PIL picture, a path, or a list of them"
FLOATS = (-0.15, 1.5)  # taken, and clipped: interpolation leaves some beyond black and white

TYPES = ("uint8", "uint16", "float32", "float64")

Upscale = Callable[[np.ndarray], np.ndarray]


def apply(upscale: Upscale, picture: Any) -> Any:
    """Upscale a picture of any kind except a path or a list.

    Args:
        upscale: Maps `(height, width, channels)` of a type in TYPES to a larger one.
        picture: An array or a tensor, one picture or a batch; or a PIL picture.

    Returns:
        The result, of the same kind, type and device.

    Raises:
        ValueError: It is of another kind, or its type, shape or range is wrong.
    """
    if isinstance(picture, Image.Image):
        return _apply_pil(upscale, picture)
    if isinstance(picture, torch.Tensor):
        return _apply_tensor(upscale, picture)
    if isinstance(picture, np.ndarray):
        return _apply_array(upscale, picture)
    raise ValueError(f"`picture` must be {KINDS}, got {type(picture).__name__}")


def _apply_array(upscale: Upscale, picture: np.ndarray) -> np.ndarray:
    if picture.dtype == np.float16:
        return _apply_array(upscale, picture.astype(np.float32)).astype(np.float16)
    if picture.dtype.name not in TYPES:
        raise ValueError(
            f"`picture` must be of uint8, uint16 or floats, got {picture.dtype}: convert it"
        )
    is_one = picture.ndim in (3, 4) and 1 <= picture.shape[-1] <= 4
    if not (picture.ndim == 2 or is_one) or not picture.size:
        raise ValueError(_shape_rule(picture.shape, "(height, width, 1 to 4)"))
    if picture.dtype.kind == "f":
        low, high = float(picture.min()), float(picture.max())
        if not (FLOATS[0] <= low and high <= FLOATS[1]):  # which holds for NaN as well
            if not np.isfinite([low, high]).all():
                raise ValueError("`picture` must be finite, but holds NaN or infinity: replace it")
            signed = low < FLOATS[0] and high <= FLOATS[1]
            raise ValueError(
                "floats in `picture` must be from 0 to 1, or near it "
                f"({FLOATS[0]} to {FLOATS[1]}), but are {low:g} to {high:g}: "
                + ("add 1 and halve them" if signed else "divide by the value of white")
            )
    if picture.ndim == 4:
        return np.stack([_apply_array(upscale, one) for one in picture])
    if picture.ndim == 2:
        return upscale(picture[..., None])[..., 0]
    return upscale(picture)


def _apply_tensor(upscale: Upscale, picture: torch.Tensor) -> torch.Tensor:
    if picture.ndim not in (2, 3, 4) or (picture.ndim > 2 and not 1 <= picture.shape[-3] <= 4):
        raise ValueError(_shape_rule(tuple(picture.shape), "(1 to 4, height, width)"))
    own = picture.detach().cpu()
    if own.dtype == torch.bfloat16:  # which NumPy lacks
        own = own.float()
    array = own.numpy() if own.ndim == 2 else own.movedim(-3, -1).numpy()
    large = torch.from_numpy(np.ascontiguousarray(_apply_array(upscale, array)))
    large = large if large.ndim == 2 else large.movedim(-1, -3)
    return large.contiguous().to(picture.device, picture.dtype)


def _apply_pil(upscale: Upscale, picture: Image.Image) -> Image.Image:
    array = np.asarray(picture)
    if picture.mode.startswith("I"):
        if array.size and (array.min() < 0 or array.max() > 65535):
            raise ValueError(
                f"`picture` of mode {picture.mode} must be from 0 to 65535, but goes from "
                f"{array.min()} to {array.max()}: scale it"
            )
        return Image.fromarray(_apply_array(upscale, array.astype(np.uint16)))
    if picture.mode == "F":
        return Image.fromarray(_apply_array(upscale, array))
    if picture.mode == "La":  # Pillow makes LA of it, but not RGBA
        return _apply_pil(upscale, picture.convert("LA"))
    grey = picture.mode in ("1", "L", "LA")
    mode = ("LA" if grey else "RGBA") if picture.has_transparency_data else "L" if grey else "RGB"
    converted = picture if picture.mode == mode else picture.convert(mode)
    return Image.fromarray(_apply_array(upscale, np.asarray(converted)))


def _shape_rule(shape: tuple[int, ...], layout: str) -> str:
    return f"`picture` must be (height, width), {layout} or a batch of such, got {shape}"
