"""What a Config names, built: data, model, optimizer, schedule, callbacks."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from tinyaccel import optim
from tinyaccel.backend import get_device
from tinyaccel.data.dataset import Dataset, Splits
from tinyaccel.data.plural import counted
from tinyaccel.data.registry import DATASETS, load
from tinyaccel.data.suggest import near
from tinyaccel.data.transforms import Transform, augmentation
from tinyaccel.errors import ArgumentError
from tinyaccel.nn import CrossEntropyLoss, Module
from tinyaccel.nn.models import MODELS, make_model
from tinyaccel.optim import Optimizer, Schedule
from tinyaccel.storage import read_tensors
from tinyaccel.train.callbacks import Callback, EarlyStopping
from tinyaccel.train.checkpoint import Checkpoint, Json
from tinyaccel.train.config import SCHEDULES, Config
from tinyaccel.train.display import Progress
from tinyaccel.train.metrics import find_metric
from tinyaccel.train.state import averaged
from tinyaccel.train.steps import LossFunction
from tinyaccel.train.targets import (
    InRows,
    Rescaled,
    network_of,
    network_state,
    remade,
    squared_error,
    units_of,
)
from tinyaccel.train.tensorboard import TensorBoard
from tinyaccel.train.trainer import Trainer

VALIDATION_SPLIT = 0.1  # of data that has no part of its own for it, unless told otherwise
_SAMPLED = 32  # pictures that a fingerprint looks at, beside all labels


def check_names(config: Config) -> None:
    """Say what is wrong with names before any data is read, or even downloaded."""
    get_device(config.device)
    if config.model is not None and config.model not in MODELS:
        make_model(config.model)  # which says it
    for name in config.metrics:
        find_metric(name)
    transform_of(config)
    if config.weights is not None:
        read_tensors(config.weights)


# Data


def load_parts(
    config: Config, progress: str, show: Progress, *, again: bool = False
) -> Splits[Dataset, Dataset | None]:
    """The data of a run in its parts; some of it held out to validate, if that is wanted.

    progress  how reading and downloading is shown; show: where a message goes
    again     whether it is the data of a run that has told of it: then nothing is told again

    Targets are (N, k) here, as the models' outputs are. Raises what `load` raises, and
    `ArgumentError` for an option that this data has no use for.
    """
    splits = _load(config, progress, notes=not again)
    if transform_of(config) is not None and len(splits.train.shape) != 3:
        raise ArgumentError(
            f"--augment {config.augment} is for pictures, but {splits.train.name} has "
            f"{_samples(splits.train)}; leave it out"
        )
    fraction = config.validation_split
    if splits.validation is not None:
        if fraction:
            raise ArgumentError(
                f"validation_split={fraction}: {config.data} has a part for validation; leave "
                "the option out"
            )
        return splits
    if fraction is None:
        fraction = VALIDATION_SPLIT
        if round(fraction * len(splits.train)) == 0:
            if not again:
                few = counted(len(splits.train), "sample")
                show.message(f"no validation: {config.data} has only {few}")
            fraction = 0.0
    if not fraction:
        return splits
    train, validation = splits.train.split(fraction, config.seed)
    return Splits(train, splits.test, validation)


def _load(config: Config, progress: str, notes: bool) -> Splits[Dataset, Dataset | None]:
    splits = load(
        config.data, config.data_dir, download=config.download, image_size=config.image_size,
        color=cast("Any", config.color), skip_bad=config.skip_bad, label=_column(config.label),
        ignore=config.ignore or (), progress=progress, notes=notes,
    )  # fmt: skip
    train, test, validation = splits.train, splits.test, splits.validation
    if train.classes or train.y.ndim == 2:
        return splits
    return Splits(
        InRows(train),
        None if test is None else InRows(test),
        None if validation is None else InRows(validation),
    )


def _samples(data: Dataset) -> str:
    """What a sample of it is, in words."""
    if len(data.shape) == 1:
        return f"rows of {counted(data.shape[0], 'number')}"
    return f"samples of {' x '.join(map(str, data.shape))}"


def _column(label: str | None) -> str | int | None:
    """A table's column by number, if it looks like one, else by name."""
    if label is None or not label.removeprefix("-").isdecimal():
        return label
    return int(label)


def judged_by(splits: Splits[Dataset, Dataset | None]) -> tuple[str, Dataset]:
    """What a model is judged by at the end, and what to call it."""
    if splits.test is not None:
        return "test", splits.test
    if splits.validation is not None:
        return "validation", splits.validation
    return "training", splits.train


