"""Losses of numbers and probabilities: a prediction and a target in, one number (or each) out."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias, get_args

from tinyaccel import shapes
from tinyaccel.dtypes import DType
from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.op import Interval, Spec
from tinyaccel.ops.activation import hardtanh, softplus
from tinyaccel.ops.define import by_body, composite
from tinyaccel.ops.elementwise import equal, log1p, maximum, where
from tinyaccel.ops.reduce import widened
from tinyaccel.tensor import Tensor

Reduction: TypeAlias = Literal["mean", "sum", "none"]


def check_reduction(name: str, reduction: object, *more: str) -> None:
    """Raise `ArgumentError` unless `reduction` is one that the loss called `name` has."""
    known = (*get_args(Reduction), *more)
    if reduction not in known:
        listed = ", ".join(f'"{r}"' for r in known[:-1]) + f' or "{known[-1]}"'
        raise ArgumentError(f"{name}: reduction={reduction!r}; expected {listed}")


def reduced(values: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return values
    return values.mean() if reduction == "mean" else values.sum()


def in_dtype(x: Tensor, dtype: DType) -> Tensor:
    return x if x.dtype is dtype else x.astype(dtype)


def shared(x: Tensor, n: int) -> Tensor:
    """x / n, where n may be more than x's dtype can count."""
    return in_dtype(widened(x) / float(n), x.dtype)


def each_of(g: Tensor, reduction: str, n: int) -> Tensor:
    """Of the gradient of a reduced loss, what each of the n values has."""
    return shared(g, n) if reduction == "mean" else g


# Distances


def _pair(name: str, *more: str) -> Any:
    """Two inputs of one shape, and perhaps weights that broadcast to it."""

    def prepare(
        x: Spec, y: Spec, *weights: Spec | None, reduction: str, **options: Any
    ) -> dict[str, Any]:
        check_reduction(name, reduction, *more)
        if x.shape != y.shape:
            raise ShapeError(f"{name}: prediction {x.shape} and target {y.shape}; must be equal")
        for w in weights:
            if w is not None and shapes.broadcast(name, w.shape, x.shape) != x.shape:
                raise ShapeError(f"{name}: weight {w.shape} for {x.shape}; must broadcast to it")
        for option, value in options.items():
            if not isinstance(value, bool) and not 0 <= value < math.inf:
                raise ArgumentError(f"{name}: {option}={value}; expected a number of at least 0")
        return {"reduction": reduction, **options}

    return prepare


_two = (Interval(), Interval())


@composite(prepare=_pair("mse"), domain=_two)
def mse(prediction: Tensor, target: Tensor, *, reduction: Reduction = "mean") -> Tensor:
    """(prediction - target)**2, averaged over all elements; two tensors of one shape.

    reduction "sum" adds instead, "none" returns all. Raises `ShapeError` for two shapes.

    >>> import tinyaccel as ta
    >>> mse(ta.tensor([1.0, 3.0]), ta.tensor([1.0, 1.0]))
    tensor(2.)
    """
    difference = prediction - target
    return reduced(difference * difference, reduction)


@composite(prepare=_pair("l1"), domain=_two)
def l1(prediction: Tensor, target: Tensor, *, reduction: Reduction = "mean") -> Tensor:
    """|prediction - target|, averaged; its gradient where the two are equal is 0.

    Two tensors of one shape. reduction "sum" adds instead, "none" returns all. Raises `ShapeError`
    for two shapes.
    """
    return reduced(abs(prediction - target), reduction)


@composite(prepare=_pair("huber"), domain=_two)
def huber(
    prediction: Tensor, target: Tensor, *, delta: float = 1.0, reduction: Reduction = "mean"
) -> Tensor:
    """d**2 / 2 where |d| is below delta, else delta (|d| - delta/2); d = prediction - target.

    Two tensors of one shape; delta is at least 0. Averaged; reduction "sum" adds instead, "none"
    returns all. Raises `ShapeError` for two shapes, `ArgumentError` for such a delta.
    P. Huber, "Robust Estimation of a Location Parameter", Ann. Math. Statist. 35 (1964).
    """
    if not delta:
        return reduced((prediction - target) * 0, reduction)
    difference = prediction - target
    # With m = d cut off at delta, both cases are m (d - m/2): nothing to choose, nothing to square.
    near = hardtanh(difference, -delta, delta)
    return reduced(near * (difference - near * 0.5), reduction)


