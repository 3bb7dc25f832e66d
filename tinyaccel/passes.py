"""Passes: functions from a Graph to a better Graph that computes the same.

A pass never changes the graph it is given, keeps the inputs and the outputs in their order, and
keeps shapes, dtypes, NaN and signed zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tinyaccel.graph import Graph, Instr, Scope
from tinyaccel.op import OPS
from tinyaccel.ops.define import body_graph


def _start(graph: Graph) -> tuple[Graph, dict[int, int]]:
    """An empty graph with the same inputs, and where each old value is in it."""
    new = Graph()
    where = {v: new.add_input(graph.specs[v], graph.labels.get(v, "")) for v in graph.inputs}
    return new, where


def dead_code(graph: Graph) -> Graph:
    """Without the instructions and constants that no output depends on."""
    needed = set(graph.outputs)
    for instr in reversed(graph.instrs):
        if instr.out in needed:
            needed.update(instr.inputs)
    new, where = _start(graph)
    for value, array in graph.constants.items():
        if value in needed:
            where[value] = new.add_constant(array, graph.specs[value])
    for instr in graph.instrs:
        if instr.out in needed:
            _copy(new, instr, graph, where)
    new.outputs = [where[v] for v in graph.outputs]
    return new


def _copy(
    new: Graph, instr: Instr, graph: Graph, where: dict[int, int], scope: Scope | None = None
) -> None:
    """Append `instr`; it came from `scope`, or from where `graph` says."""
    inputs = [where[v] for v in instr.inputs]
    out = new.add_instr(instr.op, inputs, instr.attrs, graph.specs[instr.out])
    scope = scope or graph.scopes.get(instr.out)
    if scope is not None:
        new.scopes[out] = scope
    where[instr.out] = out


def expand(graph: Graph, keep: Callable[[Instr, Graph], bool] = lambda *_: False) -> Graph:
    """With each composite replaced by its body, except where `keep(instr, graph)` says so."""
    new, where = _start(graph)
    _inline(graph, new, where, keep)
    new.outputs = [where[v] for v in graph.outputs]
    return new


def _inline(
    graph: Graph,
    new: Graph,
    where: dict[int, int],
    keep: Callable[[Instr, Graph], bool],
    scope: Scope | None = None,
) -> None:
    """Append `graph` to `new`; `where` maps its inputs' values, and then all of its values.

    scope  where the op came from whose body `graph` is
    """
    for value, array in graph.constants.items():
        where[value] = new.add_constant(array, graph.specs[value])
    for instr in graph.instrs:
        op = OPS[instr.op]
        if op.body is None or keep(instr, graph):
            _copy(new, instr, graph, where, scope)
            continue
        body = body_graph(op, [graph.specs[v] for v in instr.inputs], instr.attrs)
        inner = dict(zip(body.inputs, (where[v] for v in instr.inputs), strict=True))
        _inline(body, new, inner, keep, scope or graph.scopes.get(instr.out))
        where[instr.out] = inner[body.outputs[0]]


def run_passes(graph: Graph, passes: Sequence[Callable[[Graph], Graph]]) -> Graph:
    """`graph` after each pass in turn, checked after each."""
    for each in passes:
        graph = each(graph)
        graph.check()
    return graph
