"""The small networks: their sizes, what they take, and that they learn, eagerly and jitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.errors import ArgumentError

# Counted by PyTorch on the same layers.
SIZES = {"mlp": 101_770, "mnist_cnn": 93_322, "cifar_net": 62_006, "digits_cnn": 151_306}


def test_every_model_is_counted() -> None:
    """The table of sizes above covers the registry."""
    assert nn.MODELS.keys() == nn.INPUT_SHAPES.keys() == SIZES.keys()


@pytest.mark.parametrize("name", sorted(SIZES))
def test_sizes(name: str) -> None:
    """Each model has its number of weights and turns its input shape into 10 classes."""
    model = nn.make_model(name)
    assert sum(p.size for p in model.parameters()) == SIZES[name]
    assert model(ta.zeros((2, *nn.INPUT_SHAPES[name]))).shape == (2, 10)


@pytest.mark.parametrize("name", sorted(SIZES))
def test_a_jitted_training_step_is_the_eager_one(
    name: str, device: str, rng: np.random.Generator
) -> None:
    """Three whole steps, jitted on a device, follow three eager ones on the CPU.

    They start from the same state and see the same masks. Losses agree to the rounding of the
    sums behind them (4 sqrt(1024) eps of about 2.3, three steps). SGD is used, since Adam would
    turn a gradient near 0 into a step of size lr, with a random sign.
    """
    x = rng.random((8, *nn.INPUT_SHAPES[name])).astype(np.float32)
    y = rng.integers(0, 10, 8).astype(np.int32)
    losses: list[list[Any]] = []
    states = []
    for where in ("cpu", device):
        ta.manual_seed(0)
        model = nn.make_model(name).to(where)
        loss_fn, opt = nn.CrossEntropyLoss(), ta.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(
            x: ta.Tensor,
            y: ta.Tensor,
            model: nn.Module = model,
            opt: ta.optim.Optimizer = opt,
            loss_fn: nn.Module = loss_fn,
        ) -> ta.Tensor:
            opt.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            opt.step()
            return loss

        run = step if not losses else ta.jit(step)
        batch = ta.tensor(x, device=where), ta.tensor(y, device=where)
        losses.append([run(*batch).item() for _ in range(3)])
        states.append(model.state_dict())
    assert run.traces == 1  # type: ignore[attr-defined]
    np.testing.assert_allclose(losses[1], losses[0], atol=4 * 32 * 1.2e-7 * 2.3)
    assert losses[0][2] < losses[0][0]
    for key, value in states[0].items():
        np.testing.assert_allclose(states[1][key], value, atol=1e-5, err_msg=key)


def test_options_and_unknown_names() -> None:
    """A model takes its function's options; an unknown name lists those known."""
    assert nn.make_model("mlp", in_features=64, hidden=5, classes=3)(
        ta.zeros((1, 1, 8, 8))
    ).shape == (1, 3)
    with pytest.raises(ArgumentError, match=r"model 'resnet' is unknown; expected one of cifar_net "
                       r"\(3, 32, 32\), digits_cnn \(1, 8, 8\), mlp .*, mnist_cnn"):  # fmt: skip
        nn.make_model("resnet")


def test_registering_a_model() -> None:
    """A model of one's own is found by name like the others."""

    def tiny() -> nn.Module:
        return nn.Linear(2, 1)

    try:
        nn.register_model((2,))(tiny)
        assert nn.make_model("tiny")(ta.zeros((1, 2))).shape == (1, 1)
        assert nn.INPUT_SHAPES["tiny"] == (2,)
    finally:
        del nn.MODELS["tiny"], nn.INPUT_SHAPES["tiny"]
