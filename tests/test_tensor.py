"""Tests of tinyaccel.tensor: making tensors, the one door, indexing, printing, leaving again."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyaccel as ta
from tinyaccel import dtypes
from tinyaccel.errors import (
    DTypeError,
    GradientError,
    IndexRangeError,
    ShapeError,
    TinyaccelError,
)

# Creation

INFERRED: list[tuple[Any, str]] = [
    (1, "int32"),
    (1.5, "float32"),
    (True, "bool"),
    ([1, 2], "int32"),
    ([1, 2.5], "float32"),
    ([[True], [False]], "bool"),
    ([], "float32"),
    ((1.0, 2.0), "float32"),
    (range(3), "int32"),
    (np.float64(1.5), "float32"),  # a scalar is weak
    (np.int64(1), "int32"),
    (np.array(1.5), "float64"),  # an array keeps its dtype
    (np.arange(3), "int64"),
    (np.zeros(2, np.float16), "float16"),
    (np.zeros(2, ml_dtypes.bfloat16), "bfloat16"),
    (np.zeros(2, np.uint32), "uint32"),
    ([np.float16(1)], "float16"),
]


@pytest.mark.parametrize(("data", "dtype"), INFERRED)
def test_tensor_infers_dtype(data: Any, dtype: str) -> None:
    """Python numbers become float32 and int32; an array given in 64 bits keeps them."""
    x = ta.tensor(data)
    assert x.dtype.name == dtype
    np.testing.assert_array_equal(x.numpy(), np.array(data).astype(x.dtype.numpy), strict=True)


def test_tensor_takes_dtype_device_and_tensors() -> None:
    """dtype= and device= say otherwise; a tensor is taken detached; lists may hold tensors."""
    x = ta.tensor([1, 2], dtype="float16", device="cpu", requires_grad=True)
    assert (x.dtype, x.device.name, x.requires_grad) == (ta.float16, "cpu", True)
    y = ta.tensor(x, dtype=float)
    assert (y.dtype, y.requires_grad) == (ta.float32, False)
    assert ta.tensor([ta.tensor(1.0), ta.tensor(2.0)]).tolist() == [1, 2]
    assert ta.tensor([1e300]).item() == np.inf  # silently, as IEEE 754 rounds it


BAD_DATA: list[tuple[Any, dict[str, Any], str]] = [
    ("abc", {}, "tensor: can't read str as numbers; 'abc'"),
    (None, {}, "tensor: can't read NoneType as numbers"),
    ([object()], {}, "tensor: can't read list as numbers"),
    (1j, {}, "complex128"),
    (np.zeros(2, np.uint16), {}, "dtype: dtype('uint16') is not one of"),
    (1.0, {"dtype": "float8"}, "dtype: 'float8' is not one of"),
    (2**31, {}, "tensor: 2147483648 doesn't fit int32"),
    ([1, -1], {"dtype": "uint8"}, "tensor: -1 doesn't fit uint8 (0 to 255); use astype"),
    ([0.0, 0.5, 1.0], {"dtype": "int32"}, "tensor: 0.5 is no integer, but the tensor is int32"),
    ([float("nan")], {"dtype": int}, "tensor: nan is no integer"),
    (np.array([300.0]), {"dtype": "int8"}, "300.0 doesn't fit int8"),
]


@pytest.mark.parametrize(("data", "options", "text"), BAD_DATA)
def test_tensor_refuses(data: Any, options: dict[str, Any], text: str) -> None:
    """Data that is no number, or that the dtype can't hold, raises one clear line."""
    with pytest.raises(DTypeError) as caught:
        ta.tensor(data, **options)
    assert text in str(caught.value)


def test_tensor_refuses_ragged_lists_and_gradients_of_integers() -> None:
    """Rows of different length raise; so does requires_grad for what has no gradient."""
    with pytest.raises(ValueError, match="inhomogeneous"):
        ta.tensor([[1], [1, 2]])
    with pytest.raises(GradientError, match=r"requires_grad: int32\[\] has no gradient; use a fl"):
        ta.tensor(1, requires_grad=True)
    with pytest.raises(TinyaccelError, match=r"make one with tinyaccel\.tensor\(data\)"):
        ta.Tensor()


