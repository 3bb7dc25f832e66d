"""A problem that is learnt in a second: which quarter of a 4x4 image is bright."""

from __future__ import annotations

import numpy as np

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.data import ArrayDataset


def quarters(n: int, seed: int = 1) -> ArrayDataset:
    """n noisy images of four classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n)
    x = rng.normal(0, 0.5, (n, 1, 4, 4))
    for image, label in zip(x, y, strict=True):
        row, column = divmod(int(label), 2)
        image[0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] += 1.0
    return ArrayDataset(x, y, classes=4, name="quarters")


def network(seed: int = 0, dropout: float = 0.1) -> nn.Module:
    """A convolution, batch norm, dropout and a linear layer, with weights from a seed."""
    ta.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Dropout(dropout), nn.Flatten(), nn.Linear(16, 4),
    )  # fmt: skip
