"""References for angles and hyperbolic functions: mpmath's, and C's for zeros and infinities."""

from __future__ import annotations

import math
from collections.abc import Callable

from tinyaccel.testing.references.numbers import DIGITS, Array, Number, each, exactly


def _ordinary(name: str) -> Callable[[Array], Array]:
    return lambda x: exactly(name, x)


tan, sinh, cosh, asinh = map(_ordinary, ("tan", "sinh", "cosh", "asinh"))
asin, acos, acosh, atan = map(_ordinary, ("asin", "acos", "acosh", "atan"))


def atanh(x: Array) -> Array:
    import mpmath

    def function(v: float) -> Number:
        return math.copysign(math.inf, v) if abs(v) == 1 else mpmath.atanh(v)

    with mpmath.workdps(DIGITS):
        return each(function, x)


def hypot(a: Array, b: Array) -> Array:
    import mpmath

    def function(p: float, q: float) -> Number:
        if math.isinf(p) or math.isinf(q):
            return math.inf
        return mpmath.sqrt(mpmath.mpf(p) ** 2 + mpmath.mpf(q) ** 2)

    with mpmath.workdps(DIGITS):
        return each(function, a, b)


def atan2(a: Array, b: Array) -> Array:
    import mpmath

    def function(p: float, q: float) -> Number:
        if p == 0:  # mpmath has no -0.0
            return p if math.copysign(1, q) > 0 else math.copysign(1, p) * mpmath.pi
        if math.isfinite(p) and math.isfinite(q):
            return mpmath.atan2(p, q)
        return math.atan2(p, q)

    with mpmath.workdps(DIGITS):
        return each(lambda p, q: math.nan if p != p or q != q else function(p, q), a, b)
