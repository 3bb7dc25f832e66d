"""XLA kernels, where the Array API defaults over jax.numpy aren't exact, general or fast enough."""

from __future__ import annotations

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from tinyaccel import array_api
from tinyaccel.op import Kernel
from tinyaccel_jax import windows
from tinyaccel_jax.products import matmul

Array: TypeAlias = jax.Array


def remainder(a: Array, b: Array) -> Array:
    """Python's %, the sign of b; a zero too takes it. Integers modulo 0 give 0."""
    if not jnp.issubdtype(a.dtype, jnp.floating):
        zero = b == 0
        return jnp.where(zero, 0, jnp.remainder(a, jnp.where(zero, 1, b)))
    rest = jnp.remainder(a, b)
    return jnp.where(rest == 0, jnp.copysign(rest, b), rest)


def power(a: Array, b: Array) -> Array:
    """a**b; of integers by repeated squaring, all bits of the exponent, and whole below 0 too."""
    if jnp.issubdtype(a.dtype, jnp.floating):
        return jnp.pow(a, b)
    result, square = jnp.ones_like(a * b), a
    for bit in range(8 * b.dtype.itemsize):
        result = jnp.where((b >> bit) & 1 == 1, result * square, result)
        square = square * square
    # 1 / a**-b rounds to 0, but for the two numbers that are their own inverse.
    sign = jnp.where(b & 1 == 1, a, a * a)
    return jnp.where(b < 0, jnp.where(jnp.abs(a) == 1, sign, 0), result)


def argmax(x: Array, *, axis: int, keepdims: bool) -> Array:
    """The first of equals, or of NaNs: so lax.argmax promises."""
    index = lax.argmax(x, axis, jnp.int32)
    return jnp.expand_dims(index, axis) if keepdims else index


# Indexing


def _from_front(indices: Array, n: int) -> Array:
    """Indices as int32 counted from the front; n or more for those out of range."""
    if indices.dtype in (jnp.uint32, jnp.int64):  # what int32 can't hold is out of range anyway
        lowest = 0 if indices.dtype == jnp.uint32 else -(2**31)
        indices = jnp.clip(indices, lowest, 2**31 - 1)
    index = indices.astype(jnp.int32)
    index = jnp.where(index < 0, index + n, index)
    return jnp.where(index < 0, n, index)


def _places(index: Array, axis: int) -> tuple[Array, ...]:
    """`index` along `axis`, and along every other axis where an element is anyway."""
    places = [lax.broadcasted_iota(jnp.int32, index.shape, a) for a in range(index.ndim)]
    places[axis] = index
    return tuple(places)


def take_along_axis(x: Array, indices: Array, *, axis: int) -> Array:
    """NaN, or 0 of a dtype without NaN, where an index is out of range."""
    nothing = jnp.nan if jnp.issubdtype(x.dtype, jnp.floating) else 0
    index = _from_front(indices, x.shape[axis])
    return x.at[_places(index, axis)].get(mode="fill", fill_value=nothing)


def scatter_add(x: Array, indices: Array, updates: Array, *, axis: int) -> Array:
    """An update whose index is out of range is dropped."""
    index = _from_front(indices, x.shape[axis])
    return x.at[_places(index, axis)].add(updates, mode="drop")


# Movement: one XLA operation each.


def pad(x: Array, *, widths: Any, value: Any) -> Array:
    return lax.pad(x, jnp.asarray(value, x.dtype), widths)


def slice_(x: Array, *, starts: Any, stops: Any, steps: Any) -> Array:
    return lax.slice(x, starts, stops, steps)


_DEFAULTS = array_api.kernels(jnp)

KERNELS: dict[str, Kernel] = {
    "erf": lax.erf,
    "remainder": remainder,
    "pow": power,
    "argmax": argmax,
    "take_along_axis": take_along_axis,
    "scatter_add": scatter_add,
    "pad": pad,
    "slice": slice_,
    "matmul": matmul,
    "random_bits": _DEFAULTS["random_bits"],
    **windows.KERNELS,
}
