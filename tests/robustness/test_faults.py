"""What becomes of the work when something else goes wrong: a few of robustness/'s faults.

Single faults stand with what they befall, in test_train.py, test_cache.py and test_upscale.py.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from forked import Forked, fork
from helpers import (
    ENVIRONMENT,
    ROOT,
    Call,
    check_failed,
    same_tensors,
    saved_state,
    sweep_arguments,
    sweep_rows,
    tiny_run,
    write_clip,
)
from robustness import faults, harness
from robustness.harness import (
    FAULTS,
    Fault,
    Impossible,
    attempt,
    broken,
    hold,
    scratch,
)
from robustness.works import Work, kill_and_go_on, upscale, upscaled

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="kills and limits as Linux has them"
)


@pytest.fixture(scope="module", autouse=True)
def removed_scratch() -> Iterator[None]:
    yield
    shutil.rmtree(scratch())


@pytest.mark.slow
def test_killed_upscaling_started_again_gives_the_same_files(
    pictures: Path,
) -> None:
    work = Work(
        lambda folder: upscale(pictures, "-r", "2", "-o", folder / "out"),
        upscaled,
        lambda folder: list(folder.glob("out/.*")),
    )
    kill = Fault("a kill", "", 1, lambda case: kill_and_go_on(work, case))
    assert attempt(kill, 0, 2) is None
    assert len(work.alone[2]) == 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("a checkout that is read-only", 0),
        ("a checkout that is read-only", 1),
        ("a checkout that is read-only", 2),
        ("a folder that is not ours to write to", 0),
        ("no home directory", 0),
        ("names of 255 bytes or not UTF-8", 0),
    ],
)
def test_fault_is_withstood(name: str, number: int) -> None:
    (one,) = (fault for fault in FAULTS if fault.name == name)
    outcome = attempt(one, number, 10)
    if isinstance(outcome, Impossible):
        pytest.skip(str(outcome))
    assert outcome is None


def test_what_does_not_hold_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    def attempt(case: Any) -> None:
        hold(case.number, "the first is lost")

    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(harness, "scratch", lambda: tmp_path / "scratch")
    monkeypatch.setattr(faults, "scratch", lambda: tmp_path / "scratch")
    monkeypatch.setattr(faults, "FAULTS", [Fault("a storm", "nothing", 5, attempt)])
    monkeypatch.setattr(sys, "argv", ["faults.py", "--times", "6", "--output", str(tmp_path)])
    with pytest.raises(SystemExit) as left:
        faults.main()
    assert left.value.code == 1
    said = capsys.readouterr()
    assert "a storm, try 0: the first is lost" in said.err
    assert "a storm        3       2  nothing" in said.out
    written = (tmp_path / "faults.csv").read_text().splitlines()
    assert written == ["fault,tried,held,what holds", "a storm,3,2,nothing", "all,3,2,"]
    monkeypatch.setattr(sys, "argv", ["faults.py", "--only", "flood"])
    with pytest.raises(SystemExit):
        faults.main()
    assert "--only (=flood) must be part of one of: a storm" in capsys.readouterr().err


def test_files_that_are_not_whole_are_found(pictures: Path, tmp_path: Path) -> None:
    shutil.copy(pictures / "color0.png", tmp_path / "a.png")
    torch.save({"a": torch.zeros(99)}, tmp_path / "a.ckpt")
    (tmp_path / "a.json").write_text('{"a": 1}\n')
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "a.yaml").write_text("a: {b: 1}\n")
    write_clip(tmp_path / "a.mp4", count=12)
    assert broken(tmp_path) == []
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        (tmp_path / f".{path.name}.part").write_bytes(content[: len(content) // 2])  # allowed
        path.write_bytes(content[: len(content) // 2 + 1])
    names = [line.partition(":")[0] for line in broken(tmp_path)]
    assert names == ["a.ckpt", "a.csv", "a.json", "a.mp4", "a.png", "a.yaml"]


@pytest.mark.slow
def test_killed_sweep_started_again_gives_the_same_table(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    assert call(*sweep_arguments(pictures, alone, "seed=0,1")).returncode == 0
    with Forked(*sweep_arguments(pictures, killed, "seed=0,1")) as command:
        # The first job is done, the second on its way.
        command.wait_until(lambda: len(list(killed.glob("*/epochs.csv"))) == 2)
        command.signal(signal.SIGKILL)
    assert not (killed / "sweep.csv").exists()
    done = call(*sweep_arguments(pictures, killed, "seed=0,1"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Finished already") == 1
    names = ("run", "seed", "val_psnr", "val_loss", "status")
    one, other = ([[row[name] for name in names] for row in sweep_rows(d)] for d in (alone, killed))
    assert one == other


@pytest.mark.slow
def test_disk_that_fills_while_a_checkpoint_is_written(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "run"
    where = f"hydra.run.dir={directory}"
    assert call("train.py", *tiny_run(pictures), where).returncode == 0
    before = (directory / "last.ckpt").read_bytes()
    # A limit on the size of a file stands for a disk that is full.
    limited = (
        "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, [1000 * 1024] * 2);"
        "runpy.run_path('train.py', run_name='__main__')"
    )
    done = fork("-c", limited, f"resume={directory}", "max_epochs=5")
    check_failed(done, f"File too large: '{directory}/best.ckpt'")
    assert (directory / "last.ckpt").read_bytes() == before
    assert not list(directory.glob(".*.part"))
    result = json.loads((directory / "result.json").read_text())
    assert (result["status"], result["epochs"]) == ("failed", 4)
    assert call("train.py", f"resume={directory}").returncode == 0
    other = f"hydra.run.dir={tmp_path / 'other'}"
    assert call("train.py", *tiny_run(pictures, max_epochs=5), other).returncode == 0
    assert same_tensors(
        saved_state(directory, "last.ckpt"), saved_state(tmp_path / "other", "last.ckpt")
    )


def test_result_that_cannot_be_written_is_a_short_error(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    (directory / ".result.json.part").symlink_to("/dev/full")
    done = call("train.py", *tiny_run(pictures), f"hydra.run.dir={directory}")
    check_failed(done, f"No space left on device: '{directory}/result.json'")
    assert call("train.py", f"resume={directory}").returncode == 0


def test_hostile_checkpoint_ends_a_run_that_goes_on(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "run"
    assert call("train.py", *tiny_run(pictures), f"hydra.run.dir={directory}").returncode == 0
    (tmp_path / "mark").touch()
    content = torch.load(directory / "last.ckpt", weights_only=True)
    torch.save(content | {"extra": Removal(str(tmp_path / "mark"))}, directory / "last.ckpt")
    done = call("train.py", f"resume={directory}", "max_epochs=5")
    check_failed(done, "last.ckpt must be a checkpoint that train.py wrote")
    assert "it holds more than plain values" in done.stderr
    assert (tmp_path / "mark").exists()


class Removal:
    """Unpickled, removes a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.remove, (self.path,)


def test_name_that_is_not_utf_8_is_printed_as_it_is(pictures: Path, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    shutil.copy(pictures / "color0.png", path)
    done = subprocess.run(
        [sys.executable, "upscale.py", path], cwd=ROOT, capture_output=True, timeout=60,
        env=ENVIRONMENT | {"PYTHONIOENCODING": "utf-8:strict"},
    )  # fmt: skip
    assert done.returncode == 0
    assert b"/caf\xe9_x3.png in " in done.stdout
