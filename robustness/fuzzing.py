"""What the readers of pictures, videos, checkpoints and stores make of damaged and hostile files.

    python -m robustness.fuzzing
    python -m robustness.fuzzing --again FILE      # a saved input once more, in this process

Small files of every format are made, then changed by chance: bytes, ranges, lengths, the numbers in
their headers. Each must be read or refused by a ValueError or OSError of one line. All else has
failed: another error, the end of the process, 10 seconds without a sign of life (of its own, which
other work on the machine does not count in; a minute if it does nothing), 1 GB of memory. Its input
is saved. Pictures are read whole and by rows, which must agree; videos are upscaled by 2.
The same seed gives the same inputs. Needs Linux. Writes results/fuzz.csv.
"""

import argparse
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from espcn.io.atomic import write_csv
from espcn.report.tables import table
from robustness.materials import VIDEOS, make_files
from robustness.mutation import mutated
from robustness.stores import READERS, make_stores, read_store

RESULTS = Path(__file__).resolve().parent.parent / "results"
SECONDS = 10  # of computing without a sign of life: a picture, or a frame of a video
STILL = 60  # seconds without one, whatever it does
MEMORY = 10**9  # bytes, above what the worker had before
SLOW, OFTEN = "a.run", 8  # of runs, whose pages take long, comes one where there are 8 of all else
LARGE = 20_000_000  # pixels of all frames of an animation
ROWS = 100_000  # pixels of a picture that are asked for at a time
CHECKPOINTS = ("ckpt", "safetensors")
READ, REFUSED, FAILED = "read", "refused", "failed"


@dataclass
class Outcome:
    """What became of an input: `verdict` is one of the three above, `words` are the error's."""

    number: int
    verdict: str
    words: str
    seconds: float
    memory: int  # bytes above what there was before, as far as it was seen


def read(path: Path, alive: Callable[..., None] = lambda *_: None) -> None:
    """Read a file by the reader for its ending; what that raises is raised."""
    ending = path.suffix[1:]
    if ending in CHECKPOINTS:
        from espcn.network.weights import load

        load(ckpt=path)
    elif ending in READERS:
        read_store(path)
    elif ending in VIDEOS:
        _read_video(path, alive)
    else:
        _read_picture(path, alive)


def judge(path: Path, alive: Callable[..., None] = lambda *_: None) -> tuple[str, str]:
    """Return the verdict on how a file is read, and the error's words."""
    try:
        read(path, alive)
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        # An error that doesn't name the file isn't ours: NumPy's, say, which is a ValueError too.
        ours = str(path.parent) in words or "the file" in words
        told = isinstance(error, ValueError | OSError) and ours and "\n" not in words
        return (REFUSED if told else FAILED), words
    return READ, ""


