"""Residual networks for small images."""

from __future__ import annotations

from collections.abc import Sequence

from tinyaccel.nn import init
from tinyaccel.nn.containers import Sequential
from tinyaccel.nn.convolution import Conv2d
from tinyaccel.nn.linear import Linear
from tinyaccel.nn.models.registry import image_sides, register_model
from tinyaccel.nn.module import Module
from tinyaccel.nn.normalization import BatchNorm2d
from tinyaccel.ops.elementwise import relu
from tinyaccel.ops.movement import pad
from tinyaccel.tensor import Tensor


def _conv3x3(channels: int, out_channels: int, stride: int = 1) -> Conv2d:
    layer = Conv2d(channels, out_channels, 3, stride=stride, padding=1, bias=False)
    init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layer


class BasicBlock(Module):
    """relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)), 3x3 convolutions.

    channels, out_channels  before and after
    stride                  of the first convolution and of the shortcut

    x: (N, channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)). The shortcut
    has no weights: it takes every stride-th pixel, and zeros for the channels that are new.
    K. He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, option A.
    """

    def __init__(self, channels: int, out_channels: int, stride: int = 1) -> None:
        self.conv1 = _conv3x3(channels, out_channels, stride)
        self.bn1 = BatchNorm2d(out_channels)
        self.conv2 = _conv3x3(out_channels, out_channels)
        self.bn2 = BatchNorm2d(out_channels)
        self.stride, self.more = stride, out_channels - channels

    def forward(self, x: Tensor) -> Tensor:
        y = relu(self.bn1(self.conv1(x)))
        return relu(self.bn2(self.conv2(y)) + self.shortcut(x))

    def shortcut(self, x: Tensor) -> Tensor:
        """x in the shape of the block's result."""
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        return pad(x, ((0, 0), (0, self.more), (0, 0), (0, 0))) if self.more else x

    def extra_repr(self) -> str:
        return f"stride={self.stride}" if self.stride > 1 else ""


class ResNet(Module):
    """A residual network for small images: 6 blocks_per_stage + 2 layers with weights.

    channels          C of the images
    classes           how many logits
    blocks_per_stage  how many blocks each of the three stages has, with 16, 32 and 64 channels; the
                      second and the third halve height and width

    x: (N, C, H, W), any H and W -> (N, classes): a 3x3 convolution, the stages, the mean of each
    channel, a linear layer. Shortcuts have no weights (`BasicBlock`). Convolutions start from
    N(0, 2 / fan_in). Names are torchvision's: conv1, bn1, layer1.0.conv1, ..., fc.

    K. He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, section 4.2; the
    initial weights are those of arXiv:1502.01852, equation 10.
    """

    def __init__(self, channels: int, classes: int, blocks_per_stage: int) -> None:
        self.conv1 = _conv3x3(channels, 16)
        self.bn1 = BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks_per_stage, 1)
        self.layer2 = _stage(16, 32, blocks_per_stage, 2)
        self.layer3 = _stage(32, 64, blocks_per_stage, 2)
        self.fc = Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


def _stage(channels: int, out_channels: int, blocks: int, stride: int) -> Sequential:
    first = BasicBlock(channels, out_channels, stride)
    return Sequential(first, *(BasicBlock(out_channels, out_channels) for _ in range(blocks - 1)))


def _resnet(name: str, input_shape: Sequence[int], classes: int, blocks: int) -> ResNet:
    channels, _, _ = image_sides(name, input_shape, classes, 8)
    return ResNet(channels, classes, blocks)


@register_model((3, 32, 32))
def resnet8(input_shape: Sequence[int] = (3, 32, 32), classes: int = 10) -> ResNet:
    """`ResNet` with one block a stage: 75,290 weights for colour images of at least 8x8."""
    return _resnet("resnet8", input_shape, classes, 1)


@register_model((3, 32, 32))
def resnet14(input_shape: Sequence[int] = (3, 32, 32), classes: int = 10) -> ResNet:
    """`ResNet` with two blocks a stage: 172,506 weights for colour images of at least 8x8."""
    return _resnet("resnet14", input_shape, classes, 2)


@register_model((3, 32, 32))
def resnet20(input_shape: Sequence[int] = (3, 32, 32), classes: int = 10) -> ResNet:
    """`ResNet` with three blocks a stage: 269,722 weights for colour images of at least 8x8.

    The paper's smallest: 0.27 million weights, 41 million multiplications for a 32x32 image, and an
    error of 8.75 % on CIFAR-10.
    """
    return _resnet("resnet20", input_shape, classes, 3)
