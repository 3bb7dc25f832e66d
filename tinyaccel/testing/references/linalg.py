"""References for products: exact sums over explicit rows and columns."""

from __future__ import annotations

import numpy as np

from tinyaccel.testing.references.numbers import (
    Array,
    Index,
    Number,
    dot,
    filled,
    numbers,
)


def matmul(a: Array, b: Array, *, precision: str) -> Array:  # the exact product
    left, right = numbers(a), numbers(b)
    ndim = max(a.ndim, b.ndim) - 2
    batch = filled_shape(a.shape[:-2], b.shape[:-2], ndim)
    wide = a.dtype == np.float64

    def matrix(values: Array, index: Index) -> Array:
        own = values.shape[:-2]
        return values[tuple(0 if n == 1 else i for i, n in zip(index[ndim - len(own) :], own))]  # type: ignore[no-any-return]  # noqa: B905

    def at(index: Index) -> Number:
        row = matrix(left, index[:ndim])[index[-2]]
        column = matrix(right, index[:ndim])[:, index[-1]]
        return dot(zip(row.tolist(), column.tolist(), strict=True), wide)

    return filled((*batch, a.shape[-2], b.shape[-1]), at, a)


def filled_shape(a: Index, b: Index, ndim: int) -> Index:
    """Two batch shapes, broadcast."""
    sizes = [(1,) * (ndim - len(s)) + s for s in (a, b)]
    return tuple(n if m == 1 else m for n, m in zip(*sizes, strict=True))


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    rows, columns = numbers(x), numbers(weight)
    wide = x.dtype == np.float64

    def at(index: Index) -> Number:
        pairs = list(zip(rows[index[:-1]].tolist(), columns[index[-1]].tolist(), strict=True))
        if bias is not None:
            pairs.append((float(bias[index[-1]]), 1.0))
        return dot(pairs, wide)

    return filled((*x.shape[:-1], weight.shape[0]), at, x)
