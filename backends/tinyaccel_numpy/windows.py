"""NumPy kernels for windows over images: convolution and max-pooling."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from tinyaccel import array_api, shapes
from tinyaccel.op import Kernel

Array: TypeAlias = npt.NDArray[Any]

# Convolution: all windows as the rows of one matrix, without copying until the matrix product
# needs them, and one product for the whole batch. Pixels stand in rows (NHWC): then a window is
# kh runs of kw * C neighbouring numbers, and the result needs no transpose of the large matrix.


def _windows(image: Array, kernel: Any, out: Any, stride: Any, dilation: Any) -> Array:
    """A view of all windows of an NHWC image: (N, OH, OW, kh, kw, C)."""
    n, _, _, c = image.shape
    sn, sh, sw, sc = image.strides
    return as_strided(
        image,
        (n, *out, *kernel, c),
        (sn, sh * stride[0], sw * stride[1], sh * dilation[0], sw * dilation[1], sc),
        writeable=False,
    )


def _nhwc(x: Array, padding: shapes.Padding) -> Array:
    """(N, C, H, W) as a padded, contiguous (N, H, W, C)."""
    n, c, h, w = x.shape
    (top, bottom), (left, right) = padding
    if not (top or bottom or left or right):
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    out = np.zeros((n, h + top + bottom, w + left + right, c), x.dtype)
    out[:, top : top + h, left : left + w] = x.transpose(0, 2, 3, 1)
    return out


def _rows(x: Array, kernel: Any, groups: int, at: dict[str, Any]) -> tuple[Array, Any]:
    """The windows of x as (groups, N*OH*OW, kh*kw*C/groups), and (OH, OW)."""
    image = _nhwc(x, at["padding"])
    out = shapes.window2d(
        image.shape[1:3], kernel, at["stride"], ((0, 0), (0, 0)), at["dilation"], "conv2d"
    )
    depth = x.shape[1] // groups
    views = [
        _windows(image[..., g * depth : (g + 1) * depth], kernel, out, at["stride"], at["dilation"])
        for g in range(groups)
    ]
    count = x.shape[0] * math.prod(out)
    rows = [v.reshape(count, math.prod(kernel) * depth) for v in views]  # the one large copy
    return (rows[0][None] if groups == 1 else np.stack(rows)), out


def _weight_columns(weight: Array, groups: int) -> Array:
    """(K, C/groups, kh, kw) as (groups, kh*kw*C/groups, K/groups)."""
    k, depth, kh, kw = weight.shape
    w = weight.reshape(groups, k // groups, depth, kh, kw).transpose(0, 3, 4, 2, 1)
    return w.reshape(groups, kh * kw * depth, k // groups)


def _pixels(g: Array, groups: int) -> Array:
    """(N, K, OH, OW) as (groups, N*OH*OW, K/groups)."""
    n, k, oh, ow = g.shape
    split = g.reshape(n, groups, k // groups, oh * ow).transpose(1, 0, 3, 2)
    return np.ascontiguousarray(split.reshape(groups, n * oh * ow, k // groups))


def conv2d(x: Array, weight: Array, *, groups: int, precision: str, **at: Any) -> Array:
    rows, (oh, ow) = _rows(x, weight.shape[2:], groups, at)
    y = rows @ _weight_columns(weight, groups)
    y = y.reshape(groups, x.shape[0], oh, ow, weight.shape[0] // groups).transpose(1, 0, 4, 2, 3)
    return y.reshape(x.shape[0], weight.shape[0], oh, ow)


def conv2d_weight_grad(
    g: Array, x: Array, *, kernel: Any, groups: int, precision: str, **at: Any
) -> Array:
    rows, _ = _rows(x, kernel, groups, at)
    w = _pixels(g, groups).transpose(0, 2, 1) @ rows
    k, depth = g.shape[1], x.shape[1] // groups
    w = w.reshape(groups, k // groups, *kernel, depth).transpose(0, 1, 4, 2, 3)
    return w.reshape(k, depth, *kernel)


def conv2d_input_grad(
    g: Array, weight: Array, *, size: Any, groups: int, precision: str, **at: Any
) -> Array:
    n, _, oh, ow = g.shape
    depth, kh, kw = weight.shape[1:]
    (top, bottom), (left, right) = at["padding"]
    image = np.zeros((n, size[0] + top + bottom, size[1] + left + right, groups * depth), g.dtype)
    rows = _pixels(g, groups) @ _weight_columns(weight, groups).transpose(0, 2, 1)
    parts = rows.reshape(groups, n, oh, ow, kh * kw, depth)
    places = array_api.window_slices((kh, kw), (oh, ow), at["stride"], at["dilation"])
    for i, (r, c) in enumerate(places):
        for group in range(groups):
            image[:, r, c, group * depth : (group + 1) * depth] += parts[group, :, :, :, i]
    return image[:, top : top + size[0], left : left + size[1]].transpose(0, 3, 1, 2)


# Pooling: one pass over the image for each place in the window. Results keep the memory layout of
# their input (order="K"), which after a convolution is NHWC, so that no pass strides over memory.


def _pool_places(x: Array, kernel: Any, stride: Any, padding: Any, dilation: Any) -> list[Array]:
    """For each place in the window, the pixels that fall on it: (N, C, OH, OW) views."""
    if any(map(any, padding)):
        kind = x.dtype.kind
        lowest = np.iinfo(x.dtype).min if kind in "iu" else False if kind == "b" else -np.inf
        x = np.pad(x, ((0, 0), (0, 0), *padding), constant_values=lowest)
    none = ((0, 0), (0, 0))
    spatial = (x.shape[2], x.shape[3])
    out = shapes.window2d(spatial, kernel, stride, none, dilation, "max_pool2d")
    return [x[:, :, r, c] for r, c in array_api.window_slices(kernel, out, stride, dilation)]


def _largest(places: list[Array]) -> Array:
    out = places[0].copy(order="K")
    for place in places[1:]:
        np.maximum(out, place, out=out)
    return out


def max_pool2d(x: Array, *, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Array:
    return _largest(_pool_places(x, kernel, stride, padding, dilation))


def max_pool2d_input_grad(
    g: Array, x: Array, *, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> Array:
    """Each gradient goes to the first place that holds the maximum, or the first NaN."""
    places = _pool_places(x, kernel, stride, padding, dilation)
    best = _largest(places)
    nans = bool(np.isnan(best).any())
    finite = bool(np.isfinite(g).all())  # then a product with 0 or 1 is a choice, and faster
    (top, bottom), (left, right) = padding
    n, c, h, w = x.shape
    # NHWC in memory, seen as NCHW.
    image = np.zeros((n, h + top + bottom, w + left + right, c), g.dtype).transpose(0, 3, 1, 2)
    taken = np.zeros_like(best, dtype=bool)
    # A pixel of the lowest value ties with the padding, which can't take its gradient.
    inside = _pool_places(np.ones((1, 1, h, w), bool), kernel, stride, padding, dilation)
    where = array_api.window_slices(kernel, (g.shape[2], g.shape[3]), stride, dilation)
    for place, real, (rows, columns) in zip(places, inside, where, strict=True):
        hit = (place == best) & real
        if nans:
            hit |= np.isnan(place)
        hit &= ~taken
        taken |= hit
        image[:, :, rows, columns] += g * hit if finite else np.where(hit, g, g.dtype.type(0))
    return image[:, :, top : top + h, left : left + w]


KERNELS: dict[str, Kernel] = {
    "conv2d": conv2d,
    "conv2d_weight_grad": conv2d_weight_grad,
    "conv2d_input_grad": conv2d_input_grad,
    "max_pool2d": max_pool2d,
    "max_pool2d_input_grad": max_pool2d_input_grad,
}
