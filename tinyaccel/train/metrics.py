"""How good predictions are, in numbers."""

from __future__ import annotations

from tinyaccel.errors import ShapeError
from tinyaccel.ops.elementwise import equal
from tinyaccel.tensor import Tensor


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
