"""Signals that stop a run, turned into KeyboardInterrupt and recorded by name."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Signals that SLURM or submitit send shortly before a job's time limit; Windows has neither.
REQUEUES = [name for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name)]
STOPPED = 130  # the shell's code for a command that Ctrl-C ended
STOPS = [signal.Signals[name] for name in ("SIGINT", "SIGTERM", *REQUEUES)]


@contextmanager
def interrupts(signals: list[str]) -> Iterator[None]:
    """Turn every signal in STOPS into KeyboardInterrupt; restore the handlers on exit.

    Lightning disables Ctrl-C once it has handled it, so the old handlers are put back.

    Args:
        signals: Receives the name of each signal.

    Yields:
        Nothing.
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


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold back Ctrl-C until the block ends, and for good from processes that start within it.

    A terminal sends it to all of them; whoever started them tells them to end.

    Yields:
        Nothing.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which processes inherit
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


def ignore_interrupts() -> None:
    """Ignore all further signals in STOPS, within `interrupts`, while results are being written."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
