"""Activation layers, element by element: straight lines that bend, and smooth ones."""

from __future__ import annotations

import math

from tinyaccel.backend import Device
from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.nn.init import constant
from tinyaccel.nn.module import Module, Parameter
from tinyaccel.nn.settings import described, not_negative, positive
from tinyaccel.ops.activation import (
    elu,
    gelu,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_sigmoid,
    mish,
    relu6,
    selu,
    silu,
    softplus,
)
from tinyaccel.ops.elementwise import abs, expm1, less, less_equal, relu, sigmoid, sign, tanh, where
from tinyaccel.ops.random import Generator, default_generator
from tinyaccel.tensor import DTypeLike, Tensor


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


class PReLU(Module):
    """x where it is above 0, else weight * x, with a weight that is learnt.

    num_parameters  1 weight for all, or one for each of C channels
    init            what the weights start as
    dtype, device   of the weight; float32 on the default device

    x: any shape, or with C weights (N, C, ...) -> the same. weight: (num_parameters,). Raises
    `ShapeError` for other channels. K. He et al., "Delving Deep into Rectifiers",
    arXiv:1502.01852.

    >>> import tinyaccel as ta
    >>> ta.nn.PReLU()(ta.tensor([-1.0, 2.0])).tolist()
    [-0.25, 2.0]
    """

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        *,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        positive("PReLU", num_parameters=num_parameters)
        self.num_parameters = num_parameters
        self.weight = Parameter(constant((num_parameters,), init, dtype=dtype, device=device))

    def forward(self, x: Tensor) -> Tensor:
        weight, count = self.weight, self.num_parameters
        if count > 1:
            if x.ndim < 2 or x.shape[1] != count:
                raise ShapeError(f"PReLU: input {x.shape}; expected (N, {count}, ...)")
            weight = weight.reshape(count, *(1,) * (x.ndim - 2))
        above = less(0, x)
        below = where(above, 0, x)  # or the weight's gradient at infinity would be 0 * inf
        return where(above, x, weight * below)

    def extra_repr(self) -> str:
        return described(self, "num_parameters")


class RReLU(Module):
    """x where it is above 0, else a * x, a drawn anew for each element from U(lower, upper).

    generator  as of `Dropout`

    When evaluating, a is (lower + upper) / 2. x: any shape. Raises `ArgumentError` unless lower is
    at most upper. B. Xu et al., "Empirical Evaluation of Rectified Activations in Convolutional
    Network", arXiv:1505.00853.
    """

    def __init__(
        self, lower: float = 1 / 8, upper: float = 1 / 3, *, generator: Generator | None = None
    ) -> None:
        if not -math.inf < lower <= upper < math.inf:
            raise ArgumentError(f"RReLU: lower={lower}, upper={upper}; expected one not above it")
        self.lower, self.upper, self.generator = lower, upper, generator

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return leaky_relu(x, (self.lower + self.upper) / 2)
        source = default_generator(x.device) if self.generator is None else self.generator
        slope = source.uniform(x.shape, self.lower, self.upper, dtype=x.dtype)
        return where(less(0, x), x, x * slope)

    def extra_repr(self) -> str:
        return f"lower={self.lower:.4g}, upper={self.upper:.4g}"


class ELU(Module):
    """x where it is above 0, else alpha * (e**x - 1). x: any shape. See `tinyaccel.elu`."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        return elu(x, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class CELU(Module):
    """x where it is above 0, else alpha * (e**(x / alpha) - 1), as smooth as x is at 0.

    x: any shape. Raises `ArgumentError` for an alpha that isn't above 0.
    J. Barron, "Continuously Differentiable Exponential Linear Units", arXiv:1704.07483.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        if not 0 < alpha < math.inf:
            raise ArgumentError(f"CELU: alpha={alpha}; expected a number above 0")
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        above = less(0, x)
        below = where(above, 0, x)  # or the gradient of a large x would be 0 * e**x = 0 * inf
        return where(above, x, expm1(below / self.alpha) * self.alpha)

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


class _Shrink(Module):
    """What the shrinking ones share: from where to where there is nothing."""

    def __init__(self, lambd: float = 0.5) -> None:
        not_negative(type(self).__name__, lambd=lambd)
        self.lambd = lambd

    def extra_repr(self) -> str:
        return f"lambd={self.lambd}"


class Hardshrink(_Shrink):
    """x, but 0 where |x| is at most lambd. x: any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return where(less_equal(abs(x), self.lambd), 0, x)


class Softshrink(_Shrink):
    """x, but lambd nearer to 0, and 0 where |x| is at most lambd. x: any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return where(less_equal(abs(x), self.lambd), 0, x - sign(x) * self.lambd)


class Threshold(Module):
    """x where it is above `threshold`, else `value`. x: any shape."""

    def __init__(self, threshold: float, value: float) -> None:
        self.threshold, self.value = threshold, value

    def forward(self, x: Tensor) -> Tensor:
        return where(less_equal(x, self.threshold), self.value, x)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}"


class Tanhshrink(Module):
    """x - tanh(x). x: any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return x - tanh(x)


class Softsign(Module):
    """x / (1 + |x|). x: any shape."""

    def forward(self, x: Tensor) -> Tensor:
        return x / (abs(x) + 1)
