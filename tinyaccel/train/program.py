"""The whole program of `tinyaccel train` and `tinyaccel resume`: data, model, training, files."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tinyaccel.backend import get_device
from tinyaccel.data.dataset import Dataset, Splits
from tinyaccel.data.plural import counted
from tinyaccel.data.registry import DATASETS, TABLES
from tinyaccel.data.table import features_of
from tinyaccel.errors import ArgumentError, DataError, PackageError, SaveError, TinyaccelError
from tinyaccel.ops.random import manual_seed
from tinyaccel.optim import Schedule
from tinyaccel.storage import write
from tinyaccel.train.build import (
    absolute,
    build_callbacks,
    build_loss,
    build_model,
    build_optimizer,
    build_schedule,
    check_fingerprint,
    check_names,
    fingerprint,
    judged_by,
    load_parts,
    metrics_of,
    start_from,
    transform_of,
)
from tinyaccel.train.callbacks import LambdaCallback
from tinyaccel.train.checkpoint import Json
from tinyaccel.train.config import Config
from tinyaccel.train.display import Progress
from tinyaccel.train.display import progress as display
from tinyaccel.train.environment import environment, threads_limited
from tinyaccel.train.evaluation import Evaluation
from tinyaccel.train.history import History, strict_row
from tinyaccel.train.overview import counts, labels
from tinyaccel.train.recipes import recipe_for
from tinyaccel.train.run_folder import newest, steps_of
from tinyaccel.train.signals import Interrupted, Terminated
from tinyaccel.train.targets import doubt
from tinyaccel.train.trainer import SaveErrors, Trainer

_UNITS = {1: "rows", 3: "images"}  # what a sample is called, by its number of axes


@dataclass(frozen=True)
class Result:
    """What came of a run.

    trainer      the trained model, and all that it was trained with
    config       every option, the recipe's included
    folder       where the files are
    history      a row for each epoch
    part         what the model was judged by at the end: "test", or "validation" where the data
                 has no test part; "training" where it has neither
    evaluation   what it came to
    seconds      wall time of all epochs, validation included
    unit         what a sample is called: "images", "rows" of a table, or "samples"
    """

    trainer: Trainer
    config: Config
    folder: Path
    history: History
    part: str
    evaluation: Evaluation
    seconds: float
    unit: str = "images"

    @property
    def images_per_second(self) -> float:
        """Samples trained on in a second, the mean of all epochs; the first one compiles."""
        rates = [rate for rate in self.history["images_per_second"] if rate]
        return len(rates) / sum(1 / rate for rate in rates)

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose weights the model ended with; None: the last, as none was the best."""
        best = self.trainer.best
        return best.epoch if best is not None and self.trainer.finished else None

    def as_json(self) -> dict[str, Json]:
        """The figures of metrics.json."""
        trainer, config = self.trainer, self.config
        figures = strict_row({"loss": self.evaluation.loss, **self.evaluation.metrics})
        return {
            **{f"{self.part}_{name}": value for name, value in figures.items()},
            "epochs": len(self.history), "epochs_wanted": config.epochs,
            "best_epoch": self.best_epoch, "stopped": trainer.stop, "seconds": self.seconds,
            "images_per_second": self.images_per_second,
            "data": config.data, "model": config.model,
            "parameters": sum(p.size for p in trainer.model.parameters()),
            "seed": config.seed, "folder": str(self.folder),
            **environment(trainer.device, trainer.jit),
        }  # fmt: skip


