"""Optimizers, by PyTorch's names; schedules, clipping, averages of weights, loss scaling."""

from tinyaccel.optim.adam import Adam, AdamW
from tinyaccel.optim.adam_variants import Adamax, NAdam, RAdam
from tinyaccel.optim.adaptive import Adadelta, Adagrad, RMSprop
from tinyaccel.optim.clip import clip_grad_norm_, clip_grad_value_
from tinyaccel.optim.ema import EMA
from tinyaccel.optim.group import ParameterGroup
from tinyaccel.optim.hyper import Hyper, HyperPair
from tinyaccel.optim.one_cycle import OneCycleLR
from tinyaccel.optim.optimizer import Optimizer, ParameterState
from tinyaccel.optim.plateau import ReduceLROnPlateau
from tinyaccel.optim.scaler import GradScaler
from tinyaccel.optim.schedule import Schedule
from tinyaccel.optim.schedules import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)
from tinyaccel.optim.sgd import SGD

__all__ = [
    "EMA", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "ConstantLR",
    "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "ExponentialLR", "GradScaler", "Hyper",
    "HyperPair", "LambdaLR", "LinearLR", "MultiStepLR", "NAdam", "OneCycleLR", "Optimizer",
    "ParameterGroup", "ParameterState", "PolynomialLR", "RAdam", "RMSprop", "ReduceLROnPlateau",
    "Schedule", "SequentialLR", "StepLR", "clip_grad_norm_", "clip_grad_value_",
]  # fmt: skip
