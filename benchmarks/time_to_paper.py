"""How long each optimiser trains until the network is the paper's on Set5 and Set14.

    python benchmarks/time_to_paper.py

The default run (see conf/train.yaml) with each optimiser in turn, at the best of the rates in
results/optimizer.csv, scored after every epoch until it reaches the paper's ESPCN (91), which
trained for about three hours on a K2 GPU: 32.55 dB on Set5 and 29.08 dB on Set14. The clock stands
still while it is scored; the weights are not kept. Writes results/time_to_paper.csv and draws
results/time_to_paper.png.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from draw import draw_times, read
from hydra import compose, initialize_config_dir
from pytorch_lightning.callbacks import Callback
from tqdm import tqdm

from espcn.data.datasets import load_set
from espcn.data.image_set import ImageSet
from espcn.evaluation.protocol import score_mean
from espcn.io.atomic import write_csv
from espcn.network.device import device_name
from espcn.report.tables import PAPER, table
from espcn.runs.identity import plain_settings
from espcn.runs.resolvers import register_resolvers
from espcn.training.lightning_module import SuperResolution
from espcn.training.run import Run
from espcn.training.trainer import quieten_lightning

ROOT = Path(__file__).resolve().parent.parent
GOAL = {name: PAPER[3]["ESPCN (91)"][name] for name in ("Set5", "Set14")}
OPTIMISERS = ("sgd", "adam", "adamw", "soap")


class Scores(Callback):
    """Scores the network after every epoch, off the clock, until it is there or time is up."""

    def __init__(self, sets: list[ImageSet], limit: float) -> None:
        self.sets, self.limit, self.rows = sets, limit, list[dict[str, Any]]()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score what the validation has just seen: the average of the weights."""
        seconds = time.monotonic() - self.started
        assert isinstance(pl_module, SuperResolution)
        psnr = {one.name: score_mean(pl_module.network, one) for one in self.sets}
        row = {name: score.psnr for name, score in psnr.items()}
        self.rows.append({"step": trainer.global_step, "seconds": round(seconds, 2)} | row)
        there = all(row[name] >= goal for name, goal in GOAL.items())
        trainer.should_stop |= there or seconds > self.limit
        shown = "  ".join(f"{name} {value:.2f}" for name, value in row.items())
        tqdm.write(f"  {seconds:6.1f} s  step {trainer.global_step:6}  {shown}")
        self.started = time.monotonic() - seconds


def best_rate(optim: str) -> float:
    """Return the rate with the best mean over the folds in the comparison of optimisers."""
    figures: dict[float, list[float]] = {}
    for row in read("optimizer"):
        if row["optim"] == optim and row["status"] == "completed":
            figures.setdefault(row["lr"], []).append(row["val_psnr"])
    return max(figures, key=lambda rate: statistics.mean(figures[rate]))


def train(optim: str, rate: float, limit: float, sets: list[ImageSet]) -> list[dict[str, Any]]:
    """Train with one optimiser; return a row for each epoch."""
    overrides = [f"optim={optim}", "data=t91", f"lr={rate}", "max_epochs=10000"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        settings = plain_settings(compose("train", overrides))
    scores = Scores(sets, limit)
    with tempfile.TemporaryDirectory() as directory:
        data, task, trainer = Run(settings, Path(directory), {}).build()
        print(f"\n{optim}, lr={rate:g}, {device_name(trainer.strategy.root_device)}, "
              f"{torch.get_num_threads()} threads: {data.prepare()}")  # fmt: skip
        # Before the average of the weights gives its place back to the weights themselves.
        trainer.callbacks.insert(0, scores)  # type: ignore[attr-defined]
        quieten_lightning()
        trainer.fit(task, data)
    return [{"optim": optim, "lr": rate} | row for row in scores.rows]


def main() -> None:
    """Train with each optimiser; print how long it took, and write and draw the whole way."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--limit", type=float, default=180, help="seconds of training each (180)")
    parser.add_argument("--optim", nargs="+", default=OPTIMISERS, help=f"({' '.join(OPTIMISERS)})")
    parser.add_argument("--output", type=Path, default=ROOT / "results", help="folder (results)")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    register_resolvers()
    sets = [load_set(name) for name in GOAL]
    rows: list[dict[str, Any]] = []
    lines = []
    for optim in options.optim:
        own = train(optim, best_rate(optim), options.limit, sets)
        rows += own
        line: dict[str, Any] = {"optimiser": optim, "lr": own[0]["lr"]}
        for name, goal in GOAL.items():
            when = [row["seconds"] for row in own if row[name] >= goal]
            line |= {f"{name} {goal}, s": min(when, default=None), f"{name} last": own[-1][name]}
        lines.append(line | {"trained, s": own[-1]["seconds"]})
    write_csv(options.output / "time_to_paper.csv", rows, digits=6)
    print("\n" + table(lines, settings=("lr",)))
    draw_times(rows, options.output / "time_to_paper.png")
    print(f"\nWritten to {options.output}: time_to_paper.csv and time_to_paper.png")


if __name__ == "__main__":
    main()
