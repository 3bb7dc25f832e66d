"""Products of vectors and matrices, and the trace; `einsum` has a file of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias, cast

from tinyaccel import shapes
from tinyaccel.backend import PRECISION
from tinyaccel.errors import ArgumentError, AxisError, ShapeError
from tinyaccel.op import Budget, Interval, Op, Spec, register
from tinyaccel.ops.arrange import diagonal
from tinyaccel.ops.define import composite
from tinyaccel.tensor import Tensor, TensorLike, apply

_two = (Interval(), Interval())


def matmul(a: TensorLike, b: TensorLike) -> Tensor:
    """The matrix product (..., n, k) @ (..., k, m) -> (..., n, m); leading axes broadcast.

    A vector (k,) is a row on the left, a column on the right, and its axis of 1 goes again: two
    vectors give a number. Float error is at most 4 sqrt(k) eps |a| @ |b|; `tinyaccel.precision`
    may allow more. Raises `ShapeError` if the inner sizes differ or one side has no axes.

    >>> import tinyaccel as ta
    >>> ta.matmul(ta.tensor([1.0, 2.0]), ta.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([ 7., 10.])
    """
    return apply("matmul", a, b)


def with_precision(attrs: dict[str, Any]) -> dict[str, Any]:
    """`attrs` with the precision now permitted, unless they say which."""
    return {"precision": PRECISION.get()} | attrs


def _infer(a: Spec, b: Spec, *, precision: str) -> Spec:
    return Spec(shapes.matmul(a.shape, b.shape), a.dtype)


def _matrices(g: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The gradient and both factors with the axes of 1 that vectors stand for."""
    g = g.expand_dims(-1) if b.ndim == 1 else g
    g = g.expand_dims(-2) if a.ndim == 1 else g
    return g, a.expand_dims(0) if a.ndim == 1 else a, b.expand_dims(1) if b.ndim == 1 else b


def _left(g: Tensor, y: Tensor, a: Tensor, b: Tensor, *, precision: str) -> Tensor:
    whole, _, right = _matrices(g, a, b)
    slope = apply("matmul", whole, right.mT, precision=precision)
    return slope.squeeze(-2) if a.ndim == 1 else slope


def _right(g: Tensor, y: Tensor, a: Tensor, b: Tensor, *, precision: str) -> Tensor:
    whole, left, _ = _matrices(g, a, b)
    slope = apply("matmul", left.mT, whole, precision=precision)
    return slope.squeeze(-1) if b.ndim == 1 else slope


register(
    Op(
        "matmul", "linalg", _infer, prepare=lambda a, b, **attrs: with_precision(attrs),
        takes="number", vjp=(_left, _right), broadcasts=True, domain=_two,
        budget=Budget("accumulate", 4, lambda a, b, *, precision: a.shape[-1]),
        doc="the matrix product",
    )
)  # fmt: skip


def _flat(x: Tensor) -> Tensor:
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


_RULES = (
    lambda g, y, x, w, *b: g @ w,
    lambda g, y, x, w, *b: _flat(g).T @ _flat(x),
    lambda g, y, x, w, b: g.sum(tuple(range(g.ndim - 1))),
)


def _prepare_linear(x: Spec, weight: Spec, bias: Spec | None = None) -> dict[str, Any]:
    if len(weight.shape) != 2 or not x.shape or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"linear: input {x.shape} has {x.shape[-1] if x.shape else 'no'} features but weight "
            f"{weight.shape} expects (..., in_features) and (out_features, in_features)"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ShapeError(f"linear: bias {bias.shape} for weight {weight.shape}; one per row")
    return {}


@composite(vjp=_RULES, prepare=_prepare_linear,
           domain=(Interval(), Interval(), Interval()))  # fmt: skip
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias

    x: (..., in_features), weight: (out_features, in_features), bias: (out_features,) or None.
    Returns (..., out_features).
    """
    y = x @ weight.T
    return y if bias is None else y + bias


# Products of other shapes


AxesPair: TypeAlias = int | Sequence[int | Sequence[int]]


def _prepare_tensordot(a: Spec, b: Spec, *, axes: AxesPair) -> dict[str, Any]:
    if isinstance(axes, int):
        if not 0 <= axes <= min(len(a.shape), len(b.shape)):
            raise AxisError(
                f"tensordot: axes={axes} for {a.shape} and {b.shape}; expected at least 0, and at "
                "most as many as either has"
            )
        left, right = tuple(range(len(a.shape) - axes, len(a.shape))), tuple(range(axes))
    else:
        if not isinstance(axes, Sequence) or len(axes) != 2:
            raise ArgumentError(
                f"tensordot: axes={axes!r}; expected how many, or the axes of a and those of b"
            )
        left, right = (_each_once(own, x) for own, x in zip(axes, (a, b), strict=True))
    if [a.shape[i] for i in left] != [b.shape[i] for i in right]:
        raise ShapeError(
            f"tensordot: axes {left} of {a.shape} and {right} of {b.shape}; "
            "expected as many of each, with equal sizes in this order"
        )
    return {"axes": (left, right)}


def _each_once(axes: Any, x: Spec) -> shapes.Shape:
    """Axes counted from the front, in the order given."""
    given = axes if isinstance(axes, Iterable) else (axes,)
    result = tuple(shapes.normalize_axis(axis, len(x.shape), "tensordot") for axis in given)
    if len(set(result)) != len(result):
        raise AxisError(f"tensordot: axes {axes} of {x.shape}; name each axis once")
    return result


@composite(takes="number", prepare=_prepare_tensordot, domain=_two)
def tensordot(a: Tensor, b: Tensor, /, *, axes: AxesPair = 2) -> Tensor:
    """The sum of products over several axes of a and as many of b.

    axes: N for the last N of a and the first N of b, in order; or (of a, of b), each an axis or
    several, which meet in pairs. Returns the rest of a's axes, then the rest of b's. Raises
    `ShapeError` if sizes that meet differ, `AxisError` for an axis that isn't there.

    >>> import tinyaccel as ta
    >>> ta.tensordot(ta.ones((2, 3)), ta.ones((4, 3)), axes=(1, 1)).shape
    (2, 4)
    """
    left, right = cast(tuple[shapes.Shape, shapes.Shape], axes)  # in canonical form
    rows = [i for i in range(a.ndim) if i not in left]
    columns = [i for i in range(b.ndim) if i not in right]
    shape = (*(a.shape[i] for i in rows), *(b.shape[i] for i in columns))
    k = math.prod(a.shape[i] for i in left)
    n, m = (math.prod(x.shape[i] for i in own) for x, own in ((a, rows), (b, columns)))
    first = a.permute_dims(*rows, *left).reshape(n, k)
    second = b.permute_dims(*right, *columns).reshape(k, m)
    return (first @ second).reshape(shape)


@composite(takes="number", domain=_two)
def dot(a: Tensor, b: Tensor, /) -> Tensor:
    """NumPy's dot: the last axis of a meets the last but one of b, or its only one.

    Of two vectors the inner product, of two matrices the matrix product; with a number, plain
    multiplication. Stacks of matrices come out as (..., n, ..., m), where `matmul` pairs them up.
    """
    if not a.ndim or not b.ndim:
        return a * b
    return tensordot(a, b, axes=((a.ndim - 1,), (max(b.ndim - 2, 0),)))


@composite(takes="number", domain=_two)
def inner(a: Tensor, b: Tensor, /) -> Tensor:
    """NumPy's inner: the last axes of a and b meet; with a number, plain multiplication.

    (..., k) and (***, k) -> (..., ***).
    """
    if not a.ndim or not b.ndim:
        return a * b
    return tensordot(a, b, axes=((a.ndim - 1,), (b.ndim - 1,)))


@composite(takes="number", domain=_two)
def outer(a: Tensor, b: Tensor, /) -> Tensor:
    """y[i, j] = a[i] * b[j], for vectors (n,) and (m,) -> (n, m).

    Raises `ShapeError` for anything but vectors; flatten them first.
    """
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeError(f"outer: {a.shape} and {b.shape}; expected two vectors, flatten them")
    return a.expand_dims(1) * b


def _prepare_vecdot(a: Spec, b: Spec, *, axis: int) -> dict[str, Any]:
    at = shapes.normalize_axis(axis, len(a.shape), "vecdot") - len(a.shape)
    if axis >= 0 and len(a.shape) != len(b.shape):
        raise AxisError(
            f"vecdot: axis {axis} of {a.shape} and {b.shape}; they have different numbers of axes, "
            "so count from the end: -1 is the last"
        )
    shapes.normalize_axis(at, len(b.shape), "vecdot")
    if a.shape[at] != b.shape[at]:
        raise ShapeError(
            f"vecdot: {a.shape} and {b.shape} along axis {at}; expected equal sizes there"
        )
    shapes.broadcast("vecdot", a.shape, b.shape)
    return {"axis": at}


@composite(takes="number", prepare=_prepare_vecdot, domain=_two)
def vecdot(a: Tensor, b: Tensor, /, *, axis: int = -1) -> Tensor:
    """The inner products of vectors along `axis`: the sum of a * b over it; the rest broadcasts.

    axis is counted from the end before broadcasting, and has one size in both: (..., k, ...) and
    (..., k, ...) -> (..., ...). Raises `ShapeError` for different sizes. (The Array API's.)
    """

    def last(x: Tensor) -> Tensor:
        at = x.ndim + axis
        return x.permute_dims(*(i for i in range(x.ndim) if i != at), at)

    return (last(a).expand_dims(-2) @ last(b).expand_dims(-1)).squeeze((-2, -1))


@composite(takes="number", domain=_two)
def kron(a: Tensor, b: Tensor, /) -> Tensor:
    """The Kronecker product: a with each element x replaced by the block x * b.

    Shapes multiply, axis by axis from the last; missing ones in front count as 1.

    >>> import tinyaccel as ta
    >>> ta.kron(ta.tensor([1, 10]), ta.tensor([1, 2, 3]))
    tensor([ 1,  2,  3, 10, 20, 30], dtype=int32)
    """
    ndim = max(a.ndim, b.ndim)
    outside, inside = ((1,) * (ndim - x.ndim) + x.shape for x in (a, b))
    coarse = [n for size in outside for n in (size, 1)]
    fine = [n for size in inside for n in (1, size)]
    blocks = a.reshape(coarse) * b.reshape(fine)
    return blocks.reshape([n * m for n, m in zip(outside, inside, strict=True)])


@composite(takes="sum")
def trace(x: Tensor, /, *, offset: int = 0) -> Tensor:
    """The sum of the diagonal of the last two axes: sum over i of x[..., i, i + offset].

    x: (..., n, m); bool, int8 and uint8 are summed in 32 bits. Returns (...); 0 for a diagonal
    outside the matrix. Raises `ShapeError` for fewer than 2 axes. (The Array API's; `numpy.trace`
    takes the first two axes unless told otherwise.)

    >>> import tinyaccel as ta
    >>> ta.trace(ta.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    return diagonal(x, offset=offset).sum(-1)
