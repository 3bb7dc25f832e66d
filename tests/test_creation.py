"""Tests of tinyaccel.ops.creation: constants and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyaccel as ta
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError


def test_filled(device: str) -> None:
    """zeros and ones are float32 unless told otherwise; full takes its value's default dtype."""
    for got, value, dtype in [
        (ta.zeros((2, 3)), 0, np.float32),
        (ta.ones((2, 3)), 1, np.float32),
        (ta.full((2, 3), 2), 2, np.int32),
        (ta.full((2, 3), 2.5), 2.5, np.float32),
        (ta.full((2, 3), True), True, np.bool_),
        (ta.zeros((2, 3), dtype="int8"), 0, np.int8),
        (ta.full((2, 3), 2, dtype=float), 2, np.float32),
        (ta.ones_like(ta.zeros((2, 3), dtype="float16")), 1, np.float16),
        (ta.zeros_like(ta.ones((2, 3), dtype="int64")), 0, np.int64),
    ]:
        np.testing.assert_array_equal(got.numpy(), np.full((2, 3), value, dtype), strict=True)
        assert got.device.name == device


def test_shapes() -> None:
    """A shape is a number, a tuple, a list; 0-d and empty ones work; negative ones don't."""
    assert ta.zeros(3).shape == ta.zeros([3]).shape == (3,)
    assert ta.zeros(()).shape == ()
    assert ta.full((), 5).item() == 5
    assert ta.ones((0, 2)).tolist() == []
    with pytest.raises(ShapeError, match=r"full: shape \(2, -1\) has a negative size"):
        ta.zeros((2, -1))


def test_full_refuses() -> None:
    """A value that the dtype can't hold raises."""
    with pytest.raises(DTypeError, match=r"full: 300 doesn't fit uint8 \(0 to 255\)"):
        ta.full(2, 300, dtype="uint8")
    with pytest.raises(DTypeError, match=r"full: 0\.5 is no integer"):
        ta.full(2, 0.5, dtype=int)


@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(-4, 4).filter(bool))
def test_arange(start: int, stop: int, step: int) -> None:
    """The numbers of Python's range, also when there are none."""
    x = ta.arange(start, stop, step)
    assert x.tolist() == list(range(start, stop, step))
    assert x.dtype is ta.int32


def test_arange_options(device: str) -> None:
    """One number counts from 0; the dtype may be any that holds the values."""
    assert ta.arange(3).tolist() == [0, 1, 2]
    x = ta.arange(0, 5, 2, dtype="float16")
    assert (x.dtype, x.tolist(), x.device.name) == (ta.float16, [0, 2, 4], device)
    assert ta.arange(127, 129, dtype="uint8").tolist() == [127, 128]


BAD: list[tuple[tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
    ((0, 5, 0), {}, ArgumentError, "arange: step 0 from 0 to 5 never arrives; give another"),
    ((0.5,), {}, DTypeError, "arange: 0.5; expected integers; scale the result for floats"),
    ((200,), {"dtype": "int8"}, DTypeError, "arange: 199 doesn't fit int8"),
    ((-1, 3), {"dtype": "uint8"}, DTypeError, "arange: -1 doesn't fit uint8"),
]


@pytest.mark.parametrize(("args", "options", "error", "text"), BAD)
def test_arange_refuses(
    args: tuple[Any, ...], options: dict[str, Any], error: type[Exception], text: str
) -> None:
    """No step, no integers, or a value outside the dtype: one line each."""
    with pytest.raises(error) as caught:
        ta.arange(*args, **options)
    assert text in str(caught.value)


def test_default_device_holds_within_its_block() -> None:
    """New tensors go to the default device, until the block ends; an unknown one raises at once."""
    with ta.default_device("cpu"):
        assert ta.zeros(1).device.name == "cpu"
    with pytest.raises(ta.errors.DeviceError, match="device: 'gpu' is unknown"):
        ta.default_device("gpu")
