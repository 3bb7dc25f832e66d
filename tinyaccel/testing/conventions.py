"""Where mathematics leaves a choice: what was chosen, as a table that every device is held to.

Gradients at kinks and ties, NaN, empty reductions, overflow, division by zero: finite differences
can't judge these, and random inputs rarely meet them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tinyaccel import dtypes
from tinyaccel.autograd import grad
from tinyaccel.dtypes import DType
from tinyaccel.errors import IndexRangeError, ShapeError, TinyaccelError
from tinyaccel.jit import jit
from tinyaccel.tensor import Tensor, apply, tensor

Values: TypeAlias = Any  # a number, or nested lists of them
NAN, INF = math.nan, math.inf


@dataclass(frozen=True)
class Convention:
    """One choice: these inputs and attributes give this result, or this gradient by input `by`.

    expected  numbers, or an exception's type; or both, in a tuple, where a device may raise the
              one or return the other
    """

    says: str
    op: str
    inputs: tuple[Values, ...]
    attrs: dict[str, Any]
    expected: Values | type[Exception] | tuple[type[Exception], Values]
    by: int | None = None

    def run(self, device: Any, *, jitted: bool = False) -> Tensor:
        """What the op does on a device."""

        def call(*xs: Tensor) -> Tensor:
            return apply(self.op, *xs, **self.attrs)

        def slope(*xs: Tensor) -> Tensor:
            assert self.by is not None
            found = grad(lambda *moving: call(*moving).sum(), self.by)(*xs)
            assert isinstance(found, Tensor)
            return found

        function: Callable[..., Tensor] = call if self.by is None else slope
        given = [tensor(v, device=device, dtype=_dtype(v)) for v in self.inputs]
        return jit(function)(*given) if jitted else function(*given)

    def verify(self, device: Any, *, jitted: bool = False) -> str | None:
        """None, or how the device deviates."""
        raises, wanted = (
            self.expected if isinstance(self.expected, tuple) else (None, self.expected)
        )
        if isinstance(wanted, type):
            raises, wanted = wanted, None
        try:
            got = self.run(device, jitted=jitted).numpy()
        except TinyaccelError as error:
            if raises is not None and isinstance(error, raises):
                return None
            return f"{self.says}: raised {type(error).__name__}: {error}"
        if wanted is None:
            return f"{self.says}: got {got.tolist()}; expected {raises.__name__ if raises else ''}"
        exact = np.asarray(wanted, dtype=np.float64)
        same = got.shape == exact.shape and np.array_equal(
            got.astype(np.float64), exact, equal_nan=True
        )
        signs = np.signbit(got.astype(np.float64)) == np.signbit(exact)
        if same and (self.by is not None or signs[exact == 0].all()):  # slopes have no signed 0
            return None
        return f"{self.says}: got {got.tolist()}, expected {exact.tolist()}"


def _dtype(values: Values) -> DType:
    """An array's own; float32 for lists, bool for lists of bools."""
    kind = np.asarray(values).dtype
    if isinstance(values, np.ndarray):
        return dtypes.as_dtype(kind)
    return dtypes.bool_ if kind == np.bool_ else dtypes.float32


def _c(
    says: str, op: str, *inputs: Values, to: Any, by: int | None = None,
    **attrs: Any,
) -> Convention:  # fmt: skip
    return Convention(says, op, inputs, attrs, to, by)


_I8, _I32, _U8 = dtypes.int8, dtypes.int32, dtypes.uint8
_POOL = {"kernel": 2, "stride": None, "padding": 0}
_FLAT = [[[[1.0, 1.0], [1.0, 1.0]]]]


