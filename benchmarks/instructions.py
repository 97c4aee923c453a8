"""How fast the engines are on processors with fewer instructions than this one.

    python benchmarks/instructions.py

oneDNN, on which PyTorch's and OpenVINO's convolutions run, is held to AVX2, to AVX-512 with VNNI
and to AVX-512 with bfloat16, each in a process of its own; the last rows are all that there is.
ONNX Runtime and OpenCV can't be held and are left out. Beside float32 and bfloat16 stands what int8
would give: our ONNX file quantised after training, per channel, on pictures of T91 (its PSNR is not
what training with the quantisation would give; its speed is). All ways take turns; the figures are
medians. The kernels' names are the proof. Writes results/instructions.csv.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espcn.data.datasets import load_set
from espcn.export.export import export
from espcn.imaging.color import to_channels
from espcn.io.atomic import write_csv
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
PRECISIONS = ("float32", "bfloat16")
Way = Callable[[np.ndarray], Any]


def ours(engine: str, precision: str) -> Way:
    """Return one of our engines, from a plane of luma to the larger one."""
    upscaler = Upscaler(R, engine=engine, precision=precision, device="cpu")
    large = np.empty((HEIGHT * R, WIDTH * R), np.uint8)
    return lambda plane: upscaler.luma(plane, 8, large)


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


def compiled(path: str, precision: str) -> tuple[Way, list[str]]:
    """Return OpenVINO on an ONNX file, and the names of its kernels."""
    import openvino

    hints = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY",
             "INFERENCE_NUM_THREADS": torch.get_num_threads()}  # fmt: skip
    model = openvino.Core().read_model(path)
    model.reshape([1, 1, HEIGHT, WIDTH])
    network = openvino.compile_model(model, "CPU", hints)
    kernels = [
        f"{node.get_rt_info()['primitiveType'].astype(str)}"
        for node in network.get_runtime_model().get_ordered_ops()
        if node.get_rt_info()["layerType"].astype(str) == "Convolution"
    ]
    return (lambda plane: network((plane[None, None] / np.float32(255),))), kernels


def quantized(path: str, folder: str, layers: list[str] | None = None) -> str:
    """Quantise an ONNX file after training; return the new one's path."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    planes = [to_channels(pixels, 1) for pixels in load_set("T91").images[:8]]

    class Pictures(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest = iter([{"luma": (plane[None] / 255).numpy().astype(np.float32)}
                              for plane in map(torch.as_tensor, planes)])  # fmt: skip

        def get_next(self) -> Any:
            return next(self.rest, None)

    target = f"{folder}/int8_{len(layers or [])}.onnx"
    quantize_static(
        path, target, Pictures(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv"], nodes_to_quantize=layers,
    )  # fmt: skip
    return target


def measure(turns: int, isa: str) -> list[dict[str, Any]]:
    """Time all ways of this process."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(export(R, output=f"{folder}/espcn.onnx").path)
        kernels: dict[str, str] = {}
        ways: dict[str, Way] = {"PyTorch port, eager, float32": port()}
        ways["ours, torch, float32"] = ours("torch", "float32")
        if isa != "AVX2":
            ways["ours, torch, bfloat16"] = ours("torch", "bfloat16")
        files = {"float32": path, "int8": quantized(path, folder)}
        for name, file in files.items():
            ways[f"OpenVINO, {name}"], names = compiled(file, "f32")
            kernels[f"OpenVINO, {name}"] = ", ".join(names)
        if isa != "AVX2":  # it does not compile there
            ways["OpenVINO, bfloat16"], names = compiled(path, "bf16")
            kernels["OpenVINO, bfloat16"] = ", ".join(names)
            ways["OpenVINO, int8 and bfloat16"], names = compiled(files["int8"], "bf16")
            kernels["OpenVINO, int8 and bfloat16"] = ", ".join(names)
        plane = np.resize(to_channels(load_set("Set5").images[0], 1)[0], (HEIGHT, WIDTH))
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(turns):
            for name, way in ways.items():
                for run in range(6):
                    started = time.perf_counter()
                    way(plane)
                    if run >= 2:
                        spent[name].append(time.perf_counter() - started)
        medians = {name: statistics.median(times) for name, times in spent.items()}
        slow = medians["PyTorch port, eager, float32"]
        best = min(value for name, value in medians.items() if "float32" in name)
        return [
            {"instructions": isa, "way": name, "ms a frame": 1000 * value,
             "times the port": slow / value, "times the best float32": best / value,
             "kernels": kernels.get(name)}
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
            row["kernels"] = row["kernels"] or (names if "ours" in row["way"] else None)
        rows += own
        shown = [{k: v for k, v in row.items() if k != "kernels"} for row in own]
        print(f"\n{table(shown, digits=2)}\n{names}", flush=True)
    write_csv(given.output / "instructions.csv", rows, digits=4)


if __name__ == "__main__":
    main()
