"""Backpropagation by hand: a network of two layers, every number of it, checked by the tape.

    python examples/backpropagation_by_hand.py [--device cpu]

    x = (1, 2, 3)  ->  z = W1 x  ->  h = relu(z)  ->  o = W2 h  ->  L = mean((o - y)**2)

The forward pass works from left to right; the backward pass goes back from L to x and multiplies
by one local derivative at each arrow (the chain rule). The numbers are small enough to check with
a pencil: do. (Where these matrices are printed elsewhere, W1 x is given as (11, 25). It is
(14, 32), since 1*1 + 2*2 + 3*3 = 14, and everything after it changes too.)
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt

import tinyaccel as ta


def main() -> None:
    parser = argparse.ArgumentParser(description="Backpropagation by hand, checked by the tape.")
    parser.add_argument("--device", default="cpu", help="cpu, xla:cpu, cuda, cuda-sim, auto")
    args = parser.parse_args()

    x = np.array([1.0, 2.0, 3.0])
    W1 = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])  # noqa: N806  # matrices
    W2 = np.array([[0.1, 0.2], [0.3, 0.4]])  # noqa: N806
    y = np.array([2.0, 5.0])

    print("Forward, by hand (NumPy knows no gradients)")
    z = W1 @ x
    h = np.maximum(z, 0)
    o = W2 @ h
    error = o - y
    loss = (error**2).mean()
    print(f"  z = W1 x          = {z}     row times column: 1+4+9 and 4+10+18")
    print(f"  h = relu(z)       = {h}     both are positive, so they pass")
    print(f"  o = W2 h          = {o}   0.1*14 + 0.2*32 and 0.3*14 + 0.4*32")
    print(f"  o - y             = {error}")
    print(f"  L = mean of squares = ({error[0] ** 2:.2f} + {error[1] ** 2:.2f}) / 2 = {loss:.2f}")

    print("Backward, by hand: each line uses the one above")
    d_o = 2 / 2 * error  # the mean over 2 outputs gives 1/2, the square gives 2
    d_W2 = np.outer(d_o, h)  # noqa: N806  # o_i = sum_j W2_ij h_j: W2_ij counts h_j times
    d_h = W2.T @ d_o  # h_j reaches L through every o_i, with weight W2_ij: the column j
    d_z = d_h * (z > 0)  # relu passes the gradient where it passed the value
    d_W1 = np.outer(d_z, x)  # noqa: N806
    d_x = W1.T @ d_z
    print(f"  dL/do  = 2/2 (o - y)     = {d_o}")
    print(f"  dL/dW2 = dL/do h^T       = {d_W2[0]} {d_W2[1]}")
    print(f"  dL/dh  = W2^T dL/do      = {d_h}")
    print(f"  dL/dz  = dL/dh * (z > 0) = {d_z}")
    print(f"  dL/dW1 = dL/dz x^T       = {d_W1[0]} {d_W1[1]}")
    print(f"  dL/dx  = W1^T dL/dz      = {d_x}")

    print("The same with the tape")
    with ta.default_device(args.device):
        tx, tW1, tW2 = (ta.tensor(a, requires_grad=True) for a in (x, W1, W2))  # noqa: N806
        tz = ta.linear(tx, tW1)  # W1 x, as a layer spells it
        th = ta.relu(tz)
        to = ta.linear(th, tW2)
        tloss = ta.mse(to, ta.tensor(y))
        tloss.backward()
    steps: list[tuple[str, ta.Tensor | None, npt.ArrayLike]] = [
        ("z", tz, z), ("h", th, h), ("o", to, o), ("L", tloss, loss),
        ("dL/dW2", tW2.grad, d_W2), ("dL/dW1", tW1.grad, d_W1), ("dL/dx", tx.grad, d_x),
    ]  # fmt: skip
    for name, got, wanted in steps:
        assert got is not None
        np.testing.assert_allclose(got.numpy(), np.asarray(wanted), rtol=1e-12, err_msg=name)
        print(f"  {name:7s} agrees")

    # And both agree with what was worked out on paper.
    np.testing.assert_allclose(z, [14, 32])
    np.testing.assert_allclose(o, [7.8, 17.0])
    np.testing.assert_allclose(loss, 88.82)
    np.testing.assert_allclose(d_h, [4.18, 5.96])
    np.testing.assert_allclose(d_W2, np.array([[81.2, 185.6], [168, 384]]))
    np.testing.assert_allclose(d_W1, np.array([[4.18, 8.36, 12.54], [5.96, 11.92, 17.88]]))

    print("What a gradient is for: a small step against it lowers L by (step) * |gradient|**2")
    step = 1e-8  # so small that the curve looks straight
    squared = (d_W1**2).sum() + (d_W2**2).sum()
    new = W2 - step * d_W2
    after = ((new @ np.maximum((W1 - step * d_W1) @ x, 0) - y) ** 2).mean()
    print(f"  foretold {step * squared:.6e}   measured {loss - after:.6e}")
    np.testing.assert_allclose(loss - after, step * squared, rtol=1e-4)


if __name__ == "__main__":
    main()
