"""Turns for runs on one machine, so that concurrent runs don't slow each other down.

A step consists of dozens of short pieces of work, each split over all threads, and a piece is done
when its last thread is. If two runs each have one thread per core, that thread waits for
milliseconds until the other run frees a core: on two cores, two concurrent runs took 1.9 times as
long as one after the other. The runs therefore take turns, each using all cores.
"""

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic

import torch
from filelock import FileLock, Timeout

LENGTH = 0.1  # seconds
PATIENCE = 5.0  # seconds; whoever has the turn for longer is suspended, as by Ctrl-Z
_POLL = 0.002  # seconds


def meeting_place() -> Path:
    """Return the folder through which a user's runs on the same cores coordinate.

    Returns:
        A folder of temporary files, local to this machine; it need not exist.
    """
    user = os.getuid() if hasattr(os, "getuid") else "all"
    cores = hashlib.sha256(repr(_cores()).encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"espcn-turns-{user}-{cores}"


def needs_turns() -> bool:
    """Return whether another run like this one would find no free core.

    Returns:
        Whether this process has more than one thread, and more threads than half the cores.
    """
    threads = torch.get_num_threads()
    return threads > 1 and 2 * threads > len(_cores())


class Turns:
    """The turns of one run.

    Only one run at a time may queue for the next turn, so that the waiting run gets it, rather than
    the one that has just had a turn. A run that has waited in vain continues without a turn until
    one is free at once, and queues again occasionally, for a fiftieth of its time in total:
    otherwise it would almost never get a turn from a run that never waits.

    Args:
        folder: The folder for coordination; created if missing.
        longest: The longest wait for a turn, in seconds.
        clock: A monotonic clock, in seconds.

    Attributes:
        waited: Whether the run ever had to wait for others.
        patience: How long it will wait next, in seconds.

    Raises:
        OSError: The folder is not usable, or is accessible to other users.
    """

    def __init__(
        self, folder: Path, longest: float = PATIENCE, clock: Callable[[], float] = monotonic
    ) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        # Whoever else made it could keep the turn, or lead the locks' names to this user's files.
        if hasattr(os, "getuid") and (
            not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022
        ):
            raise PermissionError(f"{folder} must be a folder in which only its owner may write")
        self._queue, self._turn = FileLock(folder / "queue"), FileLock(folder / "turn")
        self._longest, self._clock = longest, clock
        self.patience, self._began, self._again = longest, 0.0, 0.0
        self.waited = False

    @property
    def has_turn(self) -> bool:
        """Whether this run has the turn."""
        return bool(self._turn.is_locked)

    def take(self) -> None:
        """Wait for a turn and begin it."""
        if not self._try(0.0):
            self.waited = True
            if self._clock() >= self._again and not self._try(self.patience):
                self.patience = self._longest / 10
                self._again = self._clock() + 5 * self._longest
        if self.has_turn:
            self.patience, self._again = self._longest, 0.0
        self._began = self._clock()

    def share(self) -> None:
        """Wait for the next turn if this one has lasted long enough."""
        if self._clock() - self._began > LENGTH:
            self.end()
            self.take()

    def end(self) -> None:
        """End the turn."""
        self._turn.release()

    def _try(self, timeout: float) -> bool:
        """Queue for the turn and take it, each within some seconds; return whether it worked."""
        with suppress(Timeout), self._queue.acquire(timeout, poll_interval=_POLL):
            self._turn.acquire(timeout, poll_interval=_POLL)
        return self.has_turn


def _cores() -> list[int]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
