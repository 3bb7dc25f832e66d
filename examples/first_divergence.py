"""A backend with a bug that training hides, and how `compare` names the op.

    python examples/first_divergence.py [--device cpu]

A kernel that multiplies matrices in tiles of 16 must also add up what is left over where the inner
size is no multiple of 16. Below is a device whose kernel forgets to. A network trains on it all
the same: the loss falls, only not quite as far. `testing.compare_training` runs the same steps on
a right device in lockstep, holds every op to its error budget, and says which one left it first:
the op, the layer, forward or backward, the element, and a few lines that show the bug by itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

import tinyaccel as ta
from tinyaccel import nn, optim, testing
from tinyaccel.backend import register_backend
from tinyaccel_numpy import NumpyBackend

Array = npt.NDArray[Any]
Batch = tuple[ta.Tensor, ta.Tensor]

TILE = 16


def hasty_matmul(a: Array, b: Array, *, precision: str) -> Array:
    """a @ b in tiles of 16, without the last tile if it isn't full."""
    whole = a.shape[-1] // TILE * TILE if a.shape[-1] > TILE else a.shape[-1]
    return np.asarray(np.matmul(a[..., :whole], b[..., :whole, :]))


def careful_matmul(a: Array, b: Array, *, precision: str) -> Array:
    """The same with what is left over."""
    whole = a.shape[-1] // TILE * TILE
    rest = np.matmul(a[..., whole:], b[..., whole:, :])
    return np.asarray(np.matmul(a[..., :whole], b[..., :whole, :]) + rest)


def make_backend(matmul: Callable[..., Array]) -> type[NumpyBackend]:
    """NumPy's backend with another matrix product, as the device "mine"."""

    class Mine(NumpyBackend):
        name = "mine"

        def __init__(self) -> None:
            self.kernels = {k: v for k, v in NumpyBackend.kernels.items() if k != "linear"}
            self.kernels["matmul"] = matmul

        def devices(self) -> list[str]:
            return ["mine"]

    return Mine


def make_batches(count: int) -> list[Batch]:
    """Points in 8 dimensions, and in which of three clouds they lie."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 8))
    batches = []
    for _ in range(count):
        y = rng.integers(0, 3, 32).astype(np.int32)
        x = (centres[y] + 0.7 * rng.normal(size=(32, 8))).astype(np.float32)
        batches.append((ta.tensor(x), ta.tensor(y)))
    return batches


def make_step() -> Callable[..., ta.Tensor]:
    """A network on the default device, and one step of training it."""
    ta.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 24), nn.Tanh(), nn.Linear(24, 3))  # 24 = 16 + 8
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x: ta.Tensor, y: ta.Tensor) -> ta.Tensor:
        optimizer.zero_grad()
        loss = ta.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def train(device: str) -> list[float]:
    """The losses of 40 steps."""
    with ta.default_device(device):
        step = make_step()
        return [step(x, y).item() for x, y in make_batches(40)]


def main() -> None:
    parser = argparse.ArgumentParser(description="The first op at which two backends part ways.")
    parser.add_argument("--device", default="cpu", help="the right one: cpu, xla:cpu, cuda, ...")
    device = parser.parse_args().device

    print("1. Training on a device whose matrix product forgets the last tile")
    register_backend("mine", make_backend(hasty_matmul))
    for name in (device, "mine"):
        losses = train(name)
        print(f"  {name:8} loss {losses[0]:.3f} at first, {losses[-1]:.3f} in the end")
        assert losses[-1] < losses[0] / 2  # it learns: who would look for a bug?

    print("2. The same steps in lockstep")
    with ta.default_device(device):
        found = testing.compare_training(make_step(), make_batches(3), backends=[device, "mine"])
    print(found)
    assert isinstance(found, testing.Divergence)
    # Not the loss, nor the softmax, though both are wrong on this device: the op itself.
    assert (found.op, found.backend, found.step) == ("matmul", "mine", 0)
    assert (found.layer, found.phase) == ("Sequential.2 (Linear)", "forward")

    print("3. With the last tile added up")
    register_backend("mine", make_backend(careful_matmul))
    with ta.default_device(device):
        found = testing.compare_training(make_step(), make_batches(3), backends=[device, "mine"])
    print(found)
    assert found.ok


if __name__ == "__main__":
    main()
