"""Normalisation layers: by batch, layer, group, instance, root mean square and neighbours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from tinyaccel import dtypes, shapes
from tinyaccel.backend import Device
from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.nn import init
from tinyaccel.nn.module import Module, Parameter
from tinyaccel.nn.settings import described, divides, not_negative, positive
from tinyaccel.ops.movement import pad
from tinyaccel.ops.normalization import batch_norm, group_norm, layer_norm, rms_norm
from tinyaccel.ops.pooling import avg_pool2d
from tinyaccel.tape import no_grad
from tinyaccel.tensor import DTypeLike, Tensor, tensor


class _Normalization(Module):
    """What all of them share: a weight that starts as 1, a bias that starts as 0, or neither."""

    weight: Tensor | None
    bias: Tensor | None

    def _make(
        self,
        shape: shapes.Shape,
        dtype: DTypeLike | None,
        device: str | Device | None,
        *,
        weight: bool,
        bias: bool,
    ) -> None:
        """Set weight and bias, those that aren't wanted to None."""

        def start(value: float) -> Tensor:
            return Parameter(init.constant(shape, value, dtype=dtype, device=device))

        self.weight = start(1) if weight else None
        self.bias = start(0) if bias else None


# By batch


class _BatchNorm(_Normalization):
    """What the batch normalisations share: all but the axes that they take."""

    _behind: ClassVar[tuple[str, ...]]  # the axes behind the channels, in letters
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        layer = type(self).__name__
        positive(layer, num_features=num_features)
        not_negative(layer, eps=eps)
        if momentum is not None and not 0 <= momentum <= 1:
            raise ArgumentError(f"{layer}: momentum={momentum}; expected None or 0 to 1")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        shape = (num_features,)
        self._make(shape, dtype, device, weight=affine, bias=affine)
        if track_running_stats:
            for name, value in (("running_mean", 0), ("running_var", 1)):
                filled = init.constant(shape, value, dtype=dtype, device=device)
                self.register_buffer(name, filled)
            count = tensor(np.asarray(0, np.int64), device=device)  # PyTorch's dtype for it
            self.register_buffer("num_batches_tracked", count)

    def forward(self, x: Tensor) -> Tensor:
        known = [2 + letters.count(",") for letters in self._behind]
        if x.ndim not in known or x.shape[1] != self.num_features:
            expected = [f"(N, {self.num_features}{letters})" for letters in self._behind]
            raise ShapeError(
                f"{type(self).__name__}: input {x.shape}; expected {' or '.join(expected)}"
            )
        # A sum of many float16 numbers would overflow, so all is done in float32 at least.
        wide = x.astype(dtypes.promote(x.dtype, dtypes.float32))
        if self.training or not self.track_running_stats:
            mean, var = self._batch_statistics(wide)
        else:
            mean, var = self.running_mean, self.running_var
        y = batch_norm(wide, mean, var, self.weight, self.bias, eps=self.eps)
        return y.astype(x.dtype)

    def _batch_statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The batch's mean and variance; the running ones follow them, if there are any."""
        n = x.size // self.num_features
        if n < 2:
            raise ShapeError(
                f"{type(self).__name__}: training on {x.shape}, {n} value per channel; expected at "
                "least 2, use a larger batch or eval()"
            )
        axes = (0, *range(2, x.ndim))
        mean, var = x.mean(axes), x.var(axes)
        if self.track_running_stats:
            with no_grad():
                self._follow(mean.detach(), var.detach() * (n / (n - 1)))
        return mean, var

    def _follow(self, mean: Tensor, var: Tensor) -> None:
        count = self.num_batches_tracked + 1
        self.num_batches_tracked.assign(count)
        share = 1 / count.astype(mean.dtype) if self.momentum is None else self.momentum
        for running, new in ((self.running_mean, mean), (self.running_var, var)):
            running.assign(((1 - share) * running + share * new).astype(running.dtype))

    def extra_repr(self) -> str:
        return described(
            self, "num_features", eps=1e-5, momentum=0.1, affine=True, track_running_stats=True
        )


