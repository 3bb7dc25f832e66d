"""What the tests of layers share: a layer run here, and the same one run in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta

Arrays = dict[str, np.ndarray]


def ours(layer: ta.nn.Module, inputs: tuple[np.ndarray, ...], g: np.ndarray | None) -> Arrays:
    """A layer's result, and the gradients of sum(result * g) for floats and parameters."""
    xs = [ta.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    y = layer(*xs)
    result = {"y": y.numpy()}
    if y.requires_grad:
        y.backward(ta.tensor(np.ones(y.shape) if g is None else g, dtype=y.dtype))
        result |= {f"x{i}": x.grad.numpy() for i, x in enumerate(xs) if x.grad is not None}
        for name, p in layer.named_parameters():
            assert p.grad is not None
            result[name] = p.grad.numpy()
    return result | {name: b.numpy() for name, b in layer.named_buffers()}


def theirs(layer: Any, inputs: tuple[np.ndarray, ...], g: np.ndarray | None) -> Arrays:
    """The same in PyTorch."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    xs = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    y = layer(*xs)
    result = {"y": y.detach().numpy()}
    if y.requires_grad:
        y.backward(torch.ones_like(y) if g is None else torch.tensor(g, dtype=y.dtype))
        result |= {f"x{i}": x.grad.numpy() for i, x in enumerate(xs) if x.grad is not None}
        result |= {name: p.grad.numpy() for name, p in layer.named_parameters()}
        layer.zero_grad()
    return result | {name: b.numpy().copy() for name, b in layer.named_buffers()}


@pytest.fixture
def run_ours() -> Callable[..., Arrays]:
    return ours


@pytest.fixture
def run_theirs() -> Callable[..., Arrays]:
    return theirs
