"""Pure shape arithmetic: no arrays, no dtypes, only tuples of integers.

Each function takes the name of the op on whose behalf it is called, for its error messages.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from tinyaccel.errors import ArgumentError, AxisError, IndexRangeError, ShapeError

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


def matmul(a: Shape, b: Shape, op: str = "matmul") -> Shape:
    """Shape of a matrix product (..., n, k) @ (..., k, m) -> (..., n, m)."""
    if len(a) < 2 or len(b) < 2 or a[-1] != b[-2]:
        raise ShapeError(
            f"{op}: {a} @ {b} doesn't fit; expected (..., n, k) @ (..., k, m) with one k"
        )
    return (*broadcast(op, a[:-2], b[:-2]), a[-2], b[-1])


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
        room = n + sum(p) - d * (k - 1) - 1
        if room < 0:
            raise ShapeError(
                f"{op}: a window of {d * (k - 1) + 1} doesn't fit into {n} + padding {sum(p)}; "
                "make the window smaller or the padding larger"
            )
        result.append(room // s + 1)
    return result[0], result[1]


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
    spatial = window2d((x[2], x[3]), (weight[2], weight[3]), stride, padding, dilation, op)
    return x[0], weight[0], *spatial


def slice_size(start: int, stop: int, step: int) -> int:
    """Number of indices in range(start, stop, step)."""
    return len(range(start, stop, step))


class IndexPlan(NamedTuple):
    """What `x[...]` comes to: a slice with positive steps, flipped axes, and a final shape."""

    starts: Shape
    stops: Shape
    steps: Shape
    flipped: Shape
    shape: Shape
    moves: bool


def _has_axes(index: object) -> bool:
    """Whether it is an array of one axis at least: those have an `__index__` that only raises."""
    return getattr(index, "shape", ()) != ()


def parse_index(shape: Shape, index: object) -> IndexPlan:
    """Basic indexing, as in the Array API: integers, slices, None and one Ellipsis.

    >>> parse_index((4, 5), (slice(None, None, -1), 2)).shape
    (4,)
    """
    parts = index if isinstance(index, tuple) else (index,)
    given = sum(part is not None and part is not Ellipsis for part in parts)
    dots = sum(part is Ellipsis for part in parts)
    if dots > 1 or given > len(shape):
        raise ShapeError(
            f"getitem: index {index!r} on shape {shape}; expected at most {len(shape)} "
            "integers or slices and one ..."
        )
    full = (slice(None),) * (len(shape) - given)
    at = next((i for i, part in enumerate(parts) if part is Ellipsis), len(parts))
    parts = (*parts[:at], *full, *parts[at + 1 :])
    starts, stops, steps, flipped, out = [], [], [], [], []
    axis = 0
    for part in parts:
        if part is None:
            out.append(1)
            continue
        n = shape[axis]
        if isinstance(part, slice):
            if part.step == 0:
                raise ArgumentError(f"getitem: {part} never arrives; give a step other than 0")
            places = range(*part.indices(n))
            if places.step < 0:
                places = places[::-1]
                flipped.append(axis)
            out.append(len(places))
        elif hasattr(part, "__index__") and not isinstance(part, bool) and not _has_axes(part):
            i = operator.index(part)
            if not -n <= i < n:
                raise IndexRangeError(f"getitem: index {i} is out of range for axis {axis} of {n}")
            places = range(i % n, i % n + 1)
        else:
            raise ShapeError(
                f"getitem: {type(part).__name__} is no index; expected an integer, a slice, None "
                "or ..."
            )
        # An empty range may start past the end; as a slice it must lie within the axis.
        places = places if len(places) else range(0)
        starts.append(places.start)
        stops.append(places[-1] + 1 if len(places) else 0)
        steps.append(places.step)
        axis += 1
    moves = any(
        (a, b, s) != (0, n, 1) for a, b, s, n in zip(starts, stops, steps, shape, strict=True)
    )
    return IndexPlan(tuple(starts), tuple(stops), tuple(steps), tuple(flipped), tuple(out), moves)
