"""Indexing: x[...], x.at[...] and what they are made of, against NumPy and adding up by hand."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, ClassVar

import hypothesis.extra.numpy as hnp
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyaccel as ta
from tinyaccel import array_api
from tinyaccel.backend import get_device, register_backend
from tinyaccel.errors import (
    ArgumentError,
    DeviceError,
    DTypeError,
    IndexRangeError,
    ShapeError,
    TinyaccelError,
    TraceError,
)
from tinyaccel.ops.indexing import index_add, index_set
from tinyaccel.tensor import Tensor
from tinyaccel_numpy.backend import NumpyBackend
from tinyaccel_numpy.indexing import KERNELS as NUMPY_KERNELS

Array = npt.NDArray[Any]
Shape = tuple[int, ...]


# All of NumPy's indices


@st.composite
def indices(draw: st.DrawFn, shape: Shape) -> tuple[Any, ...]:
    """Integers, slices, None, ..., integer arrays that broadcast together, and a mask; any mix."""
    together = draw(st.sampled_from([(), (1,), (3,), (2, 3), (2, 1), (0,)]))
    kinds = ["integer", "slice", "slice", "array", "array"]
    parts: list[Any] = []
    axis, masked = 0, False
    while axis < len(shape):
        n = shape[axis]
        kind = draw(st.sampled_from(kinds if n else ["slice"]))
        if kind == "integer":
            parts.append(draw(st.integers(-n, n - 1)))
        elif kind == "slice":
            parts.append(draw(st.slices(n)))
        elif not masked and together == () and draw(st.booleans()):
            axes = draw(st.integers(1, len(shape) - axis))
            parts.append(draw(hnp.arrays(np.bool_, shape[axis : axis + axes])))
            axis, masked = axis + axes - 1, True
        else:
            own = draw(st.sampled_from([together, together[1:], (1,) * len(together)]))
            kept = hnp.arrays(np.int64, own, elements=st.integers(-n, n - 1))
            parts.append(draw(kept))
        axis += 1
        if draw(st.integers(0, 5)) == 0:
            parts.append(None)
        if draw(st.integers(0, 5)) == 0 and not any(p is ... for p in parts):
            parts.append(...)
            axis += draw(st.integers(0, len(shape) - axis))
    return tuple(parts)


@st.composite
def shaped_indices(draw: st.DrawFn) -> tuple[Shape, Any]:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
    if draw(st.integers(0, 3)) == 0:
        return shape, draw(hnp.integer_array_indices(shape, dtype=np.dtype(np.int64)))
    return shape, draw(indices(shape))


def on_device(index: Any) -> Any:
    """The same index with its arrays as tensors."""
    parts = index if isinstance(index, tuple) else (index,)
    return tuple(ta.tensor(p) if isinstance(p, np.ndarray) else p for p in parts)


def check_index(shape: Shape, index: Any, *, tensors: bool) -> None:
    """x[index], x.at[index] and their gradients, one element after the other."""
    array = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    given = on_device(index) if tensors else index
    expected = array[index]
    x = ta.tensor(array, requires_grad=True)
    y = x[given]
    np.testing.assert_array_equal(y.numpy(), expected, strict=True)
    places = expected.ravel().astype(int)  # each element of x is its own number
    g = np.arange(1, y.size + 1, dtype=np.float32).reshape(y.shape)

    summed, added, replaced = np.zeros(array.size), array.copy().ravel(), array.copy().ravel()
    last = {}
    for number, (place, value) in enumerate(zip(places, g.ravel(), strict=True)):
        summed[place] += value
        added[place] += value
        replaced[place] = value
        last[place] = number
    (got,) = ta.vjp(lambda t: t[given], x.detach())[1](ta.tensor(g))
    np.testing.assert_array_equal(got.numpy().ravel(), summed)

    values = ta.tensor(g)
    np.testing.assert_array_equal(x.at[given].add(values).numpy().ravel(), added)
    np.testing.assert_array_equal(x.at[given].set(values).numpy().ravel(), replaced)
    np.testing.assert_array_equal(x.numpy(), array)  # which stays as it is

    weight = ta.tensor(np.linspace(1, 2, array.size, dtype=np.float32).reshape(shape))
    slopes = ta.grad(lambda t, v: (t.at[given].set(v) * weight).sum(), (0, 1))(x.detach(), values)
    w = weight.numpy().ravel()
    kept = np.isin(np.arange(array.size), list(last), invert=True)
    np.testing.assert_array_equal(slopes[0].numpy().ravel(), np.where(kept, w, 0))
    won = np.isin(np.arange(len(places)), list(last.values()))
    np.testing.assert_array_equal(slopes[1].numpy().ravel(), np.where(won, w[places], 0))


@settings(max_examples=300)
@given(shaped_indices(), st.booleans())
def test_every_index(case: tuple[Shape, Any], tensors: bool) -> None:
    """Any index gives NumPy's elements, in its shape; what is put there is read, in order."""
    check_index(*case, tensors=tensors)


