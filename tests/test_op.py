"""Tests of tinyaccel.op: Spec, Op's dtype rules, the registry."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import tinyaccel as ta
from tinyaccel import op as op_module
from tinyaccel.dtypes import DType, Scalar
from tinyaccel.errors import DTypeError, TinyaccelError
from tinyaccel.op import OPS, Op, Spec, Takes

f32, f16, bf16 = ta.float32, ta.float16, ta.bfloat16
i8, u8, i32, u32, i64, b = ta.int8, ta.uint8, ta.int32, ta.uint32, ta.int64, ta.bool_


def an_op(takes: Takes = "any", together: tuple[int, ...] | None = None) -> Op:
    return Op("thing", "binary", lambda *specs: specs[0], takes=takes, together=together)


def test_spec_prints() -> None:
    """A Spec reads as dtype and sizes; a 0-d one has empty brackets."""
    assert str(Spec((2, 3), f32)) == "float32[2, 3]"
    assert str(Spec((), i64)) == "int64[]"


TOGETHER: list[tuple[Takes, Sequence[DType | Scalar], Sequence[DType]]] = [
    ("any", [f32, i32], [f32, f32]),
    ("any", [f16, bf16], [f32, f32]),
    ("any", [i8, 1], [i8, i8]),
    ("any", [1.5, i8], [f32, f32]),
    ("any", [b, 2], [i32, i32]),
    ("any", [1, 2.0], [f32, f32]),
    ("any", [True, True], [b, b]),
    ("float", [i32, i32], [f32, f32]),
    ("float", [i8, f16], [f16, f16]),
    ("sum", [b], [i32]),
    ("sum", [i8], [i32]),
    ("sum", [u8], [u32]),
    ("sum", [i64], [i64]),
    ("sum", [f16], [f16]),
]


@pytest.mark.parametrize(("takes", "given", "expected"), TOGETHER)
def test_input_dtypes(
    takes: Takes, given: Sequence[DType | Scalar], expected: Sequence[DType]
) -> None:
    """All inputs meet in one dtype, weak scalars widen nothing, `takes` has the last word."""
    assert an_op(takes).input_dtypes(given) == list(expected)


def test_together_leaves_the_others_alone() -> None:
    """Inputs outside `together` keep their dtype, whatever the rest promotes to."""
    assert an_op(together=(1, 2)).input_dtypes([b, i32, f16]) == [b, f16, f16]
    assert an_op(together=(0,)).input_dtypes([f32, i64]) == [f32, i64]


REFUSED: list[tuple[Takes, list[DType | Scalar], str]] = [
    ("number", [b, b], "thing: dtype bool; expected a number; convert with astype"),
    ("integer", [f32, i8], "thing: dtype float32; expected integers or bool; convert with astype"),
    ("bool", [i8], "thing: dtype int8; expected bool; convert with astype"),
    ("any", [i8, 1000], "thing: 1000 doesn't fit int8 (-128 to 127); use astype"),
    ("any", [u32, -1], "thing: -1 doesn't fit uint32"),
]


@pytest.mark.parametrize(("takes", "given", "text"), REFUSED)
def test_input_dtypes_refuses(takes: Takes, given: list[DType | Scalar], text: str) -> None:
    """A dtype that the op doesn't take, or a scalar that doesn't fit, says so in one line."""
    with pytest.raises(DTypeError) as caught:
        an_op(takes).input_dtypes(given)
    assert text in str(caught.value)


@pytest.fixture
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the registry, thrown away afterwards."""
    monkeypatch.setattr(op_module, "OPS", dict(OPS))


@pytest.mark.usefixtures("_registry")
def test_register() -> None:
    """An op is found by its name; a name that is taken raises."""
    op = an_op()
    assert op_module.register(op) is op
    assert op_module.OPS["thing"] is op
    with pytest.raises(TinyaccelError, match="op 'thing' is registered already; choose another"):
        op_module.register(an_op())


@pytest.mark.parametrize("name", sorted(OPS))
def test_registered_ops_are_complete(name: str) -> None:
    """Every op has a line for people; it is a primitive or has a body, and knows its own name."""
    op = OPS[name]
    assert op.name == name
    assert op.doc
    assert op.is_primitive == (op.kind != "composite") or op.kind == "custom"
    if isinstance(op.vjp, tuple):
        assert any(op.vjp) or name in ("sign", "ceil", "round", "trunc", "one_hot")  # steps


def test_unknown_op() -> None:
    """Applying an op that isn't there says where those are that are."""
    from tinyaccel.tensor import apply

    with pytest.raises(TinyaccelError, match=r"op 'nope' is unknown; tinyaccel\.op\.OPS lists"):
        apply("nope", ta.tensor(1.0))
