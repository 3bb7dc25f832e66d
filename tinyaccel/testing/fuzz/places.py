"""Where an op can go: shapes and attributes for it, around a value that is there already."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from tinyaccel.op import Attrs, Op
from tinyaccel.shapes import Shape, size
from tinyaccel.testing.fuzz.exact import Rejected
from tinyaccel.testing.layouts import Layout, layouts
from tinyaccel.testing.layouts.common import of

Rng: TypeAlias = np.random.Generator

SIZE = 40  # elements of most values
LARGE = 1100  # and of a few
_ELEMENTWISE = ("unary", "binary", "comparison", "ternary", "cast")


def layout(op: Op, shape: Shape, rng: Rng) -> Layout:
    """A layout for `op`: for a value of `shape` if the op can be had at any shape, or its own.

    Raises `Rejected` if there is none of a size that suits a program.
    """
    base = _base(op, rng)
    if op.name in _SPECIAL:
        found = _SPECIAL[op.name](shape, rng)
        if found is not None and rng.random() < 0.8:
            return found
    elif op.kind in _ELEMENTWISE or op.broadcasts:
        return Layout(_broadcasting(shape, len(base.shapes), rng), base.attrs)
    elif all(len(set(at.shapes)) == 1 for at in layouts(op)) and rng.random() < 0.8:
        attrs = {**base.attrs, **_axis(base.attrs, len(shape), rng)}
        return Layout((shape,) * len(base.shapes), attrs)
    return base


def _base(op: Op, rng: Rng) -> Layout:
    """One of the layouts that the op itself is tested with; none that is empty or too large."""
    try:
        found = layouts(op)
    except Exception as error:
        raise Rejected(str(error)) from None
    limit = 6 * SIZE if rng.random() < 0.9 else 3 * LARGE
    fitting = [at for at in found if 0 not in map(size, at.shapes)]
    small = [at for at in fitting if sum(map(size, at.shapes)) <= limit]
    if not small:
        raise Rejected(f"{op.name}: no layout small enough")
    return small[rng.integers(len(small))]


def _broadcasting(shape: Shape, count: int, rng: Rng) -> tuple[Shape, ...]:
    """`shape` for one of `count` inputs, and shapes that broadcast with it for the others."""
    others: list[Shape] = []
    for _ in range(count - 1):
        kind = rng.integers(4)
        if kind == 0:
            other: Shape = tuple(1 if rng.random() < 0.5 else n for n in shape)
        elif kind == 1:
            other = shape[int(rng.integers(len(shape) + 1)) :]
        elif kind == 2 and size(shape) <= SIZE // 3:
            other = (int(rng.integers(1, 4)), *shape)
        else:
            other = shape
        others.append(other)
    others.insert(int(rng.integers(count)), shape)
    return tuple(others)


def _axis(attrs: Attrs, ndim: int, rng: Rng) -> dict[str, Any]:
    """`axis` drawn anew, in the form it has there: None, one axis, or several."""
    if "axis" not in attrs or attrs["axis"] is None:
        return {}
    if not ndim:
        raise Rejected("no axis to choose")
    if isinstance(attrs["axis"], int):
        return {"axis": int(rng.integers(-ndim, ndim))}
    chosen = rng.permutation(ndim)[: rng.integers(1, ndim + 1)]
    return {"axis": tuple(int(a) for a in sorted(chosen))}


# Ops whose attributes follow from the shape, one by one


def _one_of(n: int, rng: Rng) -> int:
    return int(rng.integers(n))


def _reshape(shape: Shape, rng: Rng) -> Layout:
    n = size(shape)
    rows = [k for k in range(1, n + 1) if n % k == 0 and k < 200]
    a = rows[_one_of(len(rows), rng)]
    rest = n // a
    columns = [k for k in range(1, rest + 1) if rest % k == 0 and k < 200]
    b = columns[_one_of(len(columns), rng)]
    choices: list[Shape] = [(n,), (a, rest), (-1, a), (a, b, rest // b), (1, n)]
    return of(shape, shape=choices[_one_of(len(choices), rng)])


def _permute(shape: Shape, rng: Rng) -> Layout:
    return of(shape, axes=tuple(int(a) for a in rng.permutation(len(shape))))


def _broadcast_to(shape: Shape, rng: Rng) -> Layout | None:
    if size(shape) > SIZE:
        return None
    grown = tuple(int(rng.integers(1, 5)) if n == 1 else n for n in shape)
    front = (int(rng.integers(1, 4)),) if rng.random() < 0.5 else ()
    return of(shape, shape=(*front, *grown))


def _pad(shape: Shape, rng: Rng) -> Layout:
    widths = tuple(tuple(int(w) for w in rng.integers(0, 3, 2)) for _ in shape)
    return of(shape, widths=widths, value=float(rng.choice([0.0, 1.0, -0.5])))


def _slice(shape: Shape, rng: Rng) -> Layout:
    starts = [_one_of(n, rng) for n in shape]
    steps = [int(s) for s in rng.integers(1, 4, len(shape))]
    stops = []
    for start, step, n in zip(starts, steps, shape, strict=True):
        most = (n - 1 - start) // step
        stops.append(start + _one_of(most + 1, rng) * step + 1)  # right behind the last one
    return of(shape, starts=tuple(starts), stops=tuple(stops), steps=tuple(steps))


def _concat(shape: Shape, rng: Rng) -> Layout | None:
    if not shape:
        return None
    axis = _one_of(len(shape), rng)
    other = tuple(int(rng.integers(1, 4)) if i == axis else n for i, n in enumerate(shape))
    pieces = [shape, shape if rng.random() < 0.5 else other]
    return of(*pieces, axis=axis)


def _expand_dims(shape: Shape, rng: Rng) -> Layout:
    return of(shape, axis=int(rng.integers(-len(shape) - 1, len(shape) + 1)))


def _squeeze(shape: Shape, rng: Rng) -> Layout | None:
    ones = [i for i, n in enumerate(shape) if n == 1]
    return of(shape, axis=ones[_one_of(len(ones), rng)]) if ones else None


def _along(count: int) -> Callable[[Shape, Rng], Layout | None]:
    """Indices along an axis, and `count` - 2 updates of their shape."""

    def place(shape: Shape, rng: Rng) -> Layout | None:
        if not shape or size(shape) > SIZE:
            return None
        axis = _one_of(len(shape), rng)
        n = int(rng.integers(1, 6))
        indices = tuple(n if i == axis else m for i, m in enumerate(shape))
        return of(shape, *[indices] * (count - 1), axis=axis)

    return place


def _matmul(shape: Shape, rng: Rng) -> Layout | None:
    if len(shape) < 2:
        return None
    columns = int(rng.integers(1, 6))
    left = rng.random() < 0.6
    other = (shape[-1], columns) if left else (columns, shape[-2])
    return of(shape, other) if left else of(other, shape)


def _linear(shape: Shape, rng: Rng) -> Layout | None:
    if not shape:
        return None
    features = int(rng.integers(1, 6))
    bias = [(features,)] if rng.random() < 0.5 else []
    return of(shape, (features, shape[-1]), *bias)


_SPECIAL: Mapping[str, Callable[[Shape, Rng], Layout | None]] = {
    "reshape": _reshape,
    "permute_dims": _permute,
    "broadcast_to": _broadcast_to,
    "pad": _pad,
    "slice": _slice,
    "concat": _concat,
    "expand_dims": _expand_dims,
    "squeeze": _squeeze,
    "take_along_axis": _along(2),
    "scatter_add": _along(3),
    "matmul": _matmul,
    "linear": _linear,
}


def starting_shape(rng: Rng) -> Shape:
    """The shape of a program's first inputs."""
    if rng.random() < 0.08:
        return _WIDE[_one_of(len(_WIDE), rng)]
    return _FEW[_one_of(len(_FEW), rng)]


# Few of them, so that a backend that compiles per shape has most of them compiled soon.
_FEW: tuple[Shape, ...] = (
    (), (1,), (2,), (5,), (33,), (2, 3), (3, 1), (1, 4), (4, 3), (2, 3, 4), (1, 2, 4, 5),
)  # fmt: skip
_WIDE: tuple[Shape, ...] = ((129,), (1025,), (3, 129))
assert all(math.prod(s) <= LARGE for s in (*_FEW, *_WIDE))
