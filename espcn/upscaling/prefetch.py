"""An iterator that a background thread fills ahead of its consumer."""

import threading
from collections.abc import Generator, Iterator
from queue import Full, Queue
from typing import Any, TypeVar

T = TypeVar("T")

_END = object()


def prefetch(items: Iterator[T], most: int = 2) -> Generator[T, None, None]:
    """Iterate while a background thread prefetches up to `most` items.

    Reading, computing and writing overlap in this way: each waits only for what it needs. When the
    consumer stops, the thread ends after its current item.

    Args:
        items: What to iterate over.
        most: How many items may wait.

    Yields:
        The items, in order.

    Raises:
        BaseException: Whatever `items` raises.
    """
    line: Queue[tuple[Any, BaseException | None]] = Queue(most)
    left = threading.Event()

    def put(item: Any, error: BaseException | None = None) -> None:
        while not left.is_set():
            try:
                line.put((item, error), timeout=0.1)
                return
            except Full:
                continue

    def run() -> None:
        try:
            for item in items:
                put(item)
                if left.is_set():
                    return
            put(_END)
        except BaseException as error:  # handed on, whatever it is
            put(_END, error)
        finally:
            if hasattr(items, "close"):
                items.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            item, error = line.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        left.set()
        thread.join()
