"""One run: preparing its data, training and scoring its network, recording its result."""

import hashlib
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from espcn import checks
from espcn.data.datamodule import PatchData
from espcn.data.datasets import check_sets, load_test
from espcn.data.image_set import ImageSet
from espcn.data.patches import Patches, PatchSubset
from espcn.evaluation.board import show_run
from espcn.evaluation.protocol import Score, remarks, score_mean
from espcn.imaging.degradation import BENCHMARK, Degradation
from espcn.io.atomic import make_folder, write_json, write_text
from espcn.network.device import device_name
from espcn.network.model import ESPCN, SETTINGS, expanded
from espcn.network.weights import load
from espcn.report.plots import plot_losses
from espcn.report.tables import score_table, table
from espcn.report.versions import versions
from espcn.runs.directory import (
    INIT,
    RESULT,
    THREADS,
    images_seen,
    note_resumed,
    read_threads,
    record_command,
    store_config,
)
from espcn.runs.identity import flatten
from espcn.runs.launch import rank, tell
from espcn.training.callbacks import History
from espcn.training.checkpoint_io import last_checkpoint, trained_epochs
from espcn.training.lightning_module import SuperResolution
from espcn.training.optimizers import make_optimizer
from espcn.training.trainer import is_judged, make_trainer, quieten_lightning


