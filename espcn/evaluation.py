"""Scoring a network on test sets by the field's benchmark protocol.

Crop to a multiple of r, luma, degrade, upscale, clip and round to 8 bits, crop r pixels from each
border, PSNR and SSIM of each picture, mean over the set. Bicubic's figures go through the same.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from espcn import checks, report
from espcn.color import luma, to_channels
from espcn.datasets import ImageSet, load_test
from espcn.degrade import check_degradation, crop_to_multiple, degrade, imresize
from espcn.engine import torch_device
from espcn.files import write_csv, write_json
from espcn.metrics import crop_border, is_scorable, psnr, quantize, ssim
from espcn.model import ESPCN
from espcn.weights import load, metadata


@dataclass(frozen=True)
class Score:
    """One picture's figures, or the mean of a set's: PSNR in dB, SSIM in -1..1.

    On luma by the protocol, but for `psnr_rgb_notebook`: an RGB network's PSNR over all colours,
    neither clipped, rounded nor cropped, as the notebook measured it.
    """

    name: str
    psnr: float
    bicubic_psnr: float
    ssim: float | None = None
    bicubic_ssim: float | None = None
    psnr_rgb_notebook: float | None = None


@dataclass(frozen=True)
class Upscaled:
    """A picture's four versions on luma, float64 `(height, width)`, whole grey levels."""

    original: Tensor
    low: Tensor
    bicubic: Tensor
    output: Tensor
    raw: Tensor  # the network's own output, (channels, height, width), 0..255, not yet rounded


@torch.no_grad()
def upscale(network: ESPCN, low: Tensor) -> Tensor:
    """Give the network's output for a uint8 `(channels, h, w)`: float64, 0..255, not clipped."""
    weight = network.conv1.weight
    picture = low.to(weight) / 255
    return network(picture[None])[0].double().cpu() * 255


def process(
    network: ESPCN, pixels: np.ndarray, blur: float = 0.0, downsample: str = "bicubic"
) -> Upscaled:
    """Degrade a picture, as `read_picture` gives it, and upscale it again by both methods."""
    r = network.r
    original = crop_to_multiple(to_channels(pixels, 1), r)
    low = degrade(original, r, blur, downsample)
    bicubic = quantize(imresize(low.double(), *original.shape[-2:]))
    if network.channels == 1:
        raw = upscale(network, low)
        output = quantize(raw)
    else:
        colors = crop_to_multiple(to_channels(pixels, 3), r)
        raw = upscale(network, degrade(colors, r, blur, downsample))
        grey = pixels.shape[-1] < 3  # whose luma is itself, not a scaled one
        output = quantize(raw).mean(0, keepdim=True).round() if grey else luma(quantize(raw))
    return Upscaled(original[0].double(), low[0].double(), bicubic[0], output[0], raw)


def score(name: str, pixels: np.ndarray, done: Upscaled, r: int, with_ssim: bool) -> Score:
    """Give the figures of a processed picture; SSIM, which takes longer, only if asked for."""
    original, bicubic, output = (
        crop_border(picture, r) for picture in (done.original, done.bicubic, done.output)
    )
    scored = Score(name, psnr(output, original), psnr(bicubic, original))
    if with_ssim:
        scored = replace(scored, ssim=ssim(output, original), bicubic_ssim=ssim(bicubic, original))
    if len(done.raw) == 3:
        colors = crop_to_multiple(to_channels(pixels, 3), r)
        scored = replace(scored, psnr_rgb_notebook=psnr(done.raw, colors))
    return scored


def score_set(
    network: ESPCN,
    images: ImageSet,
    blur: float = 0.0,
    downsample: str = "bicubic",
    with_ssim: bool = False,
) -> Iterator[tuple[Score, Upscaled]]:
    """Give the figures and versions of each picture in turn; too small ones are left out."""
    for name, pixels in zip(images.names, images.images, strict=True):
        height, width, _ = pixels.shape
        if is_scorable(height, width, network.r):
            done = process(network, pixels, blur, downsample)
            yield score(name, pixels, done, network.r, with_ssim), done


def mean_score(name: str, scores: list[Score]) -> Score:
    """Give the mean over a set's pictures, in dB for PSNR."""

    def mean(field: str) -> float | None:
        values = [getattr(one, field) for one in scores]
        return None if not values or None in values else float(np.mean(values))

    fields = ("psnr", "bicubic_psnr", "ssim", "bicubic_ssim", "psnr_rgb_notebook")
    return Score(name, **{field: mean(field) for field in fields})  # type: ignore[arg-type]


