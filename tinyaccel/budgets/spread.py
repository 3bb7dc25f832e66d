"""How far rounding spreads through a whole program: the same walk, with every step disturbed.

`bounds` adds up the worst that each step may do. For one op, or a handful, that is what to hold a
backend to; through a training step it comes out thousands of times too wide, because rounding
errors mostly cancel. Here the program is run several times in higher precision, each result moved
by a random part of what its op is allowed, and what the outputs do is measured. Whatever makes
errors grow, shrink or flip a comparison is in it by itself.
D. S. Parker, "Monte Carlo Arithmetic", UCLA CSD-970002, 1997.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyaccel.budgets.values import Array, Bounded, Errors
from tinyaccel.budgets.walk import bounds, walk
from tinyaccel.dtypes import DType
from tinyaccel.graph import Graph

SAMPLES = 8
# Permitted: this many times the root mean square of what was seen. A sum of many small errors
# leaves 4 standard deviations once in 16,000 times; 8 samples may be a third short of the true one.
FACTOR = 6.0


def spread(
    graph: Graph, inputs: Sequence[Array], *, samples: int = SAMPLES, seed: int = 0
) -> list[Bounded]:
    """For each output of `graph`, its exact value and how far rounding will take it.

    As `bounds`, and never more than that; but the steps' errors are taken as independent, not as
    all in the worst direction. The same arguments give the same answer.
    """
    exact = bounds(graph, inputs)
    rng = np.random.default_rng(seed)

    def disturbed(result: Bounded, dtype: DType) -> Bounded:
        if result.value.dtype.kind != "f":
            return _still(result)
        known = np.isfinite(result.error)
        moved = np.where(known, result.error, np.nan) * rng.uniform(-1, 1, known.shape)
        # Rounded, because two numbers that are nearly equal often are equal once they are.
        rounded = (result.value + moved).astype(dtype.numpy).astype(result.value.dtype)
        return _still(Bounded(rounded, result.error))

    runs = [walk(graph, inputs, disturbed) for _ in range(samples)]
    return [
        Bounded(value, np.minimum(worst, FACTOR * _size([run[k].value for run in runs], value)))
        for k, (value, worst) in enumerate(exact)
    ]


def _still(result: Bounded) -> Bounded:
    return Bounded(result.value, np.zeros(result.value.shape))


def _size(runs: Sequence[Array], value: Array) -> Errors:
    """The root mean square of the deviations; inf where one is infinite, or only one is NaN."""
    squares, moved = np.zeros(value.shape), np.zeros(value.shape, dtype=bool)
    with np.errstate(all="ignore"):
        for run in runs:
            same = (run == value) | ((run != run) & (value != value))
            apart = np.where(same, 0.0, (run.astype(np.float64) - value.astype(np.float64)) ** 2)
            squares += np.where(np.isnan(apart), np.inf, apart)
            moved |= ~same
    # Numbers that differ may be too close for float64 to say so.
    return np.maximum(np.sqrt(squares / len(runs)), np.where(moved, np.finfo(np.float64).tiny, 0))
