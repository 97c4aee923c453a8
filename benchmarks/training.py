"""Preparing T91 and training on it, against the notebook's way of doing both, as ratios.

    python benchmarks/training.py

The notebook's way is written out plainly here: each patch blurred and resized on its own, each
target taken apart pixel by pixel, each sample fetched on its own, batches of one in float64. All
ways take turns in one run, and the figure is each one's median, since machines are noisy.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import skimage.filters
import skimage.transform
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from espcn.data.datamodule import PatchData
from espcn.data.datasets import load_set
from espcn.data.patches import Patches
from espcn.network.model import ESPCN
from espcn.report.tables import table
from espcn.training.soap import SOAP

R, PATCH, STRIDE = 3, 17, 14
STEPS = 60  # per way and turn


def prepare_by_loops() -> list[tuple[Tensor, Tensor]]:
    """Read T91 and make its RGB patches as the notebook does: in Python, value by value."""
    samples = []
    size, stride = PATCH * R, STRIDE * R
    for pixels in load_set("T91").images:
        image = pixels[..., :3] / 255.0
        for top in range(0, image.shape[0] - size + 1, stride):
            for left in range(0, image.shape[1] - size + 1, stride):
                high = image[top : top + size, left : left + size]
                blurred = skimage.filters.gaussian(high, sigma=0.25, channel_axis=-1)
                low = skimage.transform.resize(blurred, (PATCH, PATCH))
                target = np.zeros((PATCH, PATCH, 3 * R * R))
                for row in range(size):
                    for column in range(size):
                        for channel in range(3):
                            place = channel * R * R + row % R * R + column % R
                            target[row // R, column // R, place] = high[row, column, channel]
                samples.append(
                    (
                        torch.from_numpy(low).permute(2, 0, 1),
                        torch.from_numpy(target).permute(2, 0, 1),
                    )
                )
    return samples


def prepare(**options: object) -> Patches:
    """Read T91 and make its patches as train.py does."""
    data = PatchData("t91", r=R, patch=PATCH, stride=STRIDE, val_fraction=0, **options)  # type: ignore[arg-type]
    data.prepare()
    assert isinstance(data.train_patches, Patches)
    return data.train_patches


def train_by_samples(samples: list[tuple[Tensor, Tensor]]) -> float:
    """Train on single samples, RGB, float64, SGD; return the patches a second."""
    network = ESPCN(R, channels=3, padding="zeros", center=0.0, gain=1.0).double()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.75)
    loader = iter(DataLoader(samples, batch_size=1, shuffle=True))  # type: ignore[arg-type]
    start = time.perf_counter()
    for _ in range(STEPS):
        low, target = next(loader)
        optimizer.zero_grad()
        F.mse_loss(network.preshuffled(low), target).backward()
        optimizer.step()
    return STEPS / (time.perf_counter() - start)


def train_by_batches(batch_size: int, channels: int, soap: bool) -> float:
    """Train on whole batches cut from memory, float32; return the patches a second."""
    data = PatchData(
        "t91", r=R, channels=channels, patch=PATCH, stride=STRIDE, batch_size=batch_size
    )
    data.prepare()
    network = ESPCN(R, channels)
    optimizer: torch.optim.Optimizer = (
        SOAP(network.parameters())
        if soap
        else torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.75)
    )
    loader = iter(data.train_dataloader())
    start = time.perf_counter()
    for _ in range(STEPS):
        low, target = (part.float() / 255 for part in next(loader))
        optimizer.zero_grad()
        F.mse_loss(network.preshuffled(low), target).backward()
        optimizer.step()
    return STEPS * batch_size / (time.perf_counter() - start)


def seconds(job: Callable[[], object]) -> float:
    """Return the seconds that a job takes."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def main() -> None:
    """Measure all ways in turn and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=3, help="measurements of each way (3)")
    turns = parser.parse_args().turns
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {turns}\n")

    same: dict[str, object] = {"channels": 3, "blur": 0.25, "downsample": "skimage", "halo": 0}
    scales = [1.0, 0.9, 0.8, 0.7, 0.6]
    prepared: dict[str, Callable[[], object]] = {
        "the notebook's loops (RGB, patch by patch)": prepare_by_loops,
        "the same patches": lambda: prepare(**same, degrade="patch"),
        "experiment=paper (luma, whole images)": prepare,
        "the default run (five scales)": lambda: prepare(scales=scales),
    }
    times: dict[str, list[float]] = {name: [] for name in prepared}
    for _ in range(turns):
        for name, job in prepared.items():
            times[name].append(seconds(job))
    medians = {name: statistics.median(values) for name, values in times.items()}
    slowest = next(iter(medians.values()))
    rows = [
        {"preparing T91": name, "seconds": value, "times as fast": slowest / value}
        for name, value in medians.items()
    ]
    print(table(rows) + "\n")

    samples = prepare_by_loops()
    trained: dict[str, Callable[[], float]] = {
        "the notebook's (RGB, batch 1, float64, SGD)": lambda: train_by_samples(samples),
        "RGB, batch 16, float32, SGD": lambda: train_by_batches(16, 3, soap=False),
        "luma, batch 16, float32, SGD": lambda: train_by_batches(16, 1, soap=False),
        "the default run's (luma, batch 16, SOAP)": lambda: train_by_batches(16, 1, soap=True),
    }
    rates: dict[str, list[float]] = {name: [] for name in trained}
    for _ in range(turns):
        for name, way in trained.items():
            rates[name].append(way())
    medians = {name: statistics.median(values) for name, values in rates.items()}
    slowest = next(iter(medians.values()))
    rows = [
        {"training": name, "patches a second": value, "times as fast": value / slowest}
        for name, value in medians.items()
    ]
    print(table(rows))


if __name__ == "__main__":
    main()
