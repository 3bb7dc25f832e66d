"""Shapes and attributes that reductions are tested with."""

from __future__ import annotations

import math
from typing import Any

from tinyaccel.testing.layouts.common import Layout, of


def _reduce(*, empty: bool, **more: Any) -> list[Layout]:
    """Reductions along one axis, several, all; `empty` says whether nothing may be reduced."""
    result = [
        of((2, 3, 4), axis=(0, 2), keepdims=False, **more),
        of((33,), axis=None, keepdims=False, **more),
        of((5, 3), axis=0, keepdims=True, **more),
        of((3, 31), axis=-1, keepdims=False, **more),
        of((2, 0, 3), axis=(0, 2), keepdims=False, **more),
        of((4, 1, 2), axis=1, keepdims=True, **more),
        of((129, 3), axis=0, keepdims=False, **more),
        of((1025,), axis=0, keepdims=False, **more),
        of((32, 33), axis=0, keepdims=False, **more),
        of((3, 127), axis=1, keepdims=True, **more),
    ]
    if empty:
        result += [
            of((3, 0), axis=1, keepdims=False, **more),
            of((), axis=None, keepdims=False, **more),
        ]
    return result


def _few(**more: Any) -> list[Layout]:
    """For what is made of other reductions, which have met the rest."""
    return [
        of((2, 3, 4), axis=(0, 2), keepdims=False, **more),
        of((33,), axis=None, keepdims=True, **more),
        of((3, 31), axis=-1, keepdims=False, **more),
        of((4, 1, 2), axis=1, keepdims=True, **more),
        of((129, 3), axis=0, keepdims=False, **more),
        of((2, 0, 3), axis=2, keepdims=False, **more),
    ]


_EMPTY = of((3, 0), axis=1, keepdims=False)
_PLACE = [
    of((2, 3, 4), axis=1, keepdims=False), of((33,), axis=None, keepdims=False),
    of((5, 3), axis=0, keepdims=True), of((0, 3), axis=1, keepdims=False),
    of((3, 129), axis=-1, keepdims=False), of((1025,), axis=0, keepdims=True),
]  # fmt: skip

LAYOUTS: dict[str, list[Layout]] = {
    "sum": _reduce(empty=True),
    "mean": _reduce(empty=True),
    "max": _reduce(empty=False),
    "min": _reduce(empty=False),
    "var": [
        *_reduce(empty=False, correction=0),
        of((7, 2), axis=0, correction=1, keepdims=False),
    ],
    "std": [of((7, 2), axis=0, correction=1, keepdims=False), *_few(correction=0)],
    "argmax": _PLACE,
    "argmin": _PLACE,
    "prod": [*_few(), _EMPTY, of((), axis=None, keepdims=False)],
    "any": [*_few(), _EMPTY],
    "all": [*_few(), _EMPTY],
    "count_nonzero": [*_few(), _EMPTY],
    "logsumexp": [*_few(), _EMPTY, of((2, 1025), axis=1, keepdims=False)],
    "norm": [
        of((2, 3, 4), ord=2.0, axis=(0, 2), keepdims=False),
        of((33,), ord=3.5, axis=None, keepdims=True),
        of((5, 3), ord=1.0, axis=0, keepdims=False),
        of((4, 2), ord=math.inf, axis=1, keepdims=False),
        of((3, 31), ord=-math.inf, axis=1, keepdims=True),
        of((3, 129), ord=0.0, axis=-1, keepdims=False),
        of((129, 3), ord=-1.5, axis=0, keepdims=False),
        of((2, 1025), ord=2.0, axis=1, keepdims=False),
        of((3, 0), ord=2.0, axis=1, keepdims=False),
    ],
}  # fmt: skip
LARGE: dict[str, list[Layout]] = {
    "sum": [of((2**18,), axis=0, keepdims=False), of((2**17, 2), axis=(0,), keepdims=False)],
    "mean": [of((2**18,), axis=0, keepdims=False)],
    "norm": [of((2**16,), ord=2.0, axis=0, keepdims=False)],
    "logsumexp": [of((2**14,), axis=0, keepdims=False)],
}
