"""Layers: linear, convolution, pooling, normalisation, dropout, flatten."""

from __future__ import annotations

import math

import numpy as np

from tinyaccel import dtypes, shapes
from tinyaccel.backend import Device
from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.nn import init
from tinyaccel.nn.module import Module, Parameter
from tinyaccel.ops.convolution import conv2d
from tinyaccel.ops.linalg import linear
from tinyaccel.ops.normalization import batch_norm, dropout
from tinyaccel.ops.pooling import avg_pool2d, max_pool2d
from tinyaccel.ops.random import Generator, default_generator
from tinyaccel.tape import no_grad
from tinyaccel.tensor import DTypeLike, Tensor, tensor


def _positive(layer: str, **settings: int) -> None:
    for name, value in settings.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ArgumentError(f"{layer}: {name}={value!r}; expected an integer of at least 1")


def _options(**settings: object) -> str:
    """Settings for printing, those at their defaults (None here) left out."""
    return ", ".join(f"{name}={value}" for name, value in settings.items() if value is not None)


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
        _positive("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        shape = (out_features, in_features)
        self.weight = init.fan_in_uniform(shape, in_features, dtype=dtype, device=device)
        self.bias = None
        if bias:
            self.bias = init.fan_in_uniform(shape[:1], in_features, dtype=dtype, device=device)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}"


class Conv2d(Module):
    """2-D convolution, without turning the kernel round (cross-correlation).

    y[n, k, i, j] = bias[k] + sum_{c, u, v} weight[k, c, u, v] x[n, c, i s + u d - p, j s + v d - p]

    in_channels, out_channels  C and K; both must be multiples of groups
    kernel_size, stride, dilation  an int, or a pair (height, width)
    padding   an int, a pair, ((top, bottom), (left, right)), "valid" or "same" (zeros around x)
    groups    into how many parts, convolved each on its own, the channels fall
    bias      whether there is one
    dtype, device  of the parameters; float32 on the default device

    x: (N, C, H, W) -> (N, K, OH, OW), OH = floor((H + 2 p - d (kh - 1) - 1) / s) + 1.
    weight: (K, C/groups, kh, kw), bias: (K,), both drawn from U(-b, b) with
    b = 1/sqrt(C/groups kh kw). Raises `ArgumentError` for impossible settings, `ShapeError` for
    an x that doesn't fit.

    >>> import tinyaccel as ta
    >>> ta.nn.Conv2d(1, 32, 3, padding=1)(ta.zeros((2, 1, 8, 8))).shape
    (2, 32, 8, 8)
    """

    bias: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: shapes.Pair,
        stride: shapes.Pair = 1,
        padding: shapes.Pair | shapes.Padding | str = 0,
        dilation: shapes.Pair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        _positive("Conv2d", in_channels=in_channels, out_channels=out_channels, groups=groups)
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ArgumentError(
                    f"Conv2d: {name}={channels} doesn't divide into groups={groups}; change one"
                )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = shapes.pair(kernel_size, "kernel_size", "Conv2d")
        self.stride = shapes.pair(stride, "stride", "Conv2d")
        self.dilation = shapes.pair(dilation, "dilation", "Conv2d")
        self.padding = padding
        shapes.padding2d(padding, self.kernel_size, self.stride, self.dilation, "Conv2d")
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        fan_in = math.prod(shape[1:])
        self.weight = init.fan_in_uniform(shape, fan_in, dtype=dtype, device=device)
        self.bias = None
        if bias:
            self.bias = init.fan_in_uniform(shape[:1], fan_in, dtype=dtype, device=device)

    def forward(self, x: Tensor) -> Tensor:
        y = conv2d(
            x, self.weight, stride=self.stride, padding=self.padding, dilation=self.dilation,
            groups=self.groups,
        )  # fmt: skip
        return y if self.bias is None else y + self.bias.reshape(self.out_channels, 1, 1)

    def extra_repr(self) -> str:
        more = _options(
            kernel_size=self.kernel_size,
            stride=None if self.stride == (1, 1) else self.stride,
            padding=self.padding or None,
            dilation=None if self.dilation == (1, 1) else self.dilation,
            groups=None if self.groups == 1 else self.groups,
        )
        return f"{self.in_channels}, {self.out_channels}, {more}"


