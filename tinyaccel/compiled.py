"""A traced function, compiled: what its graph reads and writes, and how its results are derived."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from tinyaccel import passes
from tinyaccel.backend import Array, Device, Executable
from tinyaccel.contexts import setting
from tinyaccel.graph import Graph
from tinyaccel.op import Op
from tinyaccel.tape import GRAD_MODE, Node, reachable, walk
from tinyaccel.tensor import Tensor, accumulate, apply, pull_back, tensor
from tinyaccel.trace import Trace, Var, leaked
from tinyaccel.trees import unflatten

Args: TypeAlias = Sequence[Tensor]


@dataclass(frozen=True)
class Place:
    """A tensor that a compiled graph reads or writes: argument number `arg`, or `tensor` itself."""

    arg: int | None = None
    tensor: Tensor | None = None

    def of(self, args: Args) -> Tensor:
        if self.arg is not None:
            return args[self.arg]
        assert self.tensor is not None
        return self.tensor


@dataclass(frozen=True)
class Reached:
    """Which tensors a trace reaches from outside (by identity), and what it changes.

    One tensor as an argument and from outside is fine, unless it changes: the graph, which knows
    the two apart, would read what it was before.
    """

    outside: frozenset[int]
    changed: frozenset[int]
    changed_args: frozenset[int]

    @classmethod
    def by(cls, trace: Trace) -> Reached:
        def lasting(*groups: Mapping[int, tuple[Tensor, object]]) -> frozenset[int]:
            """Without those that are gone after the trace: another may get their identity."""
            items = (item for group in groups for item in group.items())
            return frozenset(key for key, (t, _) in items if not isinstance(t._data, Var))

        changed = lasting(trace.writes, trace.grads)
        numbers = (
            i for key, (i, _) in trace.args.items() if key in trace.writes or key in trace.grads
        )
        return cls(changed | lasting(trace.captured, trace.grads_in), changed, frozenset(numbers))

    def twice(self, args: Args) -> list[int]:
        """The arguments that are also reached from outside, and change."""
        return [
            i
            for i, t in enumerate(args)
            if id(t) in self.outside and (i in self.changed_args or id(t) in self.changed)
        ]


@dataclass(frozen=True)
class Source:
    """What an input of the graph is bound to.

    place  the tensor that it is read from
    grad   whether its `.grad` is meant, and not the tensor itself
    node   the tape node that stood for it in the trace, if it required a gradient
    """

    place: Place
    grad: bool = False
    node: Node | None = None

    def read(self, args: Args) -> Tensor:
        source = self.place.of(args)
        if self.grad:
            assert source._grad is not None  # a guard, or the key, says so
            source = source._grad
        if isinstance(source._data, Var):
            raise leaked(source)
        return source


@dataclass
class Compiled:
    """A traced function: its graphs, and where each input comes from and each output goes.

    sources   what each input is bound to
    targets   what else gradients flow to: tensors that the trace wrote without reading them
    results   for each leaf of the result: an output's number, a place (itself, or its `.grad`),
              or a Python value
    tapes     by output, the last node of its tape in the trace, if it required a gradient
    writes    tensors that receive an output
    grads     tensors whose `.grad` receives an output, or None
    guards    what else must still be as it was
    jit       makes a jitted function of a function
    """

    key: tuple[Any, ...]
    graph: Graph
    optimized: Graph
    executable: Executable
    device: Device
    sources: list[Source]
    targets: list[Source]
    structure: Hashable
    results: list[tuple[str, Any]]
    tapes: dict[int, Node]
    writes: list[tuple[Place, int]]
    grads: list[tuple[Place, int | None]]
    guards: list[tuple[Callable[[], Hashable], Hashable, str]]
    reached: Reached
    jit: Callable[[Callable[..., Any]], Callable[..., Any]]
    pulls: dict[int, Callable[..., Any]] = field(default_factory=dict)

    def still_holds(self, args: Args) -> bool:
        return not self.reached.twice(args) and all(
            read() == value for read, value, _ in self.guards
        )

    def read(self, args: Args) -> list[Array]:
        """What the inputs hold now."""
        return [source.read(args)._data for source in self.sources]

    def commit(self, args: Args, arrays: Sequence[Array]) -> None:
        """Write state and gradients back: nothing before this has changed anything."""
        grads = [
            (place.of(args), None if k is None else self._output(arrays, k, args))
            for place, k in self.grads
        ]
        for place, k in self.writes:
            place.of(args)._data = arrays[k]
        for target, grad in grads:
            target._grad = grad

    def _output(self, arrays: Sequence[Array], k: int, args: Args) -> Tensor:
        """Output k as a tensor, on the tape if it was in the trace; `args` as they were read."""
        spec = self.graph.specs[self.graph.outputs[k]]
        out = Tensor._make(arrays[k], spec, self.device)
        if k in self.tapes:
            self._record(out, k, args)
        return out

    def result(self, args: Args, arrays: Sequence[Array]) -> Any:
        """What the function returns, before anything is written back."""
        leaves = []
        for kind, value in self.results:
            if kind == "output":
                leaves.append(self._output(arrays, value, args))
            elif kind == "grad":
                leaves.append(value.of(args)._grad)
            else:
                leaves.append(value.of(args) if kind == "place" else value)
        return unflatten(self.structure, leaves)

    # Differentiation: the whole call is one step on the tape, whose rule plays the trace's own
    # tape again, with values in place of the trace's variables. Playing the graph instead would
    # lose what the function cut off: detach, no_grad, what was assigned.

    def _record(self, out: Tensor, k: int, args: Args) -> None:
        """Put this call on the tape, so that `out`, output k, can be differentiated."""
        inputs, nodes = [], []
        for source in [*self.sources, *self.targets]:
            t = source.read(args)
            nodes.append(None if source.node is None else source.place.of(args)._node)
            inputs.append(Tensor._make(t._data, t.spec, t.device, nodes[-1]))
        if any(nodes):
            spec = out.spec  # a rule that held `out` would hold the tape that holds the rule
            op = Op("jit", "custom", lambda *_: spec, vjp=self._rule(k))
            out._node = Node(op, tuple(inputs), tuple(nodes), {}, (out._data, spec, out.device))

    def _rule(self, k: int) -> Callable[..., Sequence[Tensor | None]]:
        """The vjp of output k, itself jitted."""
        tape = self.tapes[k]
        sources = [*self.sources, *self.targets]
        needed = sorted(_variables(tape) | {self.graph.outputs[k]})
        graph = passes.dead_code(replace(self.graph, outputs=needed))

        def pull(g: Tensor, *inputs: Tensor) -> tuple[Tensor | None, ...]:
            with setting(GRAD_MODE, False):
                values = _run(graph, inputs[: len(self.sources)], self.device)
            fresh = [
                t.alias()._node if source.node is not None else None
                for t, source in zip(inputs, sources, strict=True)
            ]
            known = {s.node: n for s, n in zip(sources, fresh, strict=True) if s.node is not None}
            last = _play(tape, dict(zip(needed, values, strict=True)), known)
            if last is None:
                return (None,) * len(inputs)
            found = walk(last, g, pull_back, accumulate, [n for n in fresh if n is not None])
            return tuple(None if n is None else found.get(n) for n in fresh)

        if k not in self.pulls:
            self.pulls[k] = self.jit(pull)
        return lambda g, out, *inputs: self.pulls[k](g, *inputs)


def _variables(tape: Node) -> set[int]:
    """The values of the trace's graph that a tape refers to."""
    found: set[int] = set()
    for node in reachable(tape):
        found.update(t._data.value for t in node.inputs)
        if node.out:
            found.add(node.out[0].value)
    return found


