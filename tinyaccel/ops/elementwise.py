"""Elementwise ops: one line each, forward formula and gradient beside each other."""

from __future__ import annotations

import math

from tinyaccel import dtypes, shapes
from tinyaccel.dtypes import DType
from tinyaccel.errors import DTypeError
from tinyaccel.op import EXACT, Budget, Interval, Op, Spec, register
from tinyaccel.ops.define import FEW_ULPS, ROUNDED, binary, comparison, composite, unary
from tinyaccel.tensor import Tensor, TensorLike, apply

# fmt: off
# One input. In each rule, g is the gradient of the result y. A name that stands further down is
# looked up through `apply`.

neg = unary("neg", "-x", lambda g, y, x: -g, takes="number", budget=EXACT)
abs = unary("abs", "|x|; its gradient at 0 is 0", lambda g, y, x: g * apply("sign", x),
            takes="number", budget=EXACT)
exp = unary("exp", "e**x", lambda g, y, x: g * y, domain=Interval(-80, 80))
expm1 = unary("expm1", "e**x - 1, exact near 0", lambda g, y, x: g * (y + 1),
              domain=Interval(-80, 80))
log = unary("log", "The natural logarithm; NaN below 0, -inf at 0", lambda g, y, x: g / x,
            domain=Interval(1e-6, 1e6))
log1p = unary("log1p", "log(1 + x), exact near 0", lambda g, y, x: g / (x + 1),
              domain=Interval(-0.9, 1e6))
sqrt = unary("sqrt", "The square root; NaN below 0", lambda g, y, x: g * 0.5 / y,
             domain=Interval(1e-6, 1e6), budget=ROUNDED)
sin = unary("sin", "The sine of x radians", lambda g, y, x: g * apply("cos", x),
            domain=Interval(-100, 100))
cos = unary("cos", "The cosine of x radians", lambda g, y, x: -g * sin(x),
            domain=Interval(-100, 100))
tanh = unary("tanh", "(e**x - e**-x) / (e**x + e**-x)", lambda g, y, x: g * (1 - y * y),
             domain=Interval(-20, 20))
erf = unary("erf", "The error function, 2/sqrt(pi) * the integral of e**-t**2 from 0 to x",
            lambda g, y, x: g * (2 / math.sqrt(math.pi)) * exp(-(x * x)))
relu = unary("relu", "max(x, 0); its gradient at 0 is 0, and NaN stays NaN",
             lambda g, y, x: where(greater(y, 0), g, 0), takes="number", budget=EXACT)
# fmt: on

# Two inputs


