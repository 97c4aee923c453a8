"""The command that makes pages again."""

import shutil
from pathlib import Path

import pytest

from espcn.report.pages.directory import write_pages
from forked import fork
from helpers import ROOT, check_failed

OLD = ROOT / "tests/runs/from_0.1/run"


def test_directory_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="must be the directory of an evaluation, a run or a sweep"
    ):
        write_pages(tmp_path)


def test_damaged_epochs_are_named_as_such(tmp_path: Path) -> None:
    directory = shutil.copytree(OLD, tmp_path / "run")
    header = "epoch,step,train_loss,val_loss,lr,seconds\n"
    (directory / "epochs.csv").write_text(header + "1.5,9,x,0.1,0.01,2\n,,,,,\n")
    with pytest.raises(ValueError, match="must be as they were written, but one is damaged"):
        write_pages(directory)


def test_damaged_file_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text('{"sets": {"Set5": "?"}}')
    with pytest.raises(ValueError, match="must be as they were written, but one is damaged"):
        write_pages(tmp_path)


def test_one_bad_directory_does_not_lose_the_others(tmp_path: Path) -> None:
    good = shutil.copytree(OLD, tmp_path / "good")
    (tmp_path / "bad").mkdir()
    done = fork("-m", "espcn.report", str(tmp_path / "bad"), str(good))
    check_failed(done, f"`DIR` (={tmp_path / 'bad'}) must be the directory of")
    assert (good / "run.html").is_file()
    assert not list((tmp_path / "bad").iterdir())


def test_directory_of_a_run_and_an_evaluation_has_both_pages(tmp_path: Path) -> None:
    directory = shutil.copytree(OLD, tmp_path / "run")
    (directory / "evaluation.json").write_text('{"sets": {}}')
    assert [path.name for path in write_pages(directory)] == ["report.html", "run.html"]
