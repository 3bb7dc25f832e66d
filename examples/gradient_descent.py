"""Gradient descent: fit a straight line to points, first by hand, then with autograd.

    python examples/gradient_descent.py [--device cpu]

The model is h = X theta, with a row of X for each of m points. theta, h and y are columns. How bad
it is, is measured by

    MSE(theta) = 1/m    sum_i (h_i - y_i)**2      with gradient   2/m X^T (X theta - y)
    J(theta)   = 1/(2m) sum_i (h_i - y_i)**2      with gradient   1/m X^T (X theta - y)

One is twice the other. Texts often print J beside the gradient of MSE: both lead downhill along
the same line, but it is MSE that is descended with the step size that they name, and J with twice
that step size. So does this lesson: it follows the gradient of MSE, and keeps a history of J.
"""

from __future__ import annotations

import argparse
from itertools import pairwise

import numpy as np

import tinyaccel as ta

STEPS = 40
STEP_SIZE = 0.4


def mse(theta: ta.Tensor, X: ta.Tensor, y: ta.Tensor) -> ta.Tensor:  # noqa: N803  # a matrix
    return ((X @ theta - y) ** 2).mean()


def half_mse(theta: ta.Tensor, X: ta.Tensor, y: ta.Tensor) -> ta.Tensor:  # noqa: N803
    """J, written as it is printed: 1/(2m) times the sum of squares."""
    return ((X @ theta - y) ** 2).sum() / (2 * len(y))


def descend_by_hand(X: ta.Tensor, y: ta.Tensor) -> tuple[ta.Tensor, list[float]]:  # noqa: N803
    """The gradient is a formula that somebody derived on paper."""
    m = len(y)
    theta = ta.zeros((2, 1), dtype="float64")
    history = []
    for _ in range(STEPS):
        history.append(half_mse(theta, X, y).item())
        gradient = 2 / m * X.T @ (X @ theta - y)
        theta = theta - STEP_SIZE * gradient
    return theta, [float(j) for j in history]


def descend_with_autograd(X: ta.Tensor, y: ta.Tensor) -> tuple[ta.Tensor, list[float]]:  # noqa: N803
    """The same loop, but the gradient follows from the loss; no formula for it is written."""
    theta = ta.zeros((2, 1), dtype="float64")
    history = []
    for _ in range(STEPS):
        loss, gradient = ta.value_and_grad(mse)(theta, X, y)
        history.append(float(loss.item()) / 2)  # J is half of MSE
        assert isinstance(gradient, ta.Tensor)
        theta = theta - STEP_SIZE * gradient
    return theta, history


def main() -> None:
    parser = argparse.ArgumentParser(description="Gradient descent by hand and with autograd.")
    parser.add_argument("--device", default="cpu", help="cpu, xla:cpu, cuda, cuda-sim, auto")
    args = parser.parse_args()

    # 100 points around the line 4 + 3x. The column of ones in X is what the 4 is multiplied by.
    # float64, so that we can watch J fall to its twelfth digit.
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (100, 1))
    targets = 4 + 3 * x + rng.normal(0, 1, (100, 1))
    matrix = np.concatenate([np.ones((100, 1)), x], axis=1)
    X = ta.tensor(matrix, device=args.device)  # noqa: N806
    y = ta.tensor(targets, device=args.device)

    with ta.default_device(args.device):
        print("1. The gradient at theta = (0, 0): by hand, and what autograd makes of the losses")
        start = ta.zeros((2, 1), dtype="float64")
        by_hand = 2 / 100 * matrix.T @ (matrix @ np.zeros((2, 1)) - targets)  # NumPy alone
        of_mse = ta.grad(mse)(start, X, y)
        of_j = ta.grad(half_mse)(start, X, y)
        print(f"   2/m X^T (X theta - y)   {by_hand.ravel()}")
        print(f"   autograd of MSE         {np.ravel(of_mse)}")
        print(f"   autograd of J           {np.ravel(of_j)}   half of it")
        np.testing.assert_allclose(of_mse, by_hand, rtol=1e-10)
        np.testing.assert_allclose(of_j, by_hand / 2, rtol=1e-10)

        print(f"2. {STEPS} steps of theta <- theta - {STEP_SIZE} * gradient")
        theta, history = descend_by_hand(X, y)
        theta_auto, history_auto = descend_with_autograd(X, y)
        for step in (0, 1, 2, 3, 5, 10, 20, 30, 39):
            print(f"   step {step:2d}   J by hand {history[step]:.12f}", end="")
            print(f"   with autograd {history_auto[step]:.12f}")

    # The same numbers, to rounding, at every step; and J never stands still or climbs.
    np.testing.assert_allclose(history_auto, history, rtol=1e-10)
    np.testing.assert_allclose(theta_auto, theta, rtol=1e-10)
    assert all(later < earlier for earlier, later in pairwise(history))
    print("   J falls at every step.")

    print("3. Where it ends: the least-squares solution, which NumPy solves for at once")
    solution, *_ = np.linalg.lstsq(matrix, targets, rcond=None)
    print(f"   gradient descent   {np.ravel(theta)}")
    print(f"   least squares      {solution.ravel()}")
    np.testing.assert_allclose(theta, solution, rtol=1e-5)

    # A step that is too long climbs instead. The limit is 2 / (the largest curvature of MSE).
    curvature = np.linalg.eigvalsh(2 / 100 * matrix.T @ matrix)[-1]
    limit = 2 / curvature
    print(f"   Step sizes below 2 / {curvature:.2f} = {limit:.3f} converge; longer ones diverge.")
    assert limit > STEP_SIZE


if __name__ == "__main__":
    main()
