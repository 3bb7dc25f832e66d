"""Questions asked of numbers one by one: special values, signs, and the logic of true and false."""

from __future__ import annotations

import math

from tinyaccel import dtypes
from tinyaccel.op import EXACT, Interval
from tinyaccel.ops.define import composite
from tinyaccel.ops.elementwise import (
    abs,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    div,
    equal,
    less,
    not_equal,
    where,
)
from tinyaccel.tensor import Tensor, TensorLike, apply

# Special values; integers have none.


@composite(budget=EXACT)
def isnan(x: TensorLike) -> Tensor:
    """Whether x is NaN, as bool: the one value that differs from itself."""
    return not_equal(x, x)


@composite(budget=EXACT)
def isinf(x: TensorLike) -> Tensor:
    """Whether x is inf or -inf, as bool."""
    return equal(abs(x), math.inf)


@composite(budget=EXACT)
def isfinite(x: TensorLike) -> Tensor:
    """Whether x is neither NaN, inf nor -inf, as bool."""
    return less(abs(x), math.inf)


# Signs


@composite(budget=EXACT)
def signbit(x: TensorLike) -> Tensor:
    """Whether x is below 0, or is -0.0, as bool; False for NaN, whatever its sign.

    >>> import tinyaccel as ta
    >>> ta.signbit(ta.tensor([-0.0, 0.0, -2.0]))
    tensor([ True, False,  True])
    """
    return less(where(equal(x, 0), div(1, x), x), 0)  # 1 / -0.0 is -inf


@composite(broadcasts=True, domain=(Interval(), Interval()), budget=EXACT)
def copysign(a: TensorLike, b: TensorLike) -> Tensor:
    """|a| with b's sign, that of -0.0 too; a NaN counts as positive.

    a, b: floats (integers become float32) of shapes that broadcast. The gradient by a is 1 where
    the signs agree and -1 where they don't, 0 at a = 0; there is none by b.
    """
    size = abs(a)
    return where(signbit(b), -size, size)


# Logic. Of numbers, 0 is false and the rest, NaN too, is true.


def truth(x: TensorLike) -> Tensor:
    """x as bool."""
    return apply("astype", x, dtype=dtypes.bool_)


@composite(takes="any", broadcasts=True, domain=(Interval(), Interval()), budget=EXACT)
def logical_and(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether a and b both are true, as bool; of numbers, all but 0 are."""
    return bitwise_and(truth(a), truth(b))


@composite(takes="any", broadcasts=True, domain=(Interval(), Interval()), budget=EXACT)
def logical_or(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether a or b is true, or both are, as bool; of numbers, all but 0 are."""
    return bitwise_or(truth(a), truth(b))


@composite(takes="any", broadcasts=True, domain=(Interval(), Interval()), budget=EXACT)
def logical_xor(a: TensorLike, b: TensorLike) -> Tensor:
    """Whether one of a and b is true and the other isn't, as bool; of numbers, all but 0 are."""
    return bitwise_xor(truth(a), truth(b))


@composite(takes="any", budget=EXACT)
def logical_not(x: TensorLike) -> Tensor:
    """Whether x is false, as bool; of numbers, only 0 is."""
    return bitwise_not(truth(x))
