"""The real work that faults befall: runs, caches, sweeps, pictures and a video."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image

from espcn.data.datasets import data_root, load_set
from espcn.data.registry import EMBEDDED_TEST, EMBEDDED_TRAIN
from robustness.harness import (
    GRACE,
    LIMIT,
    Case,
    broken,
    failed,
    hold,
    run,
    same,
    scratch,
    small_disk,
    started,
    wait_until,
)


@dataclass
class Work:
    """What is killed: a command that works in a folder, and what it leaves there.

    `begins` says of the folder whether that has begun which is to be stopped.
    """

    command: Callable[[Path], list[str]]
    leaves: Callable[[Path], Any]
    begins: Callable[[Path], object] = lambda folder: True

    @cached_property
    def alone(self) -> tuple[Path, float, Any]:
        """Run it undisturbed; return its folder, its seconds from the start, and what it leaves."""
        folder = Path(tempfile.mkdtemp(dir=scratch()))
        with started(self.command(folder)) as process:
            began = wait_until(lambda: self.begins(folder), process)
            process.wait(LIMIT)
            seconds = time.monotonic() - began
            hold(process.returncode == 0, f"failed when it was let alone: {process.returncode}")
        hold(not broken(folder), f"left broken files when it was let alone: {broken(folder)}")
        return folder, seconds, self.leaves(folder)

    def kill(self, folder: Path, share: float) -> bool:
        """Start it, kill it after a fraction of its time; return False if it ended before."""
        _, seconds, _ = self.alone
        with started(self.command(folder)) as process:
            began = wait_until(lambda: self.begins(folder), process)
            try:
                process.wait(max(0, began + share * seconds - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return True
            return False

    def goes_on(self, folder: Path, command: list[str] | None = None) -> None:
        """Start it again; it must end well and leave what it leaves when it is let alone."""
        done = run(command or self.command(folder))
        hold(done.returncode == 0, f"did not go on: {done.stderr[-500:]}")
        hold(not broken(folder), f"broken in the end: {broken(folder)}")
        parts = [path.name for path in folder.rglob(".*.part")]
        hold(not parts, f"left over: {parts}")
        hold(same(self.leaves(folder), self.alone[2]), "the outcome is another one")


def kill_and_go_on(work: Work, case: Case) -> None:
    """Kill some work, once or twice, look at what lies there, and go on with it."""
    share = case.share
    while not work.kill(case.folder, share):  # it was faster than when it was let alone
        shutil.rmtree(case.folder)
        case.folder.mkdir()
        share *= 0.8
    hold(not broken(case.folder), f"broken by the kill: {broken(case.folder)}")
    if case.chance.random() < 0.25:
        work.kill(case.folder, case.chance.random())
        hold(not broken(case.folder), f"broken by the second kill: {broken(case.folder)}")
    work.goes_on(case.folder)


def fill_disk(work: Work, kind: str, case: Case) -> None:
    """Give some work less disk space than its files of a kind take, then more."""
    sizes = [path.stat().st_size for path in work.alone[0].rglob(kind)]
    with small_disk(case.folder, case.share, sizes) as (disk, within, widen):
        done = run([*within, *work.command(disk)])
        failed(done, "No space left on device", "File too large", "could not be written")
        hold(not broken(disk), f"broken by the full disk: {broken(disk)}")
        widen()
        work.goes_on(disk)


# The work


def train(*settings: str) -> list[str]:
    """Return the command of a short run."""
    return [sys.executable, "train.py", *settings, "trainer.accelerator=cpu", "sets=[]"]


def upscale(*arguments: str | Path) -> list[str]:
    """Return the command that upscales files."""
    return [sys.executable, "upscale.py", *map(str, arguments)]


def images(*names: str, other: str = EMBEDDED_TEST) -> list[np.ndarray]:
    """Return the images of sets, or of another one if they are not there."""
    there = [name for name in names if (data_root(None) / name).is_dir()]
    return [one for name in there or [other] for one in load_set(name).images]


@cache
def many_pictures() -> Path:
    """Return a folder of a hundred pictures, enough for several processes to prepare them."""
    folder = scratch() / "many"
    folder.mkdir()
    originals = images("T91", other=EMBEDDED_TRAIN)
    for number in range(100):
        photo = Image.fromarray(originals[number % len(originals)][..., :3].squeeze())
        turned = photo.transpose(Image.Transpose(number // len(originals) % 7))
        turned.crop((0, 0, 200, 200)).save(folder / f"{number}.png", compress_level=1)
    return folder


@cache
def some_pictures() -> Path:
    """Return a folder of 14 pictures in all formats."""
    folder = scratch() / "some"
    folder.mkdir()
    originals = images("Set5", "Set14")
    for number in range(14):
        photo = Image.fromarray(originals[number % len(originals)][..., :3].squeeze())
        ending = ("png", "jpg", "tif", "webp", "bmp", "png", "avif")[number % 7]
        photo.crop((0, 0, 200, 200)).save(folder / f"{number}.{ending}")
    return folder


@cache
def clip() -> Path:
    """Return a short clip."""
    known = data_root(None).absolute().parent / "video/carphone_pristine.mp4"
    if known.is_file():
        return known
    path, photo = scratch() / "clip.mp4", images()[0]
    with av.open(str(path), "w") as video:
        stream: Any = video.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 176, 144, "yuv420p"
        for number in range(120):
            pixels = np.ascontiguousarray(photo[number:, number:][:144, :176])
            video.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        video.mux(stream.encode(None))
    return path


def states(folder: Path) -> Any:
    """Return all weights and states of the optimiser that a run's checkpoints hold."""
    names = ("epoch", "state_dict", "optimizer_states", "lr_schedulers", "current_model_state",
             "averaging_state")  # fmt: skip
    kept = {}
    for name in ("best.ckpt", "last.ckpt"):
        content = torch.load(folder / "run" / name, weights_only=True)
        kept[name] = {key: content.get(key) for key in names}
    return kept


