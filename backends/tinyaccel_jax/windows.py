"""XLA kernels for windows over images: convolution, pooling, unfold and fold."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tinyaccel import array_api, shapes
from tinyaccel.op import Kernel
from tinyaccel_jax.products import PRECISION, by_platform, matmul

Array: TypeAlias = jax.Array
_NO_PADDING = ((0, 0), (0, 0))
_MANY = 64  # places in a window, up to which code is written out for each of them


def _zero(x: Array) -> Array:
    return jnp.zeros((), x.dtype)


def _pad_image(x: Array, padding: Any, value: Any = 0) -> Array:
    """Rows and columns around (or, if negative, off) an image (N, C, H, W)."""
    if padding == _NO_PADDING:
        return x
    widths = ((0, 0, 0), (0, 0, 0), *((low, high, 0) for low, high in padding))
    return lax.pad(x, jnp.asarray(value, x.dtype), widths)


# Unfold and fold. One axis after the other takes kh + kw steps instead of kh * kw.


def _shifted(x: Array, kernel: Any, out: Any, stride: Any, dilation: Any) -> list[Array]:
    """For each place in the window, row by row, the pixels that fall on it: (N, C, OH, OW)."""
    slices = array_api.window_slices(kernel, out, stride, dilation)
    return [x[:, :, rows, columns] for rows, columns in slices]


def unfold(x: Array, *, kernel: Any, stride: Any, dilation: Any) -> Array:
    out = shapes.window2d(x.shape[2:], kernel, stride, _NO_PADDING, dilation, "unfold")  # type: ignore[arg-type]  # two axes
    for axis, k, o, s, d in zip((2, 4), kernel, out, stride, dilation, strict=True):
        runs = [lax.slice_in_dim(x, i * d, i * d + s * (o - 1) + 1, s, axis=axis) for i in range(k)]
        x = jnp.stack(runs, axis=axis)
    return jnp.permute_dims(x, (0, 1, 2, 4, 3, 5))


def fold(u: Array, *, size: Any, stride: Any, dilation: Any) -> Array:
    kernel, out = u.shape[2:4], u.shape[4:6]
    if math.prod(kernel) > _MANY:
        u = jnp.permute_dims(u, (0, 1, 2, 4, 3, 5))
        u = _fold_axis(u, 4, size[1], stride[1], dilation[1])
        return _fold_axis(u, 2, size[0], stride[0], dilation[0])
    image = jnp.zeros((*u.shape[:2], *size), u.dtype)
    for i, j in itertools.product(*map(range, kernel)):
        widths = [(0, 0, 0), (0, 0, 0)]
        for place, o, n, s, d in zip((i, j), out, size, stride, dilation, strict=True):
            widths.append(_gaps(place, o, n, s, d))
        image = image + lax.pad(u[:, :, i, j], _zero(u), widths)
    return image


def _gaps(place: int, out: int, size: int, stride: int, dilation: int) -> tuple[int, int, int]:
    """What lies before, behind and between the pixels of an axis that fall on one place."""
    low = place * dilation
    return low, size - low - (out - 1) * stride - 1, stride - 1


def _fold_axis(u: Array, axis: int, size: int, stride: int, dilation: int) -> Array:
    """Windows (.., k, o, ..) along `axis` added up into (.., size, ..)."""
    k, o = u.shape[axis : axis + 2]
    total = jnp.zeros((*u.shape[:axis], size, *u.shape[axis + 2 :]), u.dtype)
    for i in range(k):
        widths = [(0, 0, 0)] * total.ndim
        widths[axis] = _gaps(i, o, size, stride, dilation)
        total = total + lax.pad(lax.index_in_dim(u, i, axis, keepdims=False), _zero(u), widths)
    return total


# Convolution. The three are each other's gradients, and each is one XLA convolution. On CPUs some
# of these are slow (groups, one input channel: up to 100 times) or add one product after another,
# with an error that grows with k (one channel): there the same sum is taken over windows, as a
# matrix product.

_LAYOUT = ("NCHW", "OIHW", "NCHW")


def _flat_windows(x: Array, kernel: Any, at: Any) -> Array:
    """The windows of x as matrices (N, C*kh*kw, OH*OW)."""
    image = _pad_image(x, at["padding"])
    u = unfold(image, kernel=kernel, stride=at["stride"], dilation=at["dilation"])
    return u.reshape(x.shape[0], x.shape[1] * math.prod(kernel), math.prod(u.shape[4:]))


def conv2d(x: Array, weight: Array, *, groups: int, precision: str, **at: Any) -> Array:
    k, depth, *kernel = weight.shape
    out = shapes.conv2d(x.shape, weight.shape, groups=groups, **at)

    def one_conv(x: Array, weight: Array) -> Array:
        return lax.conv_general_dilated(
            x, weight, at["stride"], at["padding"], rhs_dilation=at["dilation"],
            dimension_numbers=_LAYOUT, feature_group_count=groups, precision=PRECISION[precision],
        )  # fmt: skip

    def by_place(x: Array, weight: Array) -> Array:
        """One or more filters for each channel: kh * kw terms, added elementwise."""
        places = _shifted(
            _pad_image(x, at["padding"]), kernel, out[2:], at["stride"], at["dilation"]
        )
        weights = weight.reshape(groups, k // groups, len(places), 1, 1)
        terms = (place[:, :, None] * weights[:, :, i] for i, place in enumerate(places))
        return functools.reduce(operator.add, terms).reshape(out)

    def product(x: Array, weight: Array) -> Array:
        windows = _flat_windows(x, kernel, at)
        return matmul(weight.reshape(k, windows.shape[1]), windows, precision=precision).reshape(
            out
        )

    if groups > 1 and depth == 1 and math.prod(kernel) <= _MANY:
        return by_platform(x, weight, cpu=by_place, default=one_conv)
    if groups == 1 == depth:
        return by_platform(x, weight, cpu=product, default=one_conv)
    return one_conv(x, weight)


def conv2d_input_grad(
    g: Array, weight: Array, *, size: Any, groups: int, precision: str, **at: Any
) -> Array:
    k, depth, *kernel = weight.shape

    def one_conv(g: Array, weight: Array) -> Array:
        """Of g, spread apart by the stride, with the weights turned by 180 degrees."""
        turned = weight.reshape(groups, k // groups, depth, *kernel).swapaxes(1, 2)
        turned = turned.reshape(groups * depth, k // groups, *kernel)[:, :, ::-1, ::-1]
        padding = []
        for n, o, kn, s, p, d in zip(
            size, g.shape[2:], kernel, at["stride"], at["padding"], at["dilation"], strict=True
        ):
            low = d * (kn - 1) - p[0]
            # So that exactly n come out, also where the stride left some of the image over.
            padding.append((low, n + d * (kn - 1) - (o - 1) * s - 1 - low))
        return lax.conv_general_dilated(
            g, turned, (1, 1), padding, lhs_dilation=at["stride"], rhs_dilation=at["dilation"],
            dimension_numbers=_LAYOUT, feature_group_count=groups, precision=PRECISION[precision],
        )  # fmt: skip

    def product(g: Array, weight: Array) -> Array:
        rows = g.reshape(g.shape[0], groups, k // groups, math.prod(g.shape[2:]))
        columns = weight.reshape(groups, k // groups, depth * math.prod(kernel)).swapaxes(1, 2)
        u = matmul(columns, rows, precision=precision)
        u = u.reshape(g.shape[0], groups * depth, *kernel, *g.shape[2:])
        padded = tuple(n + sum(p) for n, p in zip(size, at["padding"], strict=True))
        image = fold(u, size=padded, stride=at["stride"], dilation=at["dilation"])
        return _pad_image(image, tuple((-low, -high) for low, high in at["padding"]))

    if groups > 1 or min(k, depth) == 1:
        return by_platform(g, weight, cpu=product, default=one_conv)
    return one_conv(g, weight)


def conv2d_weight_grad(
    g: Array, x: Array, *, kernel: Any, groups: int, precision: str, **at: Any
) -> Array:
    n, k = g.shape[:2]
    depth = x.shape[1] // groups

    def one_conv(g: Array, x: Array, groups: int = groups) -> Array:
        """Of the images with g, in which batch and channels change places."""
        padding = []
        for m, o, kn, s, p, d in zip(
            x.shape[2:], g.shape[2:], kernel, at["stride"], at["padding"], at["dilation"],
            strict=True,
        ):  # fmt: skip
            padding.append((p[0], (kn - 1) * d + s * (o - 1) + 1 - m - p[0]))
        return lax.conv_general_dilated(
            x, g, at["dilation"], padding, rhs_dilation=at["stride"],
            dimension_numbers=("CNHW", "IOHW", "CNHW"), batch_group_count=groups,
            precision=PRECISION[precision],
        )  # fmt: skip

    def product(g: Array, x: Array) -> Array:
        """A product for each image, then their sum, which XLA adds up as a tree."""
        windows = _flat_windows(x, kernel, at).swapaxes(1, 2)
        each = matmul(g.reshape(n, k, windows.shape[1]), windows, precision=precision)
        return jnp.sum(each, axis=0).reshape(k, depth, *kernel)

    def by_place(g: Array, x: Array) -> Array:
        """A sum over batch and pixels for each place in the window."""
        image = _pad_image(x, at["padding"])
        places = _shifted(image, kernel, g.shape[2:], at["stride"], at["dilation"])
        split = g.reshape(n, groups, k // groups, *g.shape[2:])
        sums = [jnp.sum(place[:, :, None] * split, axis=(0, 3, 4)) for place in places]
        return jnp.stack(sums, axis=-1).reshape(k, 1, *kernel)

    def group_by_group(g: Array, x: Array) -> Array:
        pairs = zip(jnp.split(g, groups, axis=1), jnp.split(x, groups, axis=1), strict=True)
        return jnp.concat([one_conv(*pair, groups=1) for pair in pairs], axis=0)

    if groups == 1 and min(k, depth) == 1:
        return by_platform(g, x, cpu=product, default=one_conv)
    if groups > 1 and depth == 1 and math.prod(kernel) <= _MANY:
        return by_platform(g, x, cpu=by_place, default=one_conv)
    if groups > 1:
        return by_platform(g, x, cpu=group_by_group, default=one_conv)
    return one_conv(g, x)


# Pooling


def _lowest(dtype: Any) -> Any:
    if jnp.issubdtype(dtype, jnp.floating):
        return -math.inf
    return False if dtype == np.bool_ else int(np.iinfo(dtype).min)


def max_pool2d(x: Array, *, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Array:
    def one_pass(x: Array) -> Array:
        largest: Array = lax.reduce_window(
            x, jnp.asarray(_lowest(x.dtype), x.dtype), lax.max, (1, 1, *kernel), (1, 1, *stride),
            ((0, 0), (0, 0), *padding), window_dilation=(1, 1, *dilation),
        )  # fmt: skip
        return largest

    def by_place(x: Array) -> Array:
        image = _pad_image(x, padding, _lowest(x.dtype))
        out = shapes.window2d(image.shape[2:], kernel, stride, _NO_PADDING, dilation, "max_pool2d")  # type: ignore[arg-type]  # two axes
        largest, *places = _shifted(image, kernel, out, stride, dilation)
        for place in places:
            largest = jnp.maximum(largest, place)
        return largest

    if math.prod(kernel) <= _MANY:
        return by_platform(x, cpu=by_place, default=one_pass)
    return one_pass(x)


def _first_inside(out: Any, stride: Any, padding: Any, dilation: Any, width: int) -> Any:
    """The number of the first place in each window that lies in the image: int32 (OH, OW)."""
    row, column = (
        -(-np.maximum(p[0] - np.arange(o) * s, 0) // d)
        for o, s, p, d in zip(out, stride, padding, dilation, strict=True)
    )
    return (row[:, None] * width + column).astype(np.int32)


def _first_largest(
    x: Array, out: Any, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> Array:
    """The number of the place in each window that holds its first maximum, or its first NaN."""
    image = _pad_image(x, padding, _lowest(x.dtype))
    # The padding is never better, but comes before pixels that are as low as it.
    first = jnp.asarray(_first_inside(out, stride, padding, dilation, kernel[1]))
    if math.prod(kernel) > _MANY:
        u = unfold(image, kernel=kernel, stride=stride, dilation=dilation)
        u = u.reshape(*u.shape[:2], math.prod(kernel), *out)
        lowest = jnp.max(u, axis=2) == _lowest(x.dtype)
        return jnp.where(lowest, first, lax.argmax(u, 2, jnp.int32))
    best, *places = _shifted(image, kernel, out, stride, dilation)
    first = jnp.broadcast_to(first, best.shape)
    for i, place in enumerate(places, start=1):
        better = (place > best) | ((place != place) & (best == best))
        best, first = jnp.where(better, place, best), jnp.where(better, i, first)
    # Or XLA would search each window again for every pixel that asks for its result.
    kept: Array = lax.optimization_barrier(first)  # type: ignore[no-untyped-call]
    return kept


def max_pool2d_input_grad(
    g: Array, x: Array, *, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> Array:
    """Each gradient goes to the first place that holds the maximum, or the first NaN.

    Not XLA's select-and-scatter: it passes over NaN, and knows no dilation.
    """
    n, c, *out = g.shape
    first = _first_largest(x, out, kernel, stride, padding, dilation)

    def scattered(g: Array, first: Array) -> Array:
        places = (first // kernel[1], first % kernel[1])
        row, column = (
            lax.broadcasted_iota(jnp.int32, g.shape, axis) * s + place * d - p[0]
            for axis, place, s, d, p in zip((2, 3), places, stride, dilation, padding, strict=True)
        )
        height, width = x.shape[2:]
        inside = (row < height) & (column < width)  # else the window holds nothing but padding
        flat = jnp.where(inside, row * width + column, height * width)
        flat = flat.reshape(n * c, math.prod(out))
        plane = lax.broadcasted_iota(jnp.int32, flat.shape, 0)
        image = jnp.zeros((n * c, height * width), g.dtype)  # two axes: much faster than more
        image = image.at[plane, flat].add(g.reshape(flat.shape), mode="drop")
        return image.reshape(x.shape)

    def folded(g: Array, first: Array) -> Array:
        number = lax.broadcasted_iota(jnp.int32, (math.prod(kernel), 1, 1), 0)
        u = jnp.where(first[:, :, None] == number, g[:, :, None], 0).reshape(n, c, *kernel, *out)
        padded = tuple(m + sum(p) for m, p in zip(x.shape[2:], padding, strict=True))
        image = fold(u, size=padded, stride=stride, dilation=dilation)
        return _pad_image(image, tuple((-low, -high) for low, high in padding))

    return by_platform(g, first, cpu=scattered, default=folded)


KERNELS: dict[str, Kernel] = {
    "unfold": unfold,
    "fold": fold,
    "conv2d": conv2d,
    "conv2d_input_grad": conv2d_input_grad,
    "conv2d_weight_grad": conv2d_weight_grad,
    "max_pool2d": max_pool2d,
    "max_pool2d_input_grad": max_pool2d_input_grad,
}
