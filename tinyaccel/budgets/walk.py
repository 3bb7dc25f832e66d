"""The walk over a graph that gives every output its exact value and its bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyaccel import dtypes
from tinyaccel.budgets.indexed import in_order
from tinyaccel.budgets.local import Step
from tinyaccel.budgets.rules import equals_itself, equals_largest, root_of_nonnegative, rule
from tinyaccel.budgets.values import Array, Bounded, size
from tinyaccel.dtypes import DType
from tinyaccel.errors import ShapeError
from tinyaccel.graph import Graph, Instr
from tinyaccel.op import OPS
from tinyaccel.passes import expand


def bounds(
    graph: Graph, inputs: Sequence[Array], *, rounded_constants: bool = False
) -> list[Bounded]:
    """For each output of `graph`, its exact value and how far a backend's may be from it.

    inputs             host arrays, taken as exact, one per graph input
    rounded_constants  whether numbers in the graph stand for others that they were rounded from,
                       as 0.9 does in float16. So it is when a formula is to be judged, and not
                       when two runs of one graph are

    Floats are evaluated in float64, and in NumPy's longdouble if the graph has float64 values.
    Raises `ShapeError` if an input doesn't fit the graph, `IndexRangeError` for an index outside
    its axis.
    """
    return walk(graph, inputs, lambda result, _: result, rounded_constants=rounded_constants)


def walk(
    graph: Graph,
    inputs: Sequence[Array],
    treat: Callable[[Bounded, DType], Bounded],
    *,
    rounded_constants: bool = False,
) -> list[Bounded]:
    """Each value in higher precision with its bound, `treat`ed before it is used any further."""
    flat = expand(graph)
    wide = np.dtype(np.longdouble if dtypes.float64 in {s.dtype for s in flat.specs} else float)
    values: dict[int, Bounded] = {}
    for v, array in zip(flat.inputs, inputs, strict=True):
        if array.shape != flat.specs[v].shape:
            raise ShapeError(f"bounds: input {array.shape} for {flat.specs[v]}; must be equal")
        values[v] = exact(array, flat.specs[v].dtype, wide)
    for v, array in flat.constants.items():
        values[v] = exact(array, flat.specs[v].dtype, wide)
        if rounded_constants and array.ndim == 0 and flat.specs[v].dtype.is_float:
            values[v] = perhaps_rounded(values[v], flat.specs[v].dtype)
    related = _Related()
    for instr, dead in zip(flat.instrs, flat.last_uses(), strict=True):
        specs = tuple(flat.specs[v] for v in instr.inputs)
        step = Step(OPS[instr.op], instr.attrs, specs, flat.specs[instr.out], wide)
        with np.errstate(all="ignore"):
            result = related.rule(instr, flat)(step, *[values[v] for v in instr.inputs])
            values[instr.out] = treat(settle(step, result), step.out.dtype)
        for v in dead:
            del values[v]
    return [values[v] for v in flat.outputs]


_KEEPS_SIGN = ("sum", "reshape", "permute_dims", "broadcast_to", "slice", "astype")


class _Related:
    """Which values are maxima, or the order, of which others; which are squares, and sums of them.

    Those are no strangers.
    """

    def __init__(self) -> None:
        self._largest_of: dict[int, int] = {}
        self._order_of: dict[int, tuple[int, int, bool]] = {}
        self._not_below_0: set[int] = set()

    def rule(self, instr: Instr, graph: Graph) -> Callable[..., Bounded]:
        """The rule for an instruction, one that knows how its inputs are related if they are."""
        op, first = OPS[instr.op], instr.inputs[0] if instr.inputs else -1
        if self._is_not_below_0(instr, graph):
            self._not_below_0.add(instr.out)
        if op.name == "max":
            self._largest_of[instr.out] = first
        elif op.name == "argsort":
            self._order_of[instr.out] = (first, instr.attrs["axis"], instr.attrs["descending"])
        elif op.name == "take_along_axis" and instr.inputs[1] in self._order_of:
            source, axis, descending = self._order_of[instr.inputs[1]]
            if (source, axis) == (first, instr.attrs["axis"]):
                return in_order(descending)
        elif op.name == "reshape" and first in self._largest_of:
            self._largest_of[instr.out] = self._largest_of[first]
        elif op.kind == "comparison":
            second = instr.inputs[1]
            if first == second:
                return equals_itself
            dims = {len(graph.specs[v].shape) for v in instr.inputs}
            if op.name == "equal" and self._largest_of.get(second) == first and len(dims) == 1:
                return equals_largest
        elif op.name == "sqrt" and first in self._not_below_0:
            return root_of_nonnegative
        return rule(op)

    def _is_not_below_0(self, instr: Instr, graph: Graph) -> bool:
        """Whether a value can't come out below 0, however its steps are rounded."""
        first, last = instr.inputs[:1], instr.inputs[-1:]
        if instr.op in _KEEPS_SIGN:
            return first[0] in self._not_below_0
        if instr.op == "div" and last[0] in graph.constants:
            return first[0] in self._not_below_0 and bool((graph.constants[last[0]] > 0).all())
        return instr.op in ("abs", "relu") or (instr.op == "mul" and first == last)


def exact(array: Array, dtype: DType, wide: np.dtype[Any]) -> Bounded:
    value = array.astype(np.float64).astype(wide) if dtype.is_float else np.asarray(array)
    return Bounded(value, np.zeros(array.shape))


def perhaps_rounded(x: Bounded, dtype: DType) -> Bounded:
    """A number of more than half the bits that fit was probably rounded to them; 0.5 wasn't."""
    mantissa, _ = np.frexp(x.value.astype(np.float64))
    bits = mantissa * 2.0 ** (1 - math.log2(dtype.eps) // 2)
    short = (bits == np.floor(bits)) | ~np.isfinite(bits)
    return Bounded(x.value, np.where(short, 0.0, 0.5 * dtype.eps * size(x)))


def settle(step: Step, result: Bounded) -> Bounded:
    """`result` as its dtype can hold it: what overflows for certain is infinite, the rest open."""
    value, error = result
    error = np.where(np.isnan(error), np.inf, error).astype(np.float64)
    if step.out.dtype.is_float:
        value = value.astype(step.wide)
        size, top = np.abs(value), step.out.dtype.max * (1 + step.out.dtype.eps / 2)
        finite = np.isfinite(value)
        over = finite & (size - error > top)
        error = np.where(finite & ~over & (size + error >= top), np.inf, error)
        value = np.where(over, np.copysign(np.inf, value), value).astype(step.wide)
        error = np.where(over, 0.0, error)
    return Bounded(value, error)
