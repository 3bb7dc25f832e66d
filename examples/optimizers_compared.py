"""Five optimizers on one problem: SGD, momentum, AdaGrad, RMSProp, Adam; with --out, a picture.

    python examples/optimizers_compared.py [--device cpu] [--out optimizers.png]

The problem is a long narrow valley, f(a, b) = 1/2 (a**2 + 25 b**2), started on its slope: one
direction is 25 times as steep as the other. What the five do differently:

    SGD        theta <- theta - lr g
    momentum   keeps its speed: past gradients count too, each 0.9 times as much as the next
    AdaGrad    divides by the root of the sum of all squared gradients: steps shrink for good
    RMSProp    divides by the root of their running average: it forgets, so steps don't die
    Adam       momentum and RMSProp together, corrected for having started at 0

Each step size is a common choice, not a tuned one; no optimizer is the best on every problem.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

import tinyaccel as ta
from tinyaccel import optim

Array = npt.NDArray[np.float64]

STEPS = 100
CURVATURE = np.array([1.0, 25.0])
START = np.array([-4.0, 1.0])
OPTIMIZERS: dict[str, Callable[[Sequence[ta.Tensor]], optim.Optimizer]] = {
    "SGD": lambda p: optim.SGD(p, lr=0.03),
    "momentum": lambda p: optim.SGD(p, lr=0.03, momentum=0.9),
    "AdaGrad": lambda p: optim.Adagrad(p, lr=0.5),
    "RMSProp": lambda p: optim.RMSprop(p, lr=0.05, alpha=0.99),
    "Adam": lambda p: optim.Adam(p, lr=0.3),
}


def run(make: Callable[[Sequence[ta.Tensor]], optim.Optimizer]) -> tuple[Array, Array]:
    """The loss before each step and after the last, and the path that was taken."""
    theta = ta.tensor(START, requires_grad=True)
    curvature = ta.tensor(CURVATURE)
    optimizer = make([theta])

    def loss_at() -> ta.Tensor:
        return 0.5 * (curvature * theta**2).sum()

    losses, path = [], [theta.numpy()]
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = loss_at()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        path.append(theta.numpy())
    losses.append(loss_at().item())
    return np.array(losses), np.stack(path)


def draw(results: dict[str, tuple[Array, Array]], path: str) -> None:
    """Left: the five losses. Right: the five ways through the valley."""
    import matplotlib as mpl

    mpl.use("Agg")  # no window: this also works where there is no screen
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
    a, b = np.meshgrid(np.linspace(-4.5, 3, 150), np.linspace(-1.5, 1.5, 100))
    height = 0.5 * (CURVATURE[0] * a**2 + CURVATURE[1] * b**2)
    right.contour(a, b, height, levels=np.geomspace(0.05, 35, 12), colors="0.85")
    for name, (losses, points) in results.items():
        left.semilogy(losses, label=name)
        right.plot(points[:, 0], points[:, 1], ".-", markersize=4, linewidth=1, label=name)
    left.set(title="loss", xlabel="step", ylabel="f", ylim=(1e-6, 50))
    right.set(title="path", xlabel="a", ylabel="b")
    left.grid(alpha=0.3)
    left.legend()
    figure.savefig(path, dpi=120)
    print(f"Picture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Five optimizers on one problem.")
    parser.add_argument("--device", default="cpu", help="cpu, xla:cpu, cuda, cuda-sim, auto")
    parser.add_argument("--out", metavar="PNG", help="write the five curves to this file")
    args = parser.parse_args()

    with ta.default_device(args.device):
        results = {name: run(make) for name, make in OPTIMIZERS.items()}

    print("            loss at step 0       10         30        100     first step (a, b)")
    first = {}
    for name, (losses, path) in results.items():
        first[name] = path[1] - path[0]
        shown = "  ".join(f"{losses[step]:9.5f}" for step in (0, 10, 30, STEPS))
        print(f"  {name:9s} {shown}     {first[name].round(4)}")

    # What each formula says of the first step, where no past gradients count yet.
    g = CURVATURE * START
    print("First steps: SGD and momentum go along the gradient; the others as far in a as in b.")
    np.testing.assert_allclose(first["SGD"], -0.03 * g)
    np.testing.assert_allclose(first["momentum"], first["SGD"])
    np.testing.assert_allclose(first["AdaGrad"], -0.5 * np.sign(g))  # g / sqrt(g**2)
    np.testing.assert_allclose(first["RMSProp"], -0.05 / np.sqrt(1 - 0.99) * np.sign(g), rtol=1e-6)
    np.testing.assert_allclose(first["Adam"], -0.3 * np.sign(g), rtol=1e-6)

    # And of the others, what can be known beforehand.
    shrink = (1 - 0.03 * CURVATURE) ** np.arange(STEPS + 1)[:, None]
    np.testing.assert_allclose(results["SGD"][1], START * shrink, rtol=1e-9)
    print("SGD shrinks a by 1 - 0.03 in each step, and b by 1 - 0.75: the flat direction creeps.")
    lengths = np.abs(np.diff(results["AdaGrad"][1][:, 0]))
    assert (np.diff(lengths) < 0).all()
    print(f"AdaGrad's steps in a shrink from first to last: {lengths[0]:.3f} to {lengths[-1]:.3g}.")
    assert all(losses[-1] < losses[0] / 100 for losses, _ in results.values())
    assert results["momentum"][0][-1] < results["SGD"][0][-1]
    print("All five arrive at less than a hundredth of the loss; momentum is ahead of plain SGD.")

    if args.out:
        draw(results, args.out)


if __name__ == "__main__":
    main()
