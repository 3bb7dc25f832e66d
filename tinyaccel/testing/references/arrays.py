"""References for movement, indexing, creation and random bits: explicit loops over indices."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from tinyaccel.dtypes import DType, Scalar
from tinyaccel.testing.references.numbers import (
    Array,
    Index,
    Number,
    dot,
    filled,
    is_float,
    numbers,
    total,
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


def arange(*, start: int, stop: int, step: int, dtype: DType) -> Array:
    values: list[Number] = list(itertools.takewhile(
        lambda v: v < stop if step > 0 else v > stop, itertools.count(start, step)
    ))  # fmt: skip
    like = np.empty(0, dtype.numpy)
    convert = float if is_float(like) else int
    return filled((len(values),), lambda index: convert(values[index[0]]), like)


def threefry(key: tuple[int, int], counter: tuple[int, int]) -> tuple[int, int]:
    """Threefry-2x32-20 as its paper writes it: a rotation per round, a key every fourth."""
    mask, rotations = 0xFFFFFFFF, (13, 15, 26, 6, 17, 29, 16, 24)
    keys = (*key, 0x1BD11BDA ^ key[0] ^ key[1])
    x = [(c + k) & mask for c, k in zip(counter, key, strict=True)]
    for turn in range(20):
        r = rotations[turn % 8]
        x[0] = (x[0] + x[1]) & mask
        x[1] = ((x[1] << r) & mask | (x[1] >> (32 - r))) ^ x[0]
        if turn % 4 == 3:
            group = turn // 4 + 1
            x[0] = (x[0] + keys[group % 3]) & mask
            x[1] = (x[1] + keys[(group + 1) % 3] + group) & mask
    return x[0], x[1]


def random_bits(state: Array, *, shape: Index) -> Array:
    """Word i % 2 of the counter (i // 2, draw), for element i."""
    key, draw = (int(state[0]), int(state[1])), int(state[2])
    count = itertools.count()

    def at(_: Index) -> int:
        i = next(count)
        return threefry(key, (i // 2, draw))[i % 2]

    return filled(shape, at, np.empty(0, np.uint32))
