"""Conventions of powers and logarithms: poles, whole powers, infinities."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinyaccel.testing.conventions.common import INF, NAN, Convention, c

# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("1 / -0.0 is -inf", "reciprocal", [0.0, -0.0, INF], to=[INF, -INF, 0]),
    c("rsqrt's pole, and what is below it", "rsqrt", [0.0, -1.0, INF], to=[INF, NAN, 0]),
    c("log2 of powers of 2 is whole", "log2", [2.0**-126, 2.0**-29, 0.5, 1.0, 8.0, 2.0**127],
      to=[-126, -29, -1, 0, 3, 127]),
    c("log10 of powers of 10 is whole", "log10", [1.0, 10.0, 1e3, 1e6, 1e10], to=[0, 1, 3, 6, 10]),
    c("log2's pole and what is below it", "log2", [0.0, -1.0, INF, NAN], to=[-INF, NAN, INF, NAN]),
    c("log10's pole and what is below it", "log10", [0.0, -1.0, INF], to=[-INF, NAN, INF]),
    c("exp2 of integers is exact", "exp2", [-126.0, -1.0, 0.0, 10.0, 128.0, -INF],
      to=[2.0**-126, 0.5, 1, 1024, INF, 0]),
    c("logaddexp of infinities", "logaddexp", [-INF, INF, INF, 1.0], [-INF, INF, -INF, -INF],
      to=[-INF, INF, INF, 1]),
    c("logaddexp doesn't overflow", "logaddexp", [1e4], [1e4],
      to=[float(np.float32(1e4 + math.log(2)))]),
    c("logaddexp's slopes of infinities", "logaddexp", [-INF, INF, 1.0], [-INF, INF, -INF], by=0,
      to=[0.5, 0.5, 1]),
)
# fmt: on