def patches(folder: Path) -> dict[str, bytes]:
    """Return the prepared patches."""
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.u1"))}


def swept(folder: Path) -> list[dict[str, str]]:
    """Return a sweep's table, without times and paths."""
    with (folder / "sweep/sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    hold(all(row["status"] == "completed" for row in rows), "not all jobs are completed")
    return [{k: v for k, v in row.items() if k[-2:] != "_s" and k != "checkpoint"} for row in rows]


def upscaled(folder: Path) -> dict[str, bytes]:
    """Return the upscaled files."""
    return {path.name: path.read_bytes() for path in (folder / "out").iterdir() if path.is_file()}


def from_sets(folder: Path, *settings: str) -> list[str]:
    """Return the command of a run on T91 whose rate drops along the way."""
    source = "t91" if (data_root(None) / "T91").is_dir() else "skimage"
    short = ("data.scales=[1]", "data.stride=24", "mu=1e-3", *settings)
    return train(f"data={source}", *short, f"hydra.run.dir={folder / 'run'}")


def from_folder(folder: Path, pictures: Path, *settings: str) -> list[str]:
    """Return the command of a run on pictures, whose patches are prepared first."""
    where = (f"data.cache={folder / 'cache'}", f"hydra.run.dir={folder / 'run'}")
    shared = ("data.scales=[1,0.8]", "batch_size=512")
    return train("data=folder", f"data.path={pictures}", *shared, *settings, *where)


EPOCHS = 4
TRAINING = Work(lambda folder: from_sets(folder, f"max_epochs={EPOCHS}"), states)
PREPARING = Work(
    lambda folder: from_folder(folder, many_pictures(), "max_epochs=1"),
    patches,
    lambda folder: list(folder.glob("cache/*.lock")),
)
SWEEP = Work(
    lambda folder: train(
        "-m", "data=skimage", "data.scales=[1]", "data.stride=40", "max_epochs=2", "seed=0,1",
        "mu=1e-3", f"hydra.sweep.dir={folder / 'sweep'}",
    ),
    swept,
)  # fmt: skip
PICTURES = Work(
    lambda folder: upscale(some_pictures(), "-r", "4", "-o", folder / "out"),
    upscaled,
    lambda folder: list(folder.glob("out/.*")),
)
VIDEO = Work(
    lambda folder: upscale(clip(), "-r", "4", "-o", f"{folder}/out/"),
    upscaled,
    lambda folder: list(folder.glob("out/.*")),
)


def stop_in_order(
    case: Case, command: list[str], table: str, number: signal.Signals, **options: Any
) -> Path:
    """Send a signal to a run whose epochs stand in `table`; it must end by itself, all saved."""
    alone, _, _ = TRAINING.alone
    epoch = float((alone / "run/epochs.csv").read_text().split(",")[-1]) / EPOCHS  # seconds
    before = 1 + int(case.share * (EPOCHS - 1))  # so many epochs are done

    def done() -> int:
        return max((epochs(path.parent) for path in case.folder.glob(table)), default=0)

    with started(command, **options) as process:
        wait_until(lambda: done() >= before, process)
        try:
            process.wait(0.8 * epoch * case.chance.random())
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        process.wait(GRACE)
    hold(process.returncode == 130, f"ended with code {process.returncode}")
    (directory,) = (path.parent for path in case.folder.glob(table))
    result = json.loads((directory / "result.json").read_text())
    stopped = ("interrupted", f"stopped by {number.name}")
    hold((result["status"], result["error"]) == stopped, str(result))
    # The signal may fall between an epoch's row and its checkpoint.
    saved = torch.load(directory / "last.ckpt", weights_only=True)["epoch"] + 1
    hold(done() - saved in (0, 1), f"{saved} of {done()} epochs are saved")
    hold(not broken(case.folder), f"broken by the signal: {broken(case.folder)}")
    return directory


def epochs(directory: Path) -> int:
    """Return the number of finished epochs of a run."""
    path = directory / "epochs.csv"
    return len(path.read_text().splitlines()) - 1 if path.is_file() else 0
