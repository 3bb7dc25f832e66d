"""Ops spelled in other ops: activations, normalisation, losses. A backend may have a kernel."""

from __future__ import annotations

import math
from typing import Any

from tinyaccel import dtypes, shapes
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError
from tinyaccel.op import Interval, Spec
from tinyaccel.ops.creation import arange
from tinyaccel.ops.define import composite
from tinyaccel.ops.elementwise import equal, erf, less_equal, sqrt, where
from tinyaccel.ops.indexing import take_along_axis
from tinyaccel.ops.reduce import max
from tinyaccel.tensor import Tensor, apply


@composite()
def gelu(x: Tensor) -> Tensor:
    """x * Phi(x), Phi the normal distribution function: x/2 * (1 + erf(x / sqrt 2)).

    D. Hendrycks, K. Gimpel, "Gaussian Error Linear Units", arXiv:1606.08415.
    """
    return 0.5 * x * (erf(x * math.sqrt(0.5)) + 1)


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


def _prepare_cross_entropy(logits: Spec, labels: Spec) -> dict[str, Any]:
    if not labels.dtype.is_integer:
        raise DTypeError(f"cross_entropy: labels are {labels}; expected integers, a class each")
    if len(logits.shape) != 2 or labels.shape != logits.shape[:1] or not logits.shape[0]:
        raise ShapeError(
            f"cross_entropy: logits {logits.shape} and labels {labels.shape}; "
            "expected (N, classes) and (N,), N at least 1"
        )
    return {}


def _cross_entropy_vjp(g: Tensor, y: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """(softmax - one-hot) / N"""
    n, classes = logits.shape
    columns = arange(classes, dtype=labels.dtype, device=labels.device)
    hit = equal(columns, labels.expand_dims(1)).astype(logits.dtype)
    return (softmax(logits, axis=1) - hit) * (g / float(n))


@composite(vjp=(_cross_entropy_vjp, None), prepare=_prepare_cross_entropy, together=(0,),

           domain=(Interval(-30, 30), Interval()))  # fmt: skip
def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean over the batch of -log softmax(logits)[label].

    logits: (N, classes), float; labels: (N,), integers from 0 to classes - 1. Returns a scalar.
    Raises `IndexRangeError` on the CPU for a label that is no class; where a device can't raise,
    the loss is NaN.
    """
    chosen = take_along_axis(log_softmax(logits, axis=1), labels.expand_dims(1), axis=1)
    return -chosen.mean()


def _prepare_mse(x: Spec, y: Spec) -> dict[str, Any]:
    if x.shape != y.shape:
        raise ShapeError(f"mse: prediction {x.shape} and target {y.shape}; must be equal")
    return {}


@composite(prepare=_prepare_mse, domain=(Interval(), Interval()))
def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """The mean of (prediction - target)**2 over all elements; two tensors of one shape."""
    difference = prediction - target
    return (difference * difference).mean()


def _prepare_dropout(x: Spec, bits: Spec, *, p: float) -> dict[str, Any]:
    if not 0 <= p <= 1:
        raise ArgumentError(f"dropout: p={p}; expected a probability from 0 to 1")
    if x.shape != bits.shape:
        raise ShapeError(f"dropout: bits {bits.shape} for {x.shape}; one word per element")
    if bits.dtype is not dtypes.uint32:
        raise DTypeError(f"dropout: bits are {bits}; expected uint32, as random.bits draws them")
    return {"p": float(p)}


@composite(vjp=(lambda g, y, x, bits, *, p: apply("dropout", g, bits, p=p), None),
           prepare=_prepare_dropout, together=(0,),
           domain=(Interval(), Interval()))  # fmt: skip
def dropout(x: Tensor, bits: Tensor, *, p: float = 0.5) -> Tensor:
    """x / (1 - p) where the element's random word is at least p * 2**32, else 0.

    bits: uint32 of x's shape, as `random.bits` draws them. The mask is the same on every device.
    N. Srivastava et al., "Dropout", JMLR 15 (2014).
    """
    threshold = round(p * 2**32)
    if threshold >= 2**32:
        return x * 0
    return where(less_equal(threshold, bits), x / (1 - p), 0)


def _prepare_batch_norm(x: Spec, *channels: Spec, eps: float) -> dict[str, Any]:
    if len(x.shape) < 2 or any(c.shape != (x.shape[1],) for c in channels):
        listed = ", ".join(str(c.shape) for c in channels)
        raise ShapeError(
            f"batch_norm: input {x.shape} with statistics {listed}; "
            "expected (N, C, ...) and (C,) each"
        )
    return {"eps": float(eps)}


_positive = Interval(0.05, 8)


@composite(prepare=_prepare_batch_norm,
           domain=(Interval(), Interval(), _positive, Interval(), Interval()))  # fmt: skip
def batch_norm(
    x: Tensor, mean: Tensor, var: Tensor, weight: Tensor, bias: Tensor, *, eps: float = 1e-5
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, per channel.

    x: (N, C, ...); mean, var, weight, bias: (C,). Gradients flow to all five, so a layer that
    passes the batch's own mean and variance is differentiated through them.
    S. Ioffe, C. Szegedy, "Batch Normalization", arXiv:1502.03167.
    """
    shape = (x.shape[1], *(1,) * (x.ndim - 2))
    scale = (weight / sqrt(var + eps)).reshape(shape)
    return (x - mean.reshape(shape)) * scale + bias.reshape(shape)
