"""Sorting: stable on every device, NaN the largest, and where values belong in an order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyaccel as ta
from tinyaccel import array_api, budgets
from tinyaccel.errors import ArgumentError, AxisError, DTypeError, ShapeError, TinyaccelError
from tinyaccel.tensor import Tensor
from tinyaccel.testing import trace_call

Array = npt.NDArray[Any]

# Few different values, so that there are equals; NaN of both signs, zeros of both signs.
VALUES = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5, np.inf, -np.inf, np.nan, -np.nan])


def order_of(row: Array, *, descending: bool) -> list[int]:
    """By hand: the numbers by insertion, a NaN behind or before them all, as it comes."""

    def before(a: float, b: float) -> bool:
        """Whether a must stand before b, which came earlier."""
        if descending:
            return (a != a and b == b) or a > b
        return (b != b and a == a) or a < b

    order: list[int] = []
    for i, value in enumerate(row):
        at = len(order)
        while at and before(value, row[order[at - 1]]):
            at -= 1
        order.insert(at, i)
    return order


@settings(max_examples=200)
@given(hnp.arrays(np.float64, st.integers(0, 40), elements=VALUES), st.booleans())
def test_order(row: Array, descending: bool) -> None:
    """Equals keep their order both ways round; NaN is last, or first when descending."""
    expected = order_of(row, descending=descending)
    got = ta.argsort(ta.tensor(row), descending=descending)
    assert got.dtype is ta.int32
    assert got.tolist() == expected
    values = ta.sort(ta.tensor(row), descending=descending).numpy()
    np.testing.assert_array_equal(values, row[expected])
    numbers = row[expected] == row[expected]
    assert (np.signbit(values) == np.signbit(row[expected]))[numbers].all()


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint32", "int64", "bfloat16", "float64"])
def test_order_on_every_device(dtype: str, device: str, rng: np.random.Generator) -> None:
    """The same order in every dtype and along every axis, with the extremes of integers."""
    host = rng.integers(0, 3, (2, 33, 3))
    x = ta.tensor(host).astype(dtype)
    if x.dtype.is_integer:
        host = np.where(host == 0, x.dtype.min, np.where(host == 1, x.dtype.max, 1))
        x = ta.tensor(host, dtype=dtype)
    rows = x.numpy().astype(np.float64 if dtype != "int64" else np.int64)
    for axis, descending in ((1, False), (-2, True)):
        got = np.moveaxis(ta.argsort(x, axis=axis, descending=descending).numpy(), 1, -1)
        for outer in np.ndindex(2, 3):
            row = np.moveaxis(rows, 1, -1)[outer]
            assert got[outer].tolist() == order_of(row, descending=descending)


@pytest.mark.parametrize("library", ["numpy", "array_api_strict"])
@pytest.mark.parametrize("descending", [False, True])
def test_default_kernel(library: str, descending: bool, rng: np.random.Generator) -> None:
    """The Array API's default is stable too, in libraries that must be told and in the others."""
    xp = pytest.importorskip(library)
    row = rng.choice(np.array([0.0, -0.0, 1.0, np.nan, np.inf]), 200)
    got = array_api.kernels(xp)["argsort"](xp.asarray(row), axis=0, descending=descending)
    assert np.asarray(got).tolist() == order_of(row, descending=descending)
    assert np.asarray(got).dtype == np.int32


def test_gradient_of_sort(device: str) -> None:
    """A gradient goes back to the place that its element came from; so does its gradient."""
    weight = ta.tensor([1.0, 10.0, 100.0])
    x = ta.tensor([2.0, 3.0, 1.0])
    f = ta.jit(ta.grad(lambda t: (ta.sort(t) ** 2 * weight).sum()))
    assert f(x).tolist() == [2 * 2 * 10, 2 * 3 * 100, 2 * 1]
    second = ta.grad(lambda t: ta.grad(lambda u: (ta.sort(u) ** 3).sum())(t).sum())(x)
    assert second.tolist() == [12, 18, 6]


# The largest few


def test_topk(device: str) -> None:
    """The first k of the order either way, along any axis, with their indices and gradients."""
    host = np.array([[3, 1, 3, 2], [np.nan, 5, -1, 5]], np.float32)
    x = ta.tensor(host)
    values, indices = ta.topk(x, 3)
    np.testing.assert_array_equal(values.numpy(), [[3, 3, 2], [np.nan, 5, 5]])
    assert indices.tolist() == [[0, 2, 3], [0, 1, 3]]
    assert indices.dtype is ta.int32
    values, indices = ta.topk(x, 1, axis=0, largest=False)
    assert values.tolist() == [[3, 1, -1, 2]]
    assert indices.tolist() == [[0, 0, 1, 0]]
    assert ta.topk(x, 0)[0].shape == (2, 0)
    slope = ta.grad(lambda t: (ta.topk(t, 2)[0] * ta.tensor([1.0, 2.0])).sum())(x)
    assert slope.tolist() == [[1, 0, 2, 0], [1, 2, 0, 0]]


# Where values belong


