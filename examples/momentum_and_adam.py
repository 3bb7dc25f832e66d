"""Momentum and Adam by hand, beside `optim`: equal at every step.

    python examples/momentum_and_adam.py [--device cpu]

The problem is a bowl that is 100 times steeper one way than the other,

    f(theta) = 1/2 sum_i curvature_i * theta_i**2    with gradient   curvature_i * theta_i,

in which plain gradient descent either zigzags across or creeps along. What is written by hand is
NumPy; what `optim` does comes from the tape, on the device that is asked for.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

import tinyaccel as ta
from tinyaccel import optim

Array = npt.NDArray[np.float64]

CURVATURE = np.array([1.0, 10.0, 100.0])
START = np.array([3.0, -2.0, 1.0])


def f(theta: Array) -> float:
    return float(0.5 * CURVATURE @ theta**2)


def gradient(theta: Array) -> Array:
    return CURVATURE * theta


def momentum(lr: float, beta: float) -> Iterator[Array]:
    """As PyTorch, and so `optim.SGD`, has it:    v <- beta v + g,    theta <- theta - lr v."""
    theta, v = START.copy(), np.zeros(3)
    while True:
        v = beta * v + gradient(theta)
        theta = theta - lr * v
        yield theta


def averaged_momentum(lr: float, beta: float) -> Iterator[Array]:
    """As others have it:    v <- beta v + (1 - beta) g,    theta <- theta - lr v."""
    theta, v = START.copy(), np.zeros(3)
    while True:
        v = beta * v + (1 - beta) * gradient(theta)
        theta = theta - lr * v
        yield theta


def adam(lr: float, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> Iterator[Array]:
    """D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", algorithm 1."""
    theta, m, v, t = START.copy(), np.zeros(3), np.zeros(3), 0
    while True:
        t += 1
        g = gradient(theta)
        m = beta1 * m + (1 - beta1) * g  # first moment: the average gradient
        v = beta2 * v + (1 - beta2) * g**2  # second moment: its average square
        m_hat = m / (1 - beta1**t)  # both began at 0, and are too small by this factor
        v_hat = v / (1 - beta2**t)
        theta = theta - lr * m_hat / (np.sqrt(v_hat) + eps)
        yield theta


def with_optim(make: Callable[[list[ta.Tensor]], optim.Optimizer]) -> Iterator[Array]:
    """The same problem, its gradients from the tape and its steps from an optimizer."""
    theta = ta.tensor(START, requires_grad=True)
    curvature = ta.tensor(CURVATURE)
    optimizer = make([theta])
    while True:
        optimizer.zero_grad()
        loss = 0.5 * (curvature * theta**2).sum()
        loss.backward()
        optimizer.step()
        yield theta.numpy()


def compare(name: str, by_hand: Iterator[Array], other: Iterator[Array], steps: int = 100) -> Array:
    """Go `steps` steps with both; they must agree at each. Returns where they are at the end."""
    for step in range(1, steps + 1):
        here, there = next(by_hand), next(other)
        np.testing.assert_allclose(there, here, rtol=1e-9, atol=1e-12, err_msg=f"step {step}")
        if step in (1, 2, 10, steps):
            print(f"  {name}, step {step:3d}: {here} and {there}")
    return here


def main() -> None:
    parser = argparse.ArgumentParser(description="Momentum and Adam by hand, beside optim.")
    parser.add_argument("--device", default="cpu", help="cpu, xla:cpu, cuda, cuda-sim, auto")
    args = parser.parse_args()

    np.set_printoptions(precision=6, suppress=True)
    lr, beta = 0.015, 0.9
    with ta.default_device(args.device):
        print("1. Momentum, by hand and by optim.SGD")
        end = compare(
            "momentum", momentum(lr, beta),
            with_optim(lambda params: optim.SGD(params, lr=lr, momentum=beta)),
        )  # fmt: skip
        plain = START * (1 - lr * CURVATURE) ** 100  # gradient descent, in closed form
        print(f"  Without momentum 100 steps end at {plain}: the flat direction creeps.")
        assert abs(end[0]) < abs(plain[0]) / 10

        # With v' = (1 - beta) v, the second spelling is the first with its steps scaled down:
        # lr' = lr / (1 - beta) makes them equal. Copying a step size from a text that uses the
        # other spelling is wrong by a factor of 10, for beta = 0.9.
        print("2. The spelling v <- beta v + (1 - beta) g, with the step size lr / (1 - beta)")
        compare("momentum", momentum(lr, beta), averaged_momentum(lr / (1 - beta), beta))
        same_lr = averaged_momentum(lr, beta)
        np.testing.assert_allclose(next(same_lr) - START, (1 - beta) * -lr * gradient(START))
        print("  With the same step size it goes 1 - beta = 0.1 times as far.")

        print("3. Adam, by hand and by optim.Adam")
        compare("Adam", adam(0.1), with_optim(lambda params: optim.Adam(params, lr=0.1)))

    print("4. Adam's fraction, and what stands in it")
    # The step is lr * m / (sqrt(v) + eps). The root of the second moment divides: a direction
    # with large gradients gets short steps per unit of gradient, and the other way round. So the
    # first step is lr long in every direction, whatever the scale of f.
    first_step = next(adam(0.1)) - START
    print(f"  gradient at the start     {gradient(START)}")
    print(f"  first step                {first_step}: lr against the sign of each")
    np.testing.assert_allclose(first_step, -0.1 * np.sign(gradient(START)), rtol=1e-6)

    # A formula that is printed with both moments outside the fraction, lr / eps * m * sqrt(v) or
    # the like, multiplies by what it should divide by. At the start m = g and v = g**2, so it
    # steps by g * |g|: 100 times the gradient is 10,000 times the step. Even without the eps below
    # (which would make it 10**8 times longer) the steep direction flies off at once and the flat
    # ones are left behind.
    g = gradient(START)
    wrong_step = -0.1 * g * np.sqrt(g**2)
    print(f"  with the moments outside  {wrong_step}")
    before, right, wrong = f(START), f(START + first_step), f(START + wrong_step)
    print(f"  f was {before:.1f}; the right step makes it {right:.1f}, the wrong one {wrong:,.0f}")
    assert right < before
    assert wrong > 1000 * before


if __name__ == "__main__":
    main()
