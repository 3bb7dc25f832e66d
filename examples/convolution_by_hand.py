"""Convolution by hand: a 3x3 image, a 3x3 kernel, ReLU and 2x2 max-pooling, forward and back.

    python examples/convolution_by_hand.py [--device cpu]

    image   1 2 3      kernel   1 2 1
            4 5 6               2 4 2
            7 8 9               1 2 1

The kernel is laid on the image; what lies on each other is multiplied, and the products summed.
"valid" padding allows only places where the kernel lies on the image entirely: here there is one.
"same" padding puts zeros around the image so that each of its pixels gets a result.

(Deep learning's convolution doesn't turn the kernel round, which mathematics' does. This kernel
is the same either way.)
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt

import tinyaccel as ta
from tinyaccel.errors import ShapeError

Matrix = npt.NDArray[np.float32]

IMAGE = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32)
KERNEL = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32)


def convolve(image: Matrix, kernel: Matrix, pad: int) -> Matrix:
    """y_ij = sum_rs image_(i+r)(j+s) * kernel_rs, on the image with `pad` zeros around it."""
    padded = np.pad(image, pad)
    rows, columns = kernel.shape
    y = np.zeros((padded.shape[0] - rows + 1, padded.shape[1] - columns + 1), np.float32)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            for r in range(rows):
                for s in range(columns):
                    y[i, j] += padded[i + r, j + s] * kernel[r, s]
    return y


def convolve_back(g: Matrix, image: Matrix, kernel: Matrix, pad: int) -> tuple[Matrix, Matrix]:
    """The gradients of image and kernel, from g, that of the result.

    The same four loops: where y_ij took image * kernel, g_ij * kernel goes back to the image, and
    g_ij * image to the kernel.
    """
    padded = np.pad(image, pad)
    d_padded, d_kernel = np.zeros_like(padded), np.zeros_like(kernel)
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            for r in range(kernel.shape[0]):
                for s in range(kernel.shape[1]):
                    d_padded[i + r, j + s] += g[i, j] * kernel[r, s]
                    d_kernel[r, s] += g[i, j] * padded[i + r, j + s]
    return d_padded[pad : pad + image.shape[0], pad : pad + image.shape[1]], d_kernel


def pool(y: Matrix, stride: int) -> Matrix:
    """The largest of each 2x2 window; a window that would stick out is left out."""
    starts = range(0, y.shape[0] - 1, stride)
    return np.array([[y[i : i + 2, j : j + 2].max() for j in starts] for i in starts], np.float32)


def pool_back(g: Matrix, y: Matrix, stride: int) -> Matrix:
    """Each window's gradient goes to its largest value, and to nothing else."""
    d_y = np.zeros_like(y)
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            top, left = i * stride, j * stride
            r, s = divmod(int(y[top : top + 2, left : left + 2].argmax()), 2)
            d_y[top + r, left + s] += g[i, j]
    return d_y


def four_d(matrix: Matrix) -> ta.Tensor:
    """A matrix as a batch of one image with one channel: (1, 1, H, W)."""
    return ta.tensor(matrix[None, None], requires_grad=True)


def show(name: str, matrix: npt.ArrayLike) -> None:
    rows = np.asarray(matrix).tolist()
    print(f"  {name:15s} {' | '.join(' '.join(f'{v:g}' for v in row) for row in rows)}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Convolution by hand, checked by the tape.")
    parser.add_argument("--device", default="cpu", help="cpu, xla:cpu, cuda, cuda-sim, auto")
    args = parser.parse_args()

    with ta.default_device(args.device):
        print("Valid padding: the kernel fits in one place")
        valid = convolve(IMAGE, KERNEL, pad=0)
        print("  1*1 + 2*2 + 3*1 + 4*2 + 5*4 + 6*2 + 7*1 + 8*2 + 9*1 = 80")
        y = ta.relu(ta.conv2d(four_d(IMAGE), four_d(KERNEL)))
        show("conv, relu", y[0, 0])
        np.testing.assert_array_equal(valid, [[80]])
        np.testing.assert_array_equal(y[0, 0], valid)
        # A single number has no 2x2 window. That is an error, not an empty result.
        try:
            ta.max_pool2d(y, kernel=2)
        except ShapeError as error:
            print(f"  then pool 2x2:  {error}")
        else:
            raise AssertionError("a 2x2 window was found in a 1x1 image")

        print("Same padding: a result for every pixel")
        same = convolve(IMAGE, KERNEL, pad=1)
        image, kernel = four_d(IMAGE), four_d(KERNEL)
        conv = ta.conv2d(image, kernel, padding="same")
        y = ta.relu(conv)
        show("conv, relu", y[0, 0])
        print("  e.g. the corner: 1*4 + 2*2 + 4*2 + 5*1 = 21; all are positive, so relu keeps them")
        np.testing.assert_array_equal(same, [[21, 36, 33], [52, 80, 68], [57, 84, 69]])
        np.testing.assert_array_equal(conv[0, 0], same)
        np.testing.assert_array_equal(y[0, 0], np.maximum(same, 0))

        for stride, expected in ((2, [[80]]), (1, [[80, 80], [84, 84]])):
            print(f"2x2 max-pool, stride {stride}, and the gradient of the sum of its results")
            pooled = ta.max_pool2d(y, kernel=2, stride=stride)
            d_image, d_kernel = ta.grad(
                lambda x, w, stride=stride: ta.max_pool2d(
                    ta.relu(ta.conv2d(x, w, padding="same")), kernel=2, stride=stride
                ).sum(),
                argnums=(0, 1),
            )(image, kernel)
            show("pooled", pooled[0, 0])
            show("d image", d_image[0, 0])
            show("d kernel", d_kernel[0, 0])

            by_hand = pool(same, stride)
            g = pool_back(np.ones_like(by_hand), same, stride) * (same > 0)
            np.testing.assert_array_equal(by_hand, expected)
            np.testing.assert_array_equal(pooled[0, 0], by_hand)
            for got, wanted in zip((d_image, d_kernel), convolve_back(g, IMAGE, KERNEL, pad=1),
                                   strict=True):  # fmt: skip
                np.testing.assert_array_equal(got[0, 0], wanted)
            if stride == 2:
                # Only the centre survives, and there the kernel lies on the image exactly.
                np.testing.assert_array_equal(d_image[0, 0], KERNEL)
                np.testing.assert_array_equal(d_kernel[0, 0], IMAGE)
                print("  Only the centre is left: d image is the kernel, d kernel is the image.")
            else:
                print("  80 and 84 are each the largest of two windows: their gradients add up.")


if __name__ == "__main__":
    main()
