"""Losses, spelled in other ops: a prediction and a target in, one number (or each) out."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias, get_args

from tinyaccel import dtypes, shapes
from tinyaccel.dtypes import DType
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError
from tinyaccel.op import Interval, Spec
from tinyaccel.ops.activation import hardtanh, log_softmax, softmax, softplus
from tinyaccel.ops.creation import arange
from tinyaccel.ops.define import by_body, composite
from tinyaccel.ops.elementwise import equal, less, log1p, maximum, where
from tinyaccel.ops.indexing import take_along_axis
from tinyaccel.tensor import Tensor

Reduction: TypeAlias = Literal["mean", "sum", "none"]


def check_reduction(name: str, reduction: object, *more: str) -> None:
    """Raise `ArgumentError` unless `reduction` is one that the loss called `name` has."""
    known = (*get_args(Reduction), *more)
    if reduction not in known:
        listed = ", ".join(f'"{r}"' for r in known[:-1]) + f' or "{known[-1]}"'
        raise ArgumentError(f"{name}: reduction={reduction!r}; expected {listed}")


def _reduced(values: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return values
    return values.mean() if reduction == "mean" else values.sum()


def _wide(x: Tensor) -> Tensor:
    """x in float32 if it is narrower: a sum or a count may not fit float16."""
    return x.astype(dtypes.float32) if x.dtype.itemsize == 2 else x


def _in(x: Tensor, dtype: DType) -> Tensor:
    return x if x.dtype is dtype else x.astype(dtype)


def _shared(x: Tensor, n: int) -> Tensor:
    """x / n, where n may be more than x's dtype can count."""
    return _in(_wide(x) / float(n), x.dtype)


def _each(g: Tensor, reduction: str, n: int) -> Tensor:
    """Of the gradient of a reduced loss, what each of the n values has."""
    return _shared(g, n) if reduction == "mean" else g


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
    return _reduced(difference * difference, reduction)


@composite(prepare=_pair("l1"), domain=_two)
def l1(prediction: Tensor, target: Tensor, *, reduction: Reduction = "mean") -> Tensor:
    """|prediction - target|, averaged; its gradient where the two are equal is 0.

    Two tensors of one shape. reduction "sum" adds instead, "none" returns all. Raises `ShapeError`
    for two shapes.
    """
    return _reduced(abs(prediction - target), reduction)


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
        return _reduced((prediction - target) * 0, reduction)
    difference = prediction - target
    # With m = d cut off at delta, both cases are m (d - m/2): nothing to choose, nothing to square.
    near = hardtanh(difference, -delta, delta)
    return _reduced(near * (difference - near * 0.5), reduction)


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
    return _each(g, reduction, p.size) * slope


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
    return _reduced(values if weight is None else values * weight, reduction)


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
    return _reduced(values if weight is None else values * weight, reduction)


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
        return _reduced(values, reduction)
    return _shared(values.sum(), target.shape[0] if target.shape else 1)


# Of classes


def _prepare_labels(
    name: str, x: Spec, labels: Spec, weight: Spec | None, reduction: str, ignore_index: int | None
) -> dict[str, Any]:
    """What cross_entropy and nll share: (N, C, ...) and a class for each (N, ...)."""
    check_reduction(name, reduction)
    what = "logits" if name == "cross_entropy" else "input"
    if not labels.dtype.is_integer:
        more = f", or probabilities {x.shape}" if name == "cross_entropy" else ""
        raise DTypeError(f"{name}: labels are {labels}; expected integers, a class each{more}")
    fits = len(x.shape) >= 2 and labels.shape == (x.shape[0], *x.shape[2:])
    if not fits or (not x.shape[0] and reduction == "mean"):
        raise ShapeError(
            f"{name}: {what} {x.shape} and labels {labels.shape}; "
            "expected (N, classes, ...) and (N, ...), N at least 1"
        )
    if weight is not None and weight.shape != x.shape[1:2]:
        raise ShapeError(f"{name}: weight {weight.shape}; expected {x.shape[1:2]}, one per class")
    if ignore_index is not None and not isinstance(ignore_index, int):
        raise ArgumentError(f"{name}: ignore_index={ignore_index!r}; expected an integer or None")
    return {"reduction": reduction, "ignore_index": ignore_index}


def _kept(labels: Tensor, ignore_index: int | None) -> Tensor | None:
    """Where a label counts; None: everywhere."""
    if ignore_index is None or not labels.dtype.min <= ignore_index <= labels.dtype.max:
        return None
    return ~equal(labels, ignore_index)


