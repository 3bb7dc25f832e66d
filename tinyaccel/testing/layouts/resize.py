"""Shapes and attributes that interpolation is tested with."""

from __future__ import annotations

from tinyaccel.testing.layouts.common import Layout, of

_SIZES = [
    of((1, 2, 3, 4), size=(6, 8)), of((2, 1, 5, 4), size=(3, 7)), of((1, 1, 4, 1), size=(1, 3)),
    of((1, 1, 5, 6), scale_factor=(1.6, 0.5)), of((0, 1, 2, 2), size=3),
]  # fmt: skip

LAYOUTS: dict[str, list[Layout]] = {
    "interpolate": [
        *_SIZES,
        *(of(*at.shapes, **at.attrs, mode="bilinear") for at in _SIZES[:4]),
        of((2, 1, 3, 5), size=(5, 3), mode="bilinear", align_corners=True),
        of((1, 1, 4, 3), size=(1, 3), mode="bilinear", align_corners=True),
    ],
}
