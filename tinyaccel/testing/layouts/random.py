"""Shapes and attributes that random numbers are tested with."""

from __future__ import annotations

from tinyaccel import dtypes
from tinyaccel.testing.layouts.common import Layout, of

LAYOUTS: dict[str, list[Layout]] = {
    "random_bits": [of((3,), shape=s) for s in ((), (0,), (1,), (2, 3), (33,), (1025,))],
    "random_normal": [
        of((3, 2), dtype=dtypes.float32), of((2,), dtype=dtypes.float32),
        of((0, 2), dtype=dtypes.float32), of((1025, 2), dtype=dtypes.float32),
        of((2, 3, 2), dtype=dtypes.float64),
    ],
    "random_integers": [
        of((33, 2), count=10), of((2,), count=1), of((2, 0, 2), count=7), of((33, 2), count=2**32),
        of((129, 2), count=2**32 - 5), of((31, 2), count=2**16 + 1),
    ],
}  # fmt: skip
ROLES = {
    ("random_bits", 0): "state",
    ("random_normal", 0): "bits",
    ("random_integers", 0): "bits",
}
