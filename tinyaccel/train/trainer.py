"""Trainer: a model with all that it is trained with, to fit, evaluate, predict and save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tinyaccel.backend import Device, get_device
from tinyaccel.data.dataset import Dataset
from tinyaccel.data.loader import DataLoader
from tinyaccel.data.transforms import Transform
from tinyaccel.errors import ArgumentError
from tinyaccel.nn import CrossEntropyLoss, Module, MSELoss
from tinyaccel.optim import EMA, Adam, GradScaler, Optimizer, ReduceLROnPlateau, Schedule
from tinyaccel.tensor import Tensor, tensor
from tinyaccel.train.callbacks import Best, Callback, Row
from tinyaccel.train.checkpoint import Checkpoint, Json
from tinyaccel.train.display import Progress
from tinyaccel.train.display import progress as display
from tinyaccel.train.evaluation import Collected, Evaluation, batches_of
from tinyaccel.train.fitting import Fitting
from tinyaccel.train.history import History
from tinyaccel.train.metrics import find_metric
from tinyaccel.train.precision import training_dtype
from tinyaccel.train.run_folder import RunFolder
from tinyaccel.train.signals import stop_requests
from tinyaccel.train.state import averaged, load_state, state_of
from tinyaccel.train.steps import LossFunction, Steps
from tinyaccel.train.totals import Totals

SaveErrors = Literal["stop", "continue"]


class Trainer:
    """Trains a model, tests it, and asks it.

    model      takes x (N, ...), gives logits (N, classes), or whatever `loss` expects
    loss       (output, target) -> the batch's mean; default: cross-entropy for data with classes,
               the mean squared error for data without
    optimizer  over the model's parameters; default: Adam with lr 1e-3
    schedule   of the optimizer's learning rate; it counts updates, not epochs. But a
               ReduceLROnPlateau is told of each epoch's validation: of its loss, or of its accuracy
               if its mode is "max"
    metrics    what an evaluation tells beside the loss, by name: see `METRICS`
    device     where all of it goes; default: where the model is
    seed       of the order of batches, their transforms and the device's random numbers (dropout)
    jit        whether a whole step (forward, loss, backward, update) is compiled as one graph
    precision  "float32"; "bfloat16" or "float16" for forward and backward of rounded weights, while
               float32 ones are trained (float16 with a loss that is scaled as needed)
    accumulate  how many batches' gradients make one update
    clip_norm, clip_value  the most that the gradients' norm, or each of their numbers, may be
    ema        the decay, below 1, of an average of the weights; it is what is evaluated, and what
               the model has at the end
    callbacks  what else is to happen: see `Callback`

    Raises `ArgumentError` for an impossible option.

    >>> import tinyaccel as ta
    >>> from tinyaccel import data, train
    >>> digits = data.digits()
    >>> trainer = train.Trainer(ta.nn.mlp((1, 8, 8)))
    >>> history = trainer.fit(digits.train, epochs=3, progress="quiet")
    >>> trainer.evaluate(digits.test).accuracy > 0.8
    True
    """

    history: History  # a row for each finished epoch
    epoch: int  # the one that is going on, from 1
    batch: int  # how many of its batches are done
    step: int  # batches done in all
    updates: int  # of the weights
    seconds: float  # that training has taken
    stop: str | None  # why it stopped before its last epoch
    finished: bool
    best: Best | None  # the figure by which the best epoch's weights are kept
    best_checkpoint: Checkpoint | None  # these weights, where no folder has them
    folder: RunFolder | None
    facts: dict[str, Json]  # more that checkpoints keep

    def __init__(
        self,
        model: Module,
        *,
        loss: LossFunction | None = None,
        optimizer: Optimizer | None = None,
        schedule: Schedule | ReduceLROnPlateau | None = None,
        metrics: Sequence[str] | None = None,
        device: str | Device | None = None,
        seed: int = 0,
        jit: bool = True,
        precision: str = "float32",
        accumulate: int = 1,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        ema: float | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.dtype = training_dtype(precision)
        positive("Trainer", accumulate=accumulate)
        self.model, self.loss, self.seed, self.jit = model, loss, seed, jit
        self.device = get_device(device) if device is not None else _device_of(model)
        model.to(self.device)
        self.optimizer = Adam(model.parameters()) if optimizer is None else optimizer
        self.optimizer.to(self.device)
        self.schedule = schedule
        self.accumulate, self.clip_norm, self.clip_value = accumulate, clip_norm, clip_value
        self.ema = None if ema is None else EMA(model.parameters(), ema)
        self.scaler = GradScaler(device=self.device) if precision == "float16" else None
        self._metrics = None if metrics is None else {m: find_metric(m) for m in metrics}
        self.callbacks = list(callbacks)
        self._steps: Steps | None = None
        self.folder = None
        self.facts = {}
        self.begin()

    def fit(
        self,
        train: Dataset | DataLoader,
        validation: Dataset | None = None,
        *,
        epochs: int = 1,
        batch_size: int = 64,
        validation_split: float = 0.0,
        transform: Transform | None = None,
        workers: int = 1,
        out: str | Path | None = None,
        resume: bool | str | Path = False,
        save_every: int | None = None,
        keep: int = 3,
        on_save_error: SaveErrors = "stop",
        progress: str | Progress = "auto",
        facts: Mapping[str, Json] | None = None,
    ) -> History:
        """Train for so many epochs, with a validation after each; returns the history.

        train        shuffled anew each epoch, its last batch smaller if need be; or a DataLoader,
                     for which the next five arguments don't count
        validation   what is evaluated after each epoch; or give validation_split, the part of the
                     training data, taken class by class, that is kept for it
        transform    random changes to the training images: see `tinyaccel.data.transforms`
        workers      threads that prepare batches while the device computes
        out          a folder for checkpoints, history and weights; nothing is written without it
        resume       True: go on from the newest whole checkpoint in `out`; or the path of one
        save_every   batches between two checkpoints; there is one after each epoch anyhow
        keep         how many of them stay, beside that of the best epoch
        on_save_error  "stop" to end training if a checkpoint can't be written; "continue" to be
                     told, and go on
        progress     "auto", "bar", "lines", "json" or "quiet": what is shown meanwhile
        facts        more for the checkpoints to keep

        Ctrl-C or SIGTERM ends it after the step that is going on, with a checkpoint. A run that was
        stopped or killed goes on to weights that are the same to the bit as if it hadn't been, if
        device, versions, threads and jit are the same; what isn't is said.

        Raises `ArgumentError` for an impossible option, a folder that has another run in it, or a
        checkpoint that doesn't fit; `ShapeError` if the model gives fewer outputs than there are
        classes; `TrainError` with the step if a loss isn't finite; `SaveError`; `Interrupted`.
        """
        if validation_split and isinstance(train, Dataset):
            if validation is not None:
                raise ArgumentError("fit: validation and validation_split are given; expected one")
            train, validation = train.split(validation_split, self.seed)
        loader = train
        if isinstance(loader, Dataset):
            loader = DataLoader(
                loader, batch_size, shuffle=True, seed=self.seed, transform=transform,
                workers=workers,
            )  # fmt: skip
        positive("fit", epochs=epochs, **({} if save_every is None else {"save_every": save_every}))
        if on_save_error not in ("stop", "continue"):
            raise ArgumentError(f"fit: on_save_error={on_save_error!r}; expected stop or continue")
        with ExitStack() as stack:
            shown = display(progress) if isinstance(progress, str) else progress
            stack.callback(shown.close)
            if out is not None:
                self.folder = RunFolder(out, keep)
                stack.callback(self.folder.close)
            self.facts = dict(facts or {})
            fitting = Fitting(
                self, loader, validation, epochs=epochs, save_every=save_every,
                on_save_error=on_save_error, display=shown,
                request=stack.enter_context(stop_requests()),
            )  # fmt: skip
            fitting.start(resume)
            fitting.run()
        return self.history

    def steps(self, dataset: Dataset | None) -> Steps:
        """The jitted functions, for data with that many classes."""
        classes = 0 if dataset is None else len(dataset.classes)
        old = self._steps
        if old is None or (dataset is not None and old.classes != classes):
            loss = self.loss or (CrossEntropyLoss() if classes else MSELoss())
            self._steps = Steps(
                self.model, loss, self.optimizer, Totals(self.device, classes > 0), classes,
                self.dtype, self.jit, self.clip_norm, self.clip_value, self.scaler, self.ema,
            )  # fmt: skip
        assert self._steps is not None
        return self._steps

    # Asking

    def evaluate(self, data: Dataset, *, batch_size: int = 256) -> Evaluation:
        """The loss and the metrics on a data set, in evaluation mode; each sample counts once.

        Raises `ShapeError` if the model's outputs don't fit the classes, `TrainError` if the loss
        isn't finite.
        """
        steps, loader = self.steps(data), DataLoader(data, batch_size)
        collected = Collected()
        with self.evaluating():
            for x, y in loader.epoch(0):
                loss, out = steps.test(self.upload(x), self.upload(y))
                collected.add(len(x), loss, out)
        outputs = collected.outputs()
        loss_now = collected.loss(data)
        functions = self._metrics
        if functions is None:
            functions = {"accuracy": find_metric("accuracy")} if data.classes else {}
        metrics = {name: function(outputs, data.y) for name, function in functions.items()}
        return Evaluation(loss_now, metrics, outputs, data.y, data.classes)

    def predict(
        self, x: Dataset | npt.NDArray[Any], *, batch_size: int = 256
    ) -> npt.NDArray[np.float32]:
        """The model's outputs, (N, classes) logits, for a data set or for inputs as it takes them.

        >>> import tinyaccel as ta
        >>> trainer = Trainer(ta.nn.mlp((1, 8, 8)))
        >>> trainer.predict(np.zeros((3, 1, 8, 8), np.float32)).shape
        (3, 10)
        """
        steps, collected = self.steps(None), Collected()
        if not len(x):
            raise ArgumentError("predict: no inputs; expected at least one")
        batches = (
            (batch for batch, _ in DataLoader(x, batch_size).epoch(0))
            if isinstance(x, Dataset)
            else batches_of(np.asarray(x), batch_size)
        )
        with self.evaluating():
            for batch in batches:
                collected.add(len(batch), None, steps.forward(self.upload(batch)))
        return collected.outputs()

    def evaluating(self) -> ExitStack:
        """A context of evaluation mode, in which the weights are the averages, if there are any."""
        stack = ExitStack()
        mode = self.model.training
        stack.callback(self.model.train, mode)
        stack.enter_context(self.ema.applied() if self.ema is not None else nullcontext())
        self.model.eval()
        return stack

    def upload(self, x: npt.NDArray[Any]) -> Tensor:
        """An array of the host on the device."""
        return tensor(x, device=self.device)

    # Keeping

    def checkpoint(self) -> Checkpoint:
        """All that it takes to go on from here.

        Tensors: model, optimizer, ema, scaler, random, totals. Facts: how the model is made
        ("model"), "classes", what is done to pixels ("preprocess"), where training has come to
        ("progress"), its "history", "callbacks", "environment", and those given to `fit`.
        """
        return state_of(self)

    def save(self, path: str | Path) -> None:
        """Write a checkpoint. Raises `SaveError` if that fails."""
        self.checkpoint().write(path)

    def load(self, path: str | Path) -> list[str]:
        """Take up a checkpoint's state; returns what is different here: another device, version...

        Raises `DataError` for a file that is damaged, `ArgumentError` for one that doesn't fit this
        trainer's model or optimizer; nothing is changed then.
        """
        return load_state(self, Checkpoint.read(path), str(path))

    def keep_best(self, monitor: str) -> None:
        """Keep the weights of the epoch in which a figure is best, from now on."""
        if self.best is None or self.best.monitor != monitor:
            self.best = Best(monitor)

    def restore_best(self) -> None:
        """Give the model the weights of the best epoch, if `keep_best` kept any."""
        best = self.best_checkpoint
        if best is None and self.folder is not None and self.folder.best.exists():
            best = Checkpoint.read(self.folder.best)
        if best is not None:
            self.model.load_state_dict(averaged(self.model, best))
            if self.ema is not None:
                self.ema.load_state_dict(best.part("ema"))

    # What `Fitting` changes

    def begin(self) -> None:
        """Start to count anew; model and optimizer are left as they are."""
        self.history = History()
        self.epoch, self.batch, self.step, self.updates, self.seconds = 1, 0, 0, 0, 0.0
        self.stop, self.finished = None, False
        self.best = self.best_checkpoint = None

    def end(self) -> None:
        """Training is over: the model's weights become the averages, where there are any."""
        self.finished = True
        if self.ema is not None:
            with self.ema.applied():
                averages = self.model.state_dict()
            self.model.load_state_dict(averages)

    @property
    def lr(self) -> float:
        """The learning rate of the last update, of the first group of parameters."""
        if isinstance(self.schedule, Schedule):  # which knows it without asking the device
            return self.schedule.at(max(self.updates - 1, 0))[0]
        return self.optimizer.param_groups[0].number("lr")

    def set_rate(self) -> None:
        """Set the learning rate of the next update."""
        if isinstance(self.schedule, Schedule):
            self.schedule.set(self.updates)

    def tell_schedule(self, row: Row) -> None:
        """Let the schedule know how an epoch went, if it wants to."""
        if not isinstance(self.schedule, ReduceLROnPlateau):
            return
        name = "loss" if self.schedule.mode == "min" else "accuracy"
        figure = row.get(f"val_{name}", row.get(name))
        if figure is None:
            raise ArgumentError(
                f"ReduceLROnPlateau: this run has no {name}; expected mode='min', which takes the "
                "loss"
            )
        self.schedule.step(figure)


def positive(owner: str, **options: int) -> None:
    """Raise `ArgumentError` for an option that is no integer of at least 1."""
    for name, value in options.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ArgumentError(f"{owner}: {name}={value!r}; expected an integer, 1 or more")


def _device_of(model: Module) -> Device:
    first = next(model.parameters(), None)
    if first is None:
        raise ArgumentError(
            f"Trainer: {type(model).__name__} has no parameters; nothing can be learnt"
        )
    return first.device
