"""Sweeps: jobs that fail, stop, finish and come back, and the table over them."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from omegaconf import OmegaConf

from espcn.runs.gather import gather
from espcn.runs.hydra_callbacks import GatherSweep, gather_rest
from forked import Forked, fork
from helpers import (
    ENVIRONMENT,
    ROOT,
    Call,
    check_failed,
    run,
    sweep_arguments,
    sweep_rows,
    tiny_run,
)

OLD = Path(__file__).parent / "from_0.1/sweep"


@pytest.fixture(scope="module")
def swept(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, int]:
    """Return a sweep's directory, what it printed, and its exit code; two of six jobs fail.

    Their patches are larger than the pictures, which nobody knows before these are read.
    """
    directory = tmp_path_factory.mktemp("sweep") / "here"
    jobs = sweep_arguments(pictures, directory, "optim=adam,soap")
    assert fork(*jobs, "blur=0.3,0.1").returncode == 0
    done = fork(*jobs, "blur=0.5", "data.patch=400")
    return directory, done.stdout, done.returncode


def test_failed_jobs_are_rows_with_their_error_and_the_others_keep_theirs(
    swept: tuple[Path, str, int],
) -> None:
    directory, printed, code = swept
    assert code == 1
    table = sweep_rows(directory)
    assert [row["status"] for row in table] == ["completed"] * 4 + ["failed"] * 2
    assert all("400" in row["error"] for row in table[4:]), table[4:]
    assert "6 jobs" in printed
    assert (directory / "sweep.md").read_text().count("\n|") == 8
    assert (directory / "sweep_blur.png").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_other_launchers_give_the_same_table(
    swept: tuple[Path, str, int], pictures: Path, tmp_path: Path, launcher: str
) -> None:
    jobs = sweep_arguments(pictures, tmp_path, "optim=adam", "blur=0.3", "data.patch=8,400")
    options = [f"hydra/launcher={launcher}"]
    if launcher == "submitit_local":
        # Its controller opens its log in a folder of the job's own, which on a busy machine the
        # program may not have made yet. One folder for all is there from the beginning.
        options.append("hydra.launcher.submitit_folder=${hydra.sweep.dir}/.submitit")
    done = (fork if launcher == "submitit_local" else run)(*jobs, *options)
    assert done.returncode == 1, done.stderr
    got = sweep_rows(tmp_path)
    assert [row["status"] for row in got] == ["completed", "failed"], done.stdout + done.stderr
    names = got[0].keys() - {name for name in got[0] if name.endswith("_s")} - {"checkpoint"}
    names -= {"run"}  # which says what is swept
    (expected,) = (
        row for row in sweep_rows(swept[0])
        if (row["blur"], row["optim"]) == ("0.3", "adam")
    )  # fmt: skip
    assert {name: got[0][name] for name in names} == {name: expected[name] for name in names}
    assert "2 jobs" in done.stdout


@pytest.mark.slow
def test_sweep_whose_launcher_gives_up_is_gathered_all_the_same(
    pictures: Path, tmp_path: Path
) -> None:
    jobs = sweep_arguments(
        pictures, tmp_path, "blur=0,0.3", "max_epochs=1000", "hydra/launcher=joblib"
    )
    with subprocess.Popen(
        [sys.executable, *jobs], cwd=ROOT, env=ENVIRONMENT, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 100
        while len(list(tmp_path.glob("*/last.ckpt"))) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal
        printed, errors = process.communicate(timeout=200)
    assert process.returncode == 130, errors
    assert "2 jobs" in printed
    assert [row["status"] for row in sweep_rows(tmp_path)] == ["interrupted"] * 2
    assert f"Resume with: python train.py -m ... hydra.sweep.dir={tmp_path}" in errors


def test_table_is_sorted_by_the_validation_images(swept: tuple[Path, str, int]) -> None:
    scores = [float(row["val_psnr"]) for row in sweep_rows(swept[0])[:4]]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 4


def test_columns_have_the_names_of_the_command_line(swept: tuple[Path, str, int]) -> None:
    first = sweep_rows(swept[0])[0]
    assert {"blur", "optim", "data.patch", "lr", "val_psnr", "psnr.skimage-test"} <= first.keys()
    # Beside the two swept settings stands no third, though each optimiser has its own rate.
    head = (swept[0] / "sweep.md").read_text().splitlines()[2]
    assert [cell.strip() for cell in head.strip("|").split("|")][:4] == [
        "data.patch",
        "optim",
        "blur",
        "val_psnr",
    ]


@pytest.mark.parametrize(
    ("swept", "words"),
    [("blur=0.3,-1", "`blur` (=-1) must be a number of 0"), ("optim=adam,adamm", "optim/adamm"),
     ("+blurr=1,2", "did you mean `blur`?"), ("lr=0.1,-2", "`lr` (=-2) must be a number above 0"),
     ("sets=[],[Set6]", "`sets` (=Set6) must be one of"), ("lr=0.1,${nosuch}", "nosuch"),
     ("blur=range(1,1)", "`blur` (=range(1,1)) must have a value to sweep, but has none"),
     ("resume=a,b", "`resume` (=a) must be one run, without -m: a sweep goes on by")],
)  # fmt: skip
def test_every_value_is_checked_before_the_first_job(
    call: Call, pictures: Path, tmp_path: Path, swept: str, words: str
) -> None:
    directory = tmp_path / "sweep"
    done = call(*sweep_arguments(pictures, directory, swept, "r=2,3"))
    check_failed(done, words)
    jobless = swept in ("blur=range(1,1)", "lr=0.1,${nosuch}")  # refused before there is a job
    assert ("No job has begun; this one can't: " in done.stderr) is not jobless
    assert not directory.exists()


def test_sweep_started_again_skips_what_is_finished_and_takes_new_values(
    call: Call, swept: tuple[Path, str, int], pictures: Path
) -> None:
    directory = swept[0]
    before = {path: path.stat().st_mtime_ns for path in directory.glob("*/best.ckpt")}
    done = call(*sweep_arguments(pictures, directory, "blur=0.2,0.3,0.1", "optim=soap,adam"))
    assert done.stdout.count("Finished already") == 4
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list(directory.glob("*/best.ckpt"))) == 6
    assert done.returncode == 1  # the two jobs that failed still lie there


def test_jobs_are_named_by_what_is_swept_in_words_that_need_no_quotes(
    pictures: Path, tmp_path: Path
) -> None:
    jobs = sweep_arguments(pictures, tmp_path, "max_epochs=1", "sets=[]")
    assert fork(*jobs, "blur=0.3", "jpeg=[30,95],50", "optim.lr=0.01").returncode == 0
    names = sorted(path.parent.name for path in tmp_path.glob("*/config.yaml"))
    assert [re.sub("_[0-9a-f]{6}$", "", name) for name in names] == ["jpeg-30-95", "jpeg-50"]
    job = tmp_path / names[0]
    drawn = ["sets=[]", "save_filters=true", f"output={job / 'kernels'}"]
    assert fork("evaluate.py", f"ckpt={job}", *drawn).returncode == 0
    # Where another setting is swept later, the jobs that are there are found all the same.
    done = fork(*jobs, "blur=0.3,0.2", "jpeg=50", "optim.lr=0.01")
    assert done.stdout.count("Finished already") == 1
    later = {path.parent.name for path in tmp_path.glob("*/config.yaml")} - {*names}
    assert [re.sub("_[0-9a-f]{6}$", "", name) for name in later] == ["blur-0.2"]


def test_gathering_again_gives_the_same_table(swept: tuple[Path, str, int]) -> None:
    before = sweep_rows(swept[0])
    done = fork("-m", "espcn.runs.gather", str(swept[0]))
    assert done.returncode == 0
    assert sweep_rows(swept[0]) == before


def test_small_table_keeps_what_was_swept_and_its_figures(
    swept: tuple[Path, str, int], tmp_path: Path
) -> None:
    done = fork("-m", "espcn.runs.gather", str(swept[0]), str(tmp_path / "kept.csv"))
    assert done.returncode == 0, done.stderr
    with (tmp_path / "kept.csv").open(newline="") as file:
        kept = list(csv.DictReader(file))
    names = ["blur", "optim", "val_psnr", "val_psnr_matched", "psnr.skimage-test"]
    assert set(names) < kept[0].keys()
    assert "lr" not in kept[0]
    assert [row["status"] for row in kept].count("failed") == 2
    whole = {(row["blur"], row["optim"]): row["val_psnr"] for row in sweep_rows(swept[0])}
    for row in (row for row in kept if row["status"] == "completed"):
        expected = float(whole[row["blur"], row["optim"]])
        assert float(row["val_psnr"]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_stopped_sweep_gathers_what_it_has_and_goes_on_later(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    directory, arguments = tmp_path / "here", tiny_run(pictures, max_epochs=10, sets="[]")
    command = ["train.py", "-m", *arguments, "seed=0,1,2", f"hydra.sweep.dir={directory}"]
    with Forked(*command) as sweep:
        # The second job has begun.
        sweep.wait_until(lambda: len(list(directory.glob("*/last.ckpt"))) == 2)
        sweep.signal(signal.SIGINT)
        stopped = sweep.finish()
    assert stopped.returncode == 130, stopped.stderr
    assert [row["status"] for row in sweep_rows(directory)] == ["completed", *["interrupted"] * 2]
    assert "3 jobs" in stopped.stdout
    assert stopped.stderr.count("Stopped. Resume with: ") == 1
    epochs = json.loads(next(directory.glob("*/result.json")).read_text())["epochs"]
    assert epochs > 0
    again = call(*command)
    assert again.returncode == 0, again.stderr
    assert [row["status"] for row in sweep_rows(directory)] == ["completed"] * 3
    assert {row["epochs"] for row in sweep_rows(directory)} == {"10"}


def test_killed_job_is_a_row_that_says_so(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "abc").mkdir()
    (tmp_path / "abc" / "config.yaml").write_text("blur: 0.5\n")
    (row,) = gather(tmp_path)
    assert (row["run"], row["blur"], row["status"]) == ("abc", 0.5, "interrupted")
    assert "stopped before its end" in capsys.readouterr().out
    with FileLock(tmp_path / "abc" / ".lock"):
        (row,) = gather(tmp_path)
    assert row["status"] == "running"
    (row,) = gather(tmp_path)
    assert row["status"] == "interrupted"


def test_folds_and_seeds_are_averaged_not_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    figures = {(0.1, 0): 30.0, (0.1, 1): 32.0, (0.5, 0): 33.0, (0.5, 1): 35.0}
    for (blur, fold), psnr in figures.items():
        job = tmp_path / f"{blur}-{fold}"
        job.mkdir()
        (job / "config.yaml").write_text(f"blur: {blur}\ndata:\n  fold: {fold}\n")
        done = {"status": "completed", "error": None, "blur": blur, "data.fold": fold}
        (job / "result.json").write_text(json.dumps(done | {"val_psnr": psnr}))
    gather(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    # Standard deviation of two values that lie 2 apart: the square root of 2.
    assert lines[5].split() == ["0.5", "34.00", "1.41", "2"]
    assert lines[6].split() == ["0.1", "31.00", "1.41", "2"]
    assert (tmp_path / "sweep_blur.png").exists()
    assert not (tmp_path / "sweep_data.fold.png").exists()


def test_sweep_over_compression_shows_both_figures_and_what_its_plot_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plotted: list[tuple] = []
    monkeypatch.setattr("espcn.runs.gather.plot_sweep", lambda *given: plotted.append(given))
    for index, jpeg in enumerate((None, 30, 90, [30, 95])):
        job = tmp_path / str(index)
        job.mkdir()
        (job / "config.yaml").write_text(json.dumps({"jpeg": jpeg}))
        done = {"status": "completed", "error": None, "jpeg": jpeg, "val_psnr": 30.0 - index}
        (job / "result.json").write_text(json.dumps(done | {"val_psnr_matched": 30.0 - 2 * index}))
    gather(tmp_path)
    text = (tmp_path / "sweep.md").read_text()
    assert "degraded bicubically; matched: as in each job's training" in text
    head = text.splitlines()[2]
    assert [cell.strip() for cell in head.strip("|").split("|")][:3] == [
        "jpeg", "val_psnr", "val_psnr_matched",
    ]  # fmt: skip
    ((rows, name, _, _, title),) = plotted
    assert (name, [row["val_psnr_matched"] for row in rows]) == ("jpeg", [28.0, 26.0])
    assert title == "PSNR against jpeg (not shown: null, [30, 95])"


def test_jobs_on_different_data_are_told_apart(tmp_path: Path) -> None:
    for index, name in enumerate(("T91", "skimage-train")):
        job = tmp_path / str(index)
        job.mkdir()
        (job / "config.yaml").write_text(f"blur: {index}\n")
        done = {"status": "completed", "error": None, "blur": index, "val_psnr": 30.0}
        made = done | {"dataset": name, "fingerprint": name}
        (job / "result.json").write_text(json.dumps(made))
    gather(tmp_path)
    head = (tmp_path / "sweep.md").read_text().splitlines()[2]
    assert "dataset" in head


def test_sweep_that_cannot_be_gathered_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "config.yaml").write_text("[")
    config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}})
    with pytest.raises(SystemExit) as left:
        GatherSweep().on_multirun_end(config)
    assert left.value.code == 1
    assert "damaged" in capsys.readouterr().out  # and the others would have been listed
    (tmp_path / "sweep.csv").unlink()
    (tmp_path / "sweep.csv").mkdir()
    with pytest.raises(SystemExit) as left:
        GatherSweep().on_multirun_end(config)
    assert left.value.code == 1
    assert "could not be gathered" in capsys.readouterr().err


def test_stopped_sweep_says_that_its_slurm_jobs_keep_running(
    swept: tuple[Path, str, int], capsys: pytest.CaptureFixture
) -> None:
    launcher = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"}
    where = {"dir": str(swept[0])}
    config = OmegaConf.create({"hydra": {"sweep": where, "launcher": launcher}})
    GatherSweep().on_multirun_start(config)
    assert gather_rest() == swept[0]
    said = capsys.readouterr()
    assert "jobs, the best first" in said.out
    assert "SLURM keeps running this sweep's jobs" in said.err
    with pytest.raises(SystemExit):
        GatherSweep().on_multirun_end(config)
    assert gather_rest() is None


def test_gathering_nothing_is_an_error(tmp_path: Path) -> None:
    done = fork("-m", "espcn.runs.gather", str(tmp_path))
    assert done.returncode == 1
    assert "must hold the jobs of a sweep, but none has begun" in done.stderr
    (tmp_path / "config.yaml").touch()
    done = fork("-m", "espcn.runs.gather", str(tmp_path))
    assert done.returncode == 1
    assert "but it is a run's directory" in done.stderr
    assert "usage" in fork("-m", "espcn.runs.gather").stderr


def test_small_table_that_cannot_be_written_is_refused_in_a_sentence(
    swept: tuple[Path, str, int], tmp_path: Path
) -> None:
    done = fork("-m", "espcn.runs.gather", str(swept[0]), str(tmp_path))
    assert done.returncode == 1
    assert f"'{tmp_path}'" in done.stderr.splitlines()[-1]
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_small_table_in_a_missing_folder_is_refused_before_the_sweep_is_gathered(
    swept: tuple[Path, str, int], tmp_path: Path
) -> None:
    done = fork("-m", "espcn.runs.gather", str(swept[0]), str(tmp_path / "missing" / "x.csv"))
    assert done.returncode == 2
    assert f"FILE.csv (={tmp_path}/missing/x.csv) must be in an existing folder" in done.stderr
    assert not done.stdout


@pytest.mark.slow
def test_sweep_of_version_0_1_is_taken_up_without_training_again(
    call: Call, tmp_path: Path
) -> None:
    shutil.copytree(OLD, tmp_path / "sweep")
    before = {path: path.read_bytes() for path in tmp_path.glob("sweep/*/*")}
    assert len(before) == 6
    same = ["data=skimage", "max_epochs=1", "sets=[]", "data.scales=[1.0]", "data.stride=34", "r=2"]
    same.append("trainer.precision=32-true")  # version 0.1's default
    command = ["train.py", "-m", *same, f"hydra.sweep.dir={tmp_path / 'sweep'}"]
    done = call(*command, "optim=soap", "blur=0,0.5")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Finished already") == 2
    assert {path: path.read_bytes() for path in before} == before
    assert "3 jobs" in done.stdout
    done = call(*command, "optim=adam", "blur=0,1")
    assert done.stdout.count("Finished already") == 1
    assert [row["status"] for row in sweep_rows(tmp_path / "sweep")] == ["completed"] * 4
    assert {path: path.read_bytes() for path in before} == before


def test_job_without_a_setting_that_was_added_is_not_trained_again(
    call: Call, swept: tuple[Path, str, int], pictures: Path
) -> None:
    job = next(path.parent for path in swept[0].glob("*/best.ckpt"))
    for name in ("config.yaml", "result.json"):
        lines = (job / name).read_text().splitlines(keepends=True)
        kept = [line for line in lines if not re.match(r' *"?(mu|downsample)"?:', line)]
        assert len(kept) == len(lines) - 2
        (job / name).write_text("".join(kept))
    stored = OmegaConf.load(job / "config.yaml")
    values = [f"blur={stored.blur}", f"optim={stored.optim.name}"]
    done = call(*sweep_arguments(pictures, swept[0], *values))
    assert done.stdout.count("Finished already") == 1
    done = fork("-m", "espcn.runs.gather", str(swept[0]))  # which knows today's defaults, too
    assert done.returncode == 0, done.stderr
    assert {row["mu"] for row in sweep_rows(swept[0])} == {"1e-06"}


@pytest.mark.slow
def test_sweep_goes_on_on_a_processor_of_another_default_precision(
    call: Call, pictures: Path, tmp_path: Path, processor: Callable[[str], None]
) -> None:
    jobs = sweep_arguments(pictures, tmp_path, "max_epochs=1", "sets=[]")
    processor("bf16-mixed")
    assert call(*jobs, "blur=0.3,0.2").returncode == 0
    processor("32-true")
    assert call(*jobs, "blur=0.3,0.2,0.1").stdout.count("Finished already") == 2
    # Swept beside other settings, jobs have other names.
    assert call(*jobs, "blur=0.3", "seed=0,1").stdout.count("Finished already") == 1
    given = [*jobs, "blur=0.3", "trainer.precision=32-true,bf16-mixed"]
    assert call(*given).stdout.count("Finished already") == 1
    rows = sweep_rows(tmp_path)
    assert sorted((row["blur"], row["seed"], row["trainer.precision"]) for row in rows) == [
        ("0.1", "0", "32-true"), ("0.2", "0", "bf16-mixed"), ("0.3", "0", "32-true"),
        ("0.3", "0", "bf16-mixed"), ("0.3", "1", "32-true"),
    ]  # fmt: skip


def test_each_folder_of_a_sweep_is_a_job(call: Call, pictures: Path, tmp_path: Path) -> None:
    for name in "ab":
        shutil.copytree(pictures, tmp_path / name)
    next((tmp_path / "b").glob("color*")).unlink()
    jobs = sweep_arguments(pictures, tmp_path / "sweep", "max_epochs=1", "sets=[]")
    jobs = [one for one in jobs if not one.startswith("data.path=")]
    done = call(*jobs, f"data.path={tmp_path / 'a'},{tmp_path / 'b'}")
    assert done.returncode == 0, done.stderr
    assert {row["images"] for row in sweep_rows(tmp_path / "sweep")} == {"6", "7"}
