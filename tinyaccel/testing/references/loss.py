"""References for the losses: their textbook formulas, in mpmath."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinyaccel.testing.references.numbers import DIGITS, Array, Number, filled, numbers


def reduced(values: Array, reduction: str, like: Array, count: Number = None) -> Array:
    """The values, their sum, or their sum divided by `count`, by default how many they are."""
    import mpmath

    if reduction == "none":
        return filled(values.shape, lambda i: values[i], like)
    total = mpmath.fsum(values.ravel().tolist())
    if reduction != "sum":
        count = values.size if count is None else count
        total = total / count if count else mpmath.nan
    return filled((), lambda _: total, like)


def _each(
    function: Callable[..., Number], reduction: str, *arrays: Array, count: Number = None
) -> Array:
    """A loss that is a function of the elements of arrays, which broadcast to the first."""
    import mpmath

    given = [np.broadcast_to(numbers(a), arrays[0].shape) for a in arrays]
    with mpmath.workdps(DIGITS):
        values = np.empty(arrays[0].shape, dtype=object)
        for i in np.ndindex(*values.shape):
            values[i] = function(*(mpmath.mpf(a[i]) for a in given))
        return reduced(values, reduction, arrays[0], count)


def mse(prediction: Array, target: Array, *, reduction: str = "mean") -> Array:
    return _each(lambda p, t: (p - t) ** 2, reduction, prediction, target)


def l1(prediction: Array, target: Array, *, reduction: str) -> Array:
    return _each(lambda p, t: abs(p - t), reduction, prediction, target)


def huber(prediction: Array, target: Array, *, delta: float, reduction: str) -> Array:
    import mpmath

    def function(p: Number, t: Number) -> Number:
        d = abs(p - t)
        return d**2 / 2 if d < delta else delta * (d - mpmath.mpf(delta) / 2)

    return _each(function, reduction, prediction, target)


def smooth_l1(prediction: Array, target: Array, *, beta: float, reduction: str) -> Array:
    def function(p: Number, t: Number) -> Number:
        d = abs(p - t)
        return d**2 / 2 / beta if d < beta else d - beta / 2

    return _each(function, reduction, prediction, target)


def bce(prediction: Array, target: Array, weight: Array | None = None, *, reduction: str) -> Array:
    import mpmath

    def function(p: Number, t: Number, w: Number = 1) -> Number:
        return -w * (t * mpmath.log(p) + (1 - t) * mpmath.log1p(-p))

    weights = () if weight is None else (weight,)
    return _each(function, reduction, prediction, target, *weights)


def bce_with_logits(
    logits: Array,
    target: Array,
    *weights: Array,
    reduction: str,
    absent: Sequence[int] = (),
) -> Array:
    import mpmath

    def function(x: Number, t: Number, *given: Number) -> Number:
        rest = list(given)
        weight = 1 if 2 in absent or not rest else rest.pop(0)
        positive = rest.pop(0) if rest else 1
        yes, no = (mpmath.log1p(mpmath.exp(v)) for v in (-x, x))
        return weight * (positive * t * yes + (1 - t) * no)

    return _each(function, reduction, logits, target, *weights)


def kl_div(prediction: Array, target: Array, *, log_target: bool, reduction: str) -> Array:
    import mpmath

    def function(q: Number, p: Number) -> Number:
        if log_target:
            return mpmath.exp(p) * (p - q)
        return p * (mpmath.log(p) - q) if p else mpmath.mpf(0)

    rows = len(target) if reduction == "batchmean" and target.ndim else None
    return _each(function, reduction, prediction, target, count=rows)
