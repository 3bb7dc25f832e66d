"""jit: trace a whole Python function into one graph, compile it, and run that instead.

What a trace depends on is either an input of its graph (tensors: arguments, and whatever else it
reads), or part of the key under which it is kept, or a guard that is asked again at each call.
Every other Python value is a constant of the trace.
"""

from __future__ import annotations

import functools
import types
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, ParamSpec, TypeAlias, TypeVar, overload

import numpy as np

from tinyaccel import budgets, passes
from tinyaccel.backend import DEFAULT_DEVICE, PRECISION, Array, Device, Executable, get_device
from tinyaccel.contexts import setting
from tinyaccel.errors import ArgumentError, CheckError, TraceError
from tinyaccel.graph import Graph, Instr
from tinyaccel.op import Op
from tinyaccel.tape import GRAD_MODE, Node
from tinyaccel.tensor import Tensor, apply, gradients, tensor
from tinyaccel.trace import TRACE, Trace, Var, leaked

P = ParamSpec("P")
R = TypeVar("R")
Args: TypeAlias = Sequence[Tensor]
MANY = 8  # traces of one function, after which it is worth a warning


# Arguments and results as trees of tuples, lists and dicts


def flatten(tree: Any, leaves: list[Any]) -> Hashable:
    """Append the leaves of `tree` to `leaves`; returns its structure, which rebuilds it."""
    if isinstance(tree, tuple | list):
        return type(tree), tuple(flatten(item, leaves) for item in tree)
    if isinstance(tree, dict):
        return dict, tuple((name, flatten(item, leaves)) for name, item in tree.items())
    leaves.append(tree)
    return None


def unflatten(structure: Any, leaves: Sequence[Any]) -> Any:
    """The tree of this structure with these leaves, in order."""
    it = iter(leaves)

    def build(node: Any) -> Any:
        if node is None:
            return next(it)
        kind, items = node
        if kind is dict:
            return {name: build(item) for name, item in items}
        values = [build(item) for item in items]
        return kind(*values) if hasattr(kind, "_fields") else kind(values)

    return build(structure)


# One trace, compiled


@dataclass
class _Place:
    """A tensor that a compiled graph reads or writes: argument number `arg`, or `tensor` itself."""

    arg: int | None = None
    tensor: Tensor | None = None

    def of(self, args: Args) -> Tensor:
        if self.arg is not None:
            return args[self.arg]
        assert self.tensor is not None
        return self.tensor


@dataclass
class _Compiled:
    """A traced function: its graphs, and where each input comes from and each output goes.

    sources   for each input the tensor, and whether it is its `.grad` that is read
    results   for each leaf of the result: an output's number, a place, or a Python value
    writes    tensors that receive the outputs from len(outputs of results) on
    grads     tensors whose `.grad` receives an output, or None
    """

    key: tuple[Any, ...]
    graph: Graph
    optimized: Graph
    executable: Executable
    device: Device
    sources: list[tuple[_Place, bool]]
    structure: Hashable
    results: list[tuple[str, Any]]
    needs_grad: list[bool]
    writes: list[tuple[_Place, int]]
    grads: list[tuple[_Place, int | None]]
    guards: list[tuple[Callable[[], Hashable], Hashable, str]]
    pulls: dict[int, Callable[..., Any]]

    def still_holds(self) -> bool:
        return all(read() == value for read, value, _ in self.guards)

    def read(self, args: Args) -> list[Array]:
        """What the inputs hold now."""
        arrays = []
        for place, is_grad in self.sources:
            source = place.of(args)
            if is_grad:
                assert source._grad is not None  # a guard, or the key, says so
                source = source._grad
            if isinstance(source._data, Var):
                raise leaked(source)
            arrays.append(source._data)
        return arrays

    def commit(self, args: Args, arrays: Sequence[Array]) -> None:
        """Write state and gradients back: nothing before this has changed anything."""
        for place, k in self.writes:
            place.of(args)._data = arrays[k]
        for place, grad in self.grads:
            target = place.of(args)
            target._grad = None if grad is None else self._tensor(arrays, grad)

    def _tensor(self, arrays: Sequence[Array], k: int) -> Tensor:
        return Tensor._make(arrays[k], self.graph.specs[self.graph.outputs[k]], self.device)

    def result(self, args: Args, inputs: Sequence[Array], arrays: Sequence[Array]) -> Any:
        leaves = []
        for kind, value in self.results:
            if kind == "output":
                out = self._tensor(arrays, value)
                if self.needs_grad[value]:
                    self._record(out, value, args, inputs)
                leaves.append(out)
            else:
                leaves.append(value.of(args) if kind == "place" else value)
        return unflatten(self.structure, leaves)

    def _record(self, out: Tensor, k: int, args: Args, inputs: Sequence[Array]) -> None:
        """Put the whole call on the tape as one step, so that `out` can be differentiated."""
        specs = [self.graph.specs[v] for v in self.graph.inputs]
        nodes = tuple(None if grad else place.of(args)._node for place, grad in self.sources)
        saved = tuple(map(Tensor._make, inputs, specs, [self.device] * len(specs), nodes))
        if any(nodes):
            op = Op("jit", "custom", lambda *_: out.spec, vjp=self._rule(k))
            out._node = Node(op, saved, nodes, {}, (out._data, out.spec, out.device))

    def _rule(self, k: int) -> Callable[..., Sequence[Tensor | None]]:
        """The vjp of output k: the graph replayed with the tape on, itself jitted."""
        graph = passes.dead_code(replace(self.graph, outputs=[self.graph.outputs[k]]))

        def pull(g: Tensor, *inputs: Tensor) -> tuple[Tensor | None, ...]:
            fresh = [t.alias() if t.dtype.is_float else t for t in inputs]
            with setting(GRAD_MODE, True):
                (out,) = replay(graph, fresh, self.device)
            return tuple(gradients(out, g, fresh))

        if k not in self.pulls:
            self.pulls[k] = Jitted(pull)
        return lambda g, out, *inputs: self.pulls[k](g, *inputs)


