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
    product,
    total,
)

_BOOL, _INT = np.empty(0, np.bool_), np.empty(0, np.int32)


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


def _nan_or(best: Callable[[list[Number]], Number], row: list[Number]) -> Number:
    nans = [v for v in row if v != v]
    return nans[0] if nans else best(row)


def _largest(row: list[Number]) -> Number:
    return _nan_or(builtins.max, row)


def _smallest(row: list[Number]) -> Number:
    return _nan_or(builtins.min, row)


def max(x: Array, *, axis: Index, keepdims: bool) -> Array:
    return _reduced(_largest, x, axis, keepdims)


def min(x: Array, *, axis: Index, keepdims: bool) -> Array:
    return _reduced(_smallest, x, axis, keepdims)


def _place(best: Callable[[list[Number]], Number], x: Array, axis: int, keepdims: bool) -> Array:
    def first(row: list[Number]) -> int:
        value = best(row)
        return next(i for i, v in enumerate(row) if v == value or (v != v and value != value))

    return _reduced(first, x, (axis,), keepdims, like=_INT)


def argmax(x: Array, *, axis: int, keepdims: bool) -> Array:
    return _place(_largest, x, axis, keepdims)


def argmin(x: Array, *, axis: int, keepdims: bool) -> Array:
    return _place(_smallest, x, axis, keepdims)


def prod(x: Array, *, axis: Index, keepdims: bool) -> Array:
    return _reduced(product, x, axis, keepdims)


def any(x: Array, *, axis: Index, keepdims: bool) -> Array:
    return _reduced(lambda row: _count(row) > 0, x, axis, keepdims, like=_BOOL)


def all(x: Array, *, axis: Index, keepdims: bool) -> Array:
    return _reduced(lambda row: _count(row) == len(row), x, axis, keepdims, like=_BOOL)


def count_nonzero(x: Array, *, axis: Index, keepdims: bool) -> Array:
    return _reduced(_count, x, axis, keepdims, like=_INT)


def _count(row: list[Number]) -> int:
    return len([v for v in row if v != 0])


def _mean_of(row: Sequence[Number]) -> Number:
    import mpmath

    return mpmath.fsum(row) / len(row) if row else math.nan


def mean(x: Array, *, axis: Index, keepdims: bool) -> Array:
    import mpmath

    with mpmath.workdps(DIGITS):
        return _reduced(_mean_of, x, axis, keepdims)


def _variance(row: Sequence[Number], correction: int) -> Number:
    import mpmath

    middle = _mean_of(row)
    free = builtins.max(len(row) - correction, 0)
    spread = mpmath.fsum((v - middle) ** 2 for v in row)
    return spread / free if free else (math.nan if spread == 0 else math.inf)


def var(x: Array, *, axis: Index, correction: int, keepdims: bool) -> Array:
    import mpmath

    with mpmath.workdps(DIGITS):
        return _reduced(lambda row: _variance(row, correction), x, axis, keepdims)


def std(x: Array, *, axis: Index, correction: int, keepdims: bool) -> Array:
    import mpmath

    with mpmath.workdps(DIGITS):
        return _reduced(lambda row: mpmath.sqrt(_variance(row, correction)), x, axis, keepdims)


def logsumexp(x: Array, *, axis: Index, keepdims: bool) -> Array:
    import mpmath

    def function(row: list[Number]) -> Number:
        return mpmath.log(mpmath.fsum(map(mpmath.exp, row))) if row else -math.inf

    with mpmath.workdps(DIGITS):
        return _reduced(function, x, axis, keepdims)


def norm(x: Array, *, ord: float, axis: Index, keepdims: bool) -> Array:
    import mpmath

    def function(row: list[Number]) -> Number:
        sizes = [mpmath.fabs(v) for v in row]
        if math.isinf(ord):
            return builtins.max(sizes) if ord > 0 else builtins.min(sizes)
        if ord == 0:
            return float(_count(row))
        if ord < 0 and 0 in sizes:
            return 0.0
        return mpmath.fsum(s**ord for s in sizes) ** (1 / mpmath.mpf(ord))

    with mpmath.workdps(DIGITS):
        return _reduced(function, x, axis, keepdims)
