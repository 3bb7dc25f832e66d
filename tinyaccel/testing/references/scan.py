"""References for scans: an exact sum or product of each beginning of a line."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyaccel.testing.references.numbers import Array, Number, numbers, packed, product, total


def _scanned(
    function: Callable[[list[Number]], Number], x: Array, axis: int, include_initial: bool
) -> Array:
    lines = np.moveaxis(numbers(x), axis, -1)
    first = 0 if include_initial else 1
    out = np.empty((*lines.shape[:-1], x.shape[axis] + 1 - first), dtype=object)
    for index in np.ndindex(*lines.shape[:-1]):
        line = lines[index].tolist()
        for i in range(first, len(line) + 1):
            out[(*index, i - first)] = function(line[:i])
    return packed(np.moveaxis(out, -1, axis), x)


def cumsum(x: Array, *, axis: int, include_initial: bool) -> Array:
    return _scanned(total, x, axis, include_initial)


def cumprod(x: Array, *, axis: int, include_initial: bool) -> Array:
    return _scanned(product, x, axis, include_initial)
