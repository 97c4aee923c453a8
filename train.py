"""Train ESPCN: compose the configuration, carry out the run or the sweep, set the exit code.

python train.py blur=0.5 optim=adam
python train.py -m blur=0.1,0.25,0.5
python train.py --help
"""

import shlex
import sys
import warnings
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from espcn import runs
from espcn.interrupts import interrupts

runs.register_resolvers()
STOPPED = 130  # the shell's code for a command that Ctrl-C ended


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> None:
    """Carry out one run; a sweep calls this once a job."""
    job = HydraConfig.get()
    directory = Path(job.runtime.output_dir)
    if config.resume is not None and job.mode == RunMode.MULTIRUN:
        sys.exit("Error: `resume` must be one run, without -m; a sweep goes on by hydra.sweep.dir=")
    try:
        settings = runs.settle(config, directory, job.overrides.task)
    except ValueError as error:
        if not any(directory.iterdir()):
            directory.rmdir()  # Hydra has made it, for a run that there is not
        sys.exit(f"Error: {error}")
    from espcn.training import train  # torch and Lightning: only when there is work to do

    warnings.formatwarning = lambda message, *_, **__: f"Warning: {message}\n"
    # What makes the run again anywhere: without where its images lie, or where it is written to.
    said = [o for o in job.overrides.task if not o.startswith(("resume=", "data_dir="))]
    again = ["resume=DIR"] if config.resume is not None else []
    command = shlex.join(["python", "train.py", *again, *said]) if said or not again else None
    result, sweeping = train(settings, directory, command), job.mode == RunMode.MULTIRUN
    if result["status"] == "interrupted":
        go_on = f"-m ... hydra.sweep.dir={job.sweep.dir}" if sweeping else f"resume={directory}"
        print(f"\nStopped. Go on with: python train.py {go_on}", file=sys.stderr)
    # A sweep goes on with its other jobs, and sets the exit code when it has gathered them all.
    if not sweeping and result["status"] != "completed":
        sys.exit(STOPPED if result["status"] == "interrupted" else 1)


if __name__ == "__main__":
    try:
        with interrupts([]):
            main()
    except KeyboardInterrupt:  # before there was a run to stop
        print("\nStopped before the run began", file=sys.stderr)
        sys.exit(STOPPED)
