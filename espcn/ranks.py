"""A run of several processes: which of them this is, and the one directory that all of them share.

Reads what torchrun, SLURM's srun and Lightning leave in the environment; needs torch only to ask
torchrun's other processes for the directory.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

SHELLS = ("bash", "interactive")  # names of SLURM jobs in which Lightning too sees a shell
TIMEOUT = timedelta(seconds=60)


class Launch(NamedTuple):
    """How a launcher started this process: by which, its number of all, machines, and on each."""

    by: str
    rank: int
    nodes: int
    per_node: int

    @property
    def processes(self) -> int:
        """The number of all."""
        return self.nodes * self.per_node


def launch() -> Launch | None:
    """Give how torchrun or srun started this process; None if neither did.

    Raises a ValueError if SLURM has several tasks, and this process can't be told from the others.
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
    """Give the number of this process in its run, from 0, which is the one that writes."""
    launched = launch()
    # Lightning's own children, on this machine, know their number from it.
    return launched.rank if launched else int(os.environ.get("LOCAL_RANK", 0))


def check_alone(trainer: Mapping[str, Any]) -> None:
    """Raise a ValueError unless a sweep's job is one process: more would each begin the sweep."""
    launched = launch()
    if launched and launched.processes > 1:
        what = f"{launched.by} has started {launched.processes}"
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
    return None if os.environ.get("SLURM_JOB_NAME") in SHELLS else os.environ.get("SLURM_JOB_ID")


def run_directory(parent: str, resumed: str | None = None) -> str:
    """Name a run's directory: the resumed one's, or a new one by the time.

    The same for all processes of a run. In a SLURM job it is named by the job and by the command,
    so that the job finds it again when it is requeued. Under torchrun the process that asks first
    decides.
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
    """Have SLURM start this job again when it has ended; say whether it will."""
    job = slurm_job()
    if job is None:
        return False
    if "SLURM_ARRAY_JOB_ID" in os.environ:  # the number alone can stand for all of the array
        job = "{SLURM_ARRAY_JOB_ID}_{SLURM_ARRAY_TASK_ID}".format_map(os.environ)
    try:
        return subprocess.run(["scontrol", "requeue", job], check=False).returncode == 0
    except FileNotFoundError:
        return False
