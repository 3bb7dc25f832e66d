"""NumPy kernels, where the Array API defaults aren't exact or fast enough."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel import array_api, shapes
from tinyaccel.op import Kernel
from tinyaccel_numpy import indexing, windows

Array: TypeAlias = npt.NDArray[Any]

_DEFAULTS = array_api.kernels(np)
_erf = np.frompyfunc(math.erf, 1, 1)


def erf(x: Array) -> Array:
    return np.asarray(_erf(x)).astype(x.dtype)


def add_up(x: Array, *, axis: shapes.Shape, keepdims: bool) -> Array:
    """NumPy adds pairwise along the last axes of a contiguous array; elsewhere, row by row."""
    last = axis == tuple(range(x.ndim - len(axis), x.ndim)) and x.flags.c_contiguous
    if last or x.dtype.kind != "f":
        return np.asarray(np.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype))
    return np.asarray(_DEFAULTS["sum"](x, axis=axis, keepdims=keepdims))


KERNELS: dict[str, Kernel] = {
    "erf": erf,
    "sum": add_up,
    **indexing.KERNELS,
    "random_bits": _DEFAULTS["random_bits"],
    **windows.KERNELS,
}
