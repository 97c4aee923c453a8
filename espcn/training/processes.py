"""Training with several processes in Lightning."""

import os
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
from espcn.runs.launch import launch
from espcn.training.callbacks import History


def processes(settings: dict[str, Any]) -> tuple[dict[str, Any], ClusterEnvironment]:
    """Return the options of Lightning's Trainer, given how torchrun or srun started this process.

    Args:
        settings: The trainer's settings.

    Returns:
        Options of the Trainer, including its cluster environment.

    Raises:
        ValueError: The settings don't match the processes that were started.
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
    if launched.world_size > 1 and options.get("strategy") != "ddp":
        raise ValueError(
            f"{launched.launcher} has started {launched.world_size} processes, which train "
            "together only with trainer=ddp: add that, or start one process"
        )
    given = options["devices"]
    if given not in ("auto", -1, launched.processes_per_node):
        raise ValueError(
            f"`trainer.devices` (={given}) must be the number of processes on each machine, of "
            f"which {launched.launcher} has started {launched.processes_per_node}: leave it out"
        )
    options |= {"devices": launched.processes_per_node, "num_nodes": launched.node_count}
    elastic = launched.launcher == "torchrun"
    return options, TorchElasticEnvironment() if elastic else SLURMEnvironment(auto_requeue=False)


class OneRun(Callback):
    """Keeps several processes in sync: the same images, the same first epoch, one network.

    All compute the same step from the same gradient. But processes with different threads or
    hardware round differently, and SOAP amplifies the differences, so that their networks would
    soon diverge. All processes therefore take the weights of rank 0 after each step.

    Args:
        history: The run's history, which contains the data's fingerprint.
    """

    def __init__(self, history: History) -> None:
        self.history = history

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Check that all processes see the same files.

        Args:
            trainer: The run's Trainer.
            pl_module: The LightningModule.
            stage: Unused.

        Raises:
            ValueError: They do not; raised in all of them.
        """
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
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any
    ) -> None:
        """Take the weights of rank 0.

        Args:
            trainer: The run's Trainer.
            pl_module: The LightningModule.
            *args: Unused.
        """
        if trainer.world_size > 1:
            for parameter in pl_module.parameters():
                dist.broadcast(parameter.data, 0)


def use_own_cores(trainer: pl.Trainer) -> None:
    """Use one thread per core that SLURM allocated to this process, unless OMP_NUM_THREADS is set.

    If processes are not bound to their cores, each sees all cores of the machine.

    Args:
        trainer: The run's Trainer.
    """
    cores = os.environ.get("SLURM_CPUS_PER_TASK")
    if cores is None or "OMP_NUM_THREADS" in os.environ:
        return
    sharing = trainer.world_size if launch() is None else 1  # of processes that Lightning starts
    count = max(1, int(cores) // sharing)
    torch.set_num_threads(count)
    os.environ["OMP_NUM_THREADS"] = str(count)  # which those take over, and Lightning leaves alone


def is_loss_of_another(error: BaseException) -> bool:
    """Return whether an error means that another process of the run has ended.

    Args:
        error: The error.

    Returns:
        Whether it is.
    """
    lost = "Connection closed by peer" in str(error) or "Connection reset by peer" in str(error)
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and lost)