def replay(graph: Graph, inputs: Sequence[Tensor], device: Device) -> list[Tensor]:
    """Apply a graph's instructions to tensors, one by one through the door."""
    values = dict(zip(graph.inputs, inputs, strict=True))
    for value, array in graph.constants.items():
        values[value] = tensor(array, dtype=graph.specs[value].dtype, device=device)
    for instr in graph.instrs:
        given = [values[v] for v in instr.inputs]
        values[instr.out] = apply(instr.op, *given, device=device, **instr.attrs)
    return [values[v] for v in graph.outputs]


# Tracing


def _trace(fn: Callable[..., Any], name: str, key: tuple[Any, ...], structure: Any,
           leaves: Sequence[Any]) -> _Compiled:  # fmt: skip
    """Run `fn` on tensors without values, and compile what it did."""
    trace = Trace(f"jit({name})")
    stand_ins = []
    for leaf in leaves:
        if isinstance(leaf, Tensor):
            stand_in = Tensor._make(None, leaf.spec, leaf.device)
            if leaf.requires_grad:
                stand_in._node = Node(leaf=stand_in) if leaf.is_leaf else Node()
            stand_in.label = leaf.label or f"argument {len(trace.args)}"
            trace.add_arg(stand_in, leaf, stand_in.label)
            stand_in._data = trace.read(stand_in)
            leaf = stand_in
        stand_ins.append(leaf)
    args, kwargs = unflatten(structure, stand_ins)
    with setting(TRACE, trace):
        result = fn(*args, **kwargs)
        out_leaves: list[Any] = []
        out_structure = flatten(result, out_leaves)
        values = [_output(trace, leaf, name) for leaf in out_leaves]
    return _compile(trace, key, out_structure, out_leaves, values)


def _output(trace: Trace, leaf: Any, name: str) -> Var | None:
    """The value of a result that was computed here; None for what existed before."""
    if not isinstance(leaf, Tensor):
        if isinstance(leaf, np.ndarray):
            raise TraceError(f"jit({name}): it returns a NumPy array; return a tensor")
        return None
    if id(leaf) in trace.args or not isinstance(leaf._data, Var):
        return None
    return trace.read(leaf)


def _compile(trace: Trace, key: tuple[Any, ...], structure: Hashable, leaves: list[Any],
             values: list[Var | None]) -> _Compiled:  # fmt: skip
    graph = trace.graph

    def place(t: Tensor) -> _Place:
        return _Place(arg=trace.args[id(t)][0]) if id(t) in trace.args else _Place(tensor=t)

    def output(var: Var) -> int:
        graph.outputs.append(var.value)
        return len(graph.outputs) - 1

    results: list[tuple[str, Any]] = []
    needs_grad = []
    for leaf, var in zip(leaves, values, strict=True):
        if var is not None:
            results.append(("output", output(var)))
            needs_grad.append(leaf.requires_grad)
        else:
            results.append(("place", place(leaf)) if isinstance(leaf, Tensor) else ("value", leaf))
    writes = [(place(t), output(var)) for t, var in trace.writes.values()]
    grads: list[tuple[_Place, int | None]] = []
    for t, g in trace.grads.values():
        if isinstance(t._data, Var) and id(t) not in trace.args:
            continue  # a leaf made inside: it is gone with the trace
        if g is None or g is not t._grad:
            grads.append((place(t), None if g is None else output(trace.read(g))))
    sources: dict[int, tuple[_Place, bool]] = {}
    for stand_in, (i, _) in trace.args.items():
        sources[trace.input_value(stand_in)] = (_Place(arg=i), False)
    for t, value in trace.captured.values():
        sources[value] = (_Place(tensor=t), False)
    for t, value in trace.grads_in.values():
        sources[value] = (place(t), True)
    _refuse_double(trace)
    device = _one_device(trace, leaves, key)
    backend = device.backend

    def has_kernel(instr: Instr, graph: Graph) -> bool:
        return backend.instr_has_kernel(instr, graph)

    optimized = passes.run_passes(graph, [lambda g: passes.expand(g, has_kernel), passes.dead_code])
    return _Compiled(
        key=key, graph=graph, optimized=optimized,
        executable=backend.compile(optimized, device), device=device,
        sources=[sources[v] for v in graph.inputs], structure=structure, results=results,
        needs_grad=needs_grad, writes=writes, grads=grads, guards=list(trace.guards.values()),
        pulls={},
    )  # fmt: skip


