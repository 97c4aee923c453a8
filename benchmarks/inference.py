"""How fast a picture becomes 1920x1080, by every engine and precision, and how good it is.

    python benchmarks/inference.py

Ours are timed from the luma plane of a frame to the larger plane, whole numbers in and out. Beside
them stand what a user would take instead: a plain PyTorch port run eagerly, as the public ones are,
and our ONNX file in ONNX Runtime and in OpenCV's dnn module, floats in and out. All take turns in
one run, and the figure is each one's median. Set5's PSNR is that of the same way of running.
Writes results/inference.csv and a plot of it, results/inference.png.

    python benchmarks/inference.py --device cuda

times a GPU instead, from and to main memory, and writes results/inference_cuda.csv.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from draw import draw_speeds
from torch import Tensor, nn
from tqdm import tqdm

from espcn.data.datasets import load_set
from espcn.data.image_set import ImageSet
from espcn.export.export import export
from espcn.imaging.color import to_channels
from espcn.imaging.degradation import BENCHMARK
from espcn.imaging.downsampling import crop_to_multiple
from espcn.imaging.metrics import PEAK, crop_border, psnr, quantize
from espcn.io.atomic import write_csv
from espcn.network.backends import BACKENDS
from espcn.network.device import device_name
from espcn.network.engine import PRECISIONS
from espcn.network.weights import load
from espcn.report.tables import table
from espcn.upscaling.upscaler import Upscaler

RESULTS = Path(__file__).resolve().parent.parent / "results"
WIDTH, HEIGHT = 1920, 1080
UNTIMED, TIMED = 3, 5  # runs of a way in its turn: threads of the way before come to rest

Way = Callable[[np.ndarray], np.ndarray]  # a uint8 plane (height, width) to one r times as large


class Port(nn.Module):
    """ESPCN as the public ports write it: zeros around every layer, PixelShuffle at the end."""

    def __init__(self, r: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 5, padding=2)
        self.conv2 = nn.Conv2d(64, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, r * r, 3, padding=1)
        self.shuffle = nn.PixelShuffle(r)

    def forward(self, picture: Tensor) -> Tensor:
        """Upscale `(batch, 1, height, width)`, 0..1."""
        flow = torch.tanh(self.conv2(torch.tanh(self.conv1(picture))))
        return self.shuffle(self.conv3(flow))


def port(r: int, device: str) -> Way:
    """Return the port, with our weights."""
    model = Port(r).eval()
    model.load_state_dict(load(r).network.folded().state_dict())
    model.to(device)

    def run(plane: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(_floats(plane).to(device))[0, 0].cpu().numpy()

    return run


def onnx_runtime(r: int, path: str) -> Way:
    """Return ONNX Runtime on our file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda plane: session.run(None, {"luma": _floats(plane).numpy()})[0][0, 0]


def opencv(r: int, path: str) -> Way:
    """Return OpenCV's dnn module on our file."""
    import cv2

    cv2.setNumThreads(torch.get_num_threads())
    network = cv2.dnn.readNetFromONNX(path)

    def run(plane: np.ndarray) -> np.ndarray:
        network.setInput(_floats(plane).numpy())
        return network.forward()[0, 0]

    return run


def ours(r: int, engine: str, precision: str, device: str) -> Way:
    """Return one of our engines."""
    upscaler = Upscaler(r, engine=engine, precision=precision, device=device)

    def run(plane: np.ndarray) -> np.ndarray:
        large = np.empty((plane.shape[0] * r, plane.shape[1] * r), np.uint8)
        upscaler.luma(plane, 8, large)
        return large

    return run


def score_mean(way: Way, images: ImageSet, r: int) -> float:
    """Return the mean PSNR over a set by the protocol, in dB."""
    figures = []
    for pixels in images.images:
        original = crop_to_multiple(to_channels(pixels, 1), r)
        large = torch.from_numpy(way(BENCHMARK(original, r)[0].numpy()))
        levels = quantize((large * 255 if large.is_floating_point() else large).double())
        figures.append(
            psnr(crop_border(levels, r), crop_border(original[0].double(), r), data_range=PEAK)
        )
    return statistics.mean(figures)


