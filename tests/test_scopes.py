"""Tests of where instructions come from: graph.Scope, as traces, layers and optimizers set it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

import tinyaccel as ta
from tinyaccel import nn, passes
from tinyaccel.contexts import setting
from tinyaccel.graph import Graph, Instr, Scope
from tinyaccel.op import Spec
from tinyaccel.trace import TRACE, Trace, updating


def graph_of(fn: Callable[..., object], *inputs: ta.Tensor) -> Graph:
    """The graph of one call."""
    jitted = ta.jit(fn)
    jitted(*inputs)
    return jitted.graph()


def scopes(graph: Graph) -> list[tuple[str, str]]:
    """Each op with its scope, in order."""
    return [(instr.op, str(graph.scopes[instr.out])) for instr in graph.instrs]


class Block(nn.Module):
    """Two activations, one of which is used twice."""

    def __init__(self) -> None:
        self.first = nn.Tanh()
        self.last = nn.Sequential(nn.ReLU(), nn.Sigmoid())

    def forward(self, x: ta.Tensor) -> ta.Tensor:
        x = -self.last(self.first(x))
        return self.last[1](self.first(x))  # a layer's own layer, called past it


def test_layers_are_named_by_their_path() -> None:
    """From the outermost module by attribute names, the class in brackets; inner code too."""
    found = scopes(graph_of(nn.Sequential(nn.ReLU(), Block()), ta.ones(3)))
    assert [(op, where) for op, where in found if op in ("tanh", "relu", "sigmoid", "neg")] == [
        ("relu", "Sequential.0 (ReLU)"),
        ("tanh", "Sequential.1.first (Tanh)"),
        ("relu", "Sequential.1.last.0 (ReLU)"),
        ("sigmoid", "Sequential.1.last.1 (Sigmoid)"),
        ("neg", "Sequential.1 (Block)"),
        ("tanh", "Sequential.1.first (Tanh)"),
        ("sigmoid", "Sequential.1.last.1 (Sigmoid)"),
    ]


def test_two_models_in_one_function() -> None:
    """The second of a kind gets a number; code outside of both belongs to none."""
    one, two = nn.Sequential(nn.Tanh()), nn.Sequential(nn.Tanh())
    found = scopes(graph_of(lambda x: -two(one(x)), ta.ones(3)))
    assert found == [
        ("tanh", "Sequential.0 (Tanh)"),
        ("tanh", "Sequential#2.0 (Tanh)"),
        ("neg", ""),
    ]


def test_a_shared_layer_goes_by_its_first_name() -> None:
    """One module under two names is one layer."""
    tanh = nn.Tanh()
    found = scopes(graph_of(nn.Sequential(tanh, nn.ReLU(), tanh), ta.ones(3)))
    assert [where for _, where in found] == [
        "Sequential.0 (Tanh)", "Sequential.1 (ReLU)", "Sequential.0 (Tanh)",
    ]  # fmt: skip


def test_backward_and_update() -> None:
    """A gradient belongs to the layer that it goes back through, an update to its parameter."""
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    optimizer = ta.optim.SGD(model.parameters(), lr=0.1)

    def step(x: ta.Tensor) -> None:
        optimizer.zero_grad()
        y = model(x)
        (y * y).sum().backward()
        optimizer.step()

    graph = graph_of(step, ta.ones((4, 3)))
    found = scopes(graph)
    assert ("linear", "Sequential.0 (Linear)") in found
    assert ("matmul", "backward of Sequential.0 (Linear)") in found
    assert ("sub", "backward of Sequential.1 (Tanh)") in found
    assert ("add", "backward") in found  # the two gradients of y, in y * y, which is in no layer
    assert ("sub", "update of 0.weight (SGD)") in found
    assert ("sub", "update of 0.bias (SGD)") in found
    phases = [graph.scopes[instr.out].phase for instr in graph.instrs]
    assert phases == sorted(phases, key=["forward", "backward", "update"].index)
    lines = {str(s): s.line for s in graph.scopes.values()}
    forward = lines["Sequential.0 (Linear)"]
    assert re.fullmatch(r"test_scopes\.py:\d+: y = model\(x\)", forward)
    assert lines["backward of Sequential.0 (Linear)"] == forward
    assert lines["update of 0.bias (SGD)"].endswith(": optimizer.step()")


def test_a_composites_gradient_through_its_body() -> None:
    """What a body's gradient computes belongs to the layer of the op, backward."""
    found = scopes(graph_of(ta.grad(lambda x: nn.GELU()(x).sum()), ta.ones(3)))
    inner = [where for _, where in found[2:]]
    assert set(inner) <= {"backward of GELU", "backward"}
    assert inner.count("backward of GELU") > 3


def test_passes_keep_scopes() -> None:
    """An op that is expanded into its body leaves its scope to each step; the rest is copied."""
    graph = graph_of(nn.Sequential(nn.GELU(), nn.Tanh()), ta.ones(3))
    flat = passes.dead_code(passes.expand(graph))
    assert len(flat.instrs) > len(graph.instrs)
    assert {s.layer for s in flat.scopes.values()} == {"Sequential.0 (GELU)", "Sequential.1 (Tanh)"}
    assert len(flat.scopes) == len(flat.instrs)
    assert all(s.line.startswith("test_scopes.py:") for s in flat.scopes.values())


def test_printing_with_scopes() -> None:
    """Each line may say where it is from; by default none does."""
    graph = graph_of(nn.Tanh(), ta.ones(3))
    (line,) = [line for line in graph.to_string(scopes=True).splitlines() if "tanh" in line]
    assert line == "  %1: float32[3] = tanh(%0)  # Tanh"
    assert "#" not in str(graph)
    assert graph.to_string() == str(graph)


def test_scopes_are_no_part_of_a_graphs_meaning() -> None:
    """Two graphs that compute the same are equal wherever they come from."""
    spec = Spec((), ta.float32)
    a, b = (Graph([spec, spec], [0], {}, [Instr("exp", (0,), {}, 1)], [1]) for _ in range(2))
    b.scopes[1] = Scope("backward", "Net.conv (Conv2d)")
    assert a == b


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        (Scope(), ""),
        (Scope("forward", "Net.conv (Conv2d)", "train.py:3: y = net(x)"), "Net.conv (Conv2d)"),
        (Scope("backward"), "backward"),
        (Scope("backward", "Net.conv (Conv2d)"), "backward of Net.conv (Conv2d)"),
        (Scope("update", "0.bias (SGD)"), "update of 0.bias (SGD)"),
    ],
)
def test_a_scope_as_text(scope: Scope, text: str) -> None:
    """A phase other than forward is named."""
    assert str(scope) == text


def test_a_scope_ends_with_its_block() -> None:
    """Also by an exception; and without a trace there is nothing to set."""
    with updating("0.bias (SGD)"):
        pass
    trace = Trace("test")

    def interrupted() -> None:
        with setting(TRACE, trace), updating("0.bias (SGD)"):
            assert trace.scope == Scope("update", "0.bias (SGD)")
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert trace.scope == Scope()
