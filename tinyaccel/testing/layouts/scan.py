"""Shapes and attributes that scans are tested with: lengths around powers of two."""

from __future__ import annotations

from tinyaccel.testing.layouts.common import Layout, of

_SCAN = [
    of((7,), axis=None, include_initial=False),
    of((3, 4, 2), axis=1, include_initial=True),
    of((2, 33), axis=-1, include_initial=False),
    of((4, 0), axis=1, include_initial=True),
    of((3, 1), axis=1, include_initial=False),
    of((129, 2), axis=0, include_initial=False),
]
LAYOUTS: dict[str, list[Layout]] = {
    "cumsum": _SCAN,
    "cumprod": _SCAN,
}
