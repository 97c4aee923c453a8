"""What a run leaves behind of each epoch, and what a person sees meanwhile."""

import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from tqdm import tqdm

from espcn.files import write_csv

NAMES = ("train_loss", "val_loss", "lr")


class History(Callback):
    """Keeps a row an epoch: `epoch` (from 1), `step`, `train_loss`, `val_loss`, `lr`, `seconds`.

    The rows go into `epochs.csv` in `directory` and into the checkpoint, so that a resumed run has
    those of the time before; `seconds` counts the training of all its parts.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "epochs.csv"
        self.rows: list[dict[str, Any]] = []
        self.fingerprint: str | None = None  # of the data, which must not change under a run
        self.goes_on = False  # whether there is a checkpoint to go on from

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock from where the last part of the run stopped."""
        self.started = time.monotonic() - (self.rows[-1]["seconds"] if self.rows else 0.0)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the rate that the epoch begins with."""
        self.rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the epoch's row, with the rate that it began with."""
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
        """Give the rows and the data's fingerprint, for the checkpoint."""
        return {"rows": self.rows, "fingerprint": self.fingerprint}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the rows from a checkpoint; a ValueError if it was trained on other data."""
        if state_dict["fingerprint"] != self.fingerprint:
            raise ValueError(
                "`data` must be the images that the run began with (fingerprint "
                f"{state_dict['fingerprint']}), but these are others ({self.fingerprint}): give it "
                "back its images, or start a new run"
            )
        self.rows = list(state_dict["rows"])

    def best(self) -> dict[str, Any] | None:
        """Give the row of the epoch whose weights are the best: the last, if none is judged."""
        judged = [row for row in self.rows if row["val_loss"] is not None]
        if judged:
            return min(
                judged, key=lambda row: (row["val_loss"] != row["val_loss"], row["val_loss"])
            )
        return self.rows[-1] if self.rows else None


class TrainingProgress(Callback):
    """One bar over the whole training, with the time left and the losses of the last epoch."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar, at the step where a resumed run goes on."""
        total = trainer.estimated_stepping_batches
        self.bar = tqdm(
            desc="Training",
            total=None if total == float("inf") else int(total),
            initial=trainer.global_step,
            disable=not trainer.is_global_zero,
            unit="step",
            dynamic_ncols=True,
            mininterval=0.5 if sys.stderr.isatty() else 15,
        )

    def on_train_batch_end(self, *args: Any) -> None:
        """Move on by a step."""
        self.bar.update()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the epoch's losses and rate."""
        metrics = {**trainer.callback_metrics, "lr": trainer.optimizers[0].param_groups[0]["lr"]}
        shown = {name: f"{float(metrics[name]):.3g}" for name in NAMES if name in metrics}
        self.bar.set_postfix({"epoch": str(trainer.current_epoch + 1)} | shown, refresh=False)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar."""
        self.bar.close()

    def on_exception(self, *args: Any) -> None:
        """Close the bar, so that the message after it starts a line."""
        if hasattr(self, "bar"):
            self.bar.close()
