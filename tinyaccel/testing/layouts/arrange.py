"""Shapes and attributes that arrangements are tested with."""

from __future__ import annotations

from tinyaccel.testing.layouts.common import Layout, of

LAYOUTS: dict[str, list[Layout]] = {
    "diagonal": [
        of((3, 4), offset=0), of((4, 3), offset=-2), of((2, 3, 3), offset=1), of((3, 3), offset=5),
        of((0, 3), offset=0), of((1, 33), offset=32), of((33, 31), offset=-1),
    ],
    "tril": [
        of((3, 4), k=0), of((2, 3, 3), k=-1), of((4, 2), k=1), of((3, 3), k=-9), of((0, 3), k=0),
        of((33, 31), k=-2),
    ],
    "triu": [
        of((3, 4), k=0), of((2, 3, 3), k=-1), of((4, 2), k=1), of((3, 3), k=9), of((2, 0), k=0),
        of((33, 31), k=2),
    ],
    "roll": [
        of((2, 3), shift=1, axis=1), of((2, 3), shift=-7, axis=None), of((33,), shift=32, axis=-1),
        of((3, 4, 2), shift=(1, -2), axis=(0, 1)), of((5,), shift=(1, 3), axis=0),
        of((2, 0), shift=3, axis=1), of((), shift=2, axis=None), of((4, 3), shift=2, axis=(0, 1)),
    ],
    "tile": [
        of((2, 3), repetitions=(2, 1)), of((2, 3), repetitions=3), of((3,), repetitions=(2, 1, 2)),
        of((), repetitions=(2,)), of((1, 33), repetitions=(4, 1)), of((2, 3), repetitions=(0, 2)),
        of((2, 0), repetitions=2),
    ],
    "repeat": [
        of((2, 3), repeats=2, axis=1), of((2, 3), repeats=(0, 3, 1), axis=-1),
        of((2, 3, 2), repeats=(2, 1), axis=0), of((2, 2), repeats=(1, 0, 2, 1), axis=None),
        of((33,), repeats=3, axis=None), of((2, 3), repeats=0, axis=0),
        of((0, 2), repeats=(), axis=0), of((), repeats=4, axis=None),
    ],
    "pad_reflect": [
        of((3, 4), widths=((2, 1), (0, 3))), of((5,), widths=((4, 4),)), of((), widths=()),
        of((1, 2), widths=((0, 0), (1, 0))), of((33,), widths=((32, 1),)),
        of((2, 0), widths=((1, 1), (0, 0))),
    ],
    "pad_edge": [
        of((3, 4), widths=((2, 1), (0, 5))), of((1,), widths=((3, 4),)), of((), widths=()),
        of((2, 3), widths=((0, 0), (1, 0))), of((33,), widths=((0, 95),)),
        of((2, 0), widths=((1, 1), (0, 0))),
    ],
}  # fmt: skip
