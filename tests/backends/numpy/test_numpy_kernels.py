"""Tests of the NumPy backend's own kernels, against loops, float64 and the Array API defaults."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import array_api
from tinyaccel.errors import IndexRangeError
from tinyaccel.op import OPS
from tinyaccel_numpy import NumpyBackend
from tinyaccel_numpy.kernels import KERNELS, add_up

DEFAULTS = array_api.kernels(np)


def test_contract() -> None:
    """One device, the best choice for "auto" here, and a kernel for every primitive."""
    cpu = ta.get_device("cpu")
    assert isinstance(cpu.backend, NumpyBackend)
    assert cpu.backend.devices() == ["cpu"]
    assert cpu.backend.missing_kernels() == []


def test_upload_and_download_copy() -> None:
    """Neither shares memory, so a tensor can't be changed from outside."""
    cpu = ta.get_device("cpu")
    array = np.arange(3.0)
    uploaded = cpu.backend.upload(array, cpu)
    assert not np.shares_memory(uploaded, array)
    downloaded = cpu.backend.download(uploaded)
    assert not np.shares_memory(uploaded, downloaded)
    assert downloaded.flags.writeable


def test_kernels_return_arrays() -> None:
    """A 0-d result is an array, and no NumPy scalar; warnings of IEEE 754's answers are off."""
    x = ta.tensor(0.0)
    for y in (x + 1, 1 / x, ta.log(x), x.sum(), ta.tensor([1.0]).max()):
        assert type(y._data) is np.ndarray
    assert (1 / x).item() == math.inf
    assert ta.jit(lambda x: 1 / x)(x).item() == math.inf


def test_erf(rng: np.random.Generator) -> None:
    """math.erf of each element, in the dtype of the input."""
    x = rng.normal(size=(3, 4)).astype(np.float32)
    got = KERNELS["erf"](x)
    assert got.dtype == np.float32
    assert got.tolist() == [[np.float32(math.erf(v)) for v in row] for row in x.tolist()]
    assert KERNELS["erf"](np.zeros((), np.float64)).dtype == np.float64


# Sums

