"""Loss functions as modules: a prediction and a target in, one number out."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from tinyaccel.errors import ArgumentError
from tinyaccel.nn.module import Module
from tinyaccel.op import OPS
from tinyaccel.ops.composite import cross_entropy, log_softmax, mse
from tinyaccel.ops.indexing import take_along_axis
from tinyaccel.tensor import Tensor, apply

Reduction: TypeAlias = Literal["mean", "sum", "none"]


class _Loss(Module):
    """What the losses share: whether they return the mean, the sum, or all values.

    The mean is an op of its own, which says what is wrong with shapes and dtypes; the other two
    start from its check of the same inputs.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        if reduction not in get_args(Reduction):
            raise ArgumentError(
                f'{type(self).__name__}: reduction={reduction!r}; expected "mean", "sum" or "none"'
            )
        self.reduction = reduction

    def extra_repr(self) -> str:
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"


class CrossEntropyLoss(_Loss):
    """-log softmax(logits)[label], averaged over the batch.

    logits: (N, classes), float, as they are (no softmax before); labels: (N,), integers from 0 to
    classes - 1. reduction "sum" adds instead, "none" returns all N. Raises `ShapeError`,
    `DTypeError`, and on the CPU `IndexRangeError` for a label that is no class.

    >>> import tinyaccel as ta
    >>> ta.nn.CrossEntropyLoss()(ta.tensor([[0.0, 0.0]]), ta.tensor([1]))
    tensor(0.6931472)
    """

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.reduction == "mean":
            return cross_entropy(logits, labels)
        n = len(labels) if labels.ndim else 1
        if self.reduction == "sum":
            return cross_entropy(logits, labels) * n
        _check("cross_entropy", logits, labels)
        picked = take_along_axis(log_softmax(logits, axis=1), labels.expand_dims(1), axis=1)
        return -picked.squeeze(1)


class MSELoss(_Loss):
    """(prediction - target)**2, averaged over all elements; two tensors of one shape.

    reduction "sum" adds instead, "none" returns all. Raises `ShapeError` for two shapes.

    >>> import tinyaccel as ta
    >>> ta.nn.MSELoss()(ta.tensor([1.0, 3.0]), ta.tensor([1.0, 1.0]))
    tensor(2.)
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        if self.reduction == "mean":
            return mse(prediction, target)
        _check("mse", prediction, target)
        squares = apply("square", prediction - target)
        return squares if self.reduction == "none" else squares.sum()


def _check(name: str, *inputs: Tensor) -> None:
    """Raise what the op called `name` raises for such inputs, without running it."""
    op = OPS[name]
    specs = [t.spec for t in inputs]
    if op.prepare is not None:
        op.prepare(*specs)
