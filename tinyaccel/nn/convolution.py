"""Convolution layers for signals (N, C, L) and images (N, C, H, W), and their transposes."""

from __future__ import annotations

import math
from typing import ClassVar

from tinyaccel import shapes
from tinyaccel.backend import Device
from tinyaccel.nn import init
from tinyaccel.nn.module import Module
from tinyaccel.nn.settings import described, divides, positive
from tinyaccel.ops.convolution import (
    Ends,
    conv1d,
    conv2d,
    conv_transpose1d,
    conv_transpose2d,
    places1d,
    single,
)
from tinyaccel.tensor import DTypeLike, Tensor


class _Convolution(Module):
    """What the convolutions share: channels in groups, weights, the bias, and how they print."""

    transposed: ClassVar[bool] = False
    weight: Tensor
    bias: Tensor | None

    def _make(
        self,
        kernel: tuple[int, ...],
        in_channels: int,
        out_channels: int,
        groups: int,
        bias: bool,
        dtype: DTypeLike | None,
        device: str | Device | None,
    ) -> None:
        """Set channels, groups, weight and bias; the kernel's size has been checked."""
        layer = type(self).__name__
        positive(layer, in_channels=in_channels, out_channels=out_channels, groups=groups)
        divides(layer, "groups", groups, in_channels=in_channels, out_channels=out_channels)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        first, second = in_channels, out_channels
        if not self.transposed:
            first, second = second, first
        shape = (first, second // groups, *kernel)
        fan_in = math.prod(shape[1:])  # PyTorch takes the transposes' by the same axes
        self.weight = init.fan_in_uniform(shape, fan_in, dtype=dtype, device=device)
        self.bias = None
        if bias:
            size = (out_channels,)
            self.bias = init.fan_in_uniform(size, fan_in, dtype=dtype, device=device)

    def _biased(self, y: Tensor) -> Tensor:
        if self.bias is None:
            return y
        return y + self.bias.reshape(self.out_channels, *(1,) * (y.ndim - 2))

    def extra_repr(self) -> str:
        more = {"output_padding": 0} if self.transposed else {}
        return described(
            self, "in_channels", "out_channels", kernel_size=None, stride=1, padding=0,
            **more, dilation=1, groups=1,
        )  # fmt: skip


class Conv1d(_Convolution):
    """1-D convolution, without turning the kernel round (cross-correlation).

    y[n, k, i] = bias[k] + sum_{c, u} weight[k, c, u] x[n, c, i s + u d - p]

    in_channels, out_channels      C and K; both must be multiples of groups
    kernel_size, stride, dilation  ints
    padding        an int, (before, behind), "valid" or "same" (zeros around x)
    groups         into how many parts, convolved each on its own, the channels fall
    bias           whether there is one
    dtype, device  of the parameters; float32 on the default device

    x: (N, C, L) -> (N, K, OL), OL = floor((L + 2 p - d (k - 1) - 1) / s) + 1.
    weight: (K, C/groups, k), bias: (K,), both drawn from U(-b, b) with b = 1/sqrt(C/groups k).
    Raises `ArgumentError` for impossible settings, `ShapeError` for an x that doesn't fit.

    >>> import tinyaccel as ta
    >>> ta.nn.Conv1d(4, 8, 3, padding="same")(ta.zeros((2, 4, 10))).shape
    (2, 8, 10)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: Ends | str = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        self.kernel_size = single(kernel_size, "kernel_size", "Conv1d")
        places = {"stride": stride, "padding": padding, "dilation": dilation}
        places1d("Conv1d", self.kernel_size, places)
        self.stride, self.padding, self.dilation = stride, padding, dilation
        kernel = (self.kernel_size,)
        self._make(kernel, in_channels, out_channels, groups, bias, dtype, device)

    def forward(self, x: Tensor) -> Tensor:
        y = conv1d(
            x, self.weight, stride=self.stride, padding=self.padding, dilation=self.dilation,
            groups=self.groups,
        )  # fmt: skip
        return self._biased(y)


class Conv2d(_Convolution):
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
        self.kernel_size = shapes.pair(kernel_size, "kernel_size", "Conv2d")
        self.stride = shapes.pair(stride, "stride", "Conv2d")
        self.dilation = shapes.pair(dilation, "dilation", "Conv2d")
        self.padding = padding
        shapes.padding2d(padding, self.kernel_size, self.stride, self.dilation, "Conv2d")
        self._make(self.kernel_size, in_channels, out_channels, groups, bias, dtype, device)

    def forward(self, x: Tensor) -> Tensor:
        y = conv2d(
            x, self.weight, stride=self.stride, padding=self.padding, dilation=self.dilation,
            groups=self.groups,
        )  # fmt: skip
        return self._biased(y)


class ConvTranspose1d(_Convolution):
    """The transpose of `Conv1d`: each value adds weight times itself to a window of the result.

    Settings as of `Conv1d`, in PyTorch's order, but padding, an int or (before, behind), takes
    values off the result, and output_padding, less than stride or dilation, adds some behind.

    x: (N, C, L) -> (N, K, OL), OL = (L - 1) s - 2 p + d (k - 1) + output_padding + 1.
    weight: (C, K/groups, k), bias: (K,), both drawn from U(-b, b) with b = 1/sqrt(K/groups k).
    Raises `ArgumentError` for impossible settings, `ShapeError` for an x that doesn't fit.

    >>> import tinyaccel as ta
    >>> ta.nn.ConvTranspose1d(4, 8, 3, stride=2)(ta.zeros((2, 4, 10))).shape
    (2, 8, 21)
    """

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: Ends = 0,
        output_padding: int = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int = 1,
        *,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        layer = "ConvTranspose1d"
        self.kernel_size = single(kernel_size, "kernel_size", layer)
        self.output_padding = single(output_padding, "output_padding", layer, least=0)
        places = {"stride": stride, "padding": padding, "dilation": dilation}
        places1d(layer, self.kernel_size, places)
        self.stride, self.padding, self.dilation = stride, padding, dilation
        kernel = (self.kernel_size,)
        self._make(kernel, in_channels, out_channels, groups, bias, dtype, device)

    def forward(self, x: Tensor) -> Tensor:
        y = conv_transpose1d(
            x, self.weight, stride=self.stride, padding=self.padding,
            output_padding=self.output_padding, dilation=self.dilation, groups=self.groups,
        )  # fmt: skip
        return self._biased(y)


class ConvTranspose2d(_Convolution):
    """The transpose of `Conv2d`: each pixel adds weight times itself to a window of the result.

    Settings as of `Conv2d`, in PyTorch's order, but padding, an int, a pair or
    ((top, bottom), (left, right)), takes rows and columns off the result, and output_padding, less
    than stride or dilation, adds some behind: of the sizes that a convolution with a stride makes
    one of, it says which.

    x: (N, C, H, W) -> (N, K, OH, OW), OH = (H - 1) s - 2 p + d (kh - 1) + output_padding + 1.
    weight: (C, K/groups, kh, kw), bias: (K,), both drawn from U(-b, b) with
    b = 1/sqrt(K/groups kh kw). Raises `ArgumentError` for impossible settings, `ShapeError` for
    an x that doesn't fit.
    V. Dumoulin, F. Visin, "A guide to convolution arithmetic", arXiv:1603.07285, section 4.

    >>> import tinyaccel as ta
    >>> ta.nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1)(ta.zeros((2, 8, 7, 7))).shape
    (2, 3, 14, 14)
    """

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: shapes.Pair,
        stride: shapes.Pair = 1,
        padding: shapes.Pair | shapes.Padding = 0,
        output_padding: shapes.Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: shapes.Pair = 1,
        *,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        layer = "ConvTranspose2d"
        self.kernel_size = shapes.pair(kernel_size, "kernel_size", layer)
        self.output_padding = shapes.pair(output_padding, "output_padding", layer, least=0)
        self.stride = shapes.pair(stride, "stride", layer)
        self.dilation = shapes.pair(dilation, "dilation", layer)
        self.padding = padding
        shapes.padding2d(padding, self.kernel_size, self.stride, self.dilation, layer)
        self._make(self.kernel_size, in_channels, out_channels, groups, bias, dtype, device)

    def forward(self, x: Tensor) -> Tensor:
        y = conv_transpose2d(
            x, self.weight, stride=self.stride, padding=self.padding,
            output_padding=self.output_padding, dilation=self.dilation, groups=self.groups,
        )  # fmt: skip
        return self._biased(y)
