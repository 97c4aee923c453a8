"""Hydra callbacks: check an output directory before its use, gather a sweep when it ends."""

import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from espcn.io.atomic import check_folder
from espcn.runs.directory import CONFIG, note_missing
from espcn.runs.gather import gather

_begun: Path | None = None  # the directory of a sweep that is not gathered yet
_queued = False  # whether its jobs run under SLURM, which outlives this process


class GatherSweep(Callback):
    """Gathers a sweep once its last job has ended."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember the sweep's directory for `gather_rest`.

        Args:
            config: The sweep's configuration.
            **kwargs: Unused.
        """
        global _begun, _queued
        _begun = Path(config.hydra.sweep.dir)
        _queued = "submitit" in config.hydra.launcher._target_

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write and print the table.

        Args:
            config: The sweep's configuration.
            **kwargs: Unused.

        Raises:
            SystemExit: A job has not completed; the exit code is 1.
        """
        global _begun
        _begun = None
        try:
            rows = gather(Path(config.hydra.sweep.dir))
        except Exception as error:  # Hydra would make it a warning, and exit with 0
            print(f"Error: the sweep could not be gathered: {error}", file=sys.stderr)
            rows = []
        if not rows or any(row["status"] != "completed" for row in rows):
            # Hydra turns every other exception here into a warning.
            raise SystemExit(1)


def gather_rest() -> Path | None:
    """Gather a sweep whose launcher stopped, on Ctrl-C or because a job was killed.

    Hydra does not call `on_multirun_end` then.

    Returns:
        The sweep's directory; None if there is no sweep to gather.
    """
    if _begun is not None and any(_begun.glob(f"*/{CONFIG}")):
        gather(_begun)
    if _begun is not None and _queued:
        print(
            "SLURM keeps running this sweep's jobs. When they have ended, gather them with "
            f"python -m espcn.runs.gather {_begun}, or cancel them with scancel",
            file=sys.stderr,
        )
    return _begun


class CheckFolder(Callback):
    """Exits with a one-line message if the output directory is not writable.

    Hydra itself would print a traceback of its own code.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check a run's directory.

        Args:
            config: The run's configuration.
            **kwargs: Unused.
        """
        _check("hydra.run.dir", config.hydra.run.dir)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check a sweep's directory.

        Args:
            config: The sweep's configuration.
            **kwargs: Unused.
        """
        _check("hydra.sweep.dir", config.hydra.sweep.dir)


def _check(setting: str, directory: str) -> None:
    note_missing(Path(directory))
    try:
        check_folder(Path(directory), setting, directory)
    except ValueError as error:
        raise SystemExit(f"Error: {error}") from None  # Hydra makes all else a warning