def _refuse_double(trace: Trace) -> None:
    """One tensor as an argument and from outside is fine, unless it changes: which one does?"""
    changed = trace.writes.keys() | trace.grads.keys()
    for stand_in, (i, given) in trace.args.items():
        seen = id(given) in trace.captured or id(given) in changed
        if seen and (stand_in in changed or id(given) in changed):
            raise TraceError(
                f"{trace.name}: argument {i} ({given.spec}) is also reached from outside, and "
                "changes; pass it, or capture it, but not both"
            )


def _one_device(trace: Trace, leaves: list[Any], key: tuple[Any, ...]) -> Device:
    tensors = [given for _, given in trace.args.values()]
    tensors += [t for t, _ in trace.captured.values()]
    tensors += [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    devices = {t.device for t in tensors}
    if len(devices) > 1:
        names = " and ".join(sorted(d.name for d in devices))
        raise TraceError(f"{trace.name}: tensors on {names}; jit one function for each device")
    return devices.pop() if devices else key[-1]


# The decorator


class Jitted(Generic[P, R]):
    """A function that is traced once for each kind of arguments, compiled, and run as a graph."""

    def __init__(self, fn: Callable[P, R], *, check: bool = False) -> None:
        functools.update_wrapper(self, fn)
        self._fn = fn
        self._name = getattr(fn, "__name__", type(fn).__name__)
        self._check = check
        self._known: dict[tuple[Any, ...], list[_Compiled]] = {}
        self._order: list[_Compiled] = []

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if TRACE.get() is not None:
            return self._fn(*args, **kwargs)  # part of the trace that is under way
        leaves: list[Any] = []
        structure = flatten((args, kwargs), leaves)
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        compiled = self._find(structure, leaves, tensors)
        inputs = compiled.read(tensors)
        arrays = compiled.executable(inputs)
        if self._check:
            _check_against_eager(self._name, lambda: self._fn(*args, **kwargs), compiled,
                                 tensors, inputs, arrays)  # fmt: skip
        result = compiled.result(tensors, inputs, arrays)
        compiled.commit(tensors, arrays)
        return result  # type: ignore[no-any-return]

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def _find(self, structure: Any, leaves: list[Any], tensors: Args) -> _Compiled:
        key = _key(self._name, structure, leaves, tensors)
        for compiled in self._known.get(key, []):
            if compiled.still_holds():
                return compiled
        compiled = _trace(self._fn, self._name, key, structure, leaves)
        if len(self._order) >= MANY:
            warnings.warn(
                f"jit({self._name}): traced {len(self._order) + 1} times; this time because "
                f"{_difference(self._order[-1], compiled)}. Pass what varies as a tensor",
                stacklevel=4,
            )
        self._known.setdefault(key, []).append(compiled)
        self._order.append(compiled)
        return compiled

    # What it made of the function

    @property
    def traces(self) -> int:
        """How often the function was traced."""
        return len(self._order)

    def _latest(self) -> _Compiled:
        if not self._order:
            raise TraceError(f"jit({self._name}): nothing is traced yet; call it once first")
        return self._order[-1]

    def graph(self, *, optimized: bool = False) -> Graph:
        """The graph of the latest trace, as traced or as compiled."""
        return self._latest().optimized if optimized else self._latest().graph

    def source(self) -> str:
        """What the backend runs for the latest trace: a kernel a line, or its compiler's text."""
        latest = self._latest()
        return latest.device.backend.source(latest.optimized, latest.device)

    def memory(self) -> dict[str, int]:
        """Bytes of the latest trace's inputs, constants and outputs, and of its peak in between."""
        return self._latest().optimized.memory()


def _key(name: str, structure: Any, leaves: list[Any], tensors: Args) -> tuple[Any, ...]:
    """Everything that a trace depends on and that can be known before the call."""
    static = []
    for leaf in leaves:
        if isinstance(leaf, Tensor):
            continue
        if isinstance(leaf, np.ndarray):
            raise ArgumentError(f"jit({name}): got a NumPy array; pass tinyaccel.tensor(array)")
        try:
            hash(leaf)
        except TypeError:
            raise ArgumentError(
                f"jit({name}): argument of type {type(leaf).__name__} can't be part of the key; "
                "pass tensors, numbers, strings, or objects with a hash"
            ) from None
        static.append((type(leaf), leaf))
    seen: dict[int, int] = {}
    described = tuple(
        (t.spec, t.device, t.requires_grad, t.is_leaf, t._grad is None,
         seen.setdefault(id(t), i))
        for i, t in enumerate(tensors)
    )  # fmt: skip
    kinds = tuple(isinstance(leaf, Tensor) for leaf in leaves)
    default = get_device(DEFAULT_DEVICE.get())
    return structure, kinds, tuple(static), described, GRAD_MODE.get(), PRECISION.get(), default


_PARTS = ("the structure of the arguments", "which arguments are tensors", "a Python value",
          "shape, dtype, device, requires_grad, .grad or identity of a tensor",
          "grad mode", "precision", "the default device")  # fmt: skip


def _difference(old: _Compiled, new: _Compiled) -> str:
    for part, a, b in zip(_PARTS, old.key, new.key, strict=True):
        if a != b:
            return f"{part} changed: {_shown(a)} to {_shown(b)}"
    for read, value, what in old.guards:
        if read() != value:
            return f"{what} changed: {_shown(value)} to {_shown(read())}"
    return "the captured state changed"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) < 120 else text[:117] + "..."


