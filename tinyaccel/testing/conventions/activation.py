"""Conventions of activations: their kinks, and what they are far out."""

from __future__ import annotations

from collections.abc import Sequence

from tinyaccel.testing.conventions.common import INF, NAN, Convention, c

# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("softmax doesn't overflow", "softmax", [1e4, 1e4, -1e4], axis=0, to=[0.5, 0.5, 0]),
    c("softmax of -inf alone is NaN", "softmax", [-INF, -INF], axis=0, to=[NAN, NAN]),
    c("log_softmax doesn't overflow", "log_softmax", [1e4, -1e4, -INF], axis=0, to=[0, -2e4, -INF]),
    c("leaky_relu'(0) is its slope", "leaky_relu", [-1.0, 0.0, -0.0, 2.0], by=0,
      negative_slope=0.25, to=[0.25, 0.25, 0.25, 1]),
    c("elu'(0) is alpha", "elu", [0.0, -0.0, 2.0], by=0, alpha=2.0, to=[2, 2, 1]),
    c("elu's gradient doesn't overflow", "elu", [1e4, -1e4], by=0, to=[1, 0]),
    c("elu keeps NaN", "elu", [NAN, INF, -INF], to=[NAN, INF, -1]),
    c("hardtanh's bounds stop the gradient", "hardtanh", [-2.0, -1.0, 0.5, 1.0, 2.0], by=0,
      to=[0, 0, 1, 0, 0]),
    c("hardtanh keeps NaN", "hardtanh", [NAN, INF, -INF], to=[NAN, 1, -1]),
    c("relu6'(0) and relu6'(6) are 0", "relu6", [0.0, -0.0, 3.0, 6.0], by=0, to=[0, 0, 1, 0]),
    c("hardsigmoid'(-3) and hardsigmoid'(3) are 0", "hardsigmoid", [-3.0, 3.0], by=0, to=[0, 0]),
    c("hardswish'(-3) is 0, hardswish'(3) is 1", "hardswish", [-3.0, 3.0], by=0, to=[0, 1]),
    c("softplus doesn't overflow", "softplus", [1e4, -1e4, INF, -INF], to=[1e4, 0, INF, 0]),
    c("softplus'(0) is 1/2", "softplus", [0.0, 1e4, -1e4], by=0, to=[0.5, 1, 0]),
    c("log_sigmoid doesn't overflow", "log_sigmoid", [-1e4, -INF], to=[-1e4, -INF]),
    c("gelu doesn't overflow", "gelu", [1e30, -1e30], by=0, to=[1, 0]),
    c("gelu doesn't overflow", "gelu", [1e30, -1e30], by=0, approximate="tanh", to=[1, 0]),
    c("silu doesn't overflow", "silu", [1e4, -1e4], to=[1e4, -0.0]),
    c("mish doesn't overflow", "mish", [1e4, -1e4], to=[1e4, -0.0]),
)
# fmt: on
