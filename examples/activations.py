"""Activations: ReLU, sigmoid, tanh and softmax, and their gradients; with --out, as a picture.

    python examples/activations.py [--device cpu] [--out activations.png]

    ReLU      max(x, 0)              gradient  1 for x > 0, else 0
    sigmoid   s = 1 / (1 + e**-x)    gradient  s (1 - s)
    tanh      t                      gradient  1 - t**2
    softmax   p_i = e**x_i / sum_j e**x_j
                                     gradient  dp_i/dx_j = p_i ((1 if i = j else 0) - p_j)

The first three take each number by itself. Softmax turns all of them together into probabilities:
each output depends on each input, so its gradient is a matrix, the Jacobian.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

import tinyaccel as ta

Array = npt.NDArray[np.float64]
Curve = tuple[Array, Array]  # values and gradients along x


def along(function: Callable[[ta.Tensor], ta.Tensor], x: Array) -> Curve:
    """function(x) and its slope at each x.

    One backward pass finds all slopes: in the sum of the values each value depends only on its x.
    """
    inputs = ta.tensor(x, requires_grad=True)
    values = function(inputs)
    values.sum().backward()
    assert inputs.grad is not None
    return values.numpy(), inputs.grad.numpy()


def softmax_along(x: Array) -> tuple[Array, Array]:
    """p and its Jacobian for the logits (x, 0, 1): the probability of three classes."""
    logits = ta.tensor([x.item(), 0.0, 1.0], dtype="float64")
    return ta.softmax(logits).numpy(), ta.jacobian(ta.softmax, logits).numpy()


def draw(x: Array, curves: dict[str, Curve], p: Array, jacobians: Array, path: str) -> None:
    """Each function solid, its gradient dashed."""
    import matplotlib as mpl

    mpl.use("Agg")  # no window: this also works where there is no screen
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(16, 4), layout="constrained")
    for ax, (name, (values, slopes)) in zip(axes, curves.items(), strict=False):
        ax.plot(x, values, label=name)
        ax.plot(x, slopes, "--", label="gradient")
        ax.set(title=name, xlabel="x")
    for i in range(3):
        (line,) = axes[3].plot(x, p[:, i], label=f"$p_{i}$")
        axes[3].plot(x, jacobians[:, i, 0], "--", color=line.get_color(), label=f"$dp_{i}/dx_0$")
    axes[3].set(title="softmax of (x, 0, 1)", xlabel="$x = x_0$")
    axes[3].set_ylim(-0.3, 1.5)  # room for six names
    for ax, columns in zip(axes, (1, 1, 1, 3), strict=True):
        ax.grid(alpha=0.3)
        ax.legend(ncols=columns, loc="upper left")
    figure.savefig(path, dpi=120)
    print(f"Picture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description="ReLU, sigmoid, tanh, softmax and gradients.")
    parser.add_argument("--device", default="cpu", help="cpu, xla:cpu, cuda, cuda-sim, auto")
    parser.add_argument("--out", metavar="PNG", help="write the curves to this file")
    args = parser.parse_args()

    x = np.linspace(-6, 6, 121)
    x[60] = 0.0  # exactly: ReLU has its corner here
    with ta.default_device(args.device):
        curves = {"ReLU": along(ta.relu, x), "sigmoid": along(ta.sigmoid, x),
                  "tanh": along(ta.tanh, x)}  # fmt: skip
        pairs = [softmax_along(point) for point in x]
    p, jacobians = np.stack([a for a, _ in pairs]), np.stack([b for _, b in pairs])

    # The formulas, in NumPy, beside what the tape found.
    s, t = 1 / (1 + np.exp(-x)), np.tanh(x)
    by_formula = {
        "ReLU": (np.maximum(x, 0), np.where(x > 0, 1.0, 0.0)),
        "sigmoid": (s, s * (1 - s)),
        "tanh": (t, 1 - t**2),
    }
    print("function      at -2      at 0      at 2     gradient at -2      at 0      at 2")
    for name, (values, slopes) in curves.items():
        np.testing.assert_allclose(values, by_formula[name][0], rtol=1e-10)
        np.testing.assert_allclose(slopes, by_formula[name][1], rtol=1e-8, atol=1e-14)
        shown = "  ".join(f"{v:8.5f}" for v in values[[40, 60, 80]])
        steep = "  ".join(f"{v:8.5f}" for v in slopes[[40, 60, 80]])
        print(f"{name:8s}  {shown}           {steep}")
    print("ReLU has no slope at its corner; tinyaccel takes 0 there, on every device.")
    print("sigmoid is steepest at 0, and only 1/4 there: many layers of it make a gradient vanish.")
    assert curves["ReLU"][1][60] == 0
    assert curves["sigmoid"][1].max() == curves["sigmoid"][1][60] == 0.25

    exps = np.exp(np.stack([x, np.zeros_like(x), np.ones_like(x)], axis=1))
    expected = exps / exps.sum(1, keepdims=True)
    jacobian = expected[:, :, None] * (np.eye(3) - expected[:, None, :])
    np.testing.assert_allclose(p, expected, rtol=1e-10)
    np.testing.assert_allclose(jacobians, jacobian, rtol=1e-8, atol=1e-14)
    print(f"softmax of (2, 0, 1) = {p[80].round(5)}, its Jacobian")
    for line in jacobians[80]:
        print("   ", "  ".join(f"{v:8.5f}" for v in line))
    # Probabilities sum to 1 whatever x is, so their changes sum to 0.
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(jacobians.sum(1), 0, atol=1e-12)
    print("Each column sums to 0: what one class gains, the others lose.")

    if args.out:
        draw(x, curves, p, jacobians, args.out)


if __name__ == "__main__":
    main()
