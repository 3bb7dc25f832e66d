"""References for the reductions: a list of numbers at a time."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence

import numpy as np

from tinyaccel.testing.references.numbers import (
    DIGITS,
    Array,
    Index,
    Number,
    numbers,
    packed,
    total,
)


def _rows(x: Array, axis: Index) -> tuple[list[list[Number]], Index]:
    """The elements that become one result, for each result; and the shape that is kept."""
    kept = tuple(i for i in range(x.ndim) if i not in axis)
    shape = tuple(x.shape[i] for i in kept)
    ordered = numbers(x).transpose(*kept, *axis)
    count = math.prod(shape)
    rows = ordered.reshape(count, x.size // count if count else 0)
    return rows.tolist(), shape


def _reduced(
    function: Callable[[list[Number]], Number],
    x: Array,
    axis: Index,
    keepdims: bool,
    like: Array | None = None,
) -> Array:
    rows, shape = _rows(x, axis)
    values = np.empty(len(rows), dtype=object)
    for i, row in enumerate(rows):
        values[i] = function(row)
    if keepdims:
        shape = tuple(1 if i in axis else n for i, n in enumerate(x.shape))
    return packed(values, x if like is None else like).reshape(shape)


def sum(x: Array, *, axis: Index, keepdims: bool) -> Array:
    return _reduced(total, x, axis, keepdims)


def _largest(row: list[Number]) -> Number:
    return next((v for v in row if v != v), None) if any(v != v for v in row) else builtins.max(row)


def max(x: Array, *, axis: Index, keepdims: bool) -> Array:
    return _reduced(_largest, x, axis, keepdims)


def min(x: Array, *, axis: Index, keepdims: bool) -> Array:
    def smallest(row: list[Number]) -> Number:
        return (
            next((v for v in row if v != v), None)
            if any(v != v for v in row)
            else builtins.min(row)
        )

    return _reduced(smallest, x, axis, keepdims)


def argmax(x: Array, *, axis: int, keepdims: bool) -> Array:
    def first(row: list[Number]) -> int:
        best = _largest(row)
        return next(i for i, v in enumerate(row) if v == best or (v != v and best != best))

    return _reduced(first, x, (axis,), keepdims, like=np.empty(0, np.int32))


def _mean_of(row: Sequence[Number]) -> Number:
    import mpmath

    return mpmath.fsum(row) / len(row) if row else math.nan


def mean(x: Array, *, axis: Index, keepdims: bool) -> Array:
    import mpmath

    with mpmath.workdps(DIGITS):
        return _reduced(_mean_of, x, axis, keepdims)


def var(x: Array, *, axis: Index, correction: int, keepdims: bool) -> Array:
    import mpmath

    def function(row: list[Number]) -> Number:
        middle = _mean_of(row)
        free = len(row) - correction
        spread = mpmath.fsum((v - middle) ** 2 for v in row)
        return spread / free if free else (math.nan if spread == 0 else math.inf)

    with mpmath.workdps(DIGITS):
        return _reduced(function, x, axis, keepdims)
