"""Tests of tinyaccel.ops.creation: constants and ranges."""

from __future__ import annotations

import math
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
    ends: Any = np.int64(1), np.int32(3)
    assert ta.arange(*ends).tolist() == [1, 2]


BAD: list[tuple[tuple[Any, ...], dict[str, Any], type[Exception], str]] = [
    ((0, 5, 0), {}, ArgumentError, "arange: step 0 from 0 to 5 never arrives; give another"),
    ((0, 5.0, 0), {}, ArgumentError, "arange: 0.0 to 5.0 by 0.0 never arrives; give finite"),
    ((float("inf"),), {}, ArgumentError, "arange: 0.0 to inf by 1.0 never arrives; give finite"),
    ((0.5,), {"dtype": int}, DTypeError, "arange: dtype int32 for floats; expected a float"),
    (("5",), {}, DTypeError, "arange: '5'; expected numbers"),
    ((200,), {"dtype": "int8"}, DTypeError, "arange: 199 doesn't fit int8"),
    ((-1, 3), {"dtype": "uint8"}, DTypeError, "arange: -1 doesn't fit uint8"),
]


@pytest.mark.parametrize(("args", "options", "error", "text"), BAD)
def test_arange_refuses(
    args: tuple[Any, ...], options: dict[str, Any], error: type[Exception], text: str
) -> None:
    """No step, no numbers, or a value outside the dtype: one line each."""
    with pytest.raises(error) as caught:
        ta.arange(*args, **options)
    assert text in str(caught.value)


def error_of(got: ta.Tensor, exact: Any, size: Any) -> float:
    """The largest error, in roundings of numbers of that size."""
    eps = got.dtype.eps
    return float(np.max(np.abs(got.numpy().astype(float) - exact) / (eps * size), initial=0.0))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@given(st.data())
def test_float_ranges(dtype: str, data: st.DataObject) -> None:
    """As many as NumPy has, start + i * step to within 2 roundings, which jit has as well."""
    number = st.floats(-20, 20, allow_subnormal=False)
    start, stop = data.draw(number), data.draw(number)
    step = data.draw(st.floats(0.05, 9) | st.floats(-9, -0.05))
    expected = np.arange(start, stop, step)
    exact = start + step * np.arange(len(expected))
    size = abs(start) + np.abs(step * np.arange(len(expected)))
    for got in (
        ta.arange(start, stop, step, dtype=dtype),
        ta.jit(lambda: ta.arange(start, stop, step, dtype=dtype))(),
    ):
        assert (got.shape, got.dtype.name) == (expected.shape, dtype)
        assert error_of(got, exact, size + 1e-30) <= 2


def test_float_ranges_by_default(device: str) -> None:
    """One float among the three makes them float32."""
    for args in [(3.0,), (0, 3.0), (0.0, 3), (0, 3, 1.0), (np.float64(0), 3)]:
        x = ta.arange(*args)
        assert (x.tolist(), x.dtype, x.device.name) == ([0, 1, 2], ta.float32, device)
    assert ta.arange(1.0, 0.0).shape == (0,)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@given(st.floats(-50, 50), st.floats(-50, 50), st.integers(0, 40), st.booleans())
def test_linspace(dtype: str, start: float, stop: float, num: int, endpoint: bool) -> None:
    """NumPy's numbers to within 2 roundings; the last one is `stop` itself."""
    expected = np.linspace(start, stop, num, endpoint=endpoint)
    got = ta.linspace(start, stop, num, endpoint=endpoint, dtype=dtype)
    assert (got.shape, got.dtype.name) == (expected.shape, dtype)
    size = abs(start) + abs(stop - start) + 1e-6
    assert error_of(got, expected, size) <= 2
    if num:
        kind = got.dtype.numpy
        assert got.numpy()[0] == np.asarray(start).astype(kind)
        if endpoint and num > 1:
            assert got.numpy()[-1] == np.asarray(stop).astype(kind)


@given(st.integers(0, 5), st.none() | st.integers(0, 5), st.integers(-7, 7))
def test_eye(rows: int, columns: int | None, k: int) -> None:
    """NumPy's, for every shape and diagonal."""
    np.testing.assert_array_equal(
        ta.eye(rows, columns, k=k).numpy(), np.eye(rows, columns, k, np.float32), strict=True
    )


def test_likes(device: str) -> None:
    """The shape of another, and its dtype and device unless told otherwise."""
    x = ta.full((2, 3), 7, dtype="int8")
    for got, value, dtype in [
        (ta.full_like(x, 5), 5, np.int8),
        (ta.full_like(x, 2.5, dtype="float16"), 2.5, np.float16),
        (ta.zeros_like(x, dtype="float32"), 0, np.float32),
        (ta.ones_like(x, dtype="bool"), True, np.bool_),
        (ta.empty_like(x), 0, np.int8),
        (ta.empty((2, 3)), 0, np.float32),
    ]:
        np.testing.assert_array_equal(got.numpy(), np.full((2, 3), value, dtype), strict=True)
        assert got.device.name == device
    assert ta.ones_like(x, device="cpu").device.name == "cpu"


