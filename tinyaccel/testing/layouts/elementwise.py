"""Shapes and attributes that elementwise ops are tested with, beside ONE and TWO."""

from __future__ import annotations

from tinyaccel import dtypes
from tinyaccel.testing.layouts.common import Layout, of

LAYOUTS: dict[str, list[Layout]] = {
    "where": [
        of((3, 1), (4,), (1, 1)), of((), (2, 3), (3,)), of((33,), (33,), ()),
        of((2, 3), (), ()), of((0,), (1,), (1,)), of((8, 128), (8, 128), (8, 128)),
    ],
    "astype": [of((33,), dtype=d) for d in dtypes.ALL]
    + [of((), dtype=dtypes.float32), of((2, 0), dtype=dtypes.int32)],
    "clip": [of(s, low=-1.25, high=2.0) for s in ((33,), (2, 3), (), (0,), (129,))]
    + [of((31,), low=0.0, high=None), of((5,), low=None, high=1.5), of((2,), low=None, high=None)],
}  # fmt: skip
ROLES = {("where", 0): "condition"}
