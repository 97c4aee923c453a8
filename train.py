"""Train ESPCN: compose the configuration, carry out the run or the sweep, set the exit code.

python train.py blur=0.5 optim=adam
python train.py -m blur=0.1,0.25,0.5
python train.py --help
"""

import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from espcn.interrupts import REQUEUES, STOPPED, interrupts
from espcn.openmp import wait_asleep
from espcn.runs.directory import CONFIG, remove_refused, settings_of, store_config
from espcn.runs.hydra_callbacks import gather_rest
from espcn.runs.identity import PLACES
from espcn.runs.launch import check_alone, launch, rank, requeue
from espcn.runs.overrides import check_overrides
from espcn.runs.resolvers import register_resolvers
from espcn.stdout import accept_all_names, shorten_warnings

register_resolvers()


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> str:
    """Carry out one run, and return its status; a sweep calls this once a job."""
    job = HydraConfig.get()
    directory = Path(job.runtime.output_dir)
    sweeping = job.mode == RunMode.MULTIRUN
    try:
        if sweeping:
            check_alone(config.trainer)
        settings = settings_of(config, directory, job.overrides.task)
        if sweeping and not (directory / CONFIG).is_file():
            # For the table, which has a row for a refused job, too.
            store_config(settings, directory)
    except (ValueError, OSError) as error:
        remove_refused(directory)  # Hydra has made it, for a run that there is not
        if sweeping:
            with suppress(OSError):  # a job's that others are in
                directory.rmdir()
        sys.exit(f"Error: {error}")
    from espcn.training.train import (  # torch and Lightning: only when there is work to do
        NOT_BEGUN,
        train,
    )

    shorten_warnings()  # in every process of a launcher, too
    # What makes the run again anywhere: without where its images lie, or where it is written to.
    places = tuple(f"{name}=" for name in ("resume", *PLACES))
    said = [o for o in job.overrides.task if not o.lstrip("+").startswith(places)]
    again = ["resume=DIR"] if config.resume is not None else []
    command = shlex.join(["python", "train.py", *again, *said]) if said or not again else None
    result = train(settings, directory, command, sweeping)
    if result["status"] == "interrupted" and result["error"] != NOT_BEGUN and rank() == 0:
        go_on = f"-m ... hydra.sweep.dir={job.sweep.dir}" if sweeping else f"resume={directory}"
        how = f"Resume with: {'...' if launch() else 'python train.py'} {go_on}"
        requeued = result.get("requeued", False)
        print(f"\nStopped. {'SLURM starts the job again' if requeued else how}", file=sys.stderr)
        if requeued and sweeping:
            # Not returning: who launched the job would take it for done.
            sys.stdout.flush()
            os._exit(STOPPED)
    # A sweep goes on with its other jobs, and sets the exit code when it has gathered them all.
    if not sweeping and result["status"] != "completed":
        sys.exit(STOPPED if result["status"] == "interrupted" else 1)
    return result["status"]


if __name__ == "__main__":
    wait_asleep()
    accept_all_names()
    try:
        check_overrides(sys.argv[1:])
    except ValueError as error:
        sys.exit(f"Error: {error}")
    signals: list[str] = []
    try:
        with interrupts(signals):
            main()
    except KeyboardInterrupt:  # before there was a run to stop, or while others carry out the jobs
        swept = gather_rest()
        go_on = f". Resume with: python train.py -m ... hydra.sweep.dir={swept}"
        print(f"\nStopped{go_on if swept else ' before the run began'}", file=sys.stderr)
        if rank() == 0 and not set(REQUEUES).isdisjoint(signals):
            requeue()
        sys.exit(STOPPED)
    except SystemExit:
        gather_rest()  # of a sweep whose launcher gave up
        raise
