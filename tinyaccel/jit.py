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
from typing import Any, Generic, ParamSpec, TypeVar, overload

import numpy as np

from tinyaccel import budgets, passes
from tinyaccel.backend import DEFAULT_DEVICE, PRECISION, Array, Device, get_device
from tinyaccel.compiled import Args, Compiled, Place, Reached, Source
from tinyaccel.contexts import setting
from tinyaccel.errors import ArgumentError, CheckError, TraceError
from tinyaccel.graph import Graph, Instr
from tinyaccel.tape import GRAD_MODE, Node
from tinyaccel.tensor import Tensor
from tinyaccel.trace import JOURNAL, TRACE, Journal, Trace, Var, user_line
from tinyaccel.trees import flatten, unflatten

P = ParamSpec("P")
R = TypeVar("R")
MANY = 8  # traces of one function, after which it is worth a warning


# Tracing


def _trace(fn: Callable[..., Any], name: str, key: tuple[Any, ...], structure: Any,
           leaves: Sequence[Any]) -> Compiled:  # fmt: skip
    """Run `fn` on tensors without values, and compile what it did."""
    trace = Trace(f"jit({name})")
    stand_ins = []
    known: dict[int, Tensor] = {}  # a tensor that is passed twice is one tensor inside, too
    number = 0
    for leaf in leaves:
        if isinstance(leaf, Tensor):
            if id(leaf) not in known:
                known[id(leaf)] = _stand_in(trace, leaf, number)
            number += 1
            leaf = known[id(leaf)]
        stand_ins.append(leaf)
    args, kwargs = unflatten(structure, stand_ins)
    with setting(TRACE, trace):
        result = fn(*args, **kwargs)
        out_leaves: list[Any] = []
        out_structure = flatten(result, out_leaves)
        values = [_output(trace, leaf, name) for leaf in out_leaves]
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    return _compile(trace, key, tensors, out_structure, out_leaves, values)


def _stand_in(trace: Trace, given: Tensor, number: int) -> Tensor:
    """A tensor without a value, for argument `number`."""
    out = Tensor._make(None, given.spec, given.device)
    if given.requires_grad:
        out._node = Node(leaf=out) if given.is_leaf else Node()
    out.label = given.label or f"argument {number}"
    trace.add_arg(out, number, given, out.label)
    out._data = trace.read(out)
    return out


def _output(trace: Trace, leaf: Any, name: str) -> Var | None:
    """The value of a result that was computed here; None for what existed before."""
    if not isinstance(leaf, Tensor):
        if isinstance(leaf, np.ndarray):
            raise TraceError(
                f"jit({name}): it returns a NumPy array ({user_line()}); return a tensor"
            )
        return None
    if id(leaf) in trace.args or not isinstance(leaf._data, Var):
        return None
    return trace.read(leaf)


def _compile(trace: Trace, key: tuple[Any, ...], args: Args, structure: Hashable,
             leaves: list[Any], values: list[Var | None]) -> Compiled:  # fmt: skip
    graph = trace.graph

    def place(t: Tensor) -> Place:
        return Place(arg=trace.args[id(t)][0]) if id(t) in trace.args else Place(tensor=t)

    def output(var: Var) -> int:
        graph.outputs.append(var.value)
        return len(graph.outputs) - 1

    grads_read = {id(place(t).of(args)._grad): place(t) for t, _ in trace.grads_in.values()}
    results: list[tuple[str, Any]] = []
    tapes = {}
    for leaf, var in zip(leaves, values, strict=True):
        if var is not None:
            results.append(("output", output(var)))
            if leaf._node is not None:
                tapes[len(graph.outputs) - 1] = leaf._node
        elif id(leaf) in grads_read:
            results.append(("grad", grads_read[id(leaf)]))
        else:
            results.append(("place", place(leaf)) if isinstance(leaf, Tensor) else ("value", leaf))
    writes = [(place(t), output(var)) for t, var in trace.writes.values()]
    grads: list[tuple[Place, int | None]] = []
    for t, g in trace.grads.values():
        if isinstance(t._data, Var) and id(t) not in trace.args:
            continue  # a leaf made inside: it is gone with the trace
        if g is None or g is not t._grad:
            grads.append((place(t), None if g is None else output(trace.read(g))))
            if g is not None and g._node is not None:  # backward(create_graph=True)
                tapes[len(graph.outputs) - 1] = g._node
    sources = {value: Source(place(t), True) for t, value in trace.grads_in.values()}
    for t, value in [*trace.args_in.values(), *trace.captured.values()]:
        sources[value] = Source(place(t), node=trace.node(t))
    read = trace.args_in.keys() | trace.captured.keys()
    targets = [
        Source(place(t), node=t._node)
        for key, (t, _) in trace.writes.items()
        if key not in read and t._node is not None
    ]
    reached = Reached.by(trace)
    for i in reached.twice(args):
        raise TraceError(
            f"{trace.name}: argument {i} ({args[i].spec}) is also reached from outside, and "
            f"changes, at {user_line()}; pass it, or capture it, but not both"
        )
    device = _one_device(trace, leaves, key)
    backend = device.backend

    def has_kernel(instr: Instr, graph: Graph) -> bool:
        return backend.instr_has_kernel(instr, graph)

    optimized = passes.run_passes(graph, [lambda g: passes.expand(g, has_kernel), passes.dead_code])
    compiled = Compiled(
        key=key, graph=graph, optimized=optimized,
        executable=backend.compile(optimized, device), device=device,
        sources=[sources[v] for v in graph.inputs], targets=targets, structure=structure,
        results=results, tapes=tapes, writes=writes, grads=grads,
        guards=list(trace.guards.values()), reached=reached, jit=Jitted,
    )  # fmt: skip
    trace.close()
    return compiled


