"""Ctrl-C and SIGTERM: one way to be stopped, and its name for the record."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interrupts(signals: list[str]) -> Iterator[None]:
    """Let SIGTERM stop a run as Ctrl-C does; add to `signals` the names of those that came.

    Gives both their old meaning back afterwards: Lightning switches Ctrl-C off once it came.
    """

    def stop(signum: int, frame: Any) -> None:
        signals.append(signal.Signals(signum).name)
        raise KeyboardInterrupt

    old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in old:
            signal.signal(number, stop)
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
