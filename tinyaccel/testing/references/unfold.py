"""References for unfold and fold: pixel by pixel."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from tinyaccel.testing.references.geometry import NO_PADDING, Pair, counts
from tinyaccel.testing.references.numbers import Array, Index, Number, filled, numbers, total


def unfold(x: Array, *, kernel: Pair, stride: Pair, dilation: Pair) -> Array:
    values = numbers(x)

    def at(index: Index) -> Number:
        n, c, r, s, i, j = index
        return values[n, c, i * stride[0] + r * dilation[0], j * stride[1] + s * dilation[1]]

    out = counts(x.shape[2:], kernel, stride, NO_PADDING, dilation)
    return filled((*x.shape[:2], *kernel, *out), at, x)


def fold(u: Array, *, size: Pair, stride: Pair, dilation: Pair) -> Array:
    terms: defaultdict[Index, list[Number]] = defaultdict(list)
    for (n, c, r, s, i, j), value in np.ndenumerate(numbers(u)):
        pixel = (i * stride[0] + r * dilation[0], j * stride[1] + s * dilation[1])
        terms[n, c, *pixel].append(value)
    return filled((*u.shape[:2], *size), lambda index: total(terms[index] or [0.0]), u)