def _one_device(trace: Trace, leaves: list[Any], key: tuple[Any, ...]) -> Device:
    tensors = [given for _, given in trace.args.values()]
    tensors += [t for t, _ in trace.captured.values()]
    tensors += [t for t, _ in trace.writes.values()] + [t for t, _ in trace.grads.values()]
    tensors += [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    devices = {t.device for t in tensors}
    if len(devices) > 1:
        names = " and ".join(sorted(d.name for d in devices))
        raise TraceError(
            f"{trace.name}: tensors on {names}, at {user_line()}; jit one function for each device"
        )
    return devices.pop() if devices else key[-1]


# The decorator


class Jitted(Generic[P, R]):
    """A function that is traced once for each kind of arguments, compiled, and run as a graph."""

    def __init__(self, fn: Callable[P, R], *, check: bool = False) -> None:
        functools.update_wrapper(self, fn, updated=())  # an object's attributes stay its own
        self._fn = fn
        self._name = getattr(fn, "__name__", type(fn).__name__)
        self._check = check
        self._known: dict[tuple[Any, ...], list[Compiled]] = {}
        self._order: list[Compiled] = []

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
        result = compiled.result(tensors, arrays)
        compiled.commit(tensors, arrays)
        return result  # type: ignore[no-any-return]

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def _find(self, structure: Any, leaves: list[Any], tensors: Args) -> Compiled:
        key = _key(self._name, structure, leaves, tensors)
        for compiled in self._known.get(key, []):
            if compiled.still_holds(tensors):
                return compiled
        compiled = _trace(self._fn, self._name, key, structure, leaves)
        if len(self._order) >= MANY:
            warnings.warn(
                f"jit({self._name}): traced {len(self._order) + 1} times; this time because "
                f"{_difference(self._order[-1], compiled)}. Pass what varies as a tensor",
                stacklevel=3,  # the line that calls the jitted function
            )
        self._known.setdefault(key, []).append(compiled)
        self._order.append(compiled)
        return compiled

    # What it made of the function

    @property
    def traces(self) -> int:
        """How often the function was traced."""
        return len(self._order)

    def _latest(self) -> Compiled:
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
        # 1 == 1.0 == True and 0.0 == -0.0, but what is computed with them differs.
        static.append((type(leaf), repr(leaf) if isinstance(leaf, float | np.floating) else leaf))
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


def _difference(old: Compiled, new: Compiled) -> str:
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
    name: str, eager: Callable[[], Any], compiled: Compiled, args: Args,
    inputs: Sequence[Array], arrays: Sequence[Array],
) -> None:  # fmt: skip
    """Run eagerly from the same state, compare everything, and put the state back."""
    journal = Journal()
    written = {id(place.of(args)) for place, _ in compiled.writes}
    try:
        leaves: list[Any] = []
        with setting(JOURNAL, journal):
            structure = flatten(eager(), leaves)
        if structure != compiled.structure:
            raise CheckError(f"jit({name}): run eagerly, it returns another structure")
        for t in journal.assigned:
            if id(t) not in written:
                raise CheckError(f"jit({name}): run eagerly, it assigns to {t.label or t.spec} too")
        expected: list[Any] = []
        names: list[str] = []
        for (kind, value), leaf in zip(compiled.results, leaves, strict=True):
            if isinstance(leaf, bool | int | float | str) and repr(leaf) != repr(value):
                raise CheckError(f"jit({name}): it returns {value!r}, but {leaf!r} run eagerly")
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
        journal.undo()
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
