"""What the user shader costs, and how close FFmpeg's libplacebo comes to PyTorch with it.

    python benchmarks/shader.py

Operations are counted in the text of the shader, for each pixel of the source; a multiplication and
the addition after it are one. Compiling is what a small frame takes of the processor more than
without a shader, with Mesa's software Vulkan or whatever driver there is; what Mesa keeps of former
runs is left aside. Levels are compared in a photograph, for each depth and range. Writes
results/shader.csv.
"""

import argparse
import os
import re
import resource
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import torch

from espcn.export.glsl import shader
from espcn.export.libplacebo import render, version
from espcn.imaging.color import to_ycbcr
from espcn.imaging.metrics import PEAK, psnr
from espcn.io.atomic import write_csv
from espcn.network.weights import factors, load
from espcn.report.tables import table
from espcn.upscaling.upscaler import Upscaler

RESULTS = Path(__file__).resolve().parent.parent / "results"
TURNS = 3


def counts(text: str, r: int) -> dict[str, int]:
    """Return the passes of a shader, and its operations for each pixel of the source."""
    passes = text.split("//!DESC ")[1:]
    total = {"passes": len(passes), "multiply-adds": 0, "texture reads": 0}
    for one in passes:
        # How many pixels of the pass there are for one of the source, margins aside.
        pixels = r * r if f"LUMA.w {r} *" in one else 2 if "LUMA.w 4 + 2 *" in one else 1
        matrices, vectors = len(re.findall(r"\+= mat4", one)), len(re.findall(r"\+= \(left", one))
        total["multiply-adds"] += pixels * (16 * matrices + 4 * vectors)
        # Of the textures of the last layer, each pixel of the shuffle reads the one it needs.
        total["texture reads"] += pixels * (matrices + vectors or 1)
    return total


def compile_seconds(text: str, r: int) -> float:
    """Return what the first frame costs a processor more with a shader, the median of turns."""
    frame = np.full((3, 36, 64), 128, np.uint8)
    seconds: dict[str | None, list[float]] = {text: [], None: []}
    os.environ["MESA_SHADER_CACHE_DISABLE"] = "true"
    for _ in range(TURNS):
        for one, times in seconds.items():
            started = processor_seconds()
            render(frame, r, one)
            times.append(processor_seconds() - started)
    del os.environ["MESA_SHADER_CACHE_DISABLE"]
    return statistics.median(seconds[text]) - statistics.median(seconds[None])


def processor_seconds() -> float:
    """Return what all processes that were started and have ended took of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def closeness(text: str, r: int) -> dict[str, float]:
    """Return the PSNR between libplacebo's luma and PyTorch's, by depth and range."""
    photo = torch.from_numpy(skimage.data.astronaut()[60:204, 150:342].transpose(2, 0, 1))
    limited = to_ycbcr(photo).numpy()
    offsets, gains = np.array([16, 128, 128]), np.array([219, 224, 224])
    full = (limited.transpose(1, 2, 0) - offsets) / gains * 255 + [0, 128, 128]
    upscaler = Upscaler(r, engine="torch", precision="float32", device="cpu")
    close = {}
    for bits, kind in ((8, np.uint8), (10, np.uint16)):
        scale = 2 ** (bits - 8)
        for name, planes in (("limited", limited), ("full", full.transpose(2, 0, 1))):
            frame = (scale * planes).round().clip(0, 2**bits - 1).astype(kind)
            expected = np.empty((r * frame.shape[1], r * frame.shape[2]), kind)
            upscaler.luma(frame[0], bits, expected)
            large = render(frame, r, text, bits, name == "full")[0]
            pair = (torch.from_numpy(one / scale) for one in (large, expected))
            close[f"dB, {bits} bits, {name} range"] = psnr(*pair, data_range=PEAK)
    return close


def main() -> None:
    """Count, time and compare for each factor; print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (results)")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for r in factors():
        text = shader(load(r).network, {})
        costs = counts(text, r) | {"compiling (s)": compile_seconds(text, r)}
        rows.append({"r": r} | costs | closeness(text, r))
    print(f"FFmpeg {version()}\n")
    print(table(rows, digits=1))
    given.output.mkdir(parents=True, exist_ok=True)
    write_csv(given.output / "shader.csv", rows, digits=4)


if __name__ == "__main__":
    main()