@settings(max_examples=4)
@given(shaped_indices(), st.booleans())
def test_every_index_on_xla(case: tuple[Shape, Any], tensors: bool) -> None:
    """So it is where nothing can raise and updates have no order of their own."""
    pytest.importorskip("jax")
    with ta.default_device("xla:cpu"):
        check_index(*case, tensors=tensors)


N = np.arange(24).reshape(2, 3, 4)
TELLING: dict[str, Any] = {
    "side by side": np.s_[:, [0, 2], [1, 3]],
    "apart": np.s_[[0, 1], :, [1, 2]],
    "an integer apart": np.s_[0, :, [1, 2]],
    "apart by an empty ...": np.s_[[0, 1], [1, 1], ..., [2, 0]],
    "apart by None": np.s_[:, [0, 2], None, [1, 3]],
    "broadcast": np.s_[[[0], [1]], 1:, [3, -1, 0]],
    "negative and twice": np.s_[..., [-1, 3, -4, 0, 0]],
    "reversed beside it": np.s_[::-1, [2, 0], ::-2],
    "nothing": np.s_[:, []],
    "a mask of all axes": N % 3 == 0,
    "a mask of two axes": np.s_[:, N[0] > 4],
    "a mask and an integer": np.s_[1, N[0, :, 0] > 2, -1],
    "a mask and a list": np.s_[[0, 1], [True, True, False]],
    "a mask without axes": np.array(True),
    "a false mask without axes": np.s_[..., np.array(False)],
}


@pytest.mark.parametrize("case", TELLING)
def test_telling_indices(case: str, device: str) -> None:
    """One of each kind, by name: as lists and arrays on the CPU, as tensors on every device."""
    index = TELLING[case]
    if device == "cpu":
        check_index((2, 3, 4), index, tensors=False)
    parts = index if isinstance(index, tuple) else (index,)
    arrays = tuple(np.array(p, None if p else int) if isinstance(p, list) else p for p in parts)
    check_index((2, 3, 4), arrays, tensors=True)


def test_several_masks() -> None:
    """Two masks pick in pairs, as NumPy's do."""
    x = ta.tensor(N)
    rows, columns = np.array([True, False, True]), np.array([False, True, False, True])
    np.testing.assert_array_equal(x[0, rows, columns].numpy(), N[0, rows, columns])
    put = x.at[:, ta.tensor(rows), ta.tensor(columns)].set(np.array([-1, -2]))
    expected = N.copy()
    expected[:, rows, columns] = [-1, -2]
    np.testing.assert_array_equal(put.numpy(), expected)


