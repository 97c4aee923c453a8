"""The LightningModule: the loss, the rates and how they fall, checked in short real fits."""

import math
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F

from espcn.data.datamodule import PatchData
from espcn.network.model import ESPCN
from espcn.training.lightning_module import SuperResolution
from espcn.training.trainer import quieten_lightning

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*"),
    pytest.mark.filterwarnings("ignore:.*`srun` command.*"),  # where there is a SLURM
]


def task(**options: Any) -> SuperResolution:
    options = {"lr": 1e-2, "lr_end": 1e-4, "last_layer_lr": 0.1} | options
    return SuperResolution(ESPCN(3), torch.optim.SGD, **options)


def fit(
    made: SuperResolution,
    pictures: Path,
    epochs: int,
    *callbacks: pl.Callback,
    batch_size: int = 48,
) -> pl.Trainer:
    quieten_lightning()
    sizes = {"patch": 8, "stride": 8, "val_fraction": 0.25, "batch_size": batch_size}
    data = PatchData("folder", str(pictures), **sizes)  # type: ignore[arg-type]
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=list(callbacks),
    )
    trainer.fit(made, data)
    return trainer


class Rates(pl.Callback):
    """Notes the rates of both groups at the start of each epoch."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        body, last = trainer.optimizers[0].param_groups
        self.seen.append((body["lr"], last["lr"]))


def test_loss_is_the_mean_squared_error_of_the_shuffled_picture(pictures: Path) -> None:
    data = PatchData("folder", str(pictures), patch=8, stride=8)
    data.prepare()
    low, target = next(iter(data.train_dataloader()))
    made = task()
    output = F.pixel_shuffle(made.network.preshuffled(low / 255), 3)
    expected = ((output - F.pixel_shuffle(target, 3) / 255) ** 2).mean()
    loss = made.training_step((low, target), 0).item()
    assert loss == pytest.approx(expected.item(), rel=1e-5)


def test_root_is_taken_of_each_patch_and_the_mean_squared_error_is_logged(
    pictures: Path,
) -> None:
    data = PatchData("folder", str(pictures), patch=8, stride=8, batch_size=3, val_fraction=0)
    data.prepare()
    low, target = next(iter(data.train_dataloader()))
    low[0], target[0] = 115, 115  # flat, and without an error at all once the network is constant
    made = task(loss="rmse")
    for parameter in made.network.parameters():
        torch.nn.init.zeros_(parameter)
    made.network.center = 115 / 255
    errors = ((target / 255 - 115 / 255) ** 2).mean((1, 2, 3))
    loss = made.training_step((low, target), 0)
    assert errors[0] < 1e-9
    assert loss.item() == pytest.approx(errors.sqrt().mean().item(), abs=1e-3)
    assert made.train_loss.compute().item() == pytest.approx(errors.mean().item(), rel=1e-4)
    loss.backward()
    gradient = made.network.conv3.bias.grad
    assert gradient is not None
    assert gradient.isfinite().all()


def test_last_layer_learns_at_its_fraction_and_holds_no_other_parameter() -> None:
    made = task(schedule="plateau")
    body, last = made.configure_optimizers()["optimizer"].param_groups
    assert (body["lr"], last["lr"]) == pytest.approx((1e-2, 1e-3))
    assert {id(p) for p in last["params"]} == {id(p) for p in made.network.conv3.parameters()}
    assert len(body["params"]) + len(last["params"]) == len(list(made.parameters()))


def test_plateau_drops_each_group_to_a_tenth_down_to_its_own_floor(pictures: Path) -> None:
    rates = Rates()
    # No epoch improves by a whole unit of a loss below 1, so every epoch after the first drops.
    fit(task(mu=1.0), pictures, 6, rates)
    body = [1e-2, 1e-2, 1e-3, 1e-4, 1e-4, 1e-4]
    assert [rate for rate, _ in rates.seen] == pytest.approx(body)
    assert [rate for _, rate in rates.seen] == pytest.approx([rate / 10 for rate in body])


def test_plateau_waits_for_its_patience(pictures: Path) -> None:
    rates = Rates()
    fit(task(mu=1.0, plateau_patience=2), pictures, 5, rates)
    assert [rate for rate, _ in rates.seen] == pytest.approx([1e-2] * 4 + [1e-3])


def test_plateau_does_not_drop_while_the_loss_falls_by_more_than_mu(pictures: Path) -> None:
    rates = Rates()
    fit(task(mu=0.0), pictures, 4, rates)
    assert [rate for rate, _ in rates.seen] == pytest.approx([1e-2] * 4)


def test_cosine_goes_from_lr_to_lr_end_over_the_whole_run(pictures: Path) -> None:
    rates = Rates()
    trainer = fit(task(schedule="cosine"), pictures, 4, rates)
    half = [(1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4)]  # 2 steps an epoch
    expected = [1e-4 + (1e-2 - 1e-4) * share for share in half]
    assert [rate for rate, _ in rates.seen] == pytest.approx(expected)
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0}, r"`lr` \(=0\) must be a number above 0"),
        ({"lr_end": -1}, r"`lr_end` \(=-1\) must be a number of at least 0"),
        ({"lr_end": 0.1}, r"`lr_end` \(=0.1\) must not be above `lr` \(=0.01\)"),
        ({"last_layer_lr": 10}, r"`last_layer_lr` \(=10\) must be a fraction"),
        ({"loss": "l1"}, r"`loss` \(=l1\) must be one of mse, rmse"),
        ({"schedule": "step"}, r"`schedule` \(=step\) must be one of plateau, cosine"),
        ({"mu": "x"}, r"`mu` \(='x'\) must be a number"),
        ({"plateau_patience": -1}, r"`plateau_patience` \(=-1\) must be a whole number"),
    ],
)
def test_bad_settings_are_named_with_the_rule(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task(**options)


@pytest.mark.parametrize("loss", ["train_loss", "val_loss"])
def test_one_loss_that_is_not_finite_makes_the_mean_so(loss: str, pictures: Path) -> None:
    class Once(pl.Callback):
        """Makes one loss of an epoch not a number."""

        def on_train_epoch_start(self, *_: Any) -> None:
            getattr(made, loss).update(math.nan, 1)

    made = task()
    trainer = fit(made, pictures, 1, Once())
    assert math.isnan(trainer.callback_metrics[loss])


def test_mean_has_the_precision_of_the_weights() -> None:
    made = task().double()
    made.on_train_epoch_start()
    third = torch.tensor(1 / 3, dtype=torch.float64)
    made.train_loss.update(third, 2)
    assert torch.equal(made.train_loss.compute(), third)
    made.train_loss.update(third + 3, 1)  # weighed by the number of patches
    assert made.train_loss.compute().item() == pytest.approx(4 / 3, rel=1e-15)


def test_epoch_logs_its_losses_its_number_and_the_rate_of_the_body(pictures: Path) -> None:
    # The learning rate is that which the epoch had, not the one to which it then drops.
    trainer = fit(task(mu=1.0), pictures, 2)
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert set(logged) == {"train_loss", "val_loss", "lr", "epochs"}
    assert logged["epochs"] == 2
    assert logged["lr"] == pytest.approx(1e-2)


def test_epoch_of_a_single_batch_logs_its_loss(pictures: Path) -> None:
    trainer = fit(task(), pictures, 1, batch_size=1000)
    assert trainer.global_step == 1
    assert trainer.callback_metrics["train_loss"] > 0


def test_settings_are_carried_by_checkpoints() -> None:
    assert task(settings={"blur": 0.5}).hparams == {"blur": 0.5}
    assert task().hparams == {}


def test_logged_loss_is_the_mean_over_the_epochs_patches(pictures: Path) -> None:
    # With a rate of next to nothing every batch sees the same network.
    made = task(lr=1e-12, lr_end=0)
    trainer = fit(made, pictures, 1)
    for name in ("train", "val"):
        data = trainer.datamodule  # type: ignore[attr-defined]
        errors = [
            (made.network.preshuffled(low / 255) - target / 255).square().mean((1, 2, 3))
            for low, target in getattr(data, f"{name}_dataloader")()
        ]
        expected = torch.cat(errors).mean().item()
        assert float(trainer.callback_metrics[f"{name}_loss"]) == pytest.approx(expected, rel=1e-4)


def test_run_whose_loss_is_not_finite_ends_with_that_epoch(pictures: Path) -> None:
    class Once(pl.Callback):
        """Makes a loss of the second epoch infinite."""

        def on_train_epoch_start(self, trainer: pl.Trainer, *_: Any) -> None:
            if trainer.current_epoch == 1:
                made.train_loss.update(math.inf, 1)

    made = task(schedule="cosine")
    assert fit(made, pictures, 5, Once()).current_epoch == 2


def test_defaults_are_the_papers_loss_and_the_notebooks_plateau() -> None:
    made = SuperResolution(ESPCN(3), torch.optim.SGD, lr=1e-2, lr_end=1e-2)  # equal rates will do
    assert (made.loss, made.last_layer_lr) == ("mse", 1)
    assert (made.schedule, made.mu, made.plateau_patience) == ("plateau", 1e-6, 0)


def test_root_of_no_error_is_a_quarter_of_a_grey_level() -> None:
    # Squared and on a scale of 0 to 1 it is about 1e-6, which is added below the root.
    made = task(loss="rmse")
    for parameter in made.network.parameters():
        torch.nn.init.zeros_(parameter)
    made.network.center = 0.0
    black = torch.zeros(2, 1, 16, 16), torch.zeros(2, 9, 8, 8)
    assert made.training_step(black, 0).item() == pytest.approx(1e-3, rel=1e-4)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_precision_that_is_slow_here_is_told(
    precision: Any, fast: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("espcn.training.lightning_module.has_bfloat16", lambda _: fast)
    quieten_lightning()
    made = task()
    made.trainer = pl.Trainer(
        precision=precision,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,  # one that has not begun swallows what is printed
    )
    made.on_train_start()
    told = "this processor has no bfloat16" in capsys.readouterr().out
    assert told == (precision == "bf16-mixed" and not fast)
