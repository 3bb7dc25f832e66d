"""References for rounding: Python's own, with the sign that IEEE 754 gives a zero."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable

from tinyaccel.testing.references.numbers import Array, Number, each


def _whole(function: Callable[[float], int], x: Array) -> Array:
    def at(v: Number) -> Number:
        if isinstance(v, int) or not math.isfinite(v):
            return v
        return math.copysign(function(v), v)

    return each(at, x)


def floor(x: Array) -> Array:
    return _whole(math.floor, x)


def ceil(x: Array) -> Array:
    return _whole(math.ceil, x)


def trunc(x: Array) -> Array:
    return _whole(math.trunc, x)


def round(x: Array) -> Array:
    return _whole(builtins.round, x)
