"""Pooling: average and maximum of 2x2 windows, with gradients, ties included.

    python examples/pooling.py [--device cpu]

    average    y = (x1 + x2 + x3 + x4) / 4    gradient   1/4 to each
    maximum    y = the largest of the four    gradient   1 to the largest, 0 to the others

What if two are the largest? The maximum has no slope there, so it is a matter of convention, and
one that two devices must not settle differently. tinyaccel's are: max-pooling gives everything to
the first in reading order, as other frameworks do; `max` and `maximum` share equally.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

import tinyaccel as ta


def show(name: str, matrix: npt.ArrayLike) -> None:
    rows = np.asarray(matrix).tolist()
    print(f"  {name:16s} {' | '.join(' '.join(f'{v:g}' for v in row) for row in rows)}")


def pool_and_gradient(
    pool: Callable[[ta.Tensor], ta.Tensor], image: npt.ArrayLike, gradient: npt.ArrayLike
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The pooled image, and `gradient`, that of the pooled image, pulled back to the image."""
    x = ta.tensor(image, dtype="float32").reshape(1, 1, *np.shape(image))
    y, pull = ta.vjp(pool, x)
    g = ta.tensor(gradient, dtype="float32").reshape(y.shape)
    return y.numpy()[0, 0], pull(g)[0].numpy()[0, 0]


def main() -> None:
    parser = argparse.ArgumentParser(description="Average and max pooling, with gradients.")
    parser.add_argument("--device", default="cpu", help="cpu, xla:cpu, cuda, cuda-sim, auto")
    args = parser.parse_args()

    image = [[1, 3, 2, 4], [5, 7, 6, 8], [9, 2, 1, 0], [3, 6, 5, 4]]
    g = [[4, 8], [12, 16]]  # what arrives from above, one number for each window
    with ta.default_device(args.device):
        print("A 4x4 image has four 2x2 windows")
        show("image", image)
        show("gradient above", g)

        y, dx = pool_and_gradient(lambda x: ta.avg_pool2d(x, kernel=2), image, g)
        print("Average")
        show("pooled", y)
        show("gradient", dx)
        np.testing.assert_array_equal(y, [[4, 5], [5, 2.5]])
        np.testing.assert_array_equal(dx, [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]])

        y, dx = pool_and_gradient(lambda x: ta.max_pool2d(x, kernel=2), image, g)
        print("Maximum")
        show("pooled", y)
        show("gradient", dx)
        np.testing.assert_array_equal(y, [[7, 8], [9, 5]])
        np.testing.assert_array_equal(
            dx, [[0, 0, 0, 0], [0, 4, 0, 8], [12, 0, 0, 0], [0, 0, 16, 0]]
        )

        print("Ties: a window of four equal values")
        flat = [[5, 5], [5, 5]]
        _, average = pool_and_gradient(lambda x: ta.avg_pool2d(x, kernel=2), flat, [[4]])
        _, first = pool_and_gradient(lambda x: ta.max_pool2d(x, kernel=2), flat, [[4]])
        _, shared = pool_and_gradient(lambda x: x.max((2, 3), keepdims=True), flat, [[4]])
        show("average pool", average)
        show("max pool", first)
        show("max of the image", shared)
        np.testing.assert_array_equal(average, [[1, 1], [1, 1]])
        np.testing.assert_array_equal(first, [[4, 0], [0, 0]])
        np.testing.assert_array_equal(shared, [[1, 1], [1, 1]])

        # After ReLU whole windows are often 0: a tie that every network meets.
        print("A tie that every network meets: windows that ReLU has emptied")
        dark = [[-1, -2], [-3, -4]]
        y, dx = pool_and_gradient(lambda x: ta.max_pool2d(ta.relu(x), kernel=2), dark, [[4]])
        show("image", dark)
        show("relu, max pool", y)
        show("gradient", dx)
        print("  The first pixel gets it from the pooling, and relu, being flat there, stops it.")
        np.testing.assert_array_equal(y, [[0]])
        np.testing.assert_array_equal(dx, [[0, 0], [0, 0]])

        print("Windows that overlap (stride 1): a pixel sums up what its windows give it")
        small = [[1, 2, 3], [4, 9, 6], [7, 8, 5]]
        ones = [[1, 1], [1, 1]]
        y, dx = pool_and_gradient(lambda x: ta.max_pool2d(x, kernel=2, stride=1), small, ones)
        show("image", small)
        show("max pooled", y)
        show("gradient", dx)
        np.testing.assert_array_equal(y, [[9, 9], [9, 9]])
        np.testing.assert_array_equal(dx, [[0, 0, 0], [0, 4, 0], [0, 0, 0]])
        y, dx = pool_and_gradient(lambda x: ta.avg_pool2d(x, kernel=2, stride=1), small, ones)
        show("average pooled", y)
        show("gradient", dx)
        np.testing.assert_array_equal(y, [[4, 5], [7, 7]])
        np.testing.assert_array_equal(dx, [[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]])


if __name__ == "__main__":
    main()
