"""Shapes and attributes that creation is tested with."""

from __future__ import annotations

from tinyaccel import dtypes
from tinyaccel.testing.layouts.common import Layout, of

LAYOUTS: dict[str, list[Layout]] = {
    "arange": [
        of(start=a, stop=b, step=s, dtype=dtypes.int32)
        for a, b, s in ((0, 33, 1), (5, -5, -3), (0, 0, 1), (2, 3, 7), (0, 1025, 1))
    ] + [of(start=-2, stop=9, step=2, dtype=d) for d in (dtypes.float32, dtypes.int64)],
}  # fmt: skip
