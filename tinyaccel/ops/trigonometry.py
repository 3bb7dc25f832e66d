"""Angles and hyperbolic functions: one primitive, atan2, of which the other inverses are made."""

from __future__ import annotations

import math

from tinyaccel.op import Interval
from tinyaccel.ops.define import FEW_ULPS, binary, composite
from tinyaccel.ops.elementwise import (
    abs,
    cos,
    equal,
    exp,
    expm1,
    less,
    log,
    log1p,
    maximum,
    minimum,
    sign,
    sin,
    sqrt,
    where,
)
from tinyaccel.ops.logic import isinf
from tinyaccel.tensor import Tensor, TensorLike, apply

_away = Interval(-4, 4, away_from_zero=0.05)


# Two sides of a triangle


def _per(side: Tensor | float, h: Tensor) -> Tensor:
    """side / h, and 0 at the corner, where both are 0."""
    return side / where(equal(h, 0), 1, h)


@composite(broadcasts=True, domain=(_away, Interval()),
           vjp=(lambda g, y, a, b: g * _per(a, y), lambda g, y, a, b: g * _per(b, y)))  # fmt: skip
def hypot(a: TensorLike, b: TensorLike) -> Tensor:
    """sqrt(a**2 + b**2), which overflows only where the result does; inf wins over NaN (IEEE 754).

    a, b: floats (integers become float32) of shapes that broadcast. Its gradient at (0, 0) is 0.
    """
    x, y = abs(a), abs(b)
    large, small = maximum(x, y), minimum(x, y)
    slope = _per(small, large)
    return where(isinf(x) | isinf(y), math.inf, large * sqrt(slope * slope + 1))


def _turn(g: Tensor, a: Tensor, b: Tensor, side: Tensor) -> Tensor:
    """g * side / (a**2 + b**2), and 0 at the corner; no square overflows.

    A product with 1 / h, because XLA makes side / (h * h) of side / h / h.
    """
    h = hypot(a, b)
    return g * _per(side, h) * _per(1, h)


atan2 = binary(
    "atan2",
    "The angle of the point (b, a), from -pi to pi, by IEEE 754's rules for zeros and infinities; "
    "its gradient at (0, 0) is 0",
    (lambda g, y, a, b: _turn(g, a, b, b), lambda g, y, a, b: -_turn(g, a, b, a)),
    takes="float",
    domain=(_away, Interval()),
    budget=FEW_ULPS,
)


# Sides from angles, and back


@composite(domain=(Interval(-1.3, 1.3),), vjp=(lambda g, y, x: g * (y * y + 1),))
def tan(x: Tensor) -> Tensor:
    """The tangent of x radians, sin(x) / cos(x)."""
    return sin(x) / cos(x)


_inside = (Interval(-0.9, 0.9),)  # away from the poles of the derivatives


def _side(x: Tensor) -> Tensor:
    """sqrt(1 - x**2), exact near 1; NaN beyond."""
    return sqrt((1 - x) * (x + 1))


@composite(domain=_inside, vjp=(lambda g, y, x: g / _side(x),))
def asin(x: Tensor) -> Tensor:
    """The angle from -pi/2 to pi/2 whose sine is x; NaN outside [-1, 1]."""
    return atan2(x, _side(x))


@composite(domain=_inside, vjp=(lambda g, y, x: -g / _side(x),))
def acos(x: Tensor) -> Tensor:
    """The angle from 0 to pi whose cosine is x; NaN outside [-1, 1]."""
    return atan2(_side(x), x)


@composite(vjp=(lambda g, y, x: g / (x * x + 1),))
def atan(x: Tensor) -> Tensor:
    """The angle from -pi/2 to pi/2 whose tangent is x."""
    return atan2(x, 1)


# Hyperbolic functions. Halves keep them finite as far as the result is.


@composite(domain=(Interval(-80, 80),), vjp=(lambda g, y, x: g * apply("cosh", x),))
def sinh(x: Tensor) -> Tensor:
    """(e**x - e**-x) / 2, exact near 0."""
    half = x * 0.5  # sinh(2h) = 2 sinh(h) cosh(h)
    return (expm1(half) - expm1(-half)) * (exp(half) * 0.5 + exp(-half) * 0.5)


@composite(domain=(Interval(-80, 80),), vjp=(lambda g, y, x: g * sinh(x),))
def cosh(x: Tensor) -> Tensor:
    """(e**x + e**-x) / 2"""
    rising, falling = exp(x * 0.5), exp(x * -0.5)
    return rising * 0.5 * rising + falling * 0.5 * falling


def _log_twice(x: Tensor) -> Tensor:
    """log(2 x), what asinh and acosh come to when 1 is nothing beside x**2."""
    return log(x) + math.log(2)


def _huge(x: Tensor) -> Tensor:
    """Where x**2 + 1 and x**2 - 1 are x**2, as far as their logarithms can tell."""
    return less(float(x.dtype.eps) ** -0.5, x)


@composite(vjp=(lambda g, y, x: g / hypot(x, 1),))
def asinh(x: Tensor) -> Tensor:
    """log(x + sqrt(x**2 + 1)), exact near 0: the number whose sinh is x."""
    size = abs(x)
    square = size * size
    ordinary = log1p(size + square / (sqrt(square + 1) + 1))
    return sign(x) * where(_huge(size), _log_twice(size), ordinary)


@composite(domain=(Interval(1.1, 1e6),),
           vjp=(lambda g, y, x: g / (sqrt(x - 1) * sqrt(x + 1)),))  # fmt: skip
def acosh(x: Tensor) -> Tensor:
    """log(x + sqrt(x**2 - 1)), exact near 1: the number from 0 whose cosh is x; NaN below 1."""
    over = x - 1
    return where(_huge(x), _log_twice(x), log1p(over + sqrt(over) * sqrt(x + 1)))


@composite(domain=_inside, vjp=(lambda g, y, x: g / ((1 - x) * (x + 1)),))
def atanh(x: Tensor) -> Tensor:
    """log((1 + x) / (1 - x)) / 2, exact near 0: the number whose tanh is x; NaN outside [-1, 1]."""
    size = abs(x)
    return sign(x) * (log1p(2 * size / (1 - size)) * 0.5)
