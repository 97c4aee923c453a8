"""Turns: one run at a time, the one who waits next, and nobody waits for a suspended one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, pairwise
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from filelock import FileLock, Timeout

from espcn.runs import turns
from espcn.runs.turns import Turns, meeting_place, needs_turns
from espcn.training.callbacks import TakesTurns
from helpers import ROOT, run, tiny_run

# Takes its share of turns and prints when each began and ended.
PLAYER = """
import json, sys, time
from pathlib import Path
from espcn.runs import turns

turns.LENGTH = 0.02
mine = turns.Turns(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
times = []
mine.take()
for _ in range(int(sys.argv[2])):
    began = time.monotonic()
    time.sleep(0.03)
    times.append((began, time.monotonic()))
    mine.share()
mine.end()
print(json.dumps(times))
"""


@contextmanager
def player(folder: Path, count: int) -> Iterator[subprocess.Popen]:
    with subprocess.Popen(
        [sys.executable, "-c", PLAYER, str(folder), str(count)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def held(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """A process that holds its turn, suspended."""
    with player(tmp_path, 1000) as process:
        process.stdin.write("\n")
        process.stdin.flush()
        lock = FileLock(tmp_path / "turn")
        while True:  # until it is suspended in its turn and not between two
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                break
            lock.release()
            process.send_signal(signal.SIGCONT)
        yield process


def test_one_at_a_time_and_in_turn(tmp_path):
    """Of two that always want the next turn, neither gets two in a row while the other waits."""
    with player(tmp_path, 20) as one, player(tmp_path, 20) as two:
        for process in (one, two):
            process.stdin.write("\n")
            process.stdin.flush()
        played = [(*pair, name) for name, process in (("one", one), ("two", two))
                  for pair in json.loads(process.stdout.readline())]  # fmt: skip
    played.sort()
    for (_, ended, _), (began, _, _) in pairwise(played):
        assert began >= ended
    order = [name for _, _, name in played]
    changes = sum(a != b for a, b in pairwise(order))
    assert changes > 25  # of 39: the first and the last turns may have no rival


def test_alone_there_is_no_waiting(tmp_path):
    mine = Turns(tmp_path, clock=count(step=2 * turns.LENGTH).__next__)
    mine.take()
    for _ in range(100):
        mine.share()
    mine.end()
    assert not mine.waited


def test_suspended_run_is_waited_for_once(tmp_path, held):
    mine = Turns(tmp_path, longest=0.3)
    began = time.monotonic()
    mine.take()
    first = time.monotonic() - began
    for _ in range(20):
        mine.end()
        mine.take()
    rest = time.monotonic() - began - first
    assert first >= 0.3
    assert rest < 0.3
    assert mine.waited
    held.kill()
    held.wait()
    mine.take()
    assert mine.has_turn
    assert mine.patience == 0.3


def test_suspended_run_that_goes_on_takes_turns_again(tmp_path, held):
    mine = Turns(tmp_path, longest=1.0)
    mine.take()
    assert not mine.has_turn
    held.send_signal(signal.SIGCONT)
    until = time.monotonic() + 15
    while not mine.has_turn and time.monotonic() < until:
        time.sleep(0.03)
        mine.end()
        mine.take()
    assert mine.has_turn
    assert mine.patience == 1.0


def test_killed_run_leaves_its_turn(tmp_path, held):
    held.kill()
    held.wait()
    mine = Turns(tmp_path)
    mine.take()
    assert not mine.waited


@pytest.mark.parametrize(
    ("threads", "cores", "expected"),
    [(2, 2, True), (1, 2, False), (1, 1, False), (2, 4, False), (3, 4, True), (8, 16, False)],
)
def test_turns_where_two_have_not_enough_cores(monkeypatch, threads, cores, expected):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert needs_turns() is expected


def test_runs_on_other_cores_do_not_meet(monkeypatch):
    places = set()
    for cores in ([0, 1], [2, 3]):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, own=cores: own, raising=False)
        places.add(meeting_place())
    assert len(places) == 2


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs users as Unix has them")
def test_no_meeting_where_others_may_write(tmp_path):
    (tmp_path / "own").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "own")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    for name in ("link", "open"):
        with pytest.raises(OSError, match="only its owner may write"):
            Turns(tmp_path / name)
    assert not list((tmp_path / "own").iterdir())


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="as many cores as this may use")
def test_training_says_whom_it_waits_for(tmp_path, monkeypatch, pictures):
    """And goes on without, as the one here never ends its turn."""
    cores = len(os.sched_getaffinity(0))
    if cores == 1:
        pytest.skip("one core has one thread")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mine = Turns(meeting_place())
    mine.take()
    done = run(
        "train.py", *tiny_run(pictures, max_epochs=1), f"hydra.run.dir={tmp_path / 'run'}",
        OMP_NUM_THREADS=str(cores), TMPDIR=str(tmp_path),
    )  # fmt: skip
    mine.end()
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Another training runs on these cores: they take turns") == 1


def test_without_a_meeting_place_there_are_no_turns(tmp_path, monkeypatch):
    """As where a file is in the way of the folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1000)
    meeting_place().write_text("in the way")
    trainer = pl.Trainer(accelerator="cpu", devices=1, logger=False)
    callback = TakesTurns()
    callback.on_train_start(trainer, None)
    callback.on_train_batch_end()
    callback.on_train_end()
    assert callback.turns is None
    meeting_place().unlink()
    callback.on_train_start(trainer, None)
    assert callback.turns is not None
    shutil.rmtree(meeting_place())
    meeting_place().write_text("in the way, later")
    monkeypatch.setattr(turns, "LENGTH", 0.0)
    callback.on_train_batch_end()
    assert not callback.told
    callback.on_exception()
    assert not callback.turns.has_turn
