"""Several processes as Lightning is told of them, and what keeps them one run."""

import os
import signal
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from lightning_fabric.plugins import ClusterEnvironment
from lightning_fabric.plugins.environments import (
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from pytorch_lightning.callbacks import Callback

from espcn import checks
from espcn.history import History
from espcn.interrupts import STOPS
from espcn.ranks import launch


def processes(settings: dict[str, Any]) -> tuple[dict[str, Any], ClusterEnvironment]:
    """Give what Lightning's Trainer is told of `trainer`, as torchrun or srun have started it.

    Raises a ValueError where they have started something else.
    """
    options = {k: v for k, v in settings.items() if k != "name"}
    # Those that Lightning spawns or forks could not give their results back.
    checks.choice("trainer.strategy", options.get("strategy", "auto"), ("auto", "ddp"))
    if "num_nodes" in options:
        raise ValueError(
            f"`trainer.num_nodes` (={options['num_nodes']}) is for torchrun or srun to say, which "
            "start processes on several machines: leave it out"
        )
    launched = launch()
    if launched is None:
        return options, LightningEnvironment()
    if launched.processes > 1 and options.get("strategy") != "ddp":
        raise ValueError(
            f"{launched.by} has started {launched.processes} processes, which train together only "
            "with trainer=ddp: add that, or start one process"
        )
    given = options["devices"]
    if given not in ("auto", -1, launched.per_node):
        raise ValueError(
            f"`trainer.devices` (={given}) must be the number of processes on each machine, of "
            f"which {launched.by} has started {launched.per_node}: leave it out"
        )
    options |= {"devices": launched.per_node, "num_nodes": launched.nodes}
    elastic = launched.by == "torchrun"
    return options, TorchElasticEnvironment() if elastic else SLURMEnvironment(auto_requeue=False)


def use_own_cores(trainer: pl.Trainer) -> None:
    """Take as many threads as SLURM has given this process cores, if a person has not said else.

    A machine that does not bind its processes to their cores shows all of its own to each.
    """
    cores = os.environ.get("SLURM_CPUS_PER_TASK")
    if cores is None or "OMP_NUM_THREADS" in os.environ:
        return
    sharing = trainer.world_size if launch() is None else 1  # of processes that Lightning starts
    count = max(1, int(cores) // sharing)
    torch.set_num_threads(count)
    os.environ["OMP_NUM_THREADS"] = str(count)  # which those take over, and Lightning leaves alone


class OneRun(Callback):
    """Keeps the processes one run: the same images, the same epoch to begin with, one network.

    All compute the same step from the same gradient. But where they differ in threads or in
    hardware they round differently, and SOAP makes much of that: each would soon have a network of
    its own. So all take the first one's weights after each step.
    """

    def __init__(self, history: History) -> None:
        self.history = history

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Raise a ValueError in all processes if one of them sees other files."""
        if trainer.world_size == 1:
            return
        seen: list[Any] = [None] * trainer.world_size
        dist.all_gather_object(seen, (self.history.fingerprint, self.history.goes_on))
        for number, (fingerprint, goes_on) in enumerate(seen):
            if fingerprint != seen[0][0]:
                raise ValueError(
                    "`data` must be the same images for all processes, but process 0 has those "
                    f"with the fingerprint {seen[0][0]}, process {number} {fingerprint}: let all "
                    "machines see the same"
                )
            if goes_on != seen[0][1]:
                raise ValueError(
                    "the run's directory must be the same for all processes, but not all see its "
                    "last.ckpt: put it where all machines see it"
                )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Take the first process's weights."""
        if trainer.world_size > 1:
            for parameter in pl_module.parameters():
                dist.broadcast(parameter.data, 0)


class OwnSignals(Callback):
    """Gives a run's own handlers of signals back to it, where Lightning has put others.

    Lightning's ask all processes at once whether to stop, and hang if one of them is in the middle
    of a step.
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Note the handlers before Lightning replaces them."""
        self.handlers = {number: signal.getsignal(number) for number in STOPS}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put them back."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)


def is_loss_of_another(error: BaseException) -> bool:
    """Say whether an error is how a process learns that another one of its run has ended."""
    lost = "Connection closed by peer" in str(error) or "Connection reset by peer" in str(error)
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and lost)
