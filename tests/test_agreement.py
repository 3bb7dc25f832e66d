"""The same training on two backends, eager and jitted, held together step by step.

Free-running curves drift apart, so each step starts all four ways from the same state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

import tinyaccel as ta
from tinyaccel import budgets, nn

Array: TypeAlias = npt.NDArray[np.float32]
Labels: TypeAlias = npt.NDArray[np.int32]
State: TypeAlias = tuple[dict[str, npt.NDArray], dict[str, npt.NDArray], npt.NDArray]  # type: ignore[type-arg]  # of many dtypes
Step: TypeAlias = Callable[[ta.Tensor, ta.Tensor], list[ta.Tensor]]
STEPS, BATCH = 20, 16


def network() -> nn.Module:
    """Every kind of layer that a small CNN has."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.GELU(), nn.AvgPool2d(2, stride=1),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 10),
    )  # fmt: skip


class Trainer:
    """A model and its optimizer on a device, and one step of training that returns what it did."""

    def __init__(self, device: str) -> None:
        ta.manual_seed(7)
        self.device = device
        self.model = network().to(device)
        self.parameters = list(self.model.parameters())
        self.optimizer = ta.optim.Adam(self.parameters, lr=1e-2)
        self.random = ta.random.default_generator(device).state

    def gradients(self, x: ta.Tensor, y: ta.Tensor) -> list[ta.Tensor]:
        self.optimizer.zero_grad()
        loss = ta.cross_entropy(self.model(x), y)
        loss.backward()
        return [loss.detach(), *(p.grad for p in self.parameters if p.grad is not None)]

    def step(self, x: ta.Tensor, y: ta.Tensor) -> list[ta.Tensor]:
        out = self.gradients(x, y)
        self.optimizer.step()
        return out

    def state(self) -> State:
        """All that a step reads and changes, on the host."""
        return self.model.state_dict(), self.optimizer.state_dict(), self.random.numpy()

    def restore(self, state: State) -> None:
        self.model.load_state_dict(state[0])
        self.optimizer.load_state_dict(state[1])
        self.random.assign(state[2])
        for p in self.parameters:
            p.grad = None

    def run(self, step: Step, state: State, x: Array, y: Labels) -> list[Array]:
        """What one step from `state` returns."""
        self.restore(state)
        out = step(ta.tensor(x, device=self.device), ta.tensor(y, device=self.device))
        return [t.numpy() for t in out]

    def permitted(self, state: State, x: Array, y: Labels) -> list[budgets.Bounded]:
        """The exact loss and gradients of a step from `state`, and how far off each may be."""
        self.restore(state)
        jitted = ta.jit(self.gradients)
        args = [ta.tensor(x), ta.tensor(y)]
        jitted(*args)
        self.restore(state)
        compiled = jitted._latest()
        return budgets.spread(
            replace(compiled.graph, outputs=compiled.graph.outputs[: 1 + len(self.parameters)]),
            compiled.read(args),
        )


@pytest.fixture(scope="module")
def digits() -> tuple[Array, Labels]:
    rng = np.random.default_rng(11)
    x = rng.normal(size=(STEPS, BATCH, 1, 8, 8)).astype(np.float32)
    return x, rng.integers(0, 10, (STEPS, BATCH)).astype(np.int32)


def test_losses_and_gradients_agree_at_each_of_twenty_steps(
    digits: tuple[Array, Labels],
) -> None:
    """From the same state, cpu and xla:cpu, eager and jitted, agree within the graph's budget."""
    pytest.importorskip("jax", reason="the XLA backend needs JAX")
    trainers = {device: Trainer(device) for device in ("cpu", "xla:cpu")}
    leader = trainers["cpu"]
    jitted = {device: ta.jit(t.step) for device, t in trainers.items()}
    units: list[float] = []
    for x, y in zip(*digits, strict=True):
        state = leader.state()
        permitted = leader.permitted(state, x, y)
        for device, trainer in trainers.items():
            for mode, step in (("jitted", jitted[device]), ("eager", trainer.step)):
                for k, got in enumerate(trainer.run(step, state, x, y)):
                    worst = budgets.measure(got, permitted[k].value, permitted[k].error, k)
                    assert worst.ok, f"{device} {mode}, result {k}: {worst}"
                    units.append(worst.units)
        leader.run(jitted["cpu"], state, x, y)  # and on to the next
    assert len(units) == STEPS * 4 * (1 + len(leader.parameters))
    assert [f.traces for f in jitted.values()] == [1, 1]
    assert max(units) > 0.001, "a budget so wide that it can't be left is none"


@pytest.mark.parametrize("device", ["cpu", "xla:cpu", "cuda-sim"])
def test_initial_weights_and_masks_are_the_same_bits(device: str) -> None:
    """Weights from a seed, and the masks that dropout draws, are identical on every device."""
    if device == "xla:cpu":
        pytest.importorskip("jax", reason="the XLA backend needs JAX")
    reference, other = Trainer("cpu"), Trainer(device)
    ta.manual_seed(3)
    for a, b in zip(reference.parameters, other.parameters, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    masks = [(nn.Dropout(0.4)(ta.ones((64, 33), device=d)) != 0).numpy() for d in ("cpu", device)]
    if device != "cpu":  # one device has one stream: its second mask is another
        np.testing.assert_array_equal(*masks)
    assert 0.5 < masks[0].mean() < 0.7


def test_a_wrong_gradient_leaves_the_budget(
    digits: tuple[Array, Labels], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison above can fail: tanh's gradient, off by 1 in 10,000, is noticed."""
    trainer = Trainer("cpu")
    x, y = digits[0][0], digits[1][0]
    state = trainer.state()
    permitted = trainer.permitted(state, x, y)
    right = ta.OPS["tanh"]
    wrong = replace(right, vjp=(lambda g, out, x: g * (1.0001 - out * out),))
    verdicts = {}
    for name, op in (("right", right), ("wrong", wrong)):
        monkeypatch.setitem(ta.OPS, "tanh", op)
        outputs = trainer.run(trainer.step, state, x, y)
        verdicts[name] = [
            budgets.measure(got, bounded.value, bounded.error).ok
            for got, bounded in zip(outputs, permitted, strict=True)
        ]
    assert all(verdicts["right"])
    assert verdicts["wrong"][0], "the loss doesn't depend on a gradient"
    assert not all(verdicts["wrong"])
