"""Which dtype two dtypes, or a dtype and a number, meet in: the same on every device."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import dtypes
from tinyaccel.dtypes import DType
from tinyaccel.errors import DTypeError
from tinyaccel.testing import trace_call

PAIRS = list(product(dtypes.ALL, dtypes.ALL))

# What the Array API leaves open, and we decided.
BY_HAND = {
    (dtypes.float16, dtypes.bfloat16): dtypes.float32,
    (dtypes.int32, dtypes.float16): dtypes.float16,
    (dtypes.int64, dtypes.bfloat16): dtypes.bfloat16,
    (dtypes.uint8, dtypes.float32): dtypes.float32,
    (dtypes.int64, dtypes.float32): dtypes.float32,
    (dtypes.int8, dtypes.uint8): dtypes.int32,
    (dtypes.bool_, dtypes.int8): dtypes.int8,
    (dtypes.bool_, dtypes.bfloat16): dtypes.bfloat16,
}


def _id(pair: tuple[DType, DType]) -> str:
    return f"{pair[0]}-{pair[1]}"


@pytest.mark.parametrize("pair", PAIRS, ids=_id)
def test_table(pair: tuple[DType, DType]) -> None:
    """Every pair promotes as NumPy has it, where the Array API says anything and both know it."""
    a, b = pair
    got = dtypes.promote(a, b)
    assert got is dtypes.promote(b, a)
    if dtypes.bfloat16 in pair:
        assert got.is_float
    elif a.is_float == b.is_float or "bool" in (a.kind, b.kind):
        theirs = np.result_type(a.numpy, b.numpy)
        assert got.numpy == theirs or theirs == np.int16  # which we don't have
    else:
        assert got is (a if a.is_float else b)  # where NumPy widens


@pytest.mark.parametrize("pair", BY_HAND, ids=_id)
def test_what_we_decided(pair: tuple[DType, DType]) -> None:
    """Where the standard is silent, the table says what the design says."""
    assert dtypes.promote(*pair) is BY_HAND[pair]


@pytest.mark.parametrize("first", dtypes.ALL, ids=str)
def test_on_device(device: str, first: DType) -> None:
    """The result of an op has the table's dtype, and the value that both inputs are cast to."""
    a = ta.tensor([1, 0], dtype=first, device=device)
    for second in dtypes.ALL:
        b = ta.tensor([0, 1], dtype=second, device=device)
        out = ta.maximum(a, b)
        assert out.dtype is dtypes.promote(first, second)
        assert out.numpy().dtype == out.dtype.numpy
        assert out.tolist() == [1, 1]


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=str)
def test_weak_scalars(dtype: DType) -> None:
    """A Python or NumPy number takes the tensor's dtype, or the default of a higher kind."""
    x = ta.zeros(2, dtype=dtype)
    whole = dtypes.int32 if dtype.kind == "bool" else dtype
    broken = dtype if dtype.is_float else dtypes.float32
    for number, expected in (
        (True, dtype), (np.bool_(True), dtype), (2, whole), (np.int64(2), whole),
        (0.5, broken), (np.float64(0.5), broken), (np.float16(0.5), broken),
    ):  # fmt: skip
        assert ta.maximum(x, number).dtype is expected
        assert ta.maximum(number, x).dtype is expected


@pytest.mark.parametrize("dtype", [d for d in dtypes.ALL if not d.is_float], ids=str)
def test_integers_become_floats(device: str, dtype: DType) -> None:
    """An op of floats takes integers and bools as float32, and div gives float32."""
    x = ta.tensor([1, 0], dtype=dtype, device=device)
    assert ta.exp(x).dtype is dtypes.float32
    np.testing.assert_allclose(ta.exp(x).numpy(), [np.e, 1], rtol=1e-6)
    assert ta.div(x, 2).dtype is dtypes.float32


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=str)
def test_sums(dtype: DType) -> None:
    """Sums keep 32 bits and more, and widen what is narrower; argmax gives int32."""
    x = ta.ones(3, dtype=dtype)
    expected = {"bool": "int32", "int8": "int32", "uint8": "uint32"}.get(dtype.name, dtype.name)
    assert x.sum().dtype.name == expected
    assert x.sum().item() == 3
    assert x.argmax().dtype is dtypes.int32


def test_a_number_never_widens() -> None:
    """A number that the tensor's dtype can't hold is an error, not another dtype."""
    with pytest.raises(DTypeError, match=r"^add: -1 doesn't fit uint8 \(0 to 255\); use astype$"):
        ta.add(ta.zeros(2, dtype="uint8"), -1)
    assert ta.add(ta.zeros(2, dtype="float16"), 1e9).dtype is dtypes.float16


def test_kernels_never_see_two_dtypes() -> None:
    """The engine casts before a kernel runs: in the graph, an op's inputs have one dtype."""
    x, y = ta.zeros(2, dtype="int8"), ta.zeros(2, dtype="float16")
    graph = trace_call(lambda a, b: a * b + 1, x, y)
    assert [i.op for i in graph.instrs] == ["astype", "mul", "add"]
    for instr in graph.instrs[1:]:
        assert {graph.specs[v].dtype for v in instr.inputs} == {dtypes.float16}
