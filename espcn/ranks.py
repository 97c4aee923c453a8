"""A run of several processes: which of them this is, and the one directory that all of them share.

Reads what torchrun, SLURM's srun and Lightning leave in the environment; needs torch only to ask
torchrun's other processes for the directory.
"""

import os
import signal
import subprocess
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

INTERACTIVE = ("bash", "interactive")  # names of SLURM jobs that Lightning takes for a shell


class Launch(NamedTuple):
    """How a launcher started this process: by which, its number of all of them, and their count."""

    by: str
    rank: int
    nodes: int
    per_node: int


def launch() -> Launch | None:
    """Give how torchrun or srun started this process; None if neither did.

    Raises a ValueError if SLURM has several tasks, and this process can't be told from the others.
    """
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env:
        size, per_node = int(env["WORLD_SIZE"]), int(env["LOCAL_WORLD_SIZE"])
        return Launch("torchrun", int(env["RANK"]), size // per_node, per_node)
    size = int(env.get("SLURM_NTASKS", 1))
    if "SLURM_STEP_ID" not in env:
        if size > 1 and slurm_job() is not None:
            raise ValueError(
                f"SLURM has {size} tasks for this job, but one process was started: write srun "
                "before python, or ask for one task"
            )
        return None
    if slurm_job() is None:
        if size > 1:
            raise ValueError(
                f"srun has started {size} processes in a job whose name is that of a shell: start "
                "it with --job-name=train"
            )
        return None
    nodes = int(env.get("SLURM_NNODES", 1))
    if size % nodes:
        raise ValueError(
            f"srun must start as many processes on each of {nodes} machines, but starts {size} in "
            "all: say --ntasks-per-node"
        )
    return Launch("srun", int(env["SLURM_PROCID"]), nodes, size // nodes)


def rank() -> int:
    """Give the number of this process in its run, from 0, which is the one that writes."""
    launched = launch()
    # Lightning's own children, on this machine, know their number from it.
    return launched.rank if launched else int(os.environ.get("LOCAL_RANK", 0))


def own_cores() -> int | None:
    """Give how many cores SLURM has given this process; None where that is not said.

    A node that does not bind its processes shows all its cores to each.
    """
    count = os.environ.get("SLURM_CPUS_PER_TASK")
    return int(count) if count and "OMP_NUM_THREADS" not in os.environ else None


def check_alone(trainer: Mapping[str, Any]) -> None:
    """Raise a ValueError unless a sweep's job is one process: more would each begin the sweep."""
    launched = launch()
    if launched and launched.nodes * launched.per_node > 1:
        what = f"{launched.by} has started {launched.nodes * launched.per_node}"
    elif trainer["devices"] != 1 or trainer["strategy"] != "auto":
        what = f"`trainer` asks for more (devices={trainer['devices']})"
    else:
        return
    raise ValueError(
        f"each job of a sweep (-m) must be one process, but {what}: leave that out, and take "
        "hydra/launcher=joblib for several jobs at once, or start each run by itself"
    )


def slurm_job() -> str | None:
    """Give the number of the SLURM job that this is part of, which stays when it is requeued."""
    return None if os.environ.get("SLURM_JOB_NAME") in INTERACTIVE else os.getenv("SLURM_JOB_ID")


def new_directory(parent: str, settings: str = "") -> str:
    """Name the directory of a new run: by the time, the same for all its processes.

    In a SLURM job by the job, and by `settings`, a name for those of a run, so that the job finds
    it again when it is requeued. Under torchrun the process that asks first decides, and when
    torchrun starts its processes again they are told the same.
    """
    job = slurm_job()
    if job is not None:
        return f"{parent}/slurm/{job}{settings and f'-{settings}'}"
    name = f"{parent}/{datetime.now():%Y-%m-%d/%H-%M-%S}"
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return name
    from torch.distributed import TCPStore  # torchrun's own, which outlives its processes

    store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    return store.compare_set("espcn/directory", "", name).decode()


def requeue() -> bool:
    """Have SLURM start this job again when it has ended; say whether it will."""
    job = slurm_job()
    if job is None:
        return False
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # with which SLURM ends the job at once
    try:
        return subprocess.run(["scontrol", "requeue", job], check=False).returncode == 0
    except FileNotFoundError:
        return False
