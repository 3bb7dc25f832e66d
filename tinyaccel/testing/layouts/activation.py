"""Shapes and attributes that activations are tested with."""

from __future__ import annotations

from typing import Any

from tinyaccel.testing.layouts.common import Layout, of

_SOFTMAX = [
    of((2, 5), axis=-1), of((33,), axis=0), of((2, 3, 4), axis=1), of((3, 1), axis=1),
    of((0, 4), axis=1), of((129, 2), axis=0), of((2, 1025), axis=1),
]  # fmt: skip
_SHAPES = ((33,), (2, 3), (), (0,), (129,))


def _with(*attrs: dict[str, Any]) -> list[Layout]:
    """A few shapes, with the attributes given by turns."""
    return [of(s, **attrs[i % len(attrs)]) for i, s in enumerate(_SHAPES)]


LAYOUTS: dict[str, list[Layout]] = {
    "softmax": _SOFTMAX,
    "log_softmax": _SOFTMAX,
    "hardtanh": _with({}, {"min_val": -2.5, "max_val": 0.75}),
    "leaky_relu": _with({}, {"negative_slope": 0.3}),
    "elu": _with({}, {"alpha": 2.5}),
    "gelu": _with({}, {"approximate": "tanh"}),
    "softplus": _with({}, {"beta": 3.0}),
} | {name: _with({}) for name in (
    "relu6", "hardsigmoid", "hardswish", "selu", "log_sigmoid", "silu", "mish",
)}  # fmt: skip
