"""Score a network on test sets: compose the configuration, call the job, set the exit code.

python evaluate.py
python evaluate.py ckpt=outputs/2026-01-31/12-00-00/best.ckpt
python evaluate.py --help
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from espcn.interrupts import STOPPED, interrupts
from espcn.openmp import wait_asleep
from espcn.runs.directory import remove_refused
from espcn.runs.identity import check_names, plain_settings
from espcn.runs.resolvers import register_resolvers
from espcn.stdout import accept_all_names, shorten_warnings

register_resolvers()


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
def main(config: DictConfig) -> None:
    """Evaluate one network; `-m` calls this once a job."""
    settings = plain_settings(config)
    directory = Path(HydraConfig.get().runtime.output_dir)
    try:
        from espcn.evaluation.evaluate import evaluate  # torch: only when there is work to do
        from espcn.imaging.degradation import Degradation

        shorten_warnings()
        check_names(settings, "evaluate")
        degradation = Degradation.from_settings(settings)
        for name in (*Degradation.names(), "output"):  # `output` is the directory
            del settings[name]
        evaluate(**settings, degradation=degradation, directory=directory)
    except (ValueError, OSError) as error:
        _remove_empty(directory)
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        _remove_empty(directory)
        raise


def _remove_empty(directory: Path) -> None:
    """Remove the folder that Hydra has made for an evaluation that wrote nothing."""
    remove_refused(directory)
    with suppress(OSError):  # it holds figures, or is gone
        directory.rmdir()


if __name__ == "__main__":
    wait_asleep()
    accept_all_names()
    try:
        with interrupts([]):
            main()
    except KeyboardInterrupt:
        print("\nStopped", file=sys.stderr)
        sys.exit(STOPPED)
