"""Lightning's Trainer with what a run needs around it: stopping, averaging, checkpoints, logs."""

import io
import logging
import platform
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import (
    Callback,
    EarlyStopping,
    ModelCheckpoint,
    Timer,
    WeightAveraging,
)
from pytorch_lightning.callbacks import Checkpoint as BaseCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from espcn import checks
from espcn.checkpoint import check_archive, reason
from espcn.distributed import OneRun, OwnSignals, processes, use_own_cores
from espcn.files import whole_file
from espcn.history import History, TrainingProgress
from espcn.task import moving_average

PRECISIONS = ("32-true", "64-true", "16-mixed", "bf16-mixed")


class WholeFileIO(TorchCheckpointIO):
    """Lightning's way of saving, under the final name only once the file is whole.

    Lightning itself moves it there from the system's temporary folder, which, on another disk, is a
    copy that can be cut short. A run's directory may come from a stranger: what is loaded is looked
    at first.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write `checkpoint` to `path`."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        torch.save(checkpoint, content)  # which, of a file, would not say that the disk is full
        with whole_file(Path(path)) as part:
            part.write_bytes(content.getbuffer())

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Give the checkpoint at `path`; a ValueError if it is none of ours."""
        try:
            check_archive(Path(path))
            return super().load_checkpoint(path, map_location, weights_only=True)
        except Exception as error:  # a file from a stranger can fail in any way
            raise ValueError(
                f"{path} must be a checkpoint that train.py wrote, but could not be read as such: "
                f"{reason(error)}. Without it, the run begins anew"
            ) from error


class Patience(EarlyStopping):
    """EarlyStopping whose patience is the one given, not the one of a checkpoint."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the count of epochs without an improvement, and the best loss, from a checkpoint."""
        super().load_state_dict(state_dict | {"patience": self.patience})


class Checkpoint(ModelCheckpoint):
    """ModelCheckpoint that knows its best file also when the run's directory has been moved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the best loss from a checkpoint, and look for its files where the run is now."""
        old, new = str(state_dict["dirpath"]), str(self.dirpath)

        def moved(value: Any) -> Any:
            if isinstance(value, dict):
                return {moved(key): moved(inner) for key, inner in value.items()}
            return new + value.removeprefix(old) if str(value).startswith(old) else value

        super().load_state_dict(moved(state_dict))


class LastEpoch(BaseCheckpoint):
    """Writes last.ckpt after every epoch.

    ModelCheckpoint's `save_last` does so only after those that were better than all before.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "last.ckpt"

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write it, when all other callbacks have done with the epoch."""
        trainer.save_checkpoint(self.path)


def is_judged(settings: dict[str, Any]) -> bool:
    """Say whether a run holds anything out to be judged on."""
    return settings["data"]["val_fraction"] > 0 or settings["data"]["folds"] is not None


def make_trainer(settings: dict[str, Any], directory: Path, history: History) -> pl.Trainer:
    """Give the Trainer of a run that writes into `directory`; a ValueError on bad lengths."""
    s = settings
    checks.whole("max_epochs", s["max_epochs"], 1, "the number of times that all is seen")
    checks.fraction("averaging", s["averaging"], "0.999 is usual, 0 is none")
    if s["averaging"] == 1:
        raise ValueError("`averaging` (=1) must be below 1, else nothing new counts: take 0.999")
    checks.choice("trainer.precision", s["trainer"]["precision"], PRECISIONS)
    checks.whole("patience", s["patience"], 1, "the paper stops after 100 epochs")
    checks.number("stop_delta", s["stop_delta"], "the notebook's is 1e-8")
    options, environment = processes(s["trainer"])
    # The first weights are taken before they are averaged.
    callbacks: list[Callback] = [OneRun(history), history, TrainingProgress(), OwnSignals()]
    if s["averaging"]:
        callbacks.append(WeightAveraging(avg_fn=moving_average(s["averaging"])))
    if is_judged(s):
        stopping = {"min_delta": s["stop_delta"], "patience": s["patience"]}
        callbacks.append(Patience("val_loss", check_on_train_epoch_end=True, **stopping))
    if s["max_time"] is not None:
        callbacks.append(Timer(_duration(s["max_time"]), interval="epoch", verbose=False))
    with warnings.catch_warnings():
        quieten_lightning()
        trainer = _lightning(
            **options,
            max_epochs=s["max_epochs"],
            callbacks=[*callbacks, *_checkpoints(s, directory)],
            plugins=[WholeFileIO(), environment],
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
            f"`batch_size` (={s['batch_size']}) must be a multiple of the {trainer.world_size} "
            "processes, which share each batch: make it one"
        )
    use_own_cores(trainer)
    return trainer


def _lightning(**options: Any) -> pl.Trainer:
    try:
        return pl.Trainer(**options)
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise ValueError(
            f"`trainer` must be what Lightning's Trainer takes and this machine has: {error}"
        ) from error


def _checkpoints(settings: dict[str, Any], directory: Path) -> list[Callback]:
    """Give what writes best.ckpt, last.ckpt after every epoch, and the snapshots asked for."""
    common: dict[str, Any] = {
        "dirpath": directory,
        "save_on_train_epoch_end": True,  # after the plateau has stepped: see the task
        "enable_version_counter": False,
        "auto_insert_metric_name": False,
    }
    monitor = "val_loss" if is_judged(settings) else None
    best, last = Checkpoint(filename="best", monitor=monitor, **common), LastEpoch(directory)
    every = settings["snapshot_every"]
    if every is None:
        return [best, last]
    checks.whole("snapshot_every", every, 1, "the notebook's is 100")
    name = "snapshots/epoch{epochs:.0f}"  # the task's count, from 1; Lightning's own is from 0
    return [Checkpoint(filename=name, save_top_k=-1, every_n_epochs=every, **common), best, last]


def _duration(max_time: Any) -> timedelta:
    """Give a length of time from `DD:HH:MM:SS` or seconds."""
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


def device_name(trainer: pl.Trainer) -> str:
    """Give the name of the GPU or of the processor that a trainer uses."""
    if trainer.strategy.root_device.type == "cuda":
        return torch.cuda.get_device_name(trainer.strategy.root_device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()} (cpu)"


def quieten_lightning() -> None:
    """Leave out what does not help here: tips, and hints on workers, which batches do not need."""
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
