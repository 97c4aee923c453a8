"""Several processes as Lightning is told of them."""

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

from espcn import checks
from espcn.runs.launch import launch


def processes(settings: dict[str, Any]) -> tuple[dict[str, Any], ClusterEnvironment]:
    """Return what Lightning's Trainer is told, given how torchrun or srun started this process.

    Args:
        settings: The trainer's settings.

    Returns:
        Options of the Trainer, and its cluster environment.

    Raises:
        ValueError: The settings ask for other processes than were started.
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


def use_own_cores(trainer: pl.Trainer) -> None:
    """Use as many threads as SLURM has given this process cores, unless OMP_NUM_THREADS is set.

    A machine that does not bind processes to their cores shows all of its own to each.

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
    """Return whether an error is how a process learns that another one of its run has ended.

    Args:
        error: The error.

    Returns:
        Whether it is.
    """
    lost = "Connection closed by peer" in str(error) or "Connection reset by peer" in str(error)
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and lost)
