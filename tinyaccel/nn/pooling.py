"""Pooling layers: the maximum or the mean of windows, or of a given number of bins."""

from __future__ import annotations

from tinyaccel import shapes
from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.nn.module import Module
from tinyaccel.nn.settings import described
from tinyaccel.ops.convolution import single
from tinyaccel.ops.pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool2d,
    avg_pool1d,
    avg_pool2d,
    max_pool1d,
    max_pool2d,
)
from tinyaccel.tensor import Tensor

# Windows


class _Windows(Module):
    """What the pools of windows share: how they print."""

    kernel_size: shapes.Pair

    def extra_repr(self) -> str:
        more = {"dilation": 1} if hasattr(self, "dilation") else {"count_include_pad": True}
        return described(
            self, kernel_size=None, stride=self.kernel_size, padding=0, ceil_mode=False, **more
        )


class MaxPool1d(_Windows):
    """The largest value of each window of a signal.

    kernel_size  an int
    stride       an int; None means kernel_size
    padding      an int, at most half of kernel_size; never the largest
    dilation     an int
    ceil_mode    whether a last window takes what the stride leaves over

    x: (N, C, L) -> (N, C, OL) as for `Conv1d`. The gradient goes to the first of equal maxima.
    Raises `ArgumentError` or `ShapeError` for what doesn't fit.
    """

    kernel_size: int
    stride: int

    def __init__(
        self,
        kernel_size: int,
        stride: int | None = None,
        padding: int = 0,
        dilation: int = 1,
        *,
        ceil_mode: bool = False,
    ) -> None:
        layer = "MaxPool1d"
        self.kernel_size = single(kernel_size, "kernel_size", layer)
        self.stride = single(kernel_size if stride is None else stride, "stride", layer)
        self.padding = single(padding, "padding", layer, least=0)
        self.dilation = single(dilation, "dilation", layer)
        self.ceil_mode = ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        return max_pool1d(
            x, kernel=self.kernel_size, stride=self.stride, padding=self.padding,
            dilation=self.dilation, ceil_mode=self.ceil_mode,
        )  # fmt: skip


class MaxPool2d(_Windows):
    """The largest value of each window.

    kernel_size  an int, or a pair (height, width)
    stride       likewise; None means kernel_size
    padding      likewise, at most half of kernel_size; never the largest
    dilation     likewise
    ceil_mode    whether last windows take the rows and columns that the stride leaves over

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
        *,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size = shapes.pair(kernel_size, "kernel_size", "MaxPool2d")
        self.stride = shapes.pair(kernel_size if stride is None else stride, "stride", "MaxPool2d")
        self.padding = shapes.pair(padding, "padding", "MaxPool2d", least=0)
        self.dilation = shapes.pair(dilation, "dilation", "MaxPool2d")
        self.ceil_mode = ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        return max_pool2d(
            x, kernel=self.kernel_size, stride=self.stride, padding=self.padding,
            dilation=self.dilation, ceil_mode=self.ceil_mode,
        )  # fmt: skip


class AvgPool1d(_Windows):
    """The mean of each window of a signal.

    kernel_size        an int
    stride             an int; None means kernel_size
    padding            an int, at most half of kernel_size
    ceil_mode          whether a last window takes what the stride leaves over
    count_include_pad  whether the zeros of the padding count

    x: (N, C, L) -> (N, C, OL) as for `Conv1d`. Raises `ArgumentError` or `ShapeError` for what
    doesn't fit.
    """

    kernel_size: int
    stride: int

    def __init__(
        self,
        kernel_size: int,
        stride: int | None = None,
        padding: int = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self.kernel_size = single(kernel_size, "kernel_size", "AvgPool1d")
        self.stride = single(kernel_size if stride is None else stride, "stride", "AvgPool1d")
        self.padding = single(padding, "padding", "AvgPool1d", least=0)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, x: Tensor) -> Tensor:
        return avg_pool1d(
            x, kernel=self.kernel_size, stride=self.stride, padding=self.padding,
            ceil_mode=self.ceil_mode, count_include_pad=self.count_include_pad,
        )  # fmt: skip


class AvgPool2d(_Windows):
    """The mean of each window.

    kernel_size        an int, or a pair (height, width)
    stride             likewise; None means kernel_size
    padding            likewise, at most half of kernel_size
    ceil_mode          whether last windows take the rows and columns that the stride leaves over
    count_include_pad  whether the zeros of the padding count

    x: (N, C, H, W) -> (N, C, OH, OW) as for `Conv2d`. Raises `ArgumentError` or `ShapeError` for
    what doesn't fit.
    """

    def __init__(
        self,
        kernel_size: shapes.Pair,
        stride: shapes.Pair | None = None,
        padding: shapes.Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self.kernel_size = shapes.pair(kernel_size, "kernel_size", "AvgPool2d")
        self.stride = shapes.pair(kernel_size if stride is None else stride, "stride", "AvgPool2d")
        self.padding = shapes.pair(padding, "padding", "AvgPool2d", least=0)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, x: Tensor) -> Tensor:
        return avg_pool2d(
            x, kernel=self.kernel_size, stride=self.stride, padding=self.padding,
            ceil_mode=self.ceil_mode, count_include_pad=self.count_include_pad,
        )  # fmt: skip


# Bins


class _Adaptive1d(Module):
    """What the pools of a signal's bins share: how many there are."""

    def __init__(self, output_size: int) -> None:
        self.output_size = single(output_size, "output_size", type(self).__name__)

    def extra_repr(self) -> str:
        return described(self, "output_size")


