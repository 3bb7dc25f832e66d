"""The training loop: fit and evaluate."""

from __future__ import annotations

import math
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from tinyaccel.backend import Device, get_device
from tinyaccel.data.dataset import ArrayDataset
from tinyaccel.data.loader import DataLoader
from tinyaccel.errors import ArgumentError, ShapeError, TrainError
from tinyaccel.jit import jit as compile_function
from tinyaccel.nn.module import Module
from tinyaccel.ops.classification import cross_entropy
from tinyaccel.ops.random import default_generator
from tinyaccel.optim import Adam
from tinyaccel.tape import no_grad
from tinyaccel.tensor import Tensor, tensor
from tinyaccel.train.metrics import count_correct
from tinyaccel.train.progress import Progress, progress
from tinyaccel.train.record import Fact, Record, Row

Step: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class Evaluation(NamedTuple):
    """The mean cross-entropy over a data set, and the share of its images that are right."""

    loss: float
    accuracy: float


@dataclass
class Result:
    """What came of training: a row an epoch, and the figures of metrics.json.

    seconds            wall time of all epochs, evaluation included
    images_per_second  images trained on in a second of training alone, compiling included
    out                the folder with the files, or None
    """

    history: list[Row]
    seconds: float
    images_per_second: float
    device: str
    seed: int
    out: Path | None = None

    @property
    def test_accuracy(self) -> float | None:
        """After the last epoch; None without a test set."""
        return self.history[-1].test_accuracy

    @property
    def test_loss(self) -> float | None:
        """After the last epoch; None without a test set."""
        return self.history[-1].test_loss


