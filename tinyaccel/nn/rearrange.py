"""Layers that put values elsewhere: channels into pixels and back, channels mixed, windows."""

from __future__ import annotations

from tinyaccel import shapes
from tinyaccel.errors import ShapeError
from tinyaccel.nn.module import Module
from tinyaccel.nn.settings import described, positive
from tinyaccel.ops.unfold import fold, unfold
from tinyaccel.tensor import Tensor

# Channels


class PixelShuffle(Module):
    """r**2 channels become r x r pixels: y[n, c, h r + i, w r + j] = x[n, c r r + i r + j, h, w].

    upscale_factor  r

    x: (N, C r r, H, W) -> (N, C, H r, W r). Raises `ShapeError` for channels that don't divide.
    W. Shi et al., "Real-Time Single Image and Video Super-Resolution", arXiv:1609.05158.
    """

    def __init__(self, upscale_factor: int) -> None:
        positive("PixelShuffle", upscale_factor=upscale_factor)
        self.upscale_factor = upscale_factor

    def forward(self, x: Tensor) -> Tensor:
        r = self.upscale_factor
        if x.ndim != 4 or x.shape[1] % (r * r):
            raise ShapeError(
                f"PixelShuffle: input {x.shape}; expected (N, C, H, W), C a multiple of {r * r}"
            )
        n, c, h, w = x.shape
        parts = x.reshape(n, c // (r * r), r, r, h, w).permute_dims((0, 1, 4, 2, 5, 3))
        return parts.reshape(n, c // (r * r), h * r, w * r)

    def extra_repr(self) -> str:
        return described(self, "upscale_factor")


class PixelUnshuffle(Module):
    """r x r pixels become r**2 channels: what `PixelShuffle` does, undone.

    downscale_factor  r

    x: (N, C, H r, W r) -> (N, C r r, H, W). Raises `ShapeError` for sizes that don't divide.
    """

    def __init__(self, downscale_factor: int) -> None:
        positive("PixelUnshuffle", downscale_factor=downscale_factor)
        self.downscale_factor = downscale_factor

    def forward(self, x: Tensor) -> Tensor:
        r = self.downscale_factor
        if x.ndim != 4 or x.shape[2] % r or x.shape[3] % r:
            raise ShapeError(
                f"PixelUnshuffle: input {x.shape}; expected (N, C, H, W), H and W multiples of {r}"
            )
        n, c, h, w = x.shape
        parts = x.reshape(n, c, h // r, r, w // r, r).permute_dims((0, 1, 3, 5, 2, 4))
        return parts.reshape(n, c * r * r, h // r, w // r)

    def extra_repr(self) -> str:
        return described(self, "downscale_factor")


class ChannelShuffle(Module):
    """Channels dealt like cards: y[:, i groups + j] = x[:, j C / groups + i].

    So that behind a convolution in groups, each group of the next one sees all of them.
    groups  how many groups of neighbours the channels were in

    x: (N, C, ...), C a multiple of groups -> the same. Raises `ShapeError` for channels that don't
    divide. X. Zhang et al., "ShuffleNet", arXiv:1707.01083.

    >>> import tinyaccel as ta
    >>> ta.nn.ChannelShuffle(2)(ta.arange(6).reshape(1, 6, 1)).flatten().tolist()
    [0, 3, 1, 4, 2, 5]
    """

    def __init__(self, groups: int) -> None:
        positive("ChannelShuffle", groups=groups)
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim < 3 or x.shape[1] % self.groups:
            raise ShapeError(
                f"ChannelShuffle: input {x.shape}; expected (N, C, ...), C a multiple of "
                f"{self.groups}"
            )
        n, c, *rest = x.shape
        parts = x.reshape(n, self.groups, c // self.groups, *rest)
        return parts.swapaxes(1, 2).reshape(x.shape)

    def extra_repr(self) -> str:
        return described(self, "groups")


# Windows


class _Windows(Module):
    """What Unfold and Fold share: where the windows lie."""

    def _set(
        self,
        kernel_size: shapes.Pair,
        dilation: shapes.Pair,
        padding: shapes.Pair,
        stride: shapes.Pair,
    ) -> None:
        layer = type(self).__name__
        self.kernel_size = shapes.pair(kernel_size, "kernel_size", layer)
        self.dilation = shapes.pair(dilation, "dilation", layer)
        self.padding = shapes.pair(padding, "padding", layer, least=0)
        self.stride = shapes.pair(stride, "stride", layer)


class Unfold(_Windows):
    """All windows of images, each as a column: what a convolution multiplies by its weights.

    kernel_size, dilation, padding, stride  an int or a pair (height, width), as for `Conv2d`; the
                                            order is PyTorch's

    x: (N, C, H, W) -> (N, C kh kw, OH OW), channels first, then rows and columns of the window.
    Raises `ArgumentError` or `ShapeError` for what doesn't fit. See `tinyaccel.unfold`.

    >>> import tinyaccel as ta
    >>> ta.nn.Unfold(2)(ta.arange(6).reshape(1, 1, 2, 3)).tolist()
    [[[0, 1], [1, 2], [3, 4], [4, 5]]]
    """

    def __init__(
        self,
        kernel_size: shapes.Pair,
        dilation: shapes.Pair = 1,
        padding: shapes.Pair = 0,
        stride: shapes.Pair = 1,
    ) -> None:
        self._set(kernel_size, dilation, padding, stride)

    def forward(self, x: Tensor) -> Tensor:
        u = unfold(
            x, kernel=self.kernel_size, stride=self.stride, padding=self.padding,
            dilation=self.dilation,
        )  # fmt: skip
        n, c, kh, kw, oh, ow = u.shape
        return u.reshape(n, c * kh * kw, oh * ow)

    def extra_repr(self) -> str:
        return described(self, "kernel_size", dilation=1, padding=0, stride=1)


class Fold(_Windows):
    """Windows added up into images; where they overlap, all count. The adjoint of `Unfold`.

    output_size                             (H, W), or an int for both
    kernel_size, dilation, padding, stride  as for `Unfold`

    x: (N, C kh kw, OH OW), floats -> (N, C, H, W). Raises `ArgumentError` for impossible settings,
    `ShapeError` if these aren't the windows of such an image. See `tinyaccel.fold`.

    >>> import tinyaccel as ta
    >>> ta.nn.Fold((1, 3), (1, 2))(ta.ones((1, 2, 2))).tolist()
    [[[[1.0, 2.0, 1.0]]]]
    """

    def __init__(
        self,
        output_size: shapes.Pair,
        kernel_size: shapes.Pair,
        dilation: shapes.Pair = 1,
        padding: shapes.Pair = 0,
        stride: shapes.Pair = 1,
    ) -> None:
        self.output_size = shapes.pair(output_size, "output_size", "Fold")
        self._set(kernel_size, dilation, padding, stride)
        top, left = self.padding
        around = ((top, top), (left, left))
        self._places = shapes.window2d(
            self.output_size, self.kernel_size, self.stride, around, self.dilation, "Fold"
        )

    def forward(self, x: Tensor) -> Tensor:
        (kh, kw), (oh, ow) = self.kernel_size, self._places
        if x.ndim != 3 or x.shape[1] % (kh * kw) or x.shape[2] != oh * ow:
            raise ShapeError(
                f"Fold: input {x.shape}; expected (N, C * {kh * kw}, {oh * ow}): {oh} x {ow} "
                f"windows of {kh} x {kw}"
            )
        u = x.reshape(x.shape[0], x.shape[1] // (kh * kw), kh, kw, oh, ow)
        return fold(
            u, size=self.output_size, stride=self.stride, padding=self.padding,
            dilation=self.dilation,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return described(self, "output_size", "kernel_size", dilation=1, padding=0, stride=1)
