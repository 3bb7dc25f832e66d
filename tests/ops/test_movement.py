"""Movement and arrangement: NumPy's answers over a wide sample of arguments."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyaccel as ta
from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.op import OPS
from tinyaccel.ops import arrange, creation, movement, random
from tinyaccel.tensor import Tensor

SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)
MATRICES = st.lists(st.integers(0, 4), min_size=2, max_size=4).map(tuple)


def counted(shape: tuple[int, ...]) -> tuple[np.ndarray[Any, Any], Tensor]:
    """An array whose elements are all different, and the same as a tensor."""
    x = np.arange(np.prod(shape, dtype=int), dtype=np.int32).reshape(shape)
    return x, ta.tensor(x)


def axis_of(x: np.ndarray[Any, Any]) -> st.SearchStrategy[int]:
    return st.integers(-x.ndim, x.ndim - 1)


def same(got: Tensor, expected: Any) -> None:
    np.testing.assert_array_equal(got.numpy(), expected, strict=True)


# Axes in another order


@given(st.data())
def test_transposes(data: st.DataObject) -> None:
    """transpose, matrix_transpose, swapaxes and moveaxis are NumPy's, axes counted either way."""
    x, t = counted(data.draw(SHAPES))
    same(ta.transpose(t), x.transpose())
    same(t.transpose(), x.transpose())
    order = data.draw(st.permutations(range(-x.ndim, 0)))
    same(ta.transpose(t, order), x.transpose(order))
    same(t.transpose(*order), x.transpose(order))
    if x.ndim > 1:
        same(ta.matrix_transpose(t), np.matrix_transpose(x))
    if x.ndim:
        a, b = data.draw(axis_of(x)), data.draw(axis_of(x))
        same(ta.swapaxes(t, a, b), np.swapaxes(x, a, b))
        same(t.swapaxes(a, b), np.swapaxes(x, a, b))
        same(ta.moveaxis(t, a, b), np.moveaxis(x, a, b))
    count = data.draw(st.integers(0, x.ndim))
    source, to = order[:count], data.draw(st.permutations(range(x.ndim)))[:count]
    same(ta.moveaxis(t, source, to), np.moveaxis(x, source, to))


@given(st.data())
def test_flatten(data: st.DataObject) -> None:
    """flatten merges the axes between two, PyTorch's way; ravel merges all."""
    x, t = counted(data.draw(SHAPES))
    same(ta.ravel(t), x.ravel())
    same(ta.flatten(t), x.ravel())
    if x.ndim:
        a = data.draw(st.integers(0, x.ndim - 1))
        b = data.draw(st.integers(a, x.ndim - 1))
        merged = (*x.shape[:a], int(np.prod(x.shape[a : b + 1])), *x.shape[b + 1 :])
        same(ta.flatten(t, a, b - x.ndim), x.reshape(merged))
        same(t.flatten(a, b), x.reshape(merged))


def test_flatten_is_pytorchs() -> None:
    """flatten is PyTorch's, for every pair of axes."""
    torch = pytest.importorskip("torch")
    x, t = counted((2, 3, 4))
    for a in range(-3, 3):
        for b in range(a % 3, 3):
            same(ta.flatten(t, a, b), torch.flatten(torch.tensor(x), a, b).numpy())


# Borders