def _check_against_eager(
    name: str, eager: Callable[[], Any], compiled: _Compiled, args: Args,
    inputs: Sequence[Array], arrays: Sequence[Array],
) -> None:  # fmt: skip
    """Run eagerly from the same state, compare everything, and put the state back."""
    places = [p for p, _ in compiled.writes] + [p for p, _ in compiled.grads]
    places += [p for p, _ in compiled.sources]
    touched = {id(p.of(args)): p.of(args) for p in places}.values()
    before = [(t, t._data, t._grad) for t in touched]
    try:
        leaves: list[Any] = []
        flatten(eager(), leaves)
        expected: list[Any] = []
        names: list[str] = []
        for (kind, _), leaf in zip(compiled.results, leaves, strict=True):
            if kind == "output":
                expected.append(leaf.numpy())
                names.append(f"result {len(names)}")
        for place, _ in compiled.writes:
            expected.append(place.of(args).numpy())
            names.append(f"state {place.of(args).label or place.of(args).spec}")
        for place, k in compiled.grads:
            grad = place.of(args)._grad
            if (grad is None) != (k is None):
                raise CheckError(f"jit({name}): .grad of {place.of(args).spec} is set only once")
            if grad is not None:
                expected.append(grad.numpy())
                names.append(f"grad of {place.of(args).label or place.of(args).spec}")
    finally:
        for t, data, grad in before:
            t._data, t._grad = data, grad
    host = compiled.device.backend.download
    budgets.compare(compiled.graph, [host(a) for a in inputs], [host(a) for a in arrays],
                    expected, [f"jit({name}): {n}" for n in names])  # fmt: skip


@overload
def jit(fn: Callable[P, R], *, check: bool = False) -> Jitted[P, R]: ...
@overload
def jit(*, check: bool = False) -> Callable[[Callable[P, R]], Jitted[P, R]]: ...
def jit(fn: Callable[P, R] | None = None, *, check: bool = False) -> Any:
    """Compile a function of tensors: a model, a loss, or a whole training step.

    The function is run once on tensors without values; what it does to them becomes one graph,
    which the backend compiles and every later call runs. Its arguments and results are tensors,
    Python values, and tuples, lists and dicts of them.

    - Tensors that the function reads without being given them (parameters, buffers, optimizer and
      random state) are inputs of the graph, read anew in each call; those it assigns to, and every
      `.grad` it leaves behind, are written back after each call. If a call raises, nothing changed.
    - A new trace is made for other shapes, dtypes, devices, Python values, grad mode or precision,
      and when a module's `training` flag or a captured tensor's `requires_grad` has changed. Every
      other Python value is a constant of the trace: a global, an attribute, a list's length.
    - What needs a value while tracing (`.item()`, `if tensor:`, NumPy) raises `TraceError`.
    - The result can be differentiated; a returned tensor is never overwritten by a later call.

    check  run eagerly as well in each call, from the same state, and compare results and state
           within the error budgets; raises `CheckError` (and changes nothing) where they differ

    >>> import tinyaccel as ta
    >>> square = jit(lambda x: x * x)
    >>> square(ta.tensor([1.0, 2.0]))
    tensor([1., 4.])
    >>> square.traces
    1
    """
    if fn is None:
        return lambda f: Jitted(f, check=check)
    return Jitted(fn, check=check)
