"""Activation layers: modules without parameters, element by element or along one axis."""

from __future__ import annotations

from tinyaccel.nn.module import Module
from tinyaccel.ops.composite import gelu, log_softmax, softmax
from tinyaccel.ops.elementwise import relu, sigmoid, tanh
from tinyaccel.tensor import Tensor


class Identity(Module):
    """x itself, for a place where a layer may be left out."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class ReLU(Module):
    """max(x, 0), with gradient 0 at 0. x: any shape.

    >>> import tinyaccel as ta
    >>> ta.nn.ReLU()(ta.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def forward(self, x: Tensor) -> Tensor:
        return relu(x)


class Sigmoid(Module):
    """1 / (1 + e**-x). x: any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return sigmoid(x)


class Tanh(Module):
    """(e**x - e**-x) / (e**x + e**-x). x: any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return tanh(x)


class GELU(Module):
    """x * Phi(x), Phi the normal distribution function, exactly (by erf). x: any shape.

    D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units", arXiv:1606.08415.
    """

    def forward(self, x: Tensor) -> Tensor:
        return gelu(x)


class _AlongAxis(Module):
    """What the softmaxes share: the axis, by PyTorch's name for it."""

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