@given(st.data())
def test_pad_modes(data: st.DataObject) -> None:
    """Every mode is NumPy's, for widths by axis, one pair for all, and one number for all."""
    x, t = counted(data.draw(st.lists(st.integers(1, 4), max_size=3).map(tuple)))
    mode: Any = data.draw(st.sampled_from(["constant", "reflect", "edge"]))
    most = [n - 1 if mode == "reflect" else 5 for n in x.shape]
    each = [(data.draw(st.integers(0, m)), data.draw(st.integers(0, m))) for m in most]
    options: dict[str, Any] = {"constant_values": 7} if mode == "constant" else {}
    value: dict[str, Any] = {"value": 7} if mode == "constant" else {}
    same(ta.pad(t, each, mode=mode, **value), np.pad(x, each, mode=mode, **options) if each else x)
    if each:
        n = min(most)
        for widths in (n, (n, n // 2)):
            expected = np.pad(x, widths, mode=mode, **options)
            same(ta.pad(t, widths, mode=mode, **value), expected)


def test_pad_keeps_its_spacing() -> None:
    """A third number puts values between neighbours, with a constant only."""
    x = ta.tensor([1, 2])
    assert ta.pad(x, [(1, 0, 2)], value=9).tolist() == [9, 1, 9, 9, 2]
    with pytest.raises(ArgumentError, match="pad_edge: widths"):
        ta.pad(x, [(1, 0, 2)], mode="edge")


# Diagonals and triangles


@given(MATRICES, st.integers(-6, 6))
def test_triangles_and_diagonals(shape: tuple[int, ...], k: int) -> None:
    """tril, triu and diagonal are NumPy's on the last two axes, for every offset."""
    x, t = counted(shape)
    same(ta.tril(t, k=k), np.tril(x, k))
    same(ta.triu(t, k=k), np.triu(x, k))
    same(ta.diagonal(t, offset=k), np.diagonal(x, k, -2, -1))
    same(t.tril(k), np.tril(x, k))
    same(t.triu(k), np.triu(x, k))
    same(t.diagonal(k), np.diagonal(x, k, -2, -1))
    if x.ndim == 2:
        same(ta.diag(t, k=k), np.diag(x, k))


@given(st.integers(0, 5), st.integers(-4, 4))
def test_diag_of_a_vector(n: int, k: int) -> None:
    """diag lays a vector on a diagonal, as NumPy does."""
    x, t = counted((n,))
    same(ta.diag(t, k=k), np.diag(x, k))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float16", "bfloat16", "float64"])
def test_triangles_keep_the_dtype(dtype: str) -> None:
    """What is cut off is a zero of x's own dtype, False for bools."""
    got = ta.tril(ta.ones((2, 2), dtype=dtype))
    assert got.dtype.name == dtype
    assert got.astype(int).tolist() == [[1, 0], [1, 1]]


# Turned and repeated


@given(st.data())
def test_roll(data: st.DataObject) -> None:
    """roll is NumPy's: no axis, one, several, the same twice, and any shift."""
    x, t = counted(data.draw(SHAPES))
    shift = st.integers(-9, 9)
    s = data.draw(shift)
    same(ta.roll(t, s), np.roll(x, s))
    if x.ndim:
        a = data.draw(axis_of(x))
        same(ta.roll(t, s, axis=a), np.roll(x, s, a))
        same(t.roll(s, a), np.roll(x, s, a))
        axes = tuple(data.draw(st.lists(axis_of(x), min_size=1, max_size=4)))
        shifts = tuple(data.draw(shift) for _ in axes)
        same(ta.roll(t, shifts, axis=axes), np.roll(x, shifts, axes))
        same(ta.roll(t, s, axis=axes), np.roll(x, s, axes))
        same(ta.roll(t, shifts, axis=a), np.roll(x, shifts, a))


@given(SHAPES, st.lists(st.integers(0, 3), max_size=5).map(tuple), st.integers(0, 3))
def test_tile(shape: tuple[int, ...], counts: tuple[int, ...], n: int) -> None:
    """tile is NumPy's, for fewer and for more repetitions than axes."""
    x, t = counted(shape)
    same(ta.tile(t, counts), np.tile(x, counts))
    same(ta.tile(t, n), np.tile(x, n))
    same(t.tile(counts), np.tile(x, counts))


@given(st.data())
def test_repeat(data: st.DataObject) -> None:
    """repeat is NumPy's: one count, or one for each element, flattened or along an axis."""
    x, t = counted(data.draw(SHAPES))
    count = st.integers(0, 3)
    n = data.draw(count)
    same(ta.repeat(t, n), np.repeat(x, n))
    each = [data.draw(count) for _ in range(x.size if x.size < 20 else 0)]
    if len(each) == x.size:
        same(ta.repeat(t, each), np.repeat(x, each))
    if x.ndim:
        a = data.draw(axis_of(x))
        same(ta.repeat(t, n, axis=a), np.repeat(x, n, a))
        counts = [data.draw(count) for _ in range(x.shape[a])]
        same(ta.repeat(t, counts, axis=a), np.repeat(x, counts, a))
        same(t.repeat(counts, a), np.repeat(x, counts, a))


# Several tensors


@given(st.data())
def test_split_and_back(data: st.DataObject) -> None:
    """split is NumPy's, for numbers of parts and for indices of any sign and order."""
    x, t = counted(data.draw(SHAPES.filter(bool)))
    a = data.draw(axis_of(x))
    cuts = data.draw(st.lists(st.integers(-6, 6), max_size=4))
    for got, expected in zip(ta.split(t, cuts, axis=a), np.split(x, cuts, a), strict=True):
        same(got, expected)
    parts = data.draw(st.integers(1, 6))
    if x.shape[a] % parts == 0:
        found = ta.split(t, parts, axis=a)
        for got, expected in zip(found, np.split(x, parts, a), strict=True):
            same(got, expected)
        same(ta.concat(found, axis=a), x)
    else:
        with pytest.raises(ShapeError, match=rf"^split: {x.shape[a]} elements .* {parts} equal"):
            ta.split(t, parts, axis=a)


@given(st.data())
def test_unstack_and_stack(data: st.DataObject) -> None:
    """unstack takes apart along an axis what stack puts together, and both are NumPy's."""
    x, t = counted(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)))
    a = data.draw(axis_of(x))
    parts = ta.unstack(t, axis=a)
    for got, expected in zip(parts, np.unstack(x, axis=a), strict=True):
        same(got, expected)
    same(ta.stack(parts, axis=a), x)
    to = data.draw(st.integers(-x.ndim, x.ndim - 1))
    same(ta.stack(parts, to), np.stack(np.unstack(x, axis=a), to))