@composite(prepare=_pair("smooth_l1"), domain=_two)
def smooth_l1(
    prediction: Tensor, target: Tensor, *, beta: float = 1.0, reduction: Reduction = "mean"
) -> Tensor:
    """d**2 / (2 beta) where |d| is below beta, else |d| - beta/2; d = prediction - target.

    This is huber(delta=beta) / beta, and for beta=0 l1. Two tensors of one shape. Averaged;
    reduction "sum" adds instead, "none" returns all. Raises `ShapeError` for two shapes,
    `ArgumentError` for a beta below 0. R. Girshick, "Fast R-CNN", arXiv:1504.08083, equation 3.
    """
    if not beta:
        return l1(prediction, target, reduction=reduction)
    return huber(prediction, target, delta=beta, reduction=reduction) / beta


# Of probabilities, yes or no

_SMALLEST = 1e-12  # of p (1 - p) in bce's gradient, as PyTorch has it


def _bce_vjp(
    g: Tensor, y: Tensor, p: Tensor, target: Tensor, *weight: Tensor, reduction: str
) -> Tensor:
    """(p - t) / (p (1 - p)): through the logarithms it would be 0 / 0 at p = 0 and p = 1."""
    least = _SMALLEST if p.dtype.tiny < _SMALLEST else p.dtype.tiny
    slope = (p - target) / maximum(p * (1 - p), least)
    for w in weight:
        slope = slope * w
    return each_of(g, reduction, p.size) * slope


@composite(prepare=_pair("bce"), vjp=(_bce_vjp, by_body("bce", 1), by_body("bce", 2)),
           domain=(Interval(0.01, 0.9), Interval(0, 1), Interval()))  # fmt: skip
def bce(
    prediction: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: Reduction = "mean",
) -> Tensor:
    """-(t log p + (1 - t) log(1 - p)) * weight: binary cross-entropy of probabilities.

    prediction: p from 0 to 1, any shape; target: t of the same shape, from 0 to 1; weight:
    broadcasts to it, or None for 1. Averaged over all elements; reduction "sum" adds instead,
    "none" returns all. As in PyTorch, logarithms below -100 count as -100, and in the gradient
    (p - t) / (p (1 - p)) the divisor is at least 1e-12 (float16: its smallest normal number). A p
    outside 0 to 1 gives NaN. Raises `ShapeError` for shapes that don't fit. `bce_with_logits`
    loses no digits.
    """
    of_p = maximum(prediction.log(), -100)
    of_rest = maximum(log1p(-prediction), -100)
    values = -(target * of_p + (1 - target) * of_rest)
    return reduced(values if weight is None else values * weight, reduction)


@composite(prepare=_pair("bce_with_logits"),
           domain=(Interval(-30, 30), Interval(0, 1), Interval(), Interval(0, 4)))  # fmt: skip
def bce_with_logits(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    *,
    reduction: Reduction = "mean",
) -> Tensor:
    """-(pos_weight t log s + (1 - t) log(1 - s)) * weight, with s = sigmoid(logits).

    Computed from -log s = softplus(-logits) and -log(1 - s) = softplus(logits), exact to rounding
    however large the logits are. logits: any shape; target: t of the same shape, from 0 to 1;
    weight, pos_weight: broadcast to it, or None for 1. Averaged over all elements; reduction "sum"
    adds instead, "none" returns all. Raises `ShapeError` for shapes that don't fit.
    """
    yes = target * softplus(-logits)
    yes = yes if pos_weight is None else yes * pos_weight
    values = yes + (1 - target) * softplus(logits)
    return reduced(values if weight is None else values * weight, reduction)


@composite(prepare=_pair("kl_div", "batchmean"), domain=(Interval(-8, 2), Interval(0.01, 1)))
def kl_div(
    prediction: Tensor,
    target: Tensor,
    *,
    log_target: bool = False,
    reduction: Reduction | Literal["batchmean"] = "mean",
) -> Tensor:
    """p (log p - log q): the Kullback-Leibler divergence of the target p from the prediction q.

    prediction: log q, any shape; target: p of the same shape, or log p with log_target=True.
    Averaged over all elements; "batchmean" divides the sum by the first axis instead, which is the
    divergence itself for rows of probabilities; "sum" adds, "none" returns all. Where p = 0 the
    value is 0, and p log p counts as constant in the gradient; below 0 it is NaN. Raises
    `ShapeError` for two shapes.
    S. Kullback, R. Leibler, "On Information and Sufficiency", Ann. Math. Statist. 22 (1951).
    """
    if log_target:
        values = target.exp() * (target - prediction)
    else:
        zero = equal(target, 0)
        entropy = where(zero, 0, target * where(zero, 1, target).log())
        values = entropy - where(zero, 0, target) * prediction
    if reduction != "batchmean":
        return reduced(values, reduction)
    return shared(values.sum(), target.shape[0] if target.shape else 1)
