"""Accuracy: what counts as right."""

from __future__ import annotations

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.errors import ShapeError
from tinyaccel.train import accuracy, count_correct


def test_against_numpy(device: str, rng: np.random.Generator) -> None:
    """The count and the share are NumPy's, on every device, eager and jitted."""
    logits, labels = rng.normal(size=(200, 5)).astype(np.float32), rng.integers(0, 5, 200)
    x, y = ta.tensor(logits, device=device), ta.tensor(labels.astype(np.int32), device=device)
    right = int((logits.argmax(1) == labels).sum())
    for run in (count_correct, ta.jit(count_correct)):
        assert run(x, y).item() == right
    assert accuracy(x, y).item() == np.float32(right / 200)


def test_ties_go_to_the_first() -> None:
    """A row of equal logits answers class 0, so a model that knows nothing isn't always right."""
    logits = ta.zeros((2, 3))
    assert count_correct(logits, ta.tensor([0, 1])).item() == 1


def test_shapes_that_do_not_fit() -> None:
    """Labels that would broadcast are refused, as is a mean over nothing."""
    with pytest.raises(ShapeError, match=r"count_correct: logits \(2, 3\) and labels \(1,\); exp"):
        count_correct(ta.zeros((2, 3)), ta.tensor([0]))
    with pytest.raises(ShapeError, match=r"accuracy: logits \(0, 3\); expected at least one row"):
        accuracy(ta.zeros((0, 3)), ta.zeros((0,), dtype=ta.int32))
