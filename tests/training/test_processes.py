"""Runs of several processes, started as people start them, and of a job that SLURM starts again."""

import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from espcn.data.batches import EpochOrder
from espcn.data.datamodule import PatchData
from espcn.network.weights import load
from espcn.training.processes import is_loss_of_another, use_own_cores
from forked import Forked, fork
from helpers import (
    ENVIRONMENT,
    ROOT,
    Call,
    Done,
    clear_launcher,
    read_run_result,
    run,
    same_tensors,
    saved_state,
    tiny_run,
)

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
TRAIN = str(ROOT / "train.py")
LAUNCHED = {
    "TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0",
    "LOCAL_WORLD_SIZE": "2",
}  # fmt: skip


def settings(pictures: Path, **changed: object) -> list[str]:
    """Return a run's settings; SOAP is left out, whose eigenbases make much of the last bit."""
    own = {"optim": "adam", "batch_size": 8, "data.val_fraction": 0.4, "data.stride": 9}
    return tiny_run(pictures, **own | changed)


def rows(directory: Path) -> list[dict[str, str]]:
    with (directory / "epochs.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def alone(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a run by one process."""
    directory = tmp_path_factory.mktemp("alone") / "run"
    own = settings(pictures, **{"trainer.precision": "32-true"})  # several processes' default
    done = fork("train.py", *own, f"hydra.run.dir={directory}")
    assert done.returncode == 0, done.stderr
    assert (
        read_run_result(directory)["val_patches"] % 2 == 1
    )  # or halves would hide how they are weighed
    return directory


def fork_two(*arguments: str, cwd: Sequence[Path] = (ROOT, ROOT)) -> list[Done]:
    """Run a command as two processes, with what torchrun tells each; return both ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = LAUNCHED | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ranks = [{"RANK": number, "LOCAL_RANK": number} for number in "01"]
    with (
        Forked(*arguments, cwd=cwd[0], **told | ranks[0]) as first,
        Forked(*arguments, cwd=cwd[1], **told | ranks[1]) as second,
    ):
        return [first.finish(), second.finish()]


def check_same_losses(one: Path, other: Path) -> None:
    assert len(rows(one)) == len(rows(other)) == 3
    for left, right in zip(rows(one), rows(other), strict=True):
        assert (left["epoch"], left["step"]) == (right["epoch"], right["step"])
        for name in ("train_loss", "val_loss"):
            assert float(left[name]) == pytest.approx(float(right[name]), rel=1e-5)


@pytest.mark.slow
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
    assert (read_run_result(alone)["processes"], read_run_result(directory)["processes"]) == (1, 2)
    assert read_run_result(directory)["val_psnr"] == pytest.approx(
        read_run_result(alone)["val_psnr"], abs=1e-3
    )
    assert done.stdout.count("Data: ") == done.stdout.count("Trained on ") == 1
    assert done.stderr.count("Training:   0%") == 1
    assert "weights_only" not in done.stdout  # Lightning's thoughts on every checkpoint


@pytest.mark.slow
def test_lightning_starts_the_processes_of_this_machine(
    alone: Path, pictures: Path, tmp_path: Path
) -> None:
    two = settings(pictures, trainer="ddp", **{"trainer.devices": 2})
    done = run("train.py", *two, f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    check_same_losses(alone, tmp_path / "run")
    assert read_run_result(tmp_path / "run")["processes"] == 2
    assert done.stdout.count("Data: ") == done.stdout.count("Trained on ") == 1


@pytest.mark.slow
def test_run_that_loses_a_process_ends_and_goes_on_later(pictures: Path, tmp_path: Path) -> None:
    own = settings(pictures, trainer="ddp", max_epochs=10, sets="[]")
    with subprocess.Popen(
        [sys.executable, *TORCHRUN, TRAIN, *own],
        cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        directory = wait_for_epochs(tmp_path, lambda: process.poll() is None, 3)
        children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True)
        os.kill(int(children.stdout.split()[-1]), signal.SIGKILL)
        printed, _ = process.communicate(timeout=200)
    assert process.returncode == 1, printed
    # It may notice by itself, or be told to end by torchrun, which has noticed first.
    assert read_run_result(directory)["status"] in ("failed", "interrupted")
    assert ("another process of this run has ended" in printed) or ("Stopped. " in printed)
    for done in fork_two(TRAIN, f"resume={directory}"):
        assert done.returncode == 0, done.stderr
    assert [int(row["epoch"]) for row in rows(directory)] == list(range(1, 11))


@pytest.mark.slow
def test_processes_with_other_images_are_refused(pictures: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):  # where each finds its pictures under the same name
        shutil.copytree(pictures, tmp_path / name / "pictures")
    (tmp_path / "second/pictures/grey1.png").write_bytes((pictures / "grey0.png").read_bytes())
    own = settings(Path("pictures"), trainer="ddp")
    where = [tmp_path / "first", tmp_path / "second"]
    for done in fork_two(TRAIN, *own, f"hydra.run.dir={tmp_path / 'run'}", cwd=where):
        assert done.returncode == 1
        assert "`data` must be the same images for all processes" in done.stderr
    assert read_run_result(tmp_path / "run")["status"] == "failed"


@pytest.mark.slow
def test_processes_with_other_numbers_of_threads_are_kept_together(
    pictures: Path, tmp_path: Path
) -> None:
    script = (
        "import os, runpy, torch; torch.set_num_threads(1 + int(os.environ['LOCAL_RANK']));"
        "runpy.run_path('train.py', run_name='__main__')"
    )
    own = settings(pictures, trainer="ddp", optim="soap", averaging=0, max_epochs=4, sets="[]")
    directory = tmp_path / "run"
    for done in fork_two("-c", script, *own, f"hydra.run.dir={directory}"):
        assert done.returncode == 0, done.stderr
    # Each has measured its half of the held-out patches: by the same network, or this would differ.
    network = load(ckpt=directory / "last.ckpt").network
    data = PatchData("folder", str(pictures), patch=8, stride=9, val_fraction=0.4)
    data.prepare()
    ((low, target),) = data.val_dataloader()
    with torch.no_grad():
        loss = F.mse_loss(network.preshuffled(low / 255), target / 255)
    assert float(rows(directory)[-1]["val_loss"]) == pytest.approx(loss.item(), rel=1e-5)


def test_loss_of_another_process_is_told_from_other_errors() -> None:
    assert is_loss_of_another(RuntimeError("[gloo/tcp/pair.cc:553] Connection closed by peer"))
    assert is_loss_of_another(torch.distributed.DistNetworkError("gone"))
    assert not is_loss_of_another(RuntimeError("out of memory"))
    assert not is_loss_of_another(ValueError("Connection closed by peer"))


def wait_for_epochs(where: Path, is_at_work: Callable[[], bool], count: int) -> Path:
    """Return the run's directory once its table has so many epochs."""
    deadline = time.monotonic() + 100
    while True:
        for table in where.rglob("epochs.csv"):
            if len(table.read_text().splitlines()) > count:
                return table.parent
        assert is_at_work(), "the run ended before it could be stopped"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_slurm_job_is_requeued_and_goes_on_in_its_own_directory(
    pictures: Path, tmp_path: Path, scontrol: Path
) -> None:
    job = {"SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "1"}
    path = {"PATH": f"{scontrol.parent / 'bin'}:{os.environ['PATH']}"}
    job |= {"SLURM_STEP_ID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}
    command = [TRAIN, *settings(pictures, max_epochs=12, sets="[]")]
    with Forked(*command, cwd=tmp_path, **job | path) as stopped:
        directory = wait_for_epochs(tmp_path, stopped.process.is_alive, 2)
        stopped.signal(signal.SIGUSR1)
        time.sleep(0.05)  # SLURM's answer when another process of the job has ended already
        stopped.signal(signal.SIGTERM)
        done = stopped.finish()
    assert done.returncode == 130, done.stderr
    assert "Stopped. SLURM starts the job again" in done.stderr
    assert scontrol.read_text() == "requeue 4711\n"
    assert directory.relative_to(tmp_path).as_posix().startswith("outputs/slurm/4711-")
    assert read_run_result(directory)["error"] == "stopped by SIGUSR1"
    saved = torch.load(directory / "last.ckpt", weights_only=True)["epoch"] + 1
    assert read_run_result(directory)["epochs"] - saved in (
        0,
        1,
    )  # it may fall between row and checkpoint
    assert not list(directory.rglob("hpc*"))  # Lightning's, of the middle of an epoch
    assert fork(*command, cwd=tmp_path, **job).returncode == 0
    assert list(tmp_path.glob("outputs/*/*")) == [directory]
    left_alone = fork(*command, f"hydra.run.dir={tmp_path / 'alone'}")
    assert left_alone.returncode == 0
    assert same_tensors(saved_state(directory), saved_state(tmp_path / "alone"))


@pytest.mark.slow
def test_one_task_of_slurm_can_start_more_processes(pictures: Path, tmp_path: Path) -> None:
    job = {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "t", "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}
    two = settings(pictures, trainer="ddp", max_epochs=1, sets="[]", **{"trainer.devices": 2})
    done = run("train.py", *two, f"hydra.run.dir={tmp_path}", **job)
    assert done.returncode == 0, done.stderr
    assert read_run_result(tmp_path)["processes"] == 2


def test_process_takes_the_cores_that_slurm_has_given_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clear_launcher(monkeypatch)
    monkeypatch.setattr(torch, "set_num_threads", (given := []).append)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "6")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # a person's own word comes first
    trainer: Any = SimpleNamespace(world_size=2)
    use_own_cores(trainer)
    assert given == []
    monkeypatch.delenv("OMP_NUM_THREADS")
    use_own_cores(trainer)  # Lightning starts the other one, which shares them
    assert (given, os.environ["OMP_NUM_THREADS"]) == ([3], "3")
    monkeypatch.delenv("OMP_NUM_THREADS")
    for name in ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_PROCID"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("SLURM_NTASKS", "2")
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "2")
    use_own_cores(trainer)
    assert given == [3, 6]


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["-m", "trainer=ddp", "blur=0,1"], {}, "`trainer.strategy` (=ddp) is for several"),
        (["-m", "trainer.devices=2", "blur=0,1"], {}, "asks for more (devices=2)"),
        (["-m", "blur=0,1"], LAUNCHED, "torchrun has started 2"),
        ([], LAUNCHED, "torchrun has started 2 processes, which train together only with"),
        (["+trainer.num_nodes=2"], {}, "`trainer.num_nodes` (=2) is for torchrun or srun to say"),
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
    rest = [*tiny_run(pictures), *arguments[len(many) :], *where]
    done = call("train.py", *many, *rest)
    assert done.returncode == 1
    assert done.stderr.count("Error: ") == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("sweep/*/"))  # no job has begun


@pytest.mark.parametrize(("count", "batch_size", "processes"), [(37, 8, 2), (6, 16, 2), (24, 6, 3)])
def test_processes_share_the_batches_of_one(count: int, batch_size: int, processes: int) -> None:
    whole = list(EpochOrder(count, batch_size, augment=True, seed=3))
    shares = [
        list(EpochOrder(count, batch_size, True, 3, (number, processes)))
        for number in range(processes)
    ]
    for step, (batch, symmetry) in enumerate(whole):
        parts = [share[step] for share in shares]
        assert {len(indices) for indices, _ in parts} == {len(batch) // processes}
        assert {turned for _, turned in parts} == {symmetry}
        together = torch.cat([indices for indices, _ in parts])
        assert torch.equal(together.sort().values, batch.sort().values)
    assert {len(share) for share in shares} == {len(whole)}


def test_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`batch_size` \(=5, of 5 patches\) must be a multiple"):
        EpochOrder(5, 16, True, 0, (0, 2))
