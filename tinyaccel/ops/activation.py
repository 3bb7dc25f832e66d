"""Activations, spelled in other ops: softmax, the smooth and the bent lines. A row each in nn."""

from __future__ import annotations

import math
from typing import Any

from tinyaccel import shapes
from tinyaccel.errors import ArgumentError
from tinyaccel.op import Interval, Spec
from tinyaccel.ops.define import composite
from tinyaccel.ops.elementwise import abs, erf, expm1, less, log1p, relu, sigmoid, tanh, where
from tinyaccel.ops.reduce import max
from tinyaccel.tensor import Tensor, apply

# Softmax


def _softmax_vjp(g: Tensor, y: Tensor, x: Tensor, *, axis: int) -> Tensor:
    return y * (g - (g * y).sum(axis, keepdims=True))


def _log_softmax_vjp(g: Tensor, y: Tensor, x: Tensor, *, axis: int) -> Tensor:
    return g - apply("exp", y) * g.sum(axis, keepdims=True)


def _one_axis(name: str) -> Any:
    def prepare(x: Spec, *, axis: int) -> dict[str, Any]:
        return {"axis": shapes.normalize_axis(axis, len(x.shape), name)}

    return prepare


_logits = (Interval(-30, 30),)


@composite(vjp=(_softmax_vjp,), prepare=_one_axis("softmax"), domain=_logits)
def softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """e**x_i / sum_j e**x_j along `axis`, with the largest x taken off first.

    x: (..., n, ...). Returns x's shape; it sums to 1 along `axis`.
    """
    powers = apply("exp", x - max(x, axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


@composite(vjp=(_log_softmax_vjp,), prepare=_one_axis("log_softmax"), domain=_logits)
def log_softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """x_i - log sum_j e**x_j along `axis`, with the largest x taken off first."""
    shifted = x - max(x, axis, keepdims=True)
    return shifted - apply("exp", shifted).sum(axis, keepdims=True).log()


# Bent lines


def _prepare_hardtanh(x: Spec, *, min_val: float, max_val: float) -> dict[str, Any]:
    if not min_val < max_val:
        raise ArgumentError(
            f"hardtanh: min_val={min_val} and max_val={max_val}; expected the first to be smaller"
        )
    return {"min_val": float(min_val), "max_val": float(max_val)}


def _hardtanh_vjp(g: Tensor, y: Tensor, x: Tensor, *, min_val: float, max_val: float) -> Tensor:
    return where(less(min_val, x) & less(x, max_val), g, 0)


@composite(prepare=_prepare_hardtanh, vjp=(_hardtanh_vjp,))
def hardtanh(x: Tensor, /, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """x, but never below `min_val` or above `max_val`; at the bounds its gradient is 0.

    (`clip` passes the gradient there.) x: any shape. Raises `ArgumentError` for bounds the wrong
    way round.
    """
    return apply("minimum", apply("maximum", x, min_val), max_val)


@composite()
def relu6(x: Tensor, /) -> Tensor:
    """min(max(x, 0), 6), with gradient 0 at 0 and 6. x: any shape."""
    return hardtanh(x, 0.0, 6.0)


@composite()
def hardsigmoid(x: Tensor, /) -> Tensor:
    """relu6(x + 3) / 6: a sigmoid of three straight lines. x: any shape."""
    return relu6(x + 3) / 6


@composite()
def hardswish(x: Tensor, /) -> Tensor:
    """x * relu6(x + 3) / 6. x: any shape.

    A. Howard et al., "Searching for MobileNetV3", arXiv:1905.02244.
    """
    return x * hardsigmoid(x)


@composite()
def leaky_relu(x: Tensor, /, negative_slope: float = 0.01) -> Tensor:
    """x where it is above 0, else negative_slope * x; its gradient at 0 is negative_slope.

    x: any shape. A. Maas et al., "Rectifier Nonlinearities Improve Neural Network Acoustic
    Models", ICML 2013.
    """
    return where(less(0, x), x, x * negative_slope)


@composite()
def elu(x: Tensor, /, alpha: float = 1.0) -> Tensor:
    """x where it is above 0, else alpha * (e**x - 1); its gradient at 0 is alpha.

    x: any shape. D.-A. Clevert et al., "Fast and Accurate Deep Network Learning by Exponential
    Linear Units", arXiv:1511.07289.
    """
    positive = less(0, x)
    below = where(positive, 0, x)  # or the gradient of a large x would be 0 * e**x = 0 * inf
    return where(positive, x, expm1(below) * alpha)


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


@composite()
def selu(x: Tensor, /) -> Tensor:
    """1.0507... * elu(x, 1.6732...), which drives activations to mean 0 and variance 1.

    x: any shape. G. Klambauer et al., "Self-Normalizing Neural Networks", arXiv:1706.02515.
    """
    return elu(x, _SELU_ALPHA) * _SELU_SCALE


# Smooth ones


def _prepare_gelu(x: Spec, *, approximate: str) -> dict[str, Any]:
    if approximate not in ("none", "tanh"):
        raise ArgumentError(f'gelu: approximate={approximate!r}; expected "none" or "tanh"')
    return {"approximate": approximate}


@composite(prepare=_prepare_gelu)
def gelu(x: Tensor, /, approximate: str = "none") -> Tensor:
    """x * Phi(x), Phi the normal distribution function: x/2 * (1 + erf(x / sqrt 2)).

    With approximate="tanh" erf(x / sqrt 2) is taken as tanh(sqrt(2/pi) (x + 0.044715 x**3)), which
    is off by at most 5e-4. x: any shape. D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units",
    arXiv:1606.08415.
    """
    if approximate == "none":
        return 0.5 * x * (erf(x * math.sqrt(0.5)) + 1)
    # Beyond 16 the tanh is 1 to the last digit; its cube would only overflow.
    near = hardtanh(x, -16.0, 16.0)
    inner = near * (near * near * 0.044715 + 1) * math.sqrt(2 / math.pi)
    return 0.5 * x * (tanh(inner) + 1)


def _prepare_softplus(x: Spec, *, beta: float) -> dict[str, Any]:
    if not 0 < beta < math.inf:
        raise ArgumentError(f"softplus: beta={beta}; expected a number above 0")
    return {"beta": float(beta)}


@composite(domain=_logits, prepare=_prepare_softplus,
           vjp=(lambda g, y, x, *, beta: g * sigmoid(x * beta),))  # fmt: skip
def softplus(x: Tensor, /, beta: float = 1.0) -> Tensor:
    """log(1 + e**(beta x)) / beta, a smooth relu, exact to rounding however large |x| is.

    Computed as max(x, 0) + log1p(e**-|beta x|) / beta, so that no threshold is needed from where
    on it counts as x. x: any shape. Raises `ArgumentError` for a beta that isn't above 0.
    """
    return relu(x) + log1p(apply("exp", abs(x) * -beta)) / beta


@composite(domain=_logits)
def log_sigmoid(x: Tensor, /) -> Tensor:
    """log(1 / (1 + e**-x)) = -softplus(-x), exact to rounding for large |x| too. x: any shape."""
    return -softplus(-x)


@composite()
def silu(x: Tensor, /) -> Tensor:
    """x * sigmoid(x), also called swish. x: any shape.

    P. Ramachandran et al., "Searching for Activation Functions", arXiv:1710.05941.
    """
    return x * sigmoid(x)


@composite()
def mish(x: Tensor, /) -> Tensor:
    """x * tanh(softplus(x)). x: any shape.

    D. Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", arXiv:1908.08681.
    """
    return x * tanh(softplus(x))
