"""References for softmax, losses and normalisation: their textbook formulas, in mpmath."""

from __future__ import annotations

import numpy as np

from tinyaccel.testing.references.numbers import (
    DIGITS,
    Array,
    Index,
    Number,
    filled,
    numbers,
)


def _powers(x: Array, axis: int) -> tuple[Array, Array]:
    """e**x for each element, and the sum of its line along `axis`, which it shares."""
    import mpmath

    powers = np.asarray(np.frompyfunc(mpmath.exp, 1, 1)(numbers(x)), dtype=object)
    sums = np.empty(x.shape, dtype=object)
    lines = np.moveaxis(powers, axis, -1)
    for index in np.ndindex(*lines.shape[:-1]):
        np.moveaxis(sums, axis, -1)[index] = mpmath.fsum(lines[index].tolist())
    return powers, sums


def softmax(x: Array, *, axis: int) -> Array:
    import mpmath

    with mpmath.workdps(DIGITS):
        powers, sums = _powers(x, axis)
        return filled(x.shape, lambda i: powers[i] / sums[i], x)


def log_softmax(x: Array, *, axis: int) -> Array:
    import mpmath

    with mpmath.workdps(DIGITS):
        values, (_, sums) = numbers(x), _powers(x, axis)
        return filled(x.shape, lambda i: values[i] - mpmath.log(sums[i]), x)


def cross_entropy(logits: Array, labels: Array) -> Array:
    import mpmath

    with mpmath.workdps(DIGITS):
        losses = [
            mpmath.log(mpmath.fsum(mpmath.exp(v) for v in row)) - row[int(label)]
            for row, label in zip(numbers(logits).tolist(), labels, strict=True)
        ]
        return filled((), lambda _: mpmath.fsum(losses) / len(losses), logits)


def mse(prediction: Array, target: Array) -> Array:
    import mpmath

    with mpmath.workdps(DIGITS):
        pairs = zip(numbers(prediction).flat, numbers(target).flat, strict=True)
        squares = [(mpmath.mpf(p) - q) ** 2 for p, q in pairs]
        mean = mpmath.fsum(squares) / len(squares) if squares else mpmath.nan
        return filled((), lambda _: mean, prediction)


def dropout(x: Array, bits: Array, *, p: float) -> Array:
    import mpmath

    values = numbers(x)
    with mpmath.workdps(DIGITS):
        kept = 1 - mpmath.mpf(p)
        return filled(
            x.shape, lambda i: values[i] / kept if int(bits[i]) >= round(p * 2**32) else 0.0, x
        )


def batch_norm(
    x: Array, mean: Array, var: Array, weight: Array, bias: Array, *, eps: float
) -> Array:
    import mpmath

    values, (m, v, w, b) = numbers(x), map(numbers, (mean, var, weight, bias))

    def at(index: Index) -> Number:
        c = index[1]
        centred = mpmath.mpf(values[index]) - m[c]
        return centred / mpmath.sqrt(mpmath.mpf(v[c]) + eps) * w[c] + b[c]

    with mpmath.workdps(DIGITS):
        return filled(x.shape, at, x)
