"""Rules for indexing and sorting: what an index that may be another one does to a result."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyaccel.budgets.local import Step, accumulated
from tinyaccel.budgets.values import Array, Bounded, Errors, distance, ends, known, size


def _span(x: Bounded, axis: int) -> Errors:
    """How far apart any two values along the axis may be, or 0 where there are none."""
    low, high = ends(x)
    if not x.value.size:
        return np.zeros([1 if i == axis else n for i, n in enumerate(x.value.shape)])
    span = np.max(high, axis=axis, keepdims=True) - np.min(low, axis=axis, keepdims=True)
    return np.asarray(span, dtype=np.float64)


def take_along_axis(step: Step, x: Bounded, indices: Bounded) -> Bounded:
    """Where the index is open, any element of the axis may be the one."""
    error = step.run(x.error, indices.value)
    if not known(indices):
        error = np.where(indices.error > 0, _span(x, step.attrs["axis"]), error)
    return Bounded(step.run(x.value, indices.value), error)


def _across(indices: Array, x: Array, axis: int) -> Array:
    """Something about each index, laid out so that it broadcasts over the rows of x."""
    return indices.reshape((*indices.shape, *(1,) * (x.ndim - axis - 1)))


def take(step: Step, x: Bounded, indices: Bounded) -> Bounded:
    """Where the index is open, any row may be the one."""
    error = step.run(x.error, indices.value)
    if not known(indices):
        axis = step.attrs["axis"]
        open_ = _across(indices.error > 0, x.value, axis)
        span = step.run(_span(x, axis), np.zeros_like(indices.value))
        error = np.where(open_, span, error)
    return Bounded(step.run(x.value, indices.value), error)


def scatter_add(step: Step, x: Bounded, indices: Bounded, updates: Bounded) -> Bounded:
    """Where the index is open, the update may arrive anywhere along the axis, or not here."""
    return _added(step, x, indices, updates, indices.error > 0, (step.attrs["axis"],))


def index_add(step: Step, x: Bounded, indices: Bounded, updates: Bounded) -> Bounded:
    """Likewise for a row of updates."""
    axis = step.attrs["axis"]
    axes = tuple(range(axis, axis + indices.value.ndim))
    return _added(step, x, indices, updates, _across(indices.error > 0, x.value, axis), axes)


def _added(
    step: Step, x: Bounded, indices: Bounded, updates: Bounded, open_: Array, axes: tuple[int, ...]
) -> Bounded:
    value = step.run(x.value, indices.value, updates.value)
    error = step.run(x.error, indices.value, updates.error)
    magnitude = step.run(size(x), indices.value, size(updates))
    if not known(indices):
        stray = np.where(open_, size(updates) + updates.error, 0.0)
        stray = np.expand_dims(np.sum(stray, axis=axes), step.attrs["axis"])
        error, magnitude = error + stray, magnitude + stray
    return Bounded(value, error + accumulated(step, value, magnitude))


def index_set(step: Step, x: Bounded, indices: Bounded, updates: Bounded) -> Bounded:
    """Where an index is open, its place may keep what it has, and every other may get the row."""
    value = step.run(x.value, indices.value, updates.value)
    error = step.run(x.error, indices.value, updates.error)
    if not known(indices) and value.size:
        axis = step.attrs["axis"]
        axes = tuple(range(axis, axis + indices.value.ndim))
        low, high = ends(updates)
        least = np.expand_dims(np.min(low, axis=axes), axis)
        most = np.expand_dims(np.max(high, axis=axes), axis)
        own_low, own_high = ends(x)
        apart = np.maximum(own_high, most) - np.minimum(own_low, least)
        error = np.maximum(error, apart.astype(np.float64))
    return Bounded(value, error)


# Sorting


def argsort(step: Step, x: Bounded) -> Bounded:
    """Values that may lie either way round form a cluster, whose elements may stand anywhere in it.

    In sorted order, a cluster ends where everything before is certainly below what comes after.
    """
    order = step.run(x.value)
    if known(x) or not order.size:
        return Bounded(order, step.zeros)
    axis = step.attrs["axis"]
    low, high = (np.take_along_axis(e, order, axis) for e in _ordered_ends(x))
    if step.attrs["descending"]:
        low, high = -high, -low
    rows = [np.moveaxis(a, axis, -1).reshape(-1, order.shape[axis]) for a in (low, high, order)]
    lowest_after = np.minimum.accumulate(rows[0][:, ::-1], axis=1)[:, ::-1]
    highest_before = np.maximum.accumulate(rows[1], axis=1)
    first = np.ones(rows[2].shape, dtype=bool)
    first[:, 1:] = highest_before[:, :-1] <= lowest_after[:, 1:]
    starts, places = np.flatnonzero(first), rows[2].reshape(-1)
    lengths = np.diff(starts, append=places.size)
    least = np.repeat(np.minimum.reduceat(places, starts), lengths)
    most = np.repeat(np.maximum.reduceat(places, starts), lengths)
    error = np.maximum(most - places, places - least).astype(np.float64)
    moved = np.moveaxis(order, axis, -1).shape
    return Bounded(order, np.moveaxis(error.reshape(moved), -1, axis))


def _ordered_ends(x: Bounded) -> tuple[Array, Array]:
    """The ends of each value, as the order sees them: NaN is as large as it gets.

    Those of an uncertain value are moved out a little, so that touching isn't the end of a
    cluster; between equals that are certain it is, because their order is.
    """
    low, high = ends(x)
    open_ = x.error > 0
    low = np.where(open_, np.nextafter(low, -np.inf), low)
    high = np.where(open_, np.nextafter(high, np.inf), high)
    lost = np.isinf(x.error)
    low = np.where(lost, -np.inf, np.where(np.isnan(low), np.inf, low))
    return low, np.where(lost | np.isnan(high), np.inf, high)


def in_order(descending: bool) -> Callable[[Step, Bounded, Bounded], Bounded]:
    """The rule for `take_along_axis(x, argsort(x))`, which is no stranger's choice of elements.

    Sorting is monotone: if no element falls, no sorted one does. So the ends of the sorted values
    are the sorted ends.
    """

    def rule(step: Step, x: Bounded, order: Bounded) -> Bounded:
        value = step.run(x.value, order.value)
        if known(x):
            return Bounded(value, step.zeros)
        axis = step.attrs["axis"]
        ordered = [np.sort(end, axis=axis) for end in ends(x)]
        if descending:
            ordered = [np.flip(end, axis) for end in ordered]
        return Bounded(value, np.maximum(*(distance(end, value) for end in ordered)))

    return rule