def test_tensors_own_their_memory(device: str) -> None:
    """Neither the array given nor any array handed out shares memory with a tensor."""
    source = np.array([1.0, 2.0, 3.0], np.float32)
    x = ta.tensor(source)
    source[:] = 9
    x.numpy()[:] = 9
    np.asarray(x)[:] = 9
    exported = np.from_dlpack(x)  # type: ignore[arg-type]  # no protocol class of NumPy's
    if exported.flags.writeable:
        exported[:] = 9
    assert x.tolist() == [1, 2, 3]


def test_immutable() -> None:
    """Item assignment raises and names what to do; += makes a new tensor."""
    x = ta.tensor([1.0, 2.0])
    with pytest.raises(TinyaccelError, match=r"immutable: build a new one with where\(\), or use"):
        x[0] = 5.0
    y = x
    y += 1
    assert x.tolist() == [1, 2]
    assert y.tolist() == [2, 3]
    with pytest.raises(AttributeError):
        x.shape = (1, 2)  # type: ignore[misc]
    with pytest.raises(AttributeError):
        x.nonsense = 1  # type: ignore[attr-defined]


# The one door

NUMBERS = np.array([[1, -2, 3], [4, 5, -6]], np.int32)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "mod", "and_", "or_", "xor"])
def test_integer_operators(name: str, device: str) -> None:
    """Each operator and its reflection, with a tensor, an array and a number, as in NumPy."""
    function = getattr(operator, name)
    x, other = ta.tensor(NUMBERS), np.array([3, 2, 5], np.int32)
    cases: list[tuple[Any, Any]] = [
        (function(x, ta.tensor(other)), function(NUMBERS, other)),
        (function(x, other), function(NUMBERS, other)),
        (function(other, x), function(other, NUMBERS)),
        (function(x, 7), function(NUMBERS, 7)),
        (function(7, x), function(7, NUMBERS)),
    ]
    for got, expected in cases:
        assert isinstance(got, ta.Tensor)
        np.testing.assert_array_equal(got.numpy(), expected, strict=True)


@pytest.mark.parametrize("name", ["truediv", "pow", "lt", "le", "gt", "ge", "eq", "ne"])
def test_float_operators(name: str, device: str) -> None:
    """The same for division, powers and comparisons, in float32."""
    function = getattr(operator, name)
    array = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    x, other = ta.tensor(array), np.array([3, 2, 5], np.float32)
    cases: list[tuple[Any, Any]] = [
        (function(x, ta.tensor(other)), function(array, other)),
        (function(other, x), function(other, array)),
        (function(x, 2), function(array, 2)),
        (function(2, x), function(2, array)),
    ]
    for got, expected in cases:
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6, strict=True)


def test_unary_operators_and_shifts() -> None:
    """-x, abs(x), ~x, shifts and @ by NumPy."""
    x = ta.tensor(NUMBERS)
    np.testing.assert_array_equal((-x).numpy(), -NUMBERS)
    np.testing.assert_array_equal(abs(x).numpy(), abs(NUMBERS))
    np.testing.assert_array_equal((~x).numpy(), ~NUMBERS)
    np.testing.assert_array_equal((x << 2).numpy(), NUMBERS << 2)
    np.testing.assert_array_equal((x >> 1).numpy(), NUMBERS >> 1)
    np.testing.assert_array_equal((x @ x.T).numpy(), NUMBERS @ NUMBERS.T)
    reflected: Any = NUMBERS @ x.T
    np.testing.assert_array_equal(reflected.numpy(), NUMBERS @ NUMBERS.T)


PROMOTED: list[tuple[Callable[[], ta.Tensor], str]] = [
    (lambda: ta.tensor([1], dtype="int8") + 1, "int8"),
    (lambda: ta.tensor([1], dtype="int8") + 1.0, "float32"),
    (lambda: 1.0 + ta.tensor([1], dtype="float16"), "float16"),
    (lambda: ta.tensor([1.0]) + np.float64(1), "float32"),
    (lambda: ta.tensor([1.0]) + np.array(1.0), "float64"),
    (lambda: ta.tensor([True]) + 1, "int32"),
    (lambda: ta.tensor([1]) / ta.tensor([2]), "float32"),
    (lambda: ta.tensor([1], dtype="float16") + ta.tensor([1], dtype="bfloat16"), "float32"),
    (lambda: ta.tensor([1], dtype="uint32") + ta.tensor([1]), "int64"),
    (lambda: ta.tensor([1.0]) < 1, "bool"),
    (lambda: ta.where(ta.tensor([True]), ta.tensor([1], dtype="int8"), 0.5), "float32"),
    (lambda: ta.add(1, 2.5), "float32"),
]


