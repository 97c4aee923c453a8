"""Preparing and reading sets of 91 to 50,000 images: time, memory, disk, and the training's rate.

    python benchmarks/scale.py                     # 91, 910, 9,100 images
    python benchmarks/scale.py --images 50000

The sets are made of T91 by crops, flips and turns, and upscaled or shrunk a little, as PNG. Each is
prepared as `python train.py data=folder` does it, in a process of its own, whose memory is summed
over all its processes. Then the default network trains on it for some steps, from disk and, where
it fits, from memory, in turns. Writes results/scale.csv and results/scale.png.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from draw import draw_scale
from PIL import Image
from tqdm import tqdm

from espcn.data.cache import cache_folder
from espcn.data.datamodule import PatchData
from espcn.data.datasets import load_set
from espcn.io.atomic import write_csv
from espcn.network.model import ESPCN
from espcn.report.tables import table
from espcn.training.soap import SOAP

RESULTS = Path(__file__).resolve().parent.parent / "results"
SCALES = [1.0, 0.9, 0.8, 0.7, 0.6]
IN_MEMORY = 10_000  # images at most: 2 GB
STEPS, TURNS = 200, 5
PREPARE = """
import json, sys, time
from espcn.data.datamodule import PatchData
if __name__ == "__main__":
    started = time.perf_counter()
    data = PatchData("folder", sys.argv[1], scales=json.loads(sys.argv[2]))
    data.prepare()
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "patches": len(data.train_patches)}))
"""


def make_set(folder: Path, count: int) -> None:
    """Write so many images, each another view of one of T91's."""
    generator = np.random.default_rng(0)
    originals = [Image.fromarray(image[..., :3].squeeze()) for image in load_set("T91").images]
    for number in tqdm(range(count), f"{count} images", leave=False):
        image = originals[number % len(originals)]
        if number >= len(originals):
            share = generator.uniform(0.8, 1)
            left, top = (int(generator.uniform(0, (1 - share) * side)) for side in image.size)
            right, bottom = left + int(share * image.width), top + int(share * image.height)
            image = image.crop((left, top, right, bottom))
            image = image.transpose(Image.Transpose(int(generator.integers(7))))
            image = image.resize([int(side * generator.uniform(0.9, 1.2)) for side in image.size])
        image.save(folder / f"{number}.png", compress_level=1)


def prepare(folder: Path, cache: Path) -> dict[str, float]:
    """Prepare a set in a process of its own; return seconds, patches, and the most memory in MB."""
    script = cache / "prepare.py"
    script.write_text(PREPARE)
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder), json.dumps(SCALES)], stdout=subprocess.PIPE,
        env=os.environ | {"ESPCN_CACHE": str(cache)}, text=True,
    )  # fmt: skip
    most = 0.0
    while process.poll() is None:
        most = max(most, _memory(process.pid))
        time.sleep(0.1)
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(process.returncode)
    return json.loads(output.splitlines()[-1]) | {"memory": most}


def train(data: PatchData, network: ESPCN, optimizer: Any) -> float:
    """Train for some steps; return the patches a second."""
    done, started = 0, time.perf_counter()
    while True:
        for low, target in data.train_dataloader():
            output = network.preshuffled(low.float() / 255)
            loss = torch.nn.functional.mse_loss(output, target.float() / 255)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1
            if done == STEPS:
                return STEPS * len(low) / (time.perf_counter() - started)


def read(data: PatchData) -> float:
    """Read an epoch, or some thousand batches of it; return the patches a second."""
    done, started = 0, time.perf_counter()
    for low, _ in data.train_dataloader():
        done += len(low)
        if done >= 16 * 4000:
            break
    return done / (time.perf_counter() - started)


def main() -> None:
    """Measure every size; print a table, write and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=[91, 910, 9100], help="how many")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (results)")
    given = parser.parse_args()
    rows = []
    for count in given.images:
        with tempfile.TemporaryDirectory() as where:
            folder, cache = Path(where) / "images", Path(where) / "cache"
            folder.mkdir()
            cache.mkdir()
            make_set(folder, count)
            figures = prepare(folder, cache)
            os.environ["ESPCN_CACHE"] = str(cache)
            os.sync()  # or the rest of the writing would slow the reading
            disk = PatchData("folder", str(folder), scales=SCALES)
            disk.prepare()
            ways = {"disk": disk}
            if count <= IN_MEMORY:
                memory = PatchData("folder", str(folder), scales=SCALES)
                memory.prepare()
                memory.train_patches = memory.train_patches.select(  # type: ignore[union-attr]
                    torch.arange(len(memory.train_patches))  # type: ignore[arg-type]
                )
                ways["memory"] = memory
            network = ESPCN(3)
            optimizer = SOAP(network.parameters(), lr=1e-3)
            rates: dict[str, list[float]] = {}
            for _ in range(TURNS):
                for name, data in ways.items():
                    rates.setdefault(f"read from {name}", []).append(read(data))
                    rates.setdefault(f"train from {name}", []).append(
                        train(data, network, optimizer)
                    )
            size = sum(path.stat().st_size for path in cache_folder(None).rglob("*.u1"))
            row = {
                "images": count, "patches": figures["patches"], "seconds": figures["seconds"],
                "ms an image": 1000 * figures["seconds"] / count, "memory (MB)": figures["memory"],
                "disk (MB)": size / 1e6,
            }  # fmt: skip
            rows.append(row | {k: statistics.median(v) for k, v in sorted(rates.items())})
            del disk, ways
    print(table(rows, digits=1, settings=("images", "patches")))
    print("seconds: preparation; read from, train from: patches a second")
    given.output.mkdir(parents=True, exist_ok=True)
    write_csv(given.output / "scale.csv", rows, digits=4)
    draw_scale(rows, given.output / "scale.png")


def _memory(pid: int) -> float:
    """Return the resident memory of a process and its children, in MB; shared pages count once."""
    total = 0.0
    for one in [pid, *_children(pid)]:
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # it has ended
        # What is mapped from files, such as the patches, is the system's to give back.
        own = [line.split() for line in lines if line.startswith(("Pss_Anon", "Pss_Shmem"))]
        total += sum(float(words[1]) for words in own) / 1000
    return total


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    own = [int(word) for word in text.split()]
    return own + [deeper for child in own for deeper in _children(child)]


if __name__ == "__main__":
    main()
