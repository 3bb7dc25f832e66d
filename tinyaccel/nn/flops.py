"""How many arithmetic operations each op does: a multiplication and an addition are two.

matmul             2 k for each element of the result, k the length of the sums
conv2d and grads   2 for each product of a weight and a pixel, padding included
pools              1 for each pixel of each window
reductions         1 for each element that goes in
elementwise        1 for each element that comes out, also where one is spelled in several
                   steps, as sigmoid is
any other spelling of an op in other ops (linear, attention, softmax, batch_norm): its steps
reshapes, copies, casts, indexing, sorting and constants: nothing
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tinyaccel.op import OPS, Attrs, Spec
from tinyaccel.ops.define import body_graph

Count = Callable[[Sequence[Spec], Spec, Attrs], int]  # of inputs, result and attributes

_STEPS = {"unary", "binary", "comparison", "ternary"}  # kinds of one operation an element
_FREE = {"cast", "movement", "indexing", "creation"}


def _products(weights: Callable[[Sequence[Spec], Spec], Spec], of: int | None = None) -> Count:
    """Two for each weight that each element meets: of the result, or of input number `of`."""

    def count(inputs: Sequence[Spec], out: Spec, attrs: Attrs) -> int:
        elements = out if of is None else inputs[of]
        return 2 * math.prod(elements.shape) * math.prod(weights(inputs, out).shape[1:])

    return count


def _matmul(inputs: Sequence[Spec], out: Spec, attrs: Attrs) -> int:
    return 2 * math.prod(out.shape) * inputs[0].shape[-1]


def _windows(inputs: Sequence[Spec], out: Spec, attrs: Attrs) -> int:
    kernel = attrs["kernel"]
    return math.prod(out.shape) * (kernel if isinstance(kernel, int) else math.prod(kernel))


def _inputs(inputs: Sequence[Spec], out: Spec, attrs: Attrs) -> int:
    return math.prod(inputs[0].shape)


# Ops that have a count of their own; what others cost follows from their kind or their steps.
COUNTS: dict[str, Count] = {
    "matmul": _matmul,
    "conv2d": _products(lambda inputs, out: inputs[1]),
    "conv2d_input_grad": _products(lambda inputs, out: inputs[1], of=0),
    "conv2d_weight_grad": _products(lambda inputs, out: out, of=0),
    "fold": _inputs,  # what windows have is added up
    "max_pool1d": _windows,
    "max_pool2d": _windows,
    "avg_pool1d": _windows,
    "avg_pool2d": _windows,
    "adaptive_avg_pool1d": _inputs,
    "adaptive_avg_pool2d": _inputs,
    "adaptive_max_pool2d": _inputs,
}


def flops(op: str, inputs: Sequence[Spec], out: Spec, attrs: Attrs) -> int | None:
    """How many operations one instruction does; None if that isn't known (an op of one's own).

    >>> from tinyaccel.dtypes import float32
    >>> a, b, c = Spec((4, 8), float32), Spec((8, 2), float32), Spec((4, 2), float32)
    >>> flops("matmul", [a, b], c, {"precision": "highest"})
    128
    """
    found = OPS[op]
    if op in COUNTS:
        return COUNTS[op](inputs, out, attrs)
    if found.body is not None:
        graph = body_graph(found, inputs, attrs)
        if all(OPS[step.op].kind in _STEPS | {"cast"} for step in graph.instrs):
            return math.prod(out.shape)
        steps = (
            flops(step.op, [graph.specs[v] for v in step.inputs], graph.specs[step.out], step.attrs)
            for step in graph.instrs
        )
        return sum(n or 0 for n in steps)
    if found.kind in _STEPS:
        return math.prod(out.shape)
    if found.kind == "reduction":
        return _inputs(inputs, out, attrs)
    return 0 if found.kind in _FREE else None
