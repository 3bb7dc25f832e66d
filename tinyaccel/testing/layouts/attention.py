"""Shapes and attributes that attention is tested with; its masks here are those of floats."""

from __future__ import annotations

from tinyaccel.testing.layouts.common import Layout, of

LAYOUTS: dict[str, list[Layout]] = {
    "scaled_dot_product_attention": [
        of((3, 4), (5, 4), (5, 2)),
        of((2, 4, 3), (2, 3, 3), (2, 3, 2), is_causal=True),
        of((4, 2), (4, 2), (4, 1), (4, 4)),
        of((2, 1, 3, 2), (3, 5, 2), (3, 5, 1), (5,), scale=1.5),
        of((2, 3), (0, 3), (0, 2)),
        of((0, 3), (2, 3), (2, 2)),
        of((1, 33), (129, 33), (129, 2)),
    ],
}
