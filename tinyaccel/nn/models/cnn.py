"""Plain convolutional networks: one layer after the other, each from a well-known source.

Each computes the size of its first linear layer from the size of its images, so that it takes any
that are large enough.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinyaccel.nn.activations import ReLU
from tinyaccel.nn.containers import Sequential
from tinyaccel.nn.convolution import Conv2d
from tinyaccel.nn.dropout import Dropout
from tinyaccel.nn.linear import Flatten, Linear
from tinyaccel.nn.models.registry import image_sides, register_model
from tinyaccel.nn.pooling import MaxPool2d


@register_model((1, 28, 28))
def lenet(input_shape: Sequence[int] = (1, 28, 28), classes: int = 10) -> Sequential:
    """LeNet-5 as it is usually built today: 5x5 convolutions (6, 16), linear 120 and 84.

    The first convolution pads its 28x28 images to the 32x32 of the paper: 61,706 weights. Where the
    paper has a scaled tanh, averages with a weight, a sparse table of connections and radial basis
    functions at the end, this has ReLU, maxima, all connections, and logits. Images of at least
    12x12, or `ArgumentError`.

    Y. LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998, section II.B.
    """
    channels, height, width = image_sides("lenet", input_shape, classes, 12)
    pixels = ((height // 2 - 4) // 2) * ((width // 2 - 4) // 2)
    return Sequential(
        Conv2d(channels, 6, 5, padding=2), ReLU(), MaxPool2d(2),
        Conv2d(6, 16, 5), ReLU(), MaxPool2d(2), Flatten(),
        Linear(16 * pixels, 120), ReLU(), Linear(120, 84), ReLU(), Linear(84, classes),
    )  # fmt: skip


def _three_convolutions(name: str, input_shape: Sequence[int], classes: int) -> Sequential:
    channels, height, width = image_sides(name, input_shape, classes, 18)

    def after(side: int) -> int:
        return ((side - 2) // 2 - 2) // 2 - 2

    return Sequential(
        Conv2d(channels, 32, 3), ReLU(), MaxPool2d(2),
        Conv2d(32, 64, 3), ReLU(), MaxPool2d(2),
        Conv2d(64, 64, 3), ReLU(), Flatten(),
        Linear(64 * after(height) * after(width), 64), ReLU(), Linear(64, classes),
    )  # fmt: skip


@register_model((1, 28, 28))
def mnist_cnn(input_shape: Sequence[int] = (1, 28, 28), classes: int = 10) -> Sequential:
    """Three 3x3 convolutions (32, 64, 64) and two linear layers: 93,322 weights for 28x28 images.

    Images of at least 18x18, or `ArgumentError`.
    F. Chollet, "Deep Learning with Python", 2017, section 5.1.
    """
    return _three_convolutions("mnist_cnn", input_shape, classes)


@register_model((3, 32, 32))
def cifar_cnn(input_shape: Sequence[int] = (3, 32, 32), classes: int = 10) -> Sequential:
    """`mnist_cnn` for 3x32x32 images: 122,570 weights. Images of at least 18x18.

    The network of TensorFlow's tutorial "Convolutional Neural Network (CNN)" on CIFAR-10.
    """
    return _three_convolutions("cifar_cnn", input_shape, classes)


@register_model((3, 32, 32))
def cifar_net(input_shape: Sequence[int] = (3, 32, 32), classes: int = 10) -> Sequential:
    """Two 5x5 convolutions (6, 16) and three linear layers: 62,006 weights for 3x32x32 images.

    Images of at least 16x16, or `ArgumentError`. The network of PyTorch's CIFAR-10 tutorial, after
    Y. LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998.
    """
    channels, height, width = image_sides("cifar_net", input_shape, classes, 16)
    pixels = (((height - 4) // 2 - 4) // 2) * (((width - 4) // 2 - 4) // 2)
    return Sequential(
        Conv2d(channels, 6, 5), ReLU(), MaxPool2d(2),
        Conv2d(6, 16, 5), ReLU(), MaxPool2d(2), Flatten(),
        Linear(16 * pixels, 120), ReLU(), Linear(120, 84), ReLU(), Linear(84, classes),
    )  # fmt: skip


@register_model((1, 8, 8))
def digits_cnn(input_shape: Sequence[int] = (1, 8, 8), classes: int = 10) -> Sequential:
    """Two 3x3 convolutions (32, 64) and two linear layers with dropout, for 8x8 images.

    On scikit-learn's digits (1,257 to train on, 540 to test) Adam with lr 2e-3 and batches of 64
    reaches 98.5 % and more in 30 epochs, about 10 s on a CPU. Images of at least 2x2; for large
    ones its first linear layer is large, too.
    """
    channels, height, width = image_sides("digits_cnn", input_shape, classes, 2)
    return Sequential(
        Conv2d(channels, 32, 3, padding=1), ReLU(),
        Conv2d(32, 64, 3, padding=1), ReLU(), MaxPool2d(2), Dropout(0.25), Flatten(),
        Linear(64 * (height // 2) * (width // 2), 128), ReLU(), Dropout(0.5),
        Linear(128, classes),
    )  # fmt: skip
