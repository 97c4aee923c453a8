"""The job behind train.py: one run, from its configuration to its result file."""

import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from espcn.interrupts import REQUEUES, ignore_interrupts, interrupts
from espcn.runs.directory import LOCK, read_result
from espcn.runs.identity import flatten
from espcn.runs.launch import rank, requeue
from espcn.runs.sweep import is_finished
from espcn.training.processes import is_loss_of_another
from espcn.training.run import Run, tell

_interrupted = False  # once a person has stopped a sweep, its later jobs do not begin


def train(settings: dict[str, Any], directory: Path, command: str | None = None) -> dict[str, Any]:
    """Carry out a run, or the rest of it.

    A finished run is skipped; a stopped one resumes from its last.ckpt. A directory in which
    another process is at work is left to that process. Nothing that goes wrong inside the run is
    raised: the result's `status` is then failed or interrupted, its `error` says why, and a message
    is printed.

    Args:
        settings: Plain settings.
        directory: The run's directory.
        command: What makes the run again or, when it is resumed, what was changed; None for
            nothing.

    Returns:
        The content of its result.json; `requeued` says whether SLURM starts the job again.
    """
    if rank() > 0:
        return _train(settings, directory, command)
    lock = FileLock(directory / LOCK)
    try:
        with suppress(NotImplementedError):  # a cluster's file system may have no locks
            lock.acquire(blocking=False)
        return _train(settings, directory, command)
    except Timeout:
        error = f"another process is at work in {directory}: wait for it, or stop it first"
        print(f"Error: {error}", file=sys.stderr)
        return {"status": "failed", "error": error} | flatten(settings)
    finally:
        lock.release()


def _train(settings: dict[str, Any], directory: Path, command: str | None) -> dict[str, Any]:
    global _interrupted
    done = read_result(directory)
    if done is not None and is_finished(done, settings):
        tell(f"Finished already: {directory}")
        return done
    if _interrupted:
        return {"status": "interrupted", "error": "the sweep was stopped before this job began"}
    result: dict[str, Any] = {"status": "failed", "error": None} | flatten(settings)
    run = Run(settings, directory, result, command)
    signals: list[str] = []
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
        if rank() == 0 and (run.began or done is None):  # else the figures there still hold
            try:
                run.record()
            except OSError as error:
                result |= {"status": "failed", "error": _say(error)}
    return result


def _say(error: Exception) -> str:
    """Print what went wrong, with a traceback if it is a fault of ours; return it in words."""
    words = f"{error}" or type(error).__name__
    expected = isinstance(error, ValueError | OSError)
    if is_loss_of_another(error):
        words, expected = "another process of this run has ended: see what it said", True
    if not expected or os.environ.get("HYDRA_FULL_ERROR") == "1":
        traceback.print_exc()
    print(f"Error{f' in process {rank()}' if rank() else ''}: {words}", file=sys.stderr)
    return words
