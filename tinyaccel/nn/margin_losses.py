"""Loss functions of margins: classes, pairs and triplets that are to be apart, and how far."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable

from tinyaccel import dtypes
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError
from tinyaccel.nn.distance import PairwiseDistance, distance
from tinyaccel.nn.losses import Loss
from tinyaccel.nn.settings import described, not_negative
from tinyaccel.ops.activation import softplus
from tinyaccel.ops.elementwise import equal, less, less_equal, minimum, relu, where
from tinyaccel.ops.indexing import one_hot, take, take_along_axis
from tinyaccel.ops.loss import Reduction, bce_with_logits, reduced
from tinyaccel.ops.scan import cumprod
from tinyaccel.tensor import Tensor

# Of two classes, 1 and -1


class SoftMarginLoss(Loss):
    """log(1 + e**(-t x)), averaged: the logistic loss of two classes.

    reduction "sum" adds instead, "none" returns all. prediction: x; target: t, 1 or -1, of the
    same shape. Raises `ShapeError` for two shapes.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self._check_equal(prediction=prediction, target=target)
        return reduced(softplus(-target * prediction), self.reduction)


class HingeEmbeddingLoss(Loss):
    """d where t is 1, max(0, margin - d) where it is -1, averaged: d is the distance of a pair.

    reduction "sum" adds instead, "none" returns all. distance: d; target: t, 1 or -1, of the same
    shape. Raises `ShapeError` for two shapes.
    """

    margin: float

    def __init__(self, margin: float = 1.0, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, margin=margin)

    def forward(self, distance: Tensor, target: Tensor) -> Tensor:
        self._check_equal(distance=distance, target=target)
        apart = relu(self.margin - distance)
        return reduced(where(equal(target, 1), distance, apart), self.reduction)


class MarginRankingLoss(Loss):
    """max(0, margin - t (x1 - x2)), averaged: where t is 1 the first is to be larger by the margin.

    reduction "sum" adds instead, "none" returns all. first: x1; second: x2; target: t, 1 or -1,
    all of one shape. Raises `ShapeError` for others.

    >>> import tinyaccel as ta
    >>> a, b = ta.tensor([1.0, 2.0]), ta.tensor([3.0, 1.5])
    >>> ta.nn.MarginRankingLoss(reduction="none")(a, b, ta.tensor([1.0, 1.0]))
    tensor([2., 0.])
    """

    margin: float

    def __init__(self, margin: float = 0.0, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, margin=margin)

    def forward(self, first: Tensor, second: Tensor, target: Tensor) -> Tensor:
        self._check_equal(first=first, second=second, target=target)
        return reduced(relu(self.margin - target * (first - second)), self.reduction)


# Of many classes


class MultiMarginLoss(Loss):
    """sum_j max(0, margin - x[t] + x[j])**p / C over the other classes j, averaged.

    p          1 or 2
    margin     by how much the right class is to be above the others
    weight     (C,): of each class, by which its samples' terms (before the power) are multiplied;
               a buffer, or None for 1
    reduction  "mean", "sum", or "none" for all of them

    prediction: x, (N, C); labels: t, (N,), integers from 0 to C - 1. Raises `ShapeError` and
    `DTypeError`, and on the CPU `IndexRangeError` for a label that is no class.
    K. Crammer, Y. Singer, "On the Algorithmic Implementation of Multiclass Kernel-based Vector
    Machines", JMLR 2 (2001).
    """

    p: int
    margin: float
    weight: Tensor | None

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        *,
        reduction: Reduction = "mean",
    ) -> None:
        if p not in (1, 2):
            raise ArgumentError(f"MultiMarginLoss: p={p}; expected 1 or 2")
        super().__init__(reduction, p=p, margin=margin, weight=weight)

    def forward(self, prediction: Tensor, labels: Tensor) -> Tensor:
        _check_classes("MultiMarginLoss", prediction, labels, prediction.shape[:1])
        classes = prediction.shape[1]
        column = labels.astype(dtypes.promote(labels.dtype, dtypes.int32)).expand_dims(1)
        column = where(less(column, 0), classes, column)  # no class, and not one from the end
        terms = relu(self.margin - take_along_axis(prediction, column, axis=1) + prediction)
        if self.p == 2:
            terms = terms * terms
        if self.weight is not None:
            terms = terms * take(self.weight, column, axis=0)
        other = one_hot(column.squeeze(1), num_classes=classes, dtype=prediction.dtype)
        return reduced(where(equal(other, 0), terms, 0).sum(1) / float(classes), self.reduction)


