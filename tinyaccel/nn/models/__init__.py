"""Small networks by name, for images of 8x8 and more; each in the room of its kind."""

from tinyaccel.nn.models.cnn import cifar_cnn, cifar_net, digits_cnn, lenet, mnist_cnn
from tinyaccel.nn.models.mlp import mlp
from tinyaccel.nn.models.recurrent import LSTMClassifier, lstm_classifier
from tinyaccel.nn.models.registry import INPUT_SHAPES, MODELS, make_model, register_model
from tinyaccel.nn.models.resnet import BasicBlock, ResNet, resnet8, resnet14, resnet20

__all__ = [
    "INPUT_SHAPES",
    "MODELS",
    "BasicBlock",
    "LSTMClassifier",
    "ResNet",
    "cifar_cnn",
    "cifar_net",
    "digits_cnn",
    "lenet",
    "lstm_classifier",
    "make_model",
    "mlp",
    "mnist_cnn",
    "register_model",
    "resnet8",
    "resnet14",
    "resnet20",
]