LAYOUTS: dict[str, Any] = {
    "last": lambda n: (np.full((2, n), 0.1, np.float32), (1,)),
    "first": lambda n: (np.full((n, 2), 0.1, np.float32), (0,)),
    "transposed": lambda n: (np.full((n, 2), 0.1, np.float32).T, (1,)),
    "around": lambda n: (np.full((n // 100, 2, 100), 0.1, np.float32), (0, 2)),
    "moved": lambda n: (np.full((100, n // 100, 2), 0.1, np.float32).transpose(2, 0, 1), (1, 2)),
    "all": lambda n: (np.full((n // 100, 100), 0.1, np.float32).T, (0, 1)),
    "every other": lambda n: (np.full((2, 2 * n), 0.1, np.float32)[:, ::2], (1,)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sum_of_many(layout: str) -> None:
    """200,000 times 0.1 stays within the budget 4 sqrt(k) eps sum|x|, however it lies in memory."""
    x, axis = LAYOUTS[layout](200_000)
    exact = x.astype(np.float64).sum(axis=axis)
    allowed = 4 * math.sqrt(200_000) * 2.0**-23 * exact
    assert (np.abs(add_up(x, axis=axis, keepdims=False) - exact) <= allowed).all()
    naive = np.cumsum(np.full(200_000, 0.1, np.float32), dtype=np.float32)[-1]
    assert abs(naive - 20_000) > 4 * math.sqrt(200_000) * 2.0**-23 * 20_000  # so it can fail


@pytest.mark.parametrize("axis", [(), (0,), (1,), (2,), (0, 2), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_sum_of_whole_numbers(
    axis: tuple[int, ...], keepdims: bool, dtype: Any, rng: np.random.Generator
) -> None:
    """Sums that no order can spoil, over every set of axes, also where blocks don't divide."""
    x = rng.integers(-9, 10, (11, 13, 17)).astype(dtype)
    got = add_up(x, axis=axis, keepdims=keepdims)
    expected = DEFAULTS["sum"](x, axis=axis, keepdims=keepdims)
    np.testing.assert_array_equal(got, expected, strict=True)


def test_sum_of_nothing() -> None:
    """An empty sum is 0, in the right shape."""
    for shape, axis in [((0, 3), (0,)), ((3, 0), (1,)), ((0, 3), (1,)), ((0,), (0,))]:
        x = np.zeros(shape, np.float32)
        expected = x.sum(axis=axis)
        np.testing.assert_array_equal(add_up(x, axis=axis, keepdims=False), expected, strict=True)


# Indexing


def test_index_out_of_range() -> None:
    """The message has the op, the index and the range; both ends are checked."""
    x, zero = np.zeros((3, 4), np.float32), np.zeros((1, 4), np.float32)
    for wrong in (3, -4):
        index = np.array([[0, 1, 2, wrong]], np.int32)
        text = f"index {wrong} is out of range for an axis of 3; expected -3 to 2"
        with pytest.raises(IndexRangeError, match=f"take_along_axis: {text}"):
            KERNELS["take_along_axis"](x, index, axis=0)
        with pytest.raises(IndexRangeError, match=f"scatter_add: {text}"):
            KERNELS["scatter_add"](x, index, zero, axis=0)


@pytest.mark.parametrize("axis", [0, 1])
def test_take_and_scatter(axis: int, rng: np.random.Generator) -> None:
    """The defaults' results, with negative, unsigned and no indices; inputs stay as they are."""
    x = rng.integers(-9, 10, (3, 4)).astype(np.float32)
    for n, dtype in ((5, np.int32), (2, np.int8), (0, np.int64), (3, np.uint8)):
        shape = (n, 4) if axis == 0 else (3, n)
        low = 0 if dtype is np.uint8 else -x.shape[axis]
        index = rng.integers(low, x.shape[axis], shape).astype(dtype)
        updates = rng.integers(-9, 10, shape).astype(np.float32)
        before = x.copy()
        for name, args in (("take_along_axis", (x, index)), ("scatter_add", (x, index, updates))):
            got = KERNELS[name](*args, axis=axis)
            np.testing.assert_array_equal(got, DEFAULTS[name](*args, axis=axis), strict=True)
        np.testing.assert_array_equal(x, before)


# Windows

CASES = [
    # N, C, K, size, kernel, stride, padding, dilation, groups
    (2, 3, 4, (5, 6), (3, 2), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    (1, 4, 6, (6, 5), (3, 3), (2, 2), ((1, 1), (2, 0)), (1, 1), 2),
    (2, 4, 4, (7, 7), (2, 3), (1, 3), ((0, 2), (1, 1)), (2, 1), 4),
    (3, 2, 2, (4, 4), (1, 1), (2, 1), ((1, 0), (0, 3)), (1, 1), 1),
    (0, 2, 2, (4, 4), (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("layout", ["contiguous", "transposed"])
def test_convolutions(case: Any, layout: str, rng: np.random.Generator) -> None:
    """All three against the defaults, on whole numbers, exactly; for strided inputs too."""
    n, c, k, size, kernel, stride, padding, dilation, groups = case

    def draw(*shape: int) -> Any:
        if layout == "transposed":
            return rng.integers(-4, 5, shape[::-1]).astype(np.float32).transpose(3, 2, 1, 0)
        return rng.integers(-4, 5, shape).astype(np.float32)

    x, w = draw(n, c, *size), draw(k, c // groups, *kernel)
    at = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
          "precision": "highest"}  # fmt: skip
    y = KERNELS["conv2d"](x, w, **at)
    np.testing.assert_array_equal(y, DEFAULTS["conv2d"](x, w, **at), strict=True)
    g = draw(*y.shape)
    for name, args, extra in (
        ("conv2d_input_grad", (g, w), {"size": size}),
        ("conv2d_weight_grad", (g, x), {"kernel": kernel}),
    ):
        got = KERNELS[name](*args, **extra, **at)
        np.testing.assert_array_equal(got, DEFAULTS[name](*args, **extra, **at), strict=True)


POOLS = list(itertools.product([(2, 2), (3, 2)], [(1, 1), (2, 3)], [0, 1], [(1, 1), (2, 1)]))


def kernel_of(name: str) -> Any:
    """The kernel as the engine calls it: without NumPy's warnings."""
    return ta.get_device("cpu").backend.kernel(OPS[name])


@pytest.mark.parametrize(("kernel", "stride", "pad", "dilation"), POOLS)
@pytest.mark.parametrize("dtype", ["float32", "int32", "bfloat16"])
def test_pooling_against_its_body(
    kernel: Any, stride: Any, pad: int, dilation: Any, dtype: str, rng: np.random.Generator
) -> None:
    """Many ties, NaN and negative numbers: the kernel gives what the op's body does, to the bit."""
    values = rng.integers(-3, 3, (2, 2, 6, 7)).astype(np.float32) - 5
    if dtype != "int32":
        values[0, 0, 2, 3] = values[1, 1, 0, 0] = np.nan
        values[1, 0, 4, 4] = -np.inf
    x = ta.tensor(values).astype(dtype)
    at = {"kernel": kernel, "stride": stride, "padding": ((pad, pad), (pad, pad)),
          "dilation": dilation}  # fmt: skip
    got = kernel_of("max_pool2d")(x.numpy(), **at)
    body = OPS["max_pool2d"].body
    assert body is not None
    expected = body(x, **at).numpy()
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got.astype(np.float64), expected.astype(np.float64), strict=True)
    if dtype == "float32":
        g = rng.integers(1, 9, got.shape).astype(np.float32)
        slope = OPS["max_pool2d_input_grad"].body
        assert slope is not None
        gx = kernel_of("max_pool2d_input_grad")(g, x.numpy(), **at)
        np.testing.assert_array_equal(gx, slope(ta.tensor(g), x, **at).numpy(), strict=True)


def test_every_kernel_serves_an_op() -> None:
    """No kernel is left over under a name that no op has."""
    assert set(KERNELS) <= set(OPS)
