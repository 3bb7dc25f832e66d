"""What `x[...]` comes to, as arithmetic on shapes: slices, flips, a reshape, and axes to gather.

No arrays, no dtypes: an array among the indices is known by its shape and what it is.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from tinyaccel.errors import ArgumentError, IndexRangeError, ShapeError
from tinyaccel.shapes import Shape


class Picker(NamedTuple):
    """An array among the indices: integers, which pick places on one axis, or a mask.

    A mask of k axes stands for k axes. One of no axes picks all of x, or nothing: it stands for
    a new axis of size 1.
    """

    shape: Shape
    is_mask: bool


Part: TypeAlias = object  # an integer, a slice, None, ... or a Picker


class IndexPlan(NamedTuple):
    """Basic indexing first, which moves no data but by slices; then what is left to gather.

    starts, stops, steps  a slice with positive steps, for each axis of x
    flipped               the axes that are turned round after that
    shape                 what that is reshaped to: axes of integers gone, new ones there, and
                          those that arrays pick from still whole
    moves                 whether the slice leaves anything out
    order                 the axes of `shape` with those that are picked from side by side
    at, picked            where those stand in it, and how many they are
    """

    starts: Shape
    stops: Shape
    steps: Shape
    flipped: Shape
    shape: Shape
    moves: bool
    order: Shape
    at: int
    picked: int


def _spelled_out(shape: Shape, parts: Sequence[Part], op: str) -> list[Part]:
    """The parts, with a slice for every axis that isn't mentioned in place of `...`.

    Where there is no such axis the `...` stays, as it still stands between its neighbours.
    """
    given = sum(
        (len(part.shape) if part.is_mask else 1) if isinstance(part, Picker) else 1
        for part in parts
        if part is not None and part is not Ellipsis
    )
    dots = [i for i, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1 or given > len(shape):
        raise ShapeError(
            f"{op}: index for {given} axes on shape {shape}; expected at most {len(shape)} "
            "integers, slices or arrays, and one ..."
        )
    at = dots[0] if dots else len(parts)
    full: list[Part] = [slice(None)] * (len(shape) - given) or [Ellipsis] * len(dots)
    return [*parts[:at], *full, *parts[at + 1 :]]


def _places(part: Part, n: int, axis: int, op: str) -> range:
    """The places on an axis of n that an integer or a slice names."""
    if isinstance(part, slice):
        if part.step == 0:
            raise ArgumentError(f"{op}: {part} never arrives; give a step other than 0")
        return range(*part.indices(n))
    if isinstance(part, bool) or not hasattr(part, "__index__"):
        raise ShapeError(
            f"{op}: {type(part).__name__} is no index; expected an integer, a slice, None, ... "
            "or an array of integers or bools"
        )
    i = operator.index(part)
    if not -n <= i < n:
        raise IndexRangeError(f"{op}: index {i} is out of range for axis {axis} of {n}")
    return range(i % n, i % n + 1)


def parse_index(shape: Shape, parts: Sequence[Part], op: str = "getitem") -> IndexPlan:
    """All of NumPy's indexing: integers, slices, None, one Ellipsis, and arrays as `Picker`s.

    Arrays broadcast to one shape, whose axes come where the arrays stand; or first of all, if
    something other than an integer stands between them.
    Raises `IndexRangeError` for an integer outside its axis, `ShapeError` for too many of them, a
    mask that doesn't fit, or what is no index.

    >>> parse_index((4, 5), [slice(None, None, -1), 2]).shape
    (4,)
    """
    ranges: list[range] = []
    flipped: list[int] = []
    out: list[int] = []
    picked: list[int] = []  # axes of the result that arrays pick from
    fancy: list[int] = []  # parts that are arrays or integers
    spelled = _spelled_out(shape, parts, op)
    for number, part in enumerate(spelled):
        axis = len(ranges)
        if part is None:
            out.append(1)
        elif part is Ellipsis:
            continue
        elif isinstance(part, Picker):
            fancy.append(number)
            covered = len(part.shape) if part.is_mask else 1
            if part.is_mask and shape[axis : axis + covered] != part.shape:
                raise ShapeError(
                    f"{op}: a mask of {part.shape} for axes of {shape[axis : axis + covered]}; "
                    "must be equal"
                )
            sizes = shape[axis : axis + covered] or (1,)
            picked += range(len(out), len(out) + len(sizes))
            out += sizes
            ranges += map(range, shape[axis : axis + covered])
        else:
            places = _places(part, shape[axis], axis, op)
            if places.step < 0:
                places = places[::-1]
                flipped.append(axis)
            if isinstance(part, slice):
                out.append(len(places))
            else:
                fancy.append(number)
            # An empty range may start past the end; as a slice it must lie within the axis.
            ranges.append(places if len(places) else range(0))
    apart = bool(fancy) and fancy[-1] - fancy[0] >= len(fancy)
    at = picked[0] if picked and not apart else 0
    others = [i for i in range(len(out)) if i not in picked]
    return IndexPlan(
        starts=tuple(r.start for r in ranges),
        stops=tuple(r[-1] + 1 if len(r) else 0 for r in ranges),
        steps=tuple(r.step for r in ranges),
        flipped=tuple(flipped),
        shape=tuple(out),
        moves=any(r != range(n) for r, n in zip(ranges, shape, strict=True)),
        order=(*others[:at], *picked, *others[at:]),
        at=at,
        picked=len(picked),
    )
