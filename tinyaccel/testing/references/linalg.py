"""References for products: exact sums over explicit rows and columns."""

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
from tinyaccel.testing.references.numbers import dot as dot_of


def matmul(a: Array, b: Array, *, precision: str) -> Array:  # the exact product
    left, right = numbers(a), numbers(b)
    left = left[None] if a.ndim == 1 else left
    right = right[:, None] if b.ndim == 1 else right
    ndim = max(left.ndim, right.ndim) - 2
    batch = filled_shape(left.shape[:-2], right.shape[:-2], ndim)
    wide = a.dtype == np.float64

    def matrix(values: Array, index: Index) -> Array:
        own = values.shape[:-2]
        return values[tuple(0 if n == 1 else i for i, n in zip(index[ndim - len(own) :], own))]  # type: ignore[no-any-return]  # noqa: B905

    def at(index: Index) -> Number:
        row = matrix(left, index[:ndim])[index[-2]]
        column = matrix(right, index[:ndim])[:, index[-1]]
        return dot_of(zip(row.tolist(), column.tolist(), strict=True), wide)

    y = filled((*batch, left.shape[-2], right.shape[-1]), at, a)
    vectors = [axis for axis, x in ((-2, a), (-1, b)) if x.ndim == 1]
    return np.squeeze(y, tuple(vectors))


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
        return dot_of(pairs, wide)

    return filled((*x.shape[:-1], weight.shape[0]), at, x)


def tensordot(a: Array, b: Array, *, axes: tuple[Index, Index]) -> Array:
    """For each index of the result, the pairs that meet, one after another."""
    left, right = numbers(a), numbers(b)
    rows = [i for i in range(a.ndim) if i not in axes[0]]
    columns = [i for i in range(b.ndim) if i not in axes[1]]
    met = [a.shape[i] for i in axes[0]]

    def at(index: Index) -> Number:
        pairs = []
        for summed in np.ndindex(*met):
            place_a = dict(zip(rows, index, strict=False)) | dict(zip(axes[0], summed, strict=True))
            behind = index[len(rows) :]
            place_b = dict(zip(columns, behind, strict=True)) | dict(
                zip(axes[1], summed, strict=True)
            )
            first = left[tuple(place_a[i] for i in range(a.ndim))]
            pairs.append((first, right[tuple(place_b[i] for i in range(b.ndim))]))
        return dot_of(pairs, a.dtype == np.float64)

    shape = (*(a.shape[i] for i in rows), *(b.shape[i] for i in columns))
    return filled(shape, at, a)


def dot(a: Array, b: Array) -> Array:
    if not a.ndim or not b.ndim:
        return tensordot(a, b, axes=((), ()))
    return tensordot(a, b, axes=((a.ndim - 1,), (b.ndim - 2 if b.ndim > 1 else 0,)))


def inner(a: Array, b: Array) -> Array:
    if not a.ndim or not b.ndim:
        return tensordot(a, b, axes=((), ()))
    return tensordot(a, b, axes=((a.ndim - 1,), (b.ndim - 1,)))


def outer(a: Array, b: Array) -> Array:
    return tensordot(a, b, axes=((), ()))


def vecdot(a: Array, b: Array, *, axis: int) -> Array:
    rows, columns = np.broadcast_arrays(np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1))
    left, right = numbers(rows), numbers(columns)

    def at(index: Index) -> Number:
        pairs = zip(left[index].tolist(), right[index].tolist(), strict=True)
        return dot_of(pairs, a.dtype == np.float64)

    return filled(rows.shape[:-1], at, a)


def kron(a: Array, b: Array) -> Array:
    ndim = max(a.ndim, b.ndim)
    left = numbers(a).reshape((1,) * (ndim - a.ndim) + a.shape)
    right = numbers(b).reshape((1,) * (ndim - b.ndim) + b.shape)

    def at(index: Index) -> Number:
        coarse = tuple(i // n for i, n in zip(index, right.shape, strict=True))
        fine = tuple(i % n for i, n in zip(index, right.shape, strict=True))
        return dot_of([(left[coarse], right[fine])], a.dtype == np.float64)

    shape = tuple(n * m for n, m in zip(left.shape, right.shape, strict=True))
    return filled(shape, at, a)


def trace(x: Array, *, offset: int) -> Array:
    values = numbers(x)

    def at(index: Index) -> Number:
        rows = range(max(-offset, 0), min(x.shape[-2], x.shape[-1] - offset))
        terms = [values[(*index, i, i + offset)] for i in rows]
        return total(terms or [0])

    return filled(x.shape[:-2], at, x)
