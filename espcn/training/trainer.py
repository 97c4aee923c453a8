"""Lightning's Trainer with a run's callbacks: stopping, averaging, checkpoints, logs."""

import logging
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, Timer, WeightAveraging
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from espcn import checks
from espcn.training.callbacks import (
    Checkpoint,
    History,
    LastEpoch,
    OwnSignals,
    Patience,
    TakesTurns,
    TrainingProgress,
)
from espcn.training.checkpoint_io import AtomicCheckpointIO
from espcn.training.optimizers import moving_average
from espcn.training.processes import OneRun, processes, use_own_cores

# Options of Lightning's Trainer that a run sets itself, or whose epochs it could not record: with
# what is to be said instead.
OWNED = (
    dict.fromkeys(("max_steps", "min_steps", "min_epochs", "max_epochs"), "say max_epochs=EPOCHS")
    | dict.fromkeys(("fast_dev_run", "overfit_batches"), "say +trainer.limit_train_batches=N")
    | dict.fromkeys(
        ("check_val_every_n_epoch", "val_check_interval", "limit_val_batches"),
        "each epoch ends with all that data.val_fraction or data.folds holds out",
    )
    | dict.fromkeys(
        ("callbacks", "plugins", "logger", "default_root_dir", "deterministic", "barebones",
         "num_sanity_val_steps", "enable_progress_bar", "enable_model_summary",
         "enable_checkpointing", "log_every_n_steps", "use_distributed_sampler"),
        "leave it out",
    )
    | {"max_time": "say max_time=TIME"}
)  # fmt: skip
TRAINER_PRECISIONS = ("32-true", "64-true", "16-mixed", "bf16-mixed")


def is_judged(settings: dict[str, Any]) -> bool:
    """Return whether a run holds out anything for validation.

    Args:
        settings: Plain settings.

    Returns:
        Whether it does.
    """
    return settings["data"]["val_fraction"] > 0 or settings["data"]["folds"] is not None


def make_trainer(settings: dict[str, Any], directory: Path, history: History) -> pl.Trainer:
    """Return the Trainer of a run.

    Args:
        settings: Plain settings.
        directory: The run's directory.
        history: The callback that records its epochs.

    Returns:
        The Trainer.

    Raises:
        ValueError: A setting is out of its range, or not supported by this machine.
    """
    s = settings
    checks.integer("max_epochs", s["max_epochs"], 1, "the number of times that all is seen")
    checks.fraction("averaging", s["averaging"], "0.999 is usual, 0 is none")
    if s["averaging"] == 1:
        raise ValueError("`averaging` (=1) must be below 1, else nothing new counts: take 0.999")
    checks.choice("trainer.precision", s["trainer"]["precision"], TRAINER_PRECISIONS)
    checks.integer("patience", s["patience"], 1, "the paper stops after 100 epochs")
    checks.number("stop_delta", s["stop_delta"], "the notebook's is 1e-8")
    _check_options(s["trainer"])
    options, environment = processes(s["trainer"])
    # The first weights are taken before they are averaged.
    callbacks: list[Callback] = [
        OneRun(history), history, TrainingProgress(), OwnSignals(), TakesTurns()
    ]  # fmt: skip
    if s["averaging"]:
        callbacks.append(WeightAveraging(multi_avg_fn=moving_average(s["averaging"])))
    if is_judged(s):
        stopping = {"min_delta": s["stop_delta"], "patience": s["patience"]}
        callbacks.append(Patience("val_loss", check_on_train_epoch_end=True, **stopping))
    if s["max_time"] is not None:
        callbacks.append(Timer(_duration(s["max_time"]), interval="epoch", verbose=False))
    with warnings.catch_warnings():
        quieten_lightning()
        # Refused below; which device `auto` is, only Lightning can say.
        warnings.filterwarnings("ignore", ".*fp16 is not supported on CPU")
        trainer = _lightning(
            **options,
            max_epochs=s["max_epochs"],
            callbacks=[*callbacks, *_checkpoints(s, directory)],
            plugins=[AtomicCheckpointIO(), environment],
            logger=TensorBoardLogger(directory, name="tensorboard", version=""),
            default_root_dir=directory,
            deterministic=True,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=1,
            use_distributed_sampler=False,  # the data know best how processes share them
        )
    if s["batch_size"] % trainer.world_size:
        raise ValueError(
            f"`batch_size` (={s['batch_size']}) must be a multiple of the number of processes "
            f"({trainer.world_size}), which share each batch: take {trainer.world_size}, say"
        )
    on_cpu = trainer.strategy.root_device.type == "cpu"
    if s["trainer"]["precision"] == "16-mixed" and on_cpu:  # which Lightning would make bf16-mixed
        raise ValueError(
            "`trainer.precision` (=16-mixed) must have a GPU: take bf16-mixed on the processor"
        )
    use_own_cores(trainer)
    return trainer


