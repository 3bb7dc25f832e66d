"""Initial weights: drawn on the host in float64, rounded once, so equal on every device."""

from __future__ import annotations

import math

import numpy as np

from tinyaccel import dtypes, shapes
from tinyaccel.backend import Device
from tinyaccel.errors import DTypeError
from tinyaccel.nn.module import Parameter
from tinyaccel.ops.random import host_uniform
from tinyaccel.tensor import DTypeLike, Tensor, tensor


def fan_in_uniform(
    shape: shapes.Shape,
    fan_in: int,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
) -> Tensor:
    """A parameter drawn from U(-1/sqrt(fan_in), 1/sqrt(fan_in)): PyTorch's default.

    shape   any
    fan_in  how many inputs one output is a weighted sum of
    dtype   a float; float32 by default

    The draws come from the seed that `tinyaccel.manual_seed` sets, in the order in which layers
    are made, and don't depend on device or dtype. Raises `DTypeError` if dtype is no float.
    Y. LeCun et al., "Efficient BackProp", 1998, for the scaling with the fan-in.
    """
    kind = _float(dtype, "fan_in_uniform")
    drawn = (2 * host_uniform(shape) - 1) / math.sqrt(fan_in)
    return Parameter(tensor(drawn, dtype=kind, device=device))


def constant(
    shape: shapes.Shape,
    value: float,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
) -> Tensor:
    """A tensor filled with `value`, laid out in full, for parameters and buffers.

    dtype: a float, float32 by default; raises `DTypeError` otherwise.
    """
    kind = _float(dtype, "constant")
    return tensor(np.full(shape, value), dtype=kind, device=device)


def _float(dtype: DTypeLike | None, what: str) -> dtypes.DType:
    kind = dtypes.DEFAULT_FLOAT if dtype is None else dtypes.as_dtype(dtype)
    if not kind.is_float:
        raise DTypeError(f"{what}: dtype {kind}; expected a float, since parameters are trained")
    return kind
