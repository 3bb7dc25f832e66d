"""Layouts drawn freely: any sizes, axes, paddings and strides that an op of its kind accepts.

Where a bug hides at the edge of a tile, past a vector's width or behind an axis of size 0, a list
of shapes may miss it. What is drawn shrinks to few and small axes, and is always a valid call: the
op's own rules are asked, and a listed layout takes the place of one that they refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from tinyaccel import dtypes
from tinyaccel.errors import TinyaccelError
from tinyaccel.op import Op, Spec
from tinyaccel.testing.drawn import indexing, movement, sizes, windows
from tinyaccel.testing.drawn.sizes import Draw
from tinyaccel.testing.layouts import Layout, layouts, role

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["drawn_layouts", "listed_layouts", "takes_any_shape", "way"]

Way: TypeAlias = Callable[[Draw, Layout, int], Layout]

BY_NAME: Mapping[str, Way] = {**movement.BY_NAME, **indexing.BY_NAME, **windows.BY_NAME}
_LONG_PRODUCTS = ("prod", "cumprod")  # of many numbers, they leave every float's range
_CHEAP = ("movement", "reduction", "indexing", "comparison")  # for their references
_LARGEST = 2**15  # elements of a result


def way(op: Op) -> Way | None:
    """How layouts of `op` are drawn: by its name, or as its kind and its list suggest."""
    if op.name in BY_NAME:
        return BY_NAME[op.name]
    listed = layouts(op)
    roles = {role(op, i) for i in range(len(listed[0].shapes))} - {None, "condition", "bits"}
    counts = {len(at.shapes) for at in listed}
    if roles or 0 in counts:
        return None
    axes = any("axis" in at.attrs for at in listed)
    if op.broadcasts and counts == {len(listed[0].shapes)} and counts != {1} and not axes:
        return sizes.broadcasting
    if counts == {1}:
        if axes:
            return sizes.along_axes(listed)
        return sizes.one_shape if _keeps_any_shape(op, listed[0]) else None
    if not axes and all(len(set(at.shapes)) == 1 for at in listed):
        return sizes.one_shape
    return None


def takes_any_shape(op: Op) -> bool:
    """Whether its inputs may all have one and the same shape, whatever that is."""
    return way(op) in (sizes.one_shape, sizes.broadcasting)


def _keeps_any_shape(op: Op, base: Layout) -> bool:
    """Whether its one input may have any shape, which is the result's: elementwise, then."""
    return all(
        _result(op, Layout((shape,), base.attrs)) == shape
        for shape in ((), (3,), (2, 3), (5, 1, 7), (0, 2))
    )


def _result(op: Op, at: Layout) -> tuple[int, ...] | None:
    """The shape of the result; None where the op refuses the call."""
    of_role = {"condition": dtypes.bool_, "bits": dtypes.uint32, "index": dtypes.int32}
    free = dtypes.int32 if op.takes in ("integer", "whole") else dtypes.float32
    specs = [Spec(shape, of_role.get(role(op, i) or "", free)) for i, shape in enumerate(at.shapes)]
    try:
        attrs = dict(at.attrs) if op.prepare is None else op.prepare(*specs, **at.attrs)
        return op.infer(*specs, **attrs).shape
    except TinyaccelError:
        return None


def listed_layouts(op: Op, *, small: bool = False) -> list[Layout]:
    """The op's list, the smallest first: hypothesis takes what comes earlier for simpler.

    Layouts without any element come last, as they show the least.
    """

    def elements(at: Layout) -> tuple[bool, int]:
        total = sum(map(sizes.count, at.shapes))
        return total == 0, total

    return sorted(layouts(op, small=small), key=elements)


def drawn_layouts(op: Op, *, small: bool = False) -> SearchStrategy[Layout]:
    """Layouts drawn freely as often as from the op's list; from the list alone if none can be.

    small  of at most about 200 elements, as in `layouts`
    """
    from hypothesis import strategies as st

    listed = st.sampled_from(listed_layouts(op, small=small))
    found = way(op)
    if found is None:
        return listed
    draw_one = found
    limits = [32, 32, 160] if small else [32, 32, 160, 160, 160, 1100]
    if op.kind in _CHEAP and not small:
        limits.append(4400)
    if op.name in _LONG_PRODUCTS:
        limits = [32]

    @st.composite
    def free(draw: Draw) -> Layout:
        base = draw(listed)
        at = draw_one(draw, base, draw(st.sampled_from(limits)))
        result = _result(op, at)
        fits = result is not None and sizes.count(result) <= _LARGEST
        return at if fits else base

    return st.one_of(free(), listed)
