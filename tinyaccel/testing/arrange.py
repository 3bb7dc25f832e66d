"""How an input lies in memory: strided, transposed, flipped or broadcast, made on the device.

A kernel that takes an array's memory for its values is right for plain inputs alone. On a library
with views (NumPy, CuPy, PyTorch) the kernel really receives one, made by the library's own ops.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel import dtypes
from tinyaccel.backend import Device
from tinyaccel.tensor import Tensor, apply, tensor

Array: TypeAlias = npt.NDArray[Any]

PLAIN = "plain"
ARRANGEMENTS = (PLAIN, "strided", "transposed", "flipped", "broadcast")


class Arranged(NamedTuple):
    """What is uploaded, and what makes a view of it; `code` says the same with {} for the first."""

    buffer: Array
    view: Callable[[Tensor], Tensor]
    code: str


def fitting(array: Array, how: str) -> Array:
    """`array` with values that can lie so: a broadcast one is constant along its first axis."""
    axis = _repeated(array.shape)
    if how != "broadcast" or axis is None:
        return array
    first = array[(slice(None),) * axis + (slice(0, 1),)]
    return np.ascontiguousarray(np.broadcast_to(first, array.shape))


def _repeated(shape: tuple[int, ...]) -> int | None:
    return next((i for i, n in enumerate(shape) if n > 1), None)


def applies(shape: tuple[int, ...], how: str) -> bool:
    """Whether an array of this shape can be arranged so, and differs from a plain one."""
    if how == "transposed":
        return sum(n > 1 for n in shape) > 1
    if how in ("flipped", "broadcast"):
        return _repeated(shape) is not None
    return how == PLAIN or math.prod(shape) > 0


def arranged(array: Array, how: str) -> Arranged:
    """The buffer and the view of it that has `array`'s values."""
    if not applies(array.shape, how):
        how = PLAIN
    if how == "strided":
        return _strided(array)
    if how == "transposed":
        axes = tuple(reversed(range(array.ndim)))
        turned = np.ascontiguousarray(array.transpose())
        return Arranged(turned, lambda t: t.permute_dims(axes), f"{{}}.permute_dims({axes})")
    if how == "flipped":
        turned = np.ascontiguousarray(np.flip(array))
        return Arranged(turned, lambda t: apply("flip", t, axis=None), "ta.flip({})")
    axis = _repeated(array.shape)
    if how == "broadcast" and axis is not None:
        one = array[(slice(None),) * axis + (slice(0, 1),)]
        shape = array.shape
        return Arranged(one, lambda t: t.broadcast_to(shape), f"{{}}.broadcast_to({shape})")
    return Arranged(array, lambda t: t, "{}")


def _strided(array: Array) -> Arranged:
    """Every second element of a buffer; what lies between is what no result should contain."""
    dtype = dtypes.as_dtype(array.dtype)
    between = np.nan if dtype.is_float else (True if dtype.kind == "bool" else dtype.max)
    if not array.ndim:
        buffer = np.asarray([between, array], dtype=array.dtype)
        return Arranged(buffer, lambda t: t[1], "{}[1]")
    buffer = np.full((*array.shape[:-1], 2 * array.shape[-1]), between, dtype=array.dtype)
    buffer[..., 1::2] = array
    return Arranged(buffer, lambda t: t[..., 1::2], "{}[..., 1::2]")


def placed(array: Array, how: str, device: Device) -> Tensor:
    """A tensor with `array`'s values on the device, arranged so.

    Where the device's own ops for that are wrong, which is for their checks to say, a plain one.
    """
    if how != PLAIN:
        plan = arranged(array, how)
        with suppress(Exception):
            made = plan.view(tensor(plan.buffer, device=device))
            if made.numpy().tobytes() == array.tobytes():
                return made
    return tensor(array, device=device)
