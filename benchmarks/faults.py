"""What becomes of the work when a program is killed, the disk fills or the data change.

    python benchmarks/faults.py
    python benchmarks/faults.py --only kill --times 3      # the rows whose names hold this word

Each fault befalls the real commands at short real work: T91, Set5, Set14 and a clip where
ESPCN_DATA says they are, else scikit-image's photographs. A program is killed with all its
processes, at moments spread over the time that it takes when it is let alone, started again, and
must leave what it leaves then. After each fault no file under its final name may be broken. The
same seed gives the same moments, as shares of that time. Needs Linux; as root, small disks are
mounted, and what others may not do is tried as another user. Writes results/faults.csv.
"""

import argparse
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from omegaconf import OmegaConf
from PIL import Image
from tqdm import tqdm

from espcn.datasets import EMBEDDED_TEST, EMBEDDED_TRAIN, data_root, load_set
from espcn.files import write_csv
from espcn.formats import CONTAINERS, FORMATS
from espcn.pictures import read_picture
from espcn.report import table

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 300  # seconds: no work here takes as long
GRACE = 30  # seconds that a program has to end by itself
NOBODY = 54321  # a user without a name or a home
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("ESPCN_CACHE", "HYDRA_FULL_ERROR")}
ENVIRONMENT |= {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}


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
    """One try: its number, a folder of its own, its place among all (0..1), and its chances."""

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
        """Let it alone; give its folder, the seconds from when it begins, and what it leaves."""
        folder = Path(tempfile.mkdtemp(dir=scratch()))
        with started(self.command(folder)) as process:
            began = wait_until(lambda: self.begins(folder), process)
            process.wait(LIMIT)
            seconds = time.monotonic() - began
            hold(process.returncode == 0, f"failed when it was let alone: {process.returncode}")
        hold(not broken(folder), f"left broken files when it was let alone: {broken(folder)}")
        return folder, seconds, self.leaves(folder)

    def kill(self, folder: Path, share: float) -> bool:
        """Start it, and kill it after a share of its time; False if it had ended before."""
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
    """Give some work less room than its files of a kind take; then give it more."""
    sizes = [path.stat().st_size for path in work.alone[0].rglob(kind)]
    with small_disk(case.folder, case.share, sizes) as (disk, within, widen):
        done = run([*within, *work.command(disk)])
        failed(done, "No space left on device", "File too large", "could not be written")
        hold(not broken(disk), f"broken by the full disk: {broken(disk)}")
        widen()
        work.goes_on(disk)


@contextmanager
def small_disk(
    folder: Path, share: float, sizes: list[int]
) -> Iterator[tuple[Path, list[str], Callable[[], object]]]:
    """Give a disk that holds a share of files of these sizes, and how to make it larger.

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
    """Start a command in a session of its own, of which nothing is left in the end."""
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
    """Run a command to its end; give its output as text."""
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, errors="replace", timeout=LIMIT
    )


def wait_until(condition: Callable[[], object], process: subprocess.Popen) -> float:
    """Wait until a condition holds, or a process has ended; give the moment."""
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
    """Give the files of a folder that are not whole, though they have their final names."""
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
    """Give what goes before a command so that permissions count: as root, another user.

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
    """Give the folder for what several tries share; main takes it away."""
    return Path(tempfile.mkdtemp(prefix="faults"))


# The work


def train(*settings: str) -> list[str]:
    """Give the command of a short run."""
    return [sys.executable, "train.py", *settings, "trainer.accelerator=cpu", "sets=[]"]


def upscale(*arguments: str | Path) -> list[str]:
    """Give the command that enlarges files."""
    return [sys.executable, "upscale.py", *map(str, arguments)]


def images(*names: str, other: str = EMBEDDED_TEST) -> list[np.ndarray]:
    """Give the images of sets, or of another one if they are not there."""
    there = [name for name in names if (data_root(None) / name).is_dir()]
    return [one for name in there or [other] for one in load_set(name).images]


@cache
def many_pictures() -> Path:
    """Give a folder of a hundred pictures, so many that several processes prepare them."""
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
    """Give a folder of 14 pictures in all formats."""
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
    """Give a short clip."""
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
    """Give all weights and states of the optimiser that a run's checkpoints hold."""
    names = ("epoch", "state_dict", "optimizer_states", "lr_schedulers", "current_model_state",
             "averaging_state")  # fmt: skip
    kept = {}
    for name in ("best.ckpt", "last.ckpt"):
        content = torch.load(folder / "run" / name, weights_only=True)
        kept[name] = {key: content.get(key) for key in names}
    return kept


def patches(folder: Path) -> dict[str, bytes]:
    """Give the prepared patches."""
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.u1"))}


