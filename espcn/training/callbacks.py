"""The callbacks of a run: history, checkpoints, progress bar, turns and signals."""

import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from pytorch_lightning.callbacks import Checkpoint as BaseCheckpoint
from tqdm import tqdm

from espcn.interrupts import STOPS
from espcn.io.atomic import write_csv
from espcn.progress import bar
from espcn.runs.turns import Turns, meeting_place, needs_turns

SHOWN = ("train_loss", "val_loss", "lr")


class History(Callback):
    """Records a row for each epoch.

    Its columns are `epoch` (from 1), `step`, `train_loss`, `val_loss`, `lr` and `seconds`.

    The rows are written to epochs.csv and stored in the checkpoint, so that a resumed run keeps the
    earlier ones; `seconds` is the total training time over all its parts.

    Args:
        directory: The run's directory.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "epochs.csv"
        self.rows: list[dict[str, Any]] = []
        self.fingerprint: str | None = None  # of the data, which must not change under a run
        self.goes_on = False  # whether there is a checkpoint to go on from

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock where the last part of the run stopped.

        Args:
            trainer: The run's Trainer.
            pl_module: The LightningModule.
        """
        self.started = time.monotonic() - (self.rows[-1]["seconds"] if self.rows else 0.0)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the learning rate at the start of the epoch.

        Args:
            trainer: The run's Trainer.
            pl_module: The LightningModule.
        """
        self.rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's row.

        Args:
            trainer: The run's Trainer.
            pl_module: The LightningModule.
        """
        metrics = trainer.callback_metrics
        row = {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            "train_loss": float(metrics["train_loss"]),
            "val_loss": float(metrics["val_loss"]) if "val_loss" in metrics else None,
            "lr": self.rate,
            "seconds": round(time.monotonic() - self.started, 3),
        }
        self.rows.append(row)
        if trainer.is_global_zero:
            write_csv(self.path, self.rows)

    def state_dict(self) -> dict[str, Any]:
        """Return the rows and the data's fingerprint, for the checkpoint.

        Returns:
            Plain values.
        """
        return {"rows": self.rows, "fingerprint": self.fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rows from a checkpoint.

        Args:
            state_dict: What `state_dict` returned.
        """
        self.rows = list(state_dict["rows"])

    def best(self) -> dict[str, Any] | None:
        """Return the row of the epoch with the best weights.

        Returns:
            The row of the lowest validation loss, or the last row if nothing is held out; None
            before the first epoch has ended.
        """
        judged = [row for row in self.rows if row["val_loss"] is not None]
        if judged:
            return min(
                judged, key=lambda row: (row["val_loss"] != row["val_loss"], row["val_loss"])
            )
        return self.rows[-1] if self.rows else None


class TrainingProgress(Callback):
    """A bar for the whole training, with the remaining time and the losses of the last epoch."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar, at the step where a resumed run continues.

        Args:
            trainer: The run's Trainer.
            pl_module: The LightningModule.
        """
        total = trainer.estimated_stepping_batches
        self.bar = bar(
            desc="Training",
            total=None if total == float("inf") else int(total),
            initial=trainer.global_step,
            disable=not trainer.is_global_zero,
            unit="step",
            dynamic_ncols=True,
            mininterval=0.5,
        )

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Advance to the current step; with accumulated gradients it takes several batches.

        Args:
            trainer: The run's Trainer.
            *args: Unused.
        """
        self.bar.update(trainer.global_step - self.bar.n)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the epoch's losses and learning rate.

        Args:
            trainer: The run's Trainer.
            pl_module: The LightningModule.
        """
        metrics = {**trainer.callback_metrics, "lr": trainer.optimizers[0].param_groups[0]["lr"]}
        shown = {name: f"{float(metrics[name]):.3g}" for name in SHOWN if name in metrics}
        self.bar.set_postfix({"epoch": str(trainer.current_epoch + 1)} | shown, refresh=False)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar.

        Args:
            trainer: The run's Trainer.
            pl_module: The LightningModule.
        """
        self.bar.close()

    def on_exception(self, *args: Any) -> None:
        """Close the bar, so that the message after it starts a line.

        Args:
            *args: Unused.
        """
        if hasattr(self, "bar"):
            self.bar.close()


class Patience(EarlyStopping):
    """EarlyStopping that uses the configured patience, not that of a checkpoint."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the count of epochs without improvement, and the best loss.

        Args:
            state_dict: What the checkpoint holds.
        """
        super().load_state_dict(state_dict | {"patience": self.patience})

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Train no further if the resumed run had ended by its patience.

        Args:
            trainer: The run's Trainer.
            pl_module: The LightningModule.
        """
        if self.wait_count >= self.patience:
            trainer.should_stop = True


class Checkpoint(ModelCheckpoint):
    """ModelCheckpoint that finds its best file even if the run's directory has moved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best loss, and look for the files in the run's current directory.

        Args:
            state_dict: What the checkpoint holds.
        """
        old, new = str(state_dict["dirpath"]), str(self.dirpath)

        def moved(value: Any) -> Any:
            if isinstance(value, dict):
                return {moved(key): moved(inner) for key, inner in value.items()}
            return new + value.removeprefix(old) if str(value).startswith(old) else value

        super().load_state_dict(moved(state_dict))


class LastEpoch(BaseCheckpoint):
    """Writes last.ckpt after every epoch.

    ModelCheckpoint's `save_last` does so only after epochs that improved the best loss.

    Args:
        directory: The run's directory.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "last.ckpt"

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write it, after all other callbacks.

        Args:
            trainer: The run's Trainer.
            pl_module: The LightningModule.
        """
        trainer.save_checkpoint(self.path)


class TakesTurns(Callback):
    """Takes turns with other trainings on the same cores of this machine, if needed."""

    def __init__(self) -> None:
        self.turns: Turns | None = None
        self.told = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the first turn.

        Args:
            trainer: The run's Trainer.
            pl_module: The LightningModule.
        """
        on_cores = trainer.strategy.root_device.type == "cpu" and trainer.world_size == 1
        if on_cores and needs_turns():
            with suppress(OSError, NotImplementedError):  # no place to meet, or no locks there
                turns = Turns(meeting_place())
                turns.take()
                self.turns = turns

    def on_train_batch_end(self, *args: Any) -> None:
        """Let others have a turn between two steps.

        Args:
            *args: Unused.
        """
        if self.turns is not None:
            with suppress(OSError, NotImplementedError):  # the place is gone: on without turns
                self.turns.share()
            if self.turns.waited and not self.told:
                tqdm.write("Another training runs on these cores: they take turns", sys.stderr)
                self.told = True

    def on_validation_batch_end(self, *args: Any) -> None:
        """Let others have a turn between two batches.

        Args:
            *args: Unused.
        """
        self.on_train_batch_end()

    def on_train_end(self, *args: Any) -> None:
        """End the last turn.

        Args:
            *args: Unused.
        """
        if self.turns is not None:
            self.turns.end()

    def on_exception(self, *args: Any) -> None:
        """End the last turn, however the training ends.

        Args:
            *args: Unused.
        """
        self.on_train_end()


class OwnSignals(Callback):
    """Restores a run's own signal handlers where Lightning has replaced them.

    Lightning's handlers ask all processes at once whether to stop, and hang if one of them is in
    the middle of a step.
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Remember the handlers before Lightning replaces them.

        Args:
            trainer: The run's Trainer.
            pl_module: The LightningModule.
            stage: Unused.
        """
        self.handlers = {number: signal.getsignal(number) for number in STOPS}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore them.

        Args:
            trainer: The run's Trainer.
            pl_module: The LightningModule.
        """
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
