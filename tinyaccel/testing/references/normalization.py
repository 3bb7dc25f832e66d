"""References for normalisation and dropout: their textbook formulas, in mpmath."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np

from tinyaccel.testing.references.numbers import (
    DIGITS,
    Array,
    Index,
    Number,
    filled,
    numbers,
    packed,
)

Row: TypeAlias = tuple[int | slice, ...]


def dropout(x: Array, bits: Array, *, p: float) -> Array:
    import mpmath

    values = numbers(x)
    with mpmath.workdps(DIGITS):
        kept = 1 - mpmath.mpf(p)
        return filled(
            x.shape, lambda i: values[i] / kept if int(bits[i]) >= round(p * 2**32) else 0.0, x
        )


def _affine(given: Sequence[Array], absent: Sequence[int], first: int) -> tuple[Array, Array]:
    """Weight and bias as arrays of numbers, 1 and 0 for those that are not given.

    first  the position of the weight among all inputs
    """
    rest = iter(given)
    found = [
        numbers(next(rest)) if i < first + len(given) + len(absent) and i not in absent else None
        for i in (first, first + 1)
    ]
    weight, bias = found
    one, zero = np.array(1, dtype=object), np.array(0, dtype=object)
    return one if weight is None else weight, zero if bias is None else bias


def batch_norm(
    x: Array,
    mean: Array,
    var: Array,
    *affine: Array,
    eps: float,
    absent: Sequence[int] = (),
) -> Array:
    import mpmath

    weight, bias = _affine(affine, absent, 3)
    values, m, v = numbers(x), numbers(mean), numbers(var)

    def at(index: Index) -> Number:
        c = index[1]
        centred = mpmath.mpf(values[index]) - m[c]
        y = centred / mpmath.sqrt(mpmath.mpf(v[c]) + eps)
        return y * (weight[c] if weight.shape else 1) + (bias[c] if bias.shape else 0)

    with mpmath.workdps(DIGITS):
        return filled(x.shape, at, x)


def _by_row(x: Array, rows: Iterable[Row], function: Callable[[Array], Array]) -> Array:
    """`function` of the numbers of each part of x, which a row indexes."""
    import mpmath

    out = np.empty(x.shape, dtype=object)
    values = numbers(x)
    with mpmath.workdps(DIGITS):
        for row in rows:
            out[row] = function(np.asarray(np.frompyfunc(mpmath.mpf, 1, 1)(values[row])))
    return out


def _standardized(eps: float) -> Callable[[Array], Array]:
    import mpmath

    def function(v: Array) -> Array:
        mean = mpmath.fsum(v.ravel().tolist()) / v.size
        var = mpmath.fsum(((v - mean) ** 2).ravel().tolist()) / v.size
        return np.asarray((v - mean) / mpmath.sqrt(var + eps))

    return function


def _scaled(y: Array, weight: Array, bias: Array, like: Array) -> Array:
    import mpmath

    with mpmath.workdps(DIGITS):
        return packed(np.asarray(y * weight + bias, dtype=object), like)


def _leading(x: Array, normalized_shape: Index) -> Iterable[Row]:
    return np.ndindex(*x.shape[: x.ndim - len(normalized_shape)]) if x.size else ()


def layer_norm(
    x: Array,
    *affine: Array,
    normalized_shape: Index,
    eps: float,
    absent: Sequence[int] = (),
) -> Array:
    weight, bias = _affine(affine, absent, 1)
    y = _by_row(x, _leading(x, normalized_shape), _standardized(eps))
    return _scaled(y, weight, bias, x)


def rms_norm(x: Array, *affine: Array, normalized_shape: Index, eps: float | None) -> Array:
    import mpmath

    from tinyaccel.dtypes import as_dtype

    small = as_dtype(x.dtype).eps if eps is None else eps

    def function(v: Array) -> Array:
        mean = mpmath.fsum((v**2).ravel().tolist()) / v.size
        return np.asarray(v / mpmath.sqrt(mean + small))

    weight, bias = _affine(affine, (), 1)
    return _scaled(_by_row(x, _leading(x, normalized_shape), function), weight, bias, x)


def group_norm(
    x: Array, *affine: Array, num_groups: int, eps: float, absent: Sequence[int] = ()
) -> Array:
    size = x.shape[1] // num_groups
    rows = [(n, slice(g * size, (g + 1) * size)) for n in range(len(x)) for g in range(num_groups)]
    channels = (-1, *(1,) * (x.ndim - 2))
    weight, bias = (v.reshape(channels) if v.shape else v for v in _affine(affine, absent, 1))
    return _scaled(_by_row(x, rows if x.size else (), _standardized(eps)), weight, bias, x)
