"""Tests of tinyaccel.dtypes; the promotion table is tested with the ops that use it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinyaccel import dtypes
from tinyaccel.dtypes import DType, Scalar
from tinyaccel.errors import DTypeError


@pytest.mark.parametrize("dtype", dtypes.ALL)
def test_as_dtype_round_trip(dtype: DType) -> None:
    """A dtype is found by itself, its name, its NumPy dtype and its NumPy type."""
    assert dtypes.as_dtype(dtype) is dtype
    assert dtypes.as_dtype(dtype.name) is dtype
    assert dtypes.as_dtype(dtype.numpy) is dtype
    assert dtypes.as_dtype(dtype.numpy.type) is dtype
    assert repr(dtype) == dtype.name == dtype.numpy.name


def test_python_types_mean_defaults() -> None:
    """`float`, `int` and `bool` mean float32, int32 and bool, and not NumPy's 64 bits."""
    assert dtypes.as_dtype(float) is dtypes.float32
    assert dtypes.as_dtype(int) is dtypes.int32
    assert dtypes.as_dtype(bool) is dtypes.bool_


@pytest.mark.parametrize("unknown", ["complex64", "uint16", "no such", str, np.dtype("U3"), None])
def test_as_dtype_unknown(unknown: object) -> None:
    """A type that tinyaccel lacks raises one line that lists those it has; None is none of them."""
    with pytest.raises(DTypeError, match=r"^dtype: .* is not one of bool, int8, .*, float64$"):
        dtypes.as_dtype(unknown)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", dtypes.FLOATS)
def test_float_limits(dtype: DType) -> None:
    """eps, tiny, max and min are what IEEE 754 (and bfloat16's 8 bits) make of the format."""
    digits, exponent = {
        "float16": (11, 5), "bfloat16": (8, 8), "float32": (24, 8), "float64": (53, 11),
    }[dtype.name]  # fmt: skip
    bias = 2 ** (exponent - 1) - 1
    assert dtype.eps == 2.0 ** (1 - digits)
    assert dtype.tiny == 2.0 ** (1 - bias)
    assert dtype.max == (2 - 2.0 ** (1 - digits)) * 2.0**bias
    assert dtype.min == -dtype.max
    assert dtype.itemsize * 8 == digits + exponent


@pytest.mark.parametrize("dtype", dtypes.INTEGERS)
def test_integer_limits(dtype: DType) -> None:
    """max and min of integers, by their bits, as exact Python ints."""
    n = 8 * dtype.itemsize
    low, high = (0, 2**n - 1) if dtype.kind == "uint" else (-(2 ** (n - 1)), 2 ** (n - 1) - 1)
    assert (dtype.min, dtype.max) == (low, high)
    assert type(dtype.max) is int


def test_bool_limits() -> None:
    """Bool runs from 0 to 1, and is neither integer nor float."""
    assert (dtypes.bool_.min, dtypes.bool_.max) == (0, 1)
    assert not dtypes.bool_.is_integer
    assert not dtypes.bool_.is_float


SCALARS = [
    (dtypes.bool_, True, dtypes.bool_),
    (dtypes.bool_, 1, dtypes.int32),
    (dtypes.bool_, 1.0, dtypes.float32),
    (dtypes.int8, True, dtypes.int8),
    (dtypes.int8, 1, dtypes.int8),
    (dtypes.int8, 1.5, dtypes.float32),
    (dtypes.int64, 1.5, dtypes.float32),
    (dtypes.uint32, np.int64(1), dtypes.uint32),
    (dtypes.float16, 1.5, dtypes.float16),
    (dtypes.bfloat16, 2, dtypes.bfloat16),
    (dtypes.float32, np.float64(1.5), dtypes.float32),
    (dtypes.float64, 1, dtypes.float64),
    (dtypes.float16, np.bool_(True), dtypes.float16),
]


@pytest.mark.parametrize(("dtype", "scalar", "expected"), SCALARS)
def test_with_scalar(dtype: DType, scalar: Scalar, expected: DType) -> None:
    """A scalar never widens a tensor's dtype; it may only change its kind."""
    assert dtypes.with_scalar(dtype, scalar) is expected


def test_of_scalar() -> None:
    """A scalar that meets no tensor has a default type."""
    assert dtypes.of_scalar(True) is dtypes.of_scalar(np.bool_(False)) is dtypes.bool_
    assert dtypes.of_scalar(1) is dtypes.of_scalar(np.int64(1)) is dtypes.int32
    assert dtypes.of_scalar(1.0) is dtypes.of_scalar(np.float64(1)) is dtypes.float32


BAD = [
    (300, dtypes.int8, "add: 300 doesn't fit int8 (-128 to 127); use astype"),
    (-129, dtypes.int8, "add: -129 doesn't fit int8 (-128 to 127); use astype"),
    (-1, dtypes.uint32, "add: -1 doesn't fit uint32 (0 to 4294967295); use astype"),
    (2**31, dtypes.int32, "doesn't fit int32"),
    (2**63, dtypes.int64, "doesn't fit int64"),
    (0.5, dtypes.int32, "add: 0.5 is no integer, but the tensor is int32; use astype"),
    (math.nan, dtypes.int32, "nan is no integer"),
    (math.inf, dtypes.int64, "inf is no integer"),
    (np.float32(2.5), dtypes.uint8, "2.5 is no integer"),
    (1e10, dtypes.int32, "doesn't fit int32"),
]  # fmt: skip


@pytest.mark.parametrize(("scalar", "dtype", "text"), BAD)
def test_check_scalar_refuses(scalar: Scalar, dtype: DType, text: str) -> None:
    """A scalar that an integer dtype can't hold raises one clear line."""
    with pytest.raises(DTypeError) as caught:
        dtypes.check_scalar(scalar, dtype, "add")
    assert text in str(caught.value)


@pytest.mark.parametrize("dtype", dtypes.INTEGERS)
def test_check_scalar_permits_limits(dtype: DType) -> None:
    """The limits themselves fit, as do whole floats; a float dtype takes any number."""
    dtypes.check_scalar(dtype.min, dtype, "add")
    dtypes.check_scalar(dtype.max, dtype, "add")
    dtypes.check_scalar(7.0, dtype, "add")
    dtypes.check_scalar(1e300, dtypes.float16, "add")


def test_is_scalar() -> None:
    """Python and NumPy scalars are weak; arrays of no dimension and strings aren't."""
    assert all(map(dtypes.is_scalar, (True, 1, 1.0, np.bool_(1), np.int8(1), np.float32(1))))
    assert not any(map(dtypes.is_scalar, (np.array(1.0), "1", None, 1j)))
