"""Conventions of windows."""

from __future__ import annotations

from collections.abc import Sequence

from tinyaccel.testing.conventions.common import NAN, Convention, c

_POOL = {"kernel": 2, "stride": None, "padding": 0}
_FLAT = [[[[1.0, 1.0], [1.0, 1.0]]]]
# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("max_pool2d takes the first maximum", "max_pool2d", _FLAT, by=0, **_POOL,
      to=[[[[1, 0], [0, 0]]]]),
    c("max_pool2d takes the first maximum", "max_pool2d", [[[[0.0, 1.0], [1.0, 1.0]]]], by=0,
      **_POOL, to=[[[[0, 1], [0, 0]]]]),
    c("max_pool2d propagates NaN", "max_pool2d", [[[[1.0, NAN], [2.0, 0.0]]]], **_POOL,
      to=[[[[NAN]]]]),
)
# fmt: on
