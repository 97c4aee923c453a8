"""The page of a sweep: of one job, of a few, of two hundred."""

import json
import re
import shutil
from html import unescape
from pathlib import Path

import pytest

from espcn.report.pages import sweep
from espcn.runs.gather import gather
from forked import fork
from helpers import ROOT, grid, write_jobs

OLD = ROOT / "tests/runs/from_0.1/sweep"


def test_job_whose_settings_are_damaged_does_not_lose_the_others(tmp_path: Path) -> None:
    write_jobs(tmp_path, grid(blur=[0.1, 0.5]))
    next(tmp_path.glob("*/config.yaml")).write_text("a: b: c")
    rows = gather(tmp_path)
    assert sorted(row["status"] for row in rows) == ["completed", "damaged"]
    page = (tmp_path / "sweep.html").read_text()
    assert "config.yaml must be as it was written" in page


def test_damaged_job_does_not_make_every_setting_look_swept(tmp_path: Path) -> None:
    write_jobs(tmp_path, grid(blur=[0.1, 0.5], lr=[0.01], r=[3]))
    next(tmp_path.glob("*/config.yaml")).write_text("a: b: c")
    shutil.copytree(tmp_path / "job-1", tmp_path / "job-2")
    (tmp_path / "job-2/config.yaml").write_text("blur: 1\nlr: 0.01\nr: 3\n")
    gather(tmp_path)
    page = (tmp_path / "sweep.html").read_text()
    assert "Sweep over blur<" in page
    assert "<dt>lr</dt><dd>0.01</dd>" in page


def rows_of(page: str) -> list[list[str]]:
    table = re.findall(r'<table class="sortable" id="table">.*?</table>', page, re.S)[0]
    found = []
    for row in re.findall(r"<tr data-job.*?</tr>", table, re.S):
        cells = re.findall(r"<t[dh].*?>(.*?)</t[dh]>", row, re.S)
        found.append([unescape(re.sub(r"<.*?>", " ", cell)).strip() for cell in cells])
    return found


def test_every_job_is_a_row_linked_to_its_page_the_best_first(tmp_path: Path) -> None:
    page = write_jobs(tmp_path, [*grid(blur=[0.1, 0.5]), {"blur": 1, "val_psnr": None}])
    rows = rows_of(page)
    assert [row[1] for row in rows] == ["0.5", "0.1", "1"]
    assert rows[0][2] == "30.01"
    assert "lower `lr`" in rows[2][6]
    links = re.findall(r'<a href="(job-\d/run.html)">', page)
    assert links == ["job-1/run.html", "job-0/run.html", "job-2/run.html"]
    assert all((tmp_path / link).is_file() for link in links)


def test_sweep_of_one_job_has_a_page(tmp_path: Path) -> None:
    page = write_jobs(tmp_path, grid(blur=[0.1]))
    assert len(rows_of(page)) == 1
    assert "<svg" not in page
    assert "<dt>blur</dt><dd>0.1</dd>" in page


def test_settings_are_seen_side_by_side_from_three_on(tmp_path: Path) -> None:
    two = write_jobs(tmp_path / "two", grid(blur=[0.1, 0.5], optim=["adam", "soap"]))
    three = write_jobs(tmp_path / "three", grid(blur=[0, 1], optim=["a", "b"], jpeg=[None, 50]))
    assert 'class="parallel-axis"' not in two
    assert three.count('class="parallel-axis"') == 4  # and the measure
    assert three.count('<polyline class="q') == 8


def test_folds_and_seeds_are_averaged_and_not_plotted(tmp_path: Path) -> None:
    page = write_jobs(tmp_path, grid(blur=[0.1, 0.5], seed=[0, 1, 2]))
    assert "Means over folds and seeds" in page
    assert "against blur" in page
    assert "against seed" not in page


def test_two_hundred_jobs_stay_small(tmp_path: Path) -> None:
    values = {"blur": [0, 0.1, 0.25, 0.5, 1], "lr": [10 ** (-4 + k / 4) for k in range(10)],
              "activation": ["tanh", "relu"], "jpeg": [None, 50]}  # fmt: skip
    page = write_jobs(tmp_path, grid(**values))
    assert len(rows_of(page)) == 200
    assert len(page.encode()) < 1_000_000


