"""Targets that are numbers: a network learns them standardised, and answers in their own units."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from tinyaccel.data.dataset import Dataset, Indices, Labels, Pixels
from tinyaccel.nn import Module
from tinyaccel.nn.models import make_model
from tinyaccel.tensor import Tensor, tensor
from tinyaccel.train.checkpoint import Checkpoint
from tinyaccel.train.evaluation import Evaluation
from tinyaccel.train.steps import LossFunction

Floats = npt.NDArray[np.float32]

_INNER = "network."  # how names of the network's own tensors begin in a `Rescaled`
_MEAN = "target_mean"
_USELESS = 0.05  # an r2 of no more than this is hardly better than the mean of the targets


class InRows(Dataset):
    """A data set whose targets, (N,) or (N, ...), are (N, k), as models give their outputs."""

    def __init__(self, data: Dataset) -> None:
        self.data, self.name, self.classes = data, data.name, ()
        self.mean, self.std = data.mean, data.std

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.data.shape

    @property
    def y(self) -> Labels:
        """The targets (N, k)."""
        return self.data.y.reshape(len(self.data.y), -1)

    def pixels(self, indices: Indices) -> Pixels:
        """The samples as the data set keeps them."""
        return self.data.pixels(indices)


def units_of(y: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """The mean and the deviation of targets y (N, k), both (k,); 1 where one never changes.

    >>> units_of(np.array([[1.0, 5.0], [3.0, 5.0]]))
    (array([2., 5.], dtype=float32), array([1., 1.], dtype=float32))
    """
    wide = y.astype(np.float64)
    std = wide.std(0)
    return wide.mean(0).astype(np.float32), np.where(std > 0, std, 1.0).astype(np.float32)


class Rescaled(Module):
    """target_std * network(x) + target_mean: a network's answers in the units of its targets.

    network    a model of `make_model`, x (N, ...) -> (N, k)
    mean, std  (k,), as `units_of` gives them; kept as buffers, and so in checkpoints

    Fresh weights, whose outputs are about -1 to 1, then answer about as the targets are, whether
    these are lengths in metres or populations: the same learning rate does for both.
    """

    target_mean: Tensor
    target_std: Tensor

    def __init__(self, network: Module, mean: Floats, std: Floats) -> None:
        self.network = network
        self.register_buffer(_MEAN, tensor(mean))
        self.register_buffer("target_std", tensor(std))
        self.config: dict[str, Any] = cast("Any", network).config

    def forward(self, x: Tensor) -> Tensor:
        # In float32 also where the network computes in bfloat16, which has 3 digits.
        return self.network(x).astype("float32") * self.target_std + self.target_mean


def squared_error(std: Floats) -> LossFunction:
    """The mean of (output - target)**2 in the targets' units, with the gradient of standardised.

    What is shown is so many square metres; what the optimizer sees is of the order of 1.
    """

    def loss(output: Tensor, target: Tensor) -> Tensor:
        difference = output - target
        standardised = difference / tensor(std, device=output.device)
        learnt = (standardised * standardised).mean()
        # learnt - learnt is exactly 0, so that the value isn't rounded, however small the units.
        return (difference * difference).mean().detach() + (learnt - learnt.detach())

    return loss


def remade(checkpoint: Checkpoint) -> Module:
    """The model that a checkpoint is of, with fresh weights."""
    network = make_model(**cast("dict[str, Any]", checkpoint.facts["model"]))
    state = checkpoint.part("model")
    if _MEAN not in state:
        return network
    return Rescaled(network, state[_MEAN], state["target_std"])


def network_of(model: Module) -> Module:
    """What learns in a model: the network inside a `Rescaled`, else the model itself."""
    return model.network if isinstance(model, Rescaled) else model


def network_state(state: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The tensors of a model's network by its own names, of a `Rescaled` model or another."""
    if _MEAN not in state:
        return state
    return {k.removeprefix(_INNER): v for k, v in state.items() if k.startswith(_INNER)}


def doubt(part: str, evaluation: Evaluation) -> str | None:
    """What to say of a model that tells targets no better than their mean does; None of others."""
    r2 = evaluation.metrics.get("r2", math.nan)
    if not r2 <= _USELESS:
        return None
    return (
        f"{part} r2 is {r2:.4f}, no better than answering the mean each time: try more --epochs or "
        "another --lr, and see whether the other columns can tell the target at all"
    )
