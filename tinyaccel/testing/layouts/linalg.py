"""Shapes and attributes that products are tested with."""

from __future__ import annotations

from tinyaccel.testing.layouts.common import Layout, of

LAYOUTS: dict[str, list[Layout]] = {
    "matmul": [
        of((2, 3), (3, 4)), of((2, 3, 4), (4, 5)), of((2, 1, 3, 2), (3, 2, 4)),
        of((1, 1), (1, 1)), of((4, 5), (2, 5, 3)), of((33, 31), (31, 2)),
        of((0, 3), (3, 2)), of((3, 0), (0, 2)), of((2, 129), (129, 3)),
        of((1, 1025), (1025, 2)), of((32, 32), (32, 32)),
    ],
    "linear": [
        of((2, 3), (4, 3)), of((5, 3), (4, 3), (4,)), of((3,), (2, 3), (2,)),
        of((2, 3, 4), (5, 4), (5,)), of((0, 3), (2, 3)), of((3, 129), (2, 129), (2,)),
    ],
}  # fmt: skip
LARGE: dict[str, list[Layout]] = {
    "matmul": [of((1, 2**16), (2**16, 2))],
    "linear": [of((1, 2**15), (2, 2**15))],
}