class MultiLabelMarginLoss(Loss):
    """sum_ij max(0, 1 - x[t_j] + x[i]) / C over the labels t_j and the other classes i, averaged.

    reduction "sum" adds instead, "none" returns all. prediction: x, (N, C); labels: (N, C),
    integers, in each row the classes of the sample, then -1; what comes behind doesn't count.
    Raises `ShapeError` and `DTypeError`, and on the CPU `IndexRangeError` for a label that is no
    class.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, prediction: Tensor, labels: Tensor) -> Tensor:
        _check_classes("MultiLabelMarginLoss", prediction, labels, prediction.shape)
        classes = prediction.shape[1]
        index = labels.astype(dtypes.promote(labels.dtype, dtypes.int32))
        valid = cumprod(less_equal(0, index).astype(dtypes.int32), axis=1)
        index = where(equal(valid, 1), index, 0)
        counts = valid.astype(prediction.dtype).expand_dims(2)  # (N, labels, 1)
        hits = one_hot(index, num_classes=classes, dtype=prediction.dtype) * counts
        others = equal(hits.sum(1, keepdims=True), 0)  # (N, 1, classes)
        at_labels = take_along_axis(prediction, index, axis=1).expand_dims(2)
        terms = relu(1 - at_labels + prediction.expand_dims(1)) * counts
        values = where(others, terms, 0).sum((1, 2)) / float(classes)
        return reduced(values, self.reduction)


def _check_classes(name: str, x: Tensor, labels: Tensor, expected: tuple[int, ...]) -> None:
    if not labels.dtype.is_integer:
        raise DTypeError(f"{name}: labels are {labels.spec}; expected integers, classes")
    if x.ndim != 2 or labels.shape != expected:
        raise ShapeError(
            f"{name}: prediction {x.shape} and labels {labels.shape}; expected (N, C) and "
            f"{'(N,)' if len(expected) == 1 else '(N, C)'}"
        )


class MultiLabelSoftMarginLoss(Loss):
    """-(t log s + (1 - t) log(1 - s)), s = sigmoid(x), the mean over classes, averaged.

    weight     (C,): of each class, a buffer; or None for 1
    reduction  "mean", "sum", or "none" for all of them

    prediction: x, (..., C); target: t, of the same shape, 1 for each class that the sample has,
    else 0. Raises `ShapeError` for two shapes.
    """

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, weight=weight)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        self._check_equal(prediction=prediction, target=target)
        if not prediction.ndim:
            raise ShapeError("MultiLabelSoftMarginLoss: prediction (); expected (..., C)")
        each = bce_with_logits(prediction, target, self.weight, reduction="none")
        return reduced(each.mean(-1), self.reduction)


# Of pairs and triplets of vectors

_NO_LENGTH = 1e-12  # added to squares of lengths, as PyTorch has it


class CosineEmbeddingLoss(Loss):
    """1 - cos where t is 1, max(0, cos - margin) where it is -1, averaged.

    cos is that of the angle between two vectors, x1 . x2 / sqrt((|x1|**2 + e) (|x2|**2 + e)),
    e = 1e-12. reduction "sum" adds instead, "none" returns all. first, second: (N, D), or (D,);
    target: (N,), or (), 1 or -1. Raises `ShapeError` for other shapes.
    """

    margin: float

    def __init__(self, margin: float = 0.0, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, margin=margin)

    def forward(self, first: Tensor, second: Tensor, target: Tensor) -> Tensor:
        self._check_equal(first=first, second=second)
        if first.ndim not in (1, 2) or target.shape != first.shape[:-1]:
            raise ShapeError(
                f"CosineEmbeddingLoss: inputs {first.shape}, target {target.shape}; expected "
                "(N, D) and (N,), or (D,) and ()"
            )
        squares = [(x * x).sum(-1) + _NO_LENGTH for x in (first, second)]
        cosine = (first * second).sum(-1) / (squares[0] * squares[1]).sqrt()
        values = where(equal(target, 1), 1 - cosine, relu(cosine - self.margin))
        return reduced(values, self.reduction)


class _Triplets(Loss):
    """What the losses of triplets share: all but how a distance is measured."""

    margin: float
    swap: bool

    @abstractmethod
    def _distance(self, a: Tensor, b: Tensor) -> Tensor: ...

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        self._check_equal(anchor=anchor, positive=positive, negative=negative)
        far = self._distance(anchor, negative)
        if self.swap:
            far = minimum(far, self._distance(positive, negative))
        near = self._distance(anchor, positive)
        return reduced(relu(near - far + self.margin), self.reduction)


class TripletMarginLoss(_Triplets):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), averaged.

    margin     by how much the negative is to be farther away than the positive
    p          of the norm: d(a, b) = (sum |a - b + eps|**p)**(1/p) along the last axis
    eps        keeps d away from 0, where it has no gradient
    swap       whether d(positive, negative) counts instead where it is the smaller one
    reduction  "mean", "sum", or "none" for all of them

    anchor, positive, negative: (..., D), all of one shape. Raises `ShapeError` for others.
    V. Balntas et al., "Learning shallow convolutional feature descriptors with triplet losses",
    BMVC 2016.
    """

    p: float
    eps: float

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        *,
        reduction: Reduction = "mean",
    ) -> None:
        not_negative("TripletMarginLoss", eps=eps)
        if not 0 < p < math.inf:
            raise ArgumentError(f"TripletMarginLoss: p={p}; expected a number above 0")
        super().__init__(reduction, margin=margin, p=p, eps=eps, swap=swap)

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        return distance(a, b, self.p, self.eps)


class TripletMarginWithDistanceLoss(_Triplets):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), averaged, for any distance d.

    distance_function  of two tensors, gives one of distances, of any shape; a module's parameters
                       are this one's, too. None: `PairwiseDistance()`
    margin             by how much the negative is to be farther away, at least 0
    swap               whether d(positive, negative) counts instead where it is the smaller one
    reduction          "mean", "sum", or "none" for all of them

    anchor, positive, negative: all of one shape. Raises `ShapeError` for others.
    Source as of `TripletMarginLoss`, which this is with `PairwiseDistance(p, eps)`.

    >>> import tinyaccel as ta
    >>> loss = ta.nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: abs(a - b).max(1))
    >>> loss(ta.tensor([[0.0, 0.0]]), ta.tensor([[2.0, 1.0]]), ta.tensor([[0.0, 1.5]]))
    tensor(1.5)
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        not_negative("TripletMarginWithDistanceLoss", margin=margin)
        super().__init__(reduction, margin=margin, swap=swap)
        self.distance_function = distance_function or PairwiseDistance()

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        return self.distance_function(a, b)

    def extra_repr(self) -> str:
        return described(self, margin=1.0, swap=False, reduction="mean")
