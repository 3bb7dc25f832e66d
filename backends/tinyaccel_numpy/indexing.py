"""NumPy kernels for indexing. An index out of range raises `IndexRangeError`."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel.errors import IndexRangeError
from tinyaccel.op import Kernel

Array: TypeAlias = npt.NDArray[Any]


def _checked(indices: Array, n: int, op: str) -> Array:
    """Indices counted from the front, or `IndexRangeError`."""
    if indices.size and (int(indices.max()) >= n or int(indices.min()) < -n):
        wrong = int(indices.max()) if int(indices.max()) >= n else int(indices.min())
        raise IndexRangeError(
            f"{op}: index {wrong} is out of range for an axis of {n}; expected {-n} to {n - 1}"
        )
    return np.where(indices < 0, indices.astype(np.int64) + n, indices)


# An index for each element


def take_along_axis(x: Array, indices: Array, *, axis: int) -> Array:
    return np.take_along_axis(x, _checked(indices, x.shape[axis], "take_along_axis"), axis)


def scatter_add(x: Array, indices: Array, updates: Array, *, axis: int) -> Array:
    index = _checked(indices, x.shape[axis], "scatter_add")
    places = list(np.ogrid[tuple(map(slice, index.shape))])
    places[axis] = index
    out = x.copy()
    np.add.at(out, tuple(places), updates)
    return out


# An index for each row


def take(x: Array, indices: Array, *, axis: int) -> Array:
    index = _checked(indices, x.shape[axis], "take")
    return np.take(x, index if x.shape[axis] else index.astype(np.int64), axis)


def _rows(x: Array, indices: Array, updates: Array, axis: int, op: str) -> tuple[Array, Array]:
    """The indices in one row, and the updates as rows along the first axis."""
    index = _checked(indices, x.shape[axis], op).reshape(-1)
    shape = (*x.shape[:axis], index.size, *x.shape[axis + 1 :])
    return index, np.moveaxis(updates.reshape(shape), axis, 0)


def index_add(x: Array, indices: Array, updates: Array, *, axis: int) -> Array:
    """Rows for one place stand together once they are sorted, and are added up in one go.

    That is faster than adding row by row, and float32 sums can afford to be made in float64.
    """
    index, rows = _rows(x, indices, updates, axis, "index_add")
    out = x.copy()
    if not index.size or not x.size:
        return out
    order = np.argsort(index, kind="stable")
    ordered = index[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    wide = np.float64 if x.dtype == np.float32 else x.dtype
    sums = np.add.reduceat(rows[order], starts, axis=0, dtype=wide)
    places = ordered[starts]
    view = np.moveaxis(out, axis, 0)
    view[places] = (view[places] + sums).astype(x.dtype)
    return out


def index_set(x: Array, indices: Array, updates: Array, *, axis: int) -> Array:
    """NumPy assigns in the order of the indices' memory: in one contiguous row, the last wins."""
    index, rows = _rows(x, indices, updates, axis, "index_set")
    out = x.copy()
    np.moveaxis(out, axis, 0)[np.ascontiguousarray(index)] = rows
    return out


KERNELS: dict[str, Kernel] = {
    "take_along_axis": take_along_axis,
    "scatter_add": scatter_add,
    "take": take,
    "index_add": index_add,
    "index_set": index_set,
}
