"""References for indexing: explicit loops over indices."""

from __future__ import annotations

import numpy as np

from tinyaccel.dtypes import DType
from tinyaccel.testing.references.numbers import (
    Array,
    Index,
    Number,
    filled,
    numbers,
    total,
)


def take_along_axis(x: Array, indices: Array, *, axis: int) -> Array:
    values = numbers(x)

    def at(index: Index) -> Number:
        i = int(indices[index]) % x.shape[axis]  # -1 is the last
        return values[(*index[:axis], i, *index[axis + 1 :])]

    return filled(indices.shape, at, x)


def scatter_add(x: Array, indices: Array, updates: Array, *, axis: int) -> Array:
    terms: dict[Index, list[Number]] = {i: [v] for i, v in np.ndenumerate(numbers(x))}
    for index, update in np.ndenumerate(numbers(updates)):
        i = int(indices[index]) % x.shape[axis]
        terms[(*index[:axis], i, *index[axis + 1 :])].append(update)
    return filled(x.shape, lambda index: total(terms[index]), x)


def take(x: Array, indices: Array, *, axis: int) -> Array:
    values = numbers(x)
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])

    def at(index: Index) -> Number:
        i = int(indices[index[axis : axis + indices.ndim]]) % x.shape[axis]
        return values[(*index[:axis], i, *index[axis + indices.ndim :])]

    return filled(shape, at, x)


def _puts(x: Array, indices: Array, updates: Array, axis: int) -> dict[Index, list[Number]]:
    """For each place in x its own value, and then all that is put there, the first one first."""
    found: dict[Index, list[Number]] = {i: [v] for i, v in np.ndenumerate(numbers(x))}
    for index, update in np.ndenumerate(numbers(updates)):
        i = int(indices[index[axis : axis + indices.ndim]]) % x.shape[axis]
        found[(*index[:axis], i, *index[axis + indices.ndim :])].append(update)
    return found


def index_add(x: Array, indices: Array, updates: Array, *, axis: int) -> Array:
    terms = _puts(x, indices, updates, axis)
    return filled(x.shape, lambda index: total(terms[index]), x)


def index_set(x: Array, indices: Array, updates: Array, *, axis: int) -> Array:
    puts = _puts(x, indices, updates, axis)
    return filled(x.shape, lambda index: puts[index][-1], x)


def one_hot(indices: Array, *, num_classes: int, dtype: DType) -> Array:
    def at(index: Index) -> Number:
        return int(int(indices[index[:-1]]) % num_classes == index[-1])

    return filled((*indices.shape, num_classes), at, np.zeros((), dtype.numpy))
