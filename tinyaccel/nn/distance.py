"""How far vectors are apart, and how much they point the same way."""

from __future__ import annotations

from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.nn.module import Module
from tinyaccel.nn.settings import described, not_negative
from tinyaccel.ops.elementwise import maximum
from tinyaccel.ops.reduce import norm
from tinyaccel.tensor import Tensor


class PairwiseDistance(Module):
    """(sum |x1 - x2 + eps|**p)**(1/p) along the last axis.

    p        of the norm, a number above 0, or inf for the largest difference
    eps      keeps the distance away from 0, where it has no gradient
    keepdim  whether the last axis stays, with size 1

    x1, x2: (..., D), of shapes that broadcast -> (...), or (..., 1). Raises `ShapeError` for shapes
    that don't fit.

    >>> import tinyaccel as ta
    >>> ta.nn.PairwiseDistance(eps=0.0)(ta.tensor([[3.0, 1.0]]), ta.tensor([[0.0, 5.0]]))
    tensor([5.])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        if not p > 0:
            raise ArgumentError(f"PairwiseDistance: p={p}; expected a number above 0, or inf")
        not_negative("PairwiseDistance", eps=eps)
        self.p, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        if not x1.ndim or not x2.ndim:
            raise ShapeError(f"PairwiseDistance: x1 {x1.shape}, x2 {x2.shape}; expected (..., D)")
        return distance(x1, x2, self.p, self.eps, keepdims=self.keepdim)

    def extra_repr(self) -> str:
        return described(self, p=2.0, eps=1e-6, keepdim=False)


def distance(a: Tensor, b: Tensor, p: float, eps: float, *, keepdims: bool = False) -> Tensor:
    """(sum |a - b + eps|**p)**(1/p) along the last axis."""
    return norm(a - b + eps, p, axis=-1, keepdims=keepdims)


class CosineSimilarity(Module):
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps)): the cosine of the angle between two vectors.

    dim  the axis along which the vectors lie
    eps  the least that a length counts as

    x1, x2: of shapes that broadcast -> the same, without that axis. Raises `AxisError` for an axis
    that isn't there, `ShapeError` for shapes that don't fit.

    >>> import tinyaccel as ta
    >>> ta.nn.CosineSimilarity()(ta.tensor([[2.0, 0.0]]), ta.tensor([[3.0, 4.0]]))
    tensor([0.6])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        not_negative("CosineSimilarity", eps=eps)
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        lengths = [maximum(norm(x, axis=self.dim), self.eps) for x in (x1, x2)]
        return (x1 * x2).sum(self.dim) / (lengths[0] * lengths[1])

    def extra_repr(self) -> str:
        return described(self, dim=1, eps=1e-8)
