"""Elementwise ops where it is hard: near poles and edges, all of float16, all pairs of int8."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracle import agree

import tinyaccel as ta
from tinyaccel import budgets
from tinyaccel.dtypes import INTEGERS
from tinyaccel.errors import DTypeError
from tinyaccel.testing import trace_call
from tinyaccel.testing.references import reference

# PyTorch


SAME: dict[str, tuple[float, float]] = {  # where to draw
    "tan": (-20, 20), "asin": (-1, 1), "acos": (-1, 1), "atan": (-50, 50), "sinh": (-30, 30),
    "cosh": (-30, 30), "asinh": (-1e5, 1e5), "acosh": (1, 1e5), "atanh": (-1, 1),
    "rsqrt": (1e-3, 1e3), "reciprocal": (-3, 3), "exp2": (-30, 30), "log2": (1e-5, 1e5),
    "log10": (1e-5, 1e5), "ceil": (-9, 9), "floor": (-9, 9), "round": (-9, 9), "trunc": (-9, 9),
}  # fmt: skip
STEPS = ["ceil", "floor", "round", "trunc"]
PAIRS = ["atan2", "hypot", "logaddexp", "copysign", "floor_divide"]


@pytest.mark.parametrize("name", SAME)
def test_like_pytorch(name: str, rng: np.random.Generator) -> None:
    """PyTorch's values and derivatives to the second order, over the whole domain."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    x = rng.uniform(*SAME[name], 200)
    order = 1 if name in STEPS else 2  # PyTorch's gradient of a step has none of its own
    agree(getattr(ta, name), getattr(torch, name), x, order=order, rtol=1e-9)


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_like_pytorch(name: str, rng: np.random.Generator) -> None:
    """So for ops of two inputs, in all four quadrants, broadcast."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    a, b = rng.normal(size=(40, 1)) * 4, rng.normal(size=(1, 30)) * 4
    order = {"copysign": 1, "floor_divide": 0}.get(name, 2)
    agree(getattr(ta, name), getattr(torch, name), a, b, order=order, rtol=1e-9)


@pytest.mark.parametrize("name", ["hypot", "atan2", "copysign", "logaddexp"])
def test_special_pairs_like_numpy(device: str, name: str) -> None:
    """Every pair of zeros, ones, infinities and NaN gives what IEEE 754 and NumPy say."""
    values = np.array([0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan], np.float32)
    a, b = np.meshgrid(values, values)
    got = getattr(ta, name)(ta.tensor(a), ta.tensor(b)).numpy()
    with np.errstate(all="ignore"):
        expected = getattr(np, name if name != "atan2" else "arctan2")(a, b)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    zero = expected == 0
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(expected[zero]))


# Near poles, edges and limits


def _around(*points: float, steps: int = 3) -> list[float]:
    """Each point as float32 has it, with its neighbours on both sides."""
    found = [np.float32(p) for p in points]
    for direction in (-np.inf, np.inf):
        for p in points:
            x = np.float32(p)
            for _ in range(steps):
                x = np.nextafter(x, np.float32(direction))
                found.append(x)
    return [float(x) for x in found]


_SMALL = [s * 10.0**-k for k in range(1, 30, 4) for s in (1, -1)]
HARD: dict[str, list[float]] = {
    "tan": _around(*[math.pi / 2 * n for n in range(-9, 10)]) + _SMALL,
    "asin": _around(0.5, 0.99, 0.999999, -0.999999) + _SMALL,
    "acos": _around(0.5, 0.99, 0.9998, 0.999999, -0.999999),
    "atan": [1e-30, 0.3, 7e5, -3e38],
    "sinh": _around(89.0, -89.0, 44.0, 0.1) + _SMALL,
    "cosh": _around(89.0, -89.0, 44.0, 0.1) + _SMALL,
    "asinh": [1e3, 2000.0, 4000.0, -1e4, 1e10, 3e38, -3e38, 0.5, *_SMALL],
    "acosh": [*_around(1.5, 1.001, 2000.0, 2896.3, 4000.0), 1.0000001, 1.000001, 1e10, 3e38],
    "atanh": _around(0.5, 0.999, 0.99999, -0.99999) + _SMALL,
    "log2": [*_around(1.5, 8.0, 2.0**100), 1.0000001, 0.99999994, 1e-30, 3e38],
    "log10": [*_around(1.5, 1000.0, 1e10), 1.0000001, 0.99999994, 1e-30, 3e38],
    "exp2": _around(0.0, 0.5, 10.0, -20.5),
    "rsqrt": [1e-37, 1e-3, 2.0, 3e38],
    "reciprocal": [1e-37, -3.0, 1e37],
}


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jitted"])
@pytest.mark.parametrize("name", HARD)
def test_hard_values(device: str, name: str, jitted: bool) -> None:
    """Full accuracy where formulas break down: by poles, by 1, in the tiny and in the huge."""
    x = np.array(HARD[name], np.float32)
    function = getattr(ta, name)
    got = (ta.jit(function) if jitted else function)(ta.tensor(x)).numpy()
    exact = reference(name)(x).astype(np.float64)
    # Half of the argument's own last place, times the slope, is what a pole makes of it in exp.
    steep = 40 if name in ("sinh", "cosh") else 8
    np.testing.assert_allclose(got, exact, rtol=steep * 2.0**-23, atol=1e-37)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logarithms_of_whole_powers(device: str, dtype: str) -> None:
    """log2 and log10 are whole where they should be, for every power that the dtype holds."""
    k = np.arange(-126, 128)
    x = np.ldexp(1.0, k).astype(dtype)
    np.testing.assert_array_equal(ta.log2(ta.tensor(x)).numpy(), k)
    tens = np.arange(0, 11 if dtype == "float32" else 23)
    x = np.array([10 ** int(n) for n in tens], dtype)
    np.testing.assert_array_equal(ta.log10(ta.tensor(x)).numpy(), tens)


@pytest.mark.parametrize("name", ["hypot", "atan2"])
def test_gradients_of_the_tiny_and_the_huge(device: str, name: str) -> None:
    """No square of an input overflows or vanishes on the way to a slope."""
    for scale in (1e-30, 1e30):
        a, b = ta.tensor([3 * scale]), ta.tensor([4 * scale])
        got = ta.grad(lambda p, q: getattr(ta, name)(p, q).sum(), [0, 1])(a, b)
        expected = [0.6, 0.8] if name == "hypot" else [0.16 / scale, -0.12 / scale]
        np.testing.assert_allclose([g.item() for g in got], expected, rtol=1e-5)


def test_second_order_at_corners_is_finite(device: str) -> None:
    """Where a first derivative is 0 by convention, no second one is NaN."""
    functions: list[Callable[[ta.Tensor], ta.Tensor]] = [
        lambda x: ta.hypot(x, 0 * x).sum(), lambda x: ta.copysign(x, x).sum(), ta.norm, ta.std,
        lambda x: ta.norm(x, 3.0), lambda x: ta.norm(x, math.inf),
    ]  # fmt: skip

    for f in functions:
        second = ta.hvp(f, [ta.zeros(2)], [ta.tensor([2.0, 3.0])])
        assert isinstance(second, ta.Tensor)
        assert np.isfinite(second.numpy()).all()


# All there are

NUMPY: dict[str, Callable[..., Any]] = {
    "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round": np.round, "isnan": np.isnan,
    "isinf": np.isinf, "isfinite": np.isfinite, "logical_not": np.logical_not,
}  # fmt: skip


@pytest.mark.parametrize("name", NUMPY)
def test_every_float16(device: str, name: str) -> None:
    """NumPy's result, to the bit, for each of the 65,536 numbers of float16."""
    x = np.arange(2**16, dtype=np.uint16).view(np.float16)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        expected = NUMPY[name](x)
    got = getattr(ta, name)(ta.tensor(x)).numpy()
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
    real = ~np.isnan(x)
    np.testing.assert_array_equal(np.signbit(got[real]), np.signbit(expected[real]))


