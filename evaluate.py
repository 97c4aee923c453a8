"""Score a network on test sets: compose the configuration, call the job, set the exit code.

python evaluate.py
python evaluate.py ckpt=outputs/2026-01-31/12-00-00/best.ckpt
python evaluate.py --help
"""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import hydra
from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from espcn.interrupts import STOPPED, interrupts
from espcn.openmp import wait_asleep
from espcn.runs.directory import LOCK, remove_refused
from espcn.runs.identity import check_names, plain_settings
from espcn.runs.overrides import check_overrides
from espcn.runs.resolvers import register_resolvers
from espcn.stdout import accept_all_names, shorten_warnings

register_resolvers()


_refused = False  # whether a job of several could not be carried out


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
def main(config: DictConfig) -> None:
    """Evaluate one network; `-m` calls this once a job."""
    directory = Path(HydraConfig.get().runtime.output_dir)
    lock = FileLock(directory / LOCK)
    try:
        with suppress(NotImplementedError):  # a cluster's file system may have no locks
            lock.acquire(blocking=False)
        _evaluate(plain_settings(config), directory)
    except Timeout:  # two that began in the same second
        _refuse(f"another process writes to {directory}: name another folder by output=DIR")
    except (ValueError, OSError) as error:
        _remove_empty(directory)
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        _refuse(str(error))
    except KeyboardInterrupt:
        _remove_empty(directory)
        raise
    finally:
        lock.release()


def _evaluate(settings: dict[str, Any], directory: Path) -> None:
    from espcn.evaluation.evaluate import evaluate  # torch: only when there is work to do
    from espcn.imaging.degradation import Degradation

    shorten_warnings()
    check_names(settings, "evaluate")
    degradation = Degradation.from_settings(settings)
    for name in (*Degradation.names(), "output"):  # `output` is the directory
        del settings[name]
    evaluate(**settings, degradation=degradation, directory=directory)


def _refuse(error: str) -> None:
    """End with an error; where there are several jobs, once the others are done."""
    global _refused
    if HydraConfig.get().mode == RunMode.RUN:
        sys.exit(f"Error: {error}")
    print(f"Error: {error}", file=sys.stderr)
    _refused = True


def _remove_empty(directory: Path) -> None:
    """Remove the folder that Hydra has made for an evaluation that wrote nothing."""
    remove_refused(directory)
    with suppress(OSError):  # it holds figures, or is gone
        directory.rmdir()


if __name__ == "__main__":
    wait_asleep()
    accept_all_names()
    try:
        check_overrides(sys.argv[1:], "evaluate")
    except ValueError as error:
        sys.exit(f"Error: {error}")
    try:
        with interrupts([]):
            main()
        sys.exit(1 if _refused else 0)
    except KeyboardInterrupt:
        print("\nStopped", file=sys.stderr)
        sys.exit(STOPPED)