def test_created_inside_jit(device: str) -> None:
    """Every one of them can be traced, and gives what it gives eagerly."""

    def make(x: ta.Tensor) -> list[ta.Tensor]:
        return [
            ta.arange(5), ta.arange(0.5, 3.0, 0.25), ta.linspace(0.0, 1.0, 7), ta.eye(2, 3, k=1),
            ta.full_like(x, 3.0), ta.zeros_like(x, dtype="int32"), ta.empty((2,)), ta.asarray(x),
            ta.asarray([1, 2]), ta.diag(x), ta.tril(ta.ones((2, 2))), *ta.meshgrid(x, x),
        ]  # fmt: skip

    x = ta.tensor([1.0, 2.0])
    for eager, jitted in zip(make(x), ta.jit(make)(x), strict=True):
        np.testing.assert_array_equal(jitted.numpy(), eager.numpy(), strict=True)
        assert jitted.device.name == device


def test_asarray(device: str) -> None:
    """A tensor stays itself, or is converted with its gradient; the rest is read as by tensor."""
    x = ta.tensor([1.0, 2.0], requires_grad=True)
    assert ta.asarray(x) is ta.asarray(x, dtype="float32", device=device, copy=False) is x
    half = ta.asarray(x, dtype="float16")
    half.sum().backward()
    assert half.dtype is ta.float16 and x.grad is not None and x.grad.tolist() == [1, 1]
    for source in ([1, 2], (1.0, 2.0), np.array([1, 2], np.int64), 3, True):
        np.testing.assert_array_equal(
            ta.asarray(source).numpy(), ta.tensor(source).numpy(), strict=True
        )


def test_asarray_copies() -> None:
    """With copy=True a later assign to the original is not seen; the gradient still flows."""
    x = ta.tensor([1.0, 2.0], requires_grad=True)
    y = ta.asarray(x, copy=True)
    (y * y).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [2, 4]
    x.assign(np.array([5.0, 5.0]))
    assert y.tolist() == [1, 2]
    plain = ta.tensor([1.0])
    assert not ta.asarray(plain, copy=True).requires_grad
    for wrong in ([1.0], np.ones(2)):
        with pytest.raises(ArgumentError, match=r"^asarray: \w+ must be copied; leave out copy"):
            ta.asarray(wrong, copy=False)
    with pytest.raises(ArgumentError, match=r"^asarray: Tensor must be copied"):
        ta.asarray(x, dtype="float16", copy=False)


def test_from_dlpack(device: str) -> None:
    """A copy of what another library, or a tensor, holds; what NumPy can't take over raises."""
    array = np.arange(6, dtype=np.int64).reshape(2, 3)
    x = ta.from_dlpack(array)
    np.testing.assert_array_equal(x.numpy(), array, strict=True)
    assert x.device.name == device
    array[0, 0] = 9
    assert x.tolist()[0][0] == 0
    assert ta.from_dlpack(x).tolist() == x.tolist()
    torch = pytest.importorskip("torch")
    assert ta.from_dlpack(torch.ones(2)).tolist() == [1, 1]
    more: list[Any] = [torch.ones(2, dtype=torch.bfloat16), [1.0]]
    for wrong in more:
        with pytest.raises(ArgumentError, match=r"^from_dlpack: (Tensor|list): .*; copy it to"):
            ta.from_dlpack(wrong)


MORE_BAD: list[tuple[Any, type[Exception], str]] = [
    (lambda: ta.linspace(0, 1, -1), ArgumentError, "linspace: -1 elements from 0 to 1; expected"),
    (lambda: ta.linspace(0, math.nan, 3), ArgumentError, "linspace: 3 elements from 0 to nan"),
    (lambda: ta.linspace(0, 1, 3, dtype=int), DTypeError, "linspace: dtype int32 for floats"),
    (lambda: ta.eye(-1), ShapeError, "eye: shape (-1, -1) has a negative size"),
]


@pytest.mark.parametrize(("call", "error", "text"), MORE_BAD)
def test_refuses(call: Any, error: type[Exception], text: str) -> None:
    """Counts below 0, ends that aren't finite and integers for floats have one line each."""
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


def test_default_device_holds_within_its_block() -> None:
    """New tensors go to the default device, until the block ends; an unknown one raises at once."""
    with ta.default_device("cpu"):
        assert ta.zeros(1).device.name == "cpu"
    with pytest.raises(ta.errors.DeviceError, match="device: 'gpu' is unknown"):
        ta.default_device("gpu")
