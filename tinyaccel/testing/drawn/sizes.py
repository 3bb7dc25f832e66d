"""Sizes, shapes and axes: what all layouts are drawn from, and the kinds that need no more."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tinyaccel.shapes import Shape
from tinyaccel.testing.layouts import Layout

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

# Around the widths of vectors, warps, tiles and blocks, and nothing at all.
TELLING = (0, 1, 2, 31, 32, 33, 127, 128, 129, 1023, 1024, 1025, 4097)
MOST_DIMS = 4


class Draw(Protocol):
    """What hypothesis hands to a composite strategy."""

    def __call__(self, strategy: SearchStrategy[T]) -> T: ...


def count(shape: Shape) -> int:
    return math.prod(shape)


def whole(draw: Draw, low: int, high: int) -> int:
    from hypothesis import strategies as st

    return draw(st.integers(low, high))


def one_of(draw: Draw, choices: Sequence[T]) -> T:
    from hypothesis import strategies as st

    return draw(st.sampled_from(choices))


def maybe(draw: Draw, one_in: int = 2) -> bool:
    """True once in so many times; False is simpler."""
    from hypothesis import strategies as st

    return draw(st.sampled_from([False] * (one_in - 1) + [True]))


def size(draw: Draw, room: int, *, least: int = 0) -> int:
    """One axis: a few elements, or a telling number of them, `room` at most."""
    telling = [n for n in TELLING if least <= n <= room]
    if telling and maybe(draw, 3):
        return one_of(draw, telling)
    return whole(draw, max(least, 1), max(min(room, 5), least, 1))


def shape(
    draw: Draw, limit: int, *, dims: tuple[int, int] = (0, MOST_DIMS), least: int = 0
) -> Shape:
    """A shape of at most `limit` elements: the long axes first or last, as it comes."""
    result: list[int] = []
    room = limit
    for _ in range(whole(draw, *dims)):
        n = size(draw, room, least=least)
        room //= max(n, 1)
        result.append(n)
    return tuple(reversed(result)) if not maybe(draw) else tuple(result)


def axis_of(draw: Draw, dims: int) -> int:
    """An axis, counted from the front or from the back."""
    return whole(draw, -dims, dims - 1) if dims else 0


# Kinds


def one_shape(draw: Draw, base: Layout, limit: int) -> Layout:
    """All inputs of one shape, whatever it is."""
    return Layout((shape(draw, limit),) * len(base.shapes), base.attrs)


def lesser(draw: Draw, full: Shape) -> Shape:
    """A shape that broadcasts to `full`: some axes of size 1, some of the first left out."""
    kept = tuple(1 if maybe(draw, 3) else n for n in full)
    return kept[whole(draw, 0, len(full)) if maybe(draw) else 0 :]


def broadcasting(draw: Draw, base: Layout, limit: int) -> Layout:
    """Shapes that broadcast against each other."""
    full = shape(draw, limit)
    return Layout(tuple(lesser(draw, full) for _ in base.shapes), base.attrs)


def along_axes(listed: Sequence[Layout]) -> Callable[[Draw, Layout, int], Layout]:
    """One input and `axis` in each form that the list has: None, one, several."""
    forms = {type(at.attrs.get("axis")) for at in listed}

    def drawn(draw: Draw, base: Layout, limit: int) -> Layout:
        x = shape(draw, limit)
        axis: Any = axis_of(draw, len(x))
        if tuple in forms and maybe(draw):
            axis = subset(draw, len(x))
        elif type(None) in forms and maybe(draw, 3):
            axis = None
        more: dict[str, Any] = {"axis": axis}
        if "keepdims" in base.attrs:
            more["keepdims"] = maybe(draw)
        return Layout((x,), {**base.attrs, **more})

    return drawn


def subset(draw: Draw, dims: int) -> tuple[int, ...]:
    """Several axes in any order, none of them twice."""
    from hypothesis import strategies as st

    order = draw(st.permutations(range(dims)))
    chosen = order[: whole(draw, 0, dims)]
    return tuple(a - dims if maybe(draw) else a for a in chosen)
