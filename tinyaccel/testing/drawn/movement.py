"""Movement, drawn by name: new shapes, orders, paddings and slices."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tinyaccel.testing.drawn.sizes import (
    Draw,
    axis_of,
    lesser,
    maybe,
    one_of,
    shape,
    size,
    subset,
    whole,
)
from tinyaccel.testing.layouts import Layout


def _reshape(draw: Draw, base: Layout, limit: int) -> Layout:
    """The same sizes in another order, merged into one, or with an axis more."""
    from hypothesis import strategies as st

    x = shape(draw, limit)
    new = list(draw(st.permutations(x)))
    form = one_of(draw, ["sizes", "flat", "more", "unknown"])
    if form == "more":
        new.insert(whole(draw, 0, len(new)), 1)
    elif form == "flat":
        new = [-1] if 0 not in x else [0]
    elif form == "unknown" and new and 0 not in x:
        new[whole(draw, 0, len(new) - 1)] = -1
    return Layout((x,), {**base.attrs, "shape": tuple(new)})


def _permute(draw: Draw, base: Layout, limit: int) -> Layout:
    from hypothesis import strategies as st

    x = shape(draw, limit)
    order = draw(st.permutations(range(len(x))))
    axes = tuple(a - len(x) if maybe(draw, 3) else a for a in order)
    return Layout((x,), {**base.attrs, "axes": axes})


def _broadcast(draw: Draw, base: Layout, limit: int) -> Layout:
    full = shape(draw, limit)
    return Layout((lesser(draw, full),), {**base.attrs, "shape": full})


def _pad(draw: Draw, base: Layout, limit: int) -> Layout:
    """Before, after and between, now and then by as much as a tile."""
    x = shape(draw, limit // 4 + 1, dims=(0, 3))
    widths = []
    for _ in x:
        far = one_of(draw, [0, 1, 2, 3, 31, 128])
        widths.append((whole(draw, 0, 2), far, whole(draw, 0, 2)))
    return Layout((x,), {**base.attrs, "widths": tuple(widths)})


def _slice(draw: Draw, base: Layout, limit: int) -> Layout:
    x = shape(draw, limit)
    starts, stops, steps = [], [], []
    for n in x:
        start = whole(draw, 0, n)
        starts.append(start)
        stops.append(whole(draw, start, n))
        steps.append(one_of(draw, [1, 1, 2, 3, 32]))
    at = {"starts": tuple(starts), "stops": tuple(stops), "steps": tuple(steps)}
    return Layout((x,), {**base.attrs, **at})


def _concat(draw: Draw, base: Layout, limit: int) -> Layout:
    one = shape(draw, limit // 4 + 1, dims=(1, 4))
    axis = axis_of(draw, len(one))
    at = axis % len(one)
    lengths = [size(draw, max(one[at], 5)) for _ in range(whole(draw, 1, 4))]
    parts = tuple((*one[:at], n, *one[at + 1 :]) for n in lengths)
    return Layout(parts, {**base.attrs, "axis": axis})


def _squeeze(draw: Draw, base: Layout, limit: int) -> Layout:
    rest = list(shape(draw, limit, dims=(0, 3)))
    for _ in range(whole(draw, 0, 2)):
        rest.insert(whole(draw, 0, len(rest)), 1)
    ones = [i for i, n in enumerate(rest) if n == 1]
    axis = None if not maybe(draw) else tuple(ones[i] for i in subset(draw, len(ones)))
    return Layout((tuple(rest),), {**base.attrs, "axis": axis})


BY_NAME: Mapping[str, Callable[[Draw, Layout, int], Layout]] = {
    "reshape": _reshape,
    "permute_dims": _permute,
    "broadcast_to": _broadcast,
    "pad": _pad,
    "slice": _slice,
    "concat": _concat,
    "squeeze": _squeeze,
}
