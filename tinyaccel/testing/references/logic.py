"""References for questions asked of numbers: Python's own answers."""

from __future__ import annotations

import math

import numpy as np

from tinyaccel.testing.references.numbers import Array, each

_BOOL = np.empty(0, np.bool_)


def isnan(x: Array) -> Array:
    return each(math.isnan, x, like=_BOOL)


def isinf(x: Array) -> Array:
    return each(math.isinf, x, like=_BOOL)


def isfinite(x: Array) -> Array:
    return each(math.isfinite, x, like=_BOOL)


def signbit(x: Array) -> Array:
    return each(lambda v: v == v and math.copysign(1, v) < 0, x, like=_BOOL)


def copysign(a: Array, b: Array) -> Array:
    return each(lambda p, q: math.copysign(p, 1 if q != q else q), a, b)


def logical_and(a: Array, b: Array) -> Array:
    return each(lambda p, q: p != 0 and q != 0, a, b, like=_BOOL)


def logical_or(a: Array, b: Array) -> Array:
    return each(lambda p, q: p != 0 or q != 0, a, b, like=_BOOL)


def logical_xor(a: Array, b: Array) -> Array:
    return each(lambda p, q: (p != 0) != (q != 0), a, b, like=_BOOL)


def logical_not(x: Array) -> Array:
    return each(lambda v: v == 0, x, like=_BOOL)
