"""Tests of `jit(check=True)`: right functions pass, wrong ones are caught and change nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import passes
from tinyaccel.errors import CheckError, IndexRangeError
from tinyaccel.graph import Graph

Tensor = ta.Tensor


class Problem:
    """A small network with dropout, a training step, and all its state."""

    def __init__(self) -> None:
        rng = np.random.default_rng(2)
        self.x = ta.tensor(rng.normal(size=(6, 4)).astype(np.float32))
        self.labels = ta.tensor(rng.integers(0, 3, 6).astype(np.int32))
        self.w = ta.tensor(rng.normal(size=(5, 4)).astype(np.float32) * 0.5, requires_grad=True)
        self.v = ta.tensor(rng.normal(size=(3, 5)).astype(np.float32) * 0.5, requires_grad=True)
        self.w.label = "w"
        self.running = ta.zeros(5)
        self.count = ta.tensor(0)
        self.generator = ta.Generator(4)

    def step(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        h = ta.gelu(ta.linear(x, self.w))
        self.running.assign(0.9 * self.running + 0.1 * h.detach().mean(0))
        h = ta.dropout(h, self.generator.bits(h.shape), p=0.3)
        logits = ta.linear(h, self.v)
        loss = ta.cross_entropy(logits, labels)
        self.w.grad = self.v.grad = None
        loss.backward()
        for p in (self.w, self.v):
            assert p.grad is not None
            p.assign(p - 0.1 * p.grad)
        self.count.assign(self.count + 1)
        return loss, logits

    def state(self) -> list[Any]:
        tensors = [self.w, self.v, self.running, self.count, self.generator.state]
        grads = [None if t.grad is None else t.grad.tolist() for t in (self.w, self.v)]
        return [t.tolist() for t in tensors] + grads


def test_right_function_passes(device: str) -> None:
    """Ten checked steps are ten plain ones, to the bit: state, .grad and random state move once."""
    plain, checked = Problem(), Problem()
    fast, careful = ta.jit(plain.step), ta.jit(checked.step, check=True)
    for i in range(10):
        a, b = fast(plain.x, plain.labels), careful(checked.x, checked.labels)
        assert [t.tolist() for t in a] == [t.tolist() for t in b]
        assert plain.state() == checked.state()
        assert checked.count.item() == i + 1
    assert careful.traces == fast.traces == 1


def test_right_functions_of_other_kinds(device: str) -> None:
    """No arguments, no results, integers, bools, low precision, NaN and infinity pass."""
    n = ta.tensor(0)
    x = ta.tensor([1.0, -2.0, 0.0])
    functions: list[Callable[[], Any]] = [
        lambda: n.assign(n + 1),
        lambda: (x > 0, x.astype("int32"), ta.arange(4) * 3),
        lambda: ta.softmax(x.astype("bfloat16"), axis=0),
        lambda: (ta.log(x), 1 / x, x / ta.max(ta.abs(x))),
        lambda: {"none": None, "number": 5, "x": x},
        lambda: (),
    ]
    for fn in functions:
        careful = ta.jit(fn, check=True)
        careful()
        careful()
    assert n.item() == 2


# Planted bugs: the optimised graph, and with it what runs, computes something else.


def _swap(name: str, other: str) -> Callable[[Graph], Graph]:
    """A pass that takes one op for another."""

    def wrong(graph: Graph) -> Graph:
        instrs = [replace(i, op=other) if i.op == name else i for i in graph.instrs]
        return replace(graph, instrs=instrs)

    return wrong


def _scale_constants(factor: float) -> Callable[[Graph], Graph]:
    """A pass that gets the constants slightly wrong."""

    def wrong(graph: Graph) -> Graph:
        constants = {
            v: a * np.asarray(factor, a.dtype) if a.dtype == np.float32 else a
            for v, a in graph.constants.items()
        }
        return replace(graph, constants=constants)

    return wrong


def _reorder_outputs(i: int, j: int) -> Callable[[Graph], Graph]:
    """A pass that confuses two outputs of one shape."""

    def wrong(graph: Graph) -> Graph:
        outputs = list(graph.outputs)
        outputs[i], outputs[j] = outputs[j], outputs[i]
        return replace(graph, outputs=outputs)

    return wrong


def _plant(monkeypatch: pytest.MonkeyPatch, wrong: Callable[[Graph], Graph]) -> None:
    def planted(graph: Graph, steps: Sequence[Callable[[Graph], Graph]]) -> Graph:
        return wrong(passes_before(graph, steps))

    passes_before = passes.run_passes
    monkeypatch.setattr(passes, "run_passes", planted)


# Outputs: loss, logits; then what is assigned (running, state, w, v, count), then the .grads.
PLANTED = {
    "another activation": _swap("erf", "tanh"),
    "sums that are maxima": _swap("sum", "max"),
    "constants off by 1e-3": _scale_constants(1.001),
    "two outputs confused": _reorder_outputs(4, 7),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bug_is_caught(bug: str, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    """A wrong optimisation raises CheckError; values, .grad and random state are as before."""
    _plant(monkeypatch, PLANTED[bug])
    problem = Problem()
    before = problem.state()
    careful = ta.jit(problem.step, check=True)
    for _ in range(2):
        with pytest.raises(CheckError, match=r"^check: jit\(step\): ") as caught:
            careful(problem.x, problem.labels)
        assert "\n" not in str(caught.value)
        assert problem.state() == before


def test_planted_bug_goes_unseen_without_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bug runs through without check: it is the check that catches it."""
    _plant(monkeypatch, PLANTED["another activation"])
    problem = Problem()
    ta.jit(problem.step)(problem.x, problem.labels)


