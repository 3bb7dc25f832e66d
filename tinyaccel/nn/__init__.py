"""Layers, losses and small networks, by PyTorch's names."""

from tinyaccel.nn import init
from tinyaccel.nn.activations import GELU, Identity, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from tinyaccel.nn.containers import Sequential
from tinyaccel.nn.layers import AvgPool2d, BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d
from tinyaccel.nn.losses import CrossEntropyLoss, MSELoss
from tinyaccel.nn.models import (
    INPUT_SHAPES,
    MODELS,
    cifar_net,
    digits_cnn,
    make_model,
    mlp,
    mnist_cnn,
    register_model,
)
from tinyaccel.nn.module import LoadReport, Module, Parameter

__all__ = [
    "GELU",
    "INPUT_SHAPES",
    "MODELS",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "Identity",
    "Linear",
    "LoadReport",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "cifar_net",
    "digits_cnn",
    "init",
    "make_model",
    "mlp",
    "mnist_cnn",
    "register_model",
]
