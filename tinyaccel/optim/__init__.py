"""Optimizers, by PyTorch's names."""

from tinyaccel.optim.adaptive import Adagrad, Adam, AdamW, RMSprop
from tinyaccel.optim.optimizer import Hyper, Optimizer, ParameterState
from tinyaccel.optim.sgd import SGD

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Hyper", "Optimizer", "ParameterState", "RMSprop"]