def set_psnr(network: ESPCN, images: ImageSet, blur: float, downsample: str) -> Score:
    """Give a set's mean figures, PSNR alone."""
    return mean_score(images.name, [s for s, _ in score_set(network, images, blur, downsample)])


def evaluate(
    ckpt: str | None,
    sets: Sequence[str],
    directory: Path,
    r: int | None = None,
    blur: float = 0.0,
    downsample: str = "bicubic",
    save_images: bool = False,
    save_filters: bool = False,
    data_dir: str | None = None,
    device: str = "auto",
    output: str | None = None,
) -> dict[str, Score]:
    """Score the network at `ckpt` on `sets`; write and print all figures, give the sets' means.

    Without `ckpt`, the shipped weights for the factor `r`, 3 if not given. Writes evaluation.json,
    evaluation.csv and, with `save_images`, the pictures of each set in a folder of its name; with
    `save_filters`, the kernels of the first and the last layer; all in `directory`. Each set's
    figures are safe before the next begins.
    """
    checks.names("sets", sets, "say [Set5,Set14]")
    network, trained, path = load(r, ckpt)
    provenance = metadata(path) if path.suffix == ".safetensors" else None
    if provenance is not None:
        print(f"{path.name}, made by: {provenance.get('command', 'it does not say')}")
    check_degradation(network.r, blur, downsample)
    if save_filters:
        from espcn.gallery import save_kernels

        save_kernels(directory, network)
    network.to(torch_device(device))
    test_sets, missing = load_test(list(sets), data_dir)
    for line in missing:
        print(line)
    started = time.monotonic()
    means: dict[str, Score] = {}
    rows: list[dict[str, Any]] = []
    record: dict[str, Any] = {
        "ckpt": str(path) if provenance is None else path.name, "provenance": provenance,
        "trained": trained, "blur": blur, "downsample": downsample, "sets": {},
        "device": str(network.conv1.weight.device), "threads": torch.get_num_threads(),
        "versions": report.versions(),
    }  # fmt: skip
    for images in test_sets:
        scores = []
        scored = score_set(network, images, blur, downsample, with_ssim=True)
        for one, done in tqdm(scored, images.name, len(images), leave=False, unit="image"):
            scores.append(one)
            if save_images:
                from espcn.gallery import save_pictures

                pixels = images.images[images.names.index(one.name)]
                folder = directory / images.name
                save_pictures(folder, pixels, done, one, network.r, blur, downsample)
        if len(scores) < len(images):
            print(f"{images.name}: {len(images) - len(scores)} images too small to score left out")
        rows += [{"set": images.name} | _columns(one) for one in scores]
        means[images.name] = mean_score(images.name, scores)
        figures = {k: v for k, v in _columns(means[images.name]).items() if k != "image"}
        record["sets"][images.name] = figures | {
            "images": len(scores),
            "fingerprint": images.fingerprint,
        }
        record["duration_s"] = round(time.monotonic() - started, 3)
        write_json(directory / "evaluation.json", record)
        write_csv(directory / "evaluation.csv", rows)
    benchmark = (blur, downsample) == (0, "bicubic")
    if not benchmark:
        print(f"Degraded by blur={blur:g} downsample={downsample}, not by the benchmark's bicubic")
    if means:
        print(f"\n{_summary(network, means, benchmark)}\n")
    print(f"Written to {directory}")
    return means


def _columns(score: Score) -> dict[str, Any]:
    figures = {k: v for k, v in asdict(score).items() if k != "name" and v is not None}
    return {"image": score.name} | figures


def _summary(network: ESPCN, means: dict[str, Score], benchmark: bool) -> str:
    """Lay out PSNR and SSIM: bicubic, the network, and the paper's PSNR beside them."""
    ours = {name: one.psnr for name, one in means.items()}
    bicubic = {name: one.bicubic_psnr for name, one in means.items()}
    text = report.score_table(network.r, {"bicubic": bicubic, "this network": ours}, benchmark)
    ssims = [
        {"SSIM": name, "bicubic": one.bicubic_ssim, "this network": one.ssim}
        for name, one in means.items()
    ]
    text += "\n\n" + report.table(ssims, digits=4)
    if network.channels == 3:
        rgb = [
            {"notebook's RGB PSNR (dB)": name, "this network": one.psnr_rgb_notebook}
            for name, one in means.items()
        ]
        text += "\n\n" + report.table(rgb)
    return text
