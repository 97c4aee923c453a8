"""Train ESPCN: compose the configuration, carry out the run or the sweep, set the exit code.

python train.py blur=0.5 optim=adam
python train.py -m blur=0.1,0.25,0.5
python train.py --help
"""

import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from espcn import runs

runs.register_resolvers()


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> None:
    """Carry out one run; a sweep calls this once a job."""
    job = HydraConfig.get()
    directory = Path(job.runtime.output_dir)
    try:
        settings = runs.settle(config, directory, job.overrides.task)
    except ValueError as error:
        sys.exit(f"Error: {error}")
    from espcn.training import train  # torch and Lightning: only when there is work to do

    result = train(settings, directory)
    # A sweep goes on with its other jobs, and sets the exit code when it has gathered them all.
    if job.mode == RunMode.RUN and result["status"] != "completed":
        sys.exit(1)


if __name__ == "__main__":
    main()
