"""An iterator that a background thread fills ahead of its consumer."""

import threading
from collections.abc import Generator, Iterator
from queue import Full, Queue
from typing import Any, TypeVar

T = TypeVar("T")

_END = object()


def prefetch(items: Iterator[T], most: int = 2) -> Generator[T, None, None]:
    """Iterate while a background thread prefetches up to `most` items.

    Reading, computing and writing can then overlap. When the consumer stops, the thread ends after
    its current item and closes `items`.

    Args:
        items: What to iterate over.
        most: Maximum number of items in the queue, at least 1.

    Yields:
        The items, in order.

    Raises:
        BaseException: Whatever `items` raises.
    """
    queue: Queue[tuple[Any, BaseException | None]] = Queue(most)
    consumer_left = threading.Event()

    def put(item: Any, error: BaseException | None = None) -> None:
        while not consumer_left.is_set():
            try:
                queue.put((item, error), timeout=0.1)
                return
            except Full:
                continue

    def run() -> None:
        try:
            for item in items:
                put(item)
                if consumer_left.is_set():
                    return
            put(_END)
        except BaseException as error:  # raised again in the consumer's thread
            put(_END, error)
        finally:
            if hasattr(items, "close"):
                items.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            item, error = queue.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        consumer_left.set()
        thread.join()
