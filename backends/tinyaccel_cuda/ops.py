"""The ops that have a kernel of their own here: add and sum, in CUDA C, for float32."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from tinyaccel import array_api
from tinyaccel.op import Kernel
from tinyaccel_cuda.kernels import cuda_c

Array: TypeAlias = Any  # a NumPy array on cuda-sim, a CuPy array on cuda

BLOCK = 256
_MOST_BLOCKS = 1024  # of one launch: enough to fill any GPU; the threads stride over the rest


def blocks_for(count: int) -> int:
    """How many blocks of 256 threads share `count` elements.

    >>> blocks_for(1000)
    4
    """
    return min(-(-count // BLOCK), _MOST_BLOCKS)


def kernels(xp: ModuleType, device: str) -> Mapping[str, Kernel]:
    """The kernels of the device, by op name; what they don't take goes to `xp`'s defaults."""
    defaults = array_api.kernels(xp)

    def add(x: Array, y: Array) -> Array:
        """x + y; elements that match one to one in memory go to vector_add."""
        plain = x.shape == y.shape and x.flags.c_contiguous and y.flags.c_contiguous
        if not (plain and x.size and x.dtype == y.dtype == np.float32):
            return defaults["add"](x, y)
        out = xp.empty_like(x)
        args = (x, y, out, x.size)
        cuda_c("vector_add").launch(blocks_for(x.size), BLOCK, args, device=device)
        return out

    def total(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:
        """The sum over `axis`; that of a whole float32 array goes to shared_sum, twice."""
        if not (len(axis) == x.ndim and x.size and x.dtype == np.float32):
            return defaults["sum"](x, axis=axis, keepdims=keepdims)
        values, kernel = xp.ascontiguousarray(x), cuda_c("shared_sum")
        blocks = blocks_for(x.size)
        partial = xp.empty((blocks,), dtype=np.float32)
        kernel.launch(blocks, BLOCK, (values, partial, x.size), device=device)
        out = xp.empty((1,), dtype=np.float32)
        kernel.launch(1, BLOCK, (partial, out, blocks), device=device)
        return xp.reshape(out, (1,) * x.ndim if keepdims else ())

    return {"add": add, "sum": total}
