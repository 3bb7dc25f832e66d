"""What the other kernels are made of: the matrix product, and a choice between two spellings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from tinyaccel import shapes

Array: TypeAlias = jax.Array
PRECISION = {
    "highest": lax.Precision.HIGHEST,
    "high": lax.Precision.HIGH,
    "fast": lax.Precision.DEFAULT,
}


def by_platform(*arrays: Array, cpu: Callable[..., Array], default: Callable[..., Array]) -> Array:
    """One of two spellings of the same thing, as the platform that it is compiled for needs."""
    chosen: Array = lax.platform_dependent(*arrays, cpu=cpu, default=default)
    return chosen


def matmul(a: Array, b: Array, *, precision: str) -> Array:
    """The product; with a vector in it, in blocks of about sqrt(k) terms.

    On CPUs XLA multiplies matrices block by block, but adds a vector's products one after another,
    and the error of that grows with k.
    """
    chosen, shape = PRECISION[precision], shapes.matmul(a.shape, b.shape)
    a, b = a[None] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b
    k = a.shape[-1]
    rows, columns = a.shape[-2], b.shape[-1]
    vector = min(rows, columns) == 1 < max(rows, columns)  # with 1 x 1 it is a sum, and exact
    if k <= 256 or not vector or not jnp.issubdtype(a.dtype, jnp.floating):
        return jnp.matmul(a, b, precision=chosen).reshape(shape)
    block = math.isqrt(k)
    whole = k // block * block
    left = jnp.swapaxes(a[..., :whole].reshape(*a.shape[:-1], whole // block, block), -2, -3)
    right = b[..., :whole, :].reshape(*b.shape[:-2], whole // block, block, b.shape[-1])
    out = jnp.sum(jnp.matmul(left, right, precision=chosen), axis=-3)
    if whole < k:
        out = out + jnp.matmul(a[..., whole:], b[..., whole:, :], precision=chosen)
    return out.reshape(shape)