class AdaptiveAvgPool1d(_Adaptive1d):
    """The means of `output_size` bins of a signal, whatever its length.

    x: (N, C, L) -> (N, C, output_size); bin i goes from floor(i L / OL) to ceil((i + 1) L / OL).
    Raises `ArgumentError` or `ShapeError` for what doesn't fit.
    """

    def forward(self, x: Tensor) -> Tensor:
        return adaptive_avg_pool1d(x, self.output_size)


class AdaptiveMaxPool1d(_Adaptive1d):
    """The largest values of bins, which lie as `AdaptiveAvgPool1d`'s; of equal ones the first.

    x: (N, C, L) -> (N, C, output_size). Raises `ArgumentError` or `ShapeError` for what doesn't
    fit.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 3 or not x.shape[2]:
            raise ShapeError(
                f"AdaptiveMaxPool1d: input {x.shape}; expected (N, C, L), L at least 1"
            )
        return adaptive_max_pool2d(x.expand_dims(2), (1, self.output_size)).squeeze(2)


class _Adaptive2d(Module):
    """What the pools of an image's bins share: how many there are."""

    def __init__(self, output_size: int | tuple[int | None, int | None] | None) -> None:
        both = output_size if isinstance(output_size, tuple | list) else (output_size,) * 2
        if len(both) != 2:
            raise ArgumentError(
                f"{type(self).__name__}: output_size={output_size!r}; expected a number, or a pair "
                "(height, width)"
            )
        for n in both:
            if n is not None:
                single(n, "output_size", type(self).__name__)
        self.output_size = (both[0], both[1])

    def _size(self, x: Tensor) -> tuple[int, int]:
        """How many bins each way: None are as many as there are pixels."""
        rows, columns = self.output_size
        height, width = x.shape[-2:] if x.ndim == 4 else (1, 1)  # other axes the op refuses
        return height if rows is None else rows, width if columns is None else columns

    def extra_repr(self) -> str:
        return described(self, "output_size")


class AdaptiveAvgPool2d(_Adaptive2d):
    """The means of bins of an image, as many as output_size says, whatever the image's size.

    output_size  an int or (OH, OW); None keeps the input's

    x: (N, C, H, W) -> (N, C, OH, OW); bin i goes from row floor(i H / OH) to ceil((i + 1) H / OH).
    Raises `ArgumentError` or `ShapeError` for what doesn't fit.

    >>> import tinyaccel as ta
    >>> ta.nn.AdaptiveAvgPool2d(1)(ta.ones((2, 64, 7, 9))).shape
    (2, 64, 1, 1)
    """

    def forward(self, x: Tensor) -> Tensor:
        return adaptive_avg_pool2d(x, self._size(x))


class AdaptiveMaxPool2d(_Adaptive2d):
    """The largest values of bins, which lie as `AdaptiveAvgPool2d`'s; of equal ones the first.

    x: (N, C, H, W) -> (N, C, OH, OW). Raises `ArgumentError` or `ShapeError` for what doesn't fit.
    """

    def forward(self, x: Tensor) -> Tensor:
        return adaptive_max_pool2d(x, self._size(x))
