"""Conventions of special values, signs and truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyaccel.testing.conventions.common import INF, NAN, Convention, c

_SPECIAL = [NAN, INF, -INF, -0.0, 3.0]
# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("isnan", "isnan", _SPECIAL, to=[1, 0, 0, 0, 0]),
    c("isinf", "isinf", _SPECIAL, to=[0, 1, 1, 0, 0]),
    c("isfinite", "isfinite", _SPECIAL, to=[0, 0, 0, 1, 1]),
    c("integers are finite", "isfinite", np.array([0, 2**31 - 1], np.int32), to=[1, 1]),
    c("-0.0 has its sign bit set", "signbit", [-0.0, 0.0, -INF, NAN, 1.0], to=[1, 0, 1, 0, 0]),
    c("copysign takes the sign of -0.0", "copysign", [1.0, -1.0, 0.0, 2.0], [-0.0, 0.0, -1.0, NAN],
      to=[-1, 1, -0.0, 2]),
    c("copysign's slope at 0 is 0", "copysign", [0.0, 2.0, -2.0], [-1.0, -1.0, -1.0], by=0,
      to=[0, -1, 1]),
    c("NaN is true, and both zeros are false", "logical_not", [NAN, 0.0, -0.0, 0.5],
      to=[0, 1, 1, 0]),
    c("numbers are true but for 0", "logical_and", np.array([2, 1, 0], np.int32),
      np.array([1, 0, 0], np.int32), to=[1, 0, 0]),
)
# fmt: on
