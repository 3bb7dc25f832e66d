"""Tests of tinyaccel.array_api: each default kernel over NumPy, against NumPy or plain loops."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyaccel as ta
from tinyaccel import array_api
from tinyaccel.op import OPS

Array = npt.NDArray[Any]
K = array_api.kernels(np)
U32 = np.uint32


# Threefry

KNOWN_ANSWERS = [  # Random123 1.14, tests/kat_vectors, "threefry2x32 20": counter, key, result
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]  # fmt: skip


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_threefry_known_answers(counter: Any, key: Any, expected: Any) -> None:
    """The published vectors of threefry2x32-20, for NumPy arrays and for Tensors."""
    words = [np.array([w], U32) for w in (*key, *counter)]
    got = array_api.threefry2x32(*words)
    assert tuple(int(w[0]) for w in got) == expected
    tensors = array_api.threefry2x32(*map(ta.tensor, words))
    assert tuple(w.item() for w in tensors) == expected


# Elementwise: name -> (plain NumPy, how many inputs, dtypes)

ELEMENTWISE: dict[str, tuple[Callable[..., Any], int, str]] = {
    "neg": (lambda x: 0 - x, 1, "if"),
    "abs": (lambda x: np.where(x < 0, -x, x), 1, "if"),
    "exp": (lambda x: np.e ** x.astype("f8"), 1, "f"),
    "expm1": (lambda x: np.e ** x.astype("f8") - 1, 1, "f"),
    "log": (lambda x: np.log2(x.astype("f8")) * math.log(2), 1, "p"),
    "log1p": (lambda x: np.log2(1 + x.astype("f8")) * math.log(2), 1, "p"),
    "sqrt": (lambda x: x.astype("f8") ** 0.5, 1, "p"),
    "sin": (lambda x: np.vectorize(math.sin)(x), 1, "f"),
    "cos": (lambda x: np.vectorize(math.cos)(x), 1, "f"),
    "tanh": (lambda x: np.vectorize(math.tanh)(x), 1, "f"),
    "floor": (lambda x: np.vectorize(math.floor)(x), 1, "if"),
    "relu": (lambda x: x * (x > 0), 1, "if"),
    "add": (lambda a, b: a + b, 2, "if"),
    "sub": (lambda a, b: a - b, 2, "if"),
    "mul": (lambda a, b: a * b, 2, "if"),
    "div": (lambda a, b: a / b, 2, "p"),
    "pow": (lambda a, b: np.exp2(np.log2(a.astype("f8")) * b), 2, "p"),
    "atan2": (lambda a, b: np.vectorize(math.atan2)(a, b), 2, "f"),
    "maximum": (lambda a, b: np.where(a > b, a, b), 2, "if"),
    "minimum": (lambda a, b: np.where(a < b, a, b), 2, "if"),
    "equal": (lambda a, b: ~(a < b) & ~(a > b), 2, "if"),
    "less": (lambda a, b: (b - a) > 0, 2, "if"),
    "less_equal": (lambda a, b: ~(a > b), 2, "if"),
    "bitwise_and": (lambda a, b: a & b, 2, "ib"),
    "bitwise_or": (lambda a, b: a | b, 2, "ib"),
    "bitwise_xor": (lambda a, b: a ^ b, 2, "ib"),
}
DRAWN: dict[str, Callable[[np.random.Generator], Array]] = {
    "i": lambda rng: rng.integers(-9, 10, (3, 4), np.int32),
    "f": lambda rng: rng.normal(size=(3, 4)).astype(np.float32),
    "p": lambda rng: rng.uniform(0.1, 4, (3, 4)).astype(np.float32),
    "b": lambda rng: rng.integers(0, 2, (3, 4)).astype(bool),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name: str, rng: np.random.Generator) -> None:
    """The same numbers as the formula, and the dtype of the inputs (bool for comparisons)."""
    formula, count, kinds = ELEMENTWISE[name]
    for kind in kinds:
        inputs = [DRAWN[kind](rng) for _ in range(count)]
        got = K[name](*inputs)
        np.testing.assert_allclose(got, formula(*inputs), rtol=1e-6, atol=1e-6)
        compares = name in ("equal", "less", "less_equal")
        assert got.dtype == (np.bool_ if compares else inputs[0].dtype)


def test_nan_and_infinity() -> None:
    """NaN wins in maximum, minimum and relu; relu's zero isn't negative."""
    nan = np.array([np.nan, 1], np.float32)
    one = np.array([1, np.nan], np.float32)
    assert np.isnan(K["maximum"](nan, one)).all()
    assert np.isnan(K["minimum"](nan, one)).all()
    np.testing.assert_array_equal(
        K["relu"](np.array([np.nan, -np.inf, np.inf, -1], np.float32)), [np.nan, 0, np.inf, 0]
    )


def test_remainder() -> None:
    """Python's %, with its signs; integers modulo 0 give 0, floats NaN."""
    a, b = np.array([7, -7, 7, -7, 5, 0]), np.array([3, 3, -3, -3, 0, 0])
    np.testing.assert_array_equal(K["remainder"](a, b), [1, 2, -2, -1, 0, 0])
    with np.errstate(all="ignore"):
        got = K["remainder"](a.astype(np.float32), b.astype(np.float32))
    np.testing.assert_array_equal(got, [1, 2, -2, -1, np.nan, np.nan])
    limits = np.array([-(2**31), 2**31 - 1], np.int32)
    np.testing.assert_array_equal(K["remainder"](limits, np.array([2, 2], np.int32)), [0, 1])


