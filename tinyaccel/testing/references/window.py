"""References for the window ops: every window, every pixel, every channel in turn."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import TypeAlias

import numpy as np

from tinyaccel.testing.references.numbers import (
    Array,
    Index,
    Number,
    dot,
    filled,
    numbers,
    total,
)

Pair: TypeAlias = tuple[int, int]
Sides: TypeAlias = tuple[Pair, Pair]
NO_PADDING: Sides = ((0, 0), (0, 0))


def _count(n: int, kernel: int, stride: int, padding: Pair, dilation: int) -> int:
    """How many places a window has along an axis of n."""
    last = n + padding[0] + padding[1] - dilation * (kernel - 1) - 1
    return sum(1 for start in range(last + 1) if start % stride == 0)


def _counts(size: Index, kernel: Index, stride: Pair, padding: Sides, dilation: Pair) -> Pair:
    rows, columns = (_count(size[i], kernel[i], stride[i], padding[i], dilation[i]) for i in (0, 1))
    return rows, columns


def _pixels(
    out: Pair, size: Index, kernel: Index, stride: Pair, padding: Sides, dilation: Pair
) -> Iterator[tuple[Pair, Pair]]:
    """(place in the window, pixel of the image) for the window at `out`; padding is left out."""
    for r, s in product(range(kernel[0]), range(kernel[1])):
        i = out[0] * stride[0] + r * dilation[0] - padding[0][0]
        j = out[1] * stride[1] + s * dilation[1] - padding[1][0]
        if 0 <= i < size[0] and 0 <= j < size[1]:
            yield (r, s), (i, j)


def conv2d(
    x: Array, weight: Array, *, stride: Pair, padding: Sides, dilation: Pair, groups: int,
    precision: str,  # the exact result, whatever is permitted
) -> Array:  # fmt: skip
    kernel, size = weight.shape[2:], x.shape[2:]
    image, filters = numbers(x), numbers(weight)
    per_group = weight.shape[0] // groups

    def at(index: Index) -> Number:
        n, k, i, j = index
        first = k // per_group * weight.shape[1]
        return dot(
            [
                (image[n, first + c, p, q], filters[k, c, r, s])
                for c in range(weight.shape[1])
                for (r, s), (p, q) in _pixels((i, j), size, kernel, stride, padding, dilation)
            ],
            x.dtype == np.float64,
        )

    counts = _counts(size, kernel, stride, padding, dilation)
    return filled((x.shape[0], weight.shape[0], *counts), at, x)


def _pairs(
    g: Array, size: Index, kernel: Index, stride: Pair, padding: Sides, dilation: Pair,
    groups: int, depth: int,
) -> Iterator[tuple[Index, Index, Index]]:  # fmt: skip
    """Indices (of g, of the input, of the weight) of all products that a convolution sums."""
    n, k, oh, ow = g.shape
    for i, j in product(range(oh), range(ow)):
        for (r, s), (p, q) in _pixels((i, j), size, kernel, stride, padding, dilation):
            for image, out, c in product(range(n), range(k), range(depth)):
                channel = out // (k // groups) * depth + c
                yield (image, out, i, j), (image, channel, p, q), (out, c, r, s)


def conv2d_input_grad(
    g: Array, weight: Array, *, size: Pair, stride: Pair, padding: Sides, dilation: Pair,
    groups: int, precision: str,
) -> Array:  # fmt: skip
    slopes, filters = numbers(g), numbers(weight)
    terms: defaultdict[Index, list[tuple[Number, Number]]] = defaultdict(list)
    depth = weight.shape[1]
    for at_g, at_x, at_w in _pairs(
        g, size, weight.shape[2:], stride, padding, dilation, groups, depth
    ):
        terms[at_x].append((slopes[at_g], filters[at_w]))
    shape = (g.shape[0], depth * groups, *size)
    return filled(shape, lambda index: dot(terms[index], g.dtype == np.float64), g)


def conv2d_weight_grad(
    g: Array, x: Array, *, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair,
    groups: int, precision: str,
) -> Array:  # fmt: skip
    slopes, image = numbers(g), numbers(x)
    terms: defaultdict[Index, list[tuple[Number, Number]]] = defaultdict(list)
    depth = x.shape[1] // groups
    for at_g, at_x, at_w in _pairs(
        g, x.shape[2:], kernel, stride, padding, dilation, groups, depth
    ):
        terms[at_w].append((slopes[at_g], image[at_x]))
    shape = (g.shape[1], depth, *kernel)
    return filled(shape, lambda index: dot(terms[index], g.dtype == np.float64), g)


def unfold(x: Array, *, kernel: Pair, stride: Pair, dilation: Pair) -> Array:
    values = numbers(x)

    def at(index: Index) -> Number:
        n, c, r, s, i, j = index
        return values[n, c, i * stride[0] + r * dilation[0], j * stride[1] + s * dilation[1]]

    counts = _counts(x.shape[2:], kernel, stride, NO_PADDING, dilation)
    return filled((*x.shape[:2], *kernel, *counts), at, x)


def fold(u: Array, *, size: Pair, stride: Pair, dilation: Pair) -> Array:
    terms: defaultdict[Index, list[Number]] = defaultdict(list)
    for (n, c, r, s, i, j), value in np.ndenumerate(numbers(u)):
        pixel = (i * stride[0] + r * dilation[0], j * stride[1] + s * dilation[1])
        terms[n, c, *pixel].append(value)
    return filled((*u.shape[:2], *size), lambda index: total(terms[index] or [0.0]), u)


# Pooling


def _first_largest(window: list[tuple[Pair, Number]]) -> tuple[Pair, Number]:
    """The first pixel that holds the largest value, or the first NaN."""
    best = window[0]
    for pixel, value in window[1:]:
        if best[1] == best[1] and (value > best[1] or value != value):
            best = (pixel, value)
    return best


def _windows(
    x: Array, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair
) -> Iterator[tuple[Index, list[tuple[Pair, Number]]]]:
    """(index of a result, the pixels of its window with their values), one after another."""
    values = numbers(x)
    oh, ow = _counts(x.shape[2:], kernel, stride, padding, dilation)
    for n, c, i, j in product(range(x.shape[0]), range(x.shape[1]), range(oh), range(ow)):
        pixels = _pixels((i, j), x.shape[2:], kernel, stride, padding, dilation)
        yield (n, c, i, j), [(pixel, values[n, c, *pixel]) for _, pixel in pixels]


def max_pool2d(x: Array, *, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair) -> Array:
    best = {
        index: _first_largest(window)[1]
        for index, window in _windows(x, kernel, stride, padding, dilation)
    }
    counts = _counts(x.shape[2:], kernel, stride, padding, dilation)
    return filled((*x.shape[:2], *counts), best.__getitem__, x)


def max_pool2d_input_grad(
    g: Array, x: Array, *, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair
) -> Array:
    slopes = numbers(g)
    terms: defaultdict[Index, list[Number]] = defaultdict(list)
    for index, window in _windows(x, kernel, stride, padding, dilation):
        terms[*index[:2], *_first_largest(window)[0]].append(slopes[index])
    return filled(x.shape, lambda index: total(terms[index] or [0.0]), g)


def avg_pool2d(x: Array, *, kernel: Pair, stride: Pair, padding: Sides, **_: object) -> Array:
    means = {
        index: total(value for _, value in window) / math.prod(kernel)
        for index, window in _windows(x, kernel, stride, padding, (1, 1))
    }
    counts = _counts(x.shape[2:], kernel, stride, padding, (1, 1))
    return filled((*x.shape[:2], *counts), means.__getitem__, x)