@pytest.mark.parametrize(("compute", "dtype"), PROMOTED)
def test_promotion_through_ops(compute: Callable[[], ta.Tensor], dtype: str, device: str) -> None:
    """The engine promotes, scalars are weak, and the kernel gives what was inferred."""
    x = compute()
    assert x.dtype.name == dtype
    assert x.numpy().dtype == x.dtype.numpy


def test_the_door_refuses() -> None:
    """What is no tensor, array or number is named with its type; a scalar must fit."""
    x = ta.tensor([1, 2])
    for wrong in ("1", None, [1, 2], {1}):
        with pytest.raises(DTypeError, match=r"add: got \w+; expected a tensor, an array or a n"):
            x + wrong  # type: ignore[operator]
    with pytest.raises(DTypeError, match="add: 3000000000 doesn't fit int32"):
        x + 3_000_000_000
    with pytest.raises(ShapeError, match=r"mul: shapes \(2,\) and \(3,\) don't broadcast"):
        x * ta.tensor([1, 2, 3])


def test_only_wanted_gradients_are_recorded() -> None:
    """No tape without requires_grad, in no_grad, or for results that aren't floats."""
    x = ta.tensor([1.0, 2.0])
    p = ta.tensor([1.0, 2.0], requires_grad=True)
    assert not (x * 2).requires_grad
    assert (p * x).requires_grad
    assert not (p < x).requires_grad
    assert not p.astype("int32").requires_grad
    with ta.no_grad():
        assert not (p * x).requires_grad


# Indexing


@given(st.data())
def test_indexing(data: st.DataObject) -> None:
    """Any basic index gives NumPy's elements; its gradient is one for each time it was picked."""
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    x = ta.tensor(array, requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y.numpy(), array[index], strict=True)
    if y is x:
        return
    g = np.arange(1, y.size + 1, dtype=np.float32).reshape(y.shape)
    y.backward(ta.tensor(g))
    expected = np.zeros(shape, np.float32)
    expected[index] += g
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), expected, strict=True)


def test_indexing_by_integers_of_all_kinds(device: str) -> None:
    """NumPy's integers, and integer tensors of one element, count as integers; bools don't."""
    x = ta.tensor([5, 6, 7])
    assert x[np.int64(1)].item() == x[np.uint8(1)].item() == x[ta.tensor(1)].item() == 6
    assert x[ta.tensor(1) :].tolist() == [6, 7]
    with pytest.raises(ShapeError, match="getitem: bool is no index"):
        x[True]
    with pytest.raises(IndexRangeError, match="getitem: index 3 is out of range for axis 0 of 3"):
        x[3]


# Leaving the device


@pytest.mark.parametrize("dtype", [d.name for d in dtypes.ALL])
def test_round_trip(dtype: str, device: str) -> None:
    """Every dtype comes back from the device as it went, to the bit."""
    array = np.array([[0, 1], [1, 0]]).astype(ta.tensor(0).astype(dtype).dtype.numpy)
    x = ta.tensor(array)
    assert x.dtype.name == dtype
    np.testing.assert_array_equal(x.numpy(), array, strict=True)
    assert x.tolist() == array.tolist()


def test_array_protocol(device: str) -> None:
    """NumPy reads a tensor, in its own or another dtype; it can't share memory with it."""
    x = ta.tensor([[1.5, 2.5]])
    np.testing.assert_array_equal(np.asarray(x), np.array([[1.5, 2.5]], np.float32), strict=True)
    assert np.asarray(x, dtype=np.int64).tolist() == [[1, 2]]
    assert np.array(x, copy=True).flags.writeable
    with pytest.raises(ValueError, match="can't share its memory; leave out copy=False"):
        np.asarray(x, copy=False)


def test_dlpack_into_numpy_and_torch() -> None:
    """Another library gets a copy, also of a broadcast view, with the same values."""
    x = ta.tensor([1.0, 2.0]).broadcast_to((3, 2))
    assert x.__dlpack_device__() == (1, 0)
    got = np.from_dlpack(x)  # type: ignore[arg-type]  # no protocol class of NumPy's
    np.testing.assert_array_equal(got, [[1, 2]] * 3)
    torch = pytest.importorskip("torch", reason="the other library")
    t = torch.from_dlpack(x)
    t += 1
    assert t.tolist() == [[2, 3]] * 3
    assert x.tolist() == [[1, 2]] * 3


