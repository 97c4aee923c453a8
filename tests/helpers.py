"""What tests share: running the commands, small runs and sweeps, clips and checkpoints."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from espcn.network.model import ESPCN
from espcn.runs.gather import gather
from espcn.training.checkpoint_io import AtomicCheckpointIO

Done = subprocess.CompletedProcess
Call = Callable[..., Done]

ROOT = Path(__file__).parents[1]
# One thread: tests are small, and the same figures come out on any number of cores.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
ENVIRONMENT |= {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}


SCORED = "[skimage-test]"  # as `sets`: three photographs


def run(*arguments: str, timeout: float = 120, **environment: str) -> Done:
    """Run a command of the project as a user would, from its root; give its output as text."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def tiny_run(pictures: Path, **settings: object) -> list[str]:
    """Return the overrides of a run of a second."""
    short = {
        "data": "folder",
        "data.path": pictures,
        "data.patch": 8,
        "data.stride": 8,
        "data.scales": "[1]",
        "max_epochs": 3,
        "trainer.accelerator": "cpu",
        "sets": "[]",
    }
    return [f"{name}={value}" for name, value in (short | settings).items()]


def read_run_result(directory: Path) -> dict:
    return json.loads((directory / "result.json").read_text())


def saved_state(directory: Path, name: str = "best.ckpt") -> dict[str, torch.Tensor]:
    return torch.load(directory / name, weights_only=True)["state_dict"]


def same_tensors(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def sweep_rows(directory: Path) -> list[dict[str, str]]:
    with (directory / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def sweep_arguments(pictures: Path, directory: Path, *swept: str) -> list[str]:
    where = f"hydra.sweep.dir={directory}"
    return ["train.py", "-m", *tiny_run(pictures, max_epochs=2, sets=SCORED), where, *swept]


def grid(**values: list) -> list[dict[str, Any]]:
    """Return the settings of a sweep's jobs, the first the worst."""
    every = product(*values.values())
    return [
        dict(zip(values, some, strict=True)) | {"val_psnr": 30 + place / 100}
        for place, some in enumerate(every)
    ]


def write_jobs(directory: Path, jobs: list[dict[str, Any]]) -> str:
    """Write jobs with these settings and a `val_psnr`, gather them, and return the page.

    Without the plots, which take many times as long as all the rest.
    """
    for place, one in enumerate(jobs):
        job = directory / f"job-{place}"
        job.mkdir(parents=True)
        settings = {name: value for name, value in one.items() if name != "val_psnr"}
        (job / "config.yaml").write_text(json.dumps(settings))
        done: dict[str, Any] = {"status": "completed", "error": None} | settings
        if one.get("val_psnr") is None:
            done |= {"status": "failed", "error": "the loss is no longer finite: lower `lr`"}
        figures = {"val_psnr": one.get("val_psnr"), "psnr": {"Set5": 32.5}, "epochs": 3}
        (job / "result.json").write_text(json.dumps(done | figures))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("espcn.runs.gather.plot_sweep", lambda *_: None)
        gather(directory)
    return (directory / "sweep.html").read_text()


def check_failed(done: Done, *lines: str) -> None:
    """Check that a command failed, and said so in a line that holds these words each."""
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(said) == len(lines), done.stderr
    for line, words in zip(said, lines, strict=True):
        assert words in line


def moving_photograph(count: int, width: int, height: int) -> Iterator[av.VideoFrame]:
    """Return a photograph that moves to the left, two pixels a frame."""
    import skimage.data

    photo = skimage.data.astronaut()
    for number in range(count):
        left = 180 + 2 * (number % 50)
        crop = photo[80 : 80 + height, left : left + width]
        yield av.VideoFrame.from_ndarray(np.ascontiguousarray(crop), format="rgb24")


def write_clip(
    path: Path,
    count: int = 12,
    size: tuple[int, int] = (48, 32),
    kind: str = "yuv420p",
    codec: str = "libx264",
    pts: Callable[[int], int] = lambda number: 40 * number,
    prepare: Callable[[Any, Any], None] = lambda container, stream: None,
    preset: str = "ultrafast",
    sound: str | None = None,
) -> Path:
    """Write a clip, its time in thousandths of a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, kind
        base = Fraction(1, 25 if path.suffix == ".avi" else 1000)  # AVI's is its frame rate
        stream.codec_context.time_base = base
        stream.options = {"crf": "10", "preset": preset} if codec == "libx264" else {}
        audio = container.add_stream(sound, rate=48000, layout="mono") if sound else None
        prepare(container, stream)
        for number, frame in enumerate(moving_photograph(count, *size)):
            made = frame.reformat(format=kind)
            made.pts, made.time_base = round(pts(number) / 1000 / base), base
            container.mux(stream.encode(made))
        container.mux(stream.encode(None))
        if audio is not None:
            for number in range(12):
                tone = np.sin(np.arange(1024) * (0.05 + 0.01 * number)).astype(np.float32)
                note = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
                note.sample_rate, note.pts = 48000, 1024 * number
                container.mux(audio.encode(note))
            container.mux(audio.encode(None))
    return path


def with_a_gap(number: int) -> int:
    """Return when a frame is shown, as `pts` of `write_clip`: eight are missing after the fifth."""
    return 40 * (number + 8 * (number > 4))


CHECKPOINT_SETTINGS = {
    "r": 3, "channels": 1, "activation": "tanh", "padding": "replicate", "center": 0.45,
    "gain": 5.0, "blur": 0.5, "downsample": "decimate",
}  # fmt: skip


def write_checkpoint(path: Path, network: ESPCN, **changes: object) -> Path:
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    content = {"state_dict": weights, "hyper_parameters": CHECKPOINT_SETTINGS | changes}
    AtomicCheckpointIO().save_checkpoint(content, path)
    return path


def clear_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SLURM_", "TORCHELASTIC_", "RANK", "WORLD_", "LOCAL_")):
            monkeypatch.delenv(name)


def duration(path: Path) -> float:
    with av.open(str(path)) as container:
        return container.duration / 1e6


def frames(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def packets(path: Path, kind: str) -> list[tuple[float, bytes]]:
    """Return when each packet of the first stream of a kind comes, and what it holds."""
    with av.open(str(path)) as container:
        stream = next(one for one in container.streams if one.type == kind)
        return [
            (round(float(packet.pts * packet.time_base), 3), bytes(packet))
            for packet in container.demux(stream)
            if packet.size
        ]


def plane(frame: av.VideoFrame, index: int = 0) -> np.ndarray:
    own = frame.planes[index]
    kind = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
    rows = np.frombuffer(bytes(own), kind).reshape(-1, own.line_size // np.dtype(kind).itemsize)
    return rows[: own.height, : own.width]


def mean_error(small: Path, large: Path, r: int) -> float:
    """Return the mean absolute difference of the luma planes, the larger one averaged."""
    errors = []
    for one, other in zip(frames(small), frames(large), strict=True):
        bits = one.format.components[0].bits
        a, b = (plane(frame).astype(float) / 2 ** (bits - 8) for frame in (one, other))
        height, width = b.shape[0] // r, b.shape[1] // r
        cells = b[: r * height, : r * width].reshape(height, r, width, r).mean((1, 3))
        errors.append(np.abs(cells - a[:height, :width]).mean())
    return float(np.mean(errors))
