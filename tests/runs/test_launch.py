"""How a process was launched, as the environment tells it."""

import os
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from espcn.runs.launch import check_alone, launch, rank, requeue, run_directory
from espcn.runs.resolvers import register_resolvers
from helpers import ROOT, clear_launcher


def test_one_of_a_job_array_is_requeued_alone(
    monkeypatch: pytest.MonkeyPatch, scontrol: Path
) -> None:
    clear_launcher(monkeypatch)
    monkeypatch.setenv("PATH", f"{scontrol.parent / 'bin'}:{os.environ['PATH']}")
    assert not requeue()
    monkeypatch.setenv("SLURM_JOB_ID", "27")
    assert requeue()
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "27")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    assert requeue()
    assert scontrol.read_text() == "requeue 27\nrequeue 27_1\n"


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
             "SLURM_NTASKS": "8", "SLURM_NTASKS_PER_NODE": "4"},
            ("srun", 5, 2, 4),
        ),
        (
            {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "t", "SLURM_STEP_ID": "0"}, ("srun", 0, 1, 1),
        ),
        ({"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "t", "SLURM_NTASKS": "1"}, None),
        ({"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "interactive", "SLURM_NTASKS": "2"}, None),
    ],
)  # fmt: skip
def test_launcher_is_known_by_its_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict, launched: tuple | None
) -> None:
    clear_launcher(monkeypatch)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert launch() == launched
    assert rank() == (launched[1] if launched else 0)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"SLURM_JOB_NAME": "t", "SLURM_NTASKS": "2"}, "one process was started: write srun"),
        (
            {"SLURM_JOB_NAME": "bash", "SLURM_NTASKS": "2", "SLURM_STEP_ID": "0"},
            "start it with --job-name",
        ),
        (
            {"SLURM_JOB_NAME": "t", "SLURM_NTASKS": "3", "SLURM_STEP_ID": "0"},
            "say --ntasks-per-node",
        ),
    ],
)
def test_slurm_job_whose_processes_are_not_known_is_refused(
    monkeypatch: pytest.MonkeyPatch, environment: dict, message: str
) -> None:
    clear_launcher(monkeypatch)
    for name, value in (environment | {"SLURM_JOB_ID": "1"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=message):
        rank()


@pytest.mark.parametrize("devices", ["1", "[1]"])
def test_one_device_is_one_process_and_several_are_not(devices: str) -> None:
    register_resolvers()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        check_alone(compose("train", [f"trainer.devices={devices}"]).trainer)
        with pytest.raises(ValueError, match=r"asks for more \(devices=\[0, 1\]\)"):
            check_alone(compose("train", ["trainer.devices=[0,1]"]).trainer)
        with pytest.raises(ValueError, match=r"`trainer.strategy` \(=ddp\) is for several"):
            check_alone(compose("train", ["trainer.strategy=ddp"]).trainer)


def test_directory_in_a_slurm_job_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clear_launcher(monkeypatch)
    monkeypatch.setattr(sys, "argv", ["train.py", "r=2"])
    assert run_directory("outputs").startswith("outputs/20")
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    directory = run_directory("outputs")
    assert directory.startswith("outputs/slurm/12-")
    assert run_directory("outputs") == directory
    assert run_directory("outputs", "old") == "old"
    monkeypatch.setattr(sys, "argv", ["train.py", "r=4"])  # a job may carry out several commands
    assert run_directory("outputs") != directory
    monkeypatch.setenv("SLURM_JOB_NAME", "bash")
    assert run_directory("outputs").startswith("outputs/20")
    assert not requeue()
