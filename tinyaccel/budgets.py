"""Placeholder until the budgets helper replaces this file: running error analysis on a Graph."""

from collections.abc import Sequence

import numpy as np

from tinyaccel.graph import Graph


def compare(graph: Graph, inputs: Sequence[np.ndarray], got: Sequence[np.ndarray],
            expected: Sequence[np.ndarray], names: Sequence[str]) -> None:
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)
