"""Mutants in the rules of gradients: what a backend inherits when the op itself is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinyaccel.op import Op
from tinyaccel.ops.elementwise import equal, less_equal, where
from tinyaccel.tensor import Tensor, apply
from tinyaccel.testing.mutants.mutant import Mutant


def _whole_ties(g: Tensor, y: Tensor, x: Tensor, *, axis: Any, keepdims: bool) -> Tensor:
    """Every tie takes all of the gradient."""
    shape = tuple(1 if i in axis else n for i, n in enumerate(x.shape))
    return where(equal(x, y.reshape(shape)), g.reshape(shape), 0)


def _transposed(g: Tensor, y: Tensor, a: Tensor, b: Tensor, *, precision: str) -> Tensor:
    """b for its transpose, which fits wherever b is square."""
    square = b.ndim > 1 and b.shape[-1] == b.shape[-2]
    other = b if square or b.ndim < 2 else b.mT
    return apply("matmul", g, other, precision=precision)


def _second_rule(op: Op) -> Any:
    assert isinstance(op.vjp, tuple)
    return op.vjp[1]


def _inside(g: Tensor, y: Tensor, x: Tensor, *, low: float | None, high: float | None) -> Tensor:
    above = apply("less", -math.inf if low is None else low, x)
    return where(above & apply("less", x, math.inf if high is None else high), g, 0)


RULES: Sequence[Mutant] = (
    Mutant("relu passes its gradient at 0", "relu", "convention", ">= for >",
           rule=lambda op: {"vjp": (lambda g, y, x: where(less_equal(0, x), g, 0),)}),
    Mutant("max gives every tie the whole gradient", "max", "convention",
           "a mask that isn't divided by its count", rule=lambda op: {"vjp": (_whole_ties,)}),
    Mutant("clip stops the gradient at its bounds", "clip", "convention", "< for <=",
           rule=lambda op: {"vjp": (_inside,)}),
    Mutant("the slope of another base", "log", "gradient", "copied from log2",
           rule=lambda op: {"vjp": (lambda g, y, x: g / (x * math.log(2)),)}),
    Mutant("a gradient with the wrong sign", "tanh", "gradient", "y * y - 1 for 1 - y * y",
           rule=lambda op: {"vjp": (lambda g, y, x: g * (y * y - 1),)}),
    Mutant("a factor missing in a gradient", "mul", "gradient", "the product rule, half of it",
           rule=lambda op: {"vjp": (lambda g, y, a, b: g, lambda g, y, a, b: g * a)}),
    Mutant("a matrix not transposed in a gradient", "matmul", "gradient",
           "unseen wherever the test's matrix is symmetric",
           rule=lambda op: {"vjp": (_transposed, _second_rule(op))}),
    Mutant("a gradient cut off from its input", "square", "second order",
           "detach(), or a value saved as a plain array: right once, wrong twice",
           rule=lambda op: {"vjp": (lambda g, y, x: g * 2 * x.detach(),)}),
    Mutant("a gradient that isn't summed over what was broadcast", "add", "gradient",
           "the rule of two equal shapes", rule=lambda op: {"broadcasts": False}),
)  # fmt: skip
