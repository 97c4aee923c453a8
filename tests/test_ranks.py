"""Runs of several processes, started as people start them, and of a job that SLURM starts again."""

import csv
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import ENVIRONMENT, ROOT, Call, run
from test_train import result, same, tiny, weights

from espcn import ranks
from espcn.data import EpochOrder

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
TRAIN = str(ROOT / "train.py")


def settings(pictures: Path, **changed: object) -> list[str]:
    """Give a run's settings; SOAP is left out, whose eigenbases make much of the last bit."""
    own = {"optim": "adam", "batch_size": 8, "data.val_fraction": 0.4, "data.stride": 9}
    return tiny(pictures, **own | changed)


def rows(directory: Path) -> list[dict[str, str]]:
    with (directory / "epochs.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def alone(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the directory of a run by one process."""
    directory = tmp_path_factory.mktemp("alone") / "run"
    done = run("train.py", *settings(pictures), f"hydra.run.dir={directory}")
    assert done.returncode == 0, done.stderr
    assert result(directory)["val_patches"] % 2 == 1  # or halves would hide how they are weighed
    return directory


def check_same_losses(one: Path, other: Path) -> None:
    assert len(rows(one)) == len(rows(other)) == 3
    for left, right in zip(rows(one), rows(other), strict=True):
        assert (left["epoch"], left["step"]) == (right["epoch"], right["step"])
        for name in ("train_loss", "val_loss"):
            assert float(left[name]) == pytest.approx(float(right[name]), rel=1e-5)


def test_two_processes_under_torchrun_train_as_one_and_write_into_one_directory(
    alone: Path, pictures: Path, tmp_path: Path
) -> None:
    command = [sys.executable, *TORCHRUN, TRAIN, *settings(pictures, trainer="ddp")]
    done = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    (directory,) = tmp_path.glob("outputs/*/*")
    check_same_losses(alone, directory)
    assert {path.name for path in directory.iterdir()} == {p.name for p in alone.iterdir()}
    assert (result(alone)["processes"], result(directory)["processes"]) == (1, 2)
    assert result(directory)["val_psnr"] == pytest.approx(result(alone)["val_psnr"], abs=1e-3)
    assert done.stdout.count("Data: ") == done.stdout.count("Trained on ") == 1
    assert done.stderr.count("Training:   0%") == 1


def test_lightning_starts_the_processes_of_this_machine(
    alone: Path, pictures: Path, tmp_path: Path
) -> None:
    two = settings(pictures, trainer="ddp", **{"trainer.devices": 2})
    done = run("train.py", *two, f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    check_same_losses(alone, tmp_path / "run")
    assert result(tmp_path / "run")["processes"] == 2
    assert done.stdout.count("Data: ") == done.stdout.count("Trained on ") == 1


def test_torchrun_goes_on_in_the_same_directory_after_a_process_was_killed(
    pictures: Path, tmp_path: Path
) -> None:
    long = settings(pictures, trainer="ddp", max_epochs=60)
    with subprocess.Popen(
        [sys.executable, *TORCHRUN, "--max-restarts=1", TRAIN, *long],
        cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        directory = wait_for_epochs(tmp_path, process, 3)
        children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True)
        os.kill(int(children.stdout.split()[-1]), signal.SIGKILL)
        printed, _ = process.communicate(timeout=200)
    assert process.returncode == 0, printed
    assert list(tmp_path.glob("outputs/*/*")) == [directory]
    assert result(directory)["status"] == "completed"
    assert [int(row["epoch"]) for row in rows(directory)] == list(range(1, 61))


def wait_for_epochs(where: Path, process: subprocess.Popen, count: int) -> Path:
    """Give the run's directory once its table has so many epochs."""
    deadline = time.monotonic() + 100
    while True:
        for table in where.rglob("epochs.csv"):
            if len(table.read_text().splitlines()) > count:
                return table.parent
        assert process.poll() is None, "the run ended before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def scontrol(tmp_path: Path) -> Path:
    """Give the file that notes what a `scontrol` of our own was asked; it stands first in PATH."""
    program, noted = tmp_path / "bin" / "scontrol", tmp_path / "noted"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {noted}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return noted


def test_slurm_job_is_requeued_and_goes_on_in_its_own_directory(
    pictures: Path, tmp_path: Path, scontrol: Path
) -> None:
    job = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "1"}
    path = {"PATH": f"{scontrol.parent / 'bin'}:{os.environ['PATH']}"}
    job |= {"SLURM_STEP_ID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}
    command = [sys.executable, TRAIN, *settings(pictures, max_epochs=40)]
    with subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT | job | path, stderr=subprocess.PIPE, text=True
    ) as process:
        directory = wait_for_epochs(tmp_path, process, 2)
        os.kill(process.pid, signal.SIGUSR1)
        _, printed = process.communicate(timeout=60)
    assert process.returncode == 130, printed
    assert "Stopped. SLURM starts the job again" in printed
    assert scontrol.read_text() == "requeue 4711\n"
    assert directory.relative_to(tmp_path).as_posix().startswith("outputs/slurm/4711-")
    assert result(directory)["error"] == "stopped by SIGUSR1"
    saved = torch.load(directory / "last.ckpt", weights_only=True)["epoch"] + 1
    assert result(directory)["epochs"] - saved in (0, 1)  # it may fall between row and checkpoint
    assert not list(directory.rglob("hpc*"))  # Lightning's, of the middle of an epoch
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT | job, timeout=100)
    assert done.returncode == 0
    assert list(tmp_path.glob("outputs/*/*")) == [directory]
    left_alone = run("train.py", *command[2:], f"hydra.run.dir={tmp_path / 'alone'}")
    assert left_alone.returncode == 0
    assert same(weights(directory), weights(tmp_path / "alone"))


