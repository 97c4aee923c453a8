"""Ctrl-C, SIGTERM and SIGUSR1: one way to be stopped, and its name for the record."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# The last is what SLURM can be asked to send some time before a job's end.
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@contextmanager
def interrupts(signals: list[str]) -> Iterator[None]:
    """Let the others of STOPS stop a run as Ctrl-C does; add to `signals` the names of what came.

    Gives all their old meaning back afterwards: Lightning switches Ctrl-C off once it came.
    """

    def stop(signum: int, frame: Any) -> None:
        signals.append(signal.Signals(signum).name)
        raise KeyboardInterrupt

    old = {number: signal.getsignal(number) for number in STOPS}
    try:
        for number in old:
            signal.signal(number, stop)
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
