"""Conventions of reductions: ties, NaN, and nothing at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyaccel.errors import ShapeError
from tinyaccel.testing.conventions.common import NAN, Convention, c

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
    c("var divides by n", "var", [1.0, 3.0], axis=0, to=1),
    c("int8 is summed in 32 bits", "sum", np.array([100, 100], np.int8), axis=0, to=200),
)
# fmt: on
