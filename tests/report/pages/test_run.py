"""The page of a run: of this version, of older ones, whole and half."""

import json
import re
import shutil
from html import unescape
from pathlib import Path

from espcn.io.atomic import write_csv, write_json
from espcn.report.pages.run import write_run
from helpers import ROOT, SCORED, Call, read_run_result, tiny_run

OLD = ROOT / "tests/runs/from_0.1/run"


def page_of(directory: Path) -> str:
    page = write_run(directory)
    assert page is not None
    assert page.stat().st_size < 500_000
    return unescape(page.read_text())


def test_page_tells_all_of_a_run(call: Call, pictures: Path, tmp_path: Path) -> None:
    directory = tmp_path / "2026-01-31" / "12-00-00"
    done = call(
        "train.py", *tiny_run(pictures, blur=0.5, sets=SCORED), f"hydra.run.dir={directory}"
    )
    assert done.returncode == 0, done.stderr
    assert f"Report: {directory / 'run.html'}" in done.stdout
    page, result = page_of(directory), read_run_result(directory)
    assert "<title>Run 2026-01-31/12-00-00</title>" in page
    assert f"{result['val_psnr']:.2f} dB" in page
    for of_set in (result["psnr"], result["psnr_matched"], result["bicubic_psnr"]):
        assert f">{of_set['skimage-test']:.2f}<" in page
    assert 'class="given"><dt>blur</dt><dd>0.5</dd>' in page
    assert 'class="given"><dt>patch</dt><dd>8</dd>' in page
    assert "<div><dt>seed</dt><dd>0</dd>" in page  # not given
    assert page.count("validation</title></circle>") == 3  # a point for each epoch
    shown = re.findall(r'src="(patches/\d_\w+\.png)" width="(\d+)"', page)
    assert len(shown) >= 3
    assert all((directory / path).is_file() for path, _ in shown)
    # A patch of 8 pixels and 4 of context on each side is twice as wide as its target.
    assert {path.split("_")[1]: width for path, width in shown} == {
        "low.png": "160", "target.png": "80", "output.png": "80",
    }  # fmt: skip


def test_run_of_version_0_1_has_a_page(tmp_path: Path) -> None:
    page = page_of(shutil.copytree(OLD, tmp_path / "run"))
    result = json.loads((OLD / "result.json").read_text())
    assert f"{result['val_psnr']:.2f} dB" in page
    assert "Sample patches" not in page


def test_run_that_failed_says_why(tmp_path: Path) -> None:
    failed = {"status": "failed", "error": "lower `lr` (=<9>)", "blur": 0.5, "device": "cpu"}
    write_json(tmp_path / "result.json", failed)
    page = page_of(tmp_path)
    assert "lower `lr` (=<9>)" in page
    assert "<dt>blur</dt><dd>0.5</dd>" in page  # without a config.yaml, from the result
    assert "<svg" not in page


def test_run_that_is_under_way_shows_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("blur: 0.5\nr: 3\n")
    row = {"epoch": 1, "step": 9, "train_loss": 0.01, "val_loss": None, "lr": 1e-3, "seconds": 1.0}
    write_csv(tmp_path / "epochs.csv", [row])
    (tmp_path / "command.txt").write_text("python train.py 'blur=0.5\n")  # a quote is missing
    page = page_of(tmp_path)
    assert "no result yet" in page
    assert page.count("<svg") == 2
    assert write_run(tmp_path / "elsewhere") is None


def test_losses_without_a_place_on_the_axis_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("r: 3\n")
    rows = [
        {"epoch": epoch, "train_loss": loss, "val_loss": None, "lr": 1.0}
        for epoch, loss in enumerate((0.1, float("inf"), float("nan"), 0.0), start=1)
    ]
    write_csv(tmp_path / "epochs.csv", rows)
    assert page_of(tmp_path).count("training</title></circle>") == 1


def test_very_long_run_stays_small(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("r: 3\n")
    rows = [
        {"epoch": epoch, "step": 9 * epoch, "train_loss": 1 / epoch, "val_loss": 1.1 / epoch,
         "lr": 1e-3, "seconds": 1.5 * epoch}
        for epoch in range(1, 10_001)
    ]  # fmt: skip
    write_csv(tmp_path / "epochs.csv", rows)
    page = page_of(tmp_path)
    assert "401 of 10000 epochs" in page
    assert 'data-value="10000"' in page  # the last is always shown
    write_json(tmp_path / "result.json", {"status": "completed", "best_epoch": 7})
    assert 'data-value="7"' not in page
    page = page_of(tmp_path)
    assert "402 of 10000 epochs" in page
    assert re.search(r'<tr class="best">\s*<td[^>]* data-value="7"', page)


def test_run_is_completed_where_no_page_can_be_written(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "run" / "run.html").mkdir(parents=True)
    done = call("train.py", *tiny_run(pictures, max_epochs=1), f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert "Warning: no page was written" in done.stderr
    assert f"python -m espcn.report {tmp_path / 'run'}" in done.stderr
    assert read_run_result(tmp_path / "run")["status"] == "completed"
