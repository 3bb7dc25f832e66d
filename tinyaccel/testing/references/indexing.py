"""References for indexing: explicit loops over indices."""

from __future__ import annotations

import numpy as np

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