def test_every_float16_has_a_sign(device: str) -> None:
    """signbit and copysign tell the sign of each of them, subnormal or zero, but not of NaN."""
    x = np.arange(2**16, dtype=np.uint16).view(np.float16)
    real = ~np.isnan(x)
    expected = np.where(real, np.signbit(x), False)
    np.testing.assert_array_equal(ta.signbit(ta.tensor(x)).numpy(), expected)
    got = ta.copysign(ta.tensor(x), ta.tensor(x[::-1].copy())).numpy()
    both = real & real[::-1]
    expected = np.copysign(x, x[::-1])
    np.testing.assert_array_equal(got[both].view(np.uint16), expected[both].view(np.uint16))


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jitted"])
def test_every_pair_of_int8(device: str, jitted: bool) -> None:
    """// is Python's for all pairs of int8, 0 for a divisor of 0, and wraps for -128 // -1."""
    values = range(-128, 128)
    expected = [[a // b if b else 0 for b in values] for a in values]
    expected[0][127] = -128
    a, b = ta.tensor([[v] for v in values], dtype="int8"), ta.tensor(list(values), dtype="int8")

    def divided(p: ta.Tensor, q: ta.Tensor) -> ta.Tensor:
        return p // q

    got = (ta.jit(divided) if jitted else divided)(a, b)
    assert got.dtype is ta.int8
    np.testing.assert_array_equal(got.numpy(), expected)


def test_division_with_remainder(device: str, rng: np.random.Generator) -> None:
    """(a // b) * b + a % b is a, for floats and for integers, and NumPy's // is the same."""
    for a, b in ((rng.uniform(-50, 50, 500).astype("f4"), rng.uniform(-5, 5, 500).astype("f4")),
                 (rng.integers(-(2**31), 2**31, 500).astype("i4"),
                  rng.integers(1, 2**31, 500).astype("i4"))):  # fmt: skip
        x, y = ta.tensor(a), ta.tensor(b)
        np.testing.assert_array_equal((x // y).numpy(), a // b)
        np.testing.assert_allclose((x // y * y + x % y).numpy(), a, rtol=1e-5, atol=1e-5)


def test_integers_stay_as_they_are(device: str) -> None:
    """Rounding gives integers back in their dtype, and refuses bools."""
    functions: list[Callable[[ta.Tensor], ta.Tensor]] = [ta.floor, ta.ceil, ta.round, ta.trunc]
    for dtype in INTEGERS:
        x = ta.tensor([0, 3, int(dtype.max)], dtype=dtype)
        for function in functions:
            assert function(x).dtype is dtype
            assert function(x).tolist() == x.tolist()
    with pytest.raises(DTypeError, match=r"^ceil: dtype bool; expected a number"):
        ta.ceil(ta.tensor([True]))


def test_operators() -> None:
    """// and the logic of numbers, as written with tensors and numbers on either side."""
    x = ta.tensor([7, -7], dtype="int32")
    assert (x // 2).tolist() == [3, -4]
    assert (20 // x).tolist() == [2, -3]
    assert (x // 2.0).dtype is ta.float32
    assert ta.logical_and(x, ta.tensor([0.5, 0.0])).tolist() == [True, False]
    assert ta.clip(x, -1).tolist() == [7, -1]
    assert ta.clip(x, high=-1).tolist() == [-1, -7]
    assert ta.clip(x, None, 3).dtype is ta.int32


# Budgets


def test_bounds_know_jumps_and_squares() -> None:
    """An angle may turn round by 2 pi, a quotient leave every bound; squares always have a root."""

    def bound(function: Callable[..., ta.Tensor], *values: float) -> float:
        xs = [np.float32(v) for v in values]
        graph = trace_call(function, *map(ta.tensor, xs))
        ((_, error),) = budgets.bounds(graph, list(map(np.asarray, xs)))
        return float(error)

    def nearly(x: ta.Tensor) -> ta.Tensor:
        """0, as far as rounding can tell."""
        return x / 3 - x / 3

    assert bound(lambda x: ta.atan2(nearly(x), -1), 1.0) > 6.28
    assert bound(lambda x: ta.atan2(nearly(x), nearly(x)), 1.0) > 6.28
    assert bound(lambda x: ta.atan2(nearly(x), 1), 1.0) < 1e-6
    assert bound(lambda x: ta.atan2(nearly(x) + 1, -1), 1.0) < 1e-5
    assert bound(lambda x: 1 // nearly(x), 1.0) == math.inf
    assert bound(lambda x: ta.sqrt(nearly(x)), 1.0) == math.inf
    assert bound(lambda x: ta.sqrt(ta.square(nearly(x))), 1.0) < 1e-6
    assert bound(lambda x: ta.sqrt(ta.square(nearly(x)) - 1), 1.0) == 0  # NaN, for certain
