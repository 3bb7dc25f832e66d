"""Sums on the device: exact enough over long epochs, and untouched by later steps."""

from __future__ import annotations

import math

import numpy as np

import tinyaccel as ta
from tinyaccel.train.totals import Totals


def test_a_long_epoch_costs_no_digits(device: str) -> None:
    """4,000 losses of very different sizes: the mean is right to a few units in the last place.

    A plain float32 sum of these is wrong in the fifth digit.
    """
    rng = np.random.default_rng(0)
    losses = np.float32(rng.uniform(0, 1, 4000) ** 8 + 3e-4)
    losses[0] = 3000.0
    totals = Totals(ta.get_device(device), counts=False)

    @ta.jit
    def add(batch: ta.Tensor) -> None:
        for i in range(40):
            totals.add(batch[i], 1, None)

    for start in range(0, 4000, 40):
        add(ta.tensor(losses[start : start + 40], device=device))
    figures = totals.figures()
    exact = math.fsum(losses.tolist()) / 4000
    assert abs(figures.loss - exact) < 4 * np.finfo(np.float32).eps * exact
    assert abs(float(np.add.accumulate(losses)[-1]) / 4000 - exact) > 1e-6 * exact
    assert figures == (4000, figures.loss, None, None)


def test_a_snapshot_stays(device: str) -> None:
    """What was taken before a step isn't changed by it, nor by a new epoch."""
    totals = Totals(ta.get_device(device), counts=True)
    one = ta.tensor(1.0, device=device)
    right = ta.tensor(3, device=device)
    totals.add(one, 4, right)
    before = totals.snapshot()
    totals.add(one * math.inf, 4, right)
    totals.reset()
    totals.add(one * math.nan, 2, right)
    assert totals.figures(before) == (4, 1.0, 0.75, None)
    now = totals.figures()
    assert (now.samples, now.accuracy, now.first_bad) == (2, 1.5, 2) and math.isnan(now.loss)