def _check_options(options: dict[str, Any]) -> None:
    """Refuse the options that a run sets itself, or that leave it nothing to train on."""
    for name, remedy in OWNED.items():
        if name in options:
            raise ValueError(
                f"`trainer.{name}` (={options[name]}) must be left to the run: {remedy}"
            )
    for name, least in (
        ("limit_train_batches", "some to train on"),
        ("accumulate_grad_batches", "a step"),
    ):
        if options.get(name) in (0, 0.0):
            raise ValueError(
                f"`trainer.{name}` (={options[name]}) must leave {least}: take 1 or more"
            )


def _lightning(**options: Any) -> pl.Trainer:
    try:
        return pl.Trainer(**options)
    # Some accelerators and loggers need packages that are not there.
    except (MisconfigurationException, TypeError, ValueError, ImportError) as error:
        raise ValueError(
            f"`trainer` must be what Lightning's Trainer takes and this machine has: {error}"
        ) from error


def _checkpoints(settings: dict[str, Any], directory: Path) -> list[Callback]:
    """Return the callbacks that write best.ckpt, last.ckpt and any requested snapshots."""
    common: dict[str, Any] = {
        "dirpath": directory,
        "save_on_train_epoch_end": True,  # after SuperResolution has stepped the plateau
        "enable_version_counter": False,
        "auto_insert_metric_name": False,
    }
    monitor = "val_loss" if is_judged(settings) else None
    best, last = Checkpoint(filename="best", monitor=monitor, **common), LastEpoch(directory)
    every = settings["snapshot_every"]
    if every is None:
        return [best, last]
    checks.integer("snapshot_every", every, 1, "the notebook's is 100")
    name = "snapshots/epoch{epochs:.0f}"  # SuperResolution's count, from 1
    return [Snapshots(filename=name, save_top_k=-1, every_n_epochs=every, **common), best, last]


class Snapshots(Checkpoint):
    """Keeps a checkpoint every few epochs.

    A class of its own, because Lightning keeps the states of callbacks by their class and monitor.
    """


def _duration(max_time: Any) -> timedelta:
    """Return a duration, from `DD:HH:MM:SS` or seconds."""
    try:
        days, hours, minutes, seconds = (["0"] * 3 + str(max_time).split(":"))[-4:]
        if str(max_time).count(":") not in (0, 3):
            raise ValueError
        length = timedelta(int(days), float(seconds), hours=int(hours), minutes=int(minutes))
        if length <= timedelta(0):
            raise ValueError
        return length
    except (ValueError, OverflowError):
        raise ValueError(
            f"`max_time` (={max_time}) must be seconds or DD:HH:MM:SS: 00:00:05:00 is five minutes"
        ) from None


def quieten_lightning() -> None:
    """Silence Lightning's tips, and hints about workers, which are not needed here."""
    for name in (
        "pytorch_lightning.utilities.rank_zero",
        "lightning_fabric.utilities.rank_zero",
        "lightning_fabric.utilities.distributed",
        "pytorch_lightning.trainer.connectors.checkpoint_connector",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*LeafSpec.* is deprecated.*",
        "Total length of `list` across ranks is zero.*",
        ".*The `srun` command is available.*",
    ):
        warnings.filterwarnings("ignore", message)
