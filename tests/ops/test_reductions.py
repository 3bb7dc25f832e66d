"""Reductions and scans: NumPy's results, PyTorch's derivatives, gradients at zeros, bad input."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from oracle import agree

import tinyaccel as ta
from tinyaccel.errors import ArgumentError, AxisError, ShapeError, TinyaccelError


@pytest.mark.parametrize("ord", [2.0, 1.0, math.inf, -math.inf, 0.0, 3.0, 2.5, 0.5, -1.5])
def test_norm_like_pytorch(ord: float, rng: np.random.Generator) -> None:
    """PyTorch's vector norms and their derivatives, along one axis, two, and all."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    x = rng.normal(size=(3, 4, 2))
    for axis, keepdims in ((1, False), ((0, 2), True), (None, False)):
        agree(
            lambda t, a=axis, k=keepdims: ta.norm(t, ord, a, keepdims=k),
            lambda t, a=axis, k=keepdims: torch.linalg.vector_norm(t, ord, dim=a, keepdim=k),
            x,
        )


@pytest.mark.parametrize("correction", [0, 1, 2])
def test_std_like_pytorch(correction: int, rng: np.random.Generator) -> None:
    """PyTorch's standard deviation and its derivatives."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    x = rng.normal(size=(3, 5)) + 10
    agree(
        lambda t: ta.std(t, 1, correction=correction),
        lambda t: torch.std(t, 1, correction=correction),
        x,
    )


def test_logsumexp_like_pytorch(rng: np.random.Generator) -> None:
    """PyTorch's logsumexp and its derivatives, far from 0 too, along several axes."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    for shift in (0, 1000, -1000):
        x = rng.normal(size=(2, 3, 4)) * 5 + shift
        agree(lambda t: ta.logsumexp(t, (0, 2)), lambda t: torch.logsumexp(t, (0, 2)), x)


@pytest.mark.parametrize("zeros", [0, 1, 2])
@pytest.mark.parametrize("name", ["prod", "cumprod", "cumsum"])
def test_products_like_pytorch(name: str, zeros: int, rng: np.random.Generator) -> None:
    """PyTorch's products and their derivatives, with no zero in a line, one, and two."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    x = rng.uniform(0.5, 2, (3, 7)) * rng.choice([-1, 1], (3, 7))
    x[0, [1, 4][:zeros]] = 0.0
    order = 1 if name == "cumsum" or (name == "cumprod" and zeros) else 2  # as far as PyTorch can
    agree(lambda t: getattr(ta, name)(t, 1), lambda t: getattr(torch, name)(t, 1), x, order=order)


@pytest.mark.parametrize("scan", [False, True], ids=["prod", "cumprod"])
def test_every_derivative_of_a_product(device: str, scan: bool) -> None:
    """With two zeros among four factors, all second derivatives are the other two's product."""
    values = [2.0, 0.0, 3.0, 0.0]

    def last(x: ta.Tensor) -> ta.Tensor:
        return ta.cumprod(x)[-1] if scan else ta.prod(x)

    hessian = ta.jacobian(ta.grad(last), ta.tensor(values)).numpy()
    for i in range(4):
        for j in range(4):
            rest = [v for k, v in enumerate(values) if k not in (i, j)]
            assert hessian[i, j] == (math.prod(rest) if i != j else 0)


@pytest.mark.parametrize("name", ["prod", "any", "all", "count_nonzero"])
def test_like_numpy(device: str, name: str, rng: np.random.Generator) -> None:
    """NumPy's results for integers, floats and bools, along every choice of axes."""
    everywhere = device == "cpu"  # elsewhere each shape and dtype is compiled
    for dtype in ("int32", "int64", "float32", "bool") if everywhere else ("int32", "bool"):
        x = rng.integers(-2, 3, (3, 4, 2)).astype(dtype)
        for axis in (None, 0, -1, (0, 2), ()) if everywhere else (None, (0, 2)):
            for keepdims in (False, True) if everywhere else (True,):
                got = getattr(ta, name)(ta.tensor(x), axis, keepdims=keepdims)
                expected = getattr(np, name)(x, axis=axis, keepdims=keepdims)
                np.testing.assert_array_equal(got.numpy(), expected)


@pytest.mark.parametrize("include_initial", [False, True])
def test_scans_like_numpy(device: str, include_initial: bool) -> None:
    """Every beginning of a line is summed, whatever its length, integers exactly."""
    lengths = (0, 1, 2, 3, 31, 32, 33, 1025) if device == "cpu" else (0, 1, 33)  # compiled each
    for n in lengths:
        x = np.random.default_rng(n).integers(-9, 9, (n, 2)).astype(np.int32)
        got = ta.cumsum(ta.tensor(x), 0, include_initial=include_initial).numpy()
        start = np.zeros((1, 2), np.int32) if include_initial else x[:0]
        expected = np.concatenate([start, np.cumsum(x, 0, dtype=np.int32)])
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == np.int32
        odd = (x | 1)[:33]
        got = ta.cumprod(ta.tensor(odd), 0, include_initial=include_initial).numpy()
        with np.errstate(over="ignore"):
            expected = np.concatenate([start + 1, np.cumprod(odd, 0, dtype=np.int32)])
        np.testing.assert_array_equal(got, expected)


