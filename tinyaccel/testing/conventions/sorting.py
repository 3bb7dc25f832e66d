"""Conventions of sorting: equals, NaN, zeros of both signs, nothing."""

from __future__ import annotations

from collections.abc import Sequence

from tinyaccel.testing.conventions.common import INF, NAN, Convention, c

_MIXED = [1.0, NAN, -INF, 0.0, NAN, INF, -0.0, 1.0]

# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("equals keep their order", "argsort", [2.0, 1.0, 2.0, 1.0], to=[1, 3, 0, 2]),
    c("equals keep their order when descending", "argsort", [2.0, 1.0, 2.0, 1.0], descending=True,
      to=[0, 2, 1, 3]),
    c("NaN is the largest, -0.0 equals 0.0", "argsort", _MIXED, to=[2, 3, 6, 0, 7, 5, 1, 4]),
    c("NaN is the first when descending", "argsort", _MIXED, descending=True,
      to=[1, 4, 5, 0, 7, 3, 6, 2]),
    c("False is below True", "argsort", [True, False, True], to=[1, 0, 2]),
    c("nothing sorted is nothing", "argsort", [], to=[]),
    c("zeros keep their order and their signs", "sort", [0.0, -0.0, -1.0, -0.0],
      to=[-1, 0.0, -0.0, -0.0]),
    c("NaN comes last", "sort", [NAN, 1.0, -INF], to=[-INF, 1, NAN]),
    c("a gradient goes back to its element", "sort", [3.0, 1.0, 2.0], by=0, to=[1, 1, 1]),
)
# fmt: on
