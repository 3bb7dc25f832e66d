"""Tensors from nothing: constants and ranges."""

from __future__ import annotations

from collections.abc import Sequence

from tinyaccel import dtypes, shapes
from tinyaccel.backend import DEFAULT_DEVICE, Device, get_device
from tinyaccel.dtypes import DType
from tinyaccel.errors import ArgumentError, DTypeError
from tinyaccel.op import Op, Spec, register
from tinyaccel.tensor import DTypeLike, Tensor, apply, full

__all__ = ["arange", "full", "ones", "ones_like", "zeros", "zeros_like"]


def _infer_arange(*, start: int, stop: int, step: int, dtype: DType) -> Spec:
    if step == 0:
        raise ArgumentError(f"arange: step 0 from {start} to {stop} never arrives; give another")
    return Spec((shapes.slice_size(start, stop, step),), dtype)


register(
    Op("arange", "creation", _infer_arange, domain=(), doc="evenly spaced integers",
       )
)  # fmt: skip


def arange(
    start: int,
    stop: int | None = None,
    step: int = 1,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
) -> Tensor:
    """start, start + step, ... below `stop`; arange(n) counts from 0. Integers, int32 by default.

    Raises `ArgumentError` for a step of 0, `DTypeError` where a value doesn't fit the dtype.

    >>> import tinyaccel as ta
    >>> ta.arange(2, 10, 3)
    tensor([2, 5, 8], dtype=int32)
    """
    first, last = (0, start) if stop is None else (start, stop)
    for value in (first, last, step):
        if not isinstance(value, int):
            raise DTypeError(f"arange: {value!r}; expected integers; scale the result for floats")
    kind = dtypes.DEFAULT_INT if dtype is None else dtypes.as_dtype(dtype)
    if step and (values := range(first, last, step)):
        dtypes.check_scalar(values[0], kind, "arange")
        dtypes.check_scalar(values[-1], kind, "arange")
    where = get_device(device if device is not None else DEFAULT_DEVICE.get())
    return apply("arange", start=first, stop=last, step=step, dtype=kind, device=where)


def zeros(shape: int | Sequence[int], *, dtype: DTypeLike | None = None,
          device: str | Device | None = None) -> Tensor:  # fmt: skip
    """A tensor of zeros; float32 by default."""
    return full(shape, 0, dtype=dtypes.DEFAULT_FLOAT if dtype is None else dtype, device=device)


def ones(shape: int | Sequence[int], *, dtype: DTypeLike | None = None,
         device: str | Device | None = None) -> Tensor:  # fmt: skip
    """A tensor of ones; float32 by default."""
    return full(shape, 1, dtype=dtypes.DEFAULT_FLOAT if dtype is None else dtype, device=device)


def zeros_like(x: Tensor) -> Tensor:
    """Zeros of x's shape and dtype, on its device."""
    return full(x.shape, 0, dtype=x.dtype, device=x.device)


def ones_like(x: Tensor) -> Tensor:
    """Ones of x's shape and dtype, on its device."""
    return full(x.shape, 1, dtype=x.dtype, device=x.device)