def test_argmin_like_numpy(device: str, rng: np.random.Generator) -> None:
    """The first of equals in every dtype, the lowest integers among them."""
    for dtype in ("int8", "uint8", "int32", "uint32", "float32", "bool"):
        x = rng.integers(0, 3, (5, 33)).astype(dtype)
        if dtype == "int8":
            x[0, 5], x[1, 7] = -128, 127
        np.testing.assert_array_equal(ta.argmin(ta.tensor(x), 1).numpy(), np.argmin(x, 1))


def test_dtypes() -> None:
    """Products and scans keep 32 bits and more; questions give bool, counts int32."""
    for given, wide in (("bool", "int32"), ("int8", "int32"), ("uint8", "uint32"),
                        ("int64", "int64"), ("float16", "float16")):  # fmt: skip
        x = ta.ones(3, dtype=given)
        for y in (x.prod(), x.cumsum(), x.cumprod()):
            assert y.dtype.name == wide
        assert x.any().dtype is x.all().dtype is ta.bool_
        assert ta.count_nonzero(x).dtype is x.argmin().dtype is ta.int32
        assert x.std().dtype.is_float
        assert ta.norm(x).dtype.is_float


def test_float16_is_computed_wider(device: str) -> None:
    """What overflows float16 on the way, but not in the end, comes out right."""
    x = ta.tensor([300.0, 400.0], dtype="float16")
    assert ta.norm(x).item() == 500
    assert ta.prod(ta.tensor([300.0, 300.0, 0.01], dtype="float16")).item() == pytest.approx(
        900, rel=2e-3
    )
    sums = ta.cumsum(ta.tensor([6e4, 6e4, -6e4], dtype="float16"))
    assert sums.tolist() == [60000, math.inf, 60000]
    assert ta.std(x).item() == 50


def test_methods() -> None:
    """The methods are the functions."""
    x = ta.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert x.prod(0).tolist() == [3, 8]
    assert x.prod(keepdims=True).shape == (1, 1)
    assert x.std(1, correction=1).tolist() == pytest.approx([math.sqrt(0.5)] * 2)
    assert (x > 3).any(1).tolist() == [False, True]
    assert (x > 2).all(1, keepdims=True).tolist() == [[False], [True]]
    assert x.argmin(0).tolist() == [0, 0]
    assert x.cumsum(1).tolist() == [[1, 3], [3, 7]]
    assert x.cumprod(0).tolist() == [[1, 2], [3, 8]]


def test_a_reduction_of_many_is_exact_enough(device: str) -> None:
    """Half a million equal numbers, which a sum one after another gets wrong."""
    x = ta.full(2**19, 0.1)
    assert ta.norm(x).item() == pytest.approx(0.1 * 2**9.5, rel=1e-6)
    assert ta.std(x).item() < 1e-6
    assert ta.logsumexp(x).item() == pytest.approx(0.1 + 19 * math.log(2), rel=1e-6)


def test_bad_input() -> None:
    """One line says what arrived and what was expected."""
    x = ta.ones((2, 3))
    cases: list[tuple[Callable[[], object], type[TinyaccelError], str]] = [
        (lambda: ta.norm(x, "fro"), ArgumentError,  # type: ignore[arg-type]
         "norm: ord='fro'; expected a number, inf or -inf"),
        (lambda: ta.norm(x, math.nan), ArgumentError,
         "norm: ord=nan; expected a number, inf or -inf"),
        (lambda: ta.cumsum(x), ShapeError,
         "cumsum: float32[2, 3] with axis=None; flatten it first, or name one axis"),
        (lambda: ta.cumprod(ta.tensor(1.0)), ShapeError,
         "cumprod: float32[] has nothing along axis None; it has no cumprod"),
        (lambda: ta.argmin(x), ShapeError,
         "argmin: float32[2, 3] with axis=None; flatten it first, or name one axis"),
        (lambda: ta.argmin(ta.ones((2, 0)), 1), ShapeError,
         "argmin: float32[2, 0] has nothing along axis 1; it has no argmin"),
        (lambda: ta.norm(ta.ones((2, 0)), math.inf, 1), ShapeError,
         "norm: float32[2, 0] has nothing along axis (1,); it has no norm"),
        (lambda: ta.prod(x, 2), AxisError,
         "prod: axis 2 is out of range for 2 dimensions; expected -2 to 1"),
    ]  # fmt: skip
    for call, kind, text in cases:
        with pytest.raises(kind) as error:
            call()
        assert str(error.value) == text
