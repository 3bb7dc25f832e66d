"""Conventions of angles: the signs of zeros, infinities, corners and edges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinyaccel.testing.conventions.common import INF, NAN, Convention, c


def _angles(*eighths: int) -> list[float]:
    """Eighths of a turn, as float32 has them."""
    return [float(np.float32(math.pi / 4 * n)) for n in eighths]


# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("atan2 of zeros goes by their signs", "atan2", [0.0, -0.0, 0.0, -0.0], [0.0, 0.0, -0.0, -0.0],
      to=[0, -0.0, *_angles(4, -4)]),
    c("atan2 of infinities", "atan2", [INF, INF, -INF, 1.0, -1.0], [INF, -INF, 1.0, INF, -INF],
      to=[*_angles(1, 3, -2), 0, *_angles(-4)]),
    c("atan2's slope at the corner is 0", "atan2", [0.0], [0.0], by=0, to=[0]),
    c("atan2's slope at the corner is 0", "atan2", [0.0], [0.0], by=1, to=[0]),
    c("atan2's slopes don't overflow", "atan2", [0.0, 0.0], [2.0**100, 2.0**-100], by=0,
      to=[2.0**-100, 2.0**100]),
    c("hypot: inf wins over NaN", "hypot", [INF, NAN, NAN], [NAN, -INF, 1.0], to=[INF, INF, NAN]),
    c("hypot neither overflows nor underflows", "hypot", [3 * 2.0**125, 3 * 2.0**-100],
      [2.0**127, 2.0**-98], to=[5 * 2.0**125, 5 * 2.0**-100]),
    c("hypot'(0, 0) is 0", "hypot", [0.0, 3.0], [0.0, 0.0], by=0, to=[0, 1]),
    c("hypot'(0, 0) is 0", "hypot", [0.0, 3.0], [-0.0, 0.0], by=1, to=[0, 0]),
    c("no angle has a sine above 1", "asin", [1.5, -1.5, -0.0], to=[NAN, NAN, -0.0]),
    c("nor a cosine", "acos", [1.5, -1.5, 1.0, -1.0], to=[NAN, NAN, 0, *_angles(4)]),
    c("atan of infinities", "atan", [INF, -INF, -0.0], to=[*_angles(2, -2), -0.0]),
    c("asin'(1) is infinite", "asin", [1.0, 0.0], by=0, to=[INF, 1]),
    c("no cosh is below 1", "acosh", [1.0, 0.5, -3.0, INF], to=[0, NAN, NAN, INF]),
    c("tanh stays within 1", "atanh", [1.0, -1.0, 1.5, -0.0], to=[INF, -INF, NAN, -0.0]),
    c("sinh of infinities", "sinh", [INF, -INF, -0.0], to=[INF, -INF, -0.0]),
    c("cosh of infinities", "cosh", [INF, -INF, 0.0], to=[INF, INF, 1]),
    c("asinh of infinities", "asinh", [INF, -INF, -0.0], to=[INF, -INF, -0.0]),
)
# fmt: on
