"""The evaluation job of evaluate.py: score a network on test sets, write and print all figures."""

import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from espcn import checks
from espcn.data.datasets import load_test
from espcn.data.image_set import ImageSet
from espcn.evaluation.gallery import save_pictures
from espcn.evaluation.kernels import save_kernels
from espcn.evaluation.protocol import Score, mean_score, remarks, score_set
from espcn.imaging.degradation import BENCHMARK, Degradation
from espcn.io.atomic import write_csv, write_json
from espcn.network.device import torch_device
from espcn.network.ensemble import SelfEnsemble
from espcn.network.model import ESPCN
from espcn.network.strengths import CLEAN, given_strength, load_strength
from espcn.network.weights import load
from espcn.progress import bar
from espcn.report.pages.directory import showing, write_pages
from espcn.report.tables import score_table, table
from espcn.report.versions import versions


def evaluate(
    ckpt: str | None,
    sets: list[str],
    directory: Path,
    r: int | None = None,
    compression: int | str | None = None,
    ensemble: bool = False,
    degradation: Degradation = BENCHMARK,
    save_images: bool = False,
    save_filters: bool = False,
    data_dir: str | None = None,
    device: str = "auto",
    seed: int = 0,
) -> dict[str, Score]:
    """Score a network on test sets; write and print all figures.

    Writes evaluation.json, evaluation.csv, report.html and any requested pictures into `directory`.
    Each set's figures are saved before the next set begins; the page comes last.

    Args:
        ckpt: A checkpoint, weights or a run's directory; None for the shipped weights.
        sets: Names of known sets, and paths of folders of pictures; empty only with `save_filters`.
        directory: Where to write.
        r: The factor of the shipped weights, 3 if not given.
        compression: Score the shipped weights that `espcn-upscale` uses for a JPEG of this quality,
            1 to 100, or `none` for those of clean sources; None for the weights of T91.
        ensemble: Score the mean over the eight flips and transposes of each picture.
        degradation: How the low-resolution pictures are made.
        save_images: Also write the pictures of each set into a folder named after it.
        save_filters: Also draw the kernels of the first and the last layer.
        data_dir: The folder of the sets; by default `ESPCN_DATA`, or else `datasets`.
        device: auto, cpu or cuda.
        seed: Seed of a random degradation, combined with a hash of each picture.

    Returns:
        The mean figures by set.

    Raises:
        FileNotFoundError: `ckpt` does not exist.
        OSError: A set that was named explicitly is not available.
        ValueError: A setting is out of its range, `compression` is given with `ckpt`, or `ckpt` was
            not written by this program.
    """
    checks.integer("seed", seed, 0, "any such number will do, say 0")
    checks.name_list("sets", sets, "say [Set5,Set14]")
    checks.truth("ensemble", ensemble)
    checks.truth("save_images", save_images)
    checks.truth("save_filters", save_filters)
    if not sets and not save_filters:
        raise ValueError(
            "`sets` (=[]) must name a test set, say [Set5,Set14]: without any there are only the "
            "kernels to draw, by save_filters=true"
        )
    trained = load(r, ckpt)
    network, about = trained.network, trained.metadata
    taken, mixed = CLEAN, compression is not None
    if compression is not None:
        taken = given_strength(network.r, compression, ckpt)
        network = load_strength(network.r, taken)
        sources = "clean sources" if compression == "none" else f"JPEGs of quality {compression}"
        print(f"For {sources}: {taken}")
    elif about:
        print(f"{trained.path.name}, made by: {about.get('command', 'it does not say')}")
    on = torch_device(device)
    test_sets, missing = load_test(sets, data_dir)
    if save_filters:
        save_kernels(directory, network)
    if ensemble:
        network = SelfEnsemble(network)
    network.to(on)
    for line in missing:
        print(line)
    started = time.monotonic()
    means: dict[str, Score] = {}
    rows: list[dict[str, Any]] = []
    record: dict[str, Any] = {
        "ckpt": str(taken) if mixed else trained.path.name if ckpt is None else str(trained.path),
        "compression": compression,
        "ensemble": ensemble,
        "weights": None if ckpt else str(taken),
        "provenance": None if mixed else about or None,
        "trained": network.settings | ({} if mixed else asdict(trained.degradation)),
        **asdict(degradation),
        "seed": seed,
        "save_images": save_images,  # else those in the folder are an earlier evaluation's
        "save_filters": save_filters,
        "encoders": degradation.encoders() or None,
        "sets": {},
        "device": str(network.conv1.weight.device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
    for images in test_sets:
        folder = directory / images.name if save_images else None
        scores = _scored(network, images, degradation, seed, folder)
        rows += [{"set": images.name} | _columns(one) for one in scores]
        means[images.name] = mean_score(images.name, scores)
        figures = {k: v for k, v in _columns(means[images.name]).items() if k != "image"}
        record["sets"][images.name] = figures | {
            "images": len(scores),
            "fingerprint": images.fingerprint,
            "source": images.source,
        }
        record["duration_s"] = round(time.monotonic() - started, 3)
        write_json(directory / "evaluation.json", record)
        write_csv(directory / "evaluation.csv", rows)
    for line in remarks(means.values()):
        print(line)
    if degradation != BENCHMARK:
        print(f"Degraded by {degradation}, not by the benchmark's bicubic")
    if ckpt is None and compression is None and degradation.encoders():
        print("These are the clean weights: `compression=` takes those for compressed pictures")
    if means:
        print(f"\n{_summary(network, means, degradation == BENCHMARK)}\n")
    print(f"Written to {directory}")
    if means:
        with showing(directory):
            print(f"Report: {write_pages(directory)[0]}")
    return means


def _scored(
    network: ESPCN,
    images: ImageSet,
    degradation: Degradation,
    seed: int,
    folder: Path | None,
) -> list[Score]:
    """Score the images of a set, with progress; write the pictures into a folder, if given."""
    scores = []
    made = score_set(network, images, degradation, True, folder is not None, seed)
    stems = Counter(Path(name).with_suffix("") for name in images.names)
    for one, pictures in bar(made, images.name, len(images), leave=False, unit="image"):
        scores.append(one)
        if folder is not None:
            stem = Path(one.name).with_suffix("")
            named = stem if stems[stem] == 1 else Path(one.name)
            save_pictures(folder / named, pictures, one)
    if len(scores) < len(images):
        left = len(images) - len(scores)
        print(f"{images.name}: {left} image{'s' * (left > 1)} too small to score left out")
    return scores


def _columns(score: Score) -> dict[str, Any]:
    figures = {k: v for k, v in asdict(score).items() if k != "name" and v is not None}
    return {"image": score.name} | figures


def _summary(network: ESPCN, means: dict[str, Score], benchmark: bool) -> str:
    """Format PSNR and SSIM: bicubic, the network, and the paper's PSNR."""
    ours = {name: one.psnr for name, one in means.items()}
    bicubic = {name: one.bicubic_psnr for name, one in means.items()}
    text = score_table(network.r, {"bicubic": bicubic, "this network": ours}, benchmark)
    ssims = [
        {"SSIM": name, "bicubic": one.bicubic_ssim, "this network": one.ssim}
        for name, one in means.items()
    ]
    text += "\n\n" + table(ssims, digits=4)
    if network.channels == 3:
        rgb = [
            {"notebook's RGB PSNR (dB)": name, "this network": one.psnr_rgb_notebook}
            for name, one in means.items()
        ]
        text += "\n\n" + table(rgb)
    return text
