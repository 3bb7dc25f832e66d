"""References for powers and logarithms to other bases: mpmath, straight from the definition."""

from __future__ import annotations

import math

from tinyaccel.testing.references.numbers import DIGITS, Array, Number, each


def reciprocal(x: Array) -> Array:
    import mpmath

    with mpmath.workdps(DIGITS):
        return each(lambda v: mpmath.fdiv(1, v) if v else math.copysign(math.inf, v), x)


def rsqrt(x: Array) -> Array:
    import mpmath

    def function(v: float) -> Number:
        return 1 / mpmath.sqrt(v) if v > 0 else math.copysign(math.inf, v) if v == 0 else math.nan

    with mpmath.workdps(DIGITS):
        return each(function, x)


def exp2(x: Array) -> Array:
    import mpmath

    with mpmath.workdps(DIGITS):
        return each(lambda v: mpmath.power(2, v), x)


def _logarithm(x: Array, base: int) -> Array:
    import mpmath

    def function(v: float) -> Number:
        if v > 0:
            return mpmath.log(v) / mpmath.log(base)
        return -math.inf if v == 0 else math.nan

    with mpmath.workdps(DIGITS):
        return each(function, x)


def log2(x: Array) -> Array:
    return _logarithm(x, 2)


def log10(x: Array) -> Array:
    return _logarithm(x, 10)


def logaddexp(a: Array, b: Array) -> Array:
    import mpmath

    with mpmath.workdps(DIGITS):
        return each(lambda p, q: mpmath.log(mpmath.exp(p) + mpmath.exp(q)), a, b)
