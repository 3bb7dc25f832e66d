"""Losses as layers: weights that move, reductions, and values where formulas have a trap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from layer_cases import LOSSES, WEIGHT

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.errors import ArgumentError


def test_a_weight_follows_its_loss(device: str, rng: np.random.Generator) -> None:
    """Moved to a device and jitted there, a weighted loss is the eager one on the CPU."""
    weight = ta.tensor(WEIGHT, dtype="float32", device="cpu")
    x = ta.tensor(rng.normal(size=(6, 5)), dtype="float32", device="cpu")
    labels = ta.tensor(np.array([0, 1, 2, 3, 4, 0], np.int32), device="cpu")
    expected = nn.CrossEntropyLoss(weight)(x, labels).item()
    loss = nn.CrossEntropyLoss(weight).to(device)
    np.testing.assert_allclose(
        ta.jit(loss)(x.to(device), labels.to(device)).item(), expected, rtol=1e-5
    )


@pytest.mark.parametrize("name", sorted({case.layer for case in LOSSES}))
def test_unknown_reduction(name: str) -> None:
    """Every loss refuses an unknown reduction by its own name, before it is called."""
    with pytest.raises(ArgumentError, match=f'^{name}: reduction=\'avg\'; expected "mean", "sum"'):
        getattr(nn, name)(reduction="avg")


def test_no_nan_where_a_branch_is_not_taken() -> None:
    """Poisson's factorial at a count of 0, and activations at infinity, have finite gradients."""
    t = ta.tensor([0.0, 1.0], requires_grad=True)
    nn.PoissonNLLLoss(full=True, reduction="sum")(ta.zeros(2), t).backward()
    assert t.grad is not None and t.grad.tolist() == [0.0, 0.0]
    for layer in (nn.CELU(), nn.PReLU(), nn.RReLU()):
        x = ta.tensor([math.inf, 1000.0], requires_grad=True)
        layer(x).backward(ta.ones(2))
        assert x.grad is not None and x.grad.tolist() == [1.0, 1.0]
        assert all(p.grad is not None and p.grad.tolist() == [0.0] for p in layer.parameters())


def test_any_distance_of_triplets() -> None:
    """A function measures them, or a module, whose parameters are then the loss's own."""
    a, b, c = (ta.tensor(v) for v in ([[0.0, 0.0]], [[2.0, 1.0]], [[0.0, 1.5]]))
    measured = nn.TripletMarginWithDistanceLoss(distance_function=lambda x, y: abs(x - y).sum(1))
    assert measured(a, b, c).item() == 3 - 1.5 + 1

    class Learnt(nn.Module):
        def __init__(self) -> None:
            self.linear = nn.Linear(2, 1)

        def forward(self, x: ta.Tensor, y: ta.Tensor) -> ta.Tensor:
            return abs(self.linear(x - y)).sum(1)

    names = nn.TripletMarginWithDistanceLoss(distance_function=Learnt()).state_dict().keys()
    assert names == {"distance_function.linear.weight", "distance_function.linear.bias"}


def test_a_vector_without_length() -> None:
    """Its cosine is 0, with a slope that is finite: towards the other vector, over eps."""
    x = ta.tensor([[0.0, 0.0]], dtype="float64", requires_grad=True)
    y = nn.CosineSimilarity(eps=0.5)(x, ta.tensor([[3.0, 4.0]], dtype="float64"))
    y.backward(ta.ones(1, dtype="float64"))
    assert y.tolist() == [0.0]
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), [[0.6 / 0.5, 0.8 / 0.5]], rtol=1e-15)


def test_a_variance_that_is_too_small_can_grow() -> None:
    """Below eps it counts as eps, and its gradient is as there; so PyTorch has it, too."""
    variance = ta.tensor([0.0], dtype="float64", requires_grad=True)
    loss = nn.GaussianNLLLoss(eps=0.25)
    loss(ta.tensor([1.0], dtype="float64"), ta.tensor([0.0], dtype="float64"), variance).backward()
    assert variance.grad is not None
    assert variance.grad.item() == 0.5 * (1 / 0.25 - 1 / 0.25**2)
