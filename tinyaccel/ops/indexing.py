"""Indexing by integers that are data: taking along an axis and, its adjoint, putting into one.

Two families. `take_along_axis` and `scatter_add` have an index for each element; `take`,
`index_add` and `index_set` have one for each row, a row being all that lies across the axis.
In all of them a negative index counts back from the end. An index out of range raises
`IndexRangeError` on the CPU; where a device can't raise, what is taken there is NaN (integers 0),
and what was to be put there is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyaccel import dtypes, shapes
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError
from tinyaccel.op import EXACT, Budget, Interval, Op, Spec, register
from tinyaccel.ops.creation import arange
from tinyaccel.ops.define import composite
from tinyaccel.ops.elementwise import equal, where
from tinyaccel.ops.movement import reshape, stack
from tinyaccel.tensor import DTypeLike, Tensor, TensorLike, apply, full, tensor
from tinyaccel.trace import refuse


def _check_dtype(name: str, indices: Spec) -> None:
    if not indices.dtype.is_integer:
        raise DTypeError(f"{name}: indices are {indices}; expected integers; convert with astype")


def _check(name: str, x: Spec, indices: Spec, axis: int) -> dict[str, Any]:
    _check_dtype(name, indices)
    at = shapes.normalize_axis(axis, len(x.shape), name)
    same = len(x.shape) == len(indices.shape) and all(
        n == m for i, (n, m) in enumerate(zip(x.shape, indices.shape, strict=True)) if i != at
    )
    if not same:
        raise ShapeError(
            f"{name}: indices {indices.shape} for {x.shape} along axis {at}; "
            "they have x's shape, except along the axis"
        )
    return {"axis": at}


# An index for each element


def take_along_axis(x: TensorLike, indices: TensorLike, *, axis: int = -1) -> Tensor:
    """y[.., i, ..] = x[.., indices[.., i, ..], ..] along `axis`; negative indices count back.

    indices: integers, of x's shape except along `axis`. An index out of range raises
    `IndexRangeError` on the CPU; where a device can't raise, it gives NaN (integers 0).
    """
    return apply("take_along_axis", x, indices, axis=axis)


def scatter_add(x: TensorLike, indices: TensorLike, updates: TensorLike, *, axis: int) -> Tensor:
    """x, with updates[.., i, ..] added at [.., indices[.., i, ..], ..] along `axis`.

    Places that are named more than once receive every update. An index out of range raises
    `IndexRangeError` on the CPU; where a device can't raise, its update is dropped. The adjoint
    of `take_along_axis`.
    """
    return apply("scatter_add", x, indices, updates, axis=axis)


def _infer_scatter(x: Spec, indices: Spec, updates: Spec, *, axis: int) -> Spec:
    if updates.shape != indices.shape:
        raise ShapeError(
            f"scatter_add: updates {updates.shape} for indices {indices.shape}; must be equal"
        )
    return x


def _zeros_like(x: Tensor) -> Tensor:
    return full(x.shape, 0, dtype=x.dtype, device=x.device)


register(
    Op(
        "take_along_axis", "indexing",
        lambda x, indices, *, axis: Spec(indices.shape, x.dtype), together=(0,),
        prepare=lambda x, indices, *, axis: _check("take_along_axis", x, indices, axis),
        vjp=(lambda g, y, x, indices, *, axis: scatter_add(_zeros_like(x), indices, g, axis=axis),
             None),
        domain=(Interval(), Interval()), doc="elements by their index along an axis",
    )
)  # fmt: skip
register(
    Op(
        "scatter_add", "indexing", _infer_scatter, together=(0, 2), takes="number",
        prepare=lambda x, indices, updates, *, axis: _check("scatter_add", x, indices, axis),
        vjp=(
            lambda g, y, x, indices, updates, *, axis: g,
            None,
            lambda g, y, x, indices, updates, *, axis: take_along_axis(g, indices, axis=axis),
        ),

        domain=(Interval(), Interval(), Interval()),
        budget=Budget("accumulate", 4, lambda x, i, u, *, axis: i.shape[axis] + 1),
        doc="values added at their index along an axis",
    )
)  # fmt: skip


# An index for each row


def take(x: TensorLike, indices: TensorLike, *, axis: int | None = None) -> Tensor:
    """The rows of x with these indices, along `axis`: what an embedding is.

    indices: integers of any shape, which takes the place of x's axis in the result's:
    (2, V, 3) at axis 1 with (4, 5) gives (2, 4, 5, 3). axis=None takes from x flattened.
    A negative index counts back. An index out of range raises `IndexRangeError` on the CPU;
    where a device can't raise, it gives NaN (integers 0).

    >>> import tinyaccel as ta
    >>> ta.take(ta.tensor([[1, 2], [3, 4]]), ta.tensor([1, 1, 0]), axis=0)
    tensor([[3, 4],
            [3, 4],
            [1, 2]], dtype=int32)
    """
    if axis is None:
        return apply("take", reshape(x, shape=-1), indices, axis=0)
    return apply("take", x, indices, axis=axis)


def index_add(x: TensorLike, indices: TensorLike, updates: TensorLike, *, axis: int) -> Tensor:
    """x, with each row of `updates` added to the row of x that its index names, along `axis`.

    updates has the shape of `take(x, indices, axis=axis)`, whose adjoint this is. A row that is
    named more than once receives every update. An index out of range raises `IndexRangeError` on
    the CPU; where a device can't raise, its update is dropped.
    """
    return apply("index_add", x, indices, updates, axis=axis)


def index_set(x: TensorLike, indices: TensorLike, updates: TensorLike, *, axis: int) -> Tensor:
    """x, with the rows that are named by an index replaced by rows of `updates`, along `axis`.

    updates has the shape of `take(x, indices, axis=axis)`. Of several updates for one row the
    last one stays, on every device, and has the gradient to itself. An index out of range raises
    `IndexRangeError` on the CPU; where a device can't raise, its update is dropped.
    """
    return apply("index_set", x, indices, updates, axis=axis)


def _rows(x: Spec, indices: Spec, axis: int) -> shapes.Shape:
    return (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def _prepare_rows(name: str) -> Callable[..., dict[str, Any]]:
    def prepare(x: Spec, indices: Spec, *updates: Spec, axis: int) -> dict[str, Any]:
        _check_dtype(name, indices)
        at = shapes.normalize_axis(axis, len(x.shape), name)
        for given in updates:
            if given.shape != _rows(x, indices, at):
                raise ShapeError(
                    f"{name}: updates {given.shape} for {x.shape} and indices {indices.shape} "
                    f"along axis {at}; expected {_rows(x, indices, at)}"
                )
        return {"axis": at}

    return prepare


def _winners(indices: Tensor, n: int) -> Tensor:
    """Which updates stay: those that no later one replaces. Bool, of the indices' shape.

    Each index writes its number into its place, and looks whether it is still there. They count
    from 1, because an index that is out of range finds 0.
    """
    number = reshape(arange(1, indices.size + 1, device=indices.device), shape=indices.shape)
    last = index_set(full(n, 0, dtype=number.dtype, device=indices.device), indices, number, axis=0)
    return equal(take(last, indices, axis=0), number)


def _set_vjp_updates(
    g: Tensor, y: Tensor, x: Tensor, indices: Tensor, updates: Tensor, *, axis: int
) -> Tensor:
    across = len(x.shape) - 1 - axis
    won = _winners(indices, x.shape[axis])
    won = reshape(won, shape=(*indices.shape, *(1,) * across))
    return where(won, take(g, indices, axis=axis), 0)


register(
    Op(
        "take", "indexing",
        lambda x, indices, *, axis: Spec(_rows(x, indices, axis), x.dtype), together=(0,),
        prepare=_prepare_rows("take"),
        vjp=(lambda g, y, x, indices, *, axis: index_add(_zeros_like(x), indices, g, axis=axis),
             None),
        domain=(Interval(), Interval()), doc="rows by their index along an axis",
    )
)  # fmt: skip
register(
    Op(
        "index_add", "indexing", lambda x, indices, updates, *, axis: x, together=(0, 2),
        takes="number", prepare=_prepare_rows("index_add"),
        vjp=(
            lambda g, y, x, indices, updates, *, axis: g,
            None,
            lambda g, y, x, indices, updates, *, axis: take(g, indices, axis=axis),
        ),
        domain=(Interval(), Interval(), Interval()),
        budget=Budget("accumulate", 4, lambda x, i, u, *, axis: math.prod(i.shape) + 1),
        doc="rows added at their index along an axis",
    )
)  # fmt: skip
register(
    Op(
        "index_set", "indexing", lambda x, indices, updates, *, axis: x, together=(0, 2),
        prepare=_prepare_rows("index_set"),
        vjp=(
            lambda g, y, x, indices, updates, *, axis: index_set(
                g, indices, _zeros_like(updates), axis=axis
            ),
            None,
            _set_vjp_updates,
        ),
        domain=(Interval(), Interval(), Interval()),
        doc="rows replaced at their index along an axis",
    )
)  # fmt: skip


# Made of these


def _prepare_one_hot(
    indices: Spec, *, num_classes: int, dtype: DTypeLike = dtypes.DEFAULT_FLOAT
) -> dict[str, Any]:
    if not isinstance(num_classes, int) or isinstance(num_classes, bool) or num_classes < 1:
        raise ArgumentError(
            f"one_hot: num_classes={num_classes!r}; expected an integer of at least 1"
        )
    return {"num_classes": num_classes, "dtype": dtypes.as_dtype(dtype)}


@composite(takes="whole", prepare=_prepare_one_hot, domain=(Interval(-3, 3),), budget=EXACT,
           vjp=(None,))  # fmt: skip
def one_hot(
    indices: Tensor, *, num_classes: int, dtype: DTypeLike = dtypes.DEFAULT_FLOAT
) -> Tensor:
    """1 at each index and 0 elsewhere, along a new last axis of `num_classes`.

    indices: integers of any shape (...); returns (..., num_classes) in `dtype`, float32 by
    default. A negative index counts back. An index out of range raises `IndexRangeError` on the
    CPU; where a device can't raise, its row is NaN (of integers 0).

    >>> import tinyaccel as ta
    >>> ta.one_hot(ta.tensor([2, 0]), num_classes=3)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    kind = dtypes.as_dtype(dtype)
    numbers = arange(1, num_classes + 1, device=indices.device)  # what is out of range finds 0
    found = take(numbers, indices, axis=0).expand_dims(indices.ndim)
    hit = equal(found, numbers).astype(kind)
    return where(equal(found, 0), math.nan, hit) if kind.is_float else hit


def nonzero(x: TensorLike) -> tuple[Tensor, ...]:
    """Where x isn't 0 (or is True): the indices along each axis, in row-major order.

    x: any shape but 0-d. Returns a tuple of int32 (count,), one for each axis, so that
    `x[nonzero(x)]` are the elements themselves. Their number is data, so this can't be traced by
    jit, and raises `TraceError` there. Raises `ShapeError` for a 0-d tensor.

    >>> import tinyaccel as ta
    >>> ta.nonzero(ta.tensor([0.0, 2.0, 3.0]))
    (tensor([1, 2], dtype=int32),)
    """
    given = x if isinstance(x, Tensor) else tensor(x)
    if not given.ndim:
        raise ShapeError("nonzero: a 0-d tensor has no axes to count along; reshape it to (1,)")
    refuse("nonzero, whose size depends on values,", "use where(mask, x, 0), or call it outside")
    found = np.nonzero(given.numpy() != 0)
    return tuple(tensor(i.astype(np.int32), device=given.device) for i in found)


def argwhere(x: TensorLike) -> Tensor:
    """Where x isn't 0 (or is True), a row for each such element: int32 (count, x.ndim).

    As `nonzero`, which see, with the axes side by side.
    """
    return stack(nonzero(x), axis=1)