def test_traced_indices(device: str) -> None:
    """Integer tensors of any dtype and rank pick what they hold when the function is called."""
    x = ta.tensor(np.arange(40_000, dtype=np.float32).reshape(200, 200))
    array = x.numpy()
    pick = ta.jit(lambda t, i, j: t[i, j])
    for i, j in ([3, 199], [5, 199]), ([0, 1], [-1, -200 // 8]):
        kinds = (np.int64, np.int32) if min(j) < 0 else (np.uint8, np.uint32)
        a, b = np.array(i, kinds[0]), np.array(j, kinds[1])
        np.testing.assert_array_equal(pick(x, ta.tensor(a), ta.tensor(b)).numpy(), array[a, b])
    one = ta.jit(lambda t, i: t[i])
    assert [one(x, ta.tensor(i))[0].item() for i in (7, -1)] == [1400, 39_800]
    put = ta.jit(lambda t, i, v: t.at[i, 1:3].set(v))(x, ta.tensor([4, 4]), ta.ones((2, 2)))
    assert put.numpy().sum() == array.sum() - array[4, 1:3].sum() + 2


def test_second_order(device: str) -> None:
    """Gradients of gradients go through reading, adding and setting."""
    i = ta.tensor([0, 2, 0])

    def f(t: Tensor, v: Tensor) -> Tensor:
        return (t[i] ** 3).sum() + (t.at[i].set(v) ** 3).sum() + (t.at[i].add(v) ** 2).sum()

    x, v = ta.tensor([1.0, 2.0, 3.0]), ta.tensor([4.0, 5.0, 6.0])
    slope = ta.grad(lambda t, u: ta.grad(f, 0)(t, u).sum() + ta.grad(f, 1)(t, u).sum(), (0, 1))
    by_x, by_v = slope(x, v)
    # By hand: place 0 is read twice and set last by v[2], place 2 is read once and set by v[1].
    # x: 6 x_i times the readings, 6 x_1 where nothing is set, 2 each and 2 for each update there.
    assert by_x.tolist() == [12 * 1 + 2 + 4, 6 * 2 + 2, 6 * 3 + 2 + 2]
    assert by_v.tolist() == [2 + 4, 6 * 5 + 2 + 2, 6 * 6 + 2 + 4]


# Out of range


def test_known_indices_are_checked_on_the_host(device: str) -> None:
    """An array or a list out of range raises on every device, in jit too; its axis is named."""
    x = ta.zeros((2, 3))
    text = "getitem: index 3 is out of range for axis 1 of 3; expected -3 to 2"
    reads: list[Callable[[Tensor], Tensor]] = [
        lambda t: t[:, [0, 3]],
        ta.jit(lambda t: t[[0, 0], np.array([0, 3])]),
    ]
    for read in reads:
        with pytest.raises(IndexRangeError, match=f"^{re.escape(text)}$"):
            read(x)
    with pytest.raises(IndexRangeError, match=r"at\.set: index -3 is out of range for axis 0"):
        x.at[[-3]].set(0.0)


OUTSIDE = [([0, 1], [1, 3]), ([0, 1], [1, -4]), ([0, 2], [1, 0]), ([0, -3], [1, 2])]


@pytest.mark.parametrize(("rows", "columns"), OUTSIDE)
def test_no_index_aliases_another_place(rows: list[int], columns: list[int], device: str) -> None:
    """Out of range on one of two axes: raises on the CPU; elsewhere NaN, and nothing is put."""
    x = ta.tensor(np.arange(6, dtype=np.float32).reshape(2, 3))
    index = ta.tensor(rows), ta.tensor(columns)
    whole = x.astype("int32")
    if device == "cpu":
        acts: list[Callable[[], Tensor]] = [
            lambda: x[index],
            lambda: x.at[index].set(9.0),
            lambda: x.at[index].add(9.0),
        ]
        for act in acts:
            with pytest.raises(IndexRangeError, match=r"index -?\d is out of range for an axis of"):
                act()
        return
    np.testing.assert_array_equal(x[index].numpy(), [1, np.nan])
    assert whole[index].tolist() == [1, 0]
    assert x.at[index].set(9.0).tolist() == [[0, 9, 2], [3, 4, 5]]
    assert x.at[index].add(9.0).tolist() == [[0, 10, 2], [3, 4, 5]]


# Masks in jit


def test_mask_in_jit(device: str) -> None:
    """What a mask picks has no known size, so reading can't be traced; the way out is named."""
    x = ta.tensor(np.arange(6, dtype=np.float32).reshape(2, 3))
    with pytest.raises(TraceError) as error:
        ta.jit(lambda t: t[t > 2])(x)
    text = str(error.value)
    assert text.startswith("indexing by a boolean tensor, whose count is data, can't be traced by")
    assert "test_indexing.py:" in text
    assert "use where(mask, x, 0)" in text
    known = np.array([True, False])
    assert ta.jit(lambda t: t[known])(x).tolist() == [[0, 1, 2]]
    with pytest.raises(TraceError, match=r"nonzero, .* can't be traced"):
        ta.jit(lambda t: ta.nonzero(t)[0])(x)


MASKED: dict[str, tuple[Callable[[Tensor], Any], Any]] = {
    "a number": (lambda t: t > 7, 5.0),
    "rows": (lambda t: t[:, 0, 0] > 7, np.arange(12, dtype=np.float32).reshape(3, 4)),
    "one row for all": (lambda t: t[:, 0, 0] > 7, np.ones((1, 3, 4), np.float32)),
    "behind a slice": (lambda t: (slice(None), t[0] > 5), np.array([[7], [8]], np.float32)),
    "behind an integer": (lambda t: (1, t[0] > 5), -1.0),
    "in front of an integer": (lambda t: (t[:, :, 0] > 5, 2), -1.0),
    "apart": (lambda t: (t[:, 0, 0] > 5, slice(1, None), 0), np.array([7, 8], np.float32)),
    "without axes": (lambda t: (t > 5).sum() > 2, 3.0),
}


@pytest.mark.parametrize("case", MASKED)
def test_at_a_mask_in_jit(case: str, device: str) -> None:
    """Values that broadcast can be put where a mask says, known or not."""
    mask, values = MASKED[case]
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    x = ta.tensor(array)
    known = mask(x)
    index = tuple(
        p.numpy() if isinstance(p, Tensor) else p
        for p in (known if isinstance(known, tuple) else (known,))
    )
    replaced, added = array.copy(), array.copy()
    replaced[index] = values
    added[index] += values
    v = values if isinstance(values, float) else ta.tensor(values)
    puts: list[tuple[Callable[[Tensor], Tensor], Array]] = [
        (lambda t: t.at[mask(t)].set(v), replaced),
        (lambda t: t.at[mask(t)].add(v), added),
    ]
    for f, expected in puts:
        np.testing.assert_array_equal(f(x).numpy(), expected, strict=True)
        np.testing.assert_array_equal(ta.jit(f)(x).numpy(), expected, strict=True)


def test_at_a_mask_with_values_for_each() -> None:
    """Values that differ by place need their number: not in jit, which says so."""
    x, v = ta.tensor([1.0, 2.0, 3.0]), ta.tensor([8.0, 9.0])
    assert x.at[x > 1].set(v).tolist() == [1, 8, 9]
    with pytest.raises(TraceError, match=r"x\.at\[mask\]\.set\(values\) where the values broadc"):
        ta.jit(lambda t: t.at[t > 1].set(v))(x)
    with pytest.raises(ShapeError, match=r"at.set: shapes \(2,\) and \(3,\) don't broadcast"):
        x.at[x > 0].set(v)


# What is put


def test_values(device: str) -> None:
    """Numbers and smaller shapes broadcast; the tensor's dtype stays, and -0.0 beside it too."""
    x = ta.tensor(np.full((2, 3), -0.0, np.float32))
    put = x.at[0, 1:].set(2)
    assert put.tolist() == [[0, 2, 2], [0, 0, 0]]
    assert np.signbit(put.numpy()).tolist() == [[True, False, False], [True] * 3]
    assert np.signbit(x.at[0, 1:].add(1.0).numpy()[1]).all()
    assert x.at[:, [0, 2]].add(np.array([[1], [2]], np.int8)).tolist() == [[1, 0, 1], [2, 0, 2]]
    big = ta.tensor(np.array([1, 2], np.uint32)).at[0].set(2**32 - 1)
    assert big.tolist() == [2**32 - 1, 2]
    flags = ta.tensor([True, False]).at[[1]].set(True)
    assert flags.tolist() == [True, True]


PUT_ERRORS: list[tuple[Callable[[Tensor], object], type[TinyaccelError], str]] = [
    (lambda x: x.at[0].set(0.5), DTypeError,
     "at.set: values of float32 for a tensor of int32; convert one with astype"),
    (lambda x: x.at[0].add(np.zeros(2)), DTypeError,
     "at.add: values of float64 for a tensor of int32; convert one with astype"),
    (lambda x: x.at[0].set(2**31), DTypeError,
     "at.set: 2147483648 doesn't fit int32 (-2147483648 to 2147483647); use astype"),
    (lambda x: x.at[0].set("a"), DTypeError,  # type: ignore[arg-type]
     "at.set: got str; expected a tensor, an array or a number"),
    (lambda x: x.at[:, [0]].set(np.zeros((3, 1), np.int32)), ShapeError,
     "at.set: shapes (3, 1) and (2, 1) don't broadcast; sizes must be equal or 1, counted from "
     "the last axis"),
    (lambda x: x.at[0, 0].set(np.zeros(2, np.int32)), ShapeError,
     "at.set: values (2,) for places (); must broadcast to them"),
    (lambda x: x.at[0, 0, 0].set(1), ShapeError,
     "at.set: index for 3 axes on shape (2, 3); expected at most 2 integers, slices or arrays, "
     "and one ..."),
    (lambda x: x[[0.5]], DTypeError,
     "getitem: an index of float64[1]; expected integers or bools; convert with astype"),
    (lambda x: x[ta.tensor(1.0)], DTypeError,
     "getitem: an index of float32[]; expected integers or bools; convert with astype"),
    (lambda x: x[[0, 1], [0, 1, 2]], ShapeError,
     "getitem: shapes (2,) and (3,) don't broadcast; sizes must be equal or 1, counted from the "
     "last axis"),
    (lambda x: x[[True, False, True]], ShapeError,
     "getitem: a mask of (3,) for axes of (2,); must be equal"),
    (lambda x: ta.take(x, ta.tensor(0.5), axis=0), DTypeError,
     "take: indices are float32[]; expected integers; convert with astype"),
    (lambda x: index_set(x, ta.tensor([0]), ta.tensor([1]), axis=0), ShapeError,
     "index_set: updates (1,) for (2, 3) and indices (1,) along axis 0; expected (1, 3)"),
    (lambda x: ta.one_hot(x, num_classes=0), ArgumentError,
     "one_hot: num_classes=0; expected an integer of at least 1"),
    (lambda x: ta.nonzero(x[0, 0]), ShapeError,
     "nonzero: a 0-d tensor has no axes to count along; reshape it to (1,)"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "kind", "text"), PUT_ERRORS, ids=[t for *_, t in PUT_ERRORS])
def test_refuses(act: Callable[[Tensor], object], kind: type[TinyaccelError], text: str) -> None:
    """One line says what arrived and what was expected."""
    with pytest.raises(kind) as error:
        act(ta.tensor(np.arange(6, dtype=np.int32).reshape(2, 3)))
    assert type(error.value) is kind
    assert str(error.value) == text


class _Elsewhere(NumpyBackend):
    """A second CPU."""

    name: ClassVar[str] = "elsewhere"

    def devices(self) -> list[str]:
        return ["elsewhere"]


def test_mixed_devices() -> None:
    """A mask or an index on another device is told, and the way out."""
    register_backend("elsewhere", _Elsewhere)
    x = ta.zeros(3)
    for index in (ta.tensor([0], device="elsewhere"), ta.tensor([True] * 3, device="elsewhere")):
        with pytest.raises(DeviceError, match="getitem: tensors on cpu and elsewhere; move one"):
            x[index]
    assert get_device("elsewhere").name == "elsewhere"


# The functions


def test_take_flattens_without_an_axis(device: str) -> None:
    """Without an axis it takes from all elements in row-major order, in the indices' shape."""
    x = np.arange(12).reshape(3, 4)
    i = np.array([[0, 5], [-1, 7]])
    got = ta.take(ta.tensor(x), ta.tensor(i))
    np.testing.assert_array_equal(got.numpy(), np.take(x, i), strict=True)


def test_embedding_gradient_is_small(device: str) -> None:
    """The gradient of rows taken from a table is traced without an index for each element."""
    table = ta.zeros((50, 8))
    graph = ta.jit(ta.grad(lambda t, i: (ta.take(t, i, axis=0) ** 2).sum()))
    graph(table, ta.tensor([3, 3, 7]))
    sizes = [s.shape for s in graph.graph().specs if s.dtype.is_integer]
    assert max(math.prod(s) for s in sizes) == 3
    assert [i.op for i in graph.graph().instrs].count("index_add") == 1


def test_nonzero_and_argwhere(device: str) -> None:
    """NumPy's, as int32; NaN counts, -0.0 doesn't; every dtype."""
    x = np.array([[0, np.nan, -0.0], [1, 0, -2]], np.float32)
    for kind in ("float32", "bfloat16", "bool", "int8"):
        given = ta.tensor(x if kind in ("float32", "bfloat16") else np.nan_to_num(x)).astype(kind)
        expected = np.nonzero(given.numpy().astype(np.float32))
        for got, wanted in zip(ta.nonzero(given), expected, strict=True):
            np.testing.assert_array_equal(got.numpy(), wanted.astype(np.int32), strict=True)
        rows = np.argwhere(given.numpy().astype(np.float32)).astype(np.int32)
        np.testing.assert_array_equal(ta.argwhere(given).numpy(), rows, strict=True)


# The kernels


@pytest.mark.parametrize("library", ["numpy", "array_api_strict"])
@pytest.mark.parametrize("axis", [0, 1])
def test_default_kernels(library: str, axis: int, rng: np.random.Generator) -> None:
    """The Array API's defaults do what NumPy's own kernels do, and don't alias out of range."""
    xp = pytest.importorskip(library)
    own = array_api.kernels(xp)
    x = rng.standard_normal((3, 4)).astype(np.float32)
    n = x.shape[axis]
    i = rng.integers(-n, n, (2, 5)).astype(np.int32)
    shape = (*x.shape[:axis], 2, 5, *x.shape[axis + 1 :])
    u = rng.integers(-9, 9, shape).astype(np.float32)
    for name, inputs in (("take", (x, i)), ("index_add", (x, i, u)), ("index_set", (x, i, u))):
        got = np.asarray(own[name](*map(xp.asarray, inputs), axis=axis))
        expected = NUMPY_KERNELS[name](*inputs, axis=axis)
        np.testing.assert_allclose(got, expected, rtol=1e-6, strict=True)
    far = np.array([n, -n - 1, 2**40, 0])
    taken = np.asarray(own["take"](xp.asarray(x), xp.asarray(far), axis=axis))
    assert np.isnan(np.moveaxis(taken, axis, 0)[:3]).all()
    rows = np.ones_like(np.repeat(x[:1] if axis == 0 else x[:, :1], 4, axis))
    for name in ("index_add", "index_set"):
        put = np.asarray(own[name](*map(xp.asarray, (x, far, rows)), axis=axis))
        same = np.moveaxis(put == x, axis, 0)
        assert same[1:].all()
        assert not same[0].any()


def test_rows_of_any_memory_layout(rng: np.random.Generator) -> None:
    """The last update stays also where the indices lie in memory the other way round."""
    x = np.zeros(3, np.float32)
    u = np.arange(6, dtype=np.float32).reshape(2, 3)
    for i in (np.array([[0, 1, 0], [1, 0, 2]], order="F"), np.zeros((2, 3), int)[::-1, ::-1]):
        expected = x.copy()
        for place, value in zip(i.ravel(), u.ravel(), strict=True):
            expected[place] = value
        np.testing.assert_array_equal(NUMPY_KERNELS["index_set"](x, i, u, axis=0), expected)


def test_long_sums_of_rows() -> None:
    """Sixteen thousand updates for one row: a naive float32 sum would be far out."""
    n = 2**14
    updates = np.full((n, 2), 0.1, np.float32)
    got = index_add(ta.zeros((1, 2)), ta.zeros(n, dtype="int32"), ta.tensor(updates), axis=0)
    exact = n * float(np.float32(0.1))
    assert np.abs(got.numpy() - exact).max() <= 2**-24 * exact