def test_floor_divide() -> None:
    """Python's //; integers over 0 give 0, the lowest over -1 wraps around."""
    a, b = np.array([7, -7, 7, -7, 5, 0]), np.array([3, 3, -3, -3, 0, 0])
    np.testing.assert_array_equal(K["floor_divide"](a, b), [2, -3, -3, 2, 0, 0])
    with np.errstate(all="ignore"):
        got = K["floor_divide"](a.astype(np.float32), b.astype(np.float32))
        lowest = K["floor_divide"](np.array([-128], np.int8), np.array([-1], np.int8))
    np.testing.assert_array_equal(got, [2, -3, -3, 2, np.inf, np.nan])
    assert lowest.tolist() == [-128]


def test_shifts() -> None:
    """Bits move left and right within the width; the right shift of a signed one keeps its sign."""
    x = np.array([1, 0x80000001, 0xFFFFFFFF], U32)
    np.testing.assert_array_equal(K["shift_left"](x, U32(4)), [16, 16, 0xFFFFFFF0])
    np.testing.assert_array_equal(K["shift_right"](x, U32(31)), [0, 1, 1])
    np.testing.assert_array_equal(K["shift_right"](np.array([-8], np.int32), np.int32(1)), [-4])


def test_where(rng: np.random.Generator) -> None:
    """Elements of a where the condition holds, else of b."""
    c, a, b = DRAWN["b"](rng), DRAWN["f"](rng), DRAWN["f"](rng)
    got = K["where"](c, a, b)
    for at in np.ndindex(c.shape):
        assert got[at] == (a[at] if c[at] else b[at])


# Casts


def test_astype_saturates() -> None:
    """Float to integer drops the fraction and saturates; NaN becomes 0; all in every float type."""
    values = [0.0, -0.9, 1.9, -1.9, 1e30, -1e30, math.inf, -math.inf, math.nan]
    for kind in ("float32", "float64", "bfloat16", "float16"):
        x = np.array(values).clip(-6e4, 6e4) if kind == "float16" else np.array(values)
        x = x.astype(ta.tensor(0.0, dtype=kind).dtype.numpy)
        for dtype in (ta.int8, ta.uint8, ta.int32, ta.uint32, ta.int64):
            got = K["astype"](x, dtype=dtype)
            low, high = int(dtype.min), int(dtype.max)
            top = min(high, 60000) if kind == "float16" and dtype.itemsize > 1 else high
            bottom = max(low, -60000) if kind == "float16" and dtype.itemsize > 1 else low
            if kind == "float16":  # 6e4 is rounded to 60000 there, and infinity was clipped
                expected = [0, 0, 1, max(-1, low), top, bottom, top, bottom, 0]
            else:
                expected = [0, 0, 1, max(-1, low), high, low, high, low, 0]
            assert got.dtype == dtype.numpy
            assert got.tolist() == expected, (kind, dtype)


def test_astype_near_the_limits() -> None:
    """2**31 - 128 is the largest float32 below int32's end, 2**31 the first that is above."""
    x = np.array([2.0**31 - 128, 2.0**31, -(2.0**31), -(2.0**31) - 256], np.float32)
    got = K["astype"](x, dtype=ta.int32)
    assert got.tolist() == [2**31 - 128, 2**31 - 1, -(2**31), -(2**31)]
    y = np.array([2.0**31 - 0.5, 2.0**32 - 0.5, -0.5])
    assert K["astype"](y, dtype=ta.int32).tolist() == [2**31 - 1, 2**31 - 1, 0]
    assert K["astype"](y, dtype=ta.uint32).tolist() == [2**31 - 1, 2**32 - 1, 0]


