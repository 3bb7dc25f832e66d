"""Conventions of numbers, one by one: kinks, ties, NaN, poles, overflow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyaccel import dtypes
from tinyaccel.testing.conventions.common import INF, NAN, Convention, c

_I8, _I32, _U8 = dtypes.int8, dtypes.int32, dtypes.uint8
# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("relu'(0) is 0", "relu", [-1.0, 0.0, -0.0, 2.0], by=0, to=[0, 0, 0, 1]),
    c("relu keeps NaN", "relu", [NAN, -INF, INF], to=[NAN, 0, INF]),
    c("abs'(0) is 0", "abs", [-2.0, 0.0, -0.0, 3.0], by=0, to=[-1, 0, 0, 1]),
    c("sign has no gradient", "sign", [-0.5, 0.0, 1.5], by=0, to=[0, 0, 0]),
    c("clip's bounds pass the gradient", "clip", [-2.0, -1.0, 0.0, 1.0, 2.0], by=0,
      low=-1.0, high=1.0, to=[0, 1, 1, 1, 0]),
    c("a bound of None isn't there", "clip", [-2.0, 2.0, NAN], low=None, high=1.0,
      to=[-2, 1, NAN]),
    c("sqrt'(0) is infinite", "sqrt", [0.0, 4.0], by=0, to=[INF, 0.25]),
    c("maximum's ties share", "maximum", [1.0, 2.0, 0.0], [1.0, 1.0, 3.0], by=0, to=[0.5, 1, 0]),
    c("maximum's ties share", "maximum", [1.0, 2.0, 0.0], [1.0, 1.0, 3.0], by=1, to=[0.5, 0, 1]),
    c("minimum's ties share", "minimum", [1.0, 2.0, 0.0], [1.0, 1.0, 3.0], by=0, to=[0.5, 0, 1]),
    c("minimum's ties share", "minimum", [1.0, 2.0, 0.0], [1.0, 1.0, 3.0], by=1, to=[0.5, 1, 0]),
    c("maximum propagates NaN", "maximum", [NAN, 1.0], [1.0, NAN], to=[NAN, NAN]),
    c("minimum propagates NaN", "minimum", [NAN, 1.0], [1.0, NAN], to=[NAN, NAN]),
    c("NaN equals nothing", "equal", [NAN, 1.0], [NAN, 1.0], to=[0, 1]),
    c("NaN differs from everything", "not_equal", [NAN, 1.0], [NAN, 1.0], to=[1, 0]),
    c("NaN is not less", "less", [NAN, 1.0], [1.0, NAN], to=[0, 0]),
    c("where passes no gradient to what it leaves", "where", [True, False], [1.0, 2.0],
      [NAN, 3.0], by=2, to=[0, 1]),
    c("log's pole and what is below it", "log", [0.0, -1.0], to=[-INF, NAN]),
    c("no root below 0", "sqrt", [-1.0, -0.0], to=[NAN, -0.0]),
    c("division by 0", "div", [1.0, -1.0, 0.0], [0.0, 0.0, 0.0], to=[INF, -INF, NAN]),
    c("0**0 is 1, 0**-1 infinite", "pow", [0.0, 0.0, 0.0], [0.0, -1.0, 2.0], to=[1, INF, 0]),
    c("a base below 0 takes whole powers only", "pow", [-2.0, -2.0, -2.0], [2.0, 3.0, 0.5],
      to=[4, -8, NAN]),
    c("pow's base at 0", "pow", [0.0, 0.0, 0.0], [0.0, 1.0, 2.0], by=0, to=[0, 1, 0]),
    c("pow's exponent at a base of 0", "pow", [0.0, 0.0, 1.0], [0.0, 2.0, 2.0], by=1,
      to=[0, 0, 0]),
    c("float to int32 saturates, NaN becomes 0", "astype", [3e9, -3e9, NAN, 2.9, -2.9, INF],
      dtype=_I32, to=[2**31 - 1, -(2**31), 0, 2, -2, 2**31 - 1]),
    c("float to uint8 saturates", "astype", [-5.0, 300.0, NAN, 7.9], dtype=_U8, to=[0, 255, 0, 7]),
    c("int to int wraps", "astype", np.array([300, -1, 128], np.int32), dtype=_I8,
      to=[44, -1, -128]),
    c("anything but 0 is True", "astype", [0.0, -0.0, NAN, 0.1], dtype=dtypes.bool_,
      to=[0, 0, 1, 1]),
    c("integers wrap around", "add", np.array([127], np.int8), np.array([1], np.int8), to=[-128]),
    c("the lowest integer has no positive", "abs", np.array([-128], np.int8), to=[-128]),
    c("integers modulo 0 give 0", "remainder", np.array([5, -5], np.int32),
      np.array([0, 0], np.int32), to=[0, 0]),
    c("floats modulo 0 give NaN", "remainder", [5.0], [0.0], to=[NAN]),
    c("integers over 0 are 0, the lowest over -1 wraps around", "floor_divide",
      np.array([5, -5, -128], np.int8), np.array([0, 0, -1], np.int8), to=[0, 0, -128]),
    c("floor_divide of floats by 0", "floor_divide", [5.0, -5.0, 0.0], [0.0, 0.0, 0.0],
      to=[INF, -INF, NAN]),
    c("floor_divide rounds down", "floor_divide", [7.0, -7.0, 7.0, 1.0, -1.0],
      [2.0, 2.0, -2.0, INF, INF], to=[3, -4, -4, 0, -1]),
    c("floor_divide of an infinity is NaN, as in Python", "floor_divide", [INF], [2.0], to=[NAN]),
    c("floor_divide of an infinity by 0 is one", "floor_divide", [INF, INF], [0.0, -0.0],
      to=[INF, -INF]),
    c("floor_divide has no gradient", "floor_divide", [5.0], [2.0], by=0, to=[0]),
    c("floor_divide has no gradient", "floor_divide", [5.0], [2.0], by=1, to=[0]),
    c("the remainder has the divisor's sign", "remainder", [-7.0, 7.0, -7.0], [3.0, -3.0, -3.0],
      to=[2, -2, -1]),
    c("a left shift past the width gives 0", "shift_left", np.array([1, 1, 3], np.int32),
      np.array([31, 32, 40], np.int32), to=[-(2**31), 0, 0]),
    c("a right shift past the width leaves the sign", "shift_right", np.array([8, -8], np.int32),
      np.array([40, 40], np.int32), to=[0, -1]),
    c("an unsigned right shift past the width gives 0", "shift_right", np.array([200], np.uint8),
      np.array([9], np.uint8), to=[0]),
    c("integers below the power 0 are whole", "pow", np.array([2, 1, -1, -1, 0], np.int32),
      np.array([-1, -2, -2, -3, -1], np.int32), to=[0, 1, 1, -1, 0]),
    c("127 is no inverse of itself, though 127 * 127 wraps to 1", "pow",
      np.array([127], np.int8), np.array([-1], np.int8), to=[0]),
    c("int / int is a float", "div", np.array([1, 3], np.int32), np.array([2, 4], np.int32),
      to=[0.5, 0.75]),
)
# fmt: on