class BatchNorm1d(_BatchNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias, feature by feature, or channel by channel.

    Mean and variance over N, or over N and L; all else as for `BatchNorm2d`.

    x: (N, C) or (N, C, L) -> the same. weight, bias, running_mean, running_var: (C,).

    >>> import tinyaccel as ta
    >>> layer = ta.nn.BatchNorm1d(1)
    >>> layer(ta.tensor([[1.0], [3.0]])).shape, layer.running_mean
    ((2, 1), tensor([0.2]))
    """

    _behind = ("", ", L")


class BatchNorm2d(_BatchNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias, channel by channel.

    When training, mean and var (over N, H and W, divided by n = N H W) are the batch's own, and

        running = (1 - momentum) * running + momentum * batch

    with the batch's variance divided by n - 1. When evaluating they are the running ones.

    num_features         C
    momentum             how fast the running statistics follow; None for their plain average
    affine               whether there are weight and bias
    track_running_stats  whether there are running statistics; if not, the batch's always serve
    dtype, device        of parameters and buffers; float32 on the default device

    x: (N, C, H, W) -> the same. weight, bias, running_mean, running_var: (C,), at first 1, 0, 0
    and 1. float16 and bfloat16 are normalised in float32 and rounded once. Raises `ShapeError`
    for an x that doesn't fit, or when training on one value per channel.
    S. Ioffe, C. Szegedy, "Batch Normalization", arXiv:1502.03167.

    >>> import tinyaccel as ta
    >>> layer = ta.nn.BatchNorm2d(1)
    >>> layer(ta.tensor([[[[1.0, 3.0]]]])).shape, layer.running_mean
    ((1, 1, 1, 2), tensor([0.2]))
    """

    _behind = (", H, W",)


# By what each sample has itself: these do the same when training and when evaluating


class LayerNorm(_Normalization):
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance along the last axes.

    normalized_shape    the sizes of those axes, or one size
    elementwise_affine  whether there are weight and bias
    bias                whether there is a bias, if there is a weight
    dtype, device       of the parameters; float32 on the default device

    x: (..., *normalized_shape) -> the same. weight, bias: normalized_shape, at first 1 and 0.
    float16 and bfloat16 are computed in float32. Raises `ShapeError` for an x that doesn't fit.
    J. Ba et al., "Layer Normalization", arXiv:1607.06450.

    >>> import tinyaccel as ta
    >>> ta.nn.LayerNorm(2, eps=0.0)(ta.tensor([[1.0, 3.0]])).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        self.normalized_shape = _last_axes("LayerNorm", normalized_shape)
        not_negative("LayerNorm", eps=eps)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._make(
            self.normalized_shape, dtype, device, weight=elementwise_affine,
            bias=elementwise_affine and bias,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return layer_norm(
            x, self.weight, self.bias, normalized_shape=self.normalized_shape, eps=self.eps
        )

    def extra_repr(self) -> str:
        return described(self, "normalized_shape", eps=1e-5, elementwise_affine=True)


class RMSNorm(_Normalization):
    """x / sqrt(mean(x**2) + eps) * weight, the mean along the last axes.

    normalized_shape    the sizes of those axes, or one size
    eps                 None for the machine epsilon of x's dtype
    elementwise_affine  whether there is a weight
    dtype, device       of the weight; float32 on the default device

    x: (..., *normalized_shape) -> the same. weight: normalized_shape, at first 1; there is no
    bias. float16 and bfloat16 are computed in float32. Raises `ShapeError` for an x that doesn't
    fit. B. Zhang, R. Sennrich, "Root Mean Square Layer Normalization", arXiv:1910.07467.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        self.normalized_shape = _last_axes("RMSNorm", normalized_shape)
        if eps is not None:
            not_negative("RMSNorm", eps=eps)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._make(self.normalized_shape, dtype, device, weight=elementwise_affine, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, normalized_shape=self.normalized_shape, eps=self.eps)

    def extra_repr(self) -> str:
        return described(self, "normalized_shape", eps=None, elementwise_affine=True)


def _last_axes(layer: str, normalized_shape: int | Sequence[int]) -> shapes.Shape:
    """The sizes of the axes that are normalised, at least one, none of them empty."""
    shape = shapes.as_shape(normalized_shape, layer)
    if not shape or 0 in shape:
        raise ArgumentError(
            f"{layer}: normalized_shape={normalized_shape!r}; expected the sizes of the last axes, "
            "at least one of them, each at least 1"
        )
    return shape


class GroupNorm(_Normalization):
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance by sample and channel group.

    num_groups     how many groups of neighbouring channels
    num_channels   C, a multiple of num_groups
    affine         whether there are weight and bias
    dtype, device  of the parameters; float32 on the default device

    x: (N, C, ...) -> the same. weight, bias: (C,), at first 1 and 0. float16 and bfloat16 are
    computed in float32. Raises `ArgumentError` for groups that don't divide, `ShapeError` for an
    x that doesn't fit. Y. Wu, K. He, "Group Normalization", arXiv:1803.08494.

    >>> import tinyaccel as ta
    >>> ta.nn.GroupNorm(2, 6)(ta.zeros((1, 6, 4, 4))).shape
    (1, 6, 4, 4)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        positive("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        divides("GroupNorm", "num_groups", num_groups, num_channels=num_channels)
        not_negative("GroupNorm", eps=eps)
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        self._make((num_channels,), dtype, device, weight=affine, bias=affine)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ShapeError(f"GroupNorm: input {x.shape}; expected (N, {self.num_channels}, ...)")
        return group_norm(x, self.weight, self.bias, num_groups=self.num_groups, eps=self.eps)

    def extra_repr(self) -> str:
        return described(self, "num_groups", "num_channels", eps=1e-5, affine=True)


class _InstanceNorm(_Normalization):
    """What the instance normalisations share: all but the axes that they take."""

    _behind: ClassVar[str]  # the axes behind the channels, in letters
    _values: ClassVar[str]  # what lies along them

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        affine: bool = False,
        *,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        layer = type(self).__name__
        positive(layer, num_features=num_features)
        not_negative(layer, eps=eps)
        self.num_features, self.eps, self.affine = num_features, eps, affine
        self._make((num_features,), dtype, device, weight=affine, bias=affine)

    def forward(self, x: Tensor) -> Tensor:
        axes, channels = 2 + self._behind.count(","), self.num_features
        if x.ndim != axes or x.shape[1] != channels or math.prod(x.shape[2:]) < 2:
            raise ShapeError(
                f"{type(self).__name__}: input {x.shape}; expected (N, {channels}{self._behind}) "
                f"of more than one {self._values}"
            )
        return group_norm(x, self.weight, self.bias, num_groups=channels, eps=self.eps)

    def extra_repr(self) -> str:
        return described(self, "num_features", eps=1e-5, affine=False)


class InstanceNorm1d(_InstanceNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance by sample and channel.

    x: (N, C, L), L more than 1 -> the same. All else as for `InstanceNorm2d`.
    """

    _behind, _values = ", L", "value"


class InstanceNorm2d(_InstanceNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance by sample and channel.

    num_features   C
    affine         whether there are weight and bias; here, as in PyTorch, there are none by default
    dtype, device  of the parameters; float32 on the default device

    x: (N, C, H, W), of more than one pixel -> the same. weight, bias: (C,), at first 1 and 0.
    There are no running statistics. float16 and bfloat16 are computed in float32. Raises
    `ShapeError` for an x that doesn't fit.
    D. Ulyanov et al., "Instance Normalization", arXiv:1607.08022.
    """

    _behind, _values = ", H, W", "pixel"


# By the channels beside


class LocalResponseNorm(Module):
    """x / (k + alpha * s)**beta, s the mean of x**2 over `size` neighbouring channels.

    size  how many: those from size // 2 before to (size - 1) // 2 behind; where there are none,
          zeros

    x: (N, C, ...) -> the same. float16 and bfloat16 are computed in float32. Raises `ShapeError`
    for an x without channels. A. Krizhevsky et al., "ImageNet Classification with Deep
    Convolutional Neural Networks", NIPS 2012; as PyTorch has it, which takes the mean there.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        positive("LocalResponseNorm", size=size)
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim < 3:
            raise ShapeError(f"LocalResponseNorm: input {x.shape}; expected (N, C, ...)")
        wide = x.astype(dtypes.promote(x.dtype, dtypes.float32))
        squares = (wide * wide).reshape(x.shape[0], 1, x.shape[1], -1)
        around = ((0, 0), (0, 0), (self.size // 2, (self.size - 1) // 2), (0, 0))
        means = avg_pool2d(pad(squares, around), kernel=(self.size, 1), stride=1)
        scale = (means.reshape(x.shape) * self.alpha + self.k) ** self.beta
        return (wide / scale).astype(x.dtype)

    def extra_repr(self) -> str:
        return described(self, "size", alpha=1e-4, beta=0.75, k=1.0)
