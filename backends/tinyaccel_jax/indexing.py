"""XLA kernels for indexing and sorting, in which nothing can raise.

An index out of range takes NaN, or 0 of a dtype without NaN; an update that it names is dropped.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from tinyaccel.op import Kernel

Array: TypeAlias = jax.Array


def _from_front(indices: Array, n: int) -> Array:
    """Indices as int32 counted from the front; n or more for those out of range."""
    if indices.dtype in (jnp.uint32, jnp.int64):  # what int32 can't hold is out of range anyway
        lowest = 0 if indices.dtype == jnp.uint32 else -(2**31)
        indices = jnp.clip(indices, lowest, 2**31 - 1)
    index = indices.astype(jnp.int32)
    index = jnp.where(index < 0, index + n, index)
    return jnp.where(index < 0, n, index)


def _nothing(x: Array) -> float:
    return jnp.nan if jnp.issubdtype(x.dtype, jnp.floating) else 0


def _taken(x: Array, axis: int, places: tuple[Array | slice, ...], shape: Any) -> Array:
    if not x.shape[axis]:  # JAX would take nothing from it
        return jnp.full(shape, _nothing(x), x.dtype)
    return x.at[places].get(mode="fill", fill_value=_nothing(x))


# An index for each element


def _places(index: Array, axis: int) -> tuple[Array, ...]:
    """`index` along `axis`, and along every other axis where an element is anyway."""
    places = [lax.broadcasted_iota(jnp.int32, index.shape, a) for a in range(index.ndim)]
    places[axis] = index
    return tuple(places)


def take_along_axis(x: Array, indices: Array, *, axis: int) -> Array:
    index = _from_front(indices, x.shape[axis])
    return _taken(x, axis, _places(index, axis), indices.shape)


def scatter_add(x: Array, indices: Array, updates: Array, *, axis: int) -> Array:
    index = _from_front(indices, x.shape[axis])
    return x.at[_places(index, axis)].add(updates, mode="drop")


# An index for each row: one gather, or one scatter, of whole rows


def take(x: Array, indices: Array, *, axis: int) -> Array:
    index = _from_front(indices, x.shape[axis])
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    return _taken(x, axis, (*(slice(None),) * axis, index), shape)


def index_add(x: Array, indices: Array, updates: Array, *, axis: int) -> Array:
    index = _from_front(indices, x.shape[axis])
    return x.at[(slice(None),) * axis + (index,)].add(updates, mode="drop")


def index_set(x: Array, indices: Array, updates: Array, *, axis: int) -> Array:
    """XLA leaves open which of several updates stays: the largest number of one is found first."""
    n, count = x.shape[axis], indices.size
    if not n or not count:
        return x
    index = _from_front(indices, n).reshape(-1)
    number = lax.iota(jnp.int32, count)
    last = jnp.full(n, -1, jnp.int32).at[index].max(number, mode="drop")
    rows = updates.reshape((*x.shape[:axis], count, *x.shape[axis + 1 :]))
    chosen = jnp.take(rows, jnp.maximum(last, 0), axis=axis, mode="clip")
    named = (last >= 0).reshape((-1, *(1,) * (x.ndim - axis - 1)))
    return jnp.where(named, chosen, x)


def argsort(x: Array, *, axis: int, descending: bool) -> Array:
    """For lax.sort -0.0 equals 0.0 and any NaN is the last. A falling order is turned twice."""
    places = lax.broadcasted_iota(jnp.int32, x.shape, axis)
    keys = jnp.flip(x, axis) if descending else x
    order = lax.sort((keys, places), dimension=axis, is_stable=True, num_keys=1)[1]
    return x.shape[axis] - 1 - jnp.flip(order, axis) if descending else order


KERNELS: dict[str, Kernel] = {
    "take_along_axis": take_along_axis,
    "scatter_add": scatter_add,
    "take": take,
    "index_add": index_add,
    "index_set": index_set,
    "argsort": argsort,
}
