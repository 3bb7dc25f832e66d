"""What tests draw: inside the op's domain, the same for the same choices, and biased enough."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyaccel as ta
from tinyaccel.errors import ArgumentError
from tinyaccel.op import EXACT, OPS, Budget, Interval, Op, Spec
from tinyaccel.testing import accepted, cases, smooth_cases
from tinyaccel.testing.layouts import layouts
from tinyaccel.testing.strategies import (
    fills,
    large_cases,
    make_case,
    make_smooth,
    resolve_reference,
)

NAMES = [op.name for op in OPS.values() if op.kind != "custom"]


@pytest.mark.parametrize("name", NAMES)
def test_cases_are_valid_calls(name: str) -> None:
    """Every layout in every dtype and fill is a call that the op accepts as it is, uncast."""
    op = OPS[name]
    for dtype in accepted(op):
        for number, layout in enumerate(layouts(op)):
            for fill in fills(op, dtype):
                case = make_case(op, dtype, layout, fill, number)
                assert op.input_dtypes([s.dtype for s in case.specs]) == [
                    s.dtype for s in case.specs
                ]
                attrs = op.prepare(*case.specs, **case.attrs) if op.prepare else case.attrs
                assert isinstance(op.infer(*case.specs, **attrs), Spec)
                assert sum(a.size for a in case.arrays) <= 2**18


@pytest.mark.parametrize("name", NAMES)
def test_uniform_values_are_in_the_domain(name: str) -> None:
    """Plain values lie in the op's interval, and away from 0 where it says so."""
    op = OPS[name]
    for seed, layout in enumerate(layouts(op)):
        for fill in ("uniform", "spread", "constant", "ties"):
            case = make_case(op, ta.float32, layout, fill, seed)
            for i, array in enumerate(case.arrays):
                if array.dtype != np.float32 or not op.domain:
                    continue
                low, high, away = op.domain[min(i, len(op.domain) - 1)]
                assert (array >= np.float32(low)).all()
                assert (array <= np.float32(high)).all()
                assert (np.abs(array) >= np.float32(away)).all()


def test_same_choices_give_the_same_case() -> None:
    """A case is a pure function of what was drawn, so a failure can be run again."""
    op = OPS["add"]
    one, two = (make_case(op, ta.float32, layouts(op)[0], "special", 9) for _ in range(2))
    assert all(map(lambda a, b: a.tobytes() == b.tobytes(), one.arrays, two.arrays))
    assert str(one) == "add(float32[3, 1], float32[1, 4]) of special values"


def test_special_values_come() -> None:
    """NaN, infinities and both zeros turn up; subnormals where bits must be kept."""
    op = OPS["abs"]
    values = make_case(op, ta.float32, layouts(op)[-1], "special", 0).arrays[0]
    assert np.isnan(values).any()
    assert {np.inf, -np.inf} <= set(values.ravel().tolist())
    assert np.signbit(values[values == 0]).any()
    assert not np.signbit(values[values == 0]).all()
    kept = make_case(OPS["flip"], ta.float32, layouts(OPS["flip"])[-1], "special", 0).arrays[0]
    assert ((np.abs(kept) > 0) & (np.abs(kept) < ta.float32.tiny)).any()
    limits = make_case(op, ta.int8, layouts(op)[-1], "special", 0).arrays[0]
    assert {-128, 127} <= set(limits.ravel().tolist())


def test_ties_tie() -> None:
    """Few different values, so that maxima and comparisons meet equals."""
    op = OPS["max"]
    values = make_case(op, ta.float32, layouts(op)[1], "ties", 0).arrays[0]
    assert len(set(values.tolist())) <= 5
    assert (values == values.max()).sum() > 1


@pytest.mark.parametrize("name", NAMES)
def test_smooth_cases_are_smooth(name: str) -> None:
    """Float64, all numbers of an input different, none within a step of 0 or of another."""
    op = OPS[name]
    for seed in range(5):
        for layout in layouts(op, small=True):
            case = make_smooth(op, layout, seed)
            for array in case.arrays:
                if array.dtype != np.float64 or not array.size:
                    continue
                assert (np.abs(array) > 0.002).all()
                gaps = np.diff(np.sort(array.ravel()))
                steps = ("remainder", "floor_divide", "floor", "ceil", "round", "trunc")
                assert not gaps.size or gaps.min() > 0.002 or name in steps


@settings(max_examples=20)
@given(st.data())
def test_strategies_draw(data: st.DataObject) -> None:
    """The strategies themselves, by name and by op; small ones are small."""
    case = data.draw(cases("softmax", ta.float32, small=True, only=("ties",)))
    assert case.fill == "ties"
    assert sum(math.prod(a.shape) for a in case.arrays) <= 200
    assert data.draw(smooth_cases(OPS["tanh"])).arrays[0].dtype == np.float64


def test_accepted_dtypes() -> None:
    """The dtypes an op computes in: those that it doesn't cast first."""
    assert accepted(OPS["exp"]) == [ta.float16, ta.bfloat16, ta.float32, ta.float64]
    assert ta.bool_ not in accepted(OPS["add"])
    assert len(accepted(OPS["reshape"])) == 10
    assert accepted(OPS["random_bits"]) == [ta.uint32]
    assert ta.int8 not in accepted(OPS["sum"])


def test_large_cases_are_long_and_biased() -> None:
    """A long sum meets 2**18 equal numbers, which a naive one gets wrong."""
    (one, _) = large_cases(OPS["sum"], ta.float32)
    assert one.arrays[0].shape == (2**18,)
    assert set(one.arrays[0].tolist()) == {float(np.float32(0.1))}
    naive = np.cumsum(one.arrays[0], dtype=np.float32)[-1]
    exact = 2**18 * float(np.float32(0.1))
    assert abs(naive - exact) > 4 * 2**9 * 2**-23 * exact


def test_a_new_op_needs_layouts_and_a_reference() -> None:
    """An op that nobody has said how to test is an error, not a silent gap."""
    odd = Op("odd", "window", lambda x: x)
    with pytest.raises(ArgumentError, match=r"^odd: no shapes to test it with; list some"):
        layouts(odd)
    with pytest.raises(ArgumentError, match=r"^odd: has no reference; write one"):
        resolve_reference(odd)
    wrong = Op("odd", "unary", lambda x: x, reference="tinyaccel.testing.references:nothing")
    with pytest.raises(ArgumentError, match=r"its reference .*:nothing doesn't exist"):
        resolve_reference(wrong)
    assert len(layouts(wrong)) == 12
    two = Op("two", "composite", lambda a, b: a, body=lambda a, b: a + b, budget=EXACT)
    assert all(len(at.shapes) == 2 for at in layouts(two))
    keyed = Op("keyed", "composite", lambda a: a, body=lambda a, *, k: a + k,
               domain=(Interval(),), budget=Budget("steps"))  # fmt: skip
    with pytest.raises(ArgumentError, match=r"^keyed: no shapes"):
        layouts(keyed)
