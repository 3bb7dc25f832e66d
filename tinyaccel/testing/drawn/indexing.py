"""Indexing, drawn by name: as many indices as one likes along an axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from tinyaccel.testing.drawn.sizes import Draw, axis_of, shape, size
from tinyaccel.testing.layouts import Layout


def _along(draw: Draw, base: Layout, limit: int) -> Layout:
    """x, indices of its shape except along the axis, and what else has the indices' shape."""
    x = shape(draw, limit, dims=(1, 4), least=1)
    axis = axis_of(draw, len(x))
    at = axis % len(x)
    others = math.prod(n for i, n in enumerate(x) if i != at)
    index = (*x[:at], size(draw, max(5, limit // others)), *x[at + 1 :])
    return Layout((x, *[index] * (len(base.shapes) - 1)), {**base.attrs, "axis": axis})


def _by_row(draw: Draw, base: Layout, limit: int) -> Layout:
    """x, indices of any shape, and for what is put a row of x's for each index."""
    x = shape(draw, limit, dims=(1, 3), least=1)
    axis = axis_of(draw, len(x))
    at = axis % len(x)
    row = (x[:at], x[at + 1 :])
    index = shape(draw, max(5, limit // max(1, math.prod(row[0] + row[1]))), dims=(0, 2))
    rows = [(*row[0], *index, *row[1])] * (len(base.shapes) - 2)
    return Layout((x, index, *rows), {**base.attrs, "axis": axis})


BY_NAME: Mapping[str, Callable[[Draw, Layout, int], Layout]] = {
    "take_along_axis": _along,
    "scatter_add": _along,
    "take": _by_row,
    "index_add": _by_row,
    "index_set": _by_row,
}