def _play(
    tape: Node, values: Mapping[int, Tensor], known: Mapping[Node, Node | None]
) -> Node | None:
    """A copy of a trace's tape that ends in `known` nodes, with `values` for its variables.

    None if it leads to none of them: leaves that were made inside are of no use to anybody.
    """
    copies = dict(known)
    for node in reversed(reachable(tape)):
        if node in copies:
            continue
        parents = tuple(None if p is None else copies.get(p) for p in node.parents)
        if not any(parents):
            continue
        inputs = tuple(
            Tensor._make(values[t._data.value]._data, t.spec, t.device, parent)
            for t, parent in zip(node.inputs, parents, strict=False)  # an alias has no inputs
        )
        out = (values[node.out[0].value]._data, *node.out[1:]) if node.out else ()
        copies[node] = Node(node.op, inputs, parents, node.attrs, out)
    return copies.get(tape)


def _run(graph: Graph, inputs: Sequence[Tensor], device: Device) -> list[Tensor]:
    """Apply a graph's instructions to tensors, one by one through the door."""
    values = dict(zip(graph.inputs, inputs, strict=True))
    for value, array in graph.constants.items():
        values[value] = tensor(array, dtype=graph.specs[value].dtype, device=device)
    for instr in graph.instrs:
        given = [values[v] for v in instr.inputs]
        values[instr.out] = apply(instr.op, *given, device=device, **instr.attrs)
    return [values[v] for v in graph.outputs]
