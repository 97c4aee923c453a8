"""An iterator that runs ahead: the same items, the same errors, and it ends when it should."""

import threading
import time
from collections.abc import Iterator

import pytest

from espcn.io.prefetch import prefetch


def test_items_come_in_order() -> None:
    assert list(prefetch(iter(range(1000)))) == list(range(1000))
    assert list(prefetch(iter([]))) == []


def test_work_goes_on_while_an_item_is_used_but_not_too_far() -> None:
    made = []

    def make() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    items = prefetch(make(), most=2)
    assert next(items) == 0
    for _ in range(100):
        if len(made) == 4:  # one in hand, two in line, one waiting for its place
            break
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [0, 1, 2, 3]
    assert list(items) == list(range(1, 10))


def test_error_is_raised_after_the_items_before_it() -> None:
    def make() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    items = prefetch(make())
    assert next(items) == 1
    with pytest.raises(OSError, match="gone"):
        next(items)


def test_leaving_early_ends_the_thread_and_closes_the_iterator() -> None:
    ended = threading.Event()
    workers = []

    def make() -> Iterator[int]:
        workers.append(threading.current_thread())
        try:
            while True:
                yield 1
        finally:
            ended.set()

    items = prefetch(make())
    next(items)
    items.close()
    assert ended.is_set()
    assert not workers[0].is_alive()
