"""Shapes and attributes that sorting is tested with."""

from __future__ import annotations

from tinyaccel.testing.layouts.common import Layout, of

_SORTS = [
    of((33,), axis=0, descending=False), of((2, 5, 3), axis=1, descending=True),
    of((3, 31), axis=-1, descending=True), of((129, 2), axis=0, descending=False),
    of((2, 0), axis=1, descending=False), of((4, 1), axis=1, descending=True),
    of((1025,), axis=-1, descending=False),
]  # fmt: skip
LAYOUTS: dict[str, list[Layout]] = {"argsort": _SORTS, "sort": _SORTS}
