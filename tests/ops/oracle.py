"""PyTorch as the oracle of one op: its value, its gradients, and the gradients of those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta

Array = np.ndarray[Any, Any]


def _ours(function: Callable[..., Any], arrays: Sequence[Array], order: int) -> list[Array]:
    rng = np.random.default_rng(0)
    fixed = [ta.tensor(a) for a in arrays]
    free = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]

    def call(*moving: ta.Tensor) -> tuple[ta.Tensor, ...]:
        given = list(fixed)
        for i, x in zip(free, moving, strict=True):
            given[i] = x
        return (function(*given),)

    def next_order(f: Callable[..., tuple[ta.Tensor, ...]]) -> Callable[..., tuple[Any, ...]]:
        """The gradients of the results, weighted by random numbers that stay the same."""
        seed = int(rng.integers(2**31))

        def total(*moving: ta.Tensor) -> ta.Tensor:
            weights = np.random.default_rng(seed)
            parts = [(y * weights.normal(size=y.shape)).sum() for y in f(*moving)]
            for part in parts[1:]:
                parts[0] = parts[0] + part
            return parts[0]

        return lambda *moving: ta.grad(total, range(len(moving)))(*moving)  # type: ignore[return-value]

    results: list[Array] = []
    f: Callable[..., tuple[Any, ...]] = call
    for _ in range(order + 1):
        results += [y.numpy() for y in f(*[fixed[i] for i in free])]
        f = next_order(f)
    return results


def _theirs(function: Callable[..., Any], arrays: Sequence[Array], order: int) -> list[Array]:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    rng = np.random.default_rng(0)
    xs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    free = [x for x in xs if x.requires_grad]
    current = (function(*xs),)
    results = [y.detach().numpy(force=True) for y in current]
    for left in reversed(range(order)):
        weights = np.random.default_rng(int(rng.integers(2**31)))
        total = sum((y * torch.tensor(weights.normal(size=tuple(y.shape)))).sum() for y in current)
        current = torch.autograd.grad(
            total, free, create_graph=left > 0, allow_unused=True, materialize_grads=True
        )
        results += [y.detach().numpy(force=True) for y in current]
    return results


def agree(
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    *arrays: Array,
    order: int = 2,
    rtol: float = 1e-10,
) -> None:
    """Both functions have the same value and derivatives up to `order`, in float64.

    The gradients are by all inputs of floats, in a random direction of the results. The error may
    be `rtol` of each number, and of the largest one for what cancels.
    """
    names = ["value", "gradient", "second order"]
    free = sum(a.dtype.kind == "f" for a in arrays)
    found, expected = _ours(ours, arrays, order), _theirs(theirs, arrays, order)
    assert len(found) == len(expected) == 1 + order * free
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        finite = np.abs(b[np.isfinite(b)])
        size = 1e-3 * rtol * finite.max(initial=0.0) + 1e-300
        label = names[-(-i // free)]
        np.testing.assert_allclose(a, b, rtol=rtol, atol=size, err_msg=label)
