"""Normalisation, spelled in other ops: by batch, layer, group and root mean square; and dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyaccel import dtypes, shapes
from tinyaccel.dtypes import DType
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError
from tinyaccel.op import Interval, Spec
from tinyaccel.ops.define import composite
from tinyaccel.ops.elementwise import less_equal, sqrt, where
from tinyaccel.tensor import Tensor, apply


def _eps(name: str, eps: float) -> float:
    if not eps >= 0:
        raise ArgumentError(f"{name}: eps={eps}; expected 0 or more")
    return float(eps)


def _in(x: Tensor, dtype: DType) -> Tensor:
    return x if x.dtype is dtype else x.astype(dtype)


def _widened(x: Tensor) -> Tensor:
    """x in float32 if it is narrower, whose squares soon don't fit."""
    return _in(x, dtypes.promote(x.dtype, dtypes.float32))


# Dropout


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

    bits: uint32 of x's shape, as `random.bits` draws them. The mask is the same on every device,
    and the mean over masks is x itself; p=1 leaves nothing.
    N. Srivastava et al., "Dropout", JMLR 15 (2014).
    """
    threshold = round(p * 2**32)
    if threshold >= 2**32:
        return x * 0
    return where(less_equal(threshold, bits), x / (1 - p), 0)


# By channel, with statistics from elsewhere


def _prepare_batch_norm(x: Spec, *channels: Spec | None, eps: float) -> dict[str, Any]:
    given = [c for c in channels if c is not None]
    if len(x.shape) < 2 or any(c.shape != (x.shape[1],) for c in given):
        listed = ", ".join(str(c.shape) for c in given)
        raise ShapeError(
            f"batch_norm: input {x.shape} with statistics {listed}; "
            "expected (N, C, ...) and (C,) each"
        )
    return {"eps": _eps("batch_norm", eps)}


def _by_channel(v: Tensor, x: Tensor) -> Tensor:
    """(C,) laid out to broadcast against x: (N, C, ...)."""
    return v.reshape(x.shape[1], *(1,) * (x.ndim - 2))


_positive = Interval(0.05, 8)


@composite(prepare=_prepare_batch_norm,
           domain=(Interval(), Interval(), _positive, Interval(), Interval()))  # fmt: skip
def batch_norm(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, per channel.

    x: (N, C, ...); mean, var, weight, bias: (C,), the last two 1 and 0 if left out. Gradients flow
    to all five, so a layer that passes the batch's own mean and variance is differentiated through
    them. Raises `ShapeError` for other shapes.
    S. Ioffe, C. Szegedy, "Batch Normalization", arXiv:1502.03167.
    """
    scale = (1 if weight is None else weight) / sqrt(var + eps)
    y = (x - _by_channel(mean, x)) * _by_channel(scale, x)
    return y if bias is None else y + _by_channel(bias, x)


# By what x itself has


def _normalized(x: Tensor, axes: Sequence[int], eps: float) -> Tensor:
    """(x - mean) / sqrt(var + eps), mean and variance along `axes`."""
    centred = x - x.mean(axes, keepdims=True)
    return centred / sqrt((centred * centred).mean(axes, keepdims=True) + eps)


def _scaled(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _last(x: Tensor, normalized_shape: shapes.Shape) -> tuple[int, ...]:
    return tuple(range(x.ndim - len(normalized_shape), x.ndim))


def _prepare_last(name: str) -> Any:
    def prepare(
        x: Spec, *affine: Spec | None, normalized_shape: int | Sequence[int], eps: float | None
    ) -> dict[str, Any]:
        given = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        shape = shapes.as_shape(given, name)
        if not shape or x.shape[-len(shape) :] != shape:
            raise ShapeError(
                f"{name}: input {x.shape} with normalized_shape={shape}; expected its last axes"
            )
        for v in affine:
            if v is not None and v.shape != shape:
                raise ShapeError(f"{name}: weight or bias {v.shape}; expected {shape}")
        return {"normalized_shape": shape, "eps": None if eps is None else _eps(name, eps)}

    return prepare


@composite(prepare=_prepare_last("layer_norm"),
           domain=(Interval(), Interval(), Interval()))  # fmt: skip
def layer_norm(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    normalized_shape: int | Sequence[int],
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance along the last axes.

    x: (..., *normalized_shape); weight, bias: normalized_shape, or None for 1 and 0. The variance
    divides by n; float16 and bfloat16 are computed in float32. Raises `ShapeError` for shapes
    that don't fit. J. Ba et al., "Layer Normalization", arXiv:1607.06450.

    >>> import tinyaccel as ta
    >>> layer_norm(ta.tensor([[1.0, 3.0]]), normalized_shape=2, eps=0.0)
    tensor([[-1.,  1.]])
    """
    assert isinstance(normalized_shape, tuple)
    wide = _widened(x)
    return _in(_scaled(_normalized(wide, _last(x, normalized_shape), eps), weight, bias), x.dtype)


@composite(prepare=_prepare_last("rms_norm"), domain=(Interval(), Interval()))
def rms_norm(
    x: Tensor,
    weight: Tensor | None = None,
    *,
    normalized_shape: int | Sequence[int],
    eps: float | None = None,
) -> Tensor:
    """x / sqrt(mean(x**2) + eps) * weight, the mean along the last axes.

    x: (..., *normalized_shape); weight: normalized_shape, or None for 1. eps=None is the machine
    epsilon of x's dtype. float16 and bfloat16 are computed in float32. Raises `ShapeError` for
    shapes that don't fit.
    B. Zhang, R. Sennrich, "Root Mean Square Layer Normalization", arXiv:1910.07467.
    """
    assert isinstance(normalized_shape, tuple)
    wide = _widened(x)
    mean = (wide * wide).mean(_last(x, normalized_shape), keepdims=True)
    y = wide / sqrt(mean + (x.dtype.eps if eps is None else eps))
    return _in(_scaled(y, weight, None), x.dtype)


def _prepare_group_norm(
    x: Spec, *affine: Spec | None, num_groups: int, eps: float
) -> dict[str, Any]:
    if len(x.shape) < 2 or num_groups < 1 or x.shape[1] % num_groups:
        raise ShapeError(
            f"group_norm: input {x.shape} with num_groups={num_groups}; expected (N, C, ...), "
            "C a multiple of the groups"
        )
    for v in affine:
        if v is not None and v.shape != x.shape[1:2]:
            raise ShapeError(f"group_norm: weight or bias {v.shape}; expected {x.shape[1:2]}")
    return {"num_groups": int(num_groups), "eps": _eps("group_norm", eps)}


@composite(prepare=_prepare_group_norm, domain=(Interval(), Interval(), Interval()))
def group_norm(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    num_groups: int,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance by sample and channel group.

    x: (N, C, ...), C a multiple of num_groups, whose neighbours form a group; weight, bias: (C,),
    or None for 1 and 0. num_groups=C is instance normalisation. float16 and bfloat16 are computed
    in float32. Raises `ShapeError` for shapes that don't fit.
    Y. Wu, K. He, "Group Normalization", arXiv:1803.08494.
    """
    wide = _widened(x)
    size = shapes.size(x.shape[2:]) * (x.shape[1] // num_groups)
    y = _normalized(wide.reshape(x.shape[0], num_groups, size), (2,), eps).reshape(x.shape)
    weight, bias = (None if v is None else _by_channel(v, x) for v in (weight, bias))
    return _in(_scaled(y, weight, bias), x.dtype)
