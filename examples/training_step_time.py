"""How long a training step of the MNIST CNN takes here, beside PyTorch where that is installed.

The network is three 3x3 convolutions (32, 64, 64) and two linear layers, batch 64, Adam, float32.
All ways of running it start from the same weights and see the same data, and the losses are
compared before anything is timed. The ways take turns, so that a busy machine slows them all; what
counts is the ratio, not the milliseconds.

    python examples/training_step_time.py [--device xla:cpu]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

import tinyaccel as ta
from tinyaccel.nn.models import mnist_cnn

Step = Callable[[], float]
Weights = dict[str, npt.NDArray[Any]]


def our_step(weights: Weights, x: Any, y: Any, device: str, jit: bool) -> Step:
    """A step that returns its loss, with tinyaccel."""
    model = mnist_cnn().to(device)
    model.load_state_dict(weights)
    optimizer = ta.optim.Adam(model.parameters(), lr=1e-3)
    images, labels = ta.tensor(x, device=device), ta.tensor(y, device=device)

    def step() -> ta.Tensor:
        optimizer.zero_grad()
        loss = ta.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    run = ta.jit(step) if jit else step
    return lambda: float(run())  # reading the loss waits for the device


def pytorch_step(weights: Weights, x: Any, y: Any) -> Step | None:
    """The same step with PyTorch, eagerly; None without PyTorch."""
    try:
        import torch
    except ImportError:
        return None
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    model.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    images, labels = torch.tensor(x), torch.tensor(y).long()

    def step() -> float:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return float(loss.detach())

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu, xla:cpu, cuda, ...")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15, help="how often each way takes its turn")
    options = parser.parse_args()

    ta.manual_seed(0)
    weights = mnist_cnn().state_dict()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(options.batch_size, 1, 28, 28)).astype(np.float32)
    y = rng.integers(0, 10, options.batch_size).astype(np.int32)
    ways: dict[str, Step | None] = {
        "PyTorch eager": pytorch_step(weights, x, y),
        f"tinyaccel {options.device} eager": our_step(weights, x, y, options.device, jit=False),
        f"tinyaccel {options.device} jitted": our_step(weights, x, y, options.device, jit=True),
    }
    steps = {name: step for name, step in ways.items() if step is not None}

    losses = {name: [step() for _ in range(3)] for name, step in steps.items()}
    first = next(iter(losses.values()))
    for name, found in losses.items():
        assert np.allclose(found, first, rtol=1e-4), f"{name} computes something else: {found}"
    print(f"losses of the first three steps, the same for all: {np.round(first, 4).tolist()}")

    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    reference = next(iter(times))
    for name, seconds in times.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, times[reference], strict=True))
        print(
            f"{name:28} median {1e3 * statistics.median(seconds):7.2f} ms, "
            f"min {1e3 * min(seconds):7.2f} ms, {ratio:5.2f} x {reference}"
        )


if __name__ == "__main__":
    main()
