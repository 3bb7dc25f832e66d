"""Conventions of pooling: ties, NaN, what lies around the image, and no image at all."""

from __future__ import annotations

from collections.abc import Sequence

from tinyaccel.errors import ShapeError
from tinyaccel.testing.conventions.common import INF, NAN, Convention, c

_POOL = {"kernel": 2, "stride": None, "padding": 0}
_UP = {"kernel": 2, "stride": 2, "ceil_mode": True}
_FLAT = [[[[1.0, 1.0], [1.0, 1.0]]]]
_ROW = [[[[1.0, 5.0, 2.0]]]]
# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("max_pool2d takes the first maximum", "max_pool2d", _FLAT, by=0, **_POOL,
      to=[[[[1, 0], [0, 0]]]]),
    c("max_pool2d takes the first maximum", "max_pool2d", [[[[0.0, 1.0], [1.0, 1.0]]]], by=0,
      **_POOL, to=[[[[0, 1], [0, 0]]]]),
    c("max_pool2d propagates NaN", "max_pool2d", [[[[1.0, NAN], [2.0, 0.0]]]], **_POOL,
      to=[[[[NAN]]]]),
    c("max_pool2d's gradient goes to the first NaN", "max_pool2d",
      [[[[1.0, NAN], [NAN, 9.0]]]], by=0, **_POOL, to=[[[[0, 1], [0, 0]]]]),
    c("max_pool2d's gradient never goes to the padding", "max_pool2d", [[[[-INF, -INF]]]], by=0,
      kernel=2, stride=2, padding=1, to=[[[[1, 1]]]]),
    c("ceil_mode adds the window that has a rest", "max_pool2d", _ROW, **_UP, to=[[[[5, 2]]]]),
    c("no gradient goes to what ceil_mode adds", "max_pool2d",
      [[[[0.0, 1.0, -INF]]]], by=0, **_UP, to=[[[[0, 1, 1]]]]),
    c("ceil_mode's window propagates NaN", "max_pool2d", [[[[1.0, 2.0, NAN]]]], **_UP,
      to=[[[[2, NAN]]]]),
    c("ceil_mode's window doesn't begin behind the image", "max_pool2d", [[[[1.0, 5.0]]]],
      kernel=(1, 1), stride=(1, 3), ceil_mode=True, to=[[[[1]]]]),
    c("avg_pool2d counts the padding", "avg_pool2d", [[[[4.0]]]], kernel=2, padding=1, stride=1,
      to=[[[[1, 1], [1, 1]]]]),
    c("avg_pool2d doesn't count it if told so", "avg_pool2d", [[[[4.0]]]], kernel=2, padding=1,
      stride=1, count_include_pad=False, to=[[[[4, 4], [4, 4]]]]),
    c("avg_pool2d never counts what ceil_mode adds", "avg_pool2d", _ROW, kernel=(1, 2), stride=2,
      ceil_mode=True, to=[[[[3, 2]]]]),
    c("a NaN stays in its window", "avg_pool2d", [[[[NAN, 1.0, 2.0, 4.0]]]], kernel=(1, 2),
      to=[[[[NAN, 3]]]]),
    c("a NaN stays in its bins", "adaptive_avg_pool2d", [[[[1.0, 3.0, NAN, 4.0, 6.0]]]],
      size=(1, 3), to=[[[[2, NAN, 5]]]]),
    c("adaptive_max_pool2d takes the first maximum, row by row", "adaptive_max_pool2d",
      [[[[0.0, 0.0, 7.0], [7.0, 7.0, 0.0]]]], by=0, size=(1, 2), to=[[[[0, 0, 1], [1, 0, 0]]]]),
    c("adaptive_max_pool2d propagates NaN", "adaptive_max_pool2d", [[[[1.0, NAN, 3.0, 4.0]]]],
      size=(1, 2), to=[[[[NAN, 4]]]]),
    c("an image without pixels has no bins", "adaptive_avg_pool2d", [[[[], []]]], size=1,
      to=ShapeError),
    c("an image without pixels has no bins", "adaptive_max_pool2d", [[[[], []]]], size=1,
      to=ShapeError),
)
# fmt: on
