"""Programs: how they are drawn, judged, shrunk and written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.op import OPS
from tinyaccel.testing.fuzz import Input, Program, Ref, Step, generate, unplaced
from tinyaccel.testing.fuzz.exact import LARGEST, Rejected, examine
from tinyaccel.testing.fuzz.generate import STEPS
from tinyaccel.testing.fuzz.judge import Deviation, Expected
from tinyaccel.testing.fuzz.program import Fill
from tinyaccel.testing.fuzz.shrink import cost, shrink
from tinyaccel.testing.fuzz.source import failure_source, input_text, names_of, step_text

# Ops that no program can have, and why.
UNPLACED: dict[str, str] = {}


def _one(op: str, *values: float, dtype: ta.DType = ta.float32, **attrs: object) -> Program:
    """A program of one step on one input."""
    given = Input(0, (len(values),), dtype, "given", values=values)
    return Program((given,), (Step(1, op, (Ref(0),), attrs),), {})


# Drawing


def test_every_op_has_its_place() -> None:
    """Each op of the registry can be placed, except those listed here with a reason."""
    assert unplaced().keys() == UNPLACED.keys()


def test_unplaced_names_an_op_without_layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """An op that nobody gave shapes to is reported, with the reason."""
    monkeypatch.setitem(OPS, "nowhere", replace(OPS["matmul"], name="nowhere", broadcasts=False))
    assert "no shapes to test it with" in unplaced()["nowhere"]


def test_same_numbers_same_program() -> None:
    """Seed and number fix a program; each number gives another one."""
    programs = [generate(3, k) for k in range(20)]
    assert programs == [generate(3, k) for k in range(20)]
    assert len({repr(p) for p in programs}) == 20


def test_programs_are_as_promised() -> None:
    """Long and short, every value finite and in the domain, earlier values used more than once."""
    lengths, again, mixed = [], 0, 0
    for k in range(40):
        program = generate(0, k)
        known = examine(program)  # raises for what isn't inside a domain
        assert all(
            np.abs(v.exact).max() <= LARGEST for v in known.values() if v.spec.dtype.is_float
        )
        uses = [ref for step in program.steps for ref in set(step.refs)]
        again += len(uses) > len(set(uses))
        mixed += any(i.wants_grad and i.dtype is not ta.float32 for i in program.inputs)
        lengths.append(len(program.steps))
    assert min(lengths) <= 5
    assert max(lengths) >= 30
    assert max(lengths) <= STEPS[1] + 12  # the last op may bring some steps of its own
    assert again > 20
    assert mixed > 5


def test_values_outside_a_domain_are_rejected() -> None:
    """The logarithm of 0, a number too large, and a step without its input are no programs."""
    with pytest.raises(Rejected, match="outside the op's domain"):
        examine(_one("log", 1.0, 0.0))
    with pytest.raises(Rejected, match="too large"):
        examine(_one("exp", 1.0, 30.0))
    with pytest.raises(Rejected, match="isn't there"):
        examine(replace(_one("exp", 1.0), inputs=()))


# Judging


def test_judge_on_a_right_device() -> None:
    """Results, loss and gradient of x**2 are within budget, and there are as many as named."""
    expected = Expected.of(_one("square", 1.5, -2.0))
    assert expected.names == ["value 1", "loss", "gradient by input 0"]
    assert [v.value.tolist() for v in expected.values] == [[2.25, 4.0], 6.25, [3.0, -4.0]]
    assert expected.counted() == (5, 0)
    units, found = expected.judge("cpu", jitted=True)
    assert found is None
    assert units <= 1


def test_judge_finds_what_is_outside() -> None:
    """Held against other values than its own, a program fails, at the right place."""
    expected = Expected.of(_one("square", 1.5, -2.0))
    others = Expected.of(_one("square", 1.5, -2.0001))
    wrong = replace(others, program=expected.program)
    units, found = wrong.judge("cpu", jitted=False)
    assert units > 10
    assert found is not None
    assert (found.what, found.output, found.index) == ("value", 0, (1,))
    assert "value 1 at [1]: got 4.0, expected 4.00039" in found.text


def test_nearly_equal_numbers_may_be_equal() -> None:
    """tanh(9) differs from 1 by less than float32 can say: whether they are equal stays open."""
    tanh = _one("tanh", 9.0)
    program = replace(tanh, steps=(*tanh.steps, Step(2, "not_equal", (Ref(1), True), {})))
    expected = Expected.of(program)
    assert bool(expected.values[0].value[0])  # exactly, they differ
    assert expected.judge("cpu", jitted=False)[1] is None
    assert expected.confirmed[0].error.tolist() == [1.0]


def test_what_hangs_on_nearly_equal_numbers() -> None:
    """What is chosen by such a comparison may be either, and the samples show it."""
    tanh = _one("tanh", 9.0)
    steps = (
        *tanh.steps,
        Step(2, "equal", (Ref(1), 1.0), {}),
        Step(3, "where", (Ref(2), 5.0, 0.0), {}),
    )
    expected = Expected.of(replace(tanh, steps=steps))
    assert expected.values[0].value.tolist() == [0.0]
    assert expected.confirmed[0].error[0] >= 5
    assert expected.judge("cpu", jitted=False)[1] is None


def test_what_underflows_may_be_zero() -> None:
    """The slope of erf at 42, 1e-766, is 0 in float64, and that is right."""
    program = _one("erf", 42.0, dtype=ta.float64)
    assert Expected.of(program).judge("cpu", jitted=False)[1] is None


def test_open_comparisons_are_not_judged() -> None:
    """What hangs on a comparison that may go either way isn't counted as judged."""
    steps = (
        Step(1, "sin", (Ref(0),), {}),
        Step(2, "add", (Ref(1), 0.0), {}),
        Step(3, "less", (Ref(1), Ref(2)), {}),
    )
    program = replace(_one("sin", 0.5, 1.5), steps=steps)
    assert Expected.of(program).counted() == (0, 2)
    assert Expected.of(program).confirmed[0].error.tolist() == [1.0, 1.0]
    assert Expected.of(_one("sin", 0.5, 1.5)).counted() == (5, 0)


