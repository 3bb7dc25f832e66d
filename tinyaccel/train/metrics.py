"""How good predictions are, in numbers: on the device while training, by name afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel.data.suggest import near
from tinyaccel.errors import ArgumentError, DataError, ShapeError, TrainError
from tinyaccel.extras import optional
from tinyaccel.ops.elementwise import equal
from tinyaccel.tensor import Tensor

Array: TypeAlias = npt.NDArray[np.generic]
Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]
Metric: TypeAlias = Callable[[Array, Array], float]

_TOP = re.compile(r"top([1-9]\d*)")


def count_correct(logits: Tensor, labels: Tensor) -> Tensor:
    """How many rows have their largest logit (the first of equals) at their label.

    logits: (N, classes); labels: (N,), integers. Returns an int32 scalar, without a gradient.
    Raises `ShapeError` for other shapes.

    >>> import tinyaccel as ta
    >>> count_correct(ta.tensor([[0.1, 0.9], [0.8, 0.2]]), ta.tensor([1, 1])).item()
    1
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ShapeError(
            f"count_correct: logits {logits.shape} and labels {labels.shape}; "
            "expected (N, classes) and (N,)"
        )
    return equal(logits.argmax(1), labels).astype("int32").sum()


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """The share of rows that are right, a float32 scalar: count_correct / N.

    logits: (N, classes); labels: (N,), integers. Raises `ShapeError` for other shapes, and if
    there are no rows.

    >>> import tinyaccel as ta
    >>> accuracy(ta.tensor([[0.1, 0.9], [0.8, 0.2]]), ta.tensor([1, 1])).item()
    0.5
    """
    right = count_correct(logits, labels)
    if not logits.shape[0]:
        raise ShapeError(f"accuracy: logits {logits.shape}; expected at least one row")
    return right.astype("float32") / float(logits.shape[0])


def find_metric(name: str) -> Metric:
    """The metric called `name`: (outputs, targets) -> float, both arrays on the host.

    Of classifiers, from logits (N, classes) and labels (N,), integers:

        accuracy           the share whose largest logit (the first of equals) is the label's
        top5, top3, ...    the share of which fewer than 5 logits are larger than the label's, so
                           that equal ones don't push it out; 1 if there are no more classes
        precision          of what was taken for a class, the share that is one; mean of the classes
        recall             of what is a class, the share that was taken for it; likewise
        f1                 2 precision recall / (precision + recall); likewise

    A mean is over the classes that the labels have, each counting the same (macro); a share of
    nothing (0 / 0) counts as 0. Of regression, from outputs and targets of one shape:

        mae, mse           the mean of |output - target|, of (output - target)**2
        r2                 1 - mse / variance of the targets, the mean over a sample's numbers; NaN
                           for a single sample

    Raises `ArgumentError` for an unknown name. The metric raises `ArgumentError` for targets of the
    other kind, `ShapeError` for shapes that don't fit, `DataError` for a label that is no class,
    `TrainError` for an output that is NaN, `PackageError` without scikit-learn (all but accuracy
    and top-k).

    >>> logits = np.array([[0.1, 0.9, 0.0], [0.8, 0.2, 0.0]])
    >>> find_metric("accuracy")(logits, np.array([1, 1]))
    0.5
    >>> find_metric("top2")(logits, np.array([1, 1]))
    1.0
    """
    if name in METRICS:
        return METRICS[name]
    if match := _TOP.fullmatch(name):
        return _top(int(match[1]))
    raise ArgumentError(
        f"metric {name!r} is unknown{near(name, METRICS)}; expected one of {', '.join(METRICS)}, "
        "or top and another number"
    )


def answers(name: str, logits: Array, labels: Array) -> tuple[Integers, Integers]:
    """What a classifier said, the index of each row's largest logit, and the labels; both (N,).

    name: what an error calls whoever asks. Raises what `find_metric` says of its metrics.
    """
    checked, y = _checked_classes(name, logits, labels)
    return checked.argmax(1).astype(np.int64), y