def fingerprint(dataset: Dataset) -> dict[str, Json]:
    """What tells one data set from another: how many, of what shape, a digest of what is in it.

    The digest is a SHA-256 of all labels and of the pixels of some samples.
    """
    n = len(dataset)
    labels = dataset.y
    digest = hashlib.sha256(labels.astype(labels.dtype.newbyteorder("<")).tobytes())
    some = np.unique(np.linspace(0, n - 1, min(n, _SAMPLED)).astype(np.int64))
    pixels = dataset.pixels(some)
    digest.update(pixels.astype(pixels.dtype.newbyteorder("<")).tobytes())
    return {
        "samples": n, "shape": [*dataset.shape], "classes": [*dataset.classes],
        "digest": digest.hexdigest(),
    }  # fmt: skip


def check_fingerprint(old: Json, new: Mapping[str, Json], where: str) -> None:
    """Raise `ArgumentError` if this isn't the data that a run was trained on."""
    known = old if isinstance(old, dict) else {}
    wrong = [name for name in new if known.get(name) != new[name]]
    if not wrong:
        return
    shown = [f"{k} {new[k]} instead of {known.get(k)}" for k in wrong if k != "digest"]
    raise ArgumentError(
        f"resume: the training data isn't what {where} was trained on: "
        f"{', '.join(shown) or 'other labels or pixels'}; put the data back, or begin a new run "
        "with --weights"
    )


def absolute(config: Config) -> Config:
    """With paths that hold from any folder, so that a run can be gone on with from anywhere."""
    paths = {"data_dir": config.data_dir, "weights": config.weights}
    if config.data not in DATASETS:
        paths["data"] = config.data
    return config.merged(
        {k: str(Path(v).expanduser().absolute()) for k, v in paths.items() if v is not None}
    )


# What learns


def build_model(config: Config, train: Dataset) -> Module:
    """The network, with fresh weights, for samples and classes like these.

    For targets it is `Rescaled` to their units. Raises `ArgumentError` for a model that isn't for
    samples of this kind, and what `make_model` raises.
    """
    assert config.model is not None
    options = cast("dict[str, Any]", config.model_options)
    outputs = len(train.classes) or train.y.shape[1]
    try:
        network = make_model(config.model, train.shape, outputs, **options)
    except ArgumentError as error:
        if len(train.shape) == 3:
            raise  # of pictures it says what is wrong itself: they are too small, say
        make_model(config.model, **options)  # an impossible option says so
        raise ArgumentError(
            f"--model {config.model} isn't for {_samples(train)}, which {train.name} has; take "
            "--model mlp"
        ) from error
    return network if train.classes else Rescaled(network, *units_of(train.y))


def start_from(model: Module, path: str, show: Progress) -> None:
    """Take those weights from a file that fit the model, and say which stay fresh.

    So a network for other classes can start from one that was trained before. `path` is a
    checkpoint or any safetensors file with the model's names. Raises `DataError` for a file that
    can't be read, `ArgumentError` if nothing in it fits.
    """
    state, metadata = read_tensors(path)
    if "facts" in metadata:
        checkpoint = Checkpoint.read(path)
        state = checkpoint.part("model")
        if checkpoint.facts.get("model"):
            # Averages go by the place of a parameter in its own model.
            state = averaged(remade(checkpoint), checkpoint)
    # The units of other targets aren't taken over.
    network, state = network_of(model), network_state(state)
    own = network.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    fresh = [f"{name} {list(own[name].shape)}" for name in own if name not in fitting]
    if not fitting:
        raise ArgumentError(
            f"weights: none of the {len(state)} tensors of {path} fits the model; expected names "
            f"and shapes as in {', '.join(fresh[:2])}"
        )
    network.load_state_dict(fitting, strict=False)
    left = f"; fresh: {', '.join(fresh)}" if fresh else ""
    show.message(f"weights: {len(fitting)} of {len(own)} tensors from {path}{left}")


def build_optimizer(config: Config, model: Module) -> Optimizer:
    """The optimizer over all parameters."""
    assert config.optimizer is not None and config.lr is not None
    make: type[Optimizer] = getattr(optim, config.optimizer)
    known = inspect.signature(make).parameters
    momentum = config.momentum
    if momentum is None and config.optimizer == "SGD":
        momentum = 0.9
    options: dict[str, float] = {}
    for name, value in (("momentum", momentum), ("weight_decay", config.weight_decay)):
        if value is None:
            continue
        if name not in known:
            raise ArgumentError(
                f"{name}={value}: {config.optimizer} has no {name}; leave it out, or choose "
                "another optimizer"
            )
        options[name] = value
    optimizer: Optimizer = cast("Any", make)(model.parameters(), lr=config.lr, **options)
    return optimizer


