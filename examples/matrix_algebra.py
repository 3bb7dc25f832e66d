"""Matrix algebra: sum, product and transpose, each with its gradient.

    python examples/matrix_algebra.py [--device cpu]

A gradient needs a number to be the gradient of. Here it is L = sum(G * result), element by
element, with a fixed matrix G of weights: then dL/d(result) is G itself, and what comes out for
the inputs is what the operation does to a gradient on its way back.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

import tinyaccel as ta


def show(name: str, matrix: npt.ArrayLike) -> None:
    print(f"     {name:13s} {np.asarray(matrix).tolist()}")


def pull_back(
    operation: Callable[..., ta.Tensor], weights: ta.Tensor, *inputs: ta.Tensor
) -> tuple[ta.Tensor, ...]:
    """The result, and dL/d(input) for each input, where L = sum(weights * result)."""
    result, pull = ta.vjp(operation, *inputs)
    return result, *pull(weights)


def product_by_loops(a: list[list[float]], b: list[list[float]]) -> list[list[float]]:
    """(A B)_ij = sum_k A_ik B_kj, spelled out in plain Python."""
    return [
        [sum(a[i][k] * b[k][j] for k in range(len(b))) for j in range(len(b[0]))]
        for i in range(len(a))
    ]


def transpose_by_loops(a: list[list[float]]) -> list[list[float]]:
    return [[a[i][j] for i in range(len(a))] for j in range(len(a[0]))]


def main() -> None:
    parser = argparse.ArgumentParser(description="Sum, product and transpose, with gradients.")
    parser.add_argument("--device", default="cpu", help="cpu, xla:cpu, cuda, cuda-sim, auto")
    args = parser.parse_args()

    a = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]  # 3 x 2
    b = [[10.0, 20.0], [30.0, 40.0], [50.0, 60.0]]  # 3 x 2, for the sum
    c = [[1.0, 0.0, 2.0], [0.0, 1.0, 3.0]]  # 2 x 3, for the product
    g = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]  # 3 x 3 weights
    with ta.default_device(args.device):
        A, B, C, G = (ta.tensor(m) for m in (a, b, c, g))  # noqa: N806  # matrices

        print("Sum  A + B: the gradient goes to both as it is")
        result, dA, dB = pull_back(lambda x, y: x + y, G[:, :2], A, B)  # noqa: N806
        show("A + B", result)
        show("dL/dA = G", dA)
        show("dL/dB = G", dB)
        np.testing.assert_array_equal(result, [[11, 22], [33, 44], [55, 66]])
        np.testing.assert_array_equal(dA, G[:, :2])
        np.testing.assert_array_equal(dB, G[:, :2])

        # Where a row is added to each row of a matrix (broadcasting), it is used several times:
        # its gradient is the sum over its uses.
        print("Sum  A + row: the row is used 3 times, so its gradient is the sum of 3 rows")
        row = B[:1, :]
        result, dA, drow = pull_back(lambda x, y: x + y, G[:, :2], A, row)  # noqa: N806
        show("A + row", result)
        show("dL/drow", drow)
        np.testing.assert_array_equal(result, [[11, 22], [13, 24], [15, 26]])
        np.testing.assert_array_equal(drow, [[1 + 4 + 7, 2 + 5 + 8]])

        # (A C)_ij = sum_k A_ik C_kj. A_ik meets the whole row k of C, in row i of the result:
        # dL/dA_ik = sum_j G_ij C_kj, which is again a matrix product, with C transposed.
        print("Product  A C: dL/dA = G C^T and dL/dC = A^T G, products again")
        result, dA, dC = pull_back(lambda x, y: x @ y, G, A, C)  # noqa: N806
        show("A C", result)
        show("dL/dA = G C^T", dA)
        show("dL/dC = A^T G", dC)
        np.testing.assert_array_equal(result, product_by_loops(a, c))
        np.testing.assert_array_equal(dA, product_by_loops(g, transpose_by_loops(c)))
        np.testing.assert_array_equal(dC, product_by_loops(transpose_by_loops(a), g))

        print("Transpose  A^T: the gradient is turned back")
        result, dA = pull_back(lambda x: x.T, G[:2, :], A)  # noqa: N806
        show("A^T", result)
        show("dL/dA", dA)
        np.testing.assert_array_equal(result, transpose_by_loops(a))
        np.testing.assert_array_equal(dA, transpose_by_loops(g[:2]))

        # Two rules that every textbook has, as a check of all four at once.
        print("Rules  (A C)^T = C^T A^T   and   A (C + D) = A C + A D")
        D = C * 2 - 1  # noqa: N806
        np.testing.assert_array_equal((A @ C).T, C.T @ A.T)
        np.testing.assert_array_equal(A @ (C + D), A @ C + A @ D)
        print("     both hold, to the last bit: these numbers are whole")


if __name__ == "__main__":
    main()