@given(st.data())
def test_concat(data: st.DataObject) -> None:
    """concat is NumPy's, along an axis or all in a row; dtypes promote by our table."""
    x, t = counted(data.draw(SHAPES.filter(bool)))
    y = x.astype(np.float32) + 1
    a = data.draw(axis_of(x))
    got = ta.concat([t, ta.tensor(y), t], axis=a)
    same(got, np.concatenate([x, y, x], a).astype(np.float32))
    same(ta.concat([t, y], axis=None), np.concatenate([x, y], None).astype(np.float32))


@given(st.lists(st.integers(0, 3), max_size=4), st.sampled_from(["xy", "ij"]))
def test_meshgrid(sizes: list[int], indexing: Any) -> None:
    """meshgrid is NumPy's, for any number of vectors, in both ways of counting."""
    vectors = [np.arange(n, dtype=np.int32) * 10**i for i, n in enumerate(sizes)]
    got = ta.meshgrid(*map(ta.tensor, vectors), indexing=indexing)
    assert isinstance(got, tuple)
    for g, expected in zip(got, np.meshgrid(*vectors, indexing=indexing), strict=True):
        same(g, expected)


def test_meshgrid_of_numbers_and_dtypes() -> None:
    """A number is a vector of one; each result keeps its own dtype."""
    a, b = ta.meshgrid(2.5, ta.tensor([1, 2]))
    assert (a.tolist(), b.tolist()) == ([[2.5], [2.5]], [[1], [2]])
    assert (a.dtype, b.dtype) == (ta.float32, ta.int32)


@given(st.data())
def test_broadcast_arrays(data: st.DataObject) -> None:
    """Each is broadcast to the shape of all, as NumPy broadcasts; the two names are one."""
    full = data.draw(SHAPES)
    xs = []
    for _ in range(data.draw(st.integers(0, 3))):
        kept = [1 if data.draw(st.booleans()) else n for n in full]
        xs.append(counted(tuple(kept[data.draw(st.integers(0, len(kept))) :])))
    got = ta.broadcast_arrays(*(t for _, t in xs))
    for g, expected in zip(got, np.broadcast_arrays(*(x for x, _ in xs)), strict=True):
        same(g, expected)
    assert ta.broadcast_tensors is ta.broadcast_arrays


