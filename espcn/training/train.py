"""The training job of train.py: one run, from its configuration to its result file."""

import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from espcn.evaluation.samples import save_samples
from espcn.interrupts import REQUEUES, ignore_interrupts, interrupts
from espcn.network.weights import load
from espcn.report.pages.directory import showing, write_pages
from espcn.runs.directory import LOCK, read_result, remove_refused
from espcn.runs.identity import flatten
from espcn.runs.launch import rank, requeue, tell
from espcn.runs.sweep import is_finished
from espcn.training.processes import is_loss_of_another
from espcn.training.run import Run

NOT_BEGUN = "the sweep was stopped before this job began"

_interrupted = False  # once a person has stopped a sweep, its later jobs do not begin


def train(
    settings: dict[str, Any], directory: Path, command: str | None = None, in_sweep: bool = False
) -> dict[str, Any]:
    """Carry out a run, or the rest of it.

    A finished run is skipped; a stopped one resumes from its last.ckpt. A directory in use by
    another process is left alone. Errors within the run are not raised: the result's `status` is
    then failed or interrupted, its `error` says why, and a message is printed.

    Args:
        settings: Plain settings.
        directory: The run's directory.
        command: The command that reproduces the run or, for a resumed run, what was changed; None
            for nothing.
        in_sweep: Whether the run is part of a sweep, whose table needs a result even if the run is
            rejected. Otherwise a run that fails before it starts leaves no directory.

    Returns:
        The content of its result.json; `requeued` says whether SLURM will restart the job.
    """
    if rank() > 0:
        return _train(settings, directory, command, in_sweep)
    lock = FileLock(directory / LOCK)
    try:
        with suppress(NotImplementedError):  # a cluster's file system may have no locks
            lock.acquire(timeout=1)  # a sweep's table may look at it for a moment
        result = _train(settings, directory, command, in_sweep)
        if not in_sweep:
            if os.name == "nt":  # where what is open can't be removed
                lock.release()
            remove_refused(directory)  # while it is locked
        return result
    except Timeout:
        error = f"another process is at work in {directory}: wait for it, or stop it first"
        print(f"Error: {error}", file=sys.stderr)
        return {"status": "failed", "error": error} | flatten(settings)
    finally:
        lock.release()


def check(settings: dict[str, Any], directory: Path, here: bool) -> None:
    """Check all settings of a run that is not begun yet.

    Args:
        settings: Plain settings.
        directory: A directory that does not exist, in place of the run's.
        here: Whether the run is for this machine, and not for one with other devices.

    Raises:
        ValueError: A setting is out of its range; the message names it.
    """
    Run(settings, directory, {}).check(here)


def _train(
    settings: dict[str, Any], directory: Path, command: str | None, in_sweep: bool
) -> dict[str, Any]:
    global _interrupted
    done = read_result(directory)
    if done is not None and is_finished(done, settings):
        tell(f"Finished already: {directory}")
        return done
    if _interrupted:
        return {"status": "interrupted", "error": NOT_BEGUN}
    result: dict[str, Any] = {"status": "failed", "error": None} | flatten(settings)
    run = Run(settings, directory, result, command)
    signals: list[str] = []
    threads = torch.get_num_threads()
    with interrupts(signals):
        try:
            run.carry_out()
            result["status"] = "completed"
        except BaseException as error:
            # Lightning makes Ctrl-C into SystemExit; where another process was stopped first, this
            # one may see no more than that it is gone.
            if signals or not isinstance(error, Exception):
                ignore_interrupts()
                _interrupted = True
                by = ", ".join(signals) or type(error).__name__
                result |= {"status": "interrupted", "error": f"stopped by {by}"}
                if rank() == 0 and not set(REQUEUES).isdisjoint(signals):
                    result["requeued"] = requeue()
            else:
                result["error"] = _say(error)
        ignore_interrupts()  # what is known is written down
        refused = result["status"] == "failed" and not run.began and not in_sweep
        if rank() == 0 and not refused and (run.began or done is None):  # else the figures hold
            try:
                run.record()
                _show(run)
            except OSError as error:
                result |= {"status": "failed", "error": _say(error)}
    torch.set_num_threads(threads)  # a sweep's next job has its own
    return result


def _show(run: Run) -> None:
    """Write sample patches and the page, once the result is saved."""
    with showing(run.directory):
        best = run.directory / "best.ckpt"
        if run.patches is not None and best.is_file():
            save_samples(run.directory / "patches", load(ckpt=best).network, run.patches)
        print(f"Report: {write_pages(run.directory)[0]}")


def _say(error: Exception) -> str:
    """Print an error, with a traceback if it is a bug; return it in words."""
    words = f"{error}" or type(error).__name__
    expected = isinstance(error, ValueError | OSError | MisconfigurationException)
    if is_loss_of_another(error):
        words, expected = "another process of this run has ended: see what it said", True
    if not expected or os.environ.get("HYDRA_FULL_ERROR") == "1":
        traceback.print_exc()
    print(f"Error{f' in process {rank()}' if rank() else ''}: {words}", file=sys.stderr)
    return words