# Shrinking


def _has(*names: str) -> Callable[[Program], bool]:
    return lambda program: set(names) <= {step.op for step in program.steps}


def test_shrink_to_what_matters() -> None:
    """A program that fails for the one op in it is shrunk to this op, on a single number."""
    program = next(p for p in (generate(0, k) for k in range(99)) if _has("tanh")(p))
    assert len(program.steps) > 3
    short = shrink(program, _has("tanh"))
    assert [step.op for step in short.steps] == ["tanh"]
    assert [(i.shape, i.values) for i in short.inputs] == [((), (1.0,))]
    assert cost(short) < cost(program)


def test_shrink_puts_an_input_for_a_value() -> None:
    """What leads to the step that matters goes, even where nothing else has its shape."""
    steps = (
        Step(1, "reshape", (Ref(0),), {"shape": (2, 3)}),
        Step(2, "sum", (Ref(1),), {"axis": (0,), "keepdims": False}),
        Step(3, "tanh", (Ref(2),), {}),
    )
    program = Program((Input(0, (6,), ta.float32),), steps, {})
    assert [step.op for step in shrink(program, _has("tanh")).steps] == ["tanh"]


def test_shrink_asks_seldom() -> None:
    """Of a long program, the part that leads to one step is tried first, not step by step."""
    steps = tuple(Step(n, "tanh" if n == 1 else "sin", (Ref(0),), {}) for n in range(1, 40))
    program = Program((Input(0, (), ta.float32, "given", values=(1.0,)),), steps, {})
    asked: list[Program] = []

    def fails(candidate: Program) -> bool:
        asked.append(candidate)
        return _has("tanh")(candidate)

    assert [step.op for step in shrink(program, fails).steps] == ["tanh"]
    assert len(asked) < 20


def test_shrink_keeps_what_belongs_together() -> None:
    """Where two ops in a row matter, both are left; no candidate that can't be run is taken."""

    def fails(program: Program) -> bool:
        examine(program)
        of = {step.id: step.op for step in program.steps}
        return any(
            step.op == "sum" and of.get(ref) == "mul" for step in program.steps for ref in step.refs
        )

    number = next(k for k in range(999) if fails(generate(0, k, ops=["sum", "mul", "sin", "exp"])))
    short = shrink(generate(0, number, ops=["sum", "mul", "sin", "exp"]), fails)
    assert [step.op for step in short.steps] == ["mul", "sum"]


def test_shrink_is_over_in_time() -> None:
    """Without time, the program stays as it is."""
    program = generate(0, 1)
    assert shrink(program, lambda p: True, seconds=0) == program


# Writing


