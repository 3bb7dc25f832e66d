"""References for the elementwise ops: Python's numbers, and mpmath where a result is rounded."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from tinyaccel.dtypes import DType
from tinyaccel.testing.references.numbers import DIGITS, Array, Number, each, exactly, is_float


def _ordinary(name: str) -> Callable[[Array], Array]:
    return lambda x: exactly(name, x)


exp, expm1, sin, cos, tanh, erf = map(_ordinary, ("exp", "expm1", "sin", "cos", "tanh", "erf"))


def neg(x: Array) -> Array:
    return each(lambda v: -v, x)


def abs(x: Array) -> Array:  # the op's name, as in the rest of this file
    return each(lambda v: v if v > 0 else 0 - v, x)


def log(x: Array) -> Array:
    import mpmath

    def function(v: float) -> Number:
        return mpmath.log(v) if v > 0 else -math.inf if v == 0 else math.nan

    with mpmath.workdps(DIGITS):
        return each(function, x)


def log1p(x: Array) -> Array:
    import mpmath

    def function(v: float) -> Number:
        return mpmath.log1p(v) if v > -1 else -math.inf if v == -1 else math.nan

    with mpmath.workdps(DIGITS):
        return each(function, x)


def sqrt(x: Array) -> Array:
    import mpmath

    with mpmath.workdps(DIGITS):
        return each(lambda v: mpmath.sqrt(v) if v > 0 else v if v == 0 else math.nan, x)


def relu(x: Array) -> Array:
    return each(lambda v: 0 if v < 0 else v, x)


def sign(x: Array) -> Array:
    return each(lambda v: 1 if v > 0 else -1 if v < 0 else v, x)


def square(x: Array) -> Array:
    return mul(x, x)


def sigmoid(x: Array) -> Array:
    import mpmath

    with mpmath.workdps(DIGITS):
        return each(lambda v: 1 / (1 + mpmath.exp(-mpmath.mpf(v))), x)


def clip(x: Array, *, low: float | None, high: float | None) -> Array:
    bounds = [b for b in (low, high) if b is not None]
    whole = all(isinstance(b, int) for b in bounds)
    like = x if whole or is_float(x) else np.empty(0, np.float32)  # weak numbers promote

    def function(v: Number) -> Number:
        if low is not None and v < low:
            return low
        return high if high is not None and v > high else v

    return each(function, x, like=like)


def bitwise_not(x: Array) -> Array:
    return each(lambda v: not v if isinstance(v, bool) else -1 - v, x)


def astype(x: Array, *, dtype: DType) -> Array:
    like = np.empty(0, dtype.numpy)

    def whole(v: Number) -> Number:
        if v != v:
            return 0
        return int(min(max(v, dtype.min), dtype.max))

    if dtype.is_integer and is_float(x):
        return each(whole, x, like=like)
    return each(lambda v: v != 0 if dtype.kind == "bool" else v, x, like=like)


# Two numbers


def add(a: Array, b: Array) -> Array:
    return exactly("fadd", a, b) if is_float(a) else each(lambda p, q: p + q, a, b)


def sub(a: Array, b: Array) -> Array:
    return exactly("fsub", a, b) if is_float(a) else each(lambda p, q: p - q, a, b)


def mul(a: Array, b: Array) -> Array:
    return exactly("fmul", a, b) if is_float(a) else each(lambda p, q: p * q, a, b)


def div(a: Array, b: Array) -> Array:
    import mpmath

    def function(p: float, q: float) -> Number:
        if q == 0:
            sign = math.copysign(1, p) * math.copysign(1, q)
            return math.nan if p == 0 or p != p else sign * math.inf
        return mpmath.fdiv(p, q)

    with mpmath.workdps(DIGITS):
        return each(function, a, b)


def pow(a: Array, b: Array) -> Array:
    import mpmath

    def function(p: Number, q: Number) -> Number:
        if isinstance(p, int):  # a whole result below the power 0 have 1 and -1 only
            return p**q if q >= 0 else p ** (q % 2) if p in (1, -1) else 0
        if p == 0 or not (math.isfinite(p) and math.isfinite(q)):
            try:
                return math.pow(p, q)
            except ValueError:  # a pole at 0; its sign is that of an odd power
                return math.copysign(math.inf, p) if q % 2 == 1 else math.inf
        if p < 0 and not q.is_integer():
            return math.nan
        return mpmath.power(p, int(q) if q.is_integer() else q)

    with mpmath.workdps(DIGITS):
        return each(function, a, b)


def remainder(a: Array, b: Array) -> Array:
    def function(p: Number, q: Number) -> Number:
        if isinstance(p, int):
            return p % q if q else 0
        if q == 0 or not math.isfinite(p) or q != q:
            return math.nan
        if math.isinf(q):
            return p if p == 0 or (p > 0) == (q > 0) else q
        exact = Fraction(p) % Fraction(q)
        return float(exact)

    return each(function, a, b)


def floor_divide(a: Array, b: Array) -> Array:
    import mpmath

    def function(p: Number, q: Number) -> Number:
        if isinstance(p, int):
            return p // q if q else 0
        if p != p or q != q:
            return math.nan
        if q == 0:
            return math.copysign(math.inf, p) * math.copysign(1, q) if p else math.nan
        if math.isinf(p):
            return math.nan
        if math.isinf(q):
            return -1 if p != 0 and (p < 0) != (q < 0) else 0
        return mpmath.mpf(Fraction(p) // Fraction(q))

    with mpmath.workdps(DIGITS):
        return each(function, a, b)


def _larger(p: Number, q: Number) -> Number:
    return p if p != p or p >= q else q


def _smaller(p: Number, q: Number) -> Number:
    return p if p != p or p <= q else q


def maximum(a: Array, b: Array) -> Array:
    return each(_larger, a, b)


def minimum(a: Array, b: Array) -> Array:
    return each(_smaller, a, b)


_BOOL = np.empty(0, np.bool_)


def equal(a: Array, b: Array) -> Array:
    return each(lambda p, q: p == q, a, b, like=_BOOL)


def not_equal(a: Array, b: Array) -> Array:
    return each(lambda p, q: p != q, a, b, like=_BOOL)


def less(a: Array, b: Array) -> Array:
    return each(lambda p, q: p < q, a, b, like=_BOOL)


def less_equal(a: Array, b: Array) -> Array:
    return each(lambda p, q: p <= q, a, b, like=_BOOL)


def bitwise_and(a: Array, b: Array) -> Array:
    return each(lambda p, q: p & q, a, b)


def bitwise_or(a: Array, b: Array) -> Array:
    return each(lambda p, q: p | q, a, b)


def bitwise_xor(a: Array, b: Array) -> Array:
    return each(lambda p, q: p ^ q, a, b)


def shift_left(a: Array, b: Array) -> Array:
    return each(lambda p, q: int(p) << int(q), a, b)


def shift_right(a: Array, b: Array) -> Array:
    return each(lambda p, q: int(p) >> int(q), a, b)


def where(condition: Array, a: Array, b: Array) -> Array:
    return each(lambda c, p, q: p if c else q, condition, a, b, like=a)