@pytest.mark.parametrize(
    ("environment", "launched"),
    [
        ({}, None),
        (
            {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "x"},
            ("torchrun", 3, 2, 2),
        ),
        (
            {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "t", "SLURM_STEP_ID": "0", "SLURM_PROCID": "5",
             "SLURM_NTASKS": "8", "SLURM_NNODES": "2"},
            ("srun", 5, 2, 4),
        ),
        ({"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "t", "SLURM_NTASKS": "1"}, None),
        ({"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "interactive", "SLURM_NTASKS": "2"}, None),
    ],
)  # fmt: skip
def test_launcher_is_known_by_its_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict, launched: tuple | None
) -> None:
    clear(monkeypatch)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ranks.launch() == launched
    assert ranks.rank() == (launched[1] if launched else 0)


def clear(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SLURM_", "TORCHELASTIC_", "RANK", "WORLD_", "LOCAL_")):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"SLURM_JOB_NAME": "t", "SLURM_NTASKS": "2"}, "one process was started: write srun"),
        (
            {"SLURM_JOB_NAME": "bash", "SLURM_NTASKS": "2", "SLURM_STEP_ID": "0"},
            "start it with --job-name",
        ),
        (
            {"SLURM_JOB_NAME": "t", "SLURM_NTASKS": "3", "SLURM_STEP_ID": "0", "SLURM_NNODES": "2"},
            "say --ntasks-per-node",
        ),
    ],
)
def test_slurm_job_whose_processes_are_not_known_is_refused(
    monkeypatch: pytest.MonkeyPatch, environment: dict, message: str
) -> None:
    clear(monkeypatch)
    for name, value in (environment | {"SLURM_JOB_ID": "1"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=message):
        ranks.rank()


def test_directory_in_a_slurm_job_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clear(monkeypatch)
    assert ranks.new_directory("outputs", "abc").startswith("outputs/20")
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    assert ranks.new_directory("outputs", "abc") == "outputs/slurm/12-abc"
    assert ranks.new_directory("outputs/multirun") == "outputs/multirun/slurm/12"
    monkeypatch.setenv("SLURM_JOB_NAME", "bash")
    assert ranks.new_directory("outputs", "abc").startswith("outputs/20")
    assert not ranks.requeue()


def test_slurm_says_how_many_cores_a_process_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # a person's own word comes first
    assert ranks.own_cores() is None
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert ranks.own_cores() == 3
    monkeypatch.delenv("SLURM_CPUS_PER_TASK")
    assert ranks.own_cores() is None


LAUNCHED = {
    "TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0",
    "LOCAL_WORLD_SIZE": "2",
}  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["-m", "trainer=ddp", "trainer.devices=2", "blur=0,1"], {}, "asks for more (devices=2)"),
        (["-m", "trainer.devices=2", "blur=0,1"], {}, "asks for more (devices=2)"),
        (["-m", "blur=0,1"], LAUNCHED, "torchrun has started 2"),
        ([], LAUNCHED, "torchrun has started 2 processes, which train together only with"),
        (["trainer=ddp", "trainer.devices=3"], LAUNCHED, "of which torchrun has started 2"),
        (["trainer=ddp", "batch_size=9"], LAUNCHED, "`batch_size` (=9) must be a multiple of the"),
    ],
)
def test_processes_that_do_not_fit_are_refused(
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    pictures: Path,
    tmp_path: Path,
    arguments: list[str],
    environment: dict[str, str],
    message: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    where = [f"hydra.run.dir={tmp_path / 'run'}", f"hydra.sweep.dir={tmp_path / 'sweep'}"]
    many = arguments[:1] if arguments[:1] == ["-m"] else []
    rest = [*tiny(pictures), *arguments[len(many) :], *where]
    done = call("train.py", *many, *rest)
    assert done.returncode == 1
    assert done.stderr.count("Error: ") == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("sweep/*/"))  # no job has begun


@pytest.mark.parametrize(("count", "batch_size", "processes"), [(37, 8, 2), (5, 16, 2), (24, 6, 3)])
def test_processes_share_the_batches_of_one(count: int, batch_size: int, processes: int) -> None:
    whole = list(EpochOrder(count - (count % processes if count < batch_size else 0), batch_size,
                            augment=True, seed=3))  # fmt: skip
    shares = [
        list(EpochOrder(count, batch_size, True, 3, (number, processes)))
        for number in range(processes)
    ]
    assert {len(share) for share in shares} == {len(shares[0])}
    for step, parts in enumerate(zip(*shares, strict=True)):
        indices = [part[0] for part in parts]
        assert len({len(part) for part in indices}) == 1
        assert len({part[1] for part in parts}) == 1
        if count >= batch_size:
            assert torch.equal(torch.cat(indices).sort().values, whole[step][0].sort().values)
