"""Runs that go on from given weights, and on compressed pictures."""

import csv
import json
from pathlib import Path

import pytest
import torch

from espcn.data.datamodule import PatchData
from espcn.imaging.degradation import Degradation
from espcn.network.device import has_bfloat16
from espcn.network.model import ESPCN
from espcn.network.weights import load, save_weights
from espcn.runs.gather import write_small_table
from helpers import (
    SCORED,
    Call,
    check_failed,
    read_run_result,
    sweep_rows,
    tiny_run,
    write_checkpoint,
)


def still(pictures: Path, directory: Path, **settings: object) -> list[str]:
    """Return the arguments of a run whose steps are too small to move anything."""
    short = {"max_epochs": 1, "averaging": 0, "optim": "sgd", "lr": 1e-12, "lr_end": 1e-12}
    where = f"hydra.run.dir={directory}"
    return ["train.py", *tiny_run(pictures, **(short | settings)), where]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_run_begins_with_the_shipped_weights(
    call: Call, pictures: Path, tmp_path: Path, precision: str
) -> None:
    options = {"init": "shipped", "r": 2, "trainer.precision": precision, "sets": SCORED}
    done = call(*still(pictures, tmp_path, **options))
    assert done.returncode == 0, done.stderr
    slow = precision == "bf16-mixed" and not has_bfloat16(torch.device("cpu"))
    assert ("Note: this processor has no bfloat16" in done.stdout) is slow
    trained, shipped = load(ckpt=tmp_path).network, load(2).network
    assert (trained.center, trained.gain) == (0.45, 5.0)
    picture = torch.rand(1, 1, 20, 17, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(trained(picture), shipped(picture), atol=1e-5, rtol=0)
    result = read_run_result(tmp_path)
    assert len(result["init_fingerprint"]) == 16
    assert result["psnr"]["skimage-test"] > result["bicubic_psnr"]["skimage-test"] + 1


def test_run_begins_with_a_file_and_goes_on_without_it(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    begin = write_checkpoint(tmp_path / "begin.ckpt", ESPCN(3))
    options = {"init": begin, "jpeg": "[30,90]", "h264": 30, "noise": 2}
    whole = call(*still(pictures, tmp_path / "whole", **options, max_epochs=2))
    assert whole.returncode == 0, whole.stderr
    half = call(*still(pictures, tmp_path / "half", **options))
    assert half.returncode == 0, half.stderr
    begin.unlink()
    known = read_run_result(tmp_path / "half")["init_fingerprint"]
    resumed = call("train.py", f"resume={tmp_path / 'half'}", "max_epochs=2")
    assert resumed.returncode == 0, resumed.stderr
    assert "Degraded as in training, by blur=0 downsample=bicubic noise=2 jpeg=[30,90]" in (
        whole.stdout
    )
    results = [read_run_result(tmp_path / name) for name in ("whole", "half")]
    assert results[0]["val_loss"] == results[1]["val_loss"]
    assert [one["init_fingerprint"] for one in results] == [known, known]
    assert set(results[0]["encoders"]) == {"jpeg", "h264"}
    assert results[0]["jpeg"] == [30, 90]
    assert load(ckpt=tmp_path / "whole").degradation.settings() == {
        "noise": 2, "jpeg": [30, 90], "h264": 30
    }  # fmt: skip


@pytest.mark.parametrize("encoded", [False, True])
def test_begin_that_was_trained_on_what_is_held_out_is_noted(
    call: Call, pictures: Path, tmp_path: Path, encoded: bool
) -> None:
    seen = PatchData("folder", str(pictures), degradation=Degradation(jpeg=50 if encoded else None))
    seen.prepare()
    about = {"fingerprint": seen.fingerprint}
    if encoded:
        about["encoders"] = json.dumps(seen.recipe.degradation.encoders())
    begin = tmp_path / "begin.safetensors"
    save_weights(ESPCN(3), begin, Degradation(), about)
    noted = call(*still(pictures, tmp_path / "noted", init=begin))
    assert f"Note: `init` (={begin}) was trained on these images" in noted.stdout, noted.stderr
    whole = {"data.val_fraction": 0, "schedule": "cosine"}
    assert "Note: `init`" not in call(*still(pictures, tmp_path / "a", init=begin, **whole)).stdout
    save_weights(ESPCN(3), begin, Degradation(), {"fingerprint": "0123456789abcdef"})
    assert "Note: `init`" not in call(*still(pictures, tmp_path / "b", init=begin)).stdout


def test_begin_that_is_not_there_is_named(call: Call, pictures: Path, tmp_path: Path) -> None:
    done = call(*still(pictures, tmp_path, init="nowhere.ckpt"))
    check_failed(done, "`init` (=nowhere.ckpt) must be an existing file: a run leaves best.ckpt in")
    (tmp_path / "begun").mkdir()
    done = call(*still(pictures, tmp_path, init=tmp_path / "begun"))
    check_failed(done, f"`init` (={tmp_path / 'begun' / 'best.ckpt'}) must be an existing file")


def test_begin_of_a_run_that_held_out_other_images_is_noted(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    parts = {"data.val_fraction": 0.5, "trainer.precision": "32-true"}
    for name, begin in (("first", "null"), ("same", tmp_path / "first")):
        arguments = tiny_run(pictures, max_epochs=1, init=begin, **parts)
        done = call("train.py", *arguments, f"hydra.run.dir={tmp_path / name}")
        assert done.returncode == 0, done.stderr
        assert "Note: `init`" not in done.stdout
    other = parts | {"data.val_fraction": 0.25, "init": tmp_path / "first", "max_epochs": 1}
    done = call("train.py", *tiny_run(pictures, **other), f"hydra.run.dir={tmp_path / 'other'}")
    assert f"Note: `init` (={tmp_path / 'first'}) was trained on these images" in done.stdout


def test_other_layers_than_those_of_the_begin_are_refused(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    done = call(*still(pictures, tmp_path, init="shipped", activation="relu"))
    check_failed(done, "`activation` (=relu) must be that of the network in `init` (tanh)")


@pytest.mark.slow
def test_ranges_are_swept_and_tabulated(call: Call, pictures: Path, tmp_path: Path) -> None:
    run = tiny_run(pictures, max_epochs=1, sets="[]")
    where = f"hydra.sweep.dir={tmp_path}"
    done = call("train.py", "-m", *run, where, "jpeg=[30,95],[50,70],40,null")
    assert done.returncode == 0, done.stderr
    rows = sweep_rows(tmp_path)
    assert sorted(row["jpeg"] for row in rows) == ["", "40", "[30, 95]", "[50, 70]"]
    again = call("train.py", "-m", *run, where, "jpeg=[30,95],40")
    assert again.stdout.count("Finished already") == 2
    plain = [
        {"run": "a", "jpeg": value, "status": "completed", "val_psnr": 30.0}
        for value in ([30, 95], 40, None, [5, 6])
    ]
    write_small_table(plain, tmp_path / "small.csv")
    with (tmp_path / "small.csv").open(newline="") as file:
        kept = [row["jpeg"] for row in csv.DictReader(file)]
    assert kept == ["40", "", "[5, 6]", "[30, 95]"]
