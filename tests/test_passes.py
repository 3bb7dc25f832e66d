"""Tests of tinyaccel.passes: the graph after a pass computes what the graph before it did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.contexts import setting
from tinyaccel.errors import GraphError
from tinyaccel.graph import Graph, Instr
from tinyaccel.op import OPS, Spec
from tinyaccel.passes import dead_code, expand, run_passes
from tinyaccel.tensor import Tensor
from tinyaccel.trace import TRACE, Trace

Fn = Callable[..., tuple[Tensor, ...]]


def traced(fn: Fn, *specs: Spec) -> Graph:
    """The graph of `fn`, as traced."""
    trace = Trace("test")
    device = ta.get_device("cpu")
    inputs = []
    for i, spec in enumerate(specs):
        stand_in = Tensor._make(None, spec, device)
        trace.add_arg(stand_in, i, stand_in, f"x{i}")
        stand_in._data = trace.read(stand_in)
        inputs.append(stand_in)
    with setting(TRACE, trace):
        trace.graph.outputs = [trace.read(t).value for t in fn(*inputs)]
    trace.graph.check()
    return trace.graph


def run(graph: Graph, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """What the CPU makes of a graph, composites expanded."""
    cpu = ta.get_device("cpu")
    backend = cpu.backend
    plain = expand(graph, lambda instr, g: backend.instr_has_kernel(instr, g))
    return [np.asarray(a) for a in backend.compile(plain, cpu)(arrays)]


ROW = Spec((4, 3), ta.float32)
LABELS = Spec((4,), ta.int32)


def everything(x: Tensor, unused: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
    """Composites within composites, an unused value, an unused constant, an input as output."""
    ta.cos(x) + 17.0
    ta.tensor([1.0, 2.0, 3.0]) * 2
    loss = ta.cross_entropy(ta.gelu(x) * 3.0, labels)
    g = ta.grad(lambda z: ta.cross_entropy(ta.gelu(z), labels))(x)
    return loss, x, g, loss


@pytest.fixture
def arrays(rng: np.random.Generator) -> list[np.ndarray]:
    x = rng.normal(size=(4, 3)).astype(np.float32)
    return [x, x + 1, np.array([0, 2, 1, 1], np.int32)]


PASSES: dict[str, Callable[[Graph], Graph]] = {
    "dead_code": dead_code,
    "expand": expand,
    "expand, then dead_code": lambda g: dead_code(expand(g)),
    "dead_code, then expand": lambda g: expand(dead_code(g)),
    "expand but for softmax": lambda g: expand(g, lambda i, _: i.op == "softmax"),
}


@pytest.mark.parametrize("name", PASSES)
def test_pass_keeps_the_meaning(name: str, arrays: list[np.ndarray]) -> None:
    """Inputs, outputs, labels and all values to the bit; the graph that came in is untouched."""
    graph = traced(everything, ROW, ROW, LABELS)
    before = str(graph)
    new = PASSES[name](graph)
    new.check()
    assert str(graph) == before
    assert [new.specs[v] for v in new.inputs] == [ROW, ROW, LABELS]
    assert [new.labels[v] for v in new.inputs] == ["x0", "x1", "x2"]
    assert [new.specs[v] for v in new.outputs] == [graph.specs[v] for v in graph.outputs]
    assert new.outputs[0] == new.outputs[3]
    assert new.outputs[1] == new.inputs[0]
    for a, b in zip(run(new, arrays), run(graph, arrays), strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


def test_dead_code_removes_what_nobody_needs() -> None:
    """cos, the sum with 17 and the unused constant go; nothing that an output needs does."""
    graph = traced(everything, ROW, ROW, LABELS)
    new = dead_code(graph)
    removed = {i.op for i in graph.instrs} - {i.op for i in new.instrs}
    assert removed == {"cos"}
    assert 17.0 in [a.item() for a in graph.constants.values() if a.ndim == 0]
    assert 17.0 not in [a.item() for a in new.constants.values() if a.ndim == 0]
    assert not any(a.ndim == 1 for a in new.constants.values())
    assert str(dead_code(new)) == str(new)


def test_dead_code_keeps_unused_inputs() -> None:
    """A caller supplies every input, so even a graph that needs none of them keeps all."""
    new = dead_code(traced(lambda x, y: (ta.tensor(1.0),), ROW, ROW))
    assert len(new.inputs) == 2
    assert not new.instrs


def test_expand_leaves_primitives_only(arrays: list[np.ndarray]) -> None:
    """Without exceptions, every instruction is a primitive, also inside bodies of bodies."""
    new = expand(traced(everything, ROW, ROW, LABELS))
    assert all(OPS[i.op].is_primitive for i in new.instrs)


def test_expand_asks_about_inner_composites_too() -> None:
    """`keep` is asked for composites in bodies: cross_entropy goes, the log_softmax in it stays."""
    asked = []

    def keep(instr: Instr, graph: Graph) -> bool:
        asked.append((instr.op, graph.specs[instr.inputs[0]]))
        return instr.op == "log_softmax"

    graph = traced(lambda x, labels: (ta.cross_entropy(x, labels),), ROW, LABELS)
    new = expand(graph, keep)
    assert ("cross_entropy", ROW) in asked
    assert ("log_softmax", ROW) in asked
    assert "log_softmax" in [i.op for i in new.instrs]
    assert "cross_entropy" not in [i.op for i in new.instrs]


def test_expand_of_one_composite_twice(arrays: list[np.ndarray]) -> None:
    """Two uses of one body are expanded apart, each with its own values."""
    graph = traced(lambda x, y: (ta.softmax(x) * ta.softmax(y),), ROW, ROW)
    (got,) = run(expand(graph), arrays[:2])
    x, y = (np.exp(a) / np.exp(a).sum(-1, keepdims=True) for a in arrays[:2])
    np.testing.assert_allclose(got, x * y, rtol=1e-6)


def test_body_that_returns_its_input(arrays: list[np.ndarray]) -> None:
    """A body without a step of its own becomes its input."""
    same = ta.custom_op("test_same", body=lambda x: x, replace=True)
    new = expand(traced(lambda x: (same(x) + 1,), ROW))
    assert [i.op for i in new.instrs] == ["add"]
    np.testing.assert_array_equal(run(new, arrays[:1])[0], arrays[0] + 1)


def test_bodies_are_kept_apart_by_attributes() -> None:
    """1 and 1.0, 0.0 and -0.0 are equal to a cache, but not to a body."""
    n, x = ta.tensor([0, 5, 9]), ta.tensor([-0.0, 1.0])
    assert ta.clip(n, low=1, high=7).dtype is ta.int32
    assert ta.clip(n, low=1.0, high=7.0).dtype is ta.float32
    assert ta.clip(n, low=1, high=7).dtype is ta.int32
    for low in (0.0, -0.0):
        (whole,) = run(
            traced(lambda x, low=low: (ta.clip(x, low=low, high=9.0),), x.spec), [x.numpy() - 3]
        )
        assert str(whole[0]) == str(low)


def test_run_passes_checks_after_each() -> None:
    """A pass that breaks the graph is caught at once, before the next one runs."""

    def breaks(graph: Graph) -> Graph:
        graph.instrs.reverse()
        return graph

    def unreached(graph: Graph) -> Graph:
        raise AssertionError

    graph = traced(lambda x: (ta.exp(ta.sin(x)),), ROW)
    with pytest.raises(GraphError, match="before it exists"):
        run_passes(graph, [dead_code, breaks, unreached])
    assert run_passes(graph, []) is graph


def test_run_passes_in_order(arrays: list[np.ndarray]) -> None:
    """Each pass gets what the one before it returned."""
    seen: list[Any] = []

    def note(graph: Graph) -> Graph:
        seen.append(graph)
        return graph

    graph = traced(everything, ROW, ROW, LABELS)
    result = run_passes(graph, [note, expand, note, dead_code, note])
    assert seen[0] is graph
    assert seen[2] is result
    assert len(seen[0].instrs) < len(seen[1].instrs)
    assert len(seen[2].instrs) < len(seen[1].instrs)
