"""Activation layers: modules without parameters, element by element or along one axis."""

from __future__ import annotations

from tinyaccel.errors import ArgumentError
from tinyaccel.nn.module import Module
from tinyaccel.ops.activation import (
    elu,
    gelu,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    relu6,
    selu,
    silu,
    softmax,
    softplus,
)
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
    """x * Phi(x), Phi the normal distribution function, by erf or a tanh near it. x: any shape.

    approximate  "none", or "tanh": see `tinyaccel.gelu`

    Raises `ArgumentError` for another one. D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units",
    arXiv:1606.08415.
    """

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ArgumentError(f'GELU: approximate={approximate!r}; expected "none" or "tanh"')
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        return gelu(x, self.approximate)

    def extra_repr(self) -> str:
        return "" if self.approximate == "none" else f"approximate={self.approximate!r}"


class LeakyReLU(Module):
    """x where it is above 0, else negative_slope * x. x: any shape."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        return leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class ELU(Module):
    """x where it is above 0, else alpha * (e**x - 1). x: any shape. See `tinyaccel.elu`."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        return elu(x, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class SELU(Module):
    """1.0507... * elu(x, 1.6732...). x: any shape. See `tinyaccel.selu`."""

    def forward(self, x: Tensor) -> Tensor:
        return selu(x)


class SiLU(Module):
    """x * sigmoid(x), also called swish. x: any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return silu(x)


class Mish(Module):
    """x * tanh(softplus(x)). x: any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return mish(x)


class Softplus(Module):
    """log(1 + e**(beta x)) / beta, exact to rounding for every x. x: any shape."""

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        return softplus(x, self.beta)

    def extra_repr(self) -> str:
        return f"beta={self.beta}"


class LogSigmoid(Module):
    """log(1 / (1 + e**-x)). x: any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return log_sigmoid(x)


class Hardtanh(Module):
    """x, but never below min_val or above max_val; its gradient there is 0. x: any shape."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        self.min_val, self.max_val = min_val, max_val

    def forward(self, x: Tensor) -> Tensor:
        return hardtanh(x, self.min_val, self.max_val)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}"


class ReLU6(Module):
    """min(max(x, 0), 6). x: any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return relu6(x)


class Hardsigmoid(Module):
    """relu6(x + 3) / 6. x: any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return hardsigmoid(x)


class Hardswish(Module):
    """x * relu6(x + 3) / 6. x: any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return hardswish(x)


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
