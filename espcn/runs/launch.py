"""How this process was launched: its rank, the world size, the run's shared directory.

Reads the environment variables of torchrun, SLURM's srun and Lightning; needs PyTorch only to ask
torchrun's other processes for the directory.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

SHELLS = ("bash", "interactive")  # names of SLURM jobs in which Lightning too sees a shell
TIMEOUT = timedelta(seconds=60)


class Launch(NamedTuple):
    """How a launcher started this process.

    Attributes:
        launcher: torchrun or srun.
        rank: Global rank, from 0.
        node_count: Number of machines.
        processes_per_node: Number of processes on each machine.
    """

    launcher: str
    rank: int
    node_count: int
    processes_per_node: int

    @property
    def world_size(self) -> int:
        """World size."""
        return self.node_count * self.processes_per_node


def launch() -> Launch | None:
    """Return how torchrun or srun started this process.

    Returns:
        The launch; None if neither started it.

    Raises:
        ValueError: SLURM runs several tasks, and this process can't determine its own.
    """
    env = os.environ
    if "TORCHELASTIC_RUN_ID" in env:
        size, per_node = int(env["WORLD_SIZE"]), int(env["LOCAL_WORLD_SIZE"])
        return Launch("torchrun", int(env["RANK"]), size // per_node, per_node)
    size, by_srun = int(env.get("SLURM_NTASKS", 1)), "SLURM_STEP_ID" in env
    if slurm_job() is None:
        if size > 1 and by_srun:
            raise ValueError(
                f"srun has started {size} processes in a job whose name is that of a shell: start "
                "it with --job-name=train"
            )
        return None
    if size == 1:
        return Launch("srun", 0, 1, 1) if by_srun else None
    if not by_srun:
        raise ValueError(
            f"SLURM has {size} tasks for this job, but one process was started: write srun before "
            "python, or ask for one task"
        )
    if "SLURM_NTASKS_PER_NODE" not in env:
        raise ValueError(
            f"srun has started {size} processes, and must know how many on each machine: say "
            "--ntasks-per-node instead of --ntasks"
        )
    per_node = int(env["SLURM_NTASKS_PER_NODE"])
    return Launch("srun", int(env["SLURM_PROCID"]), size // per_node, per_node)


def rank() -> int:
    """Return the global rank of this process.

    Returns:
        The rank, from 0; rank 0 writes the files.
    """
    launched = launch()
    # Processes that Lightning itself starts, on this machine, get their rank from it.
    return launched.rank if launched else int(os.environ.get("LOCAL_RANK", 0))


def tell(line: str) -> None:
    """Print a line once, on rank 0.

    Args:
        line: The line.
    """
    if rank() == 0:
        print(line)


def check_alone(trainer: Mapping[str, Any]) -> None:
    """Check that a sweep's job is a single process; several would each start the whole sweep.

    Args:
        trainer: The trainer's settings: `devices` and `strategy`.

    Raises:
        ValueError: The job has, or requests, several processes.
    """
    launched = launch()
    if launched and launched.world_size > 1:
        what = f"{launched.launcher} has started {launched.world_size}"
    elif trainer["strategy"] != "auto":
        what = f"`trainer.strategy` (={trainer['strategy']}) is for several"
    elif trainer["devices"] != 1 and not _is_one(trainer["devices"]):
        what = f"`trainer` asks for more (devices={trainer['devices']})"
    else:
        return
    raise ValueError(
        f"each job of a sweep (-m) must be one process, but {what}: omit that, and use "
        "hydra/launcher=joblib to run several jobs at once, or start each run on its own"
    )


def _is_one(devices: Any) -> bool:
    """Return whether devices are a list of one, such as [1] for the second GPU."""
    is_list = isinstance(devices, Sequence) and not isinstance(devices, str)  # Hydra's is no list
    return is_list and len(devices) == 1


def slurm_job() -> str | None:
    """Return the ID of the SLURM job that this process is part of.

    Returns:
        The ID, which a requeued job keeps; None outside SLURM, or in an interactive shell.
    """
    return None if os.environ.get("SLURM_JOB_NAME") in SHELLS else os.environ.get("SLURM_JOB_ID")


def run_directory(parent: str, resumed: str | None = None) -> str:
    """Return the directory of a run, the same one in all of its processes.

    In a SLURM job it is named after the job and the command, so that a requeued job finds it. Under
    torchrun the first process determines it.

    Args:
        parent: The directory of all runs.
        resumed: The directory of the run to resume, if any.

    Returns:
        `resumed`, or a path below `parent` with the date and the time.
    """
    if resumed is not None:
        return resumed
    job = slurm_job()
    if job is not None:
        command = hashlib.sha256(json.dumps(sys.argv[1:]).encode()).hexdigest()[:8]
        return f"{parent}/slurm/{job}-{command}"
    name = f"{parent}/{datetime.now():%Y-%m-%d/%H-%M-%S}"
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return name
    from torch.distributed import TCPStore  # torchrun's own, which outlives its processes

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(address, port, is_master=False, timeout=TIMEOUT)
    return store.compare_set("espcn/directory", "", name).decode()


def requeue() -> bool:
    """Ask SLURM to requeue this job.

    Returns:
        Whether it will.
    """
    job = slurm_job()
    if job is None:
        return False
    if "SLURM_ARRAY_JOB_ID" in os.environ:  # the ID alone may stand for the whole array
        job = "{SLURM_ARRAY_JOB_ID}_{SLURM_ARRAY_TASK_ID}".format_map(os.environ)
    try:
        return subprocess.run(["scontrol", "requeue", job], check=False).returncode == 0
    except FileNotFoundError:
        return False
