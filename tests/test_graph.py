"""Tests of tinyaccel.graph: building, checking, running, measuring and showing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.errors import GraphError
from tinyaccel.graph import Graph, Instr
from tinyaccel.op import Spec

ROW = Spec((3,), ta.float32)
KERNELS: dict[str, Callable[..., Any]] = {"mul": np.multiply, "add": np.add, "neg": np.negative}


def small() -> Graph:
    """y = x * 2 + b, and a value that nobody needs."""
    graph = Graph()
    x = graph.add_input(ROW, "x")
    b = graph.add_input(ROW)
    two = graph.add_constant(np.array(2, np.float32), Spec((), ta.float32))
    product = graph.add_instr("mul", [x, two], {}, ROW)
    graph.add_instr("neg", [product], {}, ROW)
    graph.outputs = [graph.add_instr("add", [product, b], {}, ROW), x]
    return graph


def test_check_accepts() -> None:
    """A graph built in order passes its own check."""
    small().check()


def _undefined(graph: Graph) -> None:
    graph.instrs.reverse()


def _twice(graph: Graph) -> None:
    graph.instrs.append(graph.instrs[0])


def _wrong_spec(graph: Graph) -> None:
    graph.specs[graph.instrs[0].out] = Spec((4,), ta.float32)


def _no_output(graph: Graph) -> None:
    graph.specs.append(ROW)
    graph.outputs.append(len(graph.specs) - 1)


def _two_inputs(graph: Graph) -> None:
    graph.inputs.append(graph.inputs[0])


BROKEN = [
    (_undefined, "%5: float32[3] = add(%3, %1) uses %3 before it exists"),
    (_twice, "graph: %3 is assigned twice"),
    (_wrong_spec, "%3: float32[4] = mul(%0, %2), but mul infers float32[3]"),
    (_no_output, "graph: output %6 is never computed"),
    (_two_inputs, "graph: a value is listed twice among inputs and constants"),
]


@pytest.mark.parametrize(("damage", "text"), BROKEN)
def test_check_refuses(damage: Callable[[Graph], None], text: str) -> None:
    """Each way in which a graph can break its rules is found, and the line is shown."""
    graph = small()
    damage(graph)
    with pytest.raises(GraphError) as caught:
        graph.check()
    assert text in str(caught.value)


def test_runner() -> None:
    """The interpreter computes the outputs in order, and asks for kernels and uploads once."""
    graph = small()
    asked: list[str] = []
    uploaded: list[Any] = []

    def kernel(instr: Instr) -> Any:
        asked.append(instr.op)
        return KERNELS[instr.op]

    def upload(array: np.ndarray) -> Any:
        uploaded.append(array)
        return array

    run = graph.runner(kernel, upload)
    x, b = np.array([1, 2, 3], np.float32), np.array([10, 20, 30], np.float32)
    for _ in range(2):
        y, same = run([x, b])
        np.testing.assert_array_equal(y, [12, 24, 36])
        assert same is x
    assert asked == ["mul", "neg", "add"]
    assert len(uploaded) == 1


def test_runner_frees_what_is_dead() -> None:
    """A value is dropped after its last use: a chain of large values holds two at a time."""
    alive = peak = 0

    class Counted:
        def __init__(self) -> None:
            nonlocal alive, peak
            alive += 1
            peak = max(peak, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    graph = Graph()
    value = graph.add_input(ROW)
    for _ in range(10):
        value = graph.add_instr("neg", [value], {}, ROW)
    graph.outputs = [value]
    run = graph.runner(lambda _: lambda x: Counted(), lambda array: array)
    result = run([None])
    assert peak == 2
    assert alive == 1
    del result
    assert alive == 0


def test_runner_wants_every_input() -> None:
    """Too few arrays raise instead of leaving a value behind."""
    run = small().runner(lambda instr: KERNELS[instr.op], lambda array: array)
    with pytest.raises(ValueError, match="shorter"):
        run([np.zeros(3, np.float32)])


def test_last_uses() -> None:
    """Inputs, constants and outputs never die; an unused value dies where it is made."""
    assert small().last_uses() == [(), (4,), (3,)]


def test_memory() -> None:
    """Bytes by hand: two inputs of 12, a constant of 4, at most two values of 12 at once."""
    assert small().memory() == {"inputs": 24, "constants": 4, "outputs": 24, "peak": 24}
    assert Graph().memory() == {"inputs": 0, "constants": 0, "outputs": 0, "peak": 0}


def test_prints() -> None:
    """The text of a graph, line by line; a constant array shows its size only."""
    graph = small()
    graph.add_constant(np.zeros((3,), np.float32), ROW)
    assert (
        str(graph)
        == """\
graph(
  %0: float32[3] = x,
  %1: float32[3],
) {
  %2: float32[] = constant(2.0)
  %6: float32[3] = constant(<3 values>)
  %3: float32[3] = mul(%0, %2)
  %4: float32[3] = neg(%3)
  %5: float32[3] = add(%3, %1)
  return %5, %0
}"""
    )
    assert repr(graph) == ("<Graph of 3 instructions, 2 inputs, 2 outputs; print it to see them>")


def test_prints_attributes() -> None:
    """Attributes stand behind the inputs, by name; a graph without inputs has empty brackets."""
    graph = Graph()
    x = graph.add_constant(np.zeros(3, np.float32), ROW)
    graph.outputs = [graph.add_instr("sum", [x], {"axis": (0,), "keepdims": False}, ROW)]
    assert "sum(%0, axis=(0,), keepdims=False)" in str(graph)
    assert str(graph).startswith("graph() {")


def test_to_dot() -> None:
    """Every value is a node, every use an edge, outputs stand out; a label keeps its quotes."""
    graph = small()
    dot = graph.to_dot()
    assert dot.startswith("digraph {")
    assert dot.endswith("}")
    assert dot.count("->") == sum(len(i.inputs) for i in graph.instrs)
    assert 'v0 [label="x\\nfloat32[3]", style=rounded];' in dot
    assert 'v2 [label="2.0", shape=plaintext];' in dot
    assert "v5 [penwidth=2];" in dot
    graph.labels[0] = 'the "x"'
    assert 'label="the \\"x\\"\\n' in graph.to_dot()
