"""The LightningModule: the loss, the optimiser, and what an epoch does."""

import math
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torchmetrics import MeanMetric

from espcn import checks
from espcn.network.device import has_bfloat16
from espcn.network.model import ESPCN
from espcn.training.optimizers import SCHEDULES, cosine_schedule, plateau_schedule

LOSSES = ("mse", "rmse")
RMSE_EPS = 1e-6  # a quarter of a grey level, squared: keeps the square root differentiable at zero


class SuperResolution(pl.LightningModule):
    """Trains an ESPCN on preshuffled patches.

    The benchmark averages pictures in dB, so that a smooth picture counts as much as a textured
    one, while the mean squared error is dominated by the few patches with the highest contrast. The
    mean squared error is logged, and used by the schedule, whichever loss is minimised.

    Args:
        network: The network to train.
        optimizer: Makes a PyTorch optimiser from parameter groups and `lr=`.
        lr: The learning rate at the start, above 0.
        lr_end: The learning rate that the schedule ends at, at most `lr`.
        last_layer_lr: The last layer's rate as a fraction of the others' ("the final layer learns
            10 times slower", section 3.2).
        loss: `mse`, the mean squared error (the paper's Eq. 6), or `rmse`, the mean over a batch's
            patches of each one's root mean squared error.
        schedule: `plateau`: the rate falls to a tenth after `plateau_patience` + 1 epochs whose
            validation loss is not below the best by more than `mu`. `cosine`: it follows half a
            cosine from `lr` to `lr_end`, step by step, over the whole run.
        mu: The paper's threshold, as a mean squared error of pictures in 0..1.
        plateau_patience: Number of such epochs in a row that are tolerated.
        settings: Plain values to store in the checkpoints.

    Raises:
        ValueError: A setting is out of its range; the message names it.
    """

    def __init__(
        self,
        network: ESPCN,
        optimizer: Callable[..., torch.optim.Optimizer],
        lr: float,
        lr_end: float,
        last_layer_lr: float = 1.0,
        loss: str = "mse",
        schedule: str = "plateau",
        mu: float = 1e-6,
        plateau_patience: int = 0,
        settings: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        checks.number("lr", lr, "leave it out for the optimiser's own", above=0)
        checks.number("lr_end", lr_end, "the paper ends at 1e-4")
        if lr_end > lr:
            raise ValueError(f"`lr_end` (={lr_end}) must not be above `lr` (={lr}): lower it")
        checks.fraction("last_layer_lr", last_layer_lr, "the paper's is 0.1")
        checks.choice("loss", loss, LOSSES)
        checks.choice("schedule", schedule, SCHEDULES)
        checks.number("mu", mu, "the notebook's is 1e-6")
        checks.integer("plateau_patience", plateau_patience, 0, "the notebook's is 0")
        self.network, self.optimizer = network, optimizer
        self.lr, self.lr_end, self.last_layer_lr = lr, lr_end, last_layer_lr
        self.loss, self.schedule = loss, schedule
        self.mu, self.plateau_patience = mu, plateau_patience
        # Lightning's own mean over processes rounds their share of the patches to a whole number.
        # What is not a number stays that, and ends the run; "disable" would forget the weights.
        self.train_loss = MeanMetric(nan_strategy=math.nan)
        self.val_loss = MeanMetric(nan_strategy=math.nan)
        self.save_hyperparameters(settings or {})

    def on_train_epoch_start(self) -> None:
        """Accumulate losses in the precision in which they are computed.

        Moving a mean to the log, as at the end of each epoch, makes it float32 again.
        """
        for mean in (self.train_loss, self.val_loss):
            mean.set_dtype(self.dtype)  # type: ignore[arg-type]

    def on_train_start(self) -> None:
        """Warn about a precision that is slow on this machine."""
        if self.trainer.precision == "bf16-mixed" and not has_bfloat16(self.device):
            self.print(
                "Note: this processor has no bfloat16, in which this run takes four times as long "
                "as with trainer.precision=32-true"
            )

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of a batch.

        Args:
            batch: uint8 patches and targets, as `Patches` holds them.
            batch_idx: Unused.

        Returns:
            The loss, a scalar.
        """
        output, target = self._outputs(batch)
        mse = F.mse_loss(output, target)
        self.train_loss.update(mse.detach(), len(target))
        if self.loss == "mse":
            return mse
        return ((output - target).square().mean((1, 2, 3)) + RMSE_EPS).sqrt().mean()

    def on_train_batch_end(self, *args: Any) -> None:
        """Log the epoch's loss with its last batch, since logging costs as much as a small layer.

        Args:
            *args: Unused.
        """
        if self.trainer.is_last_batch:
            self.log("train_loss", self.train_loss, on_step=False, on_epoch=True)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log the mean squared error of a batch of held-out patches.

        Args:
            batch: uint8 patches and targets.
            batch_idx: Unused.
        """
        output, target = self._outputs(batch)
        self.val_loss.update(F.mse_loss(output, target), len(target))
        self.log("val_loss", self.val_loss, on_step=False, on_epoch=True)

    def _outputs(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        low, target = (part.to(self.dtype) / 255 for part in batch)
        return self.network.preshuffled(low), target

    def configure_optimizers(self) -> Any:
        """Make the optimiser, with the last layer as its second group, and the scheduler.

        Returns:
            Both, as Lightning expects them.
        """
        last = list(self.network.conv3.parameters())
        body = [*self.network.conv1.parameters(), *self.network.conv2.parameters()]
        groups = [{"params": body}, {"params": last, "lr": self.lr * self.last_layer_lr}]
        optimizer = self.optimizer(groups, lr=self.lr)
        if self.schedule == "cosine":
            steps = int(self.trainer.estimated_stepping_batches)
            cosine = cosine_schedule(optimizer, steps, self.lr_end / self.lr)
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": cosine, "interval": "step"},
            }
        # A floor for each group: with a common one, the slower last layer would be there after a
        # single drop and stay.
        floors = [self.lr_end, self.lr_end * self.last_layer_lr]
        plateau = plateau_schedule(optimizer, self.mu, self.plateau_patience, floors)
        config = {"scheduler": plateau, "interval": "epoch", "monitor": "val_loss"}
        return {"optimizer": optimizer, "lr_scheduler": config}

    def lr_scheduler_step(self, scheduler: LRScheduler | ReduceLROnPlateau, metric: Any) -> None:
        """Step the cosine; the plateau is stepped in `on_train_epoch_end`.

        Args:
            scheduler: The scheduler.
            metric: Unused.
        """
        if not isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step()

    def on_train_epoch_end(self) -> None:
        """Step the plateau before the epoch's checkpoint is written.

        Lightning would step it afterwards, and a run resumed from that checkpoint would miss the
        drop in the rate.
        """
        scheduler = self.lr_schedulers()
        rate = self.optimizers().param_groups[0]["lr"]  # type: ignore[union-attr]
        self.log("lr", rate, sync_dist=True)
        self.log("epochs", float(self.current_epoch + 1), sync_dist=True)
        if not math.isfinite(self.trainer.callback_metrics["train_loss"]):
            self.trainer.should_stop = True
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(self.trainer.callback_metrics["val_loss"])
