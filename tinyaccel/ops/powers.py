"""Powers and logarithms that are made of others: to the bases 2 and 10, roots below the line."""

from __future__ import annotations

import math

from tinyaccel.op import Interval
from tinyaccel.ops.define import composite
from tinyaccel.ops.elementwise import (
    abs,
    equal,
    exp,
    log,
    log1p,
    maximum,
    pow,
    sigmoid,
    sqrt,
    sub,
    where,
)
from tinyaccel.ops.rounding import round
from tinyaccel.tensor import Tensor, TensorLike

_away = Interval(-4, 4, away_from_zero=0.05)
_positive = (Interval(1e-6, 1e6),)


@composite(domain=(_away,), vjp=(lambda g, y, x: -g * y * y,))
def reciprocal(x: Tensor) -> Tensor:
    """1 / x; inf or -inf at 0, by the sign of the zero."""
    return 1 / x


@composite(domain=_positive, vjp=(lambda g, y, x: g * -0.5 * y / x,))
def rsqrt(x: Tensor) -> Tensor:
    """1 / sqrt(x); inf at 0, NaN below."""
    return 1 / sqrt(x)


@composite(domain=(Interval(-80, 80),), vjp=(lambda g, y, x: g * y * math.log(2),))
def exp2(x: Tensor) -> Tensor:
    """2**x"""
    return pow(2, x)


def _logarithm(x: Tensor, base: int) -> Tensor:
    """log(x) / log(base), set right where rounding would take the power of an integer off it."""
    quotient = log(x) / math.log(base)
    whole = round(quotient)
    return where(equal(pow(base, whole), x), whole, quotient)


@composite(domain=_positive, vjp=(lambda g, y, x: g / (x * math.log(2)),))
def log2(x: Tensor) -> Tensor:
    """The logarithm to the base 2, whole for whole powers; NaN below 0, -inf at 0.

    >>> import tinyaccel as ta
    >>> ta.log2(ta.tensor([0.5, 1.0, 8.0]))
    tensor([-1.,  0.,  3.])
    """
    return _logarithm(x, 2)


@composite(domain=_positive, vjp=(lambda g, y, x: g / (x * math.log(10)),))
def log10(x: Tensor) -> Tensor:
    """The logarithm to the base 10, whole for whole powers; NaN below 0, -inf at 0."""
    return _logarithm(x, 10)


def _apart(a: TensorLike, b: TensorLike) -> Tensor:
    """a - b, and 0 between equal infinities too."""
    return where(equal(a, b), 0, sub(a, b))


@composite(broadcasts=True, domain=(Interval(-30, 30), Interval(-30, 30)),
           vjp=(lambda g, y, a, b: g * sigmoid(_apart(a, b)),
                lambda g, y, a, b: g * sigmoid(_apart(b, a))))  # fmt: skip
def logaddexp(a: TensorLike, b: TensorLike) -> Tensor:
    """log(e**a + e**b), without overflow; -inf for two of them.

    a, b: floats (integers become float32) of shapes that broadcast.
    """
    distance = _apart(a, b)
    return maximum(a, b) + log1p(exp(-abs(distance)))