@pytest.mark.parametrize(
    ("index", "text"),
    [(0, "result 0"), (1, "result 1"), (2, "state"), (4, "state w"), (7, "grad of w")],
)
def test_wrong_output_is_named(index: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each single output is compared, whether returned, assigned or a .grad, and is named."""
    cpu = ta.get_device("cpu").backend
    compile_right = cpu.compile

    def compile_wrong(graph: Graph, device: ta.Device) -> Callable[..., list[Any]]:
        run = compile_right(graph, device)

        def off(arrays: Sequence[Any]) -> list[Any]:
            results = list(run(arrays))
            results[index] = results[index] + np.asarray(0.01, results[index].dtype)
            return results

        return off

    monkeypatch.setattr(cpu, "compile", compile_wrong)
    problem = Problem()
    before = problem.state()
    careful = ta.jit(problem.step, check=True)
    with pytest.raises(CheckError) as caught:
        careful(problem.x, problem.labels)
    assert f"jit(step): {text}" in str(caught.value)
    assert problem.state() == before


def test_wrong_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that is wrong only when the graph runs is caught."""
    cpu = ta.get_device("cpu").backend
    right = cpu.instr_kernel

    def wrong(instr: Any, graph: Graph) -> Any:
        return np.subtract if instr.op == "add" else right(instr, graph)

    monkeypatch.setattr(cpu, "instr_kernel", wrong)
    n = ta.tensor([1.0])
    careful = ta.jit(lambda x: n.assign(n + x), check=True)
    with pytest.raises(CheckError, match=r"^check: jit\(<lambda>\): state"):
        careful(ta.tensor([2.0]))
    assert n.tolist() == [1]


# What a trace doesn't see: Python values that change. The check does.


def _stale() -> tuple[Callable[..., Any], dict[str, Any]]:
    world: dict[str, Any] = {"factor": 2.0, "many": False, "name": "a", "grad": True}
    p = ta.tensor([3.0], requires_grad=True)

    def fn(x: Tensor) -> Any:
        p.grad = None
        if world["grad"]:
            (p * x).sum().backward()
        y = x * world["factor"]
        return (y, y) if world["many"] else {"y": y, "name": world["name"]}

    return ta.jit(fn, check=True), world


@pytest.mark.parametrize(
    ("change", "value", "text"),
    [
        ("factor", 3.0, "result 0"),
        ("many", True, "run eagerly, it returns another structure"),
        ("name", "b", "it returns 'a', but 'b' run eagerly"),
        ("grad", False, ".grad of float32[1] is set"),
    ],
)
def test_stale_python_values_are_caught(change: str, value: Any, text: str) -> None:
    """A global that changed since the trace shows as a wrong result, structure, value or .grad."""
    careful, world = _stale()
    x = ta.tensor([1.0])
    careful(x)
    careful(x)
    world[change] = value
    with pytest.raises(CheckError) as caught:
        careful(x)
    assert text in str(caught.value)


# Errors


def test_error_in_the_eager_run(device: str) -> None:
    """An exception of the function's own, in the eager run alone, leaves everything as it was."""
    fail = [False]
    problem = Problem()

    def fn(x: Tensor, labels: Tensor) -> Tensor:
        loss, _ = problem.step(x, labels)
        if fail[0]:
            raise KeyError("eager only")
        return loss

    careful = ta.jit(fn, check=True)
    careful(problem.x, problem.labels)
    careful(problem.x, problem.labels)
    before = problem.state()
    fail[0] = True
    with pytest.raises(KeyError):
        careful(problem.x, problem.labels)
    assert problem.state() == before
    fail[0] = False
    careful(problem.x, problem.labels)


def test_stale_target_is_put_back() -> None:
    """A function that assigns to another tensor than when it was traced leaves that one, too."""
    a, b = ta.tensor(0), ta.tensor(0)
    target = [a]
    careful = ta.jit(lambda: target[0].assign(target[0] + 1), check=True)
    careful()
    target[0] = b
    with pytest.raises(CheckError, match="run eagerly, it assigns to"):
        careful()
    assert (a.item(), b.item()) == (1, 0)


def test_checked_results_can_be_differentiated(device: str) -> None:
    """check compares; it keeps the jitted results, with their tape."""
    p = ta.tensor([2.0], requires_grad=True)
    careful = ta.jit(lambda x: x * p * p, check=True)
    careful(ta.tensor([3.0])).backward(ta.tensor([1.0]))
    assert p.grad is not None
    assert p.grad.tolist() == [12]


def test_nested_check() -> None:
    """A checked function within a jitted one is part of its trace, and isn't run twice."""
    n = ta.tensor(0)

    @ta.jit(check=True)
    def inner() -> None:
        n.assign(n + 1)

    outer = ta.jit(lambda: inner())
    outer()
    outer()
    assert n.item() == 2


def test_index_out_of_range_is_found(device: str) -> None:
    """Where a device can only give NaN for an index out of range, check=True raises."""
    count = ta.tensor(0)

    def pick(x: ta.Tensor, index: ta.Tensor) -> ta.Tensor:
        count.assign(count + 1)
        return ta.take_along_axis(x, index, axis=0)

    x, inside, outside = ta.tensor([1.0, 2.0]), ta.tensor([1]), ta.tensor([2])
    careful = ta.jit(pick, check=True)
    assert careful(x, inside).tolist() == [2.0]
    with pytest.raises(IndexRangeError, match="index 2 is out of range for an axis of 2"):
        careful(x, outside)
    assert count.item() == 1
    if device != "cpu":
        assert np.isnan(ta.jit(pick)(x, outside).item())
