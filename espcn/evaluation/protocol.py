"""The standard benchmark protocol: how a network is scored on pictures.

Crop to a multiple of r, convert to luma, degrade, upscale, clip and round to 8 bits, crop r pixels
from each border, take PSNR and SSIM of each picture, and the mean over the set. The bicubic figures
are measured in the same way. The PSNR of a picture without any error, such as a white page, is
infinite: the mean leaves it out.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espcn.data.image_set import ImageSet
from espcn.imaging.color import luma, to_channels
from espcn.imaging.degradation import BENCHMARK, Degradation
from espcn.imaging.downsampling import crop_to_multiple
from espcn.imaging.metrics import PEAK, crop_border, is_scorable, psnr, quantize, ssim
from espcn.imaging.resize import imresize
from espcn.network.device import full_float32
from espcn.network.model import ESPCN


@dataclass(frozen=True)
class Score:
    """The figures of a picture, or the mean over a set, on luma, as the protocol defines them.

    Attributes:
        name: The picture's or the set's name.
        psnr: The network's PSNR in dB.
        bicubic_psnr: Bicubic's PSNR in dB.
        ssim: The network's SSIM, -1 to 1; None if it was not measured.
        bicubic_ssim: Bicubic's SSIM; likewise.
        psnr_rgb_notebook: An RGB network's PSNR over all channels, neither clipped, rounded nor
            cropped, as the notebook measured it; None for a luma network.
        perfect: The number of pictures that a mean PSNR leaves out; None for a picture.
    """

    name: str
    psnr: float
    bicubic_psnr: float
    ssim: float | None = None
    bicubic_ssim: float | None = None
    psnr_rgb_notebook: float | None = None
    perfect: int | None = None


@dataclass(frozen=True)
class Reconstruction:
    """A picture, its degraded version, and the bicubic and network results for that.

    Attributes:
        original: The cropped picture on luma, whole grey levels, float64 `(height, width)`.
        low: The degraded picture on luma, whole grey levels, float64 `(height / r, width / r)`.
        bicubic: `low` upscaled by bicubic interpolation, clipped and rounded, as `original`.
        output: `low` upscaled by the network, clipped and rounded, on luma, like `original`.
        raw: The network's output, 0..255, not yet clipped or rounded, float64 `(channels, height,
            width)`.
        colors: The cropped picture in RGB, uint8 `(3, height, width)`; None if only luma was
            requested.
        low_colors: The degraded picture in RGB, uint8 `(3, height / r, width / r)`; likewise None.
        is_grey: Whether the picture is grey, so that its luma is the unscaled picture.
    """

    original: Tensor
    low: Tensor
    bicubic: Tensor
    output: Tensor
    raw: Tensor
    colors: Tensor | None = None
    low_colors: Tensor | None = None
    is_grey: bool = False


@torch.no_grad()
def super_resolve(network: ESPCN, low: Tensor) -> Tensor:
    """Return a network's output for a picture.

    Args:
        network: The network, on any device.
        low: uint8 `(channels, height, width)`.

    Returns:
        float64 `(channels, r height, r width)` on the CPU, 0..255, not clipped.
    """
    weight = network.conv1.weight
    picture = low.to(weight) / 255
    with full_float32(weight.device):
        return network(picture[None])[0].double().cpu() * 255


def reconstruct(
    network: ESPCN,
    pixels: np.ndarray,
    degradation: Degradation = BENCHMARK,
    in_color: bool = False,
    seed: int = 0,
) -> Reconstruction:
    """Degrade a picture, and upscale it again by the network and by bicubic interpolation.

    The benchmark takes the luma first and degrades that, which is not the luma of the degraded
    colours. With any other degradation, bicubic and an RGB network get the same colour picture:
    noise differs between channels, and JPEG and H.264 halve the resolution of chroma.

    Args:
        network: A luma or an RGB network.
        pixels: The picture as `read_picture` returns it.
        degradation: How the low-resolution picture is made.
        in_color: Also keep the colours of both pictures.
        seed: Seed of a random degradation, combined with a hash of the picture.

    Returns:
        The picture in all its versions.
    """
    r, is_grey = network.r, pixels.shape[-1] < 3
    plane = crop_to_multiple(to_channels(pixels, 1), r)
    drawn = degradation.draw(plane, seed)  # luma and colours share the amounts
    colors = low_colors = None
    if network.channels == 3 or (in_color and not is_grey):
        colors = crop_to_multiple(to_channels(pixels, 3), r)
        low_colors = drawn(colors, r, seed)
    # The luma of a grey picture is its grey levels, which a file holds in full range.
    if network.channels == 1 or low_colors is None:
        seen = low = drawn(plane, r, seed, full_range=is_grey)
    else:
        seen = low_colors
        low = drawn(plane, r) if degradation == BENCHMARK else _plane(seen, is_grey)
    original, low = plane.double(), low.double()
    bicubic = quantize(imresize(low, *original.shape[-2:]))
    raw = super_resolve(network, seen)
    output = quantize(raw)
    if network.channels == 3:
        output = _plane(output, is_grey)
    return Reconstruction(
        original[0], low[0], bicubic[0], output[0], raw, colors, low_colors, is_grey
    )


def score(name: str, made: Reconstruction, with_ssim: bool = False) -> Score:
    """Return the figures of a reconstructed picture.

    Args:
        name: The picture's name.
        made: The picture in all its versions.
        with_ssim: Measure SSIM too, which takes longer.

    Returns:
        PSNR, and SSIM if requested; for an RGB network also the notebook's PSNR.
    """
    r = made.original.shape[-1] // made.low.shape[-1]
    original, bicubic, output = (
        crop_border(picture, r) for picture in (made.original, made.bicubic, made.output)
    )
    scored = Score(
        name, psnr(output, original, data_range=PEAK), psnr(bicubic, original, data_range=PEAK)
    )
    if with_ssim:
        scored = replace(
            scored,
            ssim=ssim(output, original, data_range=PEAK),
            bicubic_ssim=ssim(bicubic, original, data_range=PEAK),
        )
    if len(made.raw) == 3 and made.colors is not None:
        scored = replace(scored, psnr_rgb_notebook=psnr(made.raw, made.colors, data_range=PEAK))
    return scored


def score_set(
    network: ESPCN,
    images: ImageSet,
    degradation: Degradation = BENCHMARK,
    with_ssim: bool = False,
    in_color: bool = False,
    seed: int = 0,
) -> Iterator[tuple[Score, Reconstruction]]:
    """Score a network on each picture of a set in turn; skip those too small to score.

    Args:
        network: The network.
        images: The set.
        degradation: How the low-resolution pictures are made.
        with_ssim: Measure SSIM too.
        in_color: Keep the colours of the pictures.
        seed: Seed of a random degradation, combined with a hash of each picture.

    Yields:
        Each picture's figures, and the picture in all its versions.
    """
    for name, pixels in zip(images.names, images.images, strict=True):
        height, width, _ = pixels.shape
        if is_scorable(height, width, network.r):
            made = reconstruct(network, pixels, degradation, in_color, seed)
            yield score(name, made, with_ssim), made


def mean_score(name: str, scores: list[Score]) -> Score:
    """Return the mean over a set's pictures, in dB for PSNR.

    Pictures that the network or bicubic upscales without any error are left out of both means of
    PSNR, so that these are over the same pictures.

    Args:
        name: The set's name.
        scores: The pictures' figures.

    Returns:
        The means; None for a figure that a picture lacks, and for all of an empty set. PSNR is
        infinite only if bicubic or the network upscales every picture without any error.
    """
    in_decibels = ("psnr", "bicubic_psnr", "psnr_rgb_notebook")
    erring = [one for one in scores if math.inf not in [getattr(one, name) for name in in_decibels]]

    def mean(field: str) -> float | None:
        over = scores if "ssim" in field else erring or scores
        values = [getattr(one, field) for one in over]
        return None if not values or None in values else float(np.mean(values))

    fields = ("psnr", "bicubic_psnr", "ssim", "bicubic_ssim", "psnr_rgb_notebook")
    means: dict[str, Any] = {field: mean(field) for field in fields}
    return Score(name, **means, perfect=len(scores) - len(erring))


def remarks(means: Iterable[Score]) -> list[str]:
    """Return what to say about means that leave out pictures.

    Args:
        means: The mean figures of sets.

    Returns:
        A line for each set that has pictures without any error.
    """
    lines = []
    for one in means:
        if one.perfect and math.inf in (one.psnr, one.bicubic_psnr):
            means_of = {"bicubic": one.bicubic_psnr, "the network": one.psnr}
            exact = " and ".join(name for name, mean in means_of.items() if mean == math.inf)
            lines.append(
                f"{one.name}: no finite mean PSNR of {exact}, as bicubic or the network upscales "
                "each image without any error"
            )
        elif one.perfect:
            images = "1 image" if one.perfect == 1 else f"{one.perfect} images"
            lines.append(f"{one.name}: {images} without any error left out of the mean PSNR")
    return list(dict.fromkeys(lines))


def score_mean(
    network: ESPCN, images: ImageSet, degradation: Degradation = BENCHMARK, seed: int = 0
) -> Score:
    """Return the mean PSNR over a set.

    Args:
        network: The network.
        images: The set.
        degradation: How the low-resolution pictures are made.
        seed: Seed of a random degradation, combined with a hash of each picture.

    Returns:
        The set's mean figures, without SSIM.
    """
    scored = score_set(network, images, degradation, seed=seed)
    return mean_score(images.name, [one for one, _ in scored])


def _plane(colors: Tensor, is_grey: bool) -> Tensor:
    """Return the luma of whole grey levels; for a grey picture in three channels, their mean."""
    return colors.double().mean(0, keepdim=True).round() if is_grey else luma(colors)