def _share(g: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The part of g that goes to a where the larger of a and b was taken: half of it at a tie."""
    return g * where(equal(a, b), 0.5, less(b, a).astype(g.dtype))


def _pow_base(g: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """b * a**(b-1), which is 0 for b = 0 even where a = 0."""
    zero = equal(b, 0)
    return where(zero, 0, g * b * pow(a, where(zero, 1, b - 1)))


def _pow_exponent(g: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """a**b * log(a), which is taken as 0 where a = 0."""
    zero = equal(a, 0)
    return where(zero, 0, g * y * log(where(zero, 1, a)))


_positive = Interval(0.05, 8)
_divisor = Interval(-4, 4, away_from_zero=0.05)

# fmt: off
add = binary("add", "a + b", (lambda g, y, a, b: g, lambda g, y, a, b: g))
sub = binary("sub", "a - b", (lambda g, y, a, b: g, lambda g, y, a, b: -g))
mul = binary("mul", "a * b", (lambda g, y, a, b: g * b, lambda g, y, a, b: g * a))
div = binary("div", "a / b; integers give float32",
             (lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b),
             takes="float", domain=(Interval(), _divisor))
pow = binary("pow", "a**b; NaN for a base below 0 with a broken exponent",
             (_pow_base, _pow_exponent), domain=(_positive, Interval(-3, 3)), budget=FEW_ULPS)
maximum = binary("maximum", "The larger of a and b; ties share the gradient, NaN wins",
                 (lambda g, y, a, b: _share(g, a, b), lambda g, y, a, b: _share(g, b, a)),
                 takes="any", budget=EXACT)
minimum = binary("minimum", "The smaller of a and b; ties share the gradient, NaN wins",
                 (lambda g, y, a, b: _share(g, b, a), lambda g, y, a, b: _share(g, a, b)),
                 takes="any", budget=EXACT)
remainder = binary("remainder", "a - b*floor(a/b), with b's sign; integers modulo 0 give 0",
                   (lambda g, y, a, b: g, lambda g, y, a, b: g * ((y - a) / b)),
                   domain=(Interval(), _divisor))
floor_divide = binary("floor_divide", "floor(a / b) as Python has it; integers over 0 give 0, the "
                      "lowest over -1 wraps around; it has no gradient",
                      domain=(Interval(-40, 40), _divisor))

equal = comparison("equal", "a == b; NaN equals nothing")
less = comparison("less", "a < b; false with NaN")
less_equal = comparison("less_equal", "a <= b; false with NaN")

bitwise_and = binary("bitwise_and", "a & b: bits, or the logical and of bools", takes="integer",
                     budget=EXACT)
bitwise_or = binary("bitwise_or", "a | b: bits, or the logical or of bools", takes="integer",
                    budget=EXACT)
bitwise_xor = binary("bitwise_xor", "a ^ b: bits, or the exclusive or of bools", takes="integer",
                     budget=EXACT)
shift_left = binary("shift_left", "a << b; 0 from the width of the dtype on", takes="whole",
                    domain=(Interval(), Interval(0, 40)), budget=EXACT)
shift_right = binary("shift_right", "a >> b; fills with the sign, or with 0 if unsigned",
                     takes="whole", domain=(Interval(), Interval(0, 40)), budget=EXACT)
# fmt: on

# A choice, a cast


def _infer_where(condition: Spec, a: Spec, b: Spec) -> Spec:
    if condition.dtype is not dtypes.bool_:
        raise DTypeError(f"where: condition is {condition}; expected bool; compare it first")
    return Spec(shapes.broadcast("where", condition.shape, a.shape, b.shape), a.dtype)


register(
    Op(
        "where", "ternary", _infer_where, together=(1, 2), broadcasts=True,
        vjp=(None, lambda g, y, c, a, b: where(c, g, 0), lambda g, y, c, a, b: where(c, 0, g)),

        domain=(Interval(), Interval(), Interval()), doc="a where condition is true, else b",
    )
)  # fmt: skip


def where(condition: TensorLike, a: TensorLike, b: TensorLike) -> Tensor:
    """a where `condition` is true, else b.

    condition: bool; all three broadcast; a and b promote to one dtype.
    """
    return apply("where", condition, a, b)


register(
    Op(
        "astype", "cast", lambda x, *, dtype: Spec(x.shape, dtype),
        vjp=(lambda g, y, x, *, dtype: g.astype(x.dtype),),

        budget=Budget("elementwise", 0.5), doc="the same values in another dtype",
    )
)  # fmt: skip


def astype(x: Tensor, dtype: DType | str | type) -> Tensor:
    """x in another dtype.

    Floats round to the nearest; float to integer drops the fraction, saturates at the limits and
    makes 0 of NaN; integer to integer wraps around; anything but 0 is True.
    """
    return x.astype(dtype)


# Composites


def greater(a: TensorLike, b: TensorLike) -> Tensor:
    """a > b; false with NaN. The same op as `less`, the other way round."""
    return less(b, a)


def greater_equal(a: TensorLike, b: TensorLike) -> Tensor:
    """a >= b; false with NaN. The same op as `less_equal`, the other way round."""
    return less_equal(b, a)


@composite(takes="any", broadcasts=True, domain=(Interval(), Interval()), budget=EXACT)
def not_equal(a: TensorLike, b: TensorLike) -> Tensor:
    """a != b; NaN differs from everything."""
    return bitwise_not(equal(a, b))


@composite(takes="integer", budget=EXACT)
def bitwise_not(x: Tensor) -> Tensor:
    """~x: all bits turned, or the logical not of bools."""
    ones: int | bool = True
    if x.dtype is not dtypes.bool_:
        ones = -1 if x.dtype.kind == "int" else int(x.dtype.max)
    return bitwise_xor(x, ones)


@composite(takes="number", budget=EXACT, vjp=(None,))
def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1 as x is; zeros and NaN stay as they are. It has no gradient."""
    return where(greater(x, 0), 1, where(less(x, 0), -1 if x.dtype.kind != "uint" else 0, x))


@composite(takes="number",
           vjp=(lambda g, y, x: g * 2 * x,))  # fmt: skip
def square(x: Tensor) -> Tensor:
    """x * x"""
    return x * x


@composite(domain=(Interval(-60, 60),),
           vjp=(lambda g, y, x: g * y * (1 - y),))  # fmt: skip
def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e**-x)"""
    return 1 / (exp(-x) + 1)


@composite(takes="number",
           vjp=(lambda g, y, x, *, low, high: where(equal(x, y), g, 0),))  # fmt: skip
def clip(x: Tensor, /, low: float | None = None, high: float | None = None) -> Tensor:
    """x, but never below `low` or above `high`; at a bound the whole gradient still passes.

    A bound that is None isn't there. For bounds that are tensors, use `maximum` and `minimum`.
    """
    above = x if low is None else maximum(x, low)
    return above if high is None else minimum(above, high)