class MaxPool2d(Module):
    """The largest value of each window.

    kernel_size  an int, or a pair (height, width)
    stride       likewise; None means kernel_size
    padding      likewise, at most half of kernel_size; never the largest
    dilation     likewise

    x: (N, C, H, W) -> (N, C, OH, OW) as for `Conv2d`. The gradient goes to the first of equal
    maxima, row by row. Raises `ArgumentError` or `ShapeError` for what doesn't fit.

    >>> import tinyaccel as ta
    >>> ta.nn.MaxPool2d(2)(ta.zeros((1, 3, 28, 28))).shape
    (1, 3, 14, 14)
    """

    def __init__(
        self,
        kernel_size: shapes.Pair,
        stride: shapes.Pair | None = None,
        padding: shapes.Pair = 0,
        dilation: shapes.Pair = 1,
    ) -> None:
        self.kernel_size = shapes.pair(kernel_size, "kernel_size", "MaxPool2d")
        self.stride = shapes.pair(kernel_size if stride is None else stride, "stride", "MaxPool2d")
        self.padding = shapes.pair(padding, "padding", "MaxPool2d", least=0)
        self.dilation = shapes.pair(dilation, "dilation", "MaxPool2d")

    def forward(self, x: Tensor) -> Tensor:
        return max_pool2d(
            x, kernel=self.kernel_size, stride=self.stride, padding=self.padding,
            dilation=self.dilation,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return _options(
            kernel_size=self.kernel_size,
            stride=None if self.stride == self.kernel_size else self.stride,
            padding=None if self.padding == (0, 0) else self.padding,
            dilation=None if self.dilation == (1, 1) else self.dilation,
        )


class AvgPool2d(Module):
    """The mean of each window, zeros of the padding included.

    kernel_size  an int, or a pair (height, width)
    stride       likewise; None means kernel_size
    padding      likewise, at most half of kernel_size

    x: (N, C, H, W) -> (N, C, OH, OW) as for `Conv2d`. Raises `ArgumentError` or `ShapeError` for
    what doesn't fit.
    """

    def __init__(
        self,
        kernel_size: shapes.Pair,
        stride: shapes.Pair | None = None,
        padding: shapes.Pair = 0,
    ) -> None:
        self.kernel_size = shapes.pair(kernel_size, "kernel_size", "AvgPool2d")
        self.stride = shapes.pair(kernel_size if stride is None else stride, "stride", "AvgPool2d")
        self.padding = shapes.pair(padding, "padding", "AvgPool2d", least=0)

    def forward(self, x: Tensor) -> Tensor:
        return avg_pool2d(x, kernel=self.kernel_size, stride=self.stride, padding=self.padding)

    def extra_repr(self) -> str:
        return _options(
            kernel_size=self.kernel_size,
            stride=None if self.stride == self.kernel_size else self.stride,
            padding=None if self.padding == (0, 0) else self.padding,
        )


class BatchNorm2d(Module):
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

    weight: Tensor | None
    bias: Tensor | None
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
        _positive("BatchNorm2d", num_features=num_features)
        if not eps >= 0:
            raise ArgumentError(f"BatchNorm2d: eps={eps}; expected 0 or more")
        if momentum is not None and not 0 <= momentum <= 1:
            raise ArgumentError(f"BatchNorm2d: momentum={momentum}; expected None or 0 to 1")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats

        def filled(value: float) -> Tensor:
            return init.constant((num_features,), value, dtype=dtype, device=device)

        self.weight = Parameter(filled(1)) if affine else None
        self.bias = Parameter(filled(0)) if affine else None
        if track_running_stats:
            self.register_buffer("running_mean", filled(0))
            self.register_buffer("running_var", filled(1))
            count = tensor(np.asarray(0, np.int64), device=device)  # PyTorch's dtype for it
            self.register_buffer("num_batches_tracked", count)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[1] != self.num_features:
            raise ShapeError(
                f"BatchNorm2d: input {x.shape}; expected (N, {self.num_features}, H, W)"
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
                f"BatchNorm2d: training on {x.shape}, {n} value per channel; expected at least 2, "
                "use a larger batch or eval()"
            )
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
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
        more = _options(
            eps=None if self.eps == 1e-5 else self.eps,
            momentum=None if self.momentum == 0.1 else repr(self.momentum),
            affine=None if self.affine else False,
            track_running_stats=None if self.track_running_stats else False,
        )
        return f"{self.num_features}, {more}" if more else str(self.num_features)


class Dropout(Module):
    """When training, x / (1 - p) where a random word says so, else 0; when evaluating, x itself.

    p          the probability of a 0, from 0 to 1
    generator  where the random words come from; by default the one of x's device, which
               `tinyaccel.manual_seed` sets. The same seed gives the same mask on every device

    x: any shape. Raises `ArgumentError` for a p that is no probability.
    N. Srivastava et al., "Dropout", JMLR 15 (2014).

    >>> import tinyaccel as ta
    >>> ta.manual_seed(0)
    >>> layer = ta.nn.Dropout(0.5)
    >>> sorted(set(layer(ta.ones((100,))).tolist())), layer.eval()(ta.ones((2,))).tolist()
    ([0.0, 2.0], [1.0, 1.0])
    """

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        if not 0 <= p <= 1:
            raise ArgumentError(f"Dropout: p={p}; expected a probability from 0 to 1")
        self.p, self.generator = p, generator

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        source = default_generator(x.device) if self.generator is None else self.generator
        return dropout(x, source.bits(x.shape), p=self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


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
        return _options(
            start_dim=None if self.start_dim == 1 else self.start_dim,
            end_dim=None if self.end_dim == -1 else self.end_dim,
        )