def run(config: Config, *, out: str | Path | None = None, progress: str = "auto") -> Result:
    """Train a model on data as a config says, and leave everything that came of it in a folder.

    config    what it leaves open is as the data set's recipe has it
    out       the folder; default: a fresh one under `runs/`
    progress  what is shown meanwhile: "auto", "bar", "lines", "json", "quiet"

    The folder has config.toml, checkpoints/, history.csv and .json, model.safetensors with the
    weights, curves.png; and, of the model at its end, metrics.json and confusion.png. With a
    validation part the model ends with the weights of its best epoch, else with the last ones.

    Raises what `load`, `make_model` and `Trainer.fit` raise, and `ArgumentError` or `DeviceError`
    for an unknown name, before any data is read.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp() + "/run"
    >>> result = run(Config(model="mlp", epochs=3, device="cpu"), out=folder, progress="quiet")
    >>> result.part, result.evaluation.accuracy > 0.8
    ('test', True)
    """
    check_names(config)
    if out is not None and steps_of(Path(out)):
        raise ArgumentError(
            f"{out} has a run in it already; go on with it: tinyaccel resume {out}, or choose "
            "another folder with --out (out=)"
        )
    shown = display(progress)
    splits = load_parts(config, progress, shown)
    config = absolute(config.completed(recipe_for(config.data, splits.train.shape).options()))
    folder = Path(out) if out is not None else _fresh_folder("runs", _short(config.data))
    try:
        with threads_limited(config.threads):
            return _run(config, splits, folder, shown=shown, resume=False)
    finally:
        if out is None and not steps_of(folder):  # nothing came of it
            shutil.rmtree(folder, ignore_errors=True)


def resume(
    folder: str | Path,
    *,
    epochs: int | None = None,
    changes: Mapping[str, object] | None = None,
    progress: str = "auto",
) -> Result:
    """Go on with a run from its newest whole checkpoint, as if it hadn't been stopped.

    folder    of the run
    epochs    how many more than were planned; a schedule of the learning rate that depends on the
              whole length is then that of the new length. Default: what is left of them
    changes   options of the config that are others from now on: device, data_dir, keep, ...
    progress  as for `run`

    On the device that it ran on, unless `changes` has another. A run that was killed after its last
    epoch is judged, and its files are written. Raises `DataError` if the folder has
    no whole checkpoint, `ArgumentError` if the data isn't what it was, or if nothing is left to do.
    """
    where = Path(folder)
    _, checkpoint, _ = newest(where)
    facts = cast("dict[str, Any]", checkpoint.facts)
    if "config" not in facts:
        raise DataError(
            f"resume: {folder} wasn't written by tinyaccel train; go on with it by the program "
            "that began it: fit(..., out=..., resume=True)"
        )
    config = Config.from_json(facts["config"]).merged({"device": facts["environment"]["device"]})
    config = config.merged(changes or {})
    planned = cast("int", config.epochs)
    if epochs is not None:
        config = config.merged({"epochs": planned + epochs})
    elif facts["progress"]["epoch"] > planned and (where / "metrics.json").exists():
        raise ArgumentError(
            f"resume: {folder} has finished its {counted(planned, 'epoch')}; say how many more "
            "with --epochs (epochs=)"
        )
    check_names(config)
    shown = display(progress)
    splits = load_parts(config, progress, shown, again=True)
    check_fingerprint(facts.get("fingerprint"), fingerprint(splits.train), str(folder))
    before = None if epochs is None else planned
    with threads_limited(config.threads):
        result = _run(config, splits, where, shown=shown, resume=True, before=before)
    done = len(cast("list[Json]", facts["history"]))
    if epochs is not None and result.best_epoch is not None and result.best_epoch <= done:
        shown.message(
            f"the best epoch is still {result.best_epoch}: {counted(epochs, 'more epoch')} "
            f"{'has' if epochs == 1 else 'have'}n't helped"
        )
    return result


