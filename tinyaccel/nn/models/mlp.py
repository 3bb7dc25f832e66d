"""A network without convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinyaccel.errors import ArgumentError
from tinyaccel.nn.activations import ReLU
from tinyaccel.nn.containers import Sequential
from tinyaccel.nn.linear import Flatten, Linear
from tinyaccel.nn.models.registry import register_model
from tinyaccel.nn.settings import positive


@register_model((1, 28, 28))
def mlp(
    input_shape: Sequence[int] = (1, 28, 28), classes: int = 10, *, hidden: int = 128
) -> Sequential:
    """flatten - linear (hidden units) - relu - linear; samples of any shape.

    For 28x28 images and 10 classes: 101,770 weights. Raises `ArgumentError` for a size below 1.
    """
    positive("mlp", classes=classes, hidden=hidden)
    if not input_shape or min(input_shape) < 1:
        raise ArgumentError(
            f"mlp: input_shape={tuple(input_shape)}; expected the shape of one sample, without the "
            "batch: at least one axis, no empty ones"
        )
    inputs = math.prod(input_shape)
    return Sequential(Flatten(), Linear(inputs, hidden), ReLU(), Linear(hidden, classes))