def fit(
    model: Module,
    train: ArrayDataset,
    test: ArrayDataset | None = None,
    *,
    epochs: int = 1,
    batch_size: int = 64,
    lr: float = 1e-3,
    seed: int = 0,
    device: str | Device | None = None,
    jit: bool = True,
    out: str | Path | None = None,
    quiet: bool = False,
    facts: Mapping[str, Fact] | None = None,
) -> Result:
    """Train a classifier with Adam on the cross-entropy, and test it after each epoch.

    model       takes x (N, ...), gives logits (N, classes); trained where it stands
    train       shuffled anew each epoch; its last batch may be smaller
    test        what is evaluated after each epoch
    seed        of the order of batches and of the device's random numbers (dropout), which start
                again from it: with the same weights to start from, the result is the same
    device      where to train; the model is moved there. Default: where it is
    jit         whether a whole step (forward, loss, backward, update) is compiled as one graph
    out         a folder for metrics.json, history.csv and model.safetensors, written anew after
                each epoch, so that Ctrl-C leaves what is finished. Default: nothing is written
    quiet       show no progress bar; there is none either where stderr is no terminal
    facts       more entries for metrics.json

    Raises `ArgumentError` for an impossible option, `ShapeError` if the model gives fewer logits
    than there are classes, `TrainError` with the step if a loss isn't finite.

    Method: D. P. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", arXiv:1412.6980.

    >>> import tinyaccel as ta
    >>> from tinyaccel import data, train
    >>> digits = data.digits()
    >>> result = train.fit(ta.nn.mlp(64), *digits, epochs=3, lr=1e-2, quiet=True)
    >>> result.test_accuracy > 0.9
    True
    """
    if isinstance(epochs, bool) or not isinstance(epochs, int | np.integer) or epochs < 1:
        raise ArgumentError(f"fit: epochs={epochs!r}; expected 1 or more")
    if not math.isfinite(lr) or lr <= 0:
        raise ArgumentError(f"fit: lr={lr!r}; expected a finite number above 0")
    if test is not None and len(test.classes) > len(train.classes):
        raise ArgumentError(
            f"fit: {test.name} has {len(test.classes)} classes, {train.name} {len(train.classes)}; "
            "the model can't learn what it never sees: use data sets with the same classes"
        )
    where = get_device(device) if device is not None else _device_of(model)
    loader = DataLoader(train, batch_size, shuffle=True, seed=seed)
    record = None if out is None else Record(out)
    shown = progress(epochs, len(loader), quiet)
    model.to(where)
    default_generator(where).seed(seed)
    optimizer = Adam(model.parameters(), lr=lr)
    optimizer.zero_grad()

    def train_step(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        logits = _logits(model, x, train)
        loss = cross_entropy(logits, y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()  # here, so that no gradient outlives the step
        return loss.detach(), count_correct(logits.detach(), y)

    step: Step = compile_function(train_step) if jit else train_step
    test_step = _test_step(model, train, jit)
    options: dict[str, Fact] = {
        "epochs_wanted": int(epochs), "batch_size": loader.batch_size, "lr": float(lr),
        "jit": bool(jit),
        "train_images": len(train), "test_images": len(test) if test is not None else 0,
        **(facts or {}),
    }  # fmt: skip
    training_mode = model.training
    training_seconds = 0.0
    folder = None if record is None else record.folder
    result = Result([], 0.0, 0.0, where.name, loader.seed, folder)
    start = time.perf_counter()
    try:
        with shown:
            for epoch in range(1, epochs + 1):
                began = time.perf_counter()
                model.train()
                learning = _Pass(loader, epoch, shown)
                trained = learning.run(step, where)
                training_seconds += learning.seconds
                tested = None
                if test is not None:
                    model.eval()
                    tested = _Pass(DataLoader(test, batch_size), epoch).run(test_step, where)
                now = time.perf_counter()
                row = Row(
                    epoch, trained.loss, trained.accuracy,
                    test_loss=None if tested is None else tested.loss,
                    test_accuracy=None if tested is None else tested.accuracy,
                    seconds=now - began,
                )  # fmt: skip
                result.history.append(row)
                result.seconds = now - start
                result.images_per_second = epoch * len(train) / training_seconds
                if record is not None:
                    record.save(model, result.history, {**_facts(result, where), **options})
                shown.finished(row)
    except KeyboardInterrupt:
        done = len(result.history)
        kept = f"{done} finished epochs are in {out}" if record and done else "nothing was written"
        raise KeyboardInterrupt(f"fit: interrupted in epoch {done + 1}; {kept}") from None
    finally:
        model.train(training_mode)
    return result


def evaluate(
    model: Module,
    dataset: ArrayDataset,
    *,
    batch_size: int = 64,
    device: str | Device | None = None,
    jit: bool = True,
) -> Evaluation:
    """The loss and accuracy of a classifier on a data set, in evaluation mode.

    Full batches, then one with what remains; each image counts once. The arguments are those of
    `fit`; the model's mode is put back afterwards. Raises what `fit` does.
    """
    where = get_device(device) if device is not None else _device_of(model)
    loader = DataLoader(dataset, batch_size)
    model.to(where)
    training_mode = model.training
    try:
        model.eval()
        return _Pass(loader, 0).run(_test_step(model, dataset, jit), where)
    finally:
        model.train(training_mode)


def _test_step(model: Module, dataset: ArrayDataset, jit: bool) -> Step:
    def test_step(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        with no_grad():
            logits = _logits(model, x, dataset)
            return cross_entropy(logits, y), count_correct(logits, y)

    return compile_function(test_step) if jit else test_step


def _logits(model: Module, x: Tensor, dataset: ArrayDataset) -> Tensor:
    """The model's answer, of a shape that all classes fit in: else some label would be no class."""
    logits = model(x)
    n, classes = x.shape[0], len(dataset.classes)
    if logits.ndim != 2 or logits.shape[0] != n or logits.shape[1] < classes:
        raise ShapeError(
            f"model: it gives {logits.shape} for a batch {x.shape}, but {dataset.name} has "
            f"{classes} classes; expected ({n}, {classes}): change its last layer"
        )
    return logits


class _Pass:
    """One pass through the data, which doesn't wait for the device after each step.

    What the steps return is kept, and read every `progress.interval` seconds and at the end.

    seconds  how long it took, once `run` has returned
    """

    def __init__(self, loader: DataLoader, epoch: int, progress: Progress | None = None) -> None:
        self._loader, self._epoch, self._progress = loader, epoch, progress  # None: no learning
        self._pending: list[tuple[int, Tensor, Tensor]] = []
        self._steps = self._images = self._correct = 0
        self._loss = 0.0
        self._start = time.perf_counter()
        self.seconds = 0.0

    def run(self, step: Step, device: Device) -> Evaluation:
        """Give each batch to `step`; the mean loss and accuracy over all images."""
        interval = 1.0 if self._progress is None else self._progress.interval
        looked = time.perf_counter()
        for x, y in self._loader.epoch(self._epoch):
            loss, correct = step(tensor(x, device=device), tensor(y, device=device))
            self._pending.append((len(y), loss, correct))
            if time.perf_counter() - looked >= interval:
                self._look()
                looked = time.perf_counter()
        self._look()
        self.seconds = time.perf_counter() - self._start
        return self._means()

    def _means(self) -> Evaluation:
        return Evaluation(self._loss / self._images, self._correct / self._images)

    def _look(self) -> None:
        """Wait for the pending steps and add up what they gave; raises at the first bad loss."""
        steps = len(self._pending)
        for images, loss, correct in self._pending:
            self._steps += 1
            value = float(loss.item())
            if not math.isfinite(value):
                raise self._diverged(value)
            self._images += images
            self._loss += value * images
            self._correct += int(correct.item())
        self._pending.clear()
        if self._progress is not None and steps:
            seconds = max(time.perf_counter() - self._start, 1e-9)
            loss_now, accuracy = self._means()
            self._progress.update(self._epoch, steps, loss_now, accuracy, self._images / seconds)

    def _diverged(self, loss: float) -> TrainError:
        if self._progress is not None:
            return TrainError(
                f"fit: the loss is {loss} at epoch {self._epoch}, step {self._steps}; "
                "try a smaller lr, or look for extreme values in the data"
            )
        return TrainError(
            f"evaluate: the loss is {loss} at batch {self._steps} of {self._loader.dataset.name}; "
            "the weights have grown too large: train again with a smaller lr"
        )


def _device_of(model: Module) -> Device:
    first = next(model.parameters(), None)
    if first is None:
        raise ArgumentError(f"fit: {type(model).__name__} has no parameters; nothing can be learnt")
    return first.device


def _facts(result: Result, device: Device) -> dict[str, Fact]:
    """The entries of metrics.json that every run has."""
    versions = {"python": platform.python_version()}
    for package in ("tinyaccel", "numpy"):
        versions[package] = version(package)
    if device.backend.xp is not None:
        library = device.backend.xp.__name__.split(".")[0]
        versions[library] = str(getattr(sys.modules[library], "__version__", "unknown"))
    return {
        "test_accuracy": result.test_accuracy,
        "test_loss": result.test_loss,
        "seconds": result.seconds,
        "images_per_second": result.images_per_second,
        "device": result.device,
        "seed": result.seed,
        "epochs": len(result.history),
        "versions": versions,
    }
