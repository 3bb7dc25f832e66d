"""Where the windows of an image are: what the references for windows share."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TypeAlias

from tinyaccel.testing.references.numbers import Index

Pair: TypeAlias = tuple[int, int]
Sides: TypeAlias = tuple[Pair, Pair]
NO_PADDING: Sides = ((0, 0), (0, 0))


def count(n: int, kernel: int, stride: int, padding: Pair, dilation: int) -> int:
    """How many places a window has along an axis of n."""
    last = n + padding[0] + padding[1] - dilation * (kernel - 1) - 1
    return sum(1 for start in range(last + 1) if start % stride == 0)


def counts(size: Index, kernel: Index, stride: Pair, padding: Sides, dilation: Pair) -> Pair:
    rows, columns = (count(size[i], kernel[i], stride[i], padding[i], dilation[i]) for i in (0, 1))
    return rows, columns


def pixels(
    out: Pair, size: Index, kernel: Index, stride: Pair, padding: Sides, dilation: Pair
) -> Iterator[tuple[Pair, Pair]]:
    """(place in the window, pixel of the image) for the window at `out`; padding is left out."""
    for r, s in product(range(kernel[0]), range(kernel[1])):
        i = out[0] * stride[0] + r * dilation[0] - padding[0][0]
        j = out[1] * stride[1] + s * dilation[1] - padding[1][0]
        if 0 <= i < size[0] and 0 <= j < size[1]:
            yield (r, s), (i, j)
