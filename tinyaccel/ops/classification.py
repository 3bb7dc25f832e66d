"""Losses of classes: nll, and cross-entropy with labels or with probabilities."""

from __future__ import annotations

from typing import Any

from tinyaccel import dtypes
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError
from tinyaccel.op import Interval, Spec
from tinyaccel.ops.activation import log_softmax, softmax
from tinyaccel.ops.creation import arange
from tinyaccel.ops.define import by_body, composite
from tinyaccel.ops.elementwise import equal, less, where
from tinyaccel.ops.indexing import take_along_axis
from tinyaccel.ops.loss import Reduction, check_reduction, each_of, in_dtype, reduced
from tinyaccel.ops.reduce import widened
from tinyaccel.tensor import Tensor


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
        return reduced(values, reduction)
    return in_dtype(widened(values).sum() / widened(weights).sum(), values.dtype)


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
    return reduced(-terms.sum(1), reduction)


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
    g = g.expand_dims(1) if reduction == "none" else each_of(g, reduction, target.size)
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
