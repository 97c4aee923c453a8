"""The trainer's callbacks where they differ from Lightning's."""

import errno
import os
import re
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from espcn.training.callbacks import Checkpoint, History, Patience
from espcn.training.checkpoint_io import AtomicCheckpointIO
from espcn.training.trainer import _duration, make_trainer


def test_moved_run_keeps_its_best_weights_and_their_loss(tmp_path: Path) -> None:
    old, new = (
        Checkpoint(tmp_path / name, filename="best", monitor="val_loss") for name in ("old", "new")
    )
    # As Lightning leaves them once best.ckpt is saved.
    best, loss = str(tmp_path / "old" / "best.ckpt"), torch.tensor(0.1)
    old.best_model_path = old.kth_best_model_path = best
    old.last_model_path = str(tmp_path / "old" / "last.ckpt")
    old.best_model_score, old.kth_value, old.best_k_models = loss, loss, {best: loss}
    new.load_state_dict(old.state_dict())
    assert new.best_model_path == str(tmp_path / "new" / "best.ckpt")
    assert new.last_model_path == str(tmp_path / "new" / "last.ckpt")
    assert (new.best_model_score, new.best_k_models) == (loss, {new.best_model_path: loss})


def made(directory: Path, changes: dict | None = None, **options: object) -> pl.Trainer:
    trainer = {"accelerator": "cpu", "devices": 1, "strategy": "auto", "precision": "32-true"}
    settings = {
        "max_epochs": 2, "averaging": 0, "patience": 100, "stop_delta": 0, "max_time": None,
        "snapshot_every": None, "batch_size": 16, "data": {"val_fraction": 0.1, "folds": None},
        "trainer": trainer | options,
    }  # fmt: skip
    return make_trainer(settings | (changes or {}), directory, History(directory))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_steps": 30}, "`trainer.max_steps` (=30) must be left to the run: say max_epochs=EP"),
        ({"max_epochs": 3}, "`trainer.max_epochs` (=3) must be left to the run: say max_epochs="),
        ({"max_time": "00:00:00:09"}, "must be left to the run: say max_time=TIME"),
        ({"fast_dev_run": True}, "(=True) must be left to the run: say +trainer.limit_train_batch"),
        ({"check_val_every_n_epoch": 2}, "each epoch ends with all that data.val_fraction"),
        ({"val_check_interval": 0.3}, "`trainer.val_check_interval` (=0.3) must be left to"),
        ({"limit_val_batches": 0}, "`trainer.limit_val_batches` (=0) must be left to the run"),
        ({"logger": False}, "`trainer.logger` (=False) must be left to the run: leave it out"),
        ({"limit_train_batches": 0}, "`trainer.limit_train_batches` (=0) must leave some to train"),
        ({"accumulate_grad_batches": 0}, "(=0) must leave a step: take 1 or more"),
        (
            {"precision": "16-mixed"},
            "`trainer.precision` (=16-mixed) must have a GPU: take bf16-mi",
        ),
        ({"accelerator": "tpu"}, "`trainer` must be what Lightning's Trainer takes and this machi"),
        ({"no_such": 1}, "`trainer` must be what Lightning's Trainer takes and this machine has"),
    ],
)
def test_options_that_a_run_cannot_follow_are_refused(
    options: dict, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        made(tmp_path, **options)


def test_other_options_reach_lightning(tmp_path: Path) -> None:
    options = {"limit_train_batches": 3, "gradient_clip_val": 0.5, "accumulate_grad_batches": 2}
    trainer = made(tmp_path, **options)
    assert {name: getattr(trainer, name) for name in options} == options
    assert made(tmp_path, limit_train_batches=None).limit_train_batches == 1.0  # all of them


class Call:
    def __reduce__(self) -> tuple:
        return (os.system, ("false",))


class Large:
    def __reduce__(self) -> tuple:  # a call that PyTorch allows, of 10 GB
        return (bytearray, (10**10,))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (Call(), "it holds more than plain values"),
        (Large(), "it holds more than plain values"),
        (None, "it is compressed"),
        (b"PK cut short", "File is not a zip file"),
    ],
)
def test_hostile_checkpoint_of_a_run_is_refused(
    content: object, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "last.ckpt"
    torch.save({"epoch": 1, "extra": content}, path)
    if content is None:
        whole = path.read_bytes()
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("last/data.pkl", bytes(10**6) + whole)
        (tmp_path / "a.zip").rename(path)
    if isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(ValueError, match=f"last.ckpt must be a checkpoint .*: {reason}"):
        AtomicCheckpointIO().load_checkpoint(path)


def test_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 3, "state_dict": {"a": torch.arange(5)}}, path)
    found = AtomicCheckpointIO().load_checkpoint(path, weights_only=True)
    assert found["epoch"] == 3
    assert torch.equal(found["state_dict"]["a"], torch.arange(5))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is full")
def test_checkpoint_says_that_the_disk_is_full(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes(b"the last good one")
    (tmp_path / ".last.ckpt.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device: '.*last.ckpt'") as caught:
        AtomicCheckpointIO().save_checkpoint({"epoch": 3}, path)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"the last good one"
    assert list(tmp_path.iterdir()) == [path]


def test_patience_is_the_one_given_and_the_count_the_one_saved() -> None:
    saved, now = Patience("val_loss", patience=2), Patience("val_loss", patience=5)
    saved.wait_count, saved.best_score = 2, torch.tensor(0.1)
    now.load_state_dict(saved.state_dict())
    assert (now.patience, now.wait_count, float(now.best_score)) == (5, 2, pytest.approx(0.1))


def test_snapshots_and_the_last_weights_are_told_apart(tmp_path: Path) -> None:
    nothing_held_out = {"snapshot_every": 1, "data": {"val_fraction": 0, "folds": None}}
    callbacks = made(tmp_path, nothing_held_out).checkpoint_callbacks
    keys = [one.state_key for one in callbacks]
    assert len(keys) == len(set(keys)) == 3


@pytest.mark.parametrize(
    ("given", "seconds"), [(90, 90), ("2.5", 2.5), ("00:00:05:00", 300), ("01:02:03:04", 93784)]
)
def test_length_of_time_is_seconds_or_days_to_seconds(given: object, seconds: float) -> None:
    assert _duration(given) == timedelta(seconds=seconds)


@pytest.mark.parametrize("given", ["abc", 0, -1, "1:2", "00:00:00:00", "nan", "inf", 1e15, [1]])
def test_other_lengths_are_refused(given: object) -> None:
    with pytest.raises(ValueError, match="must be seconds or DD:HH:MM:SS"):
        _duration(given)
