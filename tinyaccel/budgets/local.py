"""What an op itself may be off, by its `Budget`, before any error of its inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from tinyaccel import array_api, dtypes, shapes
from tinyaccel.budgets.kernels import kernels
from tinyaccel.budgets.values import Array, Bounded, Errors
from tinyaccel.contexts import setting
from tinyaccel.graph import Graph
from tinyaccel.op import Attrs, Op, Spec
from tinyaccel.ops.define import META
from tinyaccel.passes import expand
from tinyaccel.tape import GRAD_MODE
from tinyaccel.tensor import Tensor
from tinyaccel.trace import TRACE, Trace, Var

# How far a single factor may be rounded before it is multiplied: TF32 keeps 11 bits, bfloat16 8.
_FACTORS = {"highest": 0.0, "high": 2.0**-11, "fast": 2.0**-8}


@dataclass(frozen=True)
class Step:
    """One instruction, and how to run it in higher precision."""

    op: Op
    attrs: Attrs
    specs: tuple[Spec, ...]
    out: Spec
    wide: np.dtype[Any]
    zeros: Errors = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "zeros", np.zeros(self.out.shape))

    def run(self, *arrays: Array, **changed: Any) -> Array:
        return np.asarray(kernels()[self.op.name](*arrays, **{**self.attrs, **changed}))

    @property
    def eps(self) -> float:
        """The op's unit: float32's for the narrow types, which are computed in float32."""
        inner = dtypes.float32 if self.out.dtype in array_api.LOW_PRECISION else self.out.dtype
        return inner.eps + float(np.finfo(self.wide).eps)  # what the exact value itself lacks

    def rounded(self, value: Array, error: Errors) -> Errors:
        """`error`, and the one rounding at the end of an op on a narrow type."""
        dtype = self.out.dtype
        if dtype in array_api.LOW_PRECISION:
            error = error + 0.5 * dtype.eps * (np.abs(value) + error)
        # A value may be so small that its error is 0 in float64, and yet be no 0 itself.
        return np.where((error > 0) | (value != 0), error + dtype.tiny, 0.0)


@lru_cache(maxsize=1024)
def _derivatives(op: Op, shape: shapes.Shape, inputs: int) -> tuple[Graph, tuple[int, ...]]:
    """dy/dx_i of an elementwise op as a graph of (g, y, *x), from the op's own rule."""
    trace = Trace(op.name, captures=False)
    spec = Spec(shape, dtypes.float64)
    with setting(TRACE, trace), setting(GRAD_MODE, False):
        given = [
            Tensor._make(Var(trace, trace.graph.add_input(spec)), spec, META)
            for _ in range(inputs + 2)
        ]
        if isinstance(op.vjp, tuple):
            grads = [None if rule is None else rule(*given) for rule in op.vjp]
        else:
            grads = [] if op.vjp is None else list(op.vjp(*given))
    found = [(i, g) for i, g in enumerate(grads) if g is not None]
    trace.graph.outputs = [trace.read(g).value for _, g in found]
    return expand(trace.graph), tuple(i for i, _ in found)


def own_error(step: Step, value: Array, *inputs: Bounded) -> Errors:
    """What an elementwise op itself may be off: units * eps * (|y| + sum_i |dy/dx_i * x_i|)."""
    if step.op.budget.kind == "exact" or not step.out.dtype.is_float:
        return step.zeros
    y = value.astype(np.float64)
    xs = [np.broadcast_to(x.value.astype(np.float64), y.shape) for x in inputs]
    graph, positions = _derivatives(step.op, y.shape, len(inputs))
    run = graph.runner(lambda instr: kernels()[instr.op], np.asarray)
    size = np.abs(y)
    for i, slope in zip(positions, run([np.ones(y.shape), y, *xs]), strict=True):
        # A pole of the derivative where the value has none, as of sqrt at 0: x itself is 0 there.
        size = size + np.nan_to_num(np.abs(slope * xs[i]), nan=0.0, posinf=np.inf)
    return np.where(
        np.isfinite(y), step.rounded(value, np.asarray(step.op.budget.units * step.eps * size)), 0.0
    )


def accumulated(step: Step, value: Array, magnitude: Errors) -> Errors:
    """What a sum of k terms itself may be off: units * sqrt(k) * eps * sum |terms|."""
    budget, dtype = step.op.budget, step.out.dtype
    if not dtype.is_float:
        return step.zeros
    k = max(1, budget.length(*step.specs, **step.attrs)) if budget.length else 1
    factors = 2 * _FACTORS[step.attrs.get("precision", "highest")]
    own = (budget.units * math.sqrt(k) * step.eps + factors) * magnitude
    inner = dtypes.float32 if dtype in array_api.LOW_PRECISION else dtype
    own = np.where(magnitude > 0, own + k * inner.tiny, 0.0)  # each term may be flushed to 0
    own = np.where(magnitude > inner.max, np.inf, step.rounded(value, own))
    return np.where(np.isfinite(value), own, 0.0)