def matrix_rate(dtype: torch.dtype, device: str) -> float:
    """Return how many multiplications and additions a second a large matrix product gets."""
    size = 2048 if device == "cpu" else 8192
    a, b = torch.randn(2, size, size).to(device, dtype)

    def product() -> None:
        torch.mm(a, b)
        if device == "cuda":
            torch.cuda.synchronize()

    return 2 * size**3 / statistics.median(_seconds(product) for _ in range(9))


def operations(r: int) -> int:
    """Return how many multiplications and additions a frame takes."""
    weights = sum(p.numel() for n, p in load(r).network.named_parameters() if n.endswith("weight"))
    return 2 * weights * (WIDTH // r) * (HEIGHT // r)


def main() -> None:
    """Time every way in turns, factor by factor; print a table for each and write them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=5, help="turns of each way (5)")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="(cpu)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (results)")
    given = parser.parse_args()
    images = load_set("Set5")
    floats = {kind: dtype for kind, dtype in PRECISIONS.items() if dtype.is_floating_point}
    rates = {kind: matrix_rate(dtype, given.device) for kind, dtype in floats.items()}
    for kind, rate in rates.items():
        print(f"matrix products in {kind}: {rate / 1e9:.0f} GFLOP/s")
    rows: list[dict[str, Any]] = []
    for r in (3, 2, 4):
        with tempfile.TemporaryDirectory() as folder:
            path = str(export(r, output=f"{folder}/espcn.onnx").path)
            ways: dict[tuple[str, str], Way] = {
                ("PyTorch port, eager", "float32"): port(r, given.device)
            }
            if given.device == "cpu":
                ways["ONNX Runtime, our file", "float32"] = onnx_runtime(r, path)
                ways["OpenCV dnn, our file", "float32"] = opencv(r, path)
            for engine in BACKENDS:
                for precision in PRECISIONS:
                    try:
                        ways[f"espcn, {engine}", precision] = ours(
                            r, engine, precision, given.device
                        )
                    except ValueError as error:
                        print(f"left out: {error}")
        plane = crop_to_multiple(to_channels(images.images[0], 1), r)[0].numpy()
        plane = np.resize(plane, (HEIGHT // r, WIDTH // r))
        spent: dict[tuple[str, str], list[float]] = {key: [] for key in ways}
        for _ in tqdm(range(given.turns), f"x{r}", leave=False):
            for key, way in ways.items():
                runs = [_seconds(partial(way, plane)) for _ in range(UNTIMED + TIMED)]
                spent[key] += runs[UNTIMED:]
        median = {key: statistics.median(times) for key, times in spent.items()}
        slow = median["PyTorch port, eager", "float32"]
        rows += [
            {
                "r": r, "way": name, "precision": precision,
                "ms a frame": 1000 * seconds, "frames/s": 1 / seconds,
                "times the port": slow / seconds,
                "% of matrix rate": 100 * operations(r) / seconds / rates[precision]
                if precision in rates
                else None,
                "Set5 (dB)": score_mean(ways[name, precision], images, r),
            }
            for (name, precision), seconds in sorted(median.items(), key=lambda one: -one[1])
        ]  # fmt: skip
        shown = [row for row in rows if row["r"] == r]
        where = device_name(torch.device(given.device))
        print(f"\n{WIDTH // r}x{HEIGHT // r} to {WIDTH}x{HEIGHT}, {where}")
        print(table(shown, digits=3, settings=("r",)))
    given.output.mkdir(parents=True, exist_ok=True)
    if given.device == "cuda":
        write_csv(given.output / "inference_cuda.csv", rows, digits=6)
        return
    write_csv(given.output / "inference.csv", rows, digits=6)
    draw_speeds(rows, given.output / "inference.png")


def _floats(plane: np.ndarray) -> Tensor:
    return torch.from_numpy(plane)[None, None].float() / 255


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
