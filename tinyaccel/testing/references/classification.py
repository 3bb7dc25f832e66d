"""References for the losses of classes: their textbook formulas, in mpmath."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyaccel.testing.references.loss import reduced
from tinyaccel.testing.references.numbers import DIGITS, Array, Index, Number, numbers


def _rows(x: Array) -> Array:
    """(N, C, ...) with the classes last."""
    return np.moveaxis(numbers(x), 1, -1)


def _log_softmax(row: Array) -> list[Number]:
    import mpmath

    total = mpmath.log(mpmath.fsum(mpmath.exp(v) for v in row))
    return [v - total for v in row]


def _by_label(
    loss: Callable[[Index, int], Number],
    labels: Array,
    weight: Array | None,
    ignore_index: int | None,
    reduction: str,
    like: Array,
) -> Array:
    """loss(position, label) for each position that counts, divided by the weights of the labels."""
    import mpmath

    values = np.full(labels.shape, mpmath.mpf(0), dtype=object)
    total = mpmath.mpf(0)
    for i in np.ndindex(*labels.shape):
        label = int(labels[i])
        if label != ignore_index:
            values[i] = loss(i, label)
            total += 1 if weight is None else float(weight[label])
    return reduced(values, reduction, like, total)


def _of_class(weight: Array | None, c: int) -> float:
    return 1.0 if weight is None else float(weight[c])


def nll(
    log_probabilities: Array,
    labels: Array,
    weight: Array | None = None,
    *,
    ignore_index: int | None,
    reduction: str,
) -> Array:
    import mpmath

    rows = _rows(log_probabilities)
    with mpmath.workdps(DIGITS):
        return _by_label(
            lambda i, c: -mpmath.mpf(rows[i][c]) * _of_class(weight, c),
            labels, weight, ignore_index, reduction, log_probabilities,
        )  # fmt: skip


def _smoothed(probability: Number, smoothing: float, classes: int) -> Number:
    return probability * (1 - smoothing) + smoothing / classes


def cross_entropy(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Array:
    import mpmath

    rows, classes = _rows(logits), logits.shape[1]

    def loss(position: Index, label: int) -> Number:
        logs = _log_softmax(rows[position])
        return -mpmath.fsum(
            _smoothed(mpmath.mpf(int(c == label)), label_smoothing, classes)
            * _of_class(weight, c)
            * logs[c]
            for c in range(classes)
        )

    with mpmath.workdps(DIGITS):
        return _by_label(loss, target, weight, ignore_index, reduction, logits)


def soft_cross_entropy(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    label_smoothing: float,
    reduction: str,
) -> Array:
    import mpmath

    rows, targets, classes = _rows(logits), _rows(target), logits.shape[1]
    with mpmath.workdps(DIGITS):
        values = np.empty(rows.shape[:-1], dtype=object)
        for i in np.ndindex(*values.shape):
            logs = _log_softmax(rows[i])
            values[i] = -mpmath.fsum(
                _smoothed(mpmath.mpf(targets[i][c]), label_smoothing, classes)
                * _of_class(weight, c)
                * logs[c]
                for c in range(classes)
            )
        return reduced(values, reduction, logits)
