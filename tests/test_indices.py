"""Tests of tinyaccel.indices: what `x[...]` comes to, against NumPy."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyaccel.errors import ArgumentError, IndexRangeError, ShapeError
from tinyaccel.indices import Picker, parse_index

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


def parts_of(index: object) -> tuple[object, ...]:
    return index if isinstance(index, tuple) else (index,)


@settings(max_examples=300)
@given(SHAPES, st.data())
def test_basic(shape: tuple[int, ...], data: st.DataObject) -> None:
    """Slices with positive steps, then flips, then a reshape: the very elements NumPy picks."""
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    x = np.arange(math.prod(shape)).reshape(shape)
    plan = parse_index(shape, parts_of(index))
    assert all(step > 0 for step in plan.steps)
    assert all(0 <= a <= b <= n for a, b, n in zip(plan.starts, plan.stops, shape, strict=True))
    assert (plan.order, plan.at, plan.picked) == (tuple(range(len(plan.shape))), 0, 0)
    y = x[tuple(map(slice, plan.starts, plan.stops, plan.steps))]
    y = np.flip(y, plan.flipped).reshape(plan.shape)
    np.testing.assert_array_equal(y, x[index], strict=True)
    if not plan.moves:
        assert y.size == x.size


def test_integers() -> None:
    """Anything with an `__index__` counts as an integer: NumPy's, and arrays of no axis."""
    assert parse_index((4,), [np.int64(-1)]).starts == (3,)
    assert parse_index((4,), [np.array(2)]).starts == (2,)
    assert parse_index((4,), [slice(np.int32(1), None)]).starts == (1,)


PICK = Picker((7,), is_mask=False)
MASK = Picker((3, 4), is_mask=True)
PLANS = {
    "side by side": ((slice(None), PICK, PICK), (2, 3, 4, 5), (0, 1, 2, 3), 1, 2),
    "an integer beside one": ((slice(None), 0, PICK), (2, 4, 5), (0, 1, 2), 1, 1),
    "an integer apart from one": ((0, slice(None), PICK), (3, 4, 5), (1, 0, 2), 0, 1),
    "apart": ((PICK, slice(1, None), PICK), (2, 2, 4, 5), (0, 2, 1, 3), 0, 2),
    "apart by None": ((slice(None), PICK, None, PICK), (2, 3, 1, 4, 5), (1, 3, 0, 2, 4), 0, 2),
    "behind ...": ((..., PICK), (2, 3, 4, 5), (0, 1, 2, 3), 3, 1),
    "a mask": ((slice(None), MASK), (2, 3, 4, 5), (0, 1, 2, 3), 1, 2),
    "a mask and an integer": ((1, MASK), (3, 4, 5), (0, 1, 2), 0, 2),
    "a mask of no axes": ((Picker((), is_mask=True),), (1, 2, 3, 4, 5), (0, 1, 2, 3, 4), 0, 1),
    "apart by an empty ...": (
        (slice(None), PICK, PICK, ..., PICK), (2, 3, 4, 5), (1, 2, 3, 0), 0, 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PLANS)
def test_arrays(case: str) -> None:
    """Axes that arrays pick from come side by side: where they stand, or in front if apart."""
    parts, shape, order, at, count = PLANS[case]
    plan = parse_index((2, 3, 4, 5), parts)
    assert (plan.shape, plan.order, plan.at, plan.picked) == (shape, order, at, count)


ERRORS = [
    ((4,), [4], IndexRangeError, "getitem: index 4 is out of range for axis 0 of 4"),
    ((2, 3), [0, -4], IndexRangeError, "getitem: index -4 is out of range for axis 1 of 3"),
    ((0,), [0], IndexRangeError, "index 0 is out of range for axis 0 of 0"),
    ((4,), [0, 0], ShapeError, "index for 2 axes on shape (4,); expected at most 1 integers"),
    ((4, 4), [..., ...], ShapeError, "one ..."),
    ((4,), [1.0], ShapeError, "getitem: float is no index; expected an integer, a slice, None,"),
    ((4,), [True], ShapeError, "getitem: bool is no index"),
    ((4,), ["a"], ShapeError, "getitem: str is no index"),
    ((4,), [slice(None, None, 0)], ArgumentError, "never arrives; give a step other than 0"),
    ((4, 4), [MASK], ShapeError, "getitem: a mask of (3, 4) for axes of (4, 4); must be equal"),
    ((4,), [MASK], ShapeError, "index for 2 axes on shape (4,)"),
    ((4,), [PICK, PICK], ShapeError, "index for 2 axes on shape (4,)"),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "parts", "error", "text"), ERRORS)
def test_refuses(shape: Any, parts: Any, error: type[Exception], text: str) -> None:
    """What is no index raises one line with what came and what was expected."""
    with pytest.raises(error) as caught:
        parse_index(shape, parts)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