def swept(folder: Path) -> list[dict[str, str]]:
    """Give a sweep's table, but for times and places."""
    with (folder / "sweep/sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    hold(all(row["status"] == "completed" for row in rows), "not all jobs are completed")
    return [{k: v for k, v in row.items() if k[-2:] != "_s" and k != "checkpoint"} for row in rows]


def enlarged(folder: Path) -> dict[str, bytes]:
    """Give the enlarged files."""
    return {path.name: path.read_bytes() for path in (folder / "out").iterdir()}


def from_sets(folder: Path, *settings: str) -> list[str]:
    """Give the command of a run on T91 whose rate drops along the way."""
    source = "t91" if (data_root(None) / "T91").is_dir() else "skimage"
    short = ("data.scales=[1]", "data.stride=24", "mu=1e-3", *settings)
    return train(f"data={source}", *short, f"hydra.run.dir={folder / 'run'}")


def from_folder(folder: Path, pictures: Path, *settings: str) -> list[str]:
    """Give the command of a run on pictures, whose patches are prepared first."""
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
    enlarged,
    lambda folder: list(folder.glob("out/.*")),
)
VIDEO = Work(
    lambda folder: upscale(clip(), "-r", "4", "-o", f"{folder}/out/"),
    enlarged,
    lambda folder: list(folder.glob("out/.*")),
)


# The faults


for name, work, same_as in (
    ("training", TRAINING, "weights and optimiser, bit for bit"),
    ("preparing a cache", PREPARING, "the same bytes"),
    ("sweep", SWEEP, "the same table, all jobs done"),
    ("pictures", PICTURES, "the same files, byte for byte"),
    ("video", VIDEO, "the same file, byte for byte"),
):
    fault(f"kill -9: {name}", same_as)(partial(kill_and_go_on, work))


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


@fault("SIGTERM: training", f"ends within {GRACE} s, goes on to the same bits", tries=5)
def _(case: Case) -> None:
    command = TRAINING.command(case.folder)
    directory = stop_in_order(case, command, "run/epochs.csv", signal.SIGTERM)
    TRAINING.goes_on(case.folder, [sys.executable, "train.py", f"resume={directory}"])


@fault("SIGUSR1: a SLURM job", "requeues, goes on in its directory to the same bits", tries=5)
def _(case: Case) -> None:
    scontrol, asked = case.folder / "bin/scontrol", case.folder / "asked.txt"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {asked}\n')
    scontrol.chmod(0o755)
    job = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "1"}
    environment = ENVIRONMENT | job | {"PATH": f"{scontrol.parent}:{os.environ['PATH']}"}
    # Without a directory of its own: the job finds it by its number.
    settings = [one for one in TRAINING.command(case.folder)[2:] if "hydra.run.dir" not in one]
    command = [sys.executable, str(ROOT / "train.py"), *settings]
    own: dict[str, Any] = {"cwd": case.folder, "env": environment}
    table = "outputs/slurm/*/epochs.csv"
    directory = stop_in_order(case, command, table, signal.SIGUSR1, **own)
    hold(asked.read_text() == "requeue 4711\n", f"asked SLURM to {asked.read_text()}")
    done = run(command, **own)
    hold(done.returncode == 0, f"did not go on: {done.stderr[-500:]}")
    hold(list(directory.parent.iterdir()) == [directory], "took another directory")
    shutil.move(directory, case.folder / "run")
    hold(not broken(case.folder), f"broken in the end: {broken(case.folder)}")
    hold(same(states(case.folder), TRAINING.alone[2]), "the outcome is another one")


for name, work, kind in (
    ("checkpoint", TRAINING, "*.ckpt"),
    ("preparing a cache", PREPARING, "*.u1"),
    ("pictures", PICTURES, "out/*"),
    ("video", VIDEO, "out/*"),
):
    fault(f"full disk: {name}", "a line says so; with room it goes on", 3)(
        partial(fill_disk, work, kind)
    )


@fault("data that change under a run", "a line names the fingerprint; given back, it goes on", 4)
def _(case: Case) -> None:
    own = Path(shutil.copytree(many_pictures(), case.folder / "pictures"))
    changed, before = own / "99.png", (own / "99.png").read_bytes()

    def change() -> None:
        changed.unlink()
        if case.number % 2:
            shutil.copy(own / "98.png", changed)

    command = from_folder(case.folder, own, "max_epochs=5")
    preparing = case.number % 4 < 2
    begun = "cache/*/done.u1" if preparing else "run/last.ckpt"
    with started(command, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: list(case.folder.glob(begun)), process)
        if preparing:
            change()
            _, said = process.communicate(timeout=LIMIT)
            hold(process.returncode == 1, f"went on with another picture: {process.returncode}")
            hold("its SHA-256 was" in said and "Traceback" not in said, said[-500:])
    if not preparing:
        kept = (case.folder / "run/last.ckpt").read_bytes()
        change()
        failed(run(command), "`data` must be the images that the run began with (fingerprint")
        hold((case.folder / "run/last.ckpt").read_bytes() == kept, "last.ckpt is another one")
    changed.write_bytes(before)
    done = run(command)
    hold(done.returncode == 0, f"did not go on: {done.stderr[-500:]}")
    hold(not broken(case.folder), f"broken: {broken(case.folder)}")
    shutil.rmtree(own)
    # Of the folder that was let alone, the patches of its only recipe: they must be the same.
    hold(same(patches(case.folder), PREPARING.alone[2]), "the patches are others")


