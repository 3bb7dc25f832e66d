"""DataLoader: which images, in which order, and that nothing else has a say in it."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyaccel as ta
from tinyaccel.data import ArrayDataset, DataLoader, Transform
from tinyaccel.data.ahead import ahead
from tinyaccel.errors import ArgumentError, DataError, ShapeError

Array = npt.NDArray[Any]


def _numbers(n: int) -> ArrayDataset:
    """n images, each with its own number as its only pixel and as its label."""
    return ArrayDataset(np.arange(n, dtype=np.float32).reshape(n, 1), np.arange(n), name="numbers")


def _labels(loader: DataLoader, epoch: int) -> list[int]:
    return [int(k) for _, y in loader.epoch(epoch) for k in y]


@given(
    n=st.integers(1, 40), size=st.integers(1, 50), shuffle=st.booleans(), drop=st.booleans(),
    seed=st.integers(0, 2**64 - 1), epoch=st.integers(0, 2**31 - 1),
)  # fmt: skip
def test_every_image_once(
    n: int, size: int, shuffle: bool, drop: bool, seed: int, epoch: int
) -> None:
    """len() batches have each image once; at most once where the last batch is dropped."""
    loader = DataLoader(_numbers(n), size, shuffle=shuffle, seed=seed, drop_last=drop)
    batches = list(loader.epoch(epoch))
    labels = [int(k) for _, y in batches for k in y]
    size = min(size, n)
    assert len(batches) == len(loader)
    assert all(len(y) == size for _, y in batches[:-1])
    assert len(set(labels)) == len(labels) == (n - n % size if drop else n)
    for x, y in batches:
        assert x[:, 0].tolist() == y.tolist()  # images keep their labels
        assert (x.dtype.name, y.dtype.name) == ("float32", "int32")
    if not shuffle:
        assert labels == list(range(len(labels)))


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    """Iterating, other loaders, NumPy's generator and the global seed have no say in it."""
    first = DataLoader(_numbers(50), 8, shuffle=True, seed=3)
    wanted = [_labels(first, k) for k in range(3)]
    np.random.default_rng().random()
    ta.manual_seed(99)
    again = DataLoader(_numbers(50), 8, shuffle=True, seed=3)
    assert [[int(k) for _, y in again for k in y] for _ in range(3)] == wanted
    again.set_epoch(1)
    assert [int(k) for _, y in again for k in y] == wanted[1]
    assert _labels(again, 0) == wanted[0]
    other_size = DataLoader(_numbers(50), 50, shuffle=True, seed=3)
    assert _labels(other_size, 2) == wanted[2]


def test_epochs_and_seeds_differ() -> None:
    """Twenty epochs and seeds give twenty orders, none of which is the unshuffled one."""
    orders = [
        tuple(DataLoader(_numbers(30), shuffle=True, seed=seed).order(epoch))
        for seed in (0, 1, 2**32, 2**63)
        for epoch in range(5)
    ]
    assert len({*orders, tuple(range(30))}) == 21


def test_a_known_order() -> None:
    """One order, written down: the same with every version, on every machine."""
    assert DataLoader(_numbers(8), shuffle=True, seed=0).order(0).tolist() == [
        3,
        7,
        0,
        4,
        1,
        5,
        2,
        6,
    ]


def test_places_are_equally_likely() -> None:
    """Over 2,000 epochs each of 5 images is in each of 5 places about 400 times."""
    loader = DataLoader(_numbers(5), shuffle=True, seed=1)
    counts = np.zeros((5, 5))
    for epoch in range(2000):
        counts[np.arange(5), loader.order(epoch)] += 1
    assert ((counts - 400) ** 2 / 400).sum() < 39  # chi-squared, 16 degrees of freedom, p = 0.001


