"""Loss functions as modules: of classes, of numbers, of probabilities."""

from __future__ import annotations

import inspect
import math
from typing import ClassVar, Literal, cast

from tinyaccel.errors import ShapeError
from tinyaccel.nn.module import Module
from tinyaccel.nn.settings import not_negative
from tinyaccel.ops import classification, loss
from tinyaccel.ops.elementwise import less, where
from tinyaccel.ops.loss import Reduction, check_reduction, reduced
from tinyaccel.tensor import Tensor


class Loss(Module):
    """What the losses share: whether they return the mean, the sum, or all values; and options."""

    _reductions: ClassVar[tuple[str, ...]] = ()  # beyond "mean", "sum" and "none"
    reduction: Reduction

    def __init__(self, reduction: Reduction, **options: Tensor | float | None) -> None:
        check_reduction(type(self).__name__, reduction, *self._reductions)
        for name, value in {**options, "reduction": reduction}.items():
            if isinstance(value, Tensor):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def _check_equal(self, **inputs: Tensor) -> None:
        """Raise `ShapeError` unless all inputs have one shape."""
        if len({x.shape for x in inputs.values()}) > 1:
            listed = ", ".join(f"{name} {x.shape}" for name, x in inputs.items())
            raise ShapeError(f"{type(self).__name__}: {listed}; must be equal")

    def extra_repr(self) -> str:
        """The settings that aren't as they are by default."""
        parameters = inspect.signature(type(self)).parameters.values()
        now = {p.name: (getattr(self, p.name), p.default) for p in parameters}
        return ", ".join(
            f"{name}={value!r}"
            for name, (value, default) in now.items()
            if not isinstance(value, Tensor) and value != default
        )


class CrossEntropyLoss(Loss):
    """-log softmax(logits)[label], averaged over the batch: see `tinyaccel.cross_entropy`.

    weight           (C,): of each class, a buffer; or None for 1
    ignore_index     the label of positions that count for nothing; None for none of them, not
                     even PyTorch's -100
    reduction        "mean", "sum", or "none" for all of them
    label_smoothing  the part of each target, 0 to 1, that is spread evenly over the classes

    logits: (N, C, ...), float, as they are (no softmax before); target: (N, ...), integers from 0
    to C - 1, or (N, C, ...), probabilities. Raises `ShapeError`, `DTypeError`, and on the CPU
    `IndexRangeError` for a label that is no class.

    >>> import tinyaccel as ta
    >>> ta.nn.CrossEntropyLoss()(ta.tensor([[0.0, 0.0]]), ta.tensor([1]))
    tensor(0.6931472)
    """

    weight: Tensor | None
    ignore_index: int | None
    label_smoothing: float

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            reduction, weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing
        )

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return classification.cross_entropy(
            logits, target, self.weight, ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing, reduction=self.reduction,
        )  # fmt: skip


class NLLLoss(Loss):
    """-input[label], averaged: see `tinyaccel.nll`.

    Options as for `CrossEntropyLoss`. input: (N, C, ...), as `LogSoftmax(1)` gives it; labels:
    (N, ...), integers from 0 to C - 1. Raises what `CrossEntropyLoss` does.
    """

    weight: Tensor | None
    ignore_index: int | None

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction, weight=weight, ignore_index=ignore_index)

    def forward(self, log_probabilities: Tensor, labels: Tensor) -> Tensor:
        return classification.nll(
            log_probabilities, labels, self.weight, ignore_index=self.ignore_index,
            reduction=self.reduction,
        )  # fmt: skip


class MSELoss(Loss):
    """(prediction - target)**2, averaged over all elements; two tensors of one shape.

    reduction "sum" adds instead, "none" returns all. Raises `ShapeError` for two shapes.

    >>> import tinyaccel as ta
    >>> ta.nn.MSELoss()(ta.tensor([1.0, 3.0]), ta.tensor([1.0, 1.0]))
    tensor(2.)
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return loss.mse(prediction, target, reduction=self.reduction)


class L1Loss(Loss):
    """|prediction - target|, averaged over all elements; two tensors of one shape.

    reduction "sum" adds instead, "none" returns all. Raises `ShapeError` for two shapes.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return loss.l1(prediction, target, reduction=self.reduction)


class HuberLoss(Loss):
    """d**2 / 2 where |d| is below delta, else delta (|d| - delta/2); d = prediction - target.

    Averaged; reduction "sum" adds instead, "none" returns all. Two tensors of one shape. Raises
    `ShapeError` for two shapes. See `tinyaccel.huber`.
    """

    delta: float

    def __init__(self, reduction: Reduction = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction, delta=delta)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return loss.huber(prediction, target, delta=self.delta, reduction=self.reduction)


