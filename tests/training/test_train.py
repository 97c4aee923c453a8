"""train.py as its users call it: real runs on a handful of real pictures."""

import csv
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from omegaconf import OmegaConf

from espcn.network.device import has_bfloat16
from espcn.network.model import ESPCN
from espcn.network.weights import load
from forked import Forked, fork
from helpers import (
    SCORED,
    Call,
    Done,
    check_failed,
    read_run_result,
    run,
    same_tensors,
    saved_state,
    tiny_run,
)

NEAR = {"blurr": "blur", "data.patc": "data.patch"}


@pytest.fixture(scope="module")
def finished(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a run with rate drops, averaging and snapshots, left alone."""
    directory = tmp_path_factory.mktemp("finished") / "run"
    done = fork("train.py", *eventful(pictures), f"hydra.run.dir={directory}")
    assert done.returncode == 0, done.stderr
    return directory


def eventful(pictures: Path) -> list[str]:
    # An improvement of less than 1e-3 drops the rate: that happens after some of the epochs.
    short = {"max_epochs": 8, "mu": 1e-3, "plateau_patience": 0, "snapshot_every": 3}
    return tiny_run(pictures, sets=SCORED, **short)


def test_run_leaves_all_that_it_promises(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names == {
        "best.ckpt", "last.ckpt", "config.yaml", "epochs.csv", "losses.png", "result.json",
        "command.txt", "snapshots", "tensorboard", ".lock", "threads.txt", "patches", "run.html",
    }  # fmt: skip
    assert len(list((finished / "snapshots").iterdir())) == 2  # of 8 epochs, every third
    assert OmegaConf.load(finished / "config.yaml").max_epochs == 8
    rows = (finished / "epochs.csv").read_text().splitlines()
    assert rows[0] == "epoch,step,train_loss,val_loss,lr,seconds"
    assert len(rows) == 9


def test_result_holds_settings_and_figures_under_their_names(finished: Path) -> None:
    got = read_run_result(finished)
    names = (
        "r channels activation padding blur downsample data.patch data.stride data.split "
        "data.val_fraction data.fold data.folds optim lr lr_end last_layer_lr schedule mu "
        "stop_delta patience batch_size max_epochs max_time seed data_dir status error dataset "
        "fingerprint images patches train_loss val_loss val_psnr psnr psnr_matched best_epoch "
        "epochs duration_s checkpoint versions device threads"
    )
    assert set(names.split()) <= got.keys()
    assert (got["status"], got["optim"], got["lr"]) == ("completed", "soap", 3e-3)
    assert (got["images"], got["val_images"]) == (7, 1)  # trained on, and held out
    assert got["threads"] == 1
    assert got["psnr"].keys() == {"skimage-test"}
    assert got["psnr"] == got["psnr_matched"]  # trained for the protocol's own degradation
    assert 10 < got["val_psnr"] < 50


def test_rate_dropped_along_the_way(finished: Path) -> None:
    rates = {row.split(",")[4] for row in (finished / "epochs.csv").read_text().splitlines()[1:]}
    assert len(rates) > 1


def test_finished_run_is_left_alone(call: Call, finished: Path, pictures: Path) -> None:
    before = (finished / "last.ckpt").stat().st_mtime_ns
    again = call("train.py", *eventful(pictures), f"hydra.run.dir={finished}")
    assert again.returncode == 0
    assert "Finished already" in again.stdout
    assert (finished / "last.ckpt").stat().st_mtime_ns == before


@pytest.mark.slow
def test_run_killed_at_any_moment_and_resumed_gives_the_same_weights(
    finished: Path, pictures: Path, tmp_path: Path
) -> None:
    for epochs in (1, 5):  # killed once before and once after rate drops
        _start_and_signal(pictures, tmp_path / "run", signal.SIGKILL, epochs, resume=epochs > 1)
    saved = torch.load(tmp_path / "run/last.ckpt", weights_only=True)["epoch"] + 1
    assert saved >= 4
    kept = (tmp_path / "run/epochs.csv").read_text().splitlines()[: 1 + saved]
    resumed = fork("train.py", f"resume={tmp_path / 'run'}")
    assert resumed.returncode == 0, resumed.stderr
    # It has gone on: those epochs have the seconds that they took before.
    assert (tmp_path / "run/epochs.csv").read_text().splitlines()[: 1 + saved] == kept
    for name in ("best.ckpt", "last.ckpt"):
        assert same_tensors(saved_state(finished, name), saved_state(tmp_path / "run", name))
    got, expected = read_run_result(tmp_path / "run"), read_run_result(finished)
    for name in ("val_loss", "val_psnr", "psnr", "best_epoch", "fingerprint", "command"):
        assert got[name] == expected[name]
    assert got["command"].startswith("python train.py ")
    assert "resume" not in got["command"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_run_in_order(pictures: Path, tmp_path: Path, number: int) -> None:
    directory = tmp_path / "run"
    assert _start_and_signal(pictures, directory, number, epochs=2).returncode == 130
    got = read_run_result(directory)
    assert (got["status"], got["error"]) == (
        "interrupted",
        f"stopped by {signal.Signals(number).name}",
    )
    assert got["epochs"] >= 2
    assert got["val_loss"] > 0
    assert (directory / "losses.png").stat().st_size > 1000
    # The signal may fall between an epoch's row and its checkpoint.
    saved = torch.load(directory / "last.ckpt", weights_only=True)["epoch"] + 1
    assert got["epochs"] - saved in (0, 1)


def _start_and_signal(
    pictures: Path, directory: Path, number: int, epochs: int, resume: bool = False
) -> Done:
    """Start a run, or go on with it; send it a signal once so many epochs have been saved."""
    settings = [f"resume={directory}"] if resume else eventful(pictures)
    where = [] if resume else [f"hydra.run.dir={directory}"]
    table = directory / "epochs.csv"
    with Forked("train.py", *settings, *where) as command:
        command.wait_until(lambda: table.is_file() and len(table.read_text().splitlines()) > epochs)
        command.signal(number)
        return command.finish()


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_expanded_run_goes_on_to_the_same_weights_of_a_plain_network(
    call: Call, pictures: Path, tmp_path: Path, precision: str
) -> None:
    if precision == "bf16-mixed" and not has_bfloat16(torch.device("cpu")):
        pytest.skip("needs a processor with bfloat16")
    options = {"expansion": 2, "trainer.precision": precision}
    for name, epochs in (("whole", 4), ("parts", 2)):
        where = f"hydra.run.dir={tmp_path / name}"
        done = call("train.py", *tiny_run(pictures, **options, max_epochs=epochs), where)
        assert done.returncode == 0, done.stderr
    done = call("train.py", f"resume={tmp_path / 'parts'}", "max_epochs=4")
    assert done.returncode == 0, done.stderr
    for name in ("best.ckpt", "last.ckpt"):
        states = [saved_state(tmp_path / part, name) for part in ("whole", "parts")]
        assert same_tensors(*states)
        networks = [load(ckpt=tmp_path / part / name).network for part in ("whole", "parts")]
        assert {key: value.shape for key, value in networks[0].state_dict().items()} == {
            key: value.shape for key, value in ESPCN(networks[0].r).state_dict().items()
        }
        assert same_tensors(*(one.state_dict() for one in networks))
    psnrs = [read_run_result(tmp_path / part)["val_psnr"] for part in ("whole", "parts")]
    assert psnrs[0] == psnrs[1] > 0


def test_resumed_run_can_be_made_longer_but_not_changed(
    call: Call, finished: Path, pictures: Path, tmp_path: Path
) -> None:
    refused = call("train.py", f"resume={finished}", "blur=0.5")
    assert refused.returncode == 1
    assert "`blur` must not be given together with `resume`" in refused.stderr
    directory = tmp_path / "run"
    short = call("train.py", *tiny_run(pictures), f"hydra.run.dir={directory}")
    assert short.returncode == 0, short.stderr
    longer = call("train.py", f"resume={directory}", "max_epochs=5")
    assert longer.returncode == 0, longer.stderr
    assert read_run_result(directory)["epochs"] == 5
    assert read_run_result(directory)["max_epochs"] == 5
    assert read_run_result(directory)["command"].endswith(
        " && python train.py resume=DIR max_epochs=5"
    )


def test_refused_resume_leaves_the_figures_that_are_there(call: Call, finished: Path) -> None:
    before = [(finished / name).read_bytes() for name in ("result.json", "config.yaml")]
    for change, message in (("max_epochs=2", "at least the 8 epochs"), ("patience=0", "whole")):
        done = call("train.py", f"resume={finished}", change)
        assert done.returncode == 1
        assert message in done.stderr
    assert [(finished / name).read_bytes() for name in ("result.json", "config.yaml")] == before


def test_killed_run_is_not_resumed_for_fewer_epochs_than_it_has(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "run"
    done = call("train.py", *tiny_run(pictures), f"hydra.run.dir={directory}")
    assert done.returncode == 0, done.stderr
    (directory / "result.json").unlink()  # which a killed run has not written yet
    files = [path for path in directory.rglob("*") if path.is_file()]
    before = [path.read_bytes() for path in files]
    refused = call("train.py", f"resume={directory}", "max_epochs=2")
    check_failed(refused, "`max_epochs` (=2) must be at least the 3 epochs that are trained")
    assert not (directory / "result.json").exists()
    assert [path.read_bytes() for path in files] == before


def test_completed_run_that_is_killed_later_counts_as_interrupted(
    call: Call, finished: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "run"
    shutil.copytree(finished, directory)
    table = directory / "epochs.csv"
    again = (f"resume={directory}", "max_epochs=9999", "patience=9999")
    with Forked("train.py", *again) as command:
        command.wait_until(lambda: len(table.read_text().splitlines()) > 9)
        command.signal(signal.SIGKILL)
        command.finish()
    got = read_run_result(directory)
    assert (got["status"], got["error"][:19]) == ("interrupted", "it was resumed, and")
    assert got["psnr"] == read_run_result(finished)["psnr"]
    done = fork("-m", "espcn.training.publish", str(directory), str(tmp_path / "a.safetensors"))
    check_failed(done, "must be the directory of a finished run")


@pytest.mark.parametrize("made", [b"", {"epoch": 1}], ids=["cut short", "of something else"])
def test_foreign_last_checkpoint_is_named(
    call: Call, finished: Path, tmp_path: Path, made: bytes | dict
) -> None:
    directory = tmp_path / "run"
    shutil.copytree(finished, directory)
    if isinstance(made, dict):
        torch.save(made, directory / "last.ckpt")
    else:
        (directory / "last.ckpt").write_bytes(made)
    done = call("train.py", f"resume={directory}", "max_epochs=9")
    check_failed(done, f"{directory / 'last.ckpt'} must be a checkpoint that train.py wrote")


def test_resume_takes_a_new_patience(call: Call, pictures: Path, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    short = tiny_run(
        pictures, max_epochs=9, patience=2, stop_delta=10
    )  # nothing improves by so much
    assert call("train.py", *short, f"hydra.run.dir={directory}").returncode == 0
    assert read_run_result(directory)["epochs"] == 3
    best = (directory / "best.ckpt").read_bytes()
    assert call("train.py", f"resume={directory}", "sets=[]").returncode == 0
    assert read_run_result(directory)["epochs"] == 3  # it had ended
    assert (directory / "best.ckpt").read_bytes() == best
    assert call("train.py", f"resume={directory}", "patience=5").returncode == 0
    assert read_run_result(directory)["epochs"] == 6


def test_run_that_another_process_is_at_work_on_is_left_to_that(call: Call, finished: Path) -> None:
    before = (finished / "result.json").read_bytes()
    with FileLock(finished / ".lock"):
        done = call("train.py", f"resume={finished}", "max_epochs=9")
    assert done.returncode == 1
    assert f"Error: another process is at work in {finished}" in done.stderr
    assert (finished / "result.json").read_bytes() == before


def test_run_does_without_a_lock_where_the_file_system_has_none(
    call: Call, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def acquire(*_: object, **__: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr("espcn.training.train.FileLock.acquire", acquire)
    assert "Finished already" in call("train.py", f"resume={finished}").stdout


def test_run_refuses_to_go_on_with_other_pictures(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    own, directory = tmp_path / "own", tmp_path / "run"
    shutil.copytree(pictures, own)
    assert call("train.py", *tiny_run(own), f"hydra.run.dir={directory}").returncode == 0
    before = {name: (directory / name).read_bytes() for name in ("result.json", "config.yaml")}
    next(own.glob("color*")).unlink()
    done = call("train.py", f"resume={directory}", "max_epochs=5")
    assert done.returncode == 1
    assert "`data` must be the images that the run began with" in done.stderr
    assert {name: (directory / name).read_bytes() for name in before} == before


def test_last_checkpoint_is_the_last_epochs_though_nothing_improves(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    still = {"optim": "sgd", "lr": 1e-12, "lr_end": 1e-12, "averaging": 0}
    done = call("train.py", *tiny_run(pictures, **still), f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert read_run_result(tmp_path / "run")["best_epoch"] == 1
    assert torch.load(tmp_path / "run/last.ckpt", weights_only=True)["epoch"] == 2  # from 0


def test_double_precision_goes_with_averaging(call: Call, pictures: Path, tmp_path: Path) -> None:
    settings = {"trainer.precision": "64-true", "max_epochs": 1}
    done = call("train.py", *tiny_run(pictures, **settings), f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert all(value.dtype == torch.float64 for value in saved_state(tmp_path / "run").values())


@pytest.mark.slow
def test_resumed_run_in_double_precision_logs_the_same_losses(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    logged = []
    for name, lengths in (("whole", [4]), ("parts", [1, 4])):
        where = f"hydra.run.dir={tmp_path / name}"
        arguments = [*tiny_run(pictures, max_epochs=lengths[0]), "trainer.precision=64-true", where]
        for epochs in lengths:
            done = call("train.py", *arguments)
            assert done.returncode == 0, (epochs, done.stderr)
            arguments = [f"resume={tmp_path / name}", f"max_epochs={lengths[-1]}"]
        with (tmp_path / name / "epochs.csv").open(newline="") as file:
            logged.append([row["train_loss"] for row in csv.DictReader(file)])
    assert logged[0] == logged[1]
    assert len(logged[0]) == 4


def test_resume_of_nothing_leaves_nothing(call: Call, tmp_path: Path) -> None:
    done = call("train.py", f"resume={tmp_path / 'typo'}")
    assert done.returncode == 1
    assert "must be the directory of a run" in done.stderr
    assert not (tmp_path / "typo").exists()


def test_run_without_validation_trains_on_everything_for_a_fixed_length(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    settings = {"data.val_fraction": 0, "schedule": "cosine", "optim": "adam", "blur": 0.5}
    settings["sets"] = SCORED
    done = call("train.py", *tiny_run(pictures, **settings), f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    got = read_run_result(tmp_path / "run")
    assert (got["val_loss"], got["val_psnr"], got["best_epoch"]) == (None, None, 3)
    assert got["psnr"] != got["psnr_matched"]  # blurred pictures are other pictures
    assert same_tensors(saved_state(tmp_path / "run"), saved_state(tmp_path / "run", "last.ckpt"))


def test_notebook_experiment_runs_on_color_in_double_precision(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    settings = {"experiment": "notebook", "max_epochs": 1, "max_time": "00:00:01:00"}
    settings["sets"] = SCORED
    done = call("train.py", *tiny_run(pictures, **settings), f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    got = read_run_result(tmp_path / "run")
    assert (got["channels"], got["data.split"], got["optim"]) == (3, "patch", "sgd")
    assert got["psnr_rgb_notebook"].keys() == {"skimage-test"}
    assert all(value.dtype == torch.float64 for value in saved_state(tmp_path / "run").values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"r": 1}, "`r` (=1) must be a whole number of at least 2"),
        ({"blur": -1}, "`blur` (=-1) must be a number of 0 to 100"),
        ({"data.val_fraction": 0}, "`schedule` (=plateau) must have a validation loss"),
        ({"max_time": 0}, "`max_time` (=0) must be seconds or DD:HH:MM:SS"),
        ({"max_time": 1e15}, "`max_time` (=1000000000000000) must be seconds or DD:HH:MM:SS"),
        ({"+optim.foo": 1}, "`optim` must have options that it knows"),
        (
            {"+optim.refresh_every": 0},
            "`optim` must have options that it knows: `refresh_every` (=0)",
        ),
        ({"trainer.strategy": "fsdp"}, "`trainer.strategy` (=fsdp) must be one of auto, ddp"),
        ({"+trainer.max_steps": 7}, "`trainer.max_steps` (=7) must be left to the run: say max_ep"),
        ({"trainer.accelerator": "abacus"}, "`trainer` must be what Lightning's Trainer takes"),
        ({"trainer.precision": 7}, "`trainer.precision` (=7) must be one of 32-true, 64-true"),
        ({"optim.name": "no.such"}, "`optim.name` (=no.such) must be one of adadelta, adafactor"),
        ({"sets": "Set5"}, "`sets` (='Set5') must be a list of names"),
        ({"averaging": 2}, "`averaging` (=2) must be a fraction"),
        ({"snapshot_every": 0}, "`snapshot_every` (=0) must be a whole number"),
        ({"data.scales": "[0.05]"}, "`data.scales` (=[0.05]) must leave an image to train on"),
        ({"data.path": "nowhere"}, "`data.path` (=nowhere) must be an existing folder"),
        ({"data.path": ""}, "`data.path` must be given with data=folder: your pictures' folder"),
        ({"optim": "sgd", "lr": 1e8}, "the loss is no longer finite after epoch 1: lower `lr`"),
    ],
)
def test_bad_input_is_a_short_error(
    call: Call, pictures: Path, tmp_path: Path, settings: dict, message: str
) -> None:
    done = call("train.py", *tiny_run(pictures, **settings), f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 1
    assert f"Error: {message}" in done.stderr
    assert "Traceback" not in done.stderr
    began = settings.get("lr") == 1e8
    assert (tmp_path / "run").exists() == began  # a refused run leaves no folder
    if began:
        got = read_run_result(tmp_path / "run")
        assert got["status"] == "failed"
        assert message in got["error"]


@pytest.mark.parametrize("plus", ["", "+"])  # which Hydra suggests
@pytest.mark.parametrize("setting", NEAR)
def test_setting_that_there_is_not_is_refused_with_the_nearest(
    call: Call, pictures: Path, tmp_path: Path, setting: str, plus: str
) -> None:
    given = f"{plus}{setting}=1"
    done = call("train.py", *tiny_run(pictures), given, f"hydra.run.dir={tmp_path / 'run'}")
    check_failed(
        done, f"`{setting}` (=1) must be a setting of train.py: did you mean `{NEAR[setting]}`"
    )
    assert not (tmp_path / "run").exists()


def test_full_error_shows_where(
    call: Call, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    done = call("train.py", *tiny_run(pictures, r=1), f"hydra.run.dir={tmp_path / 'run'}")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_other_settings_are_refused_in_the_directory_of_a_run(
    call: Call, finished: Path, pictures: Path
) -> None:
    before = (finished / "result.json").read_text()
    done = call("train.py", *tiny_run(pictures, blur=0.7), f"hydra.run.dir={finished}")
    assert done.returncode == 1
    assert "holds another run" in done.stderr
    assert (finished / "result.json").read_text() == before


@pytest.mark.slow
def test_run_goes_on_in_its_precision_on_a_processor_of_another_default(
    call: Call, pictures: Path, tmp_path: Path, processor: Callable[[str], None]
) -> None:
    directory = tmp_path / "run"
    command = ["train.py", *tiny_run(pictures), f"hydra.run.dir={directory}"]
    processor("bf16-mixed")
    assert call(*command).returncode == 0
    processor("32-true")
    assert "Finished already" in call(*command).stdout
    assert "Finished already" in call(*command, "trainer.precision=bf16-mixed").stdout
    check_failed(call(*command, "trainer.precision=32-true"), "holds another run")
    (directory / "result.json").unlink()  # as of a run that SLURM requeues
    assert call(*command).returncode == 0
    assert read_run_result(directory)["trainer.precision"] == "bf16-mixed"
    longer = ["train.py", f"resume={directory}", "max_epochs=4", "trainer.accelerator=cpu"]
    assert call(*longer).returncode == 0
    assert read_run_result(directory)["trainer.precision"] == "bf16-mixed"
    assert call(*longer, "trainer.precision=32-true", "max_epochs=5").returncode == 0
    assert read_run_result(directory)["trainer.precision"] == "32-true"


def test_run_is_the_same_wherever_its_images_lie(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    old, new, directory = tmp_path / "old", tmp_path / "new", tmp_path / "run"
    shutil.copytree(pictures, old)
    where = [f"hydra.run.dir={directory}"]
    assert call("train.py", *tiny_run(old), *where).returncode == 0
    elsewhere = [f"data_dir={tmp_path}", f"data.cache={tmp_path / 'cache'}"]
    assert "Finished already" in call("train.py", *tiny_run(old), *where, *elsewhere).stdout
    assert "Finished already" in call("train.py", f"resume={directory}", elsewhere[0]).stdout
    old.rename(new)
    # Another folder may hold other pictures, which nobody looks at where a run is finished.
    check_failed(call("train.py", *tiny_run(new), *where), "holds another run")
    moved = [f"resume={directory}", "data=folder", f"data.path={new}", *elsewhere, "max_epochs=4"]
    done = call("train.py", *moved)
    assert done.returncode == 0, done.stderr
    got = read_run_result(directory)
    assert (got["epochs"], got["data.path"], got["data.patch"]) == (4, str(new), 8)
    assert str(tmp_path / "cache") not in got["command"]


def test_number_of_threads_is_kept_on_resume(call: Call, pictures: Path, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    assert call("train.py", *tiny_run(pictures), f"hydra.run.dir={directory}").returncode == 0
    threads = int((directory / "threads.txt").read_text())
    assert read_run_result(directory)["threads"] == threads
    (directory / "threads.txt").write_text(f"{threads + 1}\n")
    assert call("train.py", f"resume={directory}", "max_epochs=4").returncode == 0
    assert read_run_result(directory)["threads"] == threads + 1


def test_only_commands_let_idle_threads_sleep() -> None:
    code = "import os, espcn.upscaling.upscaler; print(os.environ.get('GOMP_SPINCOUNT'))"
    assert run("-c", code).stdout == "None\n"
    code = "import os, espcn.openmp as o; o.wait_asleep(); print(os.environ['GOMP_SPINCOUNT'])"
    assert run("-c", code).stdout == "12000\n"


def test_resumed_run_may_be_scored_on_more(call: Call, pictures: Path, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    assert call("train.py", *tiny_run(pictures), f"hydra.run.dir={directory}").returncode == 0
    before = saved_state(directory)
    more = f"sets=[skimage-test,{pictures}]"
    assert call("train.py", f"resume={directory}", more).returncode == 0
    got = read_run_result(directory)
    assert set(got["psnr"]) == {"skimage-test", pictures.name}
    assert got["epochs"] == 3
    assert same_tensors(saved_state(directory), before)


def test_tensorboard_shows_settings_figures_and_a_sample(finished: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(finished / "tensorboard"))
    board.Reload()
    got = read_run_result(finished)
    for name in ("val_psnr", "psnr skimage-test"):
        assert name in board.Tags()["scalars"]
    (figure,) = board.Scalars("psnr skimage-test")
    assert figure.value == pytest.approx(got["psnr"]["skimage-test"], abs=1e-3)
    assert board.Tags()["images"] == ["sample"]
    assert "blur" in (finished / "tensorboard/hparams.yaml").read_text()


def test_refused_start_leaves_what_is_not_its_own(
    call: Call, pictures: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "config.yaml").write_text("blur: 0.5\n")
    done = call("train.py", *tiny_run(pictures), f"hydra.run.dir={theirs}")
    check_failed(done, "must be a new one or that of a run with the same settings")
    check_failed(call("train.py", f"resume={theirs}", "blur=1"), "must not be given together with")
    assert (theirs / "config.yaml").read_text() == "blur: 0.5\n"
    (tmp_path / "empty").mkdir()
    done = call("train.py", *tiny_run(pictures, blur=-1), f"hydra.run.dir={tmp_path / 'empty'}")
    assert done.returncode == 1
    assert list((tmp_path / "empty").iterdir()) == []
