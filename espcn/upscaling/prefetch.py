"""One thing ahead of the other: an iterator that runs in a thread of its own."""

import threading
from collections.abc import Generator, Iterator
from queue import Full, Queue
from typing import Any, TypeVar

T = TypeVar("T")

_END = object()


def prefetch(items: Iterator[T], most: int = 2) -> Generator[T, None, None]:
    """Give the items of an iterator that goes on by itself, up to `most` of them ahead.

    So reading, computing and writing overlap: each waits only for what it needs. What the iterator
    raises is raised here; when nobody wants more, it ends after the item that it is at.
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
