"""Conventions of interpolation: where pixels lie, and NaN."""

from __future__ import annotations

from collections.abc import Sequence

from tinyaccel.testing.conventions.common import NAN, Convention, c

_ROW = [[[[1.0, 2.0, NAN]]]]
# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("nearest takes the pixel at or before", "interpolate", [[[[1.0, 2.0, 3.0]]]], size=(1, 5),
      to=[[[[1, 1, 2, 2, 3]]]]),
    c("nearest keeps a NaN to its place", "interpolate", _ROW, size=(1, 6),
      to=[[[[1, 1, 2, 2, NAN, NAN]]]]),
    c("bilinear holds the borders", "interpolate", [[[[0.0, 4.0]]]], size=(1, 4), mode="bilinear",
      to=[[[[0, 1, 3, 4]]]]),
    c("aligned corners stay", "interpolate", [[[[0.0, 3.0]]]], size=(1, 4), mode="bilinear",
      align_corners=True, to=[[[[0, 1, 2, 3]]]]),
    c("one aligned pixel is the first", "interpolate", [[[[5.0, 3.0]]]], size=1, mode="bilinear",
      align_corners=True, to=[[[[5]]]]),
)
# fmt: on