def build_schedule(config: Config, optimizer: Optimizer, updates: int) -> Schedule | None:
    """The schedule of the learning rate; None where it stays as it is.

    updates  how many there are in an epoch
    """
    assert config.schedule is not None and config.epochs is not None
    warming = round(config.warmup * updates)
    total = config.epochs * updates
    if warming >= total:
        raise ArgumentError(
            f"warmup={config.warmup:g} epochs of {config.epochs}; expected fewer than all of them"
        )
    main = _main_schedule(config, optimizer, total - warming, updates)
    if not warming:
        return main
    # From lr / n to lr in n updates, the first of which isn't lost on a rate of 0.
    rising = optim.LinearLR(optimizer, 1 / warming, 1.0, warming)
    if main is None:
        return rising
    return optim.SequentialLR(optimizer, [rising, main], [warming])


def _main_schedule(
    config: Config, optimizer: Optimizer, total: int, updates: int
) -> Schedule | None:
    """What comes after warming up, for `total` updates, of which an epoch has `updates`."""
    name = cast("str", config.schedule)
    given = {**SCHEDULES[name], **cast("dict[str, float]", config.schedule_options)}
    if name == "step":
        every = max(1, round(given["every"] * updates))
        return optim.StepLR(optimizer, every, given["gamma"])
    if name == "exponential":
        return optim.ExponentialLR(optimizer, given["gamma"] ** (1 / updates))
    if name == "cosine":
        return optim.CosineAnnealingLR(optimizer, total, given["min_lr"])
    if name == "onecycle":
        assert config.lr is not None
        return optim.OneCycleLR(
            optimizer, config.lr, total, cycle_momentum=False, **cast("Any", given)
        )
    if name == "linear":
        return optim.LinearLR(optimizer, 1.0, given["end_factor"], total)
    return None


def build_loss(config: Config, train: Dataset) -> LossFunction | None:
    """The loss, where it isn't the trainer's own choice."""
    if not config.label_smoothing:
        return None if train.classes else squared_error(units_of(train.y)[1])
    if not train.classes:
        raise ArgumentError(
            f"label_smoothing={config.label_smoothing}: {train.name} has targets, not classes; "
            "leave it out"
        )
    return CrossEntropyLoss(label_smoothing=config.label_smoothing)


def transform_of(config: Config) -> Transform | None:
    """The random changes to training images, or None."""
    if config.augment is None or config.augment == "none":
        return None
    return augmentation(config.augment)


def metrics_of(config: Config, classes: Sequence[str]) -> tuple[str, ...]:
    """The metrics by name; where there are no classes, those of targets by default."""
    if not classes and config.metrics == Config().metrics:
        return ("mae", "r2")
    return config.metrics


class KeepBest(Callback):
    """The model ends with the weights of the epoch in which a figure was best."""

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor

    def on_train_begin(self, trainer: Trainer) -> None:
        trainer.keep_best(self.monitor)

    def on_train_end(self, trainer: Trainer) -> None:
        if trainer.finished:
            trainer.restore_best()


class KeepConfig(Callback):
    """Writes the options of a run into its folder, for a person to read and to use again."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def on_train_begin(self, trainer: Trainer) -> None:
        if trainer.folder is not None:
            trainer.folder.write("config.toml", self.config.as_toml())


def build_callbacks(config: Config, splits: Splits[Dataset, Dataset | None]) -> list[Callback]:
    """What happens beside training."""
    callbacks: list[Callback] = [KeepConfig(config)]
    monitor = monitored(config, splits)
    if config.early_stopping is not None:
        callbacks.append(EarlyStopping(config.early_stopping, monitor or "loss"))
    elif monitor is not None:
        callbacks.append(KeepBest(monitor))
    if config.tensorboard:
        callbacks.append(TensorBoard(config=config.as_json()))
    return callbacks


def monitored(config: Config, splits: Splits[Dataset, Dataset | None]) -> str | None:
    """The figure by which the best epoch is found; None for the last epoch instead.

    Raises `ArgumentError`, before any training, for one that the run won't have.
    """
    figures = ["loss"] + (["accuracy"] if splits.train.classes else [])
    if splits.validation is not None:
        metrics = metrics_of(config, splits.train.classes)
        figures += ["val_loss", *(f"val_{name}" for name in metrics)]
    if config.monitor is None:
        return "val_loss" if splits.validation is not None else None
    if config.monitor not in figures:
        raise ArgumentError(
            f"monitor {config.monitor!r} is no figure of this run{near(config.monitor, figures)}; "
            f"expected one of {', '.join(figures)}"
        )
    return config.monitor