def _indices(*values: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.array(values, np.int32)


# fmt: off
CONVENTIONS: Sequence[Convention] = (
    # Kinks
    _c("relu'(0) is 0", "relu", [-1.0, 0.0, -0.0, 2.0], by=0, to=[0, 0, 0, 1]),
    _c("relu keeps NaN", "relu", [NAN, -INF, INF], to=[NAN, 0, INF]),
    _c("abs'(0) is 0", "abs", [-2.0, 0.0, -0.0, 3.0], by=0, to=[-1, 0, 0, 1]),
    _c("floor has no gradient", "floor", [-0.5, 0.0, 1.5], by=0, to=[0, 0, 0]),
    _c("sign has no gradient", "sign", [-0.5, 0.0, 1.5], by=0, to=[0, 0, 0]),
    _c("clip's bounds pass the gradient", "clip", [-2.0, -1.0, 0.0, 1.0, 2.0], by=0,
       low=-1.0, high=1.0, to=[0, 1, 1, 1, 0]),
    _c("sqrt'(0) is infinite", "sqrt", [0.0, 4.0], by=0, to=[INF, 0.25]),
    # Ties
    _c("maximum's ties share", "maximum", [1.0, 2.0, 0.0], [1.0, 1.0, 3.0], by=0, to=[0.5, 1, 0]),
    _c("maximum's ties share", "maximum", [1.0, 2.0, 0.0], [1.0, 1.0, 3.0], by=1, to=[0.5, 0, 1]),
    _c("minimum's ties share", "minimum", [1.0, 2.0, 0.0], [1.0, 1.0, 3.0], by=0, to=[0.5, 0, 1]),
    _c("minimum's ties share", "minimum", [1.0, 2.0, 0.0], [1.0, 1.0, 3.0], by=1, to=[0.5, 1, 0]),
    _c("max's ties share", "max", [2.0, 1.0, 2.0], by=0, axis=0, to=[0.5, 0, 0.5]),
    _c("max's ties share", "max", [3.0, 3.0, 3.0, 3.0], by=0, axis=0, to=[0.25] * 4),
    _c("min's ties share", "min", [2.0, 1.0, 1.0], by=0, axis=0, to=[0, 0.5, 0.5]),
    _c("max_pool2d takes the first maximum", "max_pool2d", _FLAT, by=0, **_POOL,
       to=[[[[1, 0], [0, 0]]]]),
    _c("max_pool2d takes the first maximum", "max_pool2d", [[[[0.0, 1.0], [1.0, 1.0]]]], by=0,
       **_POOL, to=[[[[0, 1], [0, 0]]]]),
    _c("argmax takes the first of equals", "argmax", [1.0, 3.0, 3.0], axis=0, to=1),
    # NaN
    _c("maximum propagates NaN", "maximum", [NAN, 1.0], [1.0, NAN], to=[NAN, NAN]),
    _c("minimum propagates NaN", "minimum", [NAN, 1.0], [1.0, NAN], to=[NAN, NAN]),
    _c("max propagates NaN", "max", [1.0, NAN, 2.0], axis=0, to=NAN),
    _c("min propagates NaN", "min", [1.0, NAN, 2.0], axis=0, to=NAN),
    _c("max_pool2d propagates NaN", "max_pool2d", [[[[1.0, NAN], [2.0, 0.0]]]], **_POOL,
       to=[[[[NAN]]]]),
    _c("argmax takes the first NaN", "argmax", [1.0, NAN, 9.0, NAN], axis=0, to=1),
    _c("a NaN maximum passes no gradient on", "max", [1.0, NAN], by=0, axis=0, to=[0, 0]),
    _c("NaN equals nothing", "equal", [NAN, 1.0], [NAN, 1.0], to=[0, 1]),
    _c("NaN differs from everything", "not_equal", [NAN, 1.0], [NAN, 1.0], to=[1, 0]),
    _c("NaN is not less", "less", [NAN, 1.0], [1.0, NAN], to=[0, 0]),
    _c("where passes no gradient to what it leaves", "where", [True, False], [1.0, 2.0],
       [NAN, 3.0], by=2, to=[0, 1]),
    # Poles and powers
    _c("log's pole and what is below it", "log", [0.0, -1.0], to=[-INF, NAN]),
    _c("no root below 0", "sqrt", [-1.0, -0.0], to=[NAN, -0.0]),
    _c("division by 0", "div", [1.0, -1.0, 0.0], [0.0, 0.0, 0.0], to=[INF, -INF, NAN]),
    _c("0**0 is 1, 0**-1 infinite", "pow", [0.0, 0.0, 0.0], [0.0, -1.0, 2.0], to=[1, INF, 0]),
    _c("a base below 0 takes whole powers only", "pow", [-2.0, -2.0, -2.0], [2.0, 3.0, 0.5],
       to=[4, -8, NAN]),
    _c("pow's base at 0", "pow", [0.0, 0.0, 0.0], [0.0, 1.0, 2.0], by=0, to=[0, 1, 0]),
    _c("pow's exponent at a base of 0", "pow", [0.0, 0.0, 1.0], [0.0, 2.0, 2.0], by=1,
       to=[0, 0, 0]),
    _c("softmax doesn't overflow", "softmax", [1e4, 1e4, -1e4], axis=0, to=[0.5, 0.5, 0]),
    # Nothing
    _c("an empty sum is 0", "sum", [[], []], axis=1, to=[0, 0]),
    _c("an empty mean is NaN", "mean", [[], []], axis=1, to=[NAN, NAN]),
    _c("an empty max raises", "max", [[], []], axis=1, to=ShapeError),
    _c("an empty min raises", "min", [[], []], axis=1, to=ShapeError),
    _c("an empty argmax raises", "argmax", [[], []], axis=1, to=ShapeError),
    _c("var divides by n", "var", [1.0, 3.0], axis=0, to=1),
    _c("dropout of everything is 0", "dropout", [1.0, 2.0], np.array([0, 2**32 - 1], np.uint32),
       p=1.0, to=[0, 0]),
    # Integers
    _c("float to int32 saturates, NaN becomes 0", "astype", [3e9, -3e9, NAN, 2.9, -2.9, INF],
       dtype=_I32, to=[2**31 - 1, -(2**31), 0, 2, -2, 2**31 - 1]),
    _c("float to uint8 saturates", "astype", [-5.0, 300.0, NAN, 7.9], dtype=_U8, to=[0, 255, 0, 7]),
    _c("int to int wraps", "astype", np.array([300, -1, 128], np.int32), dtype=_I8,
       to=[44, -1, -128]),
    _c("anything but 0 is True", "astype", [0.0, -0.0, NAN, 0.1], dtype=dtypes.bool_,
       to=[0, 0, 1, 1]),
    _c("integers wrap around", "add", np.array([127], np.int8), np.array([1], np.int8), to=[-128]),
    _c("the lowest integer has no positive", "abs", np.array([-128], np.int8), to=[-128]),
    _c("integers modulo 0 give 0", "remainder", np.array([5, -5], np.int32),
       np.array([0, 0], np.int32), to=[0, 0]),
    _c("floats modulo 0 give NaN", "remainder", [5.0], [0.0], to=[NAN]),
    _c("the remainder has the divisor's sign", "remainder", [-7.0, 7.0, -7.0], [3.0, -3.0, -3.0],
       to=[2, -2, -1]),
    _c("a left shift past the width gives 0", "shift_left", np.array([1, 1, 3], np.int32),
       np.array([31, 32, 40], np.int32), to=[-(2**31), 0, 0]),
    _c("a right shift past the width leaves the sign", "shift_right", np.array([8, -8], np.int32),
       np.array([40, 40], np.int32), to=[0, -1]),
    _c("an unsigned right shift past the width gives 0", "shift_right", np.array([200], np.uint8),
       np.array([9], np.uint8), to=[0]),
    _c("integers below the power 0 are whole", "pow", np.array([2, 1, -1, -1, 0], np.int32),
       np.array([-1, -2, -2, -3, -1], np.int32), to=[0, 1, 1, -1, 0]),
    _c("127 is no inverse of itself, though 127 * 127 wraps to 1", "pow",
       np.array([127], np.int8), np.array([-1], np.int8), to=[0]),
    _c("int / int is a float", "div", np.array([1, 3], np.int32), np.array([2, 4], np.int32),
       to=[0.5, 0.75]),
    _c("int8 is summed in 32 bits", "sum", np.array([100, 100], np.int8), axis=0, to=200),
    # Indices
    _c("a negative index counts back", "take_along_axis", [1.0, 2.0, 3.0], _indices(-1, -3), axis=0,
       to=[3, 1]),
    _c("an index out of range raises, or gives NaN", "take_along_axis", [1.0, 2.0], _indices(0, 2),
       axis=0, to=(IndexRangeError, [1, NAN])),
    _c("an index out of range raises, or gives NaN", "take_along_axis", [1.0, 2.0], _indices(-3, 1),
       axis=0, to=(IndexRangeError, [NAN, 2])),
    _c("an integer at an index out of range is 0", "take_along_axis", np.array([4, 5], np.int32),
       _indices(1, 7), axis=0, to=(IndexRangeError, [5, 0])),
    _c("a label that is no class raises, or gives NaN", "cross_entropy", [[1.0, 2.0]], _indices(2),
       to=(IndexRangeError, NAN)),
)
# fmt: on