def _run(
    config: Config,
    splits: Splits[Dataset, Dataset | None],
    folder: Path,
    *,
    shown: Progress,
    resume: bool,
    before: int | None = None,
) -> Result:
    """Train, judge, write: `config` is complete, `splits` is its data.

    before  how many epochs were planned, where there are to be more now
    """
    manual_seed(config.seed)
    model = build_model(config, splits.train)
    if config.weights is not None and not resume:
        start_from(model, config.weights, shown)
    assert config.batch_size is not None and config.epochs is not None
    model.to(get_device(config.device))
    optimizer = build_optimizer(config, model)
    trainer = Trainer(
        model,
        loss=build_loss(config, splits.train),
        optimizer=optimizer,
        schedule=build_schedule(config, optimizer, _updates(config, len(splits.train))),
        metrics=metrics_of(config, splits.train.classes),
        seed=config.seed,
        jit=config.jit,
        precision=config.precision,
        accumulate=config.accumulate,
        clip_norm=config.clip_norm,
        clip_value=config.clip_value,
        ema=config.ema,
        callbacks=build_callbacks(config, splits),
    )
    size = sum(p.size for p in model.parameters())
    what = f"{counts(splits)}; {config.model}, {size:,} weights; {trainer.device}; {folder}"

    def say(_: Trainer) -> None:
        shown.message(what)
        shown.message(labels(splits))
        if before is not None:
            _say_rate(trainer, config, before, shown)

    trainer.callbacks.append(LambdaCallback(on_train_begin=say))
    unit = shown.unit = _UNITS.get(len(splits.train.shape), "samples")
    try:
        history = trainer.fit(
            splits.train,
            splits.validation,
            epochs=config.epochs,
            batch_size=config.batch_size,
            transform=transform_of(config),
            workers=config.workers,
            out=folder,
            resume=resume,
            save_every=config.save_every,
            keep=config.keep,
            on_save_error=cast("SaveErrors", config.on_save_error),
            progress=shown,
            facts={
                "config": config.as_json(),
                "fingerprint": fingerprint(splits.train),
                "columns": _columns(config),
            },
        )
    except (TinyaccelError, Interrupted, Terminated):
        if len(trainer.history):  # to look at, whether or not it is gone on with
            with contextlib.suppress(KeyboardInterrupt):  # the first one says how to go on
                _make(shown, lambda: trainer.history.plot(folder / "curves.png"))
        raise
    part, judged = judged_by(splits)
    evaluation = trainer.evaluate(judged)
    if (warning := doubt(part, evaluation)) is not None:
        shown.message(warning)
    result = Result(trainer, config, folder, history, part, evaluation, trainer.seconds, unit)
    _write_files(result, shown)
    return result


def _columns(config: Config) -> Json:
    """The names of the columns that a table's numbers come from; None for other data."""
    if config.data in DATASETS or Path(config.data).suffix.lower() not in TABLES:
        return None
    label = -1 if config.label is None else config.label
    return [*features_of(config.data, label=label, ignore=config.ignore or ())]


def _say_rate(trainer: Trainer, config: Config, before: int, shown: Progress) -> None:
    """What more epochs than were planned make of the learning rate, if anything."""
    rates = [row.get("lr") for row in trainer.history.rows]
    if not rates or rates[-1] is None or not isinstance(trainer.schedule, Schedule):
        return
    old, new = rates[-1], trainer.schedule.at(trainer.updates)[0]
    if abs(new - old) > 0.01 * max(new, old):
        shown.message(
            f"the learning rate goes on at {new:.2g}, after {old:.2g}: schedule {config.schedule} "
            f"is over {config.epochs} epochs now, no longer over {before}"
        )


def _updates(config: Config, samples: int) -> int:
    """How many updates there are in an epoch: after every few batches, and after the last."""
    assert config.batch_size is not None
    batches = -(-samples // min(config.batch_size, samples))
    return -(-batches // config.accumulate)


def _write_files(result: Result, shown: Progress) -> None:
    """metrics.json and the pictures; one that can't be made is told of and left out."""

    def figures() -> None:
        text = json.dumps(result.as_json(), indent=2, allow_nan=False)
        write(result.folder / "metrics.json", text + "\n")

    def pictures() -> None:
        result.history.plot(result.folder / "curves.png")
        if result.evaluation.classes:
            result.evaluation.report().plot_confusion(result.folder / "confusion.png")

    _make(shown, figures)
    _make(shown, pictures)


def _make(shown: Progress, file: Callable[[], None]) -> None:
    try:
        file()
    except (PackageError, SaveError) as error:
        shown.message(str(error))


def _short(data: str) -> str:
    """A name for the folder of a run on that data."""
    if data in DATASETS:
        return data
    return re.sub(r"[^\w.-]+", "-", Path(data).stem).strip("-.") or "run"


def _fresh_folder(parent: str | Path, name: str) -> Path:
    """A new, empty folder parent/name-001, or -002, ..., the first that isn't there."""
    number = 0
    while True:
        number += 1
        folder = Path(parent) / f"{name}-{number:03d}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise ArgumentError(
                f"out: {folder} can't be made: {error.strerror}; name another folder with --out"
            ) from error
        return folder
