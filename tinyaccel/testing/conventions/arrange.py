"""Conventions of arrangements: what is cut off, what wraps around, what has no border."""

from __future__ import annotations

from collections.abc import Sequence

from tinyaccel.errors import ShapeError
from tinyaccel.testing.conventions.common import NAN, Convention, c

# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("what tril cuts off is 0, even NaN and -0", "tril", [[1.0, NAN], [-0.0, -0.0]],
      to=[[1, 0], [-0.0, -0.0]]),
    c("what triu cuts off passes no gradient", "triu", [[1.0, 2.0], [NAN, 4.0]], by=0,
      to=[[1, 1], [0, 1]]),
    c("a diagonal outside the matrix is empty", "diagonal", [[1.0, 2.0], [3.0, 4.0]], offset=2,
      to=[]),
    c("a shift below 0 turns towards the front", "roll", [1.0, 2.0, 3.0], shift=-1,
      to=[2, 3, 1]),
    c("shifts of one axis add up", "roll", [1.0, 2.0, 3.0], shift=(1, 1), axis=(0, 0),
      to=[2, 3, 1]),
    c("a reflection shows the outermost element once", "pad_reflect", [1.0, 2.0, 3.0],
      widths=((2, 1),), to=[3, 2, 1, 2, 3, 2]),
    c("a reflected element gets each gradient", "pad_reflect", [1.0, 2.0, 3.0], widths=((2, 1),),
      by=0, to=[1, 3, 2]),
    c("a mirror shows less than the axis", "pad_reflect", [1.0, 2.0], widths=((2, 0),),
      to=ShapeError),
    c("an empty axis has no edge", "pad_edge", [], widths=((1, 0),), to=ShapeError),
    c("an edge gets each gradient", "pad_edge", [1.0, 2.0], widths=((2, 1),), by=0, to=[3, 2]),
    c("repeated 0 times is gone, and has no gradient", "repeat", [1.0, 2.0], repeats=(0, 2), by=0,
      to=[0, 2]),
)
# fmt: on
