"""Reductions: what becomes of an axis when it is summed, multiplied, averaged or searched."""

from __future__ import annotations

import math
from typing import Any

from tinyaccel import dtypes, shapes
from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.op import EXACT, Budget, Interval, Op, Spec, register
from tinyaccel.ops.define import composite
from tinyaccel.ops.elementwise import (
    abs,
    bitwise_not,
    equal,
    exp,
    log,
    maximum,
    neg,
    not_equal,
    pow,
    sign,
    sqrt,
    where,
)
from tinyaccel.ops.logic import isfinite, truth
from tinyaccel.ops.movement import broadcast_to, pad, permute_dims, reshape
from tinyaccel.tensor import Tensor, TensorLike, apply, full


def _prepare(name: str, *, empty: bool = True) -> Any:
    """Attributes (axis, keepdims) in canonical form; `empty` says whether no elements are fine."""

    def prepare(
        x: Spec, *, axis: shapes.Axes = None, keepdims: bool = False, **more: Any
    ) -> dict[str, Any]:
        axes = shapes.normalize_axes(axis, len(x.shape), name)
        if not empty and 0 in [x.shape[a] for a in axes]:
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


def one_axis(x: Spec, axis: int | None, name: str) -> int:
    """The axis that an op works along; None will do where there is only one."""
    axes = shapes.normalize_axes(axis, len(x.shape), name)
    if axis is None and len(axes) > 1:
        raise ShapeError(f"{name}: {x} with axis=None; flatten it first, or name one axis")
    if not axes:
        raise ShapeError(f"{name}: {x} has nothing along axis {axis}; it has no {name}")
    return axes[0]


def _prepare_place(name: str) -> Any:
    def prepare(x: Spec, *, axis: int | None = None, keepdims: bool = False) -> dict[str, Any]:
        at = one_axis(x, axis, name)
        if x.shape[at] == 0:
            raise ShapeError(f"{name}: {x} has nothing along axis {axis}; it has no {name}")
        return {"axis": at, "keepdims": bool(keepdims)}

    return prepare


