"""Other people's networks beside ours: PSNR, weights, operations, time.

    ESPCN_PEERS=DIR python benchmarks/peers.py

Small pictures are MATLAB's bicubic of the RGB pictures, rounded. What networks for RGB make of them
is clipped, rounded and turned to luma; a grey picture goes in as three equal channels. OpenCV's
networks run in its dnn_superres (up to OpenCV 5.0) on 8-bit BGR, as their users call it. Ours is
scored on luma as everywhere. Operations are multiplications with their additions, one each, of the
convolutions, for a picture of 640x360. Times are OpenVINO's for every network, at r = 3 from there
to 1920x1080, floats in and out: processor time divided by the number of threads, the least of many
runs in turns, so that other work on the machine hardly counts. The colours that a luma network
leaves to bicubic are not in them. Writes results/peers.csv, a plot of it, results/peers.png, and
results/peers_times.csv.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from draw import draw_peers
from networks import Peer, peers
from torch import Tensor
from tqdm import tqdm

from espcn.data.datasets import load_set
from espcn.data.image_set import ImageSet
from espcn.evaluation.protocol import score_mean
from espcn.export.superres import reader
from espcn.imaging.color import luma, to_channels
from espcn.imaging.degradation import BENCHMARK
from espcn.imaging.downsampling import crop_to_multiple
from espcn.imaging.metrics import PEAK, crop_border, is_scorable, psnr, quantize
from espcn.io.atomic import write_csv
from espcn.network.weights import load
from espcn.report.tables import table

RESULTS = Path(__file__).resolve().parent.parent / "results"
SETS = ("Set5", "Set14", "BSD300")
HEIGHT, WIDTH = 360, 640
PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}

Upscale = Callable[
    [Tensor], Tensor
]  # uint8 (3, height, width) to whole grey levels, r times as large


def upscaler(peer: Peer, r: int) -> Upscale:
    """Return what upscales a colour picture by a network, as its users would."""
    if peer.path is None:

        def by_pytorch(low: Tensor) -> Tensor:
            with torch.no_grad():
                return quantize(peer.network(low[None] / 255)[0].double() * 255)

        return by_pytorch
    opencv = reader(peer.path, r)

    def by_opencv(low: Tensor) -> Tensor:
        bgr = np.ascontiguousarray(low.permute(1, 2, 0).numpy()[..., ::-1])
        rgb = np.ascontiguousarray(opencv.upsample(bgr)[..., ::-1])
        return torch.from_numpy(rgb).permute(2, 0, 1).double()

    return by_opencv


def score(upscalers: dict[str, Upscale], images: ImageSet, r: int) -> dict[str, float]:
    """Return the mean PSNR over a set of each network, in dB on luma."""
    figures: dict[str, list[float]] = {name: [] for name in upscalers}
    for pixels in tqdm(images.images, f"x{r} {images.name}", leave=False):
        height, width, channels = pixels.shape
        if not is_scorable(height, width, r):
            continue
        original = crop_to_multiple(to_channels(pixels, 1), r).double()
        low = BENCHMARK(crop_to_multiple(to_channels(pixels, 3), r), r)
        for name, upscale in upscalers.items():
            large = upscale(low)
            large = large.mean(0, keepdim=True).round() if channels < 3 else luma(large)
            figures[name].append(
                psnr(crop_border(large, r), crop_border(original, r), data_range=PEAK)
            )
    return {name: statistics.mean(own) for name, own in figures.items()}


def scores(folder: Path) -> list[dict[str, Any]]:
    """Return a row for each factor and network, bicubic's last; print each factor's table."""
    rows: list[dict[str, Any]] = []
    sets = [load_set(name) for name in SETS]
    for r in (2, 3, 4):
        *others, ours = peers(folder, r)
        upscalers = {peer.name: upscaler(peer, r) for peer in others}
        figures = {images.name: score(upscalers, images, r) for images in sets}
        bicubic: dict[str, Any] = {"r": r, "network": "bicubic"}
        for images in sets:
            mean = score_mean(load(r).network, images)
            figures[images.name][ours.name], bicubic[images.name] = mean.psnr, mean.bicubic_psnr
        own: list[dict[str, Any]] = [
            {
                "r": r, "network": peer.name, "trained on": peer.trained_on,
                "weights": peer.weights,
                "10^9 operations": peer.multiply_adds(HEIGHT, WIDTH) / 1e9,
                **{name: mean[peer.name] for name, mean in figures.items()},
            }
            for peer in (*others, ours)
        ]  # fmt: skip
        rows += [*own, bicubic]
        print(table([*own, bicubic], settings=("r", "weights")), flush=True)
    return rows


def times(folder: Path, r: int, turns: int) -> list[dict[str, Any]]:
    """Return a row for each network: the milliseconds a frame that OpenVINO keeps all threads."""
    import openvino

    core, threads = openvino.Core(), torch.get_num_threads()
    found = peers(folder, r)
    runs: dict[tuple[str, str], Callable[[], Any]] = {}
    for peer in found:
        frame = torch.rand(1, peer.channels, HEIGHT, WIDTH)
        model = openvino.convert_model(peer.network, input=list(frame.shape), example_input=frame)
        for precision, hint in PRECISIONS.items():
            settings = {
                "INFERENCE_PRECISION_HINT": hint,
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": threads,
            }
            compiled = core.compile_model(model, "CPU", settings)
            runs[peer.name, precision] = partial(compiled, frame.numpy())
    least = dict.fromkeys(runs, float("inf"))
    for _ in tqdm(range(turns), "times", leave=False):
        for key, run in runs.items():
            run()  # threads of the one before come to rest
            for _ in range(3):
                started = time.process_time()
                run()
                least[key] = min(least[key], (time.process_time() - started) / threads)
    rows: list[dict[str, Any]] = []
    for peer in found:
        spent = {name: 1000 * least[peer.name, name] for name in PRECISIONS}
        rows.append({"r": r, "network": peer.name} | {f"ms ({k})": ms for k, ms in spent.items()})
    print(f"{WIDTH}x{HEIGHT} to {r} times that, {threads} threads")
    print(table(rows, digits=1, settings=("r",)))
    return rows


def main() -> None:
    """Score and time them all; print tables and write them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=("scores", "times"), help="half of it")
    parser.add_argument("--turns", type=int, default=12, help="turns of each network's time (12)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (results)")
    given = parser.parse_args()
    if not os.environ.get("ESPCN_PEERS"):
        sys.exit("Error: $ESPCN_PEERS must be the folder of the networks (benchmarks/networks.py)")
    folder = Path(os.environ["ESPCN_PEERS"])
    given.output.mkdir(parents=True, exist_ok=True)
    if given.only != "scores":
        write_csv(given.output / "peers_times.csv", times(folder, 3, given.turns), digits=4)
    if given.only != "times":
        rows = scores(folder)
        write_csv(given.output / "peers.csv", rows, digits=6)
        draw_peers(rows, given.output / "peers.png")


if __name__ == "__main__":
    main()