@settings(max_examples=200)
@given(
    hnp.arrays(np.float32, st.integers(0, 40), elements=VALUES),
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=2), elements=VALUES),
    st.sampled_from(["left", "right"]),
)
def test_searchsorted(row: Array, values: Array, side: Any) -> None:
    """NumPy's answer for every value, NaN the largest, in the values' shape."""
    ordered = np.sort(row)
    got = ta.searchsorted(ta.tensor(ordered), ta.tensor(values), side=side)
    expected = np.searchsorted(ordered, values, side=side).astype(np.int32)
    np.testing.assert_array_equal(got.numpy(), expected)
    assert got.dtype is ta.int32


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 31, 32, 33])
def test_searchsorted_of_every_length(n: int, device: str) -> None:
    """No step too few, on every device, jitted; promoted as in any op, numbers being weak."""
    row = np.arange(0, 2 * n, 2, dtype=np.int8)
    values = np.arange(-1, 2 * n + 2, dtype=np.int32)
    for side in ("left", "right"):
        f = ta.jit(lambda r, v, side=side: ta.searchsorted(r, v, side=side))
        got = f(ta.tensor(row), ta.tensor(values)).tolist()
        assert got == np.searchsorted(row, values, side=side).tolist()
    assert ta.searchsorted(ta.tensor(row), 2.5).item() == min(2, n)
    assert ta.searchsorted(ta.tensor(row).astype("float16"), 3).item() == min(2, n)


REFUSED: list[tuple[Callable[[Tensor], object], type[TinyaccelError], str]] = [
    (lambda x: ta.topk(x, 4), ArgumentError,
     "topk: k=4 of float32[2, 3] along axis 1; expected 0 to 3"),
    (lambda x: ta.topk(x, True), ArgumentError,
     "topk: k=True of float32[2, 3] along axis 1; expected 0 to 3"),
    (lambda x: ta.topk(x, 1, axis=2), AxisError,
     "topk: axis 2 is out of range for 2 dimensions; expected -2 to 1"),
    (lambda x: ta.sort(x[0, 0]), AxisError,
     "sort: axis -1 given, but a 0-d tensor has no axes; use axis=None"),
    (lambda x: ta.searchsorted(x, x), ShapeError,
     "searchsorted: sequence float32[2, 3]; expected one axis, (n,)"),
    (lambda x: ta.searchsorted(x[0], x, side="middle"), ArgumentError,
     'searchsorted: side=\'middle\'; expected "left" or "right"'),
    (lambda x: ta.argsort("text"), DTypeError,  # type: ignore[arg-type]
     "argsort: got str; expected a tensor, an array or a number"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "kind", "text"), REFUSED, ids=[t for *_, t in REFUSED])
def test_refuses(act: Callable[[Tensor], object], kind: type[TinyaccelError], text: str) -> None:
    """One line says what arrived and what was expected."""
    with pytest.raises(kind) as error:
        act(ta.zeros((2, 3)))
    assert type(error.value) is kind
    assert str(error.value) == text


# Budgets


def bound_of(fn: Callable[..., Any], *arrays: Array) -> budgets.Bounded:
    graph = trace_call(fn, *map(ta.tensor, arrays))
    (found,) = budgets.bounds(graph, arrays)
    return found


@pytest.mark.parametrize("descending", [False, True])
def test_order_of_what_is_rounded(descending: bool, rng: np.random.Generator) -> None:
    """However values are off within their bounds, order and sorted values are within theirs."""

    def program(t: Tensor) -> tuple[Tensor, ...]:
        z = t * 1.1
        order = ta.argsort(z, axis=0, descending=descending)
        return z, order, ta.sort(z, axis=0, descending=descending)

    # Steps of about one rounding, so that some neighbours may change places and others can't.
    x = (1 + rng.integers(0, 60, (40, 2)) * 2.0**-23).astype(np.float32)
    x[::5] += rng.integers(0, 4, (8, 2)).astype(np.float32)
    graph = trace_call(program, ta.tensor(x))
    z, order, ordered = budgets.bounds(graph, [x])
    assert (order.error > 0).any()
    assert not (order.error > 0).all()
    for _ in range(200):
        moved = z.value + rng.uniform(-1, 1, x.shape) * z.error
        got = ta.argsort(ta.tensor(moved), axis=0, descending=descending).numpy()
        assert (np.abs(got - order.value) <= order.error).all()
        values = ta.sort(ta.tensor(moved), axis=0, descending=descending).numpy()
        assert (np.abs(values - ordered.value) <= ordered.error * (1 + 1e-9)).all()
    assert (ordered.error < 4 * z.error.max()).all()  # and not as wide as the axis


def test_certain_order_has_no_error() -> None:
    """Equals that are certain keep their order; only where values are off is it open."""
    x = np.array([3, 1, 3, 1], np.float32)
    assert not bound_of(lambda t: ta.argsort(t), x).error.any()
    assert bound_of(lambda t: ta.argsort(t * 1.1), x).error.tolist() == [2, 2, 2, 2]
    distinct = np.array([3, 1, 2, np.nan], np.float32)
    assert not bound_of(lambda t: ta.argsort(t * 1.1), distinct).error.any()


def test_rows_at_an_open_index() -> None:
    """Where the index is open, taken rows, added rows and replaced rows are open."""

    def index(t: Tensor) -> Tensor:
        return ta.argsort(t * 1.1)[:1]

    table = np.array([[0, 1], [20, 1], [40, 1]], np.float32)
    close, clear = np.array([2, 2, 3], np.float32), np.array([1, 2, 3], np.float32)

    def taken(t: Tensor) -> Tensor:
        return ta.take(ta.tensor(table, device=t.device), index(t), axis=0)

    assert bound_of(taken, close).error.tolist() == [[40, 0]]
    assert not bound_of(taken, clear).error.any()
    for put in (lambda m, i: m.at[i].add(1.0), lambda m, i: m.at[i].set(100.0)):

        def program(t: Tensor, put: Any = put) -> Tensor:
            return put(t * 0, index(t))  # type: ignore[no-any-return]

        assert (bound_of(program, close).error >= 1).all()
        assert (bound_of(program, clear).error < 1e-5).all()
