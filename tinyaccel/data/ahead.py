"""Work done ahead on threads: results in order, a bound on how many wait, no thread left behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    make: Callable[[Item], Result], items: Iterable[Item], workers: int, prefetch: int
) -> Generator[Result, None, None]:
    """make(item) for each item, in the order of the items, on `workers` threads.

    At most workers * prefetch results are begun before they are asked for. What `make` raises is
    raised here, in its turn. Whatever ends the iteration (its end, `break`, an exception, Ctrl-C,
    the iterator's being dropped) waits for what is being made, and then no thread is left.

    >>> list(ahead(str, range(4), workers=2, prefetch=1))
    ['0', '1', '2', '3']
    """
    left = iter(items)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="tinyaccel-data")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in islice(left, workers * prefetch):
            waiting.append(pool.submit(make, item))
        while waiting:
            result = waiting.popleft().result()
            for item in islice(left, 1):  # before the result is used, so that threads have work
                waiting.append(pool.submit(make, item))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
