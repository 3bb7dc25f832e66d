"""summary: a model as a table of layers, with shapes, parameters and operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tinyaccel import dtypes, shapes
from tinyaccel.backend import DEFAULT_DEVICE, get_device
from tinyaccel.contexts import setting
from tinyaccel.errors import ArgumentError
from tinyaccel.graph import Graph
from tinyaccel.nn.flops import flops
from tinyaccel.nn.module import Module
from tinyaccel.op import Spec
from tinyaccel.tape import no_grad
from tinyaccel.tensor import DTypeLike, Tensor
from tinyaccel.trace import TRACE, Trace, refuse
from tinyaccel.trees import flatten


@dataclass(frozen=True)
class Row:
    """A layer of a summary.

    path        its name from the model, "" for the model itself
    kind        its class
    outputs     the shapes of what it returned last
    parameters  how many numbers it holds itself, trainable or not; shared ones count where they
                come first
    frozen      how many of them aren't trained
    flops       operations of all its calls, without those of the layers in it
    calls       how often it was called
    """

    path: str
    kind: str
    outputs: tuple[shapes.Shape, ...]
    parameters: int
    frozen: int
    flops: int
    calls: int


@dataclass(frozen=True)
class Summary:
    """What `summary` returns: its text is a table.

    rows              a layer each, the model first
    inputs            what the model was given
    parameter_bytes   memory of parameters and buffers
    activation_bytes  memory of the results of all ops together: about what training keeps
    peak_bytes        the most of it that is needed at one time without training
    uncounted         ops whose operations aren't known, and how often they occur

    The sums over all layers: parameters, trainable, frozen, flops.
    """

    rows: list[Row]
    inputs: tuple[Spec, ...]
    parameter_bytes: int
    activation_bytes: int
    peak_bytes: int
    uncounted: dict[str, int]

    @property
    def parameters(self) -> int:
        return sum(row.parameters for row in self.rows)

    @property
    def frozen(self) -> int:
        return sum(row.frozen for row in self.rows)

    @property
    def trainable(self) -> int:
        return self.parameters - self.frozen

    @property
    def flops(self) -> int:
        return sum(row.flops for row in self.rows)

    def __str__(self) -> str:
        cells = [("layer", "output shape", "parameters", "FLOPs")]
        cells += [_cells(row) for row in self.rows]
        cells.append(("total", "", f"{self.parameters:,}", f"{self.flops:,}"))
        w = [max(len(row[column]) for row in cells) for column in range(4)]
        lines = [
            f"{a:<{w[0]}}  {b:<{w[1]}}  {c:>{w[2]}}  {d:>{w[3]}}".rstrip() for a, b, c, d in cells
        ]
        rule = "-" * (sum(w) + 6)
        given = ", ".join(map(str, self.inputs))
        notes = [
            f"{self.trainable:,} parameters are trained, {self.frozen:,} are frozen",
            f"FLOPs: one forward pass, evaluating, of {given}; a multiplication and an addition "
            "are 2",
            f"memory: parameters and buffers {_size(self.parameter_bytes)}, all results "
            f"{_size(self.activation_bytes)}, at one time {_size(self.peak_bytes)}",
        ]
        if self.uncounted:
            listed = ", ".join(f"{op} ({times}x)" for op, times in self.uncounted.items())
            notes.append(f"not counted: {listed}")
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], *notes])


def _cells(row: Row) -> tuple[str, str, str, str]:
    name = f"{row.path} ({row.kind})" if row.path else row.kind
    times = f"  {row.calls}x" if row.calls > 1 else ""
    shown = ", ".join(map(str, row.outputs)) if row.calls else "not called"
    return (
        name,
        shown + times,
        f"{row.parameters:,}" if row.parameters else "",
        f"{row.flops:,}" if row.flops else "",
    )


def _size(n: int) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if n < 1024:
            return f"{n:.0f} {unit}" if unit == "bytes" else f"{n:.1f} {unit}"
        n /= 1024  # type: ignore[assignment]
    return f"{n:.1f} GiB"


def summary(
    model: Module,
    input_shape: Sequence[int] | Sequence[Sequence[int]],
    batch_size: int | None = 1,
    *,
    dtype: DTypeLike | Sequence[DTypeLike] | None = None,
) -> Summary:
    """A table of the model's layers: output shapes, parameters, operations; and memory.

    input_shape  of one sample, without the batch; a sequence of shapes for a model of several
                 inputs
    batch_size   the first axis, put before the shapes; None leaves them as they are
    dtype        of the input, or of each input; by default that of the model's first parameter

    Nothing is computed: the model runs on shapes and types alone, as if it was evaluating (dropout
    passes all on), and is afterwards as it was. Operations (FLOPs) are those of one forward pass,
    counted as `tinyaccel.nn.flops` says, a multiplication and an addition as two.

    Raises `ArgumentError` for shapes that are none, and what the model raises for inputs that don't
    fit.

    >>> import tinyaccel as ta
    >>> model = ta.nn.Sequential(ta.nn.Linear(4, 8), ta.nn.ReLU())
    >>> table = summary(model, (4,), batch_size=3)
    >>> table.parameters, table.flops, table.rows[1].outputs
    (40, 240, ((3, 8),))
    """
    refuse("summary", "ask for it outside the jitted function")
    device = next((p.device for p in model.parameters()), get_device(DEFAULT_DEVICE.get()))
    trace = Trace("summary")
    given: list[Tensor] = []
    for spec in _inputs(model, input_shape, batch_size, dtype):
        stand_in = Tensor._make(None, spec, device)
        trace.add_arg(stand_in, len(given), stand_in, f"input {len(given)}")
        stand_in._data = trace.read(stand_in)
        given.append(stand_in)
    calls: dict[int, list[tuple[shapes.Shape, ...]]] = {}
    with setting(TRACE, trace), no_grad(), _watched(model, calls):
        result = model(*given)
        trace.graph.outputs = [trace.read(t).value for t in _tensors(result)]
    layers = {trace.layers[id(m)]: id(m) for m in model.modules() if id(m) in trace.layers}
    done, uncounted = _operations(trace.graph, layers, id(model))
    trace.close()
    return Summary(
        rows=list(_rows(model, calls, done)),
        inputs=tuple(t.spec for t in given),
        parameter_bytes=sum(_bytes(t.spec) for _, t in model._once("pb")),
        activation_bytes=sum(_bytes(trace.graph.specs[i.out]) for i in trace.graph.instrs),
        peak_bytes=trace.graph.memory()["peak"],
        uncounted=uncounted,
    )


def _inputs(
    model: Module, input_shape: Sequence[int] | Sequence[Sequence[int]], batch_size: int | None,
    dtype: DTypeLike | Sequence[DTypeLike] | None,
) -> list[Spec]:  # fmt: skip
    """What the model is to be given."""
    several = bool(input_shape) and all(isinstance(s, Sequence) for s in input_shape)
    each: Sequence[Any] = input_shape if several else [input_shape]
    before = () if batch_size is None else (batch_size,)
    first = next((p.dtype for p in model.parameters()), dtypes.DEFAULT_FLOAT)
    kinds = dtype if isinstance(dtype, list | tuple) else [dtype] * len(each)
    if len(kinds) != len(each):
        raise ArgumentError(
            f"summary: {len(kinds)} dtypes for {len(each)} inputs; expected one each"
        )
    return [
        Spec(
            shapes.as_shape((*before, *shape), "summary"),
            first if kind is None else dtypes.as_dtype(kind),
        )
        for shape, kind in zip(each, kinds, strict=True)
    ]


def _tensors(result: Any) -> list[Tensor]:
    leaves: list[Any] = []
    flatten(result, leaves)
    return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


@contextmanager
def _watched(model: Module, calls: dict[int, list[tuple[shapes.Shape, ...]]]) -> Iterator[None]:
    """Within the block, the model evaluates, and the shapes of each layer's results are noted."""
    before = [(m, m._training, vars(m).get("forward")) for m in model.modules()]

    def noting(module: Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(*inputs: object, **options: object) -> Any:
            result = forward(*inputs, **options)
            calls.setdefault(id(module), []).append(tuple(t.shape for t in _tensors(result)))
            return result

        return run

    try:
        for module, _, _ in before:
            module.training = False
            vars(module)["forward"] = noting(module, module.forward)
        yield
    finally:
        for module, training, forward in before:
            module.training = training
            del vars(module)["forward"]
            if forward is not None:
                vars(module)["forward"] = forward


def _operations(
    graph: Graph, layers: dict[str, int], root: int
) -> tuple[dict[int, int], dict[str, int]]:
    """Operations by layer's identity, and the ops that can't be counted."""
    done: dict[int, int] = {}
    uncounted: dict[str, int] = {}
    for instr in graph.instrs:
        given = [graph.specs[v] for v in instr.inputs]
        n = flops(instr.op, given, graph.specs[instr.out], instr.attrs)
        if n is None:
            uncounted[instr.op] = uncounted.get(instr.op, 0) + 1
        layer = layers.get(graph.scopes[instr.out].layer, root)
        done[layer] = done.get(layer, 0) + (n or 0)
    return done, uncounted


def _rows(
    model: Module, calls: dict[int, list[tuple[shapes.Shape, ...]]], done: dict[int, int]
) -> Iterator[Row]:
    seen: set[int] = set()
    for path, module in model.named_modules():
        own = [p for p in module._parameters.values() if id(p) not in seen]
        seen.update(id(p) for p in own)
        noted = calls.get(id(module), [])
        yield Row(
            path=path,
            kind=type(module).__name__,
            outputs=noted[-1] if noted else (),
            parameters=sum(p.size for p in own),
            frozen=sum(p.size for p in own if not p.requires_grad),
            flops=done.get(id(module), 0),
            calls=len(noted),
        )


def _bytes(spec: Spec) -> int:
    return math.prod(spec.shape) * spec.dtype.itemsize
