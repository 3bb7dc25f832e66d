"""Conventions of reductions: ties, NaN, and nothing at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyaccel.errors import ShapeError
from tinyaccel.testing.conventions.common import INF, NAN, Convention, c

# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("max's ties share", "max", [2.0, 1.0, 2.0], by=0, axis=0, to=[0.5, 0, 0.5]),
    c("max's ties share", "max", [3.0, 3.0, 3.0, 3.0], by=0, axis=0, to=[0.25] * 4),
    c("min's ties share", "min", [2.0, 1.0, 1.0], by=0, axis=0, to=[0, 0.5, 0.5]),
    c("argmax takes the first of equals", "argmax", [1.0, 3.0, 3.0], axis=0, to=1),
    c("max propagates NaN", "max", [1.0, NAN, 2.0], axis=0, to=NAN),
    c("min propagates NaN", "min", [1.0, NAN, 2.0], axis=0, to=NAN),
    c("argmax takes the first NaN", "argmax", [1.0, NAN, 9.0, NAN], axis=0, to=1),
    c("a NaN maximum passes no gradient on", "max", [1.0, NAN], by=0, axis=0, to=[0, 0]),
    c("an empty sum is 0", "sum", [[], []], axis=1, to=[0, 0]),
    c("an empty mean is NaN", "mean", [[], []], axis=1, to=[NAN, NAN]),
    c("an empty max raises", "max", [[], []], axis=1, to=ShapeError),
    c("an empty min raises", "min", [[], []], axis=1, to=ShapeError),
    c("an empty argmax raises", "argmax", [[], []], axis=1, to=ShapeError),
    c("argmin takes the first of equals", "argmin", [3.0, 1.0, 1.0], axis=0, to=1),
    c("argmin takes the first NaN", "argmin", [1.0, NAN, 0.0, NAN], axis=0, to=1),
    c("argmin of the lowest integer", "argmin", np.array([-127, -128, 127], np.int8), axis=0, to=1),
    c("an empty argmin raises", "argmin", [[], []], axis=1, to=ShapeError),
    c("an empty product is 1", "prod", [[], []], axis=1, to=[1, 1]),
    c("prod's gradient with one zero", "prod", [2.0, 0.0, 4.0], by=0, axis=0, to=[0, 8, 0]),
    c("prod's gradient with two zeros", "prod", [0.0, 3.0, 0.0], by=0, axis=0, to=[0, 0, 0]),
    c("int8 is multiplied in 32 bits", "prod", np.array([100, 100], np.int8), axis=0, to=10000),
    c("integers wrap around", "prod", np.array([2**16, 2**16, 3], np.int32), axis=0, to=0),
    c("any of nothing is false, NaN is true", "any", [[], []], axis=1, to=[0, 0]),
    c("any: NaN is true, zeros are false", "any", [[NAN, 0.0], [-0.0, 0.0]], axis=1, to=[1, 0]),
    c("all of nothing is true", "all", [[], []], axis=1, to=[1, 1]),
    c("all: NaN is true, zeros are false", "all", [[NAN, 1.0], [-0.0, 1.0]], axis=1, to=[1, 0]),
    c("NaN isn't 0", "count_nonzero", [NAN, 0.0, -0.0, 2.0], axis=0, to=2),
    c("std'(a constant) is 0", "std", [2.0, 2.0, 2.0], by=0, axis=0, to=[0, 0, 0]),
    c("an empty std is NaN", "std", [[], []], axis=1, to=[NAN, NAN]),
    c("norm'(0) is 0", "norm", [0.0, -0.0], by=0, axis=0, to=[0, 0]),
    *(c(f"norm'(0) is 0, ord={p}", "norm", [0.0, 0.0], by=0, ord=p, axis=0, to=[0, 0])
      for p in (1.0, 3.0, 0.5, INF, -INF, 0.0)),
    c("the norm of order 1 turns at 0 as abs does", "norm", [0.0, -3.0, 2.0], by=0, ord=1.0, axis=0,
      to=[0, -1, 1]),
    c("the largest |x| share the gradient", "norm", [2.0, -2.0, 1.0], by=0, ord=INF, axis=0,
      to=[0.5, -0.5, 0]),
    c("the norm of nothing is 0", "norm", [[], []], axis=1, to=[0, 0]),
    c("the largest of nothing raises", "norm", [[], []], ord=INF, axis=1, to=ShapeError),
    c("logsumexp of nothing is -inf", "logsumexp", [[], []], axis=1, to=[-INF, -INF]),
    c("logsumexp of infinities", "logsumexp", [[-INF, -INF], [INF, 1.0], [1.0, NAN]], axis=1,
      to=[-INF, INF, NAN]),
    c("logsumexp doesn't overflow", "logsumexp", [1e4, -INF], axis=0, to=1e4),
    c("logsumexp's gradient of all -inf is 0", "logsumexp", [-INF, -INF], by=0, axis=0, to=[0, 0]),
    c("var divides by n", "var", [1.0, 3.0], axis=0, to=1),
    c("int8 is summed in 32 bits", "sum", np.array([100, 100], np.int8), axis=0, to=200),
    c("no degrees of freedom left is inf", "var", [1.0, 2.0], axis=0, correction=3, to=INF),
    c("no degrees of freedom, no spread: NaN", "var", [2.0, 2.0], axis=0, correction=2, to=NAN),
    c("logsumexp's gradient beside inf", "logsumexp", [1.0, INF], by=0, axis=0, to=[0, NAN]),
    c("norm'(x) is 0 where a negative ord meets a zero", "norm", [0.0, 3.0], by=0, axis=0,
      ord=-1.5, to=[0, 0]),
)
# fmt: on
