"""Tensors from nothing: constants, ranges, and what others' arrays hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np

from tinyaccel import dtypes, shapes
from tinyaccel.backend import DEFAULT_DEVICE, Device, get_device
from tinyaccel.dtypes import DType, Scalar
from tinyaccel.errors import ArgumentError, DTypeError
from tinyaccel.op import Op, Spec, register
from tinyaccel.ops.elementwise import equal, where
from tinyaccel.tensor import Data, DTypeLike, Tensor, apply, full, tensor

__all__ = [
    "arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like",
    "linspace", "ones", "ones_like", "zeros", "zeros_like",
]  # fmt: skip


def _device(device: str | Device | None) -> Device:
    return get_device(device if device is not None else DEFAULT_DEVICE.get())


# Ranges


def _infer_arange(*, start: int, stop: int, step: int, dtype: DType) -> Spec:
    if step == 0:
        raise ArgumentError(f"arange: step 0 from {start} to {stop} never arrives; give another")
    return Spec((shapes.slice_size(start, stop, step),), dtype)


register(
    Op("arange", "creation", _infer_arange, domain=(), doc="evenly spaced integers",
       )
)  # fmt: skip


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
) -> Tensor:
    """start, start + step, ... below `stop` (above, for a step below 0); arange(n) counts from 0.

    Integers give integers, int32 unless `dtype` says otherwise. If one of the three is a float,
    there are ceil((stop - start) / step) elements start + i * step, float32 unless `dtype` says
    otherwise; rounding may let the last one reach `stop`, as everywhere, so count with `linspace`.

    Raises `ArgumentError` for a step of 0, `DTypeError` where a value doesn't fit the dtype.

    >>> import tinyaccel as ta
    >>> ta.arange(2, 10, 3), ta.arange(0, 1, 0.25)
    (tensor([2, 5, 8], dtype=int32), tensor([0.  , 0.25, 0.5 , 0.75]))
    """
    first, last = (0, start) if stop is None else (start, stop)
    for value in (first, last, step):
        if not dtypes.is_scalar(value):
            raise DTypeError(f"arange: {value!r}; expected numbers")
    if any(isinstance(value, float | np.floating) for value in (first, last, step)):
        return _float_range(float(first), float(last), float(step), dtype, _device(device))
    first, last, step = int(first), int(last), int(step)
    kind = dtypes.DEFAULT_INT if dtype is None else dtypes.as_dtype(dtype)
    if step and (values := range(first, last, step)):
        dtypes.check_scalar(values[0], kind, "arange")
        dtypes.check_scalar(values[-1], kind, "arange")
    where = _device(device)
    return apply("arange", start=first, stop=last, step=step, dtype=kind, device=where)


def _float_range(
    start: float, stop: float, step: float, dtype: DTypeLike | None, device: Device
) -> Tensor:
    kind = _float_dtype(dtype, "arange")
    if step == 0 or not all(map(math.isfinite, (start, stop, step))):
        raise ArgumentError(
            f"arange: {start} to {stop} by {step} never arrives; give finite numbers, and a step"
        )
    count = max(math.ceil((stop - start) / step), 0)
    return _steps(start, step, count, kind, device).astype(kind)


def _float_dtype(dtype: DTypeLike | None, op: str) -> DType:
    kind = dtypes.DEFAULT_FLOAT if dtype is None else dtypes.as_dtype(dtype)
    if not kind.is_float:
        raise DTypeError(f"{op}: dtype {kind} for floats; expected a float; use astype")
    return kind


def _steps(start: float, step: float, count: int, kind: DType, device: Device) -> Tensor:
    """start + i * step for i below `count`; narrow types are left to be rounded from float32."""
    wide = dtypes.float32 if kind.itemsize == 2 else kind
    return arange(count, device=device).astype(wide) * step + start


def linspace(
    start: float,
    stop: float,
    num: int,
    *,
    endpoint: bool = True,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
) -> Tensor:
    """`num` evenly spaced floats from `start` to `stop`, both included: start + i * step.

    endpoint  whether `stop`, exactly, is the last one; otherwise the step is (stop - start) / num
    dtype     a float; float32 by default

    Raises `ArgumentError` for fewer than 0 elements or ends that aren't finite.

    >>> import tinyaccel as ta
    >>> ta.linspace(0, 1, 5)
    tensor([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    kind = _float_dtype(dtype, "linspace")
    if num < 0 or not (math.isfinite(start) and math.isfinite(stop)):
        raise ArgumentError(
            f"linspace: {num} elements from {start} to {stop}; expected 0 or more, finite ends"
        )
    gaps = num - 1 if endpoint else num
    step = (stop - start) / gaps if gaps > 0 else 0.0
    values = _steps(start, step, num, kind, _device(device))
    if endpoint and num > 1:
        last = equal(arange(num, device=values.device), num - 1)
        values = where(last, stop, values)
    return values.astype(kind)


def eye(
    n_rows: int,
    n_cols: int | None = None,
    *,
    k: int = 0,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
) -> Tensor:
    """Ones on the k-th diagonal (above 0: over the main one) of (n_rows, n_cols), else zeros.

    n_cols defaults to n_rows, dtype to float32.
    """
    rows, columns = shapes.as_shape((n_rows, n_rows if n_cols is None else n_cols), "eye")
    at = _device(device)
    above = max(-rows, min(k, columns))  # beyond the corners all diagonals are alike
    row = apply("reshape", arange(rows, device=at) + above, shape=(rows, 1))
    kind = dtypes.DEFAULT_FLOAT if dtype is None else dtypes.as_dtype(dtype)
    return equal(row, arange(columns, device=at)).astype(kind)


# Constants


def zeros(shape: int | Sequence[int], *, dtype: DTypeLike | None = None,
          device: str | Device | None = None) -> Tensor:  # fmt: skip
    """A tensor of zeros; float32 by default."""
    return full(shape, 0, dtype=dtypes.DEFAULT_FLOAT if dtype is None else dtype, device=device)


def ones(shape: int | Sequence[int], *, dtype: DTypeLike | None = None,
         device: str | Device | None = None) -> Tensor:  # fmt: skip
    """A tensor of ones; float32 by default."""
    return full(shape, 1, dtype=dtypes.DEFAULT_FLOAT if dtype is None else dtype, device=device)


def empty(shape: int | Sequence[int], *, dtype: DTypeLike | None = None,
          device: str | Device | None = None) -> Tensor:  # fmt: skip
    """The same as `zeros`: a tensor never changes, so what it starts with had better be known."""
    return zeros(shape, dtype=dtype, device=device)


def full_like(x: Tensor, value: Scalar, *, dtype: DTypeLike | None = None,
              device: str | Device | None = None) -> Tensor:  # fmt: skip
    """`value` everywhere, in x's shape; of its dtype and on its device unless told otherwise."""
    return full(
        x.shape, value, dtype=x.dtype if dtype is None else dtype,
        device=x.device if device is None else device,
    )  # fmt: skip


def zeros_like(x: Tensor, *, dtype: DTypeLike | None = None,
               device: str | Device | None = None) -> Tensor:  # fmt: skip
    """Zeros in x's shape; of its dtype and on its device unless told otherwise."""
    return full_like(x, 0, dtype=dtype, device=device)


def ones_like(x: Tensor, *, dtype: DTypeLike | None = None,
              device: str | Device | None = None) -> Tensor:  # fmt: skip
    """Ones in x's shape; of its dtype and on its device unless told otherwise."""
    return full_like(x, 1, dtype=dtype, device=device)


def empty_like(x: Tensor, *, dtype: DTypeLike | None = None,
               device: str | Device | None = None) -> Tensor:  # fmt: skip
    """The same as `zeros_like`; see `empty`."""
    return zeros_like(x, dtype=dtype, device=device)


# What others hold


def asarray(
    data: Data,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    copy: bool | None = None,
) -> Tensor:
    """`data` as a tensor: a tensor stays itself, gradients included; all else goes to `tensor`.

    dtype, device  what it is to be; a tensor that differs is converted, or moved
    copy           True: another tensor even so, which `assign` to the first doesn't change. False:
                   raise `ArgumentError` where values would have to be copied
    """
    if isinstance(data, Tensor):
        where = data.device if device is None else get_device(device)
        kind = data.dtype if dtype is None else dtypes.as_dtype(dtype)
        if where is data.device and kind is data.dtype:
            if not copy:
                return data
            return data.alias() if data.requires_grad else data.detach()
    if copy is False:
        raise ArgumentError(f"asarray: {type(data).__name__} must be copied; leave out copy=False")
    if isinstance(data, Tensor):
        return data.to(where).astype(kind)
    return tensor(data, dtype=dtype, device=device)


class SupportsDLPack(Protocol):
    """An array that can be handed over by the DLPack protocol."""

    def __dlpack__(self) -> object: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...


def from_dlpack(x: SupportsDLPack, *, device: str | Device | None = None) -> Tensor:
    """A tensor with a copy of another library's array, which must lie in the CPU's memory.

    Raises `ArgumentError` for an array elsewhere, or of a type that NumPy can't take over.

    >>> import numpy as np
    >>> from_dlpack(np.array([1.0, 2.0], np.float32))
    tensor([1., 2.])
    """
    if isinstance(x, Tensor):
        return asarray(x, device=device, copy=True)
    try:
        array = np.from_dlpack(cast(Any, x))
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError) as error:
        raise ArgumentError(
            f"from_dlpack: {type(x).__name__}: {error}; copy it to the CPU first, or use tensor"
        ) from error
    return tensor(array, device=device)