def test_job_that_went_wrong_does_not_flatten_the_others(tmp_path: Path) -> None:
    jobs = [*grid(blur=[0, 0.1, 0.2, 0.3]), {"blur": 0.4, "val_psnr": 6.0}]
    rows = [{"run": "", "blur": one["blur"], "status": "", "val_psnr": one["val_psnr"]}
            for one in jobs]  # fmt: skip
    chart = sweep.setting_chart(rows, "blur", ["blur"])
    good = [point.y for point in chart.points if not point.outside]
    assert max(good) - min(good) > 150  # of 214 pixels
    assert [point.job for point in chart.points if point.outside] == [4]
    assert "1 of 5 jobs" in chart.notes[0]


@pytest.mark.parametrize(
    ("figures", "least"),
    [
        ([30.0, 30.1, 30.2, 6.0], 30.0),
        ([30.0, 20.0], 20.0),
        ([30.0], 30.0),
        ([30.0, 30.0, 9.0], 30.0),
    ],
)
def test_axis_begins_with_the_worst_job_that_went_well(figures: list[float], least: float) -> None:
    assert sweep.usual_least(figures) == least


def test_means_are_joined_where_the_other_settings_are_the_same(tmp_path: Path) -> None:
    rows = [{"run": "", **one, "status": ""} for one in grid(optim=["a", "b"], blur=[1, 0.1])]
    chart = sweep.setting_chart(rows, "blur", ["optim", "blur"])
    assert {line.label: len(line.points) for line in chart.lines} == {"optim=a": 2, "optim=b": 2}
    for line in chart.lines:
        assert line.points[0][0] < line.points[1][0]
    names = sweep.setting_chart(rows, "optim", ["optim", "blur"])
    assert all(not line.points for line in names.lines)  # which have no order


def test_many_values_are_filtered_by_a_range_and_few_are_chosen() -> None:
    rows = [{"lr": 10.0**-k, "optim": None if k % 2 else "sgd"} for k in range(30)]
    assert sweep.choices(rows, "lr") is None
    assert sweep.choices(rows, "optim") == [None, "sgd"]


def test_figures_of_pictures_degraded_as_in_training_are_shown_where_they_differ(
    tmp_path: Path,
) -> None:
    page = write_jobs(tmp_path, grid(jpeg=[None, 50]))
    assert ", matched" not in page
    result = tmp_path / "job-1/result.json"
    result.write_text(json.dumps(json.loads(result.read_text()) | {"val_psnr_matched": 28.25}))
    gather(tmp_path)
    assert "28.25" in rows_of((tmp_path / "sweep.html").read_text())[0]


def test_page_of_a_job_is_made_again_once_its_result_is_newer(tmp_path: Path) -> None:
    write_jobs(tmp_path, grid(blur=[0, 1]))
    page = tmp_path / "job-0/run.html"
    before = page.stat().st_mtime_ns
    gather(tmp_path)
    assert page.stat().st_mtime_ns == before
    (tmp_path / "job-0/result.json").touch()
    gather(tmp_path)
    assert page.stat().st_mtime_ns > before


def test_job_whose_page_cannot_be_written_is_a_row_without_a_link(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_jobs(tmp_path, grid(blur=[0, 1]))
    page = tmp_path / "job-0/run.html"
    page.unlink()
    page.mkdir()
    gather(tmp_path)
    assert "Warning: job-0 has no page" in capsys.readouterr().err
    assert "job-0/run.html" not in (tmp_path / "sweep.html").read_text()


def test_table_is_safe_where_no_page_can_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "sweep.html").mkdir()
    job = tmp_path / "a"
    job.mkdir()
    (job / "config.yaml").write_text("blur: 0.5\n")
    (row,) = gather(tmp_path)
    assert row["blur"] == 0.5
    assert (tmp_path / "sweep.csv").is_file()
    said = capsys.readouterr()
    assert "Written to" in said.out
    assert f"try again with python -m espcn.report {tmp_path}" in said.err


def test_sweep_of_version_0_1_has_a_page(tmp_path: Path) -> None:
    directory = shutil.copytree(OLD, tmp_path / "sweep")
    assert fork("-m", "espcn.runs.gather", str(directory)).returncode == 0
    (directory / "sweep.html").unlink()
    assert fork("-m", "espcn.report", str(directory)).returncode == 0
    assert len(rows_of((directory / "sweep.html").read_text())) == 3
