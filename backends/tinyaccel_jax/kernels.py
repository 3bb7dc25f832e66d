"""XLA kernels, where the Array API defaults over jax.numpy aren't exact, general or fast enough."""

from __future__ import annotations

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from tinyaccel import array_api
from tinyaccel.op import Kernel
from tinyaccel_jax import indexing, windows
from tinyaccel_jax.products import matmul

Array: TypeAlias = jax.Array


def remainder(a: Array, b: Array) -> Array:
    """Python's %, the sign of b; a zero too takes it. Integers modulo 0 give 0."""
    if not jnp.issubdtype(a.dtype, jnp.floating):
        zero = b == 0
        return jnp.where(zero, 0, jnp.remainder(a, jnp.where(zero, 1, b)))
    rest = jnp.remainder(a, b)
    return jnp.where(rest == 0, jnp.copysign(rest, b), rest)


def floor_divide(a: Array, b: Array) -> Array:
    """Python's //. Integers over 0 give 0; a zero has the quotient's sign, as in NumPy."""
    if not jnp.issubdtype(a.dtype, jnp.floating):
        zero = b == 0
        return jnp.where(zero, 0, jnp.floor_divide(a, jnp.where(zero, 1, b)))
    whole = jnp.floor_divide(a, b)
    return jnp.where(whole == 0, jnp.copysign(whole, a / b), whole)


def log1p(x: Array) -> Array:
    """XLA's, in float64, is a hundred roundings off from -0.4142 to -0.3758: there by 1 / (1 + x).

    log(1 + x) itself doesn't help: XLA makes log1p of it.
    """
    if x.dtype != jnp.float64:
        return lax.log1p(x)
    near = (x > -0.5) & (x < -0.25)
    return jnp.where(near, -lax.log1p(jnp.where(near, -x / (1 + x), x)), lax.log1p(x))


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


# Movement: one XLA operation each.


def pad(x: Array, *, widths: Any, value: Any) -> Array:
    return lax.pad(x, jnp.asarray(value, x.dtype), widths)


def slice_(x: Array, *, starts: Any, stops: Any, steps: Any) -> Array:
    return lax.slice(x, starts, stops, steps)


_DEFAULTS = array_api.kernels(jnp)

KERNELS: dict[str, Kernel] = {
    "erf": lax.erf,
    "remainder": remainder,
    "floor_divide": floor_divide,
    "log1p": log1p,
    "pow": power,
    "argmax": argmax,
    **indexing.KERNELS,
    "pad": pad,
    "slice": slice_,
    "matmul": matmul,
    "random_bits": _DEFAULTS["random_bits"],
    **windows.KERNELS,
}
