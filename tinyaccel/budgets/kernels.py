"""Kernels for higher precision: the Array API defaults, and what NumPy lacks or does otherwise."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from tinyaccel import array_api
from tinyaccel.budgets.values import Array
from tinyaccel.errors import IndexRangeError
from tinyaccel.op import Kernel


@cache
def kernels() -> dict[str, Kernel]:
    own: dict[str, Kernel] = {
        "erf": _erf,
        "take_along_axis": _take_along_axis,
        "scatter_add": _scatter_add,
        "take": _take,
        "index_add": _index_add,
        "index_set": _index_set,
    }
    return array_api.kernels(np) | own


def _erf(x: Array) -> Array:
    """erf as a sum of positive terms up to 3, and as 1 - erfc, which is small there, beyond.

    M. Abramowitz, I. Stegun, "Handbook of Mathematical Functions", 7.1.6.
    """
    small = np.where(np.abs(x) < 3, x, 0)
    term = total = small
    for n in range(1, 75):
        term = term * (2 * small * small / (2 * n + 1))
        total = total + term
    pi = np.arctan2(np.zeros_like(small), -np.ones_like(small))
    series = 2 / np.sqrt(pi) * np.exp(-small * small) * total
    rest = np.asarray(np.frompyfunc(math.erfc, 1, 1)(np.abs(x))).astype(x.dtype)
    return np.asarray(np.where(np.abs(x) < 3, series, np.copysign(1 - rest, x)))


def _in_range(indices: Array, n: int, op: str) -> Array:
    wrong = indices[(indices >= n) | (indices < -n)]
    if wrong.size:
        raise IndexRangeError(
            f"{op}: index {wrong[0]} is out of range for an axis of {n}; expected {-n} to {n - 1}"
        )
    return np.where(indices < 0, indices.astype(np.int64) + n, indices)


def _take_along_axis(x: Array, indices: Array, *, axis: int) -> Array:
    return np.take_along_axis(x, _in_range(indices, x.shape[axis], "take_along_axis"), axis)


def _scatter_add(x: Array, indices: Array, updates: Array, *, axis: int) -> Array:
    places: list[Array] = list(np.indices(indices.shape, sparse=True))
    places[axis] = _in_range(indices, x.shape[axis], "scatter_add")
    out = x.copy()
    np.add.at(out, tuple(places), updates)
    return out


def _take(x: Array, indices: Array, *, axis: int) -> Array:
    index = _in_range(indices, x.shape[axis], "take").astype(np.int64)
    return np.take(x, index, axis)


def _index_add(x: Array, indices: Array, updates: Array, *, axis: int) -> Array:
    index = _in_range(indices, x.shape[axis], "index_add")
    out = x.copy()
    places: list[Any] = [slice(None)] * axis + [index]
    np.add.at(out, tuple(places), updates)
    return out


def _index_set(x: Array, indices: Array, updates: Array, *, axis: int) -> Array:
    """One update after the other."""
    index = _in_range(indices, x.shape[axis], "index_set").reshape(-1)
    rows = updates.reshape((*x.shape[:axis], index.size, *x.shape[axis + 1 :]))
    out = x.copy()
    for place, row in zip(index, np.moveaxis(rows, axis, 0), strict=True):
        np.moveaxis(out, axis, 0)[place] = row
    return out