def test_astype_wraps_and_compares() -> None:
    """Integer to integer wraps around; anything but 0 is True, NaN too; bool counts 0 and 1."""
    assert K["astype"](np.array([300, -1], np.int32), dtype=ta.uint8).tolist() == [44, 255]
    x = np.array([0.0, -0.0, 0.5, np.nan], np.float32)
    assert K["astype"](x, dtype=ta.bool_).tolist() == [False, False, True, True]
    assert K["astype"](np.array([False, True]), dtype=ta.float16).tolist() == [0, 1]
    assert K["astype"](x, dtype=ta.float32) is x


# Reductions


@pytest.mark.parametrize("axis", [(), (0,), (1,), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("keepdims", [True, False])
def test_reductions(axis: tuple[int, ...], keepdims: bool, rng: np.random.Generator) -> None:
    """sum and max are what loops over the reduced axes give; the dtype stays."""
    x = rng.integers(-9, 10, (2, 3, 4), np.int32)
    kept = tuple(1 if i in axis else n for i, n in enumerate(x.shape))
    total, top = np.zeros(kept, np.int32), np.full(kept, -99, np.int32)
    for at in np.ndindex(x.shape):
        to = tuple(0 if i in axis else n for i, n in enumerate(at))
        total[to] += x[at]
        top[to] = max(top[to], x[at])
    shape = total.shape if keepdims else tuple(n for i, n in enumerate(x.shape) if i not in axis)
    for name, expected in (("sum", total), ("max", top)):
        got = K[name](x, axis=axis, keepdims=keepdims)
        np.testing.assert_array_equal(got, expected.reshape(shape), strict=True)


@pytest.mark.parametrize("axis", [0, 1])
def test_sum_of_many(axis: int) -> None:
    """200,000 times 0.1 within 4 sqrt(k) eps sum|x|, which adding one by one isn't."""
    shape = (200_000, 2) if axis == 0 else (2, 200_000)
    for x in (np.full(shape, 0.1, np.float32), np.full(shape[::-1], 0.1, np.float32).T):
        exact = x.astype(np.float64).sum(axis=axis)
        got = K["sum"](x, axis=(axis,), keepdims=False)
        assert (np.abs(got - exact) <= 4 * math.sqrt(200_000) * 2.0**-23 * exact).all()


def test_argmax() -> None:
    """The first of equals, or the first NaN, as int32."""
    x = np.array([[1, 3, 3], [np.nan, 5, np.nan]], np.float32)
    got = K["argmax"](x, axis=1, keepdims=False)
    assert got.dtype == np.int32
    assert got.tolist() == [1, 0]
    assert K["argmax"](x, axis=1, keepdims=True).shape == (2, 1)


# Movement


@given(st.integers(0, 4), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3),
       st.integers(0, 2))  # fmt: skip
def test_pad_axis(n: int, low: int, high: int, interior: int, axis: int) -> None:
    """Values before, after and in between, on each axis: a slice gives the original back."""
    shape = tuple(n if i == axis else 2 for i in range(3))
    x = np.arange(1, math.prod(shape) + 1).reshape(shape)
    got = array_api.pad_axis(np, x, axis, (low, high, interior), -7)
    size = low + high + n + interior * max(n - 1, 0)
    assert got.shape == tuple(size if i == axis else 2 for i in range(3))
    line = np.moveaxis(got, axis, 0)
    kept = range(low, low + n * (interior + 1), interior + 1)
    for i in range(size):
        if i in kept:
            np.testing.assert_array_equal(line[i], np.moveaxis(x, axis, 0)[kept.index(i)])
        else:
            assert (line[i] == -7).all()


def test_movement(rng: np.random.Generator) -> None:
    """Each movement by its own name in NumPy, or by plain slicing."""
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)
    same = np.testing.assert_array_equal
    same(K["reshape"](x, shape=(4, 6)), x.ravel().reshape(4, 6))
    same(K["permute_dims"](x, axes=(2, 0, 1)), np.einsum("abc->cab", x))
    same(K["broadcast_to"](x[:, :1], shape=(5, 2, 3, 4)), np.stack([np.repeat(x[:, :1], 3, 1)] * 5))
    same(K["flip"](x, axis=(0, 2)), x[::-1, :, ::-1])
    same(K["slice"](x, starts=(0, 1, 0), stops=(2, 3, 4), steps=(1, 1, 3)), x[:, 1:3, ::3])
    same(K["concat"](x, x[:, :1], x, axis=1), np.einsum("abc->abc", np.hstack([x, x[:, :1], x])))
    widths = ((1, 0, 0), (0, 2, 1), (0, 0, 0))
    padded = np.full((3, 7, 4), 9, np.float32)
    padded[1:, :5:2] = x
    same(K["pad"](x, widths=widths, value=9), padded)
    arange = K["arange"](start=7, stop=0, step=-3, dtype=ta.int8)
    assert (arange.tolist(), arange.dtype) == ([7, 4, 1], np.int8)


