"""What is the slope of relu at 0? Questions that mathematics leaves open, answered and checked.

    python examples/edge_conventions.py [--device cpu]

A kink has no slope, a tie no single winner, 0/0 no value, and an integer no infinity. Every library
answers such questions somehow; two that answer differently train different networks, and nobody
sees why. tinyaccel has one answer each, in one table, and holds every device to it. This lesson
asks some of the questions, by running them.
"""

from __future__ import annotations

import argparse

import numpy as np

import tinyaccel as ta
from tinyaccel.testing import CONVENTIONS

NAN, INF = float("nan"), float("inf")
ASKED = [
    "relu",
    "abs",
    "max",
    "max_pool2d",
    "argmax",
    "where",
    "pow",
    "div",
    "add",
    "remainder",
    "shift_left",
    "astype",
    "sum",
]


def show(question: str, got: ta.Tensor, expected: object) -> None:
    """Print an answer, and hold it to what the lesson says."""
    print(f"  {question:52s} {' '.join(f'{v:g}' for v in np.ravel(got.numpy()))}")
    np.testing.assert_array_equal(got.numpy(), expected)


def slope(fn: object, at: list[float]) -> ta.Tensor:
    """The gradient of the sum of fn(x) by x."""
    found = ta.grad(lambda x: fn(x).sum())(ta.tensor(at))  # type: ignore[operator]
    assert isinstance(found, ta.Tensor)
    return found


def kinks() -> None:
    print("Kinks: the slope at the corner is 0, so that what is off stays off")
    show("relu' at -1, 0, 1", slope(ta.relu, [-1.0, 0.0, 1.0]), [0, 0, 1])
    show("abs' at -1, 0, 1", slope(ta.abs, [-1.0, 0.0, 1.0]), [-1, 0, 1])
    print("  It happens all the time: a layer that starts with zeros, an image's black border.")


def ties() -> None:
    print("Ties: max shares the gradient, max-pooling gives it to the first")
    show("max of (2, 1, 2): its gradient", slope(lambda x: x.max(), [2.0, 1.0, 2.0]), [0.5, 0, 0.5])

    def pool(x: ta.Tensor) -> ta.Tensor:
        return ta.max_pool2d(x.reshape(1, 1, 2, 2), kernel=2)

    show("max-pool of four equal pixels: its gradient", slope(pool, [3.0] * 4), [1, 0, 0, 0])
    show("argmax of (1, 3, 3)", ta.tensor([1.0, 3.0, 3.0]).argmax(), 1)
    print("  Shared, the step is the same however the values are arranged; pooling follows what")
    print("  other frameworks do, so that networks carry over.")


def not_a_number() -> None:
    print("NaN: it is passed on, because a NaN that disappears is a bug that disappears")
    x = ta.tensor([1.0, NAN, 2.0])
    show("max of (1, NaN, 2)", x.max(), NAN)
    show("relu of NaN", ta.relu(ta.tensor([NAN])), [NAN])
    show("NaN == NaN, NaN != NaN", ta.concat([x[1:2] == x[1:2], x[1:2] != x[1:2]]), [0, 1])
    print("  The trap: `where` picks the right value, and the gradient of what it left behind")
    print("  must not come back as 0 * NaN.")
    left = slope(lambda v: ta.where(v > 0, v.log(), v), [-1.0, 2.0])
    show("where(x > 0, log x, x)' at -1, 2", left, [1, 0.5])


def powers() -> None:
    print("Powers and poles")
    zero = ta.tensor([0.0, 0.0, 0.0])
    show("0**0, 0**-1, 0**2", zero ** ta.tensor([0.0, -1.0, 2.0]), [1, INF, 0])
    show("x**0: its slope at 0", slope(lambda x: x**0.0, [0.0]), [0])
    show("1/0, -1/0, 0/0", ta.tensor([1.0, -1.0, 0.0]) / 0.0, [INF, -INF, NAN])


def integers() -> None:
    print("Integers: they wrap, they don't trap, and a float that doesn't fit stops at the end")
    show("127 + 1 in int8", ta.tensor([127], dtype="int8") + 1, [-128])
    show("5 % 0", ta.tensor([5]) % 0, [0])
    show("-7 % 3", ta.tensor([-7]) % 3, [2])
    show("1 << 40 in int32", ta.tensor([1]) << 40, [0])
    show("3e9, NaN as int32", ta.tensor([3e9, NAN]).astype("int32"), [2**31 - 1, 0])


def nothing() -> None:
    print("Nothing at all")
    show("the sum of no numbers", ta.zeros(0).sum(), 0)
    show("their mean", ta.zeros(0).mean(), NAN)
    try:
        ta.zeros(0).max()
    except ta.errors.ShapeError as error:
        print(f"  {'their maximum':52s} {error}")
    else:
        raise AssertionError("an empty max has no value")


def main() -> None:
    parser = argparse.ArgumentParser(description="Questions that mathematics leaves open.")
    parser.add_argument("--device", default="cpu", help="cpu, xla:cpu, cuda, cuda-sim, auto")
    args = parser.parse_args()
    with ta.default_device(args.device):
        for part in (kinks, ties, not_a_number, powers, integers, nothing):
            part()
        device = ta.get_device(args.device)
        asked = [c for c in CONVENTIONS if c.op in ASKED]
        kept = [c.verify(device) is None for c in asked]
        print(f"The table's rows of these ops on {device}: {sum(kept)} of {len(kept)} are kept")
        print(f"`tinyaccel verify` asks all {len(CONVENTIONS)} of every device.")
        assert all(kept)


if __name__ == "__main__":
    main()
