"""Activations and losses as layers: PyTorch's layers of the same name and settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.errors import ArgumentError
from tinyaccel.nn import activations, losses

Outcome = dict[str, np.ndarray]
ACTIVATIONS: list[tuple[str, dict[str, Any], str]] = [
    ("ELU", {}, "alpha=1.0"),
    ("ELU", {"alpha": 0.5}, "alpha=0.5"),
    ("GELU", {"approximate": "tanh"}, "approximate='tanh'"),
    ("Hardsigmoid", {}, ""),
    ("Hardswish", {}, ""),
    ("Hardtanh", {"min_val": -0.5, "max_val": 0.25}, "min_val=-0.5, max_val=0.25"),
    ("LeakyReLU", {"negative_slope": 0.2}, "negative_slope=0.2"),
    ("LogSigmoid", {}, ""),
    ("Mish", {}, ""),
    ("ReLU6", {}, ""),
    ("SELU", {}, ""),
    ("SiLU", {}, ""),
    ("Softplus", {"beta": 2.0}, "beta=2.0"),
]
WEIGHT = np.array([0.5, 2.0, 1.0, 0.25, 3.0])
LOSSES: list[tuple[str, dict[str, Any], str]] = [
    ("BCELoss", {"reduction": "sum"}, "reduction='sum'"),
    ("BCELoss", {"weight": WEIGHT}, ""),
    ("BCEWithLogitsLoss", {"weight": WEIGHT, "pos_weight": 2 * WEIGHT}, ""),
    ("BCEWithLogitsLoss", {"pos_weight": WEIGHT, "reduction": "none"}, "reduction='none'"),
    ("CrossEntropyLoss", {"weight": WEIGHT, "label_smoothing": 0.1}, "label_smoothing=0.1"),
    ("CrossEntropyLoss", {"ignore_index": 0}, "ignore_index=0"),
    ("HuberLoss", {"delta": 0.25}, "delta=0.25"),
    ("HuberLoss", {"reduction": "sum"}, "reduction='sum'"),
    ("KLDivLoss", {"reduction": "batchmean"}, "reduction='batchmean'"),
    ("KLDivLoss", {"reduction": "sum", "log_target": True}, "reduction='sum', log_target=True"),
    ("L1Loss", {"reduction": "none"}, "reduction='none'"),
    ("MSELoss", {}, ""),
    ("NLLLoss", {"weight": WEIGHT, "ignore_index": 2}, "ignore_index=2"),
    ("NLLLoss", {"reduction": "sum"}, "reduction='sum'"),
    ("SmoothL1Loss", {"beta": 0.25}, "beta=0.25"),
]


def _names(cases: list[tuple[str, dict[str, Any], str]]) -> set[str]:
    return {name for name, _, _ in cases}


def test_every_layer_is_here() -> None:
    """A layer of these two files is exported, and is in one of the tables, or in test_layers'."""
    elsewhere = {"Identity", "ReLU", "Sigmoid", "Tanh", "Softmax", "LogSoftmax"}
    for room in (activations, losses):
        found = {
            name
            for name, member in inspect.getmembers(room, inspect.isclass)
            if member.__module__ == room.__name__ and not name.startswith("_")
        }
        assert found <= set(nn.__all__)
        assert found <= _names(ACTIVATIONS) | _names(LOSSES) | elsewhere


def _agree(got: Outcome, truth: Outcome) -> None:
    assert got.keys() >= {"y", "x0"}
    for name in ("y", "x0"):
        np.testing.assert_allclose(got[name], truth[name], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize(("name", "options", "shown"), ACTIVATIONS, ids=str)
def test_activations(
    name: str, options: dict[str, Any], shown: str, rng: np.random.Generator,
    run_ours: Callable[..., Outcome], run_theirs: Callable[..., Outcome],
) -> None:  # fmt: skip
    """Value, gradient, and what is printed of the settings."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    x, g = rng.normal(size=(2, 6, 5)) * 3
    layer = getattr(nn, name)(**options)
    _agree(run_ours(layer, (x,), g), run_theirs(getattr(torch.nn, name)(**options), (x,), g))
    assert str(layer) == f"{name}({shown})"


@pytest.mark.parametrize(("name", "options", "shown"), LOSSES, ids=lambda v: str(v)[:40])
def test_losses(
    name: str, options: dict[str, Any], shown: str, rng: np.random.Generator,
    run_ours: Callable[..., Outcome], run_theirs: Callable[..., Outcome],
) -> None:  # fmt: skip
    """Value, gradient, what is printed, and weights that are buffers with PyTorch's names."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    x, y = rng.normal(size=(6, 5)), rng.random((6, 5))
    if name in ("CrossEntropyLoss", "NLLLoss"):
        y = np.array([0, 1, 2, 3, 4, 0])
    if name == "BCELoss":
        x = 1 / (1 + np.exp(-x))
    arrays = {k: v for k, v in options.items() if isinstance(v, np.ndarray)}
    layer = getattr(nn, name)(**options | {k: ta.tensor(v) for k, v in arrays.items()})
    other = getattr(torch.nn, name)(**options | {k: torch.tensor(v) for k, v in arrays.items()})
    shape = () if options.get("reduction") != "none" else y.shape
    g = rng.normal(size=shape)
    _agree(run_ours(layer, (x, y), g), run_theirs(other, (x, y), g))
    assert layer.extra_repr() == shown
    assert layer.state_dict().keys() == arrays.keys()


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


@pytest.mark.parametrize("name", sorted(_names(LOSSES)))
def test_unknown_reduction(name: str) -> None:
    """Every loss refuses an unknown reduction by its own name, before it is called."""
    with pytest.raises(ArgumentError, match=f'^{name}: reduction=\'avg\'; expected "mean", "sum"'):
        getattr(nn, name)(reduction="avg")
    with pytest.raises(ArgumentError, match=r"^GELU: approximate='erf'; expected"):
        nn.GELU("erf")
