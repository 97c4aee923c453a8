"""What every fault is tried with: its table, its tries, commands that are started and stopped."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from omegaconf import OmegaConf

from espcn.io.containers import CONTAINERS
from espcn.io.reading import read_picture
from espcn.io.writing import FORMATS

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 300  # seconds: no work here takes as long
GRACE = 30  # seconds that a program has to end by itself
NOBODY = 54321  # a user without a name or a home
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("ESPCN_CACHE", "HYDRA_FULL_ERROR")}


class Broken(Exception):
    """Raised where something does not hold."""


class Impossible(Exception):
    """Raised where a fault can't be brought about here."""


def hold(holds: object, words: str) -> None:
    """Raise Broken, with these words, if something does not hold."""
    if not holds:
        raise Broken(words)


@dataclass
class Case:
    """One try: its number, folder, position among all tries (0..1) and random numbers."""

    number: int
    folder: Path
    share: float
    chance: random.Random


@dataclass(frozen=True)
class Fault:
    """A kind of fault: how it is tried, what must hold, and how many tries of ten it gets."""

    name: str
    holds: str
    tries: int
    attempt: Callable[[Case], None]


FAULTS: list[Fault] = []


def fault(name: str, holds: str, tries: int = 10) -> Callable[[Any], Any]:
    """Add a function to FAULTS."""

    def add(attempt: Callable[[Case], None]) -> Callable[[Case], None]:
        FAULTS.append(Fault(name, holds, tries, attempt))
        return attempt

    return add


@contextmanager
def small_disk(
    folder: Path, share: float, sizes: list[int]
) -> Iterator[tuple[Path, list[str], Callable[[], object]]]:
    """Return a disk that holds a share of files of these sizes, and how to make it larger.

    Where none may be mounted, a limit on the size of each file stands for it: what goes before the
    command.
    """
    disk = folder / "disk"
    disk.mkdir()

    def mount(options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
        return subprocess.run(command, capture_output=True).returncode == 0

    room = 64 + int(share * 0.9 * sum(sizes) / 1024)  # in KB: the small files have room
    if shutil.which("mount") and mount(f"size={room}k"):
        try:
            yield disk, [], lambda: mount("remount,size=1g")
        finally:
            subprocess.run(["umount", str(disk)], check=True)
    else:
        room = 64 + int(share * 0.9 * max(sizes) / 1024)
        yield disk, ["bash", "-c", f'ulimit -f {room}; exec "$@"', "-"], lambda: None


@contextmanager
def started(command: list[str], **options: Any) -> Iterator[subprocess.Popen]:
    """Start a command in its own session, and leave no process of it behind."""
    options = {"cwd": ROOT, "env": ENVIRONMENT, "stdout": subprocess.DEVNULL} | options
    options = {"stderr": subprocess.DEVNULL, "start_new_session": True} | options
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):  # it may have ended
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run(
    command: list[str], cwd: Path = ROOT, env: dict[str, str] = ENVIRONMENT
) -> subprocess.CompletedProcess:
    """Run a command to its end; return its output as text."""
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, errors="replace", timeout=LIMIT
    )


def wait_until(condition: Callable[[], object], process: subprocess.Popen) -> float:
    """Wait until a condition holds, or a process has ended; return the moment."""
    deadline = time.monotonic() + LIMIT
    while not condition() and process.poll() is None:
        hold(time.monotonic() < deadline, "nothing has begun")
        time.sleep(0.01)
    return time.monotonic()


def failed(done: subprocess.CompletedProcess, *words: str) -> None:
    """Check that a command failed, and said why by lines that hold one of these words each."""
    said = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    told = said and all(any(word in line for word in words) for line in said)
    plain = "Traceback" not in done.stderr
    hold(done.returncode == 1 and told and plain, f"code {done.returncode}: {done.stderr[-500:]}")


def broken(folder: Path) -> list[str]:
    """Return the files of a folder that are incomplete although they have their final names."""
    bad = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not (path.name.startswith(".") and path.name.endswith(".part")):
            try:
                _read(path)
            except Exception as error:  # whatever it is, the file is broken
                bad.append(f"{path.relative_to(folder)}: {error or type(error).__name__}")
    return bad


def _read(path: Path) -> None:
    """Read a file to its end; raise an error if it isn't whole."""
    kind = path.suffix.lower()
    if kind == ".ckpt":
        torch.load(path, weights_only=True)
    elif kind == ".yaml":
        assert OmegaConf.load(path), "empty"
    elif kind in (".csv", ".txt", ".md"):
        text = path.read_text()
        assert text.endswith("\n"), "ends within a line"
        rows = list(csv.reader(text.splitlines())) if kind == ".csv" else []
        assert len({len(row) for row in rows}) <= 1, "rows of different lengths"
    elif kind == ".json":
        content = json.loads(path.read_text())
        if path.name == "meta.json":  # promises that the cache is whole
            done = np.fromfile(path.with_name("done.u1"), np.uint8)
            assert len(done) == content["images"], "done.u1 is of another size"
            assert (done > 0).all(), "not all is done"
            for name in ("low.u1", "target.u1"):
                size = path.with_name(name).stat().st_size
                assert size % content["patches"] == 0 < size, f"{name} is of another size"
    elif kind in FORMATS:
        read_picture(path)
    elif kind in CONTAINERS:
        with av.open(str(path)) as video:
            stream = video.streams.video[0]
            frames = sum(1 for _ in video.decode(stream))
            assert frames == stream.frames > 0, f"{frames} of {stream.frames} frames"


def same(one: Any, other: Any) -> bool:
    """Say whether two values are the same, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def stranger() -> list[str]:
    """Return the prefix of a command that makes permissions count: for root, another user.

    One without a name who may read everything, since Python itself may lie in root's home.
    """
    if os.geteuid() != 0:
        return []
    may = [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
    prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *may]
    if not shutil.which("setpriv") or subprocess.run([*prefix, "true"]).returncode:
        raise Impossible("as root this needs setpriv")
    return prefix


@cache
def scratch() -> Path:
    """Return the folder shared by several tries; `main` removes it."""
    return Path(tempfile.mkdtemp(prefix="faults"))


def attempt(one: Fault, number: int, tries: int, seed: int = 0) -> Exception | None:
    """Try a fault once; return what went wrong."""
    chance = random.Random(f"{seed} {one.name} {number}")
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        case = Case(number, Path(folder) / "try", (number + chance.random()) / tries, chance)
        case.folder.mkdir()
        try:
            one.attempt(case)
        except Exception as error:  # an error of our own or of a broken file: it did not hold
            return error
    return None