def test_kernels_change_no_input(rng: np.random.Generator) -> None:
    """scatter_add and fold, which add up, leave what they are given as it was."""
    x = rng.normal(size=(3, 4)).astype(np.float32)
    index = rng.integers(0, 3, (5, 4), np.int32)
    updates = rng.normal(size=(5, 4)).astype(np.float32)
    before = [a.copy() for a in (x, index, updates)]
    K["scatter_add"](x, index, updates, axis=0)
    for a, b in zip((x, index, updates), before, strict=True):
        np.testing.assert_array_equal(a, b)


# Indexing


@pytest.mark.parametrize("axis", [0, 1])
def test_take_and_scatter(axis: int, rng: np.random.Generator) -> None:
    """Both against a loop over the indices, negative and repeated ones included."""
    x = rng.integers(-9, 10, (3, 4)).astype(np.float32)
    shape = (5, 4) if axis == 0 else (3, 5)
    index = rng.integers(-x.shape[axis], x.shape[axis], shape, np.int32)
    updates = rng.integers(-9, 10, shape).astype(np.float32)
    taken, added = np.zeros(shape, np.float32), x.copy()
    for at in np.ndindex(shape):
        to = (index[at], at[1]) if axis == 0 else (at[0], index[at])
        taken[at] = x[to]
        added[to] += updates[at]
    np.testing.assert_array_equal(K["take_along_axis"](x, index, axis=axis), taken)
    np.testing.assert_array_equal(K["scatter_add"](x, index, updates, axis=axis), added)


# Products and windows


def test_matmul(rng: np.random.Generator) -> None:
    """Batches broadcast; each entry is the sum of products."""
    a, b = rng.normal(size=(2, 1, 3, 4)), rng.normal(size=(5, 4, 2))
    expected = np.einsum("xyij,yjk->xyik", np.broadcast_to(a, (2, 5, 3, 4)), b)
    np.testing.assert_allclose(K["matmul"](a, b, precision="highest"), expected)


WINDOWS = [
    (size, kernel, stride, dilation)
    for size, kernel, stride, dilation in itertools.product(
        [(5, 6), (4, 5)], [(1, 1), (2, 3)], [(1, 1), (2, 1), (3, 2)], [(1, 1), (1, 2), (3, 1)]
    )
]


@pytest.mark.parametrize(("size", "kernel", "stride", "dilation"), WINDOWS)
def test_unfold_and_fold(
    size: Any, kernel: Any, stride: Any, dilation: Any, rng: np.random.Generator
) -> None:
    """unfold against loops; fold is its adjoint: <unfold(x), u> = <x, fold(u)>."""
    x = rng.integers(-9, 10, (2, 3, *size)).astype(np.float64)
    at = {"stride": stride, "dilation": dilation}
    got = K["unfold"](x, kernel=kernel, **at)
    for i, j, p, q in itertools.product(*map(range, got.shape[2:])):
        pixel = x[:, :, p * stride[0] + i * dilation[0], q * stride[1] + j * dilation[1]]
        np.testing.assert_array_equal(got[:, :, i, j, p, q], pixel)
    u = rng.integers(-9, 10, got.shape).astype(np.float64)
    folded = K["fold"](u, size=size, **at)
    assert folded.shape == x.shape
    assert (got * u).sum() == (x * folded).sum()


