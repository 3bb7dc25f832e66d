"""Shapes and attributes that indexing is tested with."""

from __future__ import annotations

from tinyaccel import dtypes
from tinyaccel.testing.layouts.common import Layout, of

LAYOUTS: dict[str, list[Layout]] = {
    "take_along_axis": [
        of((4, 3), (2, 3), axis=0), of((2, 5), (2, 7), axis=-1), of((33,), (31,), axis=0),
        of((3, 2), (0, 2), axis=0), of((2, 129, 1), (2, 1, 1), axis=1),
    ],
    "scatter_add": [
        of((4, 3), (2, 3), (2, 3), axis=0), of((2, 5), (2, 9), (2, 9), axis=1),
        of((3,), (33,), (33,), axis=0), of((3, 2), (0, 2), (0, 2), axis=0),
        of((2, 1), (2, 129), (2, 129), axis=1),
    ],
    "take": [
        of((4, 3), (5,), axis=0), of((2, 5, 3), (2, 3), axis=1), of((33,), (), axis=0),
        of((3, 2), (0,), axis=-1), of((129, 2), (31, 2), axis=0), of((0, 3), (2,), axis=1),
    ],
    "index_add": [
        of((4, 3), (5,), (5, 3), axis=0), of((2, 5, 3), (2, 3), (2, 2, 3, 3), axis=1),
        of((3,), (33,), (33,), axis=0), of((3, 2), (0,), (3, 0), axis=-1),
        of((33, 2), (), (2,), axis=0), of((2, 129), (2, 31), (2, 2, 31), axis=1),
    ],
    "index_set": [
        of((4, 3), (5,), (5, 3), axis=0), of((2, 5, 3), (2, 3), (2, 2, 3, 3), axis=1),
        of((3,), (33,), (33,), axis=0), of((3, 2), (0,), (3, 0), axis=-1),
        of((33, 2), (), (2,), axis=0), of((2, 129), (2, 31), (2, 2, 31), axis=1),
    ],
    "one_hot": [
        of((5,), num_classes=4, dtype=dtypes.float32), of((), num_classes=5, dtype=dtypes.int32),
        of((2, 3), num_classes=33, dtype=dtypes.bool_),
        of((3, 0), num_classes=4, dtype=dtypes.bfloat16),
    ],
}  # fmt: skip
LARGE: dict[str, list[Layout]] = {
    "scatter_add": [of((3,), (2**12,), (2**12,), axis=0)],
    "index_add": [of((3, 2), (2**12,), (2**12, 2), axis=0)],
}
ROLES = {
    (op, 1): "index" for op in ("take_along_axis", "scatter_add", "take", "index_add", "index_set")
}
