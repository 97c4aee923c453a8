"""How fast the engines are on processors with fewer instructions than this one.

    python benchmarks/instructions.py

oneDNN, on which PyTorch's and OpenVINO's convolutions run, is held to AVX2, to AVX-512 with VNNI
and to AVX-512 with bfloat16, each in a process of its own; the last rows are all that there is.
ONNX Runtime can't be held and is left out, but for processors that have no more than AVX2. All ways
take turns and give whole grey levels; the figures are medians. The kernels' names are the proof.
Writes results/instructions.csv.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espcn.data.datasets import load_set
from espcn.imaging.color import to_channels
from espcn.imaging.degradation import BENCHMARK
from espcn.imaging.downsampling import crop_to_multiple
from espcn.imaging.metrics import PEAK, crop_border, psnr
from espcn.io.atomic import write_csv
from espcn.network.backends import prefers_sigmoid
from espcn.network.device import device_name
from espcn.network.engine import in_grey_levels
from espcn.network.onnx_graph import int8_model, onnx_model
from espcn.network.weights import load
from espcn.report.tables import table
from espcn.upscaling.upscaler import Upscaler

RESULTS = Path(__file__).resolve().parent.parent / "results"
R, HEIGHT, WIDTH = 3, 360, 640
HELD = {  # what oneDNN and PyTorch's own kernels are held to
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "AVX-512, VNNI": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"},
    "AVX-512, bfloat16": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"},
    "all": {},
}
# Not where it is this process that is held to that.
if torch.backends.cpu.get_cpu_capability() == "AVX2" and "ATEN_CPU_CAPABILITY" not in os.environ:
    HELD = {"AVX2": {}}  # which is all there is
UNSEEN = ("processor", "kernels")  # in the table that is printed
PRECISIONS = ("float32", "bfloat16")
PORT = "PyTorch port, eager, float32"
WAYS = [
    *(("torch", precision) for precision in PRECISIONS),
    *(("openvino", precision) for precision in (*PRECISIONS, "int8")),
]
if not HELD["AVX2"]:
    WAYS += [("onnx", precision) for precision in ("float32", "int8")]
Way = Callable[[np.ndarray], Any]


def port() -> Way:
    """Return a plain PyTorch port, eager."""
    network = load(R).network.folded()
    network.padding = "zeros"
    for layer in (network.conv2, network.conv3):
        layer.padding = (1, 1)

    def run(plane: np.ndarray) -> Any:
        with torch.no_grad():
            return network(torch.from_numpy(plane)[None, None].float() / 255)

    return run


def kernels(precision: str) -> str:
    """Return the names of the kernels that OpenVINO runs the convolutions on."""
    import openvino

    network = in_grey_levels(load(R).network)
    in_8_bits = precision == "int8"
    sigmoid = prefers_sigmoid()
    if in_8_bits:
        model = int8_model(network, sigmoid)
    else:
        model = onnx_model(network.float(), whole=False, sigmoid=sigmoid)
    hint = "bf16" if precision == "bfloat16" else "f32"
    read = openvino.Core().read_model(model.SerializeToString())
    made = openvino.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": hint})
    nodes = [node.get_rt_info() for node in made.get_runtime_model().get_ordered_ops()]
    return ", ".join(
        node["primitiveType"].astype(str)
        for node in nodes
        if node["layerType"].astype(str) == "Convolution"
    )


def score(upscaler: Upscaler) -> float:
    """Return the mean PSNR of an upscaler over Set5, in dB."""
    figures = []
    for pixels in load_set("Set5").images:
        original = crop_to_multiple(to_channels(pixels, 1), R)
        large = np.empty(original.shape[1:], np.uint8)
        upscaler.luma(BENCHMARK(original, R)[0].numpy(), 8, large)
        pair = (crop_border(p.double(), R) for p in (torch.from_numpy(large), original[0]))
        figures.append(psnr(*pair, data_range=PEAK))
    return statistics.mean(figures)


def measure(turns: int, isa: str) -> list[dict[str, Any]]:
    """Time all ways of this process."""
    upscalers = {}
    for engine, precision in WAYS:
        if precision == "bfloat16" and isa == "AVX2":
            continue  # it does not run there
        name = f"{engine}, {precision}"
        upscalers[name] = Upscaler(R, engine=engine, precision=precision, device="cpu")
    plane = np.resize(to_channels(load_set("Set5").images[0], 1)[0], (HEIGHT, WIDTH))
    large = np.empty((HEIGHT * R, WIDTH * R), np.uint8)
    ways: dict[str, Callable[[], Any]] = {PORT: partial(port(), plane)}
    ways |= {name: partial(one.luma, plane, 8, large) for name, one in upscalers.items()}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            for run in range(6):
                started = time.perf_counter()
                way()
                if run >= 2:
                    spent[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(times) for name, times in spent.items()}
    best = min(value for name, value in medians.items() if "float32" in name)
    named = {name: kernels(name.split(", ")[1]) for name in ways if name.startswith("openvino")}
    processor = device_name(torch.device("cpu")).removesuffix(" (cpu)")
    return [
        {"processor": processor, "instructions": isa, "way": name, "ms a frame": 1000 * value,
         "times the port": medians[PORT] / value, "times the best float32": best / value,
         "Set5 (dB)": score(upscalers[name]) if name in upscalers else None,
         "kernels": named.get(name)}
        for name, value in medians.items()
    ]  # fmt: skip


def torch_kernels(environment: dict[str, str], precisions: tuple[str, ...]) -> str:
    """Return the names of the kernels that our torch engine runs on."""
    code = (
        "import numpy as np; from espcn import Upscaler\n"
        f"for p in {precisions}:\n"
        "    Upscaler(3, engine='torch', precision=p)(np.zeros((64, 64), 'uint8'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**environment, "ONEDNN_VERBOSE": "1"}, text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    lines = [line.split(",") for line in done.stdout.splitlines() if ",exec,cpu,conv" in line]
    return ", ".join(dict.fromkeys(line[line.index("convolution") + 1] for line in lines))


def main() -> None:
    """Measure in a process for each set of instructions; print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=5, help="turns of each way (5)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (results)")
    parser.add_argument("--of", help=argparse.SUPPRESS)  # what this process is held to
    given = parser.parse_args()
    if given.of:
        print("\n" + json.dumps(measure(given.turns, given.of)))
        return
    given.output.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for isa, held in HELD.items():
        environment = {**os.environ, **held}
        command = [sys.executable, __file__, "--turns", str(given.turns), "--of", isa]
        done = subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE)
        if done.returncode:
            sys.exit(f"Error: held to {isa}, the measurement failed")
        own = json.loads(done.stdout.splitlines()[-1])
        names = torch_kernels(environment, ("float32",) if isa == "AVX2" else PRECISIONS)
        for row in own:
            row["kernels"] = row["kernels"] or (names if "torch" in row["way"] else None)
        rows += own
        shown = [{k: v for k, v in row.items() if k not in UNSEEN} for row in own]
        print(f"\n{table(shown, digits=2)}\n{names}", flush=True)
    write_csv(given.output / "instructions.csv", rows, digits=4)


if __name__ == "__main__":
    main()
