"""Matrix products."""

from __future__ import annotations

import math
from typing import Any

from tinyaccel import shapes
from tinyaccel.backend import PRECISION
from tinyaccel.errors import ShapeError
from tinyaccel.op import Budget, Interval, Op, Spec, register
from tinyaccel.ops.define import composite
from tinyaccel.tensor import Tensor, TensorLike, apply


def matmul(a: TensorLike, b: TensorLike) -> Tensor:
    """The matrix product (..., n, k) @ (..., k, m) -> (..., n, m); leading axes broadcast.

    Float error is at most 4 sqrt(k) eps |a| @ |b|; `tinyaccel.precision` may allow more.
    """
    return apply("matmul", a, b)


def with_precision(attrs: dict[str, Any]) -> dict[str, Any]:
    """`attrs` with the precision now permitted, unless they say which."""
    return {"precision": PRECISION.get()} | attrs


def _infer(a: Spec, b: Spec, *, precision: str) -> Spec:
    return Spec(shapes.matmul(a.shape, b.shape), a.dtype)


def _left(g: Tensor, y: Tensor, a: Tensor, b: Tensor, *, precision: str) -> Tensor:
    return apply("matmul", g, b.mT, precision=precision)


def _right(g: Tensor, y: Tensor, a: Tensor, b: Tensor, *, precision: str) -> Tensor:
    return apply("matmul", a.mT, g, precision=precision)


register(
    Op(
        "matmul", "linalg", _infer, prepare=lambda a, b, **attrs: with_precision(attrs),
        takes="number", vjp=(_left, _right), broadcasts=True,
        domain=(Interval(), Interval()),
        budget=Budget("accumulate", 4, lambda a, b, *, precision: a.shape[-1]),
        doc="the matrix product",
    )
)  # fmt: skip


def _flat(x: Tensor) -> Tensor:
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


_RULES = (
    lambda g, y, x, w, *b: g @ w if g.ndim > 1 else (_flat(g) @ w).reshape(x.shape),
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
    y = (x if x.ndim > 1 else x.expand_dims(0)) @ weight.T
    y = y if x.ndim > 1 else y.reshape(weight.shape[0])
    return y if bias is None else y + bias