def test_python_numbers() -> None:
    """item, float, int, bool and index of one element, whatever its shape; of more: an error."""
    x = ta.tensor([[2.5]])
    assert (x.item(), float(x), int(x), bool(x)) == (2.5, 2.5, 2, True)
    assert type(ta.tensor(1).item()) is int
    assert type(ta.tensor(True).item()) is bool
    assert not ta.tensor(0.0)
    assert [10, 20, 30][ta.tensor(1)] == 20
    for convert in (float, int, bool, ta.Tensor.item):
        with pytest.raises(ShapeError, match=r"item: float32\[2\] has 2 elements; expected exac"):
            convert(ta.tensor([1.0, 2.0]))
    with pytest.raises(DTypeError, match=r"index: float32\[\] is no integer; convert with astype"):
        operator.index(ta.tensor(1.0))


def test_length_and_iteration() -> None:
    """A tensor is a sequence of its rows; a 0-d one has no length."""
    x = ta.tensor([[1, 2], [3, 4]])
    assert len(x) == 2
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
    with pytest.raises(ShapeError, match="len: a 0-d tensor has no length"):
        len(ta.tensor(1))
    with pytest.raises(ShapeError, match="len: a 0-d tensor has no length"):
        iter(ta.tensor(1))


def test_hash_is_identity() -> None:
    """== compares elements, so sets and dicts go by identity."""
    x, y = ta.tensor([1.0]), ta.tensor([1.0])
    assert {x: "x", y: "y"}[x] == "x"
    assert len({x, y}) == 2


# Shapes


def test_methods_of_shape() -> None:
    """reshape takes sizes or a tuple; flatten, T, mT and squeeze by NumPy."""
    a = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    x = ta.tensor(a)
    assert x.reshape(4, 6).shape == x.reshape((4, -1)).shape == x.reshape([4, 6]).shape == (4, 6)
    assert x.reshape(-1).shape == x.flatten().shape == (24,)
    assert x.flatten(1).shape == (2, 12)
    np.testing.assert_array_equal(x.mT.numpy(), a.transpose(0, 2, 1))
    np.testing.assert_array_equal(x[0].T.numpy(), a[0].T)
    np.testing.assert_array_equal(x.permute_dims(2, 0, 1).numpy(), a.transpose(2, 0, 1))
    assert x.expand_dims(1).shape == (2, 1, 3, 4)
    assert x.expand_dims(1).squeeze(1).shape == (2, 3, 4)
    assert (x.ndim, x.size) == (3, 24)
    with pytest.raises(ShapeError, match=r"T: float32\[2, 3, 4\] is no matrix; use permute_dims"):
        x.T  # noqa: B018  # a property that raises
    with pytest.raises(ShapeError, match=r"mT: float32\[4\] has no two axes to swap"):
        x[0, 0].mT  # noqa: B018


# Printing

PRINTED: list[tuple[Callable[[], ta.Tensor], str]] = [
    (lambda: ta.tensor(1.5), "tensor(1.5)"),
    (lambda: ta.tensor([1.0, 2.5]), "tensor([1. , 2.5])"),
    (lambda: ta.tensor([True, False]), "tensor([ True, False])"),
    (lambda: ta.tensor([1, 2]), "tensor([1, 2], dtype=int32)"),
    (lambda: ta.tensor([[1, 2], [3, 4]]), "tensor([[1, 2],\n        [3, 4]], dtype=int32)"),
    (lambda: ta.tensor([1.0], requires_grad=True), "tensor([1.], requires_grad=True)"),
    (lambda: ta.tensor([1.5], dtype="bfloat16"), "tensor([1.5], dtype=bfloat16)"),
    (lambda: ta.zeros((0, 3)), "tensor([], shape=(0, 3))"),
    (lambda: ta.tensor([]), "tensor([])"),
    (lambda: ta.arange(1000), "tensor([  0,   1,   2, ..., 997, 998, 999], dtype=int32)"),
]


@pytest.mark.parametrize(("make", "text"), PRINTED)
def test_repr(make: Callable[[], ta.Tensor], text: str) -> None:
    """A tensor prints its values, and what isn't the default: dtype, device, requires_grad."""
    assert repr(make()) == text
