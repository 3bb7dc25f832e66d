"""Layers of features: linear, embedding, and the joining and parting of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinyaccel import dtypes, shapes
from tinyaccel.backend import Device
from tinyaccel.errors import ArgumentError, DTypeError
from tinyaccel.nn import init
from tinyaccel.nn.module import Module, Parameter
from tinyaccel.nn.settings import described, positive
from tinyaccel.ops.elementwise import equal, less, where
from tinyaccel.ops.indexing import take
from tinyaccel.ops.linalg import linear
from tinyaccel.tensor import DTypeLike, Tensor


class Linear(Module):
    """x @ weight.T + bias

    in_features, out_features  sizes of the last axis, before and after
    bias                       whether there is one
    dtype, device              of the parameters; float32 on the default device

    x: (..., in_features) -> (..., out_features). weight: (out_features, in_features),
    bias: (out_features,), both drawn from U(-1/sqrt(in_features), 1/sqrt(in_features)).
    Raises `ArgumentError` for sizes below 1, `ShapeError` for an x that doesn't fit.

    >>> import tinyaccel as ta
    >>> ta.nn.Linear(784, 10)(ta.zeros((64, 784))).shape
    (64, 10)
    """

    bias: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        positive("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        shape = (out_features, in_features)
        self.weight = init.fan_in_uniform(shape, in_features, dtype=dtype, device=device)
        self.bias = None
        if bias:
            self.bias = init.fan_in_uniform(shape[:1], in_features, dtype=dtype, device=device)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return described(self, "in_features", "out_features")


class Flatten(Module):
    """Axes start_dim to end_dim joined into one: (N, C, H, W) -> (N, C H W) by default.

    Raises `AxisError` for an axis that x doesn't have, `ArgumentError` if the first comes after
    the last.

    >>> import tinyaccel as ta
    >>> ta.nn.Flatten()(ta.zeros((2, 3, 4, 5))).shape
    (2, 60)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        first = shapes.normalize_axis(self.start_dim, x.ndim, "Flatten")
        last = shapes.normalize_axis(self.end_dim, x.ndim, "Flatten")
        if first > last:
            raise ArgumentError(
                f"Flatten: start_dim={self.start_dim} comes after end_dim={self.end_dim} in "
                f"{x.shape}; expected it before, or the same"
            )
        joined = math.prod(x.shape[first : last + 1])
        return x.reshape(*x.shape[:first], joined, *x.shape[last + 1 :])

    def extra_repr(self) -> str:
        return described(self, start_dim=1, end_dim=-1)


class Unflatten(Module):
    """One axis parted into several: (N, C H W) -> (N, C, H, W) for dim=1, (C, H, W).

    dim               which axis
    unflattened_size  the axes that take its place; one of them may be -1

    Raises `AxisError` for an axis that x doesn't have, `ShapeError` if it doesn't part so.

    >>> import tinyaccel as ta
    >>> ta.nn.Unflatten(1, (3, -1))(ta.zeros((2, 12))).shape
    (2, 3, 4)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, x: Tensor) -> Tensor:
        axis = shapes.normalize_axis(self.dim, x.ndim, "Unflatten")
        parts = shapes.reshape((x.shape[axis],), self.unflattened_size, "Unflatten")
        return x.reshape(*x.shape[:axis], *parts, *x.shape[axis + 1 :])

    def extra_repr(self) -> str:
        return described(self, "dim", "unflattened_size")


class Embedding(Module):
    """weight[x]: for each integer the row of a table that is learnt.

    num_embeddings  how many rows, V
    embedding_dim   how long they are, D
    padding_idx     a row that stands for nothing: it starts as 0 and has no gradient. -1 is the
                    last one
    dtype, device   of the weight; float32 on the default device

    x: (...), integers from 0 to V - 1 -> (..., D). weight: (V, D), drawn from N(0, 1). Raises
    `ArgumentError` for impossible settings, `DTypeError` for an x of no integers, and on the CPU
    `IndexRangeError` for one that has no row, of which those below 0 are some (they show as
    `num_embeddings`); where a device can't raise, the row is NaN.

    >>> import tinyaccel as ta
    >>> words = ta.nn.Embedding(100, 8, padding_idx=0)
    >>> words(ta.tensor([[7, 2, 0]])).shape, words.weight[0].tolist() == [0.0] * 8
    ((1, 3, 8), True)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        positive("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None
        shape = (num_embeddings, embedding_dim)
        weight = init.normal_(init.constant(shape, 0, dtype=dtype, device=device))
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ArgumentError(
                    f"Embedding: padding_idx={padding_idx} of {num_embeddings} rows; expected one "
                    "of them, or None"
                )
            self.padding_idx = padding_idx % num_embeddings
            weight = weight.at[self.padding_idx].set(0)
        self.weight = Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        if not x.dtype.is_integer:
            raise DTypeError(f"Embedding: input {x.spec}; expected integers, the rows to look up")
        # An index below 0 would count back from the end: it is a row that isn't there.
        index = x.astype(dtypes.promote(x.dtype, dtypes.int32))
        y = take(self.weight, where(less(index, 0), self.num_embeddings, index), axis=0)
        if self.padding_idx is None:
            return y
        return where(equal(index, self.padding_idx).expand_dims(-1), y.detach(), y)

    def extra_repr(self) -> str:
        return described(self, "num_embeddings", "embedding_dim", padding_idx=None)
