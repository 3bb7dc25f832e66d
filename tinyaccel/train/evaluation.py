"""How good a model is on data that it isn't trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyaccel.data.dataset import Dataset
from tinyaccel.errors import TrainError
from tinyaccel.tensor import Tensor
from tinyaccel.train.report import Report

_AHEAD = 16  # batches whose results may lie on the device before they are fetched


@dataclass(frozen=True)
class Evaluation:
    """What a model makes of a data set.

    loss     the mean over its samples
    metrics  the trainer's metrics by name: "accuracy", ...
    outputs  what the model gave, (N, classes) logits or (N, ...), float32
    labels   what was right, (N,) or (N, ...)
    classes  the names of the classes; () for regression
    """

    loss: float
    metrics: dict[str, float]
    outputs: npt.NDArray[np.float32]
    labels: npt.NDArray[Any]
    classes: tuple[str, ...]

    @property
    def accuracy(self) -> float:
        """The share that is right; KeyError if it wasn't asked for."""
        return self.metrics["accuracy"]

    def report(self) -> Report:
        """Precision, recall and F1 of each class, and the confusion matrix."""
        return Report(self.outputs, self.labels, self.classes)


class Collected:
    """Losses and outputs of batches, fetched from the device some batches later."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, Tensor | None, Tensor]] = []
        self._outputs: list[npt.NDArray[np.float32]] = []
        self._loss = self._samples = 0.0

    def add(self, samples: int, loss: Tensor | None, outputs: Tensor) -> None:
        """One batch more; the oldest is fetched if many are waiting."""
        self._waiting.append((samples, loss, outputs))
        if len(self._waiting) > _AHEAD:
            self._fetch(*self._waiting.pop(0))

    def _fetch(self, samples: int, loss: Tensor | None, outputs: Tensor) -> None:
        self._outputs.append(outputs.numpy())
        if loss is not None:
            self._loss += float(loss.item()) * samples
        self._samples += samples

    def outputs(self) -> npt.NDArray[np.float32]:
        """All outputs, in order."""
        while self._waiting:
            self._fetch(*self._waiting.pop(0))
        return np.concatenate(self._outputs)

    def loss(self, dataset: Dataset) -> float:
        """The mean loss, after `outputs`. Raises `TrainError` if it isn't finite."""
        mean = self._loss / self._samples
        if not math.isfinite(mean):
            raise TrainError(
                f"evaluate: the loss on {dataset.name} is {mean}; the weights have grown too "
                "large: train again with a smaller lr"
            )
        return mean


def batches_of(x: npt.NDArray[Any], size: int) -> Iterator[npt.NDArray[Any]]:
    """An array cut into batches, the last of which may be smaller."""
    return (x[i : i + size] for i in range(0, len(x), size))