CONVS = [
    # N, C, K, size, kernel, stride, padding, dilation, groups
    (2, 3, 4, (5, 6), (3, 2), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    (1, 4, 6, (6, 5), (3, 3), (2, 2), ((1, 1), (2, 0)), (1, 1), 2),
    (2, 4, 4, (7, 7), (2, 3), (1, 3), ((0, 2), (1, 1)), (2, 1), 4),
    (1, 1, 1, (1, 1), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
]


@pytest.mark.parametrize("case", CONVS)
def test_conv2d(case: Any, rng: np.random.Generator) -> None:
    """conv2d against loops; its two gradients are its adjoints in either argument, exactly."""
    n, c, k, size, kernel, stride, padding, dilation, groups = case
    x = rng.integers(-4, 5, (n, c, *size)).astype(np.float64)
    w = rng.integers(-4, 5, (k, c // groups, *kernel)).astype(np.float64)
    at = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
          "precision": "highest"}  # fmt: skip
    y = K["conv2d"](x, w, **at)
    padded = np.pad(x, ((0, 0), (0, 0), *padding))
    expected = np.zeros_like(y)
    for b, o, p, q in np.ndindex(y.shape):
        first = o // (k // groups) * (c // groups)
        for ci, i, j in np.ndindex(*w.shape[1:]):
            at_row, at_column = p * stride[0] + i * dilation[0], q * stride[1] + j * dilation[1]
            expected[b, o, p, q] += w[o, ci, i, j] * padded[b, first + ci, at_row, at_column]
    np.testing.assert_array_equal(y, expected)
    g = rng.integers(-4, 5, y.shape).astype(np.float64)
    gx = K["conv2d_input_grad"](g, w, size=size, **at)
    gw = K["conv2d_weight_grad"](g, x, kernel=kernel, **at)
    assert gx.shape == x.shape
    assert gw.shape == w.shape
    assert (y * g).sum() == (x * gx).sum() == (w * gw).sum()


# Random bits


def test_random_bits() -> None:
    """Element i is word i % 2 of the counter (i // 2, draw); an odd count drops the last word."""
    state = np.array([3, 5, 7], U32)
    got = K["random_bits"](state, shape=(3, 3))
    for i, word in enumerate(got.ravel()):
        counter = [np.array([c], U32) for c in (3, 5, i // 2, 7)]
        assert array_api.threefry2x32(*counter)[i % 2][0] == word
    assert got.dtype == U32
    assert K["random_bits"](state, shape=(0,)).shape == (0,)
    assert K["random_bits"](state, shape=()).shape == ()


# float16 and bfloat16


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_low_precision_rounds_once(dtype: Any, rng: np.random.Generator) -> None:
    """Through in_float32 a sum of many is the float32 sum, rounded once and not each time."""
    x = rng.uniform(size=(1000,)).astype(dtype)
    got = array_api.in_float32(K["sum"], np)(x, axis=(0,), keepdims=False)
    assert got.dtype == dtype
    assert got == x.astype(np.float32).sum(dtype=np.float32).astype(dtype)


def test_low_precision_keeps_other_dtypes() -> None:
    """Only low-precision floats are widened, and only a float32 result is narrowed back."""
    x = np.array([1, 3, 2], np.float16)
    got = array_api.in_float32(K["argmax"], np)(x, axis=0, keepdims=False)
    assert got.dtype == np.int32
    where = array_api.in_float32(K["where"], np)(np.array([True, False, True]), x, x)
    assert where.dtype == np.float16


# The table


def test_every_default_is_tested_here() -> None:
    """No default kernel is left out of this file or those named, each serves a registered op."""
    in_ops = {"take", "index_add", "index_set", "argsort"}  # test_indexing.py, test_sorting.py
    others = {
        "remainder", "floor_divide", "shift_left", "shift_right", "where", "astype", "sum", "max",
        "argmax", "reshape", "permute_dims", "broadcast_to", "flip", "slice", "concat", "pad",
        "arange", "take_along_axis", "scatter_add", "matmul", "unfold", "fold", "conv2d",
        "conv2d_input_grad", "conv2d_weight_grad", "random_bits",
    }  # fmt: skip
    assert set(K) == others | in_ops | set(ELEMENTWISE)
    assert set(K) <= set(OPS)


def test_native_dtypes() -> None:
    """NumPy's dtypes serve NumPy; a library with dtypes of its own is asked by their names."""
    assert array_api.native(np)[ta.bfloat16] == ml_dtypes.bfloat16
    strict = pytest.importorskip("array_api_strict", reason="the standard's own test library")
    own = array_api.native(strict)
    assert own[ta.float32] is strict.float32
    assert own[ta.bool_] is strict.bool
    assert ta.bfloat16 not in own