class SmoothL1Loss(Loss):
    """d**2 / (2 beta) where |d| is below beta, else |d| - beta/2; d = prediction - target.

    Averaged; reduction "sum" adds instead, "none" returns all. Two tensors of one shape. Raises
    `ShapeError` for two shapes. See `tinyaccel.smooth_l1`.
    """

    beta: float

    def __init__(self, reduction: Reduction = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction, beta=beta)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return loss.smooth_l1(prediction, target, beta=self.beta, reduction=self.reduction)


class BCELoss(Loss):
    """-(t log p + (1 - t) log(1 - p)) * weight, averaged: see `tinyaccel.bce`.

    weight: broadcasts to the prediction, a buffer; or None for 1. prediction: p from 0 to 1;
    target: t of the same shape. `BCEWithLogitsLoss` loses no digits.
    """

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, weight=weight)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return loss.bce(prediction, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of sigmoid(logits), averaged: see `tinyaccel.bce_with_logits`.

    weight, pos_weight: broadcast to the logits, buffers; or None for 1. The second one is that of
    the targets which are 1. logits: any shape; target: from 0 to 1, of the same shape.

    >>> import tinyaccel as ta
    >>> ta.nn.BCEWithLogitsLoss()(ta.tensor([0.0, 50.0]), ta.tensor([1.0, 1.0]))
    tensor(0.3465736)
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        reduction: Reduction = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(reduction, weight=weight, pos_weight=pos_weight)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return loss.bce_with_logits(
            logits, target, self.weight, self.pos_weight, reduction=self.reduction
        )


class KLDivLoss(Loss):
    """p (log p - log q), averaged over all elements: see `tinyaccel.kl_div`.

    reduction "batchmean" divides by the first axis only, "sum" adds, "none" returns all;
    log_target says that the target is log p. prediction: log q; target: p, of the same shape.
    """

    _reductions = ("batchmean",)
    log_target: bool

    def __init__(
        self,
        reduction: Reduction | Literal["batchmean"] = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(cast(Reduction, reduction), log_target=log_target)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return loss.kl_div(prediction, target, log_target=self.log_target, reduction=self.reduction)


class PoissonNLLLoss(Loss):
    """e**x - t x, averaged: minus the log of a Poisson probability of t, whose mean is e**x.

    log_input  if not, x is the mean itself, and the loss x - t log(x + eps)
    full       whether to add Stirling's log t! = t log t - t + log(2 pi t) / 2 where t is above 1
    eps        keeps log away from 0
    reduction  "mean", "sum", or "none" for all of them

    prediction: x; target: t, counts, of the same shape. Raises `ShapeError` for two shapes.
    """

    log_input: bool
    full: bool
    eps: float

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        *,
        eps: float = 1e-8,
        reduction: Reduction = "mean",
    ) -> None:
        not_negative("PoissonNLLLoss", eps=eps)
        super().__init__(reduction, log_input=log_input, full=full, eps=eps)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self._check_equal(prediction=prediction, target=target)
        if self.log_input:
            values = prediction.exp() - target * prediction
        else:
            values = prediction - target * (prediction + self.eps).log()
        if self.full:
            counts = less(1, target)
            t = where(counts, target, 1)  # or the gradient at 0 would be 0 * inf
            values = values + where(counts, t * t.log() - t + (t * (2 * math.pi)).log() * 0.5, 0)
        return reduced(values, self.reduction)


class GaussianNLLLoss(Loss):
    """(log v + (x - t)**2 / v) / 2, averaged: minus the log of a normal density, variance v.

    full       whether to add the constant log(2 pi) / 2
    eps        the least that v counts as; its gradient is as if it were eps, so that it can grow
    reduction  "mean", "sum", or "none" for all of them

    prediction: x; target: t, of the same shape; variance: v, of that shape too, or with a last
    axis of 1, or without it. Raises `ShapeError` for other shapes.
    D. Nix, A. Weigend, "Estimating the mean and variance of the target probability distribution",
    ICNN 1994.
    """

    full: bool
    eps: float

    def __init__(
        self, *, full: bool = False, eps: float = 1e-6, reduction: Reduction = "mean"
    ) -> None:
        not_negative("GaussianNLLLoss", eps=eps)
        super().__init__(reduction, full=full, eps=eps)

    def forward(self, prediction: Tensor, target: Tensor, variance: Tensor) -> Tensor:
        self._check_equal(prediction=prediction, target=target)
        if variance.shape == prediction.shape[:-1]:
            variance = variance.expand_dims(-1)
        if variance.shape not in (prediction.shape, (*prediction.shape[:-1], 1)):
            raise ShapeError(
                f"GaussianNLLLoss: variance {variance.shape} for {prediction.shape}; expected the "
                "same, a last axis of 1, or none"
            )
        least = (variance - variance.detach()) + self.eps  # eps, with the variance's gradient
        v = where(less(variance, self.eps), least, variance)
        difference = prediction - target
        values = (v.log() + difference * difference / v) * 0.5
        if self.full:
            values = values + 0.5 * math.log(2 * math.pi)
        return reduced(values, self.reduction)
