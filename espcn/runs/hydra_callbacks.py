"""Hydra callbacks: check an output directory and the values of a sweep, gather it when it ends."""

import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from espcn.interrupts import STOPPED
from espcn.io.atomic import check_folder
from espcn.runs.directory import CONFIG, note_missing, remove_refused
from espcn.runs.gather import gather
from espcn.runs.identity import check_names, plain_settings

_begun: Path | None = None  # the directory of a sweep that is not gathered yet
_queued = False  # whether its jobs run under SLURM, which outlives this process


class CheckSweep(Callback):
    """Ends a sweep before its first job if one of its values can't be used.

    Args:
        check: Checks a job's settings, given a directory that does not exist, and whether the job
            is for this machine; raises ValueError or OSError.
    """

    def __init__(self, check: Callable[[dict[str, Any], Path, bool], None]) -> None:
        self.check = check

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check each value of the sweep once, beside the first values of the other settings.

        Args:
            config: The sweep's configuration.
            **kwargs: Unused.

        Raises:
            SystemExit: A value can't be used; the exit code is 1.
        """
        loader = GlobalHydra.instance().config_loader()
        directory = Path(config.hydra.sweep.dir)
        # Jobs that run elsewhere have another machine's devices.
        here = "submitit" not in config.hydra.launcher._target_
        overrides: list[str] = []
        try:
            for overrides in _one_job_a_value(config, loader):
                job = loader.load_configuration("train", overrides, RunMode.RUN)
                if job.resume is not None:
                    raise ValueError(
                        f"`resume` (={job.resume}) must be one run, without -m: a sweep goes on by "
                        "-m ... hydra.sweep.dir=DIR"
                    )
                settings = plain_settings(job)
                check_names(settings)
                self.check(settings, directory / "none", here)
        except Exception as error:  # of which Hydra would make a warning, and go on
            if not isinstance(
                error, ValueError | OSError | HydraException | OmegaConfBaseException
            ):
                traceback.print_exc()
            remove_refused(directory)
            words = str(error).partition("\n")[0]
            which = f"; this one can't: {' '.join(overrides)}" if overrides else ""
            raise SystemExit(f"Error: {words}\nNo job has begun{which}") from None


class GatherSweep(Callback):
    """Gathers a sweep once its last job has ended."""

    def __init__(self) -> None:
        self.stopped = False

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Note whether a signal stopped the job, and with it the sweep.

        Args:
            config: The job's configuration.
            job_return: What came of it; its value is the run's status.
            **kwargs: Unused.
        """
        self.stopped |= job_return._return_value == "interrupted"

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
            SystemExit: A job has not completed; the exit code is 1, or STOPPED after a signal.
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
            raise SystemExit(STOPPED if self.stopped else 1)


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
        resumed = config.get("resume") is not None
        _check("resume" if resumed else "hydra.run.dir", config.hydra.run.dir)

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


def _one_job_a_value(config: DictConfig, loader: ConfigLoader) -> Iterator[list[str]]:
    """Yield the overrides of the first job, and of one more for each further value."""
    given = list(config.hydra.overrides.task)
    parser = OverridesParser.create(config_loader=loader)
    names = {one.key_or_group for one in parser.parse_overrides(given)}
    params = config.hydra.sweeper.get("params") or {}
    given += [f"{name}={value}" for name, value in params.items() if name not in names]
    values = []
    for one in parser.parse_overrides(given):
        key = one.get_key_element()
        if one.is_sweep_override():
            some = [f"{key}={value}" for value in one.sweep_string_iterator()]
            if not some:
                raise ValueError(
                    f"`{key}` (={str(one.input_line).partition('=')[2]}) must have a value to "
                    "sweep, but has none: give some, as in blur=0.1,0.5"
                )
            values.append(some)
        else:
            values.append([str(one.input_line)])
    first = [some[0] for some in values]
    yield first
    for place, some in enumerate(values):
        for value in some[1:]:
            yield [*first[:place], value, *first[place + 1 :]]
