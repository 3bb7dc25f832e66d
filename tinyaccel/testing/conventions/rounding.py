"""Conventions of rounding: halves, the sign of zero, no gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyaccel.testing.conventions.common import INF, NAN, Convention, c

_ODD = [-0.5, -0.0, 0.0, NAN, INF, -INF]
# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("round takes the even one of two", "round", [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 8388609.0],
      to=[-2, -2, -0.0, 0, 2, 2, 8388609]),
    c("just below a half rounds down", "round", [0.49999997, -0.49999997, 4194303.5],
      to=[0, -0.0, 4194304]),
    c("round keeps the sign of zero", "round", _ODD, to=[-0.0, -0.0, 0, NAN, INF, -INF]),
    c("ceil(-0.5) is -0.0", "ceil", _ODD, to=[-0.0, -0.0, 0, NAN, INF, -INF]),
    c("trunc(-0.5) is -0.0", "trunc", _ODD, to=[-0.0, -0.0, 0, NAN, INF, -INF]),
    c("floor(-0.0) is -0.0", "floor", _ODD, to=[-1, -0.0, 0, NAN, INF, -INF]),
    *(c(f"{name} has no gradient", name, [-0.5, 0.0, 1.5], by=0, to=[0, 0, 0])
      for name in ("floor", "ceil", "round", "trunc")),
    *(c(f"{name} of integers gives them back", name, np.array([2**62 + 1, -3]), to=[2**62 + 1, -3])
      for name in ("floor", "ceil", "round", "trunc")),
)
# fmt: on