def test_a_batch_larger_than_the_data() -> None:
    """It is one batch of everything, with drop_last too."""
    for drop in (False, True):
        loader = DataLoader(_numbers(3), 64, drop_last=drop)
        assert (len(loader), loader.batch_size) == (1, 3)
        assert _labels(loader, 0) == [0, 1, 2]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "batch 0": ({"batch_size": 0}, "DataLoader: batch_size=0; expected 1 or more"),
    "batch 2.5": ({"batch_size": 2.5}, "DataLoader: batch_size=2.5; expected 1 or more"),
    "workers -1": ({"workers": -1}, "DataLoader: workers=-1; expected 0 or more"),
    "workers True": ({"workers": True}, "DataLoader: workers=True; expected 0 or more"),
    "prefetch 0": ({"prefetch": 0}, "DataLoader: prefetch=0; expected 1 or more"),
    "a function as transform": (
        {"transform": len},
        "DataLoader: transform=<built-in function len>; expected a Transform: make a subclass, or "
        "give a function of a batch as map=",
    ),
    "map": ({"map": 3}, "DataLoader: map=3; expected a function of x and y"),
    "seed -1": ({"seed": -1}, "seed: -1; expected an integer from 0 to 2**64 - 1"),
    "seed too large": (
        {"seed": 2**64},
        "seed: 18446744073709551616; expected an integer from 0 to 2**64 - 1",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_it_refuses(case: str) -> None:
    """Each impossible option gives its one line."""
    options, text = WRONG[case]
    with pytest.raises(ArgumentError) as caught:
        DataLoader(_numbers(3), **options)
    assert str(caught.value) == text


@pytest.mark.parametrize("epoch", [-1, 2**31, 0.5])
def test_epochs_that_there_are_not(epoch: Any) -> None:
    """An epoch that would wrap around the counter is refused, at once where it is set."""
    with pytest.raises(ArgumentError, match="expected an integer from 0 to 2"):
        DataLoader(_numbers(3)).set_epoch(epoch)
    with pytest.raises(ArgumentError, match="expected an integer from 0 to 2"):
        list(DataLoader(_numbers(3), shuffle=True).epoch(epoch))


# From the middle of an epoch


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_from_a_batch_on(workers: int) -> None:
    """From batch k on: the same as the rest of the whole epoch; from the end on: nothing."""
    loader = DataLoader(_numbers(23), 5, shuffle=True, seed=2, workers=workers)
    whole = [y.tolist() for _, y in loader.epoch(4)]
    for start in range(6):
        assert [y.tolist() for _, y in loader.epoch(4, start)] == whole[start:]


@pytest.mark.parametrize("start", [-1, 6, 1.0])
def test_batches_that_there_are_not(start: Any) -> None:
    """A batch before the first or past the end is refused at once."""
    with pytest.raises(ArgumentError) as caught:
        DataLoader(_numbers(23), 5).epoch(0, start)
    assert str(caught.value) == f"DataLoader: start={start!r}; expected a batch, 0 to 5"


# map


def test_map_is_done_to_each_batch_at_last() -> None:
    """It gets the normalised batch; what it gives is float32, and int32 or float32."""
    whole = ArrayDataset(np.arange(6.0).reshape(6, 1), np.arange(6), mean=1.0, std=0.5)

    def smooth(x: Array, y: Array) -> tuple[Array, Array]:
        return x.astype(np.float64) + 100, np.eye(6)[y]

    batches = list(DataLoader(whole, 4, map=smooth))
    assert np.concatenate([x for x, _ in batches])[:, 0].tolist() == [98, 100, 102, 104, 106, 108]
    assert np.concatenate([y for _, y in batches]).tolist() == np.eye(6).tolist()
    assert {(x.dtype.name, y.dtype.name) for x, y in batches} == {("float32", "float32")}
    (_, y) = next(iter(DataLoader(whole, 4, map=lambda x, y: (x, y.astype(np.int64)))))
    assert y.dtype == np.int32


MAPPED: dict[str, tuple[Any, str]] = {
    "x alone": (lambda x, y: x, "DataLoader: map gave ndarray; expected (x, y), two NumPy arrays"),
    "a list": (lambda x, y: (x, [1, 2]),
               "DataLoader: map gave (ndarray, list); expected (x, y), two NumPy arrays"),
    "nothing": (lambda x, y: None,
                "DataLoader: map gave NoneType; expected (x, y), two NumPy arrays"),
    "one less": (lambda x, y: (x[1:], y),
                 "DataLoader: map gave x (1, 1) and y (2,) for a batch of 2; expected 2 of both: "
                 "what leaves samples out belongs into the data set"),
}  # fmt: skip


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("case", MAPPED)
def test_maps_that_give_something_else(case: str, workers: int) -> None:
    """One line says what came, on threads too."""
    function, text = MAPPED[case]
    with pytest.raises(DataError) as caught:
        list(DataLoader(_numbers(2), map=function, workers=workers))
    assert str(caught.value) == text


class _Dropped(Transform):
    """A mistake: the first image is left out."""

    def apply(self, x: Any, words: Any) -> Any:
        return x[1:]


def test_a_transform_that_changes_the_number_of_images() -> None:
    """It would give images others' labels, and is refused, from a thread too."""
    with pytest.raises(ShapeError, match=r"_Dropped: it made \(2, 1\) of images \(3, 1\)"):
        list(DataLoader(_numbers(3), transform=_Dropped(), workers=1))


# Threads


def _threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("tinyaccel-data")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Whatever a test does with a loader, none of its threads outlives it."""
    assert _threads() == []
    yield
    assert _threads() == []


def test_batches_come_in_order_however_long_they_take() -> None:
    """Every third takes longest, so that on four threads the next ones are done before it."""

    def slow(x: Array, y: Array) -> tuple[Array, Array]:
        time.sleep(0.01 if y[0] % 3 == 0 else 0)
        return x, y

    def batches(workers: int, prefetch: int) -> list[list[int]]:
        loader = DataLoader(
            _numbers(30), 2, shuffle=True, map=slow, workers=workers, prefetch=prefetch
        )
        return [y.tolist() for _, y in loader.epoch(1)]

    wanted = batches(0, 1)
    assert batches(4, 1) == batches(2, 3) == wanted


def test_threads_work_ahead_but_not_without_bound() -> None:
    """Before the first of ten is used, all that may be begun is begun: workers * prefetch more."""
    begun: list[int] = []
    enough = threading.Event()

    def make(item: int) -> int:
        begun.append(item)
        if len(begun) == 7:
            enough.set()
        return item

    results = ahead(make, range(10), workers=2, prefetch=3)
    assert begun == []  # nothing before it is asked for
    assert next(results) == 0
    assert enough.wait(5)
    time.sleep(0.02)  # in which an eighth would be begun too
    assert len(begun) == 7
    for k in range(1, 3):
        assert next(results) == k
        assert len(begun) <= k + 7
    results.close()


def test_what_waits_is_not_made_after_the_end() -> None:
    """The end waits for the one that is being made, and makes none of those behind it."""
    begun: list[int] = []
    goes_on = threading.Event()

    def make(item: int) -> int:
        begun.append(item)
        if item:
            goes_on.wait(5)
        return item

    results = ahead(make, range(10), workers=1, prefetch=6)
    next(results)
    threading.Timer(0.05, goes_on.set).start()
    results.close()
    assert begun in ([0], [0, 1])


def test_an_exception_arrives_in_its_turn() -> None:
    """What is wrong with the third batch is raised after the second, as it is."""

    def fails(x: Array, y: Array) -> tuple[Array, Array]:
        if 4 in y:
            raise OSError("disk gone")
        return x, y

    batches = iter(DataLoader(_numbers(20), 2, map=fails, workers=3))
    assert [next(batches)[1].tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(OSError, match=r"^disk gone$"):
        next(batches)
    assert _threads() == []
    assert list(batches) == []


def test_leaving_the_loop_early_leaves_no_thread() -> None:
    """Neither break, nor an exception, nor an iterator that is closed or dropped."""
    loader = DataLoader(_numbers(40), 2, workers=2)
    for _ in loader:
        assert _threads()
        break
    assert _threads() == []

    def consume() -> None:
        for _ in loader:
            raise OverflowError("enough")

    with pytest.raises(OverflowError, match="enough"):
        consume()
    assert _threads() == []
    kept = iter(loader)
    next(kept)
    assert _threads()
    del kept
    assert _threads() == []


@pytest.mark.skipif(sys.platform == "win32", reason="no signal can be sent to a thread")
def test_ctrl_c_while_waiting_for_a_batch() -> None:
    """It arrives at once, though no batch does, and the thread ends with its batch."""
    waits, goes_on = threading.Event(), threading.Event()

    def stuck(x: Array, y: Array) -> tuple[Array, Array]:
        waits.set()
        goes_on.wait(5)
        return x, y

    def press() -> None:
        waits.wait(5)
        time.sleep(0.05)  # by when the consumer, too, waits
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        threading.Timer(0.05, goes_on.set).start()

    presser = threading.Thread(target=press)
    presser.start()
    started = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        next(iter(DataLoader(_numbers(4), 2, map=stuck, workers=1)))
    presser.join()
    assert time.perf_counter() - started < 3


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_is_never_written_to_again(workers: int) -> None:
    """Batches that are kept hold at the end what they held when they came."""
    loader = DataLoader(_numbers(20), 3, shuffle=True, workers=workers)
    kept, copies = [], []
    for x, y in loader:
        kept.append((x, y))
        copies.append((x.copy(), y.copy()))
    for pair, copy in zip(kept, copies, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(pair, copy, strict=True))
    kept[0][0][:] = -1
    assert all((x >= 0).all() for x, _ in loader)
