"""References for pooling: every window in turn, and every value in it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import product

from tinyaccel.testing.references.geometry import Pair, Sides, counts, pixels
from tinyaccel.testing.references.numbers import Array, Index, Number, filled, numbers, total


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
    oh, ow = counts(x.shape[2:], kernel, stride, padding, dilation)
    for n, c, i, j in product(range(x.shape[0]), range(x.shape[1]), range(oh), range(ow)):
        found = pixels((i, j), x.shape[2:], kernel, stride, padding, dilation)
        yield (n, c, i, j), [(pixel, values[n, c, *pixel]) for _, pixel in found]


def max_pool2d(x: Array, *, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair) -> Array:
    best = {
        index: _first_largest(window)[1]
        for index, window in _windows(x, kernel, stride, padding, dilation)
    }
    out = counts(x.shape[2:], kernel, stride, padding, dilation)
    return filled((*x.shape[:2], *out), best.__getitem__, x)


def max_pool2d_input_grad(
    g: Array, x: Array, *, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair
) -> Array:
    slopes = numbers(g)
    terms: defaultdict[Index, list[Number]] = defaultdict(list)
    for index, window in _windows(x, kernel, stride, padding, dilation):
        terms[*index[:2], *_first_largest(window)[0]].append(slopes[index])
    return filled(x.shape, lambda index: total(terms[index] or [0.0]), g)


def _starts(n: int, kernel: int, stride: int, padding: Pair, ceil_mode: bool) -> list[int]:
    """Where windows begin along an axis of n: those that fit, and with ceil_mode the next one."""
    low, high = padding
    fitting = [s for s in range(-low, n + high - kernel + 1) if (s + low) % stride == 0]
    following = fitting[-1] + stride if fitting else -low
    covered = bool(fitting) and fitting[-1] + kernel == n + high
    return [*fitting, *[following] * (ceil_mode and not covered and following < n)]


def avg_pool2d(
    x: Array, *, kernel: Pair, stride: Pair, padding: Sides, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:  # fmt: skip
    values, size = numbers(x), x.shape[2:]
    rows, columns = (_starts(size[i], kernel[i], stride[i], padding[i], ceil_mode) for i in (0, 1))

    def at(index: Index) -> Number:
        n, c, i, j = index
        window = [
            (rows[i] + r, columns[j] + s) for r, s in product(range(kernel[0]), range(kernel[1]))
        ]
        inside = [(p, q) for p, q in window if 0 <= p < size[0] and 0 <= q < size[1]]
        counted = [
            (p, q) for p, q in window if p < size[0] + padding[0][1] and q < size[1] + padding[1][1]
        ]
        share = len(counted if count_include_pad else inside)
        return total(values[n, c, p, q] for p, q in inside) / share

    return filled((*x.shape[:2], len(rows), len(columns)), at, x)


def _bins(x: Array, size: Pair) -> Iterator[tuple[Index, list[tuple[Pair, Number]]]]:
    """(index of a result, the pixels of its bin with their values), one after another."""
    values = numbers(x)
    h, w = x.shape[2:]
    for n, c, i, j in product(range(x.shape[0]), range(x.shape[1]), range(size[0]), range(size[1])):
        rows = range(math.floor(i * h / size[0]), math.ceil((i + 1) * h / size[0]))
        columns = range(math.floor(j * w / size[1]), math.ceil((j + 1) * w / size[1]))
        yield (n, c, i, j), [((p, q), values[n, c, p, q]) for p, q in product(rows, columns)]


def adaptive_avg_pool2d(x: Array, *, size: Pair) -> Array:
    means = {
        index: total(value for _, value in found) / len(found) for index, found in _bins(x, size)
    }
    return filled((*x.shape[:2], *size), means.__getitem__, x)


def adaptive_max_pool2d(x: Array, *, size: Pair) -> Array:
    best = {index: _first_largest(found)[1] for index, found in _bins(x, size)}
    return filled((*x.shape[:2], *size), best.__getitem__, x)


def max_pool1d(
    x: Array, *, kernel: int, stride: int, padding: Pair, dilation: int, ceil_mode: bool
) -> Array:
    values, n = numbers(x), x.shape[2]
    starts = _starts(n, dilation * (kernel - 1) + 1, stride, padding, ceil_mode)

    def at(index: Index) -> Number:
        places = (starts[index[2]] + r * dilation for r in range(kernel))
        return _first_largest(
            [((0, p), values[index[0], index[1], p]) for p in places if 0 <= p < n]
        )[1]

    return filled((*x.shape[:2], len(starts)), at, x)


def avg_pool1d(
    x: Array, *, kernel: int, stride: int, padding: Pair, ceil_mode: bool, count_include_pad: bool
) -> Array:
    return avg_pool2d(
        x[:, :, None], kernel=(1, kernel), stride=(1, stride), padding=((0, 0), padding),
        ceil_mode=ceil_mode, count_include_pad=count_include_pad,
    )[:, :, 0]  # fmt: skip


def adaptive_avg_pool1d(x: Array, *, size: int) -> Array:
    return adaptive_avg_pool2d(x[:, :, None], size=(1, size))[:, :, 0]
