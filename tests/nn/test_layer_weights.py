"""What layers start with: the spread of their weights, and an embedding's row of padding."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn

UNIFORM = [
    (lambda: nn.Conv1d(12, 64, 5, groups=2), 30),
    (lambda: nn.ConvTranspose1d(32, 48, 3, groups=2), 72),
    (lambda: nn.ConvTranspose2d(8, 24, (3, 4)), 288),
]


@pytest.mark.parametrize(("make", "fan_in"), UNIFORM, ids=["conv1d", "transpose1d", "transpose2d"])
def test_convolutions_fill_their_bounds(make: Callable[[], nn.Module], fan_in: int) -> None:
    """Weights and biases are from U(-b, b), b = 1/sqrt(fan_in), and come near both ends.

    fan_in is PyTorch's: the size of all axes of the weight but the first.
    """
    ta.manual_seed(0)
    layer = make()
    assert math.prod(layer.state_dict()["weight"].shape[1:]) == fan_in
    for p in layer.parameters():
        values, b = p.numpy(), 1 / math.sqrt(fan_in)
        assert -b <= values.min() < -b * (1 - 10 / p.size)
        assert b * (1 - 10 / p.size) < values.max() <= b


def test_embeddings_are_normal() -> None:
    """A table of 5000 numbers has mean 0 and variance 1, to four deviations of each."""
    ta.manual_seed(0)
    values = nn.Embedding(500, 10).weight.numpy().astype(np.float64)
    assert abs(values.mean()) < 4 / math.sqrt(5000)
    assert abs(values.var() - 1) < 4 * math.sqrt(2 / 5000)


@pytest.mark.parametrize("padding_idx", [0, 2, -1])
def test_padding_is_nothing(padding_idx: int) -> None:
    """The row of padding starts as 0 and stays what it is in training; the others move."""
    layer = nn.Embedding(4, 3, padding_idx=padding_idx)
    before = layer.weight.numpy().copy()
    assert (before[padding_idx] == 0).all()
    assert (np.delete(before, padding_idx, axis=0) != 0).all()
    optimizer = ta.optim.SGD(layer.parameters(), lr=0.1)
    layer(ta.tensor([0, 1, 2, 3])).sum().backward()
    optimizer.step()
    moved = (layer.weight.numpy() != before).any(axis=1)
    assert moved.tolist() == [i != padding_idx % 4 for i in range(4)]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "uint32"])
def test_embeddings_take_integers(dtype: str) -> None:
    """Indices of every kind of integer name the same rows, also of a table longer than int8."""
    layer = nn.Embedding(300, 2)
    rows = layer(ta.tensor([3, 120], dtype=dtype))
    np.testing.assert_array_equal(rows.numpy(), layer.weight.numpy()[[3, 120]])