register(
    Op(
        "argmax", "reduction",
        lambda x, *, axis, keepdims: Spec(shapes.reduce(x.shape, (axis,), keepdims), dtypes.int32),
        prepare=_prepare_place("argmax"),
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


def _turned(x: Tensor) -> Tensor:
    """x with the order turned round; of integers ~x, for the lowest has no positive."""
    return neg(x) if x.dtype.is_float else bitwise_not(x)


@composite(takes="any", prepare=_prepare("min", empty=False), budget=EXACT)
def min(x: Tensor, /, axis: shapes.Axes = None, *, keepdims: bool = False) -> Tensor:
    """The smallest value along `axis` (None: all axes), by the rules of `max`."""
    return _turned(max(_turned(x), axis, keepdims=keepdims))


@composite(takes="any", prepare=_prepare_place("argmin"), budget=EXACT)
def argmin(x: Tensor, /, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
    """The int32 index of the smallest value along one axis, by the rules of `argmax`."""
    return argmax(_turned(x), axis, keepdims=keepdims)


def widened(x: Tensor) -> Tensor:
    """x in float32 if it is narrower: a sum or a count may not fit float16."""
    return x.astype(dtypes.float32) if x.dtype.itemsize == 2 else x


def _axes(x: Tensor, axis: shapes.Axes) -> shapes.Shape:
    return shapes.normalize_axes(axis, x.ndim, "mean")


def _count(x: Tensor, axis: shapes.Axes) -> float:
    return float(length(x.spec, axis=_axes(x, axis)))


def _free(x: Tensor, axis: shapes.Axes, correction: int) -> float:
    """The degrees of freedom of a variance: n - correction, and none below 0, as in NumPy."""
    left = _count(x, axis) - correction
    return left if left > 0 else 0.0


@composite(prepare=_prepare("mean"))
def mean(x: Tensor, /, axis: shapes.Axes = None, *, keepdims: bool = False) -> Tensor:
    """sum(x) / n along `axis` (None: all axes); NaN where there is nothing."""
    wide = widened(x)
    return (sum(wide, axis, keepdims=keepdims) / _count(x, axis)).astype(x.dtype)


@composite(prepare=_prepare("var"))
def var(
    x: Tensor, /, axis: shapes.Axes = None, *, correction: int = 0, keepdims: bool = False
) -> Tensor:
    """sum((x - mean)**2) / (n - correction) along `axis` (None: all axes).

    Where n is at most `correction` there is nothing to divide by: inf, or NaN of equal numbers.
    """
    wide = widened(x)
    centred = wide - mean(wide, axis=axis, keepdims=True)
    squares = sum(centred * centred, axis, keepdims=keepdims)
    return (squares / _free(x, axis, correction)).astype(x.dtype)


def _std_vjp(
    g: Tensor, y: Tensor, x: Tensor, *, axis: shapes.Shape, correction: int, keepdims: bool
) -> Tensor:
    """(x - mean) / ((n - correction) std)"""
    wide = widened(x)
    centred = wide - mean(wide, axis=axis, keepdims=True)
    size = _or_one(_spread(y, x, axis)) * _free(x, axis, correction)
    return (_spread(g, x, axis) * (centred / size)).astype(x.dtype)


@composite(prepare=_prepare("std"), vjp=(_std_vjp,))
def std(
    x: Tensor, /, axis: shapes.Axes = None, *, correction: int = 0, keepdims: bool = False
) -> Tensor:
    """sqrt(var(x)) along `axis` (None: all axes); where it is 0, so is its gradient."""
    spread = var(widened(x), axis=axis, correction=correction, keepdims=keepdims)
    return sqrt(spread).astype(x.dtype)


# Products


def _product(rows: Tensor) -> Tensor:
    """The product along the last axis, which becomes 1: of pairs, of pairs of pairs, and so on.

    No division, so that the gradient is right with zeros too.
    """
    ends = ((0, 0),) * (rows.ndim - 1)
    if rows.shape[-1] == 0:
        return pad(rows, widths=(*ends, (0, 1)), value=1)
    while (n := rows.shape[-1]) > 1:
        left, right = rows[..., : n - n // 2], rows[..., n - n // 2 :]
        rows = left * (pad(right, widths=(*ends, (0, 1)), value=1) if n % 2 else right)
    return rows


@composite(takes="sum", prepare=_prepare("prod"),
           domain=(Interval(-1.9, 1.9, away_from_zero=0.65),))  # fmt: skip
def prod(x: Tensor, /, axis: shapes.Axes = None, *, keepdims: bool = False) -> Tensor:
    """The product along `axis` (None: all axes); 1 where there is nothing.

    x: any shape; bool, int8 and uint8 are multiplied in 32 bits, and integers wrap around. The
    gradient is right with any number of zeros, to any order.

    >>> import tinyaccel as ta
    >>> ta.grad(ta.prod)(ta.tensor([2.0, 0.0, 4.0]))
    tensor([0., 8., 0.])
    """
    assert isinstance(axis, tuple)
    kept = tuple(a for a in range(x.ndim) if a not in axis)
    ordered = permute_dims(widened(x), axes=(*kept, *axis))
    rows = reshape(ordered, shape=(*(x.shape[a] for a in kept), length(x.spec, axis=axis)))
    out = reshape(_product(rows), shape=shapes.reduce(x.shape, axis, keepdims))
    return out.astype(x.dtype)


# Questions


@composite(takes="any", prepare=_prepare("any"), budget=EXACT)
def any(x: Tensor, /, axis: shapes.Axes = None, *, keepdims: bool = False) -> Tensor:
    """Whether any element along `axis` (None: all axes) is true, as bool; False of nothing.

    Of numbers, all but 0 are true, NaN too.
    """
    return not_equal(sum(truth(x), axis, keepdims=keepdims), 0)


@composite(takes="any", prepare=_prepare("all"), budget=EXACT)
def all(x: Tensor, /, axis: shapes.Axes = None, *, keepdims: bool = False) -> Tensor:
    """Whether every element along `axis` (None: all axes) is true, as bool; True of nothing."""
    return equal(sum(bitwise_not(truth(x)), axis, keepdims=keepdims), 0)


@composite(takes="any", prepare=_prepare("count_nonzero"), budget=EXACT)
def count_nonzero(x: Tensor, /, axis: shapes.Axes = None, *, keepdims: bool = False) -> Tensor:
    """How many elements along `axis` (None: all axes) aren't 0, as int32; NaN isn't."""
    return sum(truth(x), axis, keepdims=keepdims)


# Sizes


def _or_one(x: Tensor) -> Tensor:
    """x to divide by; 1 for 0."""
    return where(equal(x, 0), 1, x)


def _finite(x: Tensor) -> Tensor:
    """x, and 0 for what isn't finite."""
    return where(isfinite(x), x, 0)


def _logsumexp_vjp(
    g: Tensor, y: Tensor, x: Tensor, *, axis: shapes.Shape, keepdims: bool
) -> Tensor:
    """The softmax; all 0 where all is -inf. Beside an infinity or a NaN it isn't e**x."""
    top = _spread(y, x, axis)
    return _spread(g, x, axis) * exp(x - where(equal(top, -math.inf), 0, top))


@composite(prepare=_prepare("logsumexp"), vjp=(_logsumexp_vjp,), domain=(Interval(-30, 30),))
def logsumexp(x: Tensor, /, axis: shapes.Axes = None, *, keepdims: bool = False) -> Tensor:
    """log sum e**x along `axis` (None: all axes), with the largest x taken off first.

    It overflows only where the result does; -inf of nothing, and where all x are -inf.
    """
    wide, kept = widened(x), shapes.reduce(x.shape, _axes(x, axis), keepdims)
    if not length(x.spec, axis=_axes(x, axis)):
        return log(sum(wide, axis, keepdims=keepdims)).astype(x.dtype)
    top = _finite(max(wide, axis, keepdims=True))
    total = log(sum(exp(wide - top), axis, keepdims=True)) + top
    return reshape(total, shape=kept).astype(x.dtype)


def _prepare_norm(x: Spec, *, ord: float, **more: Any) -> dict[str, Any]:
    if isinstance(ord, bool) or not isinstance(ord, int | float) or ord != ord:
        raise ArgumentError(f"norm: ord={ord!r}; expected a number, inf or -inf")
    rest: dict[str, Any] = _prepare("norm", empty=not math.isinf(ord))(x, **more)
    return {"ord": float(ord), **rest}


def _norm_vjp(
    g: Tensor, y: Tensor, x: Tensor, *, ord: float, axis: shapes.Shape, keepdims: bool
) -> Tensor:
    """sign(x) (|x| / y)**(ord - 1); where x or y is 0, so is the gradient."""
    if math.isinf(ord):
        return _max_vjp(g, y, abs(x), axis=axis, keepdims=keepdims) * sign(x)
    if ord == 0:
        return full(x.shape, 0, dtype=x.dtype, device=x.device)
    each, top = _spread(g, x, axis), _spread(y, x, axis)
    if ord == 2:
        return each * (x / _or_one(top))
    # 0 has no power below 0; and for ord below 0 one x of 0 makes the whole norm 0.
    nothing = equal(x, 0) | equal(top, 0)
    part = where(nothing, 1, abs(x) / _or_one(top))
    return each * where(nothing, 0, sign(x)) * pow(part, ord - 1)


@composite(prepare=_prepare_norm, vjp=(_norm_vjp,))
def norm(
    x: Tensor, /, ord: float = 2.0, axis: shapes.Axes = None, *, keepdims: bool = False
) -> Tensor:
    """(sum |x|**ord)**(1/ord) along `axis` (None: all axes): a vector norm, also of matrices.

    ord: 2, the Euclidean norm; inf and -inf, the largest and the smallest |x|; 0, how many x
    aren't 0; or any other number. Squares and powers are taken as they are, so what lies beyond
    the dtype overflows, as in NumPy. The gradient of all zeros is 0; |x| that tie for the largest
    share it.

    Raises `ArgumentError` for an `ord` that is no number, `ShapeError` for the largest of nothing.

    >>> import tinyaccel as ta
    >>> ta.norm(ta.tensor([3.0, 4.0])), ta.norm(ta.tensor([3.0, 4.0]), 1)
    (tensor(5.), tensor(7.))
    """
    size = abs(widened(x))
    if math.isinf(ord):
        out = (max if ord > 0 else min)(size, axis=axis, keepdims=keepdims)
    elif ord == 0:
        out = sum(not_equal(size, 0).astype(size.dtype), axis, keepdims=keepdims)
    elif ord == 1:
        out = sum(size, axis, keepdims=keepdims)
    elif ord == 2:
        out = sqrt(sum(size * size, axis, keepdims=keepdims))
    else:
        out = pow(sum(pow(size, ord), axis, keepdims=keepdims), 1 / ord)
    return out.astype(x.dtype)