def _counting(labels: Tensor) -> Tensor:
    """Labels in a dtype that can count the classes."""
    return labels if labels.dtype.itemsize > 1 else labels.astype(dtypes.int32)


def _classes(x: Tensor, labels: Tensor) -> Tensor:
    """Labels as indices: one below 0 is no class, and mustn't count back from the last."""
    if labels.dtype is dtypes.int64:
        return where(less(labels, 0), x.shape[1], labels)
    return labels if labels.dtype.kind == "uint" else labels.astype(dtypes.uint32)


def _loss_at_labels(
    logs: Tensor, labels: Tensor, weight: Tensor | None, ignore_index: int | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """For each position the weighted loss, 0 where it is ignored; its weight; whether it counts.

    The last two are None where they are 1 and True everywhere. All have the shape (N, 1, ...).
    """
    labels = labels.expand_dims(1)
    kept, index = _kept(labels, ignore_index), _classes(logs, labels)
    if kept is not None:
        index = where(kept, index, 0)
    values, weights = -take_along_axis(logs, index, axis=1), None
    if weight is not None:
        weights = take_along_axis(weight, index.flatten(), axis=0).reshape(index.shape)
        values = values * weights
    if kept is not None:
        weights = kept.astype(logs.dtype) if weights is None else where(kept, weights, 0)
        values = where(kept, values, 0)
    return values, weights, kept


def _weighted_mean(values: Tensor, weights: Tensor | None, reduction: str) -> Tensor:
    """`values`, already weighted, reduced; the mean divides by the sum of the weights."""
    if reduction == "none":
        return values.squeeze(1)
    if reduction == "sum" or weights is None:
        return _reduced(values, reduction)
    return _in(_wide(values).sum() / _wide(weights).sum(), values.dtype)


def _prepare_nll(
    x: Spec, labels: Spec, weight: Spec | None = None, *, ignore_index: int | None, reduction: str
) -> dict[str, Any]:
    return _prepare_labels("nll", x, labels, weight, reduction, ignore_index)


_log_odds = Interval(-30, 30)


@composite(prepare=_prepare_nll, together=(0, 2),
           domain=(Interval(-8, 2), Interval(), Interval(0.1, 4)))  # fmt: skip
def nll(
    log_probabilities: Tensor,
    labels: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """-log_probabilities[label] * weight[label]: the negative log likelihood, as PyTorch's.

    log_probabilities: (N, C, ...), as `log_softmax` along axis 1 gives them; labels: (N, ...),
    integers from 0 to C - 1; weight: (C,), or None for 1. The mean divides by the sum of the
    weights of the labels; reduction "sum" adds, "none" returns (N, ...). A position whose label is
    ignore_index counts for nothing; if all do, the mean is NaN. Without ignore_index none is
    ignored, not even PyTorch's -100.

    Raises `ShapeError` and `DTypeError` for what doesn't fit; on the CPU `IndexRangeError` for a
    label that is no class. Where a device can't raise, the loss is NaN.
    """
    values, weights, _ = _loss_at_labels(log_probabilities, labels, weight, ignore_index)
    return _weighted_mean(values, weights, reduction)


def _check_smoothing(name: str, label_smoothing: float) -> float:
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(f"{name}: label_smoothing={label_smoothing}; expected from 0 to 1")
    return float(label_smoothing)


def _prepare_soft(
    logits: Spec,
    target: Spec,
    weight: Spec | None = None,
    *,
    label_smoothing: float,
    reduction: str,
    name: str = "soft_cross_entropy",
) -> dict[str, Any]:
    check_reduction(name, reduction)
    if len(logits.shape) < 2 or target.shape != logits.shape:
        raise ShapeError(
            f"{name}: logits {logits.shape} and probabilities {target.shape}; expected "
            "(N, classes, ...) both"
        )
    if weight is not None and weight.shape != logits.shape[1:2]:
        raise ShapeError(
            f"{name}: weight {weight.shape}; expected {logits.shape[1:2]}, one per class"
        )
    return {"label_smoothing": _check_smoothing(name, label_smoothing), "reduction": reduction}


def _by_class(weight: Tensor, x: Tensor) -> Tensor:
    return weight.reshape(x.shape[1], *(1,) * (x.ndim - 2))


@composite(prepare=_prepare_soft,
           domain=(_log_odds, Interval(0, 1), Interval(0.1, 4)))  # fmt: skip
def soft_cross_entropy(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> Tensor:
    """-sum_c weight_c t_c log softmax(logits)_c, t the target's probabilities: (N, C, ...) both.

    What `cross_entropy` does with a target of floats, and described there.
    """
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / logits.shape[1]
    terms = target * log_softmax(logits, axis=1)
    if weight is not None:
        terms = terms * _by_class(weight, logits)
    return _reduced(-terms.sum(1), reduction)


def _prepare_cross_entropy(
    logits: Spec,
    target: Spec,
    weight: Spec | None = None,
    *,
    label_smoothing: float,
    ignore_index: int | None,
    reduction: str,
) -> dict[str, Any]:
    name = "cross_entropy"
    smoothing = {"label_smoothing": _check_smoothing(name, label_smoothing)}
    if not target.dtype.is_float or target.shape != logits.shape:
        return smoothing | _prepare_labels(name, logits, target, weight, reduction, ignore_index)
    if ignore_index is not None:
        raise ArgumentError(f"{name}: ignore_index={ignore_index} with probabilities; leave it out")
    soft = _prepare_soft(
        logits, target, weight, label_smoothing=label_smoothing, reduction=reduction, name=name
    )
    return soft | {"ignore_index": None}


_BY_BODY = tuple(by_body("cross_entropy", i) for i in range(3))


def _cross_entropy_vjp(
    g: Tensor,
    y: Tensor,
    logits: Tensor,
    target: Tensor,
    *weight: Tensor,
    label_smoothing: float,
    ignore_index: int | None,
    reduction: str,
) -> Tensor:
    """(softmax - one-hot) / N, for labels without options; with them, what the body gives."""
    if target.dtype.is_float or weight or label_smoothing or ignore_index is not None:
        return _BY_BODY[0](
            g, y, logits, target, *weight, label_smoothing=label_smoothing,
            ignore_index=ignore_index, reduction=reduction,
        )  # fmt: skip
    index = _counting(target).expand_dims(1)
    columns = arange(logits.shape[1], dtype=index.dtype, device=index.device)
    if logits.ndim > 2:
        columns = columns.reshape(logits.shape[1], *(1,) * (logits.ndim - 2))
    hit = equal(columns, index).astype(logits.dtype)
    g = g.expand_dims(1) if reduction == "none" else _each(g, reduction, target.size)
    return (softmax(logits, axis=1) - hit) * g


@composite(vjp=(_cross_entropy_vjp, *_BY_BODY[1:]), prepare=_prepare_cross_entropy,
           together=(0, 2), domain=(_log_odds, Interval(), Interval(0.1, 4)))  # fmt: skip
def cross_entropy(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """-log softmax(logits)[label], averaged: cross-entropy, as PyTorch's.

    logits           (N, C, ...), float, as they are: no softmax before
    target           (N, ...), integers from 0 to C - 1; or (N, C, ...), floats: probabilities t_c,
                     for which the loss is -sum_c weight_c t_c log softmax(logits)_c
    weight           (C,), or None for 1. The mean over labels divides by the sum of their weights;
                     the mean over probabilities by the number of positions
    label_smoothing  the part of each target, 0 to 1, that is spread evenly over the classes
    ignore_index     the label of positions that count for nothing; if all do, the mean is NaN.
                     None ignores none, not even PyTorch's -100
    reduction        "mean", "sum", or "none" for all of them: (N, ...)

    Raises `ShapeError`, `DTypeError` and `ArgumentError` for what doesn't fit; on the CPU
    `IndexRangeError` for a label that is no class. Where a device can't raise, the loss is NaN.

    >>> import tinyaccel as ta
    >>> cross_entropy(ta.tensor([[0.0, 0.0]]), ta.tensor([1]))
    tensor(0.6931472)
    """
    if target.dtype.is_float:
        return soft_cross_entropy(
            logits, target, weight, label_smoothing=label_smoothing, reduction=reduction
        )
    logs = log_softmax(logits, axis=1)
    values, weights, kept = _loss_at_labels(logs, target, weight, ignore_index)
    if label_smoothing:
        even = -(logs if weight is None else logs * _by_class(weight, logits)).sum(1, keepdims=True)
        even = even if kept is None else where(kept, even, 0)
        values = values * (1 - label_smoothing) + even * (label_smoothing / logits.shape[1])
    return _weighted_mean(values, weights, reduction)
