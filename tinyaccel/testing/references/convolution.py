"""References for convolution and its transpose: every window, pixel and channel in turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import product

import numpy as np

from tinyaccel.testing.references.geometry import Pair, Sides, counts, pixels
from tinyaccel.testing.references.numbers import Array, Index, Number, dot, filled, numbers


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
                for (r, s), (p, q) in pixels((i, j), size, kernel, stride, padding, dilation)
            ],
            x.dtype == np.float64,
        )

    out = counts(size, kernel, stride, padding, dilation)
    return filled((x.shape[0], weight.shape[0], *out), at, x)


def _pairs(
    g: Array, size: Index, kernel: Index, stride: Pair, padding: Sides, dilation: Pair,
    groups: int, depth: int,
) -> Iterator[tuple[Index, Index, Index]]:  # fmt: skip
    """Indices (of g, of the input, of the weight) of all products that a convolution sums."""
    n, k, oh, ow = g.shape
    for i, j in product(range(oh), range(ow)):
        for (r, s), (p, q) in pixels((i, j), size, kernel, stride, padding, dilation):
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


def _row(values: Array) -> Array:
    return values[:, :, None]


def conv1d(
    x: Array, weight: Array, *, stride: int, padding: Pair, dilation: int, groups: int
) -> Array:
    return conv2d(
        _row(x), _row(weight), stride=(1, stride), padding=((0, 0), padding),
        dilation=(1, dilation), groups=groups, precision="",
    )[:, :, 0]  # fmt: skip


def conv_transpose2d(
    x: Array, weight: Array, *, stride: Pair, padding: Sides, output_padding: Pair, dilation: Pair,
    groups: int,
) -> Array:  # fmt: skip
    """Each pixel of x, multiplied by each weight, goes to one place of the result."""
    pixels_in, filters = numbers(x), numbers(weight)
    terms: defaultdict[Index, list[tuple[Number, Number]]] = defaultdict(list)
    own = x.shape[1] // groups
    for (n, c, i, j), value in np.ndenumerate(pixels_in):
        for k, r, s in np.ndindex(*weight.shape[1:]):
            row = i * stride[0] + r * dilation[0] - padding[0][0]
            column = j * stride[1] + s * dilation[1] - padding[1][0]
            channel = c // own * weight.shape[1] + k
            terms[n, channel, row, column].append((value, filters[c, k, r, s]))
    size = tuple(
        (x.shape[2 + i] - 1) * stride[i] - sum(padding[i])
        + dilation[i] * (weight.shape[2 + i] - 1) + output_padding[i] + 1
        for i in (0, 1)
    )  # fmt: skip
    shape = (x.shape[0], weight.shape[1] * groups, *size)
    return filled(shape, lambda index: dot(terms[index], x.dtype == np.float64), x)


def conv_transpose1d(
    x: Array, weight: Array, *, stride: int, padding: Pair, output_padding: int, dilation: int,
    groups: int,
) -> Array:  # fmt: skip
    return conv_transpose2d(
        _row(x), _row(weight), stride=(1, stride), padding=((0, 0), padding),
        output_padding=(0, output_padding), dilation=(1, dilation), groups=groups,
    )[:, :, 0]  # fmt: skip
