"""Threads for compiled loops, which do without the interpreter's lock."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from oligolearn.machine import available_processors

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Workers:
    """Threads that call functions; with one, it is the thread that asks.

    Parameters
    ----------
    number
        Threads; None for one for each processor.

    Raises
    ------
    ValueError
        It is below 1.
    """

    def __init__(self, number: int | None = None) -> None:
        if number is not None and number < 1:
            raise ValueError(f"threads must be 1 or more, found {number}")
        self.number = number or available_processors()

    def in_order(self, call: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
        """Results of calls, in the order of the items, few of which are taken before their turn."""
        if self.number == 1:
            yield from map(call, items)
            return
        waiting: deque[Future[_Result]] = deque()
        with ThreadPoolExecutor(self.number) as pool:
            for item in items:
                waiting.append(pool.submit(call, item))
                if len(waiting) > 2 * self.number:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def ranges(sizes: NDArray[np.int64], most: int, alone: int | None = None) -> Iterator[tuple[int, int]]:
    """Cut a list of things into neighbours of at most `most` in all; a thing of more than `alone` stays by itself.

    >>> list(ranges(np.array([2, 1, 5, 1, 1]), 3))
    [(0, 2), (2, 3), (3, 5)]
    """
    limit = most if alone is None else alone
    first, total = 0, 0
    for place, size in enumerate(sizes.tolist()):
        if place > first and (total + size > most or size > limit):
            yield first, place
            first, total = place, 0
        total += size
        if size > limit:
            yield first, place + 1
            first, total = place + 1, 0
    if first < len(sizes):
        yield first, len(sizes)
