"""Mutants in products, convolution, pooling and what networks are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from tinyaccel.op import Kernel
from tinyaccel.testing.mutants.mutant import HostArray, Mutant

# Products


def _missed_edge(right: Kernel) -> Kernel:
    """Whole tiles of 16 columns, and no word about the rest."""

    def matmul(a: HostArray, b: HostArray, **attrs: Any) -> HostArray:
        out = np.array(right(a, b, **attrs))
        columns = out.shape[-1] if out.ndim and b.ndim > 1 else 0
        if columns > 16:
            out[..., columns // 16 * 16 :] = 0
        return out

    return matmul


def _tf32(right: Kernel) -> Kernel:
    """Factors of 11 bits, whatever precision is asked for."""

    def shortened(x: HostArray) -> HostArray:
        if x.dtype != np.float32:
            return x
        bits = x.astype(np.float32).view(np.uint32)
        return ((bits + 0x1000) & np.uint32(0xFFFFE000)).view(np.float32)

    return lambda a, b, **attrs: right(shortened(a), shortened(b), **attrs)


def _half(right: Kernel) -> Kernel:
    """Sums of float16 in float16."""

    def matmul(a: HostArray, b: HostArray, **attrs: Any) -> HostArray:
        if a.dtype.itemsize != 2 or a.ndim < 2 or b.ndim < 2:
            return np.asarray(right(a, b, **attrs))
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        total = np.zeros((*batch, a.shape[-2], b.shape[-1]), a.dtype)
        for k in range(a.shape[-1]):
            total = (total + a[..., :, k, None] * b[..., k, None, :]).astype(a.dtype)
        return total

    return matmul


# Convolution, pixel by pixel, with room for a mistake in each index


def _convolution(
    pixel: Callable[..., int] = lambda i, r, stride, dilation, before: (
        i * stride + r * dilation - before
    ),
    group: Callable[[int, int, int], int] = lambda k, per_group, groups: k // per_group,
    swapped: bool = False,
) -> Callable[[Kernel], Kernel]:
    """conv2d by its definition: `pixel` says which one, `group` which channels."""

    def spoil(right: Kernel) -> Kernel:
        def conv2d(x: HostArray, weight: HostArray, **at: Any) -> HostArray:
            y = np.zeros(np.shape(right(x, weight, **at)), x.dtype)
            stride = at["stride"][::-1] if swapped else at["stride"]
            per_group = max(weight.shape[0] // at["groups"], 1)
            depth = weight.shape[1]
            sides = list(zip(stride, at["dilation"], at["padding"], strict=True))
            for k, i, j in product(*map(range, y.shape[1:])):
                first = group(k, per_group, at["groups"]) * depth
                for r, s in product(*map(range, weight.shape[2:])):
                    row = pixel(i, r, sides[0][0], sides[0][1], sides[0][2][0])
                    column = pixel(j, s, sides[1][0], sides[1][1], sides[1][2][0])
                    if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                        near = x[:, first : first + depth, row, column]
                        y[:, k, i, j] += near @ weight[k, :, r, s]
            return y

        return conv2d

    return spoil


def _turned(right: Kernel) -> Kernel:
    """The weight gradient of a true convolution, which turns its kernel round."""
    return lambda g, x, **attrs: right(g, x, **attrs)[:, :, ::-1, ::-1]


def _shifted(right: Kernel) -> Kernel:
    return lambda g, w, **attrs: np.roll(right(g, w, **attrs), 1, axis=3)


# Pooling


def _zero_padding(right: Kernel) -> Kernel:
    """Zeros around the image, which beat everything below 0."""

    def max_pool2d(x: HostArray, *, padding: Any, **attrs: Any) -> HostArray:
        padded = np.pad(x, ((0, 0), (0, 0), *padding))
        return np.asarray(right(padded, padding=((0, 0), (0, 0)), **attrs))

    return max_pool2d


def _last_of_window(right: Kernel) -> Kernel:
    """As the first, seen from behind: right wherever no two values are equal."""

    def input_grad(
        g: HostArray, x: HostArray, *, kernel: Any, stride: Any, padding: Any, dilation: Any
    ) -> HostArray:
        turned = tuple((high, low) for low, high in padding)
        size = [
            (n - 1) * s + d * (k - 1) + 1 - p[0] - p[1]
            for n, s, d, k, p in zip(g.shape[2:], stride, dilation, kernel, padding, strict=True)
        ]
        out = np.zeros(x.shape, g.dtype)  # what lies past the last window belongs to none
        covered = x[:, :, : size[0], : size[1]]
        back = right(g[:, :, ::-1, ::-1], covered[:, :, ::-1, ::-1], kernel=kernel, stride=stride,
                     padding=turned, dilation=dilation)  # fmt: skip
        out[:, :, : back.shape[2], : back.shape[3]] = back[:, :, ::-1, ::-1]
        return out

    return input_grad


# Networks


def _unscaled(right: Kernel) -> Kernel:
    """Dropout that forgets 1 / (1 - p): its mean is too small."""

    def dropout(x: HostArray, bits: HostArray, *, p: float) -> HostArray:
        keep = bits.astype(np.float64) >= round(p * 2**32)
        return np.where(keep, x, 0).astype(x.dtype)

    return dropout


def _overflowing(right: Kernel) -> Kernel:
    def softmax(x: HostArray, *, axis: int) -> HostArray:
        powers = np.exp(x)
        return np.asarray(powers / powers.sum(axis, keepdims=True))

    return softmax


def _other_counter(right: Kernel) -> Kernel:
    """The words from the second on: a counter that starts at 1."""

    def random_bits(state: HostArray, *, shape: tuple[int, ...]) -> HostArray:
        n = int(np.prod(shape))
        return np.asarray(right(state, shape=(n + 2,)))[2:].reshape(shape)

    return random_bits


def _short_counter(right: Kernel) -> Kernel:
    """A counter of 16 bits: after 131,072 words, the same ones again."""

    def random_bits(state: HostArray, *, shape: tuple[int, ...]) -> HostArray:
        n = int(np.prod(shape))
        words = right(state, shape=(min(n, 2**17),))
        return np.asarray(np.resize(words, n) if n else words).reshape(shape)

    return random_bits


NETWORKS: Sequence[Mutant] = (
    Mutant("the edge of the last tile is missed", "matmul", "forward",
           "a tiled kernel without its remainder loop", kernels={"matmul": _missed_edge}),
    Mutant('TF32 under "highest"', "matmul", "forward",
           "tensor cores switched on for the whole library", kernels={"matmul": _tf32}),
    Mutant("float16 sums in float16", "matmul", "forward",
           "the accumulator has the inputs' type", kernels={"matmul": _half}, raw=True),
    Mutant("padding on one side only", "conv2d", "forward",
           "the whole padding put in front",
           kernels={"conv2d": _convolution(
               lambda i, r, stride, dilation, before: i * stride + r * dilation - 2 * before)}),
    Mutant("padding dropped", "conv2d", "forward", "a forgotten subtraction",
           kernels={"conv2d": _convolution(
               lambda i, r, stride, dilation, before: i * stride + r * dilation)}),
    Mutant("strides swapped", "conv2d", "forward", "(height, width) against (x, y)",
           kernels={"conv2d": _convolution(swapped=True)}),
    Mutant("dilation off by one", "conv2d", "forward",
           "dilation counted as the pixels between, as some libraries do",
           kernels={"conv2d": _convolution(
               lambda i, r, stride, dilation, before: i * stride + r * max(dilation - 1, 1)
               - before)}),
    Mutant("channels of the wrong group", "conv2d", "forward", "k % groups for k // per group",
           kernels={"conv2d": _convolution(group=lambda k, per_group, groups: k % groups)}),
    Mutant("the weight gradient turned round", "conv2d_weight_grad", "forward",
           "true convolution against cross-correlation", kernels={"conv2d_weight_grad": _turned}),
    Mutant("the input gradient shifted by a pixel", "conv2d_input_grad", "forward",
           "an output padding at the wrong end", kernels={"conv2d_input_grad": _shifted}),
    Mutant("pooling pads with zeros", "max_pool2d", "forward",
           "the padding of a convolution", kernels={"max_pool2d": _zero_padding}),
    Mutant("pooling's gradient to the last of equals", "max_pool2d_input_grad", "forward",
           ">= for >", kernels={"max_pool2d_input_grad": _last_of_window}),
    Mutant("dropout without its scale", "dropout", "forward",
           "the scale left to evaluation, as older papers have it",
           kernels={"dropout": _unscaled}),
    Mutant("softmax without taking off the largest", "softmax", "convention",
           "the textbook's formula", kernels={"softmax": _overflowing}),
    Mutant("a random counter off by one", "random_bits", "forward",
           "a counter that starts at 1", kernels={"random_bits": _other_counter}),
    Mutant("a random counter of 16 bits", "random_bits", "random",
           "an index type that is too small", kernels={"random_bits": _short_counter},
           diverges=False),
)  # fmt: skip
