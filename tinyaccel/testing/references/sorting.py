"""References for sorting: Python's own sort, which is stable, by an explicit order."""

from __future__ import annotations

import numpy as np

from tinyaccel.testing.references.numbers import Array, Index, filled, numbers


def _rank(value: float) -> tuple[bool, float]:
    """What to sort by: a NaN is larger than any number, and one NaN equals another."""
    return (True, 0.0) if value != value else (False, value)


def _order(row: list[float], descending: bool) -> list[int]:
    """Which element of a row stands where; `reverse` leaves equals in their order."""
    return sorted(range(len(row)), key=lambda i: _rank(row[i]), reverse=descending)


def argsort(x: Array, *, axis: int, descending: bool) -> Array:
    values = numbers(x)
    orders = {
        outer: _order(list(np.moveaxis(values, axis, -1)[outer]), descending)
        for outer in np.ndindex(*x.shape[:axis], *x.shape[axis + 1 :])
    }

    def at(index: Index) -> int:
        return orders[(*index[:axis], *index[axis + 1 :])][index[axis]]

    return filled(x.shape, at, np.zeros((), np.int32))


def sort(x: Array, *, axis: int, descending: bool) -> Array:
    values, order = numbers(x), argsort(x, axis=axis, descending=descending)

    def at(index: Index) -> float:
        found: float = values[(*index[:axis], int(order[index]), *index[axis + 1 :])]
        return found

    return filled(x.shape, at, x)
