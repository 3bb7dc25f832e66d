"""Activation layers along one axis: the softmaxes, and the gate of halves."""

from __future__ import annotations

from tinyaccel import shapes
from tinyaccel.errors import ShapeError
from tinyaccel.nn.module import Module
from tinyaccel.ops.activation import log_softmax, softmax
from tinyaccel.ops.arrange import split
from tinyaccel.ops.elementwise import sigmoid
from tinyaccel.tensor import Tensor


class _AlongAxis(Module):
    """What the softmaxes and `GLU` share: the axis, by PyTorch's name for it."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(_AlongAxis):
    """e**x_i / sum_j e**x_j along axis `dim`, the last by default.

    >>> import tinyaccel as ta
    >>> ta.nn.Softmax()(ta.tensor([[0.0, 0.0]]))
    tensor([[0.5, 0.5]])
    """

    def forward(self, x: Tensor) -> Tensor:
        return softmax(x, axis=self.dim)


class LogSoftmax(_AlongAxis):
    """x_i - log sum_j e**x_j along axis `dim`, the last by default."""

    def forward(self, x: Tensor) -> Tensor:
        return log_softmax(x, axis=self.dim)


class Softmin(_AlongAxis):
    """e**-x_i / sum_j e**-x_j along axis `dim`, the last by default."""

    def forward(self, x: Tensor) -> Tensor:
        return softmax(-x, axis=self.dim)


class Softmax2d(Module):
    """e**x_i / sum_j e**x_j over the channels, pixel by pixel. x: (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise ShapeError(f"Softmax2d: input {x.shape}; expected (N, C, H, W)")
        return softmax(x, axis=1)


class GLU(_AlongAxis):
    """a * sigmoid(b), a and b the halves of x along axis `dim`, the last by default.

    x: (..., 2 n, ...) -> (..., n, ...). Raises `ShapeError` for an odd size.
    Y. Dauphin et al., "Language Modeling with Gated Convolutional Networks", arXiv:1612.08083.
    """

    def forward(self, x: Tensor) -> Tensor:
        axis = shapes.normalize_axis(self.dim, x.ndim, "GLU")
        if x.shape[axis] % 2:
            raise ShapeError(
                f"GLU: input {x.shape} has {x.shape[axis]} along axis {axis}; expected an even size"
            )
        a, b = split(x, 2, axis=axis)
        return a * sigmoid(b)
