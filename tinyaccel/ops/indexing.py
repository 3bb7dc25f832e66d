"""Indexing by integers that are data: taking along an axis and, its adjoint, adding into one."""

from __future__ import annotations

from typing import Any

from tinyaccel import shapes
from tinyaccel.errors import DTypeError, ShapeError
from tinyaccel.op import Budget, Interval, Op, Spec, register
from tinyaccel.tensor import Tensor, TensorLike, apply, full


def _check(name: str, x: Spec, indices: Spec, axis: int) -> dict[str, Any]:
    if not indices.dtype.is_integer:
        raise DTypeError(f"{name}: indices are {indices}; expected integers; convert with astype")
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


def take_along_axis(x: TensorLike, indices: TensorLike, *, axis: int = -1) -> Tensor:
    """y[.., i, ..] = x[.., indices[.., i, ..], ..] along `axis`; negative indices count back.

    indices: integers, of x's shape except along `axis`. An index out of range raises
    `IndexRangeError` on the CPU; where a device can't raise, it gives NaN (integers 0).
    """
    return apply("take_along_axis", x, indices, axis=axis)


def scatter_add(x: TensorLike, indices: TensorLike, updates: TensorLike, *, axis: int) -> Tensor:
    """x, with updates[.., i, ..] added at [.., indices[.., i, ..], ..] along `axis`.

    Places that are named more than once receive every update. The adjoint of `take_along_axis`.
    """
    return apply("scatter_add", x, indices, updates, axis=axis)


def _infer_scatter(x: Spec, indices: Spec, updates: Spec, *, axis: int) -> Spec:
    if updates.shape != indices.shape:
        raise ShapeError(
            f"scatter_add: updates {updates.shape} for indices {indices.shape}; must be equal"
        )
    return x


def _take_vjp(g: Tensor, y: Tensor, x: Tensor, indices: Tensor, *, axis: int) -> Tensor:
    zeros = full(x.shape, 0, dtype=x.dtype, device=x.device)
    return scatter_add(zeros, indices, g, axis=axis)


register(
    Op(
        "take_along_axis", "indexing",
        lambda x, indices, *, axis: Spec(indices.shape, x.dtype), together=(0,),
        prepare=lambda x, indices, *, axis: _check("take_along_axis", x, indices, axis),
        vjp=(_take_vjp, None),
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
