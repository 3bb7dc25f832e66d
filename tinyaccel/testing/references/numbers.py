"""One number at a time, and exactly: what all references are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Number: TypeAlias = Any  # bool, int, float or mpmath's mpf
Index: TypeAlias = tuple[int, ...]

DIGITS = 50
LONG = np.dtype(np.longdouble)


def is_float(a: Array) -> bool:
    """Also of bfloat16, which NumPy counts among no numbers."""
    return a.dtype.kind not in "biu"


def numbers(a: Array) -> Array:
    """The elements as Python's bool, int or float, each exactly."""
    return (a.astype(np.float64) if is_float(a) else a).astype(object)


def long(value: Number) -> np.longdouble:
    """An mpf or a float as a longdouble, to all the digits that it has."""
    import mpmath

    if isinstance(value, float | int):
        return np.longdouble(value)
    if isinstance(value, mpmath.mpc) or mpmath.isnan(value):
        return np.longdouble(math.nan)
    if mpmath.isinf(value):
        return np.longdouble(math.copysign(math.inf, value))
    mantissa, exponent = mpmath.frexp(value)
    high = float(mantissa)
    exact = np.longdouble(high) + np.longdouble(float(mantissa - high))
    return np.longdouble(np.ldexp(exact, exponent))


def packed(values: Array, like: Array) -> Array:
    """Numbers as an array: longdouble for floats, `like`'s dtype, wrapped around, for the rest."""
    if is_float(like):
        with np.errstate(all="ignore"):
            return np.asarray(np.frompyfunc(long, 1, 1)(values)).astype(LONG)
    if like.dtype.kind == "b":
        return values.astype(np.bool_)
    bits = 8 * like.dtype.itemsize
    wrapped = np.asarray(np.frompyfunc(lambda v: int(v) % 2**bits, 1, 1)(values))
    return wrapped.astype(np.uint64).astype(like.dtype)


def each(function: Callable[..., Number], *arrays: Array, like: Array | None = None) -> Array:
    """`function` of each element, or of each pair; floats stay Python's own."""
    arrays = tuple(np.broadcast_arrays(*arrays))
    with np.errstate(all="ignore"):
        values = np.frompyfunc(function, len(arrays), 1)(*map(numbers, arrays))
    return packed(np.asarray(values, dtype=object), arrays[0] if like is None else like)


def exactly(name: str, *arrays: Array) -> Array:
    """mpmath's function called `name`, of each element."""
    import mpmath

    function = getattr(mpmath.mp, name)
    with mpmath.workdps(DIGITS):
        return each(lambda *v: function(*map(mpmath.mpf, v)), *arrays)


def total(terms: Iterable[Number]) -> Number:
    """The sum, correctly rounded to float64; integers exactly."""
    terms = list(terms)
    if all(isinstance(t, int) for t in terms):
        return sum(terms)
    if not all(map(math.isfinite, terms)):
        return sum(t for t in terms if not math.isfinite(t))
    return math.fsum(terms)


def product(factors: Iterable[Number]) -> Number:
    """The product: of integers exactly, of floats with 50 digits."""
    import mpmath

    factors = list(factors)
    if all(isinstance(f, int) for f in factors):
        return math.prod(factors)
    with mpmath.workdps(DIGITS):
        return mpmath.fprod(factors)


def halves(x: float) -> tuple[float, float]:
    """x as two numbers of at most 27 bits (Dekker 1971), so that products of halves are exact."""
    big = x * 134217729.0
    high = big - (big - x)
    return high, x - high


def dot(pairs: Iterable[tuple[Number, Number]], wide: bool) -> Number:
    """The sum of products. `wide`: of float64, whose products don't fit float64."""
    pairs = list(pairs)
    if not wide or not all(math.isfinite(a) and math.isfinite(b) for a, b in pairs):
        return total([a * b for a, b in pairs])
    return total([p * q for a, b in pairs for p in halves(a) for q in halves(b)])


def filled(shape: Index, at: Callable[[Index], Number], like: Array) -> Array:
    """An array whose element at each index is `at(index)`."""
    out = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        out[index] = at(index)
    return packed(out, like)
