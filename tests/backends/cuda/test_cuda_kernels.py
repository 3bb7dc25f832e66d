"""vector_add and shared_sum, in both languages, against NumPy and math.fsum, in the emulators."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest

from tinyaccel_cuda import NumbaKernel
from tinyaccel_cuda.kernel import Kernel, Order
from tinyaccel_cuda.kernels import cuda_c
from tinyaccel_cuda.kernels.shared_sum import shared_sum
from tinyaccel_cuda.kernels.vector_add import vector_add
from tinyaccel_cuda.ops import BLOCK, blocks_for

SIZES = [0, 1, 31, 32, 33, 255, 256, 257, 1023, 1025, 4097]
ORDERS = get_args(Order)
LANGUAGES = ["c", "numba"]

Run = Callable[[np.ndarray, Order], float]


def floats(size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(size).astype(np.float32)


def add(language: str, x: np.ndarray, y: np.ndarray, order: Order, grid: int) -> np.ndarray:
    out = np.full_like(x, np.nan)
    kernel: Kernel = cuda_c("vector_add") if language == "c" else NumbaKernel(vector_add)
    args = (x, y, out, x.size) if language == "c" else (x, y, out)
    kernel.launch(grid, BLOCK, args, order=order, seed=7)
    return out


def total(language: str, x: np.ndarray, order: Order) -> np.float32:
    kernel: Kernel = cuda_c("shared_sum") if language == "c" else NumbaKernel(shared_sum)
    blocks = max(blocks_for(x.size), 1)
    partial, out = np.full(blocks, np.nan, np.float32), np.full(1, np.nan, np.float32)
    for source, target, grid in ((x, partial, blocks), (partial, out, 1)):
        args = (source, target, source.size) if language == "c" else (source, target)
        kernel.launch(grid, BLOCK, args, order=order, seed=7)
    return out[0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_vector_add_equals_numpy_in_every_order(language: str, size: int) -> None:
    """The addition is NumPy's, bit by bit, whichever thread comes first."""
    x, y = floats(size, 1), floats(size, 2)
    for order in ORDERS:
        out = add(language, x, y, order, max(blocks_for(size), 1))
        np.testing.assert_array_equal(out, x + y)


@pytest.mark.parametrize("grid", [1, 2, 20])
@pytest.mark.parametrize("language", LANGUAGES)
def test_vector_add_takes_any_grid(language: str, grid: int) -> None:
    """The grid-stride loop computes all elements with too few blocks and with too many."""
    x, y = floats(1025, 1), floats(1025, 2)
    np.testing.assert_array_equal(add(language, x, y, "forward", grid), x + y)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_shared_sum_is_within_budget_and_the_same_in_every_order(language: str, size: int) -> None:
    """The sum is within 4 sqrt(k) eps sum|x| of the exact one, with the same bits in any order."""
    x = floats(size)
    sums = [total(language, x, order) for order in ORDERS]
    budget = 4 * math.sqrt(size) * np.finfo(np.float32).eps * np.abs(x).sum(dtype=np.float64)
    assert abs(float(sums[0]) - math.fsum(x.tolist())) <= budget
    assert len({s.tobytes() for s in sums}) == 1


def test_both_languages_add_in_the_same_order() -> None:
    """The CUDA C sum and the Numba sum have the same bits: they are the same algorithm."""
    x = floats(4097)
    assert total("c", x, "forward").tobytes() == total("numba", x, "forward").tobytes()
