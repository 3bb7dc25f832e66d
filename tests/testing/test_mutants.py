"""The gallery of mutants: every one is killed, by the check that is meant to, and named rightly."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import pytest

from tinyaccel import testing
from tinyaccel.contexts import setting
from tinyaccel.op import OPS
from tinyaccel.tape import GRAD_MODE, Node
from tinyaccel.tensor import Tensor
from tinyaccel.testing.mutants import MUTANTS
from tinyaccel.testing.mutants.__main__ import main
from tinyaccel.testing.mutants.killing import kill

engine = importlib.import_module("tinyaccel.tensor")  # whose name is a function's, too

# For each kind of check, a mutant that nothing else kills.
ALONE = {
    "forward": "wrong past 1,024 elements",
    "gradient": "the slope of another base",
    "second order": "a gradient cut off from its input",
    "convention": "relu passes its gradient at 0",
    "state": "a learning rate baked into the program",
    "transfer": "upload shares the host's memory",
    "random": "a random counter of 16 bits",
}


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # as planted
@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_is_killed(name: str) -> None:
    """The checks find it within their default examples, and `compare` names its op."""
    mutant = MUTANTS[name]
    outcome = kill(mutant)
    assert outcome.killed, f"{name} survived"
    assert mutant.found_by in outcome.found, outcome.found
    if mutant.can_diverge:
        assert outcome.divergence is not None, f"compare doesn't see: {name}"
        assert outcome.divergence.op == mutant.op
        assert outcome.divergence.backend == "mutant"
        assert outcome.divergence.compiled == (mutant.compile is not None)
    kind = next((kind for kind, alone in ALONE.items() if alone == name), None)
    if kind is not None:
        assert list(outcome.found) == [kind]


def test_nothing_else_is_wrong() -> None:
    """The ops that the mutants are in pass on the backend without a bug, and so does the device."""
    ops = sorted({m.op for m in MUTANTS.values()})
    report = testing.check_backend("cpu", ops, examples=2, jitted=[False])
    report.results += testing.check_device("cpu").results
    assert report.ok, report.failures[0]


def test_only_what_is_compiled() -> None:
    """A bug of compiled programs alone passes every eager check, and fails a jitted one."""
    outcome = kill(MUTANTS["the last block missed when compiled"])
    assert outcome.jit_only and list(outcome.found) == ["forward"]


def test_only_the_watch() -> None:
    """A scalar for an array is right in value: only the watch over each kernel sees it."""
    found = kill(MUTANTS["a NumPy scalar instead of an array"]).found
    assert all("its kernel on mutant returned" in failure for failure in found.values())


def test_a_planted_bug_is_gone_again() -> None:
    """An op whose rule was planted is itself again after the block, and after an error in it."""
    mutant = MUTANTS["a gradient with the wrong sign"]
    right = OPS[mutant.op]
    with mutant.planted():
        assert OPS[mutant.op] is not right
    assert OPS[mutant.op] is right

    def fails() -> None:
        with mutant.planted():
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert OPS[mutant.op] is right


def test_order_two_alone_finds_a_cut_input() -> None:
    """A rule that is wrong only in its own derivative passes orders 0 and 1, and fails order 2."""
    with MUTANTS["a gradient cut off from its input"].planted() as device:
        passed = [testing.check_op("square", device, order=n, examples=5).ok for n in (0, 1, 2)]
    assert passed == [True, True, False]


def test_a_gradient_by_one_input_depends_on_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A composite whose body is differentiated with the other inputs cut off fails order 2."""

    def detached(node: Node, g: Tensor, needs: Sequence[bool]) -> list[Tensor | None]:
        assert node.op is not None and node.op.body is not None
        inputs = zip(node.inputs, needs, strict=True)
        fresh = [x.alias() if need else x.detach() for x, need in inputs]
        with setting(GRAD_MODE, True):
            out = node.op.body(*fresh, **node.attrs)
        return list(engine.gradients(out, g, fresh))

    assert testing.check_op("mse", order=2).ok
    monkeypatch.setattr(engine, "_pull_back_body", detached)
    assert not testing.check_op("mse", order=2).ok


def test_failure_names_everything() -> None:
    """A failure's line names op, device, dtype, shapes, attributes, index, values and error."""
    with MUTANTS["the weight gradient turned round"].planted() as device:
        report = testing.check_op("conv2d_weight_grad", device, examples=10)
    line = next(f for f in report.failures if "float32" in f)
    for part in ("conv2d_weight_grad on mutant in float32 (eager, order 0)", "float32[", "stride=",
                 "at [", "got ", "expected ", "times the permitted"):  # fmt: skip
        assert part in line
    assert "\n" not in line
    with pytest.raises(AssertionError, match="conv2d_weight_grad on mutant"):
        report.raise_for_failures()


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    """The program prints a row for each mutant asked for, and refuses a name that is none."""
    assert main(["clipped index", "another base"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split(" | ")[1:5] == ["a clipped index", "`take_along_axis`", "convention", "-"]
    assert lines[-1] == "2 of 2 killed"
    assert main(["no such bug"]) == 2
    assert "no mutant's name holds no such bug" in capsys.readouterr().err
