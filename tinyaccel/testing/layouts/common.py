"""Layout, and the lists that many ops share."""

from __future__ import annotations

from typing import Any, NamedTuple

from tinyaccel.op import Attrs
from tinyaccel.shapes import Shape


class Layout(NamedTuple):
    """The shapes of an op's inputs, and its attributes."""

    shapes: tuple[Shape, ...]
    attrs: Attrs


def of(*given: Shape, **attrs: Any) -> Layout:
    return Layout(given, attrs)


ONE = [
    of(s)
    for s in (
        (33,), (), (2, 3), (1, 31), (0,), (1,), (2,), (127,), (129,), (1025,), (2, 0, 3), (8, 128),
    )
]  # fmt: skip
TWO = [
    of((3, 1), (1, 4)), of((), (5,)), of((2, 3), (3,)), of((33,), (33,)), of((0,), (1,)),
    of((), ()), of((1,), (31,)), of((5, 1, 7), (2, 1)), of((129,), (129,)),
    of((1025,), (1025,)), of((2, 0, 3), (3,)), of((1, 1), (8, 128)),
]  # fmt: skip