def _accuracy(logits: Array, labels: Array) -> float:
    said, y = answers("accuracy", logits, labels)
    return float((said == y).mean())


def _top(k: int) -> Metric:
    def top(logits: Array, labels: Array) -> float:
        checked, y = _checked_classes(f"top{k}", logits, labels)
        own = np.take_along_axis(checked, y[:, None], 1)
        return float(((checked > own).sum(1) < k).mean())

    return top


def _macro(name: str, function: str) -> Metric:
    """scikit-learn's function of labels and answers, averaged over the classes of the labels."""

    def macro(logits: Array, labels: Array) -> float:
        said, y = answers(name, logits, labels)
        library = optional("sklearn.metrics", name)
        # Without `labels` a class that isn't in the data, once answered, would count as 0.
        return float(
            getattr(library, function)(
                y, said, labels=np.unique(y), average="macro", zero_division=0
            )
        )

    return macro


def _regression(name: str, function: str) -> Metric:
    """scikit-learn's function of targets and outputs, in float64."""

    def regression(outputs: Array, targets: Array) -> float:
        out, y = _checked_targets(name, outputs, targets)
        if name == "r2" and len(y) < 2:
            return float("nan")  # no variance to compare with
        return float(getattr(optional("sklearn.metrics", name), function)(y, out))

    return regression


METRICS: dict[str, Metric] = {
    "accuracy": _accuracy,
    "top5": _top(5),
    "precision": _macro("precision", "precision_score"),
    "recall": _macro("recall", "recall_score"),
    "f1": _macro("f1", "f1_score"),
    "mae": _regression("mae", "mean_absolute_error"),
    "mse": _regression("mse", "mean_squared_error"),
    "r2": _regression("r2", "r2_score"),
}


def _checked_classes(name: str, logits: Array, labels: Array) -> tuple[Floats, Integers]:
    if labels.dtype.kind not in "iu":
        raise ArgumentError(
            f"{name}: targets are {labels.dtype}, but it is for classes; expected integers, or one "
            "of mae, mse, r2 for regression"
        )
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not logits.size:
        raise ShapeError(
            f"{name}: logits {logits.shape} and labels {labels.shape}; expected (N, classes) and "
            "(N,), at least one row"
        )
    classes, y = logits.shape[1], labels.astype(np.int64)
    wrong = np.flatnonzero((y < 0) | (y >= classes))
    if wrong.size:
        raise DataError(
            f"{name}: label {y[wrong[0]]} of row {wrong[0]} is no class; expected 0 to "
            f"{classes - 1}: give the model a logit for each class, or mend the labels"
        )
    return _without_nan(name, logits), y


def _checked_targets(name: str, outputs: Array, targets: Array) -> tuple[Floats, Floats]:
    if targets.dtype.kind != "f":
        raise ArgumentError(
            f"{name}: targets are {targets.dtype}, but it is for regression; expected floats, or "
            "one of accuracy, top5, precision, recall, f1 for classes"
        )
    n = len(targets) if targets.ndim else 0
    shapes = {outputs.shape, targets.shape}
    if not targets.size or not (len(shapes) == 1 or shapes == {(n,), (n, 1)}):
        raise ShapeError(
            f"{name}: outputs {outputs.shape} and targets {targets.shape}; expected the same "
            "shape, (N, ...), at least one row"
        )
    return _without_nan(name, outputs.reshape(n, -1)), targets.reshape(n, -1).astype(np.float64)


def _without_nan(name: str, outputs: Array) -> Floats:
    """Outputs (N, k) in float64, which holds every other float, so that no two become equal."""
    wide = outputs.astype(np.float64)
    bad = np.flatnonzero(np.isnan(wide).any(1))
    if bad.size:
        raise TrainError(
            f"{name}: the model's output is NaN in {bad.size} of {len(wide)} rows, first in row "
            f"{bad[0]}; the weights have grown too large: train again with a smaller lr"
        )
    return wide
