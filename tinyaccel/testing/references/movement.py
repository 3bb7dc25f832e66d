"""References for movement: explicit loops over indices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyaccel.dtypes import Scalar
from tinyaccel.testing.references.numbers import (
    Array,
    Index,
    Number,
    filled,
    numbers,
)


def reshape(x: Array, *, shape: Index) -> Array:
    flat = iter(numbers(x).ravel().tolist())
    return filled(shape, lambda _: next(flat), x)


def permute_dims(x: Array, *, axes: Index) -> Array:
    values = numbers(x)

    def at(index: Index) -> Number:
        source = [0] * len(axes)
        for i, axis in zip(index, axes, strict=True):
            source[axis] = i
        return values[tuple(source)]

    return filled(tuple(x.shape[a] for a in axes), at, x)


def broadcast_to(x: Array, *, shape: Index) -> Array:
    values, extra = numbers(x), len(shape) - x.ndim

    def at(index: Index) -> Number:
        return values[
            tuple(0 if n == 1 else i for i, n in zip(index[extra:], x.shape, strict=True))
        ]

    return filled(shape, at, x)


def flip(x: Array, *, axis: Index) -> Array:
    values = numbers(x)

    def at(index: Index) -> Number:
        turned = (x.shape[a] - 1 - i if a in axis else i for a, i in enumerate(index))
        return values[tuple(turned)]

    return filled(x.shape, at, x)


def pad(x: Array, *, widths: Sequence[tuple[int, int, int]], value: Scalar) -> Array:
    shape = tuple(
        low + high + n + between * max(n - 1, 0)
        for n, (low, high, between) in zip(x.shape, widths, strict=True)
    )
    places = {
        tuple(w[0] + i * (w[2] + 1) for i, w in zip(index, widths, strict=True)): v
        for index, v in np.ndenumerate(numbers(x))
    }
    return filled(shape, lambda index: places.get(index, value), x)


def slice_(x: Array, *, starts: Index, stops: Index, steps: Index) -> Array:
    values = numbers(x)
    taken = list(map(range, starts, stops, steps))

    def at(index: Index) -> Number:
        return values[tuple(places[i] for places, i in zip(taken, index, strict=True))]

    return filled(tuple(map(len, taken)), at, x)


def concat(*xs: Array, axis: int) -> Array:
    values = [numbers(x) for x in xs]
    shape = list(xs[0].shape)
    shape[axis] = sum(x.shape[axis] for x in xs)

    def at(index: Index) -> Number:
        i, which = index[axis], 0
        while i >= xs[which].shape[axis]:
            i -= xs[which].shape[axis]
            which += 1
        return values[which][(*index[:axis], i, *index[axis + 1 :])]

    return filled(tuple(shape), at, xs[0])


def expand_dims(x: Array, *, axis: int) -> Array:
    at = axis if axis >= 0 else axis + x.ndim + 1
    return reshape(x, shape=(*x.shape[:at], 1, *x.shape[at:]))


def squeeze(x: Array, *, axis: Index) -> Array:
    return reshape(x, shape=tuple(n for i, n in enumerate(x.shape) if i not in axis))