class Worker:
    """A process that judges inputs, and is watched: ended and begun anew where it must be."""

    def __init__(self, folder: Path, names: list[str], seed: int) -> None:
        self._given = (folder, names, seed)
        self._start()

    def __call__(self, number: int) -> Outcome:
        """Judge one input."""
        before, started = self._memory(), time.monotonic()
        heard, most, busy = started, 0, self._busy()
        self._line.send(number)

        def outcome(verdict: str, words: str) -> Outcome:
            return Outcome(number, verdict, words, time.monotonic() - started, most)

        while True:
            try:
                while self._line.poll(0.02):
                    most = max(most, self._memory() - before)
                    said = self._line.recv()
                    if said is not None:
                        return outcome(*said)
                    heard, busy = time.monotonic(), self._busy()  # a sign of life
            except EOFError:
                self._process.join()
                code = self._process.exitcode or 0
                self._start()
                name = signal.Signals(-code).name if code < 0 else f"code {code}"
                return outcome(FAILED, f"the process ended by {name}")
            most = max(most, self._memory() - before)
            silent = time.monotonic() - heard
            hangs = silent > STILL or (silent > SECONDS and self._busy() - busy > SECONDS)
            ill = f"{silent:.0f} s" if hangs else ""
            ill = f"{most / 1e9:.1f} GB" if most > MEMORY else ill
            if ill:
                self.close()
                self._start()
                return outcome(FAILED, f"stopped after {ill}")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._line.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, *self._given), daemon=True)
        self._process.start()
        theirs.close()
        self._line.recv()  # it has imported everything

    def _busy(self) -> float:
        """Return the seconds that the process has computed; 0 if it has ended."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except (OSError, IndexError):
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _memory(self) -> int:
        """Return the bytes of memory that the process holds; 0 if it has ended."""
        try:
            pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        except (OSError, IndexError):
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Judge all inputs; print a table and write it, save what failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=100_000, help="inputs (100000)")
    parser.add_argument("--seed", type=int, default=0, help="which inputs (0)")
    parser.add_argument("--only", default="", help="kinds whose names match this expression (all)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--minutes", type=float, default=np.inf, help="the end, done or not (none)")
    parser.add_argument("--output", type=Path, default="outputs/fuzz", help="failed inputs go here")
    parser.add_argument("--again", type=Path, nargs="+", help="only read these files")
    given = parser.parse_args()
    if given.again:
        for path in given.again:
            print(path, *judge(path), flush=True)
        return
    for name in ("OMP_NUM_THREADS", "VIPS_CONCURRENCY"):
        os.environ[name] = "1"  # of each process
    end = time.monotonic() + 60 * given.minutes
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "stores").mkdir()
        files = make_files() | make_stores(folder / "stores")
        for name, content in files.items():
            (folder / name).write_bytes(content)
            if judge(folder / name)[0] != READ:
                sys.exit(f"Error: {name} is whole, but not read: {judge(folder / name)}")
        files = {k: v for k, v in files.items() if re.search(given.only, k)}
        names = [name for name in files for _ in range(1 if name.startswith(SLOW) else OFTEN)]
        numbers, drawing = iter(tqdm(range(given.count), mininterval=10)), threading.Lock()

        def drive(_: int) -> None:
            worker = Worker(folder, names, given.seed)
            while time.monotonic() < end:
                with drawing:  # tqdm gives to one thread at a time
                    number = next(numbers, None)
                if number is None:
                    break
                outcome = worker(number)
                outcomes.append(outcome)
                if outcome.verdict == FAILED:
                    name = names[number % len(names)]
                    given.output.mkdir(parents=True, exist_ok=True)
                    saved = given.output / f"{given.seed}_{number}_{name}"
                    saved.write_bytes(mutated(files[name], given.seed, number))
                    tqdm.write(f"{saved}: {outcome.words[:300]}")
            worker.close()

        with ThreadPoolExecutor(given.jobs) as pool:
            list(pool.map(drive, range(given.jobs)))
    rows = []
    for kind in [*files, "all"]:
        some = [one for one in outcomes if kind in (names[one.number % len(names)], "all")]
        if some:
            verdicts = [one.verdict for one in some]
            counts = {verdict: verdicts.count(verdict) for verdict in (READ, REFUSED, FAILED)}
            slowest, largest = (max(getattr(o, f) for o in some) for f in ("seconds", "memory"))
            rows.append(
                {"kind": kind, "tried": len(some), **counts, "slowest (s)": slowest,
                 "most memory (MB)": largest / 1e6}
            )  # fmt: skip
    print(table(rows, digits=1))
    write_csv(RESULTS / "fuzz.csv", rows, digits=3)
    sys.exit(1 if any(one.verdict == FAILED for one in outcomes) else 0)


def _work(line: Connection, folder: Path, names: list[str], seed: int) -> None:
    """Judge the inputs whose numbers come down the line, and say what became of each."""
    torch.set_num_threads(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries in C say much of such files
    files = {name: (folder / name).read_bytes() for name in names}
    for name in files:
        judge(folder / name)  # so that all is imported, and in memory
    with tempfile.TemporaryDirectory() as own:
        line.send(None)
        while True:
            try:
                number = line.recv()
            except EOFError:
                return
            name = names[number % len(names)]
            path = Path(own) / f"input.{name.rpartition('.')[2]}"
            path.write_bytes(mutated(files[name], seed, number))
            verdict = judge(path, lambda *_: line.send(None))
            path.unlink()
            left = [one.name for one in Path(own).iterdir()]
            line.send((FAILED, f"left behind {left}") if left else verdict)


def _read_picture(path: Path, alive: Callable[..., None]) -> None:
    """Read a picture whole and by rows, as read_picture and upscale_picture do; or an animation."""
    from espcn.io.reading import Rows, jpeg_damage, open_picture, read_picture
    from espcn.io.signatures import is_animation, is_hdr
    from espcn.upscaling.compression import picture_compression

    if is_animation(path):
        _read_animation(path, alive)
        return
    with suppress(ValueError):  # refused, as it is below
        picture_compression(path)
    try:
        whole = read_picture(path.read_bytes())
    except (ValueError, OSError):
        whole = None
        alive()
    picture = open_picture(path)  # refused again, or now
    rows, step = Rows(picture, path), max(1, ROWS // picture.width)
    bands = []
    for top in range(0, picture.height, step):
        bands.append(rows(top, min(picture.height, top + step)))
        alive()
    if whole is None or not np.array_equal(np.concatenate(bands), whole):
        raise AssertionError("read whole and by rows are not the same")
    is_hdr(path)
    jpeg_damage(path)


def _read_animation(path: Path, alive: Callable[..., None]) -> None:
    """Upscale an animation, and take away what that made."""
    from espcn.io.signatures import picture_suffix
    from espcn.upscaling import animation

    animation.MAX_ANIMATION = LARGE  # more would take too long, but is no error
    target = path.with_name(f"large{picture_suffix(path)}")
    animation.upscale_animation(_upscaler(), path, target, progress=alive)
    target.unlink()


def _read_video(path: Path, alive: Callable[..., None]) -> None:
    """Upscale a video, and take away what that made."""
    from espcn.video.encoding import Encoding
    from espcn.video.pipeline import upscale_video

    target = path.with_name("large.mkv")
    encoding = Encoding(preset="ultrafast")
    upscale_video(_upscaler(), path, target, encoding=encoding, progress=alive)
    target.unlink()


@cache
def _upscaler() -> Any:
    from espcn.upscaling.upscaler import Upscaler

    return Upscaler(2, engine="torch", precision="float32", device="cpu")


if __name__ == "__main__":
    main()
