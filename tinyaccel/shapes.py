"""Pure shape arithmetic: no arrays, no dtypes, only tuples of integers.

Each function takes the name of the op on whose behalf it is called, for its error messages.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from tinyaccel.errors import ArgumentError, AxisError, ShapeError

Shape: TypeAlias = tuple[int, ...]
Axes: TypeAlias = int | Sequence[int] | None
Pair: TypeAlias = int | tuple[int, int]


def size(shape: Shape) -> int:
    """Number of elements."""
    return math.prod(shape)


def as_shape(shape: int | Sequence[int], op: str) -> Shape:
    """A shape as a tuple of non-negative Python ints."""
    if isinstance(shape, Iterable):
        result = tuple(operator.index(n) for n in shape)
    else:
        result = (operator.index(shape),)
    if any(n < 0 for n in result):
        raise ShapeError(f"{op}: shape {result} has a negative size; sizes are 0 or more")
    return result


def normalize_axis(axis: int, ndim: int, op: str) -> int:
    """`axis` counted from the front: -1 is the last one."""
    try:
        axis = operator.index(axis)
    except TypeError:
        raise AxisError(f"{op}: axis {axis!r} is no integer; expected one, or several") from None
    if not -ndim <= axis < ndim:
        if ndim == 0:
            raise AxisError(f"{op}: axis {axis} given, but a 0-d tensor has no axes; use axis=None")
        raise AxisError(
            f"{op}: axis {axis} is out of range for {ndim} dimensions; "
            f"expected {-ndim} to {ndim - 1}"
        )
    return axis % ndim


def normalize_axes(axis: Axes, ndim: int, op: str) -> Shape:
    """All axes meant by `axis` (None: every one), sorted, counted from the front."""
    if axis is None:
        return tuple(range(ndim))
    axes = tuple(axis) if isinstance(axis, Iterable) else (axis,)
    result = tuple(sorted(normalize_axis(a, ndim, op) for a in axes))
    if len(set(result)) != len(result):
        raise AxisError(f"{op}: axis {axis} names an axis twice; name each axis once")
    return result


def broadcast(op: str, *shapes: Shape) -> Shape:
    """The shape that all `shapes` broadcast to, as in the Array API.

    >>> broadcast("add", (3, 1), (4,))
    (3, 4)
    """
    first = shapes[0]
    if all(s == first for s in shapes):
        return first
    ndim = max(len(s) for s in shapes)
    result = []
    for sizes in zip(*((1,) * (ndim - len(s)) + s for s in shapes), strict=True):
        wanted = {n for n in sizes if n != 1}
        if len(wanted) > 1:
            listed = " and ".join(str(s) for s in shapes)
            raise ShapeError(
                f"{op}: shapes {listed} don't broadcast; "
                "sizes must be equal or 1, counted from the last axis"
            )
        result.append(wanted.pop() if wanted else 1)
    return tuple(result)


def reduce(shape: Shape, axes: Shape, keepdims: bool) -> Shape:
    """What is left of `shape` when `axes` are reduced away (or kept as 1)."""
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def reshape(shape: Shape, new: Sequence[int], op: str = "reshape") -> Shape:
    """`new` with its -1, if any, worked out.

    >>> reshape((2, 6), (3, -1))
    (3, 4)
    """
    new = tuple(operator.index(n) for n in new)
    total = size(shape)
    if new.count(-1) > 1 or any(n < -1 for n in new):
        raise ShapeError(f"{op}: {new} is no shape; at most one size may be -1, none below it")
    if -1 in new:
        rest = math.prod(n for n in new if n != -1)
        if rest and total % rest == 0:
            new = tuple(total // rest if n == -1 else n for n in new)
    if -1 in new or size(new) != total:
        raise ShapeError(f"{op}: {shape} has {total} elements, which {new} can't hold")
    return new


def swapped(ndim: int, axis1: int, axis2: int) -> Shape:
    """The order of `ndim` axes in which two have changed places."""
    order = list(range(ndim))
    a, b = (normalize_axis(axis, ndim, "swapaxes") for axis in (axis1, axis2))
    order[a], order[b] = b, a
    return tuple(order)


def flatten(shape: Shape, start: int, end: int) -> Shape:
    """`shape` with the axes from `start` to `end`, both included, as one; () becomes (1,).

    >>> flatten((2, 3, 4), 1, -1)
    (2, 12)
    """
    if not shape:
        return (1,)
    first, last = (normalize_axis(axis, len(shape), "flatten") for axis in (start, end))
    if first > last:
        raise ArgumentError(f"flatten: axes {start} to {end} of {shape}; expected start before end")
    return (*shape[:first], size(shape[first : last + 1]), *shape[last + 1 :])


def matmul(a: Shape, b: Shape, op: str = "matmul") -> Shape:
    """Shape of a matrix product (..., n, k) @ (..., k, m) -> (..., n, m).

    A vector (k,) is a row on the left, a column on the right, and its axis of 1 goes again.

    >>> matmul((3,), (5, 3, 2))
    (5, 2)
    """
    if not a or not b or a[-1] != b[max(-2, -len(b))]:
        raise ShapeError(
            f"{op}: {a} @ {b} doesn't fit; expected (..., n, k) @ (..., k, m) with one k, "
            "or a vector (k,) on either side"
        )
    columns = b[-1:] if len(b) > 1 else ()
    return (*broadcast(op, a[:-2], b[:-2]), *a[-2:-1], *columns)


def pair(value: Pair, name: str, op: str, least: int = 1) -> tuple[int, int]:
    """A setting given once or per (height, width), as two ints of at least `least`."""
    values = (value, value) if isinstance(value, int) else tuple(value)
    if len(values) != 2 or any(not isinstance(v, int) or v < least for v in values):
        raise ArgumentError(
            f"{op}: {name}={value!r}; expected an int or a pair of ints, each at least {least}"
        )
    return values[0], values[1]


Padding: TypeAlias = tuple[tuple[int, int], tuple[int, int]]


def padding2d(
    value: Pair | str | Padding,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    op: str,
) -> Padding:
    """Padding as ((top, bottom), (left, right)) from an int, a pair, "valid", "same" or itself.

    "same" pads dilation*(kernel-1) in all, the odd one behind, and needs stride 1 (as PyTorch).
    """
    if value == "valid":
        return (0, 0), (0, 0)
    if value == "same":
        if stride != (1, 1):
            raise ArgumentError(
                f'{op}: padding="same" with stride {stride}; it needs stride 1, or give numbers'
            )
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return (total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2)
    if isinstance(value, str):
        raise ArgumentError(
            f'{op}: padding={value!r}; expected "same", "valid", an int, (height, width) '
            "or ((top, bottom), (left, right))"
        )
    sides: tuple[Pair, ...] = (value, value) if isinstance(value, int) else value
    if len(sides) != 2:
        raise ArgumentError(f"{op}: padding={value!r}; expected one entry for each of 2 axes")
    rows, columns = (pair(side, "padding", op, least=0) for side in sides)
    return rows, columns


def window2d(
    spatial: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: Padding,
    dilation: tuple[int, int],
    op: str,
) -> tuple[int, int]:
    """Number of places a window has: floor((n + p - d*(k-1) - 1) / s) + 1 along each axis."""
    result = []
    for n, k, s, p, d in zip(spatial, kernel, stride, padding, dilation, strict=True):
        if k < 1:
            raise ShapeError(f"{op}: a window of {kernel} is empty; expected at least 1 each way")
        room = n + sum(p) - d * (k - 1) - 1
        if room < 0:
            raise ShapeError(
                f"{op}: a window of {d * (k - 1) + 1} doesn't fit into {n} + padding {sum(p)}; "
                "make the window smaller or the padding larger"
            )
        result.append(room // s + 1)
    return result[0], result[1]


def check_channels(x: Shape, weight: Shape, groups: int, op: str) -> None:
    """Raise `ShapeError` unless x (N, C, ...) and weight (K, C/groups, ...) fit in `groups`."""
    if groups < 1 or x[1] != weight[1] * groups:
        raise ShapeError(
            f"{op}: input has {x[1]} channels but weight {weight} with groups={groups} expects "
            f"{weight[1] * groups}; pass groups= or change in_channels"
        )
    if weight[0] % groups:
        raise ShapeError(
            f"{op}: {weight[0]} output channels don't divide into groups={groups}; "
            "change out_channels or groups"
        )


def conv2d(
    x: Shape,
    weight: Shape,
    stride: tuple[int, int],
    padding: Padding,
    dilation: tuple[int, int],
    groups: int,
    op: str = "conv2d",
) -> Shape:
    """Output (N, K, OH, OW) of input (N, C, H, W) and weight (K, C/groups, kh, kw)."""
    if len(x) != 4 or len(weight) != 4:
        raise ShapeError(
            f"{op}: input {x} and weight {weight}; expected (N, C, H, W) and (K, C/groups, kh, kw)"
        )
    check_channels(x, weight, groups, op)
    spatial = window2d((x[2], x[3]), (weight[2], weight[3]), stride, padding, dilation, op)
    return x[0], weight[0], *spatial


def slice_size(start: int, stop: int, step: int) -> int:
    """Number of indices in range(start, stop, step)."""
    return len(range(start, stop, step))
