"""Shapes and attributes that indexing is tested with."""

from __future__ import annotations

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
}  # fmt: skip
LARGE: dict[str, list[Layout]] = {"scatter_add": [of((3,), (2**12,), (2**12,), axis=0)]}
ROLES = {("take_along_axis", 1): "index", ("scatter_add", 1): "index"}
