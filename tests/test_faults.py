"""What becomes of the work when something else goes wrong: a few of benchmarks/faults.py's faults.

Single faults stand with what they befall, in test_train.py, test_cache.py and test_upscale.py.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from conftest import ENVIRONMENT, ROOT, Call
from test_sweep import rows, sweep
from test_train import same, tiny, weights
from test_upscale import failed
from test_video import write

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="kills and limits as Linux has them"
)


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """Give the benchmark, as a module."""
    spec = importlib.util.spec_from_file_location("faults", ROOT / "benchmarks/faults.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["faults"] = module  # where its dataclasses look for it
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("faults")
    module.scratch = lambda: folder  # type: ignore[attr-defined]
    return module


def test_killed_upscaling_started_again_gives_the_same_files(
    faults: ModuleType, pictures: Path
) -> None:
    work = faults.Work(
        lambda folder: faults.upscale(pictures, "-r", "2", "-o", folder / "out"),
        faults.enlarged,
        lambda folder: list(folder.glob("out/.*")),
    )
    kill = faults.Fault("a kill", "", 1, lambda case: faults.kill_and_go_on(work, case))
    assert faults.attempt(kill, 0, 2) is None
    assert len(work.alone[2]) == 8


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
def test_fault_is_withstood(name: str, number: int, faults: ModuleType) -> None:
    (one,) = (fault for fault in faults.FAULTS if fault.name == name)
    outcome = faults.attempt(one, number, 10)
    if isinstance(outcome, faults.Impossible):
        pytest.skip(str(outcome))
    assert outcome is None


def test_what_does_not_hold_is_told(
    faults: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    def attempt(case: Any) -> None:
        faults.hold(case.number, "the first is lost")

    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(faults, "scratch", lambda: tmp_path / "scratch")
    monkeypatch.setattr(faults, "FAULTS", [faults.Fault("a storm", "nothing", 5, attempt)])
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


def test_files_that_are_not_whole_are_found(
    faults: ModuleType, pictures: Path, tmp_path: Path
) -> None:
    shutil.copy(pictures / "color0.png", tmp_path / "a.png")
    torch.save({"a": torch.zeros(99)}, tmp_path / "a.ckpt")
    (tmp_path / "a.json").write_text('{"a": 1}\n')
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "a.yaml").write_text("a: {b: 1}\n")
    write(tmp_path / "a.mp4", count=12)
    assert faults.broken(tmp_path) == []
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        (tmp_path / f".{path.name}.part").write_bytes(content[: len(content) // 2])  # allowed
        path.write_bytes(content[: len(content) // 2 + 1])
    names = [line.partition(":")[0] for line in faults.broken(tmp_path)]
    assert names == ["a.ckpt", "a.csv", "a.json", "a.mp4", "a.png", "a.yaml"]


def test_killed_sweep_started_again_gives_the_same_table(
    faults: ModuleType, call: Call, pictures: Path, tmp_path: Path
) -> None:
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    assert call(*sweep(pictures, alone, "seed=0,1")).returncode == 0
    command = [sys.executable, *sweep(pictures, killed, "seed=0,1")]
    with faults.started(command, env=ENVIRONMENT) as process:
        # The first job is done, the second on its way.
        faults.wait_until(lambda: len(list(killed.glob("*/epochs.csv"))) == 2, process)
        assert process.poll() is None
    assert not (killed / "sweep.csv").exists()
    done = call(*sweep(pictures, killed, "seed=0,1"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Finished already") == 1
    names = ("run", "seed", "val_psnr", "val_loss", "status")
    one, other = ([[row[name] for name in names] for row in rows(d)] for d in (alone, killed))
    assert one == other


def test_disk_that_fills_while_a_checkpoint_is_written(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "run"
    where = f"hydra.run.dir={directory}"
    assert call("train.py", *tiny(pictures), where).returncode == 0
    before = (directory / "last.ckpt").read_bytes()
    # A limit on the size of a file, in blocks of 1024 bytes, stands for a disk that is full.
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 1000; exec "$@"', "-", sys.executable, "train.py",
         f"resume={directory}", "max_epochs=5"],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    failed(done, f"File too large: '{directory}/best.ckpt'")
    assert (directory / "last.ckpt").read_bytes() == before
    assert not list(directory.glob(".*.part"))
    result = json.loads((directory / "result.json").read_text())
    assert (result["status"], result["epochs"]) == ("failed", 4)
    assert call("train.py", f"resume={directory}").returncode == 0
    other = f"hydra.run.dir={tmp_path / 'other'}"
    assert call("train.py", *tiny(pictures, max_epochs=5), other).returncode == 0
    assert same(weights(directory, "last.ckpt"), weights(tmp_path / "other", "last.ckpt"))


def test_result_that_cannot_be_written_is_a_short_error(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    (directory / ".result.json.part").symlink_to("/dev/full")
    done = call("train.py", *tiny(pictures), f"hydra.run.dir={directory}")
    failed(done, f"No space left on device: '{directory}/result.json'")
    assert call("train.py", f"resume={directory}").returncode == 0


def test_hostile_checkpoint_ends_a_run_that_goes_on(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "run"
    assert call("train.py", *tiny(pictures), f"hydra.run.dir={directory}").returncode == 0
    (tmp_path / "mark").touch()
    content = torch.load(directory / "last.ckpt", weights_only=True)
    torch.save(content | {"extra": Removal(str(tmp_path / "mark"))}, directory / "last.ckpt")
    done = call("train.py", f"resume={directory}", "max_epochs=5")
    failed(done, "last.ckpt must be a checkpoint that train.py wrote")
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