@pytest.mark.parametrize("dtype", [ta.float32, ta.float16, ta.bfloat16, ta.float64])
@pytest.mark.parametrize("fill", ["uniform", "spread", "ties", "constant", "given"])
def test_written_input_has_the_same_values(dtype: ta.DType, fill: Fill) -> None:
    """An input, written down, is the same to the bit, in every float dtype."""
    values = tuple(np.random.default_rng(5).normal(size=6).astype(dtype.numpy).tolist())
    given = Input(0, (2, 3), dtype, fill, -3.0, 3.0, 7, values)
    found = eval(input_text(given), {"ta": ta, "np": np, "device": "cpu"})  # noqa: S307
    assert found.dtype is dtype
    assert found.requires_grad
    np.testing.assert_array_equal(found.numpy(), given.array())


@pytest.mark.parametrize("dtype", [ta.int32, ta.uint32, ta.bool_])
def test_written_integers_are_the_same(dtype: ta.DType) -> None:
    """Integers and bools as well, drawn or written out."""
    for given in (
        Input(0, (3,), dtype, "uniform", 0, 4, 7),
        Input(0, (3,), dtype, "given", values=(1, 0, 1)),
    ):
        found = eval(input_text(given), {"ta": ta, "np": np, "device": "cpu"})  # noqa: S307
        assert (found.dtype, found.requires_grad) == (dtype, False)
        np.testing.assert_array_equal(found.numpy(), given.array())


def _specs(program: Program) -> dict[int, ta.Spec]:
    return {value: known.spec for value, known in examine(program).items()}


@pytest.mark.parametrize("jitted", [False, True])
def test_written_program_does_the_same(jitted: bool) -> None:
    """Each output of a program, written down, comes to the exact value and to no other."""
    for number in range(8):
        program = generate(6, number)
        expected, specs = Expected.of(program), _specs(program)
        rng = np.random.default_rng(number)
        output = int(rng.integers(len(expected.values)))
        value, allowed = expected.certain[output]
        index = tuple(int(rng.integers(n)) for n in value.shape)
        exact, room = float(value[index]), float(allowed[index])
        found = Deviation("value", "", output, index, 0.0, exact, room)
        exec(failure_source(expected, specs, "cpu", jitted, found), {})  # noqa: S102
        off = replace(found, expected=exact + 3 * room + 1)
        with pytest.raises(AssertionError, match="expected"):
            exec(failure_source(expected, specs, "cpu", jitted, off), {})  # noqa: S102


@pytest.mark.parametrize(
    ("op", "attrs", "text"),
    [
        ("tanh", {}, "x0.tanh()"),
        ("sin", {}, "ta.sin(x0)"),
        ("neg", {}, "-x0"),
        ("sum", {"axis": (1,), "keepdims": False}, "x0.sum(axis=1)"),
        ("sum", {"axis": None, "keepdims": True}, "x0.sum(keepdims=True)"),
        ("max", {"axis": (0, 1), "keepdims": False}, "x0.max()"),
        ("astype", {"dtype": ta.float16}, "x0.astype(ta.float16)"),
        ("slice", {"starts": (0, 0), "stops": (2, 3), "steps": (1, 2)}, "x0[:, ::2]"),
        ("concat", {"axis": 1}, "ta.concat([x0], axis=1)"),
        ("softmax", {"axis": 0}, "ta.softmax(x0, axis=0)"),
    ],
)
def test_spelling(op: str, attrs: dict[str, object], text: str) -> None:
    """A step is written as people write it: operators, methods, defaults left out."""
    program = Program((Input(0, (2, 3), ta.float32),), (Step(1, op, (Ref(0),), attrs),), {})
    assert step_text(program.steps[0], names_of(program), _specs(program)) == text


def test_spelling_without_a_public_name() -> None:
    """An op that has no public function is written as `apply`, and runs."""
    program = Program(
        (Input(0, (1, 1, 2, 2), ta.float32), Input(1, (1, 1, 4, 4), ta.float32)),
        (
            Step(2, "max_pool2d_input_grad", (Ref(0), Ref(1)),
                 {"kernel": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)),
                  "dilation": (1, 1)}),
        ),
        {},
    )  # fmt: skip
    expected = Expected.of(program)
    value = float(expected.values[0].value[0, 0, 0, 0])
    found = Deviation("value", "", 0, (0, 0, 0, 0), 0.0, value, 1e-6)
    source = failure_source(expected, _specs(program), "cpu", False, found)
    assert "from tinyaccel.tensor import apply" in source
    assert 'apply("max_pool2d_input_grad", x0, x1, kernel=(2, 2)' in source
    exec(source, {})  # noqa: S102
