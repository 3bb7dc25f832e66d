"""Reductions: what becomes of an axis when it is summed, averaged or searched."""

from __future__ import annotations

from typing import Any

from tinyaccel import dtypes, shapes
from tinyaccel.errors import ShapeError
from tinyaccel.op import Budget, Op, Spec, register
from tinyaccel.ops.define import composite
from tinyaccel.ops.elementwise import bitwise_not, equal, maximum, neg, where
from tinyaccel.ops.movement import broadcast_to, reshape
from tinyaccel.tensor import Tensor, TensorLike, apply


def _prepare(name: str, *, empty: bool = True) -> Any:
    """Attributes (axis, keepdims) in canonical form; `empty` says whether no elements are fine."""

    def prepare(
        x: Spec, *, axis: shapes.Axes = None, keepdims: bool = False, **more: Any
    ) -> dict[str, Any]:
        axes = shapes.normalize_axes(axis, len(x.shape), name)
        if not empty and any(x.shape[a] == 0 for a in axes):
            raise ShapeError(f"{name}: {x} has nothing along axis {axes}; it has no {name}")
        return {"axis": axes, "keepdims": bool(keepdims), **more}

    return prepare


def _infer(x: Spec, *, axis: shapes.Shape, keepdims: bool) -> Spec:
    return Spec(shapes.reduce(x.shape, axis, keepdims), x.dtype)


def _spread(g: Tensor, x: Tensor, axis: shapes.Shape) -> Tensor:
    """A reduced tensor, laid out so that it broadcasts against what it was reduced from."""
    return reshape(g, shape=shapes.reduce(x.shape, axis, keepdims=True))


def _sum_vjp(g: Tensor, y: Tensor, x: Tensor, *, axis: shapes.Shape, keepdims: bool) -> Tensor:
    return broadcast_to(_spread(g, x, axis), shape=x.shape)


def _max_vjp(g: Tensor, y: Tensor, x: Tensor, *, axis: shapes.Shape, keepdims: bool) -> Tensor:
    """Ties share the gradient equally; a NaN equals nothing and passes none on."""
    hit = equal(x, _spread(y, x, axis))
    count = maximum(hit.astype(x.dtype).sum(axis, keepdims=True), 1)
    return where(hit, _spread(g, x, axis) / count, 0)


def length(x: Spec, *, axis: shapes.Shape, **_: Any) -> int:
    """How many elements one result of a reduction is made of."""
    return shapes.size(tuple(x.shape[a] for a in axis))


register(
    Op(
        "sum", "reduction", _infer, prepare=_prepare("sum"), takes="sum", vjp=(_sum_vjp,),
        budget=Budget("accumulate", 4, length),
        doc="the sum along axes",
    )
)  # fmt: skip
register(
    Op(
        "max", "reduction", _infer, prepare=_prepare("max", empty=False), vjp=(_max_vjp,),
        doc="the largest along axes",
    )
)  # fmt: skip


def _prepare_argmax(x: Spec, *, axis: int | None = None, keepdims: bool = False) -> dict[str, Any]:
    axes = shapes.normalize_axes(axis, len(x.shape), "argmax")
    if axis is None and len(axes) > 1:
        raise ShapeError(f"argmax: {x} with axis=None; flatten it first, or name one axis")
    if not axes or x.shape[axes[0]] == 0:
        raise ShapeError(f"argmax: {x} has nothing along axis {axis}; it has no argmax")
    return {"axis": axes[0], "keepdims": bool(keepdims)}


register(
    Op(
        "argmax", "reduction",
        lambda x, *, axis, keepdims: Spec(shapes.reduce(x.shape, (axis,), keepdims), dtypes.int32),
        prepare=_prepare_argmax,
        doc="where the largest is along an axis",
    )
)  # fmt: skip


def sum(x: TensorLike, axis: shapes.Axes = None, *, keepdims: bool = False) -> Tensor:
    """The sum along `axis` (None: all axes); 0 where there is nothing.

    x: any shape; bool, int8 and uint8 are summed in 32 bits. Float error is at most
    4 sqrt(k) eps sum|x| for k terms.

    >>> import tinyaccel as ta
    >>> ta.sum(ta.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    tensor([4., 6.])
    """
    return apply("sum", x, axis=axis, keepdims=keepdims)


def max(x: TensorLike, axis: shapes.Axes = None, *, keepdims: bool = False) -> Tensor:
    """The largest value along `axis` (None: all axes).

    Any NaN gives NaN; ties share the gradient equally. Raises `ShapeError` for an empty axis.
    """
    return apply("max", x, axis=axis, keepdims=keepdims)


def argmax(x: TensorLike, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
    """The int32 index of the largest value along one axis: the first of equals, or of NaNs.

    Raises `ShapeError` for an empty axis, or for axis=None on more than one dimension.
    """
    return apply("argmax", x, axis=axis, keepdims=keepdims)


@composite(takes="any", prepare=_prepare("min", empty=False), budget=Budget("exact"))
def min(x: Tensor, *, axis: shapes.Axes = None, keepdims: bool = False) -> Tensor:
    """The smallest value along `axis` (None: all axes), by the rules of `max`.

    For integers, ~x turns the order round without overflow.
    """
    turn = neg if x.dtype.is_float else bitwise_not
    return turn(max(turn(x), axis, keepdims=keepdims))


def _widened(x: Tensor) -> Tensor:
    """x in float32 if it is narrower: a sum or a count may not fit float16."""
    return x.astype(dtypes.float32) if x.dtype.itemsize == 2 else x


def _count(x: Tensor, axis: shapes.Axes) -> float:
    return float(length(x.spec, axis=shapes.normalize_axes(axis, x.ndim, "mean")))


@composite(prepare=_prepare("mean"))
def mean(x: Tensor, *, axis: shapes.Axes = None, keepdims: bool = False) -> Tensor:
    """sum(x) / n along `axis` (None: all axes); NaN where there is nothing."""
    wide = _widened(x)
    return (sum(wide, axis, keepdims=keepdims) / _count(x, axis)).astype(x.dtype)


@composite(prepare=_prepare("var"))
def var(
    x: Tensor, *, axis: shapes.Axes = None, correction: int = 0, keepdims: bool = False
) -> Tensor:
    """sum((x - mean)**2) / (n - correction) along `axis` (None: all axes)."""
    wide = _widened(x)
    centred = wide - mean(wide, axis=axis, keepdims=True)
    squares = sum(centred * centred, axis, keepdims=keepdims)
    return (squares / (_count(x, axis) - correction)).astype(x.dtype)