def test_expand_dims_and_squeeze_by_position() -> None:
    """The axis may be given by position, as in the Array API."""
    x = ta.zeros((2, 1, 3))
    assert ta.expand_dims(x, -1).shape == (2, 1, 3, 1)
    assert ta.squeeze(x, 1).shape == ta.squeeze(x).shape == (2, 3)
    assert ta.flip(x, 0).shape == (2, 1, 3)
    with pytest.raises(TypeError):
        ta.roll(x, 1, 2, 3)  # type: ignore[call-arg]


# Gradients and jit of what isn't one op


SEVERAL: dict[str, Callable[[Tensor], list[Tensor]]] = {
    "transpose": lambda x: [ta.transpose(x), x.swapaxes(0, 1), ta.moveaxis(x, 0, -1)],
    "flatten": lambda x: [ta.flatten(x, 0, 1), ta.ravel(x)],
    "split": lambda x: [*ta.split(x, 2), *ta.split(x, [1, -1], axis=1)],
    "unstack": lambda x: [ta.stack(ta.unstack(x, axis=1)[::-1])],
    "meshgrid": lambda x: list(ta.meshgrid(x[:, 0], x[0], x[1])),
    "broadcast": lambda x: list(ta.broadcast_arrays(x, x[:1], x[0])),
    "diag": lambda x: [ta.diag(x[0], k=1), ta.diag(x, k=-1)],
    "concat": lambda x: [ta.concat([x, x[:1]], axis=None)],
}


@pytest.mark.parametrize("name", SEVERAL)
def test_gradients_eager_and_jitted(name: str, device: str) -> None:
    """What consists of several ops has its gradient's gradient too, and jits to the same."""

    def f(x: Tensor) -> Tensor:
        total = ta.tensor(0.0, dtype=x.dtype, device=x.device)
        for i, part in enumerate(SEVERAL[name](x)):
            weights = ta.arange(part.size, device=x.device).reshape(part.shape).astype(x.dtype) + i
            total = total + (weights * part * part * part).sum()
        return total

    def slope(x: Tensor) -> Tensor:
        return (ta.grad(f)(x) ** 2).sum()

    rng = np.random.default_rng(5)
    start = rng.uniform(0.5, 2, (4, 3))
    x = ta.tensor(start, device=device)
    found = ta.grad(slope)(x).numpy()
    np.testing.assert_allclose(ta.jit(ta.grad(slope))(x).numpy(), found, rtol=1e-12)
    h = 1e-6
    for at in np.ndindex(*start.shape):
        step = np.zeros_like(start)
        step[at] = h
        up, down = slope(ta.tensor(start + step)), slope(ta.tensor(start - step))
        np.testing.assert_allclose(found[at], (up.item() - down.item()) / (2 * h), rtol=1e-5)


def test_one_node_each() -> None:
    """An arrangement is one instruction of a traced graph, until a backend expands it."""
    traced = ta.jit(lambda x: ta.roll(ta.tile(x, (2, 1)), 1, axis=0))
    traced(ta.ones((2, 3)))
    assert [i.op for i in traced.graph().instrs] == ["tile", "roll"]


@settings(max_examples=10)
@given(st.sampled_from(["diagonal", "tril", "triu", "roll", "tile", "repeat"]))
def test_every_arrangement_has_a_method(name: str) -> None:
    """What has a method is the op of its name."""
    x = ta.tensor([[1.0, 2.0], [3.0, 4.0]])
    args = () if name in ("diagonal", "tril", "triu") else (2,)
    assert getattr(x, name)(*args).tolist() == getattr(ta, name)(x, *args).tolist()
    assert name in OPS


@pytest.mark.parametrize("room", [arrange, creation, movement, random], ids=lambda m: m.__name__)
def test_examples(room: ModuleType) -> None:
    """The examples in the docstrings run."""
    results = doctest.testmod(room, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted and not results.failed