@fault("a cache that is not whole", "prepared anew, the same bytes", tries=5)
def _(case: Case) -> None:
    shutil.copytree(PREPARING.alone[0] / "cache", case.folder / "cache")
    (where,) = case.folder.glob("cache/*/")
    meta = json.loads((where / "meta.json").read_text())
    ways: list[Callable[[], object]] = [
        lambda: (where / "meta.json").write_text(json.dumps(meta | {"version": 0})),
        lambda: (where / "meta.json").write_text('{"version": 1, "ba'),
        lambda: os.truncate(where / "low.u1", 10_000),
        lambda: os.truncate(where / "target.u1", 10**9),
        lambda: (where / "target.u1").unlink(),
    ]
    ways[case.number % len(ways)]()
    PREPARING.goes_on(case.folder)


@fault("no home directory", "works, or a line names data.cache", tries=12)
def _(case: Case) -> None:
    here, home = case.folder / "here", case.folder / "home"
    here.mkdir(mode=0o777)
    here.chmod(0o777)
    home.mkdir(mode=0o555)
    environment = {k: v for k, v in ENVIRONMENT.items() if k != "HOME"}
    homes = [{}, {"HOME": str(home / "nowhere")}, {"HOME": str(home)}]
    environment |= homes[case.number // 4 % 3]
    tiny = ("data=folder", f"data.path={some_pictures()}", "data.scales=[1]", "max_epochs=1")
    where = f"hydra.run.dir={here / 'run'}"
    commands = [
        train(*tiny, where),
        train(*tiny, where, f"data.cache={here / 'cache'}"),
        [sys.executable, "evaluate.py", "sets=[skimage-test]", where],
        upscale(some_pictures() / "0.png", "-o", here / "0.png"),
    ]
    done = run([*stranger(), *commands[case.number % 4]], env=environment)
    if case.number % 4:
        hold(done.returncode == 0, done.stderr[-500:])
    else:
        failed(done, "data.cache=DIR")
    hold(not broken(here), str(broken(here)))


@fault("a checkout that is read-only", "works elsewhere; a line names the setting", tries=6)
def _(case: Case) -> None:
    tree, here = case.folder / "tree", case.folder / "here"
    tree.mkdir()
    for name in ("espcn", "conf"):
        shutil.copytree(ROOT / name, tree / name)
    for path in ROOT.glob("*.py"):
        shutil.copy(path, tree)
    for path in [*tree.rglob("*"), tree]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    here.mkdir()
    here.chmod(0o777)
    tiny = ("data=skimage", "data.scales=[1]", "data.stride=40", "max_epochs=1")
    score = [sys.executable, "evaluate.py", "sets=[skimage-test]"]
    tries: list[tuple[list[str], str]] = [
        (train(*tiny), "`hydra.run.dir` (=outputs/"),
        (train("-m", *tiny, "seed=0,1"), "`hydra.sweep.dir` (=outputs/"),
        (score, "`hydra.run.dir` (=outputs/"),
        (train(*tiny, f"hydra.run.dir={here / 'run'}"), ""),
        ([*score, f"output={here / 'scores'}"], ""),
        (upscale(some_pictures() / "0.png", "-o", here / "0.png"), ""),
    ]
    command, words = tries[case.number % len(tries)]
    before = sorted(tree.rglob("*"))
    done = run([*stranger(), *command], cwd=tree)
    if words:
        failed(done, words)
    else:
        hold(done.returncode == 0, done.stderr[-500:])
    hold(sorted(tree.rglob("*")) == before, "the checkout has changed")
    for path in (tree, *(path for path in before if path.is_dir())):
        path.chmod(0o755)  # so that it can be taken away


@fault("a folder that is not ours to write to", "a line for each file", tries=3)
def _(case: Case) -> None:
    folder = case.folder / "theirs"
    folder.mkdir()
    shutil.copy(some_pictures() / "0.png", folder)
    shutil.copy(clip(), folder / "clip.mp4")
    folder.chmod(0o555)
    arguments: list[tuple[str | Path, ...]] = [
        (folder,),
        (folder, "-o", folder),
        (folder / "0.png", "-o", folder / "large.png"),
    ]
    before = sorted(folder.iterdir())
    done = run([*stranger(), *upscale(*arguments[case.number % 3])])
    failed(done, "Permission denied")
    hold(sorted(folder.iterdir()) == before, "something was written")
    folder.chmod(0o755)


@fault("names of 255 bytes or not UTF-8", "all is done but what gets too long a name", tries=4)
def _(case: Case) -> None:
    folder, out = case.folder / "in", case.folder / "out"
    folder.mkdir()
    video = case.number % 4 == 1
    source = clip() if video else some_pictures() / "0.png"
    names = [b"plain", b"latin \xe9", b"\xff" * 248, b"n" * 248, "½".encode() * 124, b"l" * 251]
    if video:
        names = [names[1], names[3], names[5]]
    for name in names:
        shutil.copy(source, folder / (os.fsdecode(name) + source.suffix))
    strict = ENVIRONMENT | {"PYTHONIOENCODING": "utf-8:strict"}
    if case.number % 4 == 2:
        (folder / os.fsdecode(b"damaged \xff.png")).write_bytes(source.read_bytes()[:9999])
        for number in range(9):
            shutil.copy(source, folder / f"{number}.png")
        command = from_folder(case.folder, folder, "max_epochs=1")
        done = run(command, env=strict)
        hold(done.returncode == 0 and "left out" in done.stderr, done.stderr[-500:])
    elif case.number % 4 == 3:
        for name in (b"\xe9.png", b"o" * 251 + b".png"):
            target = out / os.fsdecode(name)
            done = run(upscale(source, "-o", target), env=strict)
            hold(done.returncode == 0, done.stderr[-500:])
            read_picture(target)
    else:
        for _ in range(2):  # the second finds all of it done
            failed(run(upscale(folder, "-r", "2", "-o", out), env=strict), "over 255 bytes")
            hold(len(list(out.iterdir())) == len(names) - 1, str(list(out.iterdir())))
    for made in (out, case.folder / "run", case.folder / "cache"):
        hold(not broken(made), str(broken(made)))


def epochs(directory: Path) -> int:
    """Give how many epochs of a run are done."""
    path = directory / "epochs.csv"
    return len(path.read_text().splitlines()) - 1 if path.is_file() else 0


def main() -> None:
    """Try all faults; print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", metavar="NAME", help="those with this in their names")
    parser.add_argument(
        "--times", type=int, default=10, help="tries of a kill, of others less (10)"
    )
    parser.add_argument("--seed", type=int, default=0, help="which moments (0)")
    parser.add_argument("--output", type=Path, default=ROOT / "results", help="folder (results)")
    given = parser.parse_args()
    chosen = [one for one in FAULTS if given.only in one.name]
    if not chosen:
        parser.error(f"--only (={given.only}) must be part of one of: "
                     f"{'; '.join(one.name for one in FAULTS)}")  # fmt: skip
    tries = {one.name: max(1, round(one.tries * given.times / 10)) for one in chosen}
    rows = []
    try:
        with tqdm(total=sum(tries.values()), unit="try", mininterval=1) as bar:
            for one in chosen:
                bar.set_description(one.name)
                tried = held = 0
                for number in range(tries[one.name]):
                    outcome = attempt(one, number, tries[one.name], given.seed)
                    if outcome:
                        bar.write(f"{one.name}, try {number}: {outcome}", sys.stderr)
                    tried += not isinstance(outcome, Impossible)
                    held += outcome is None
                    bar.update()
                rows.append(
                    {"fault": one.name, "tried": tried, "held": held, "what holds": one.holds}
                )
    finally:
        shutil.rmtree(scratch())
    total = {name: sum(row[name] for row in rows) for name in ("tried", "held")}  # type: ignore[misc]
    rows.append({"fault": "all", **total, "what holds": ""})
    print(table(rows))
    given.output.mkdir(parents=True, exist_ok=True)
    write_csv(given.output / "faults.csv", rows)
    sys.exit(1 if total["held"] < total["tried"] else 0)


def attempt(one: Fault, number: int, tries: int, seed: int = 0) -> Exception | None:
    """Try a fault once; give what went wrong."""
    chance = random.Random(f"{seed} {one.name} {number}")
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        case = Case(number, Path(folder) / "try", (number + chance.random()) / tries, chance)
        case.folder.mkdir()
        try:
            one.attempt(case)
        except Exception as error:  # an error of our own or of a broken file: it did not hold
            return error
    return None


if __name__ == "__main__":
    main()
