"""DataLoader: which images, in which order, and that nothing else has a say in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyaccel as ta
from tinyaccel.data import ArrayDataset, DataLoader
from tinyaccel.errors import ArgumentError


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