class Run:
    """One run; its methods are in the order in which they are used.

    `result` is filled along the way, so that result.json contains everything known, however the run
    ends.

    Args:
        settings: Plain settings.
        directory: The run's directory.
        result: The result to fill.
        command: The command that reproduces the run.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        directory: Path,
        result: dict[str, Any],
        command: str | None = None,
    ) -> None:
        self.settings, self.directory, self.result = settings, directory, result
        self.command, self.history = command, History(directory)
        self.timings: dict[str, float] = {}
        self.begin: dict[str, str] = {}  # the metadata of the weights that training begins with
        self.patches: Patches | PatchSubset | None = None  # those that it is judged by, if any
        self.began = False  # whether anything in the directory may differ from before

    def check(self, here: bool = True) -> None:
        """Check all settings; of files only `init` and the directory's own are read, none written.

        Args:
            here: Whether the run is for this machine.

        Raises:
            ValueError: A setting is out of its range; the message names it.
        """
        _ = self.build() if here else self._parts()

    def build(self) -> tuple[PatchData, SuperResolution, pl.Trainer]:
        """Make the data, the LightningModule and the Trainer, which validates all settings.

        Returns:
            All three; no image has been read yet.

        Raises:
            ValueError: A setting is out of its range; the message names it.
        """
        s = self.settings
        data, module = self._parts()
        if s["trainer"]["precision"] == "64-true":
            module.double()  # before its weights' average is made, which Lightning leaves as is
        trainer = make_trainer(s, self.directory, self.history)
        trained = trained_epochs(self.directory)
        if s["max_epochs"] < trained:
            raise ValueError(
                f"`max_epochs` (={s['max_epochs']}) must be at least the {trained} epochs that are "
                "trained already: make it larger"
            )
        return data, module, trainer

    def _parts(self) -> tuple[PatchData, SuperResolution]:
        """Make the data and the LightningModule, which are the same on any machine."""
        s = self.settings
        checks.integer("seed", s["seed"], 0, "any such number will do, say 0")
        checks.name_list("sets", s["sets"], "say [Set5,Set14]")
        check_sets(s["sets"])
        pl.seed_everything(s["seed"], verbose=False)
        network = self._network()
        return self._data(network), self._module(network)

    def carry_out(self) -> None:
        """Prepare the data, train, and score the best weights."""
        s = self.settings
        data, module, trainer = self.build()
        if trainer.world_size == 1:
            self._take_threads()
        self.result |= {
            "device": device_name(trainer.strategy.root_device),
            "processes": trainer.world_size,
            "versions": versions(),
        }
        with self._timed("prepare_s"):
            tell(data.prepare())
            test_sets, missing = load_test(s["sets"], s["data_dir"])
        for line in missing:
            tell(line)
        if len(data.val_patches) and data.were_seen(self.begin):
            tell(
                f"Note: `init` (={s['init']}) was trained on these images, perhaps also on "
                "held-out ones, so that val_loss and val_psnr may be too good: go by the test sets"
            )
        self.result |= {
            "dataset": data.images.name,
            "fingerprint": data.fingerprint,
            "encoders": data.recipe.degradation.encoders() or None,
            "images": data.train_images,
            "patches": len(data.train_patches or ()),
            "val_images": len(data.val_set),
            "val_patches": len(data.val_patches),
        }
        self.patches = data.val_patches if len(data.val_patches) else data.train_patches
        begin = last_checkpoint(self.directory, data.fingerprint)  # before anything is replaced
        self.history.fingerprint, self.history.goes_on = data.fingerprint, begin is not None
        if rank() == 0:
            store_config(s, self.directory)
            if self.result.get("init_fingerprint"):
                write_text(self.directory / INIT, f"{self.result['init_fingerprint']}\n")
            write_text(self.directory / THREADS, f"{torch.get_num_threads()}\n")
            note_resumed(self.directory)
            self.result["command"] = record_command(self.directory, self.command)
        self.began = True
        with self._timed("train_s"), warnings.catch_warnings():
            quieten_lightning()
            trainer.fit(module, data, ckpt_path=begin, weights_only=True)
        self._check_finite()
        if rank() > 0:
            return
        with self._timed("evaluate_s"):
            self._score(data, test_sets, trainer.strategy.root_device)
            network = load(ckpt=self.directory / "best.ckpt").network
            show_run(trainer.logger, flatten(s), self.result, network, [data.val_set, *test_sets])

    def record(self) -> None:
        """Write result.json and the plot of the losses, from what is known."""
        best = self.history.best()
        if best is not None:
            self.result |= {
                "best_epoch": best["epoch"],
                "train_loss": best["train_loss"],
                "val_loss": best["val_loss"],
                "epochs": self.history.rows[-1]["epoch"],
            }
            saved = self.directory / "best.ckpt"
            self.result["checkpoint"] = str(saved) if saved.is_file() else None
            # A resumed run's training counts in all its parts.
            self.timings["train_s"] = self.history.rows[-1]["seconds"]
        self.result["threads"] = torch.get_num_threads()  # Lightning gives each process its share
        self.result |= self.timings | {"duration_s": round(sum(self.timings.values()), 3)}
        make_folder(self.directory)
        write_json(self.directory / RESULT, self.result)
        if best is not None:
            plot_losses(
                self.history.rows,
                self.directory / "losses.png",
                "Training",
                mark_drops=self.settings["schedule"] == "plateau",
            )

    def _network(self) -> ESPCN:
        """Return the network before training, initialised at random or from `init`."""
        s = self.settings
        network = ESPCN(**{name: s[name] for name in SETTINGS})
        if s["init"] is not None and (self.directory / "last.ckpt").is_file():
            known = self.directory / INIT
            self.result["init_fingerprint"] = (
                known.read_text("utf-8").strip() if known.is_file() else None
            )
        elif s["init"] is not None:
            begin = load(s["r"], None if s["init"] == "shipped" else s["init"], "init")
            for name in ("channels", "activation", "padding"):
                own = getattr(begin.network, name)
                if own != s[name]:
                    raise ValueError(
                        f"`{name}` (={s[name]}) must be that of the network in `init` ({own}): "
                        "training goes on with the same layers"
                    )
            self.begin = begin.metadata or images_seen(begin.path.parent, s)
            network = begin.network.folded(s["center"], s["gain"]).train()
            digest = hashlib.sha256(begin.path.read_bytes()).hexdigest()[:16]
            self.result["init_fingerprint"] = digest
        if s["trainer"]["precision"] == "bf16-mixed":  # whose convolutions are twice as fast so
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return expanded(network, s["expansion"])

    def _data(self, network: ESPCN) -> PatchData:
        s = self.settings
        options = {k: v for k, v in s["data"].items() if k != "name"}
        shared = {k: s[k] for k in ("r", "channels", "data_dir", "batch_size", "seed")}
        degradation = Degradation.from_settings(s)
        return PatchData(
            s["data"]["name"], halo=network.halo, degradation=degradation, **options, **shared
        )

    def _module(self, network: ESPCN) -> SuperResolution:
        s = self.settings
        if s["schedule"] == "plateau" and not is_judged(s):
            raise ValueError(
                "`schedule` (=plateau) must have a validation loss to watch, but "
                "`data.val_fraction` is 0: take schedule=cosine or hold images out"
            )
        options = {k: v for k, v in s["optim"].items() if k not in ("name", "lr")}
        names = ("lr", "lr_end", "last_layer_lr", "loss", "schedule", "mu", "plateau_patience")
        return SuperResolution(
            network,
            make_optimizer(s["optim"]["name"], options),
            **{name: s[name] for name in names},
            settings=network.settings | asdict(Degradation.from_settings(s)),
        )

    def _check_finite(self) -> None:
        last = self.history.rows[-1] if self.history.rows else None
        if last and not all(math.isfinite(last[k] or 0.0) for k in ("train_loss", "val_loss")):
            raise ValueError(
                f"the loss is no longer finite after epoch {last['epoch']}: lower `lr` "
                f"(={self.settings['lr']})"
            )

    def _score(self, data: PatchData, test_sets: list[ImageSet], device: torch.device) -> None:
        """Score best.ckpt on the held-out images and on the test sets; print the table."""
        trained = load(ckpt=self.directory / "best.ckpt")
        network, matched = trained.network.to(device), trained.degradation
        seed = self.settings["seed"]
        val = score_mean(network, data.val_set)
        self.result["val_psnr"] = val.psnr
        seen = score_mean(network, data.val_set, matched, seed)
        self.result["val_psnr_matched"] = seen.psnr
        scores: dict[Degradation, dict[str, Score]] = {BENCHMARK: {}, matched: {}}
        for degradation, of_sets in scores.items():
            for images in test_sets:
                of_sets[images.name] = score_mean(network, images, degradation, seed)
        benchmark = scores[BENCHMARK]
        self.result["psnr"] = {name: one.psnr for name, one in benchmark.items()}
        self.result["psnr_matched"] = {name: one.psnr for name, one in scores[matched].items()}
        self.result["bicubic_psnr"] = {name: one.bicubic_psnr for name, one in benchmark.items()}
        if network.channels == 3:
            self.result["psnr_rgb_notebook"] = {
                name: one.psnr_rgb_notebook for name, one in scores[matched].items()
            }
        columns = {"bicubic": self.result["bicubic_psnr"], "this run": self.result["psnr"]}
        if test_sets:
            print("\n" + score_table(network.r, columns))
        if val.psnr is not None:
            figures = f"{val.psnr:.2f} dB, bicubic {val.bicubic_psnr:.2f} dB"
            print(f"\nValidation images, degraded as in the benchmark: {figures}")
        if matched != BENCHMARK:
            means = {"validation": seen} | scores[matched]
            columns = {
                "bicubic": {name: one.bicubic_psnr for name, one in means.items()},
                "this run": {name: one.psnr for name, one in means.items()},
            }
            print(f"\nDegraded as in training, by {matched}:\n")
            print(score_table(network.r, columns, benchmark=False))
        if network.channels == 3:
            rgb = self.result["psnr_rgb_notebook"]
            print("\n" + table([{"notebook's RGB PSNR (dB)": n, "this run": v}
                                       for n, v in rgb.items()]))  # fmt: skip
        said = remarks([val, seen, *benchmark.values(), *scores[matched].values()])
        print(*said, f"Trained on {data.images.name}; all of it is in {self.directory}", sep="\n")

    def _take_threads(self) -> None:
        """Use as many threads as before, since another number changes the order of sums."""
        kept = read_threads(self.directory) if (self.directory / "last.ckpt").is_file() else None
        own = torch.get_num_threads()
        if kept and kept != own:
            tell(f"Continuing with {kept} threads, as before, instead of {own}")
            torch.set_num_threads(kept)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.timings[name] = round(time.monotonic() - start, 3)
