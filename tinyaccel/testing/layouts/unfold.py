"""Shapes and attributes that unfold and fold are tested with."""

from __future__ import annotations

from tinyaccel import shapes
from tinyaccel.testing.layouts.common import Layout, of


def _windows(folded: bool) -> list[Layout]:
    result = []
    for x, kernel, stride, dilation in (
        ((1, 2, 4, 5), (2, 3), (1, 1), (1, 1)), ((2, 1, 5, 6), (2, 2), (2, 1), (1, 2)),
        ((1, 1, 7, 4), (3, 1), (3, 2), (2, 1)), ((1, 3, 33, 3), (31, 3), (1, 1), (1, 1)),
    ):  # fmt: skip
        out = shapes.window2d((x[2], x[3]), kernel, stride, ((0, 0), (0, 0)), dilation, "fold")
        if folded:
            u = (*x[:2], *kernel, *out)
            result.append(of(u, size=x[2:], stride=stride, dilation=dilation))
        else:
            result.append(of(x, kernel=kernel, stride=stride, dilation=dilation))
    return result


LAYOUTS: dict[str, list[Layout]] = {
    "unfold": _windows(folded=False),
    "fold": _windows(folded=True),
}
