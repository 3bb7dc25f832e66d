"""Fitting: one run of `Trainer.fit`, epoch by epoch; what is logged and saved, and when."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tinyaccel.data.dataset import Dataset
from tinyaccel.data.loader import DataLoader
from tinyaccel.errors import ArgumentError, DataError, SaveError, TrainError
from tinyaccel.ops.random import default_generator
from tinyaccel.optim import Schedule
from tinyaccel.tensor import Tensor, tensor
from tinyaccel.train.callbacks import Row
from tinyaccel.train.checkpoint import Checkpoint, Json
from tinyaccel.train.display import Progress
from tinyaccel.train.run_folder import newest, steps_of
from tinyaccel.train.signals import StopRequest
from tinyaccel.train.state import load_state
from tinyaccel.train.totals import Figures
from tinyaccel.train.weights import save_weights

if TYPE_CHECKING:
    from tinyaccel.train.trainer import Trainer


class Fitting:
    """One call of `Trainer.fit`: what it was given, and its clock. The state is the trainer's."""

    def __init__(
        self,
        trainer: Trainer,
        loader: DataLoader,
        validation: Dataset | None,
        *,
        epochs: int,
        save_every: int | None,
        on_save_error: str,
        display: Progress,
        request: StopRequest,
    ) -> None:
        self.trainer, self.loader, self.validation = trainer, loader, validation
        self.epochs, self.save_every, self.on_save_error = epochs, save_every, on_save_error
        self.display, self.request = display, request
        train = loader.dataset
        if validation is not None and len(validation.classes) > len(train.classes):
            raise ArgumentError(
                f"fit: {validation.name} has {len(validation.classes)} classes, {train.name} "
                f"{len(train.classes)}; the model can't learn what it never sees: use data sets "
                "with the same classes"
            )
        self.steps = trainer.steps(train)
        self.saved: Path | None = None
        self._last = trainer.step  # when a checkpoint was last due
        self._facts = _loader_facts(loader, trainer.accumulate)
        trainer.facts.update(
            classes=list(train.classes), loader=self._facts,
            preprocess={"mean": _plain(train.mean), "std": _plain(train.std),
                        "shape": list(train.shape)},
        )  # fmt: skip
        if "model" not in trainer.facts:
            trainer.facts["model"] = getattr(trainer.model, "config", None)

    def start(self, resume: bool | str | Path) -> None:
        """Begin anew, or where a checkpoint was saved."""
        trainer = self.trainer
        trainer.stop, trainer.finished = None, False
        if resume:
            self._resume(resume)
        elif trainer.folder is not None and steps_of(trainer.folder.path):
            raise ArgumentError(
                f"fit: {trainer.folder.path} has a run in it already; go on with it (resume=True, "
                "tinyaccel resume), or choose another folder"
            )
        else:
            trainer.begin()
            default_generator(trainer.device).seed(trainer.seed)
        trainer.optimizer.zero_grad()

    def _resume(self, resume: bool | str | Path) -> None:
        trainer = self.trainer
        if resume is True:
            if trainer.folder is None:
                raise ArgumentError("fit: resume=True without out=; name the run's folder, too")
            path, checkpoint, problems = newest(trainer.folder.path)
            for problem in problems:
                self.display.message(f"{problem} (an older checkpoint serves)")
        else:
            path = Path(cast("str | Path", resume))
            checkpoint = Checkpoint.read(path)
        _same_batches(checkpoint.facts.get("loader"), self._facts, path)
        changed = load_state(trainer, checkpoint, str(path))
        self.saved, self._last = path, trainer.step
        self.display.message(f"going on from {path}: epoch {trainer.epoch}, step {trainer.step}")
        if changed:
            self.display.message(
                f"not where it was saved: {', '.join(changed)}; weights can differ in last bits"
            )

    # The loop

    def run(self) -> None:
        """All epochs that are left."""
        trainer = self.trainer
        self._began, self._before = time.perf_counter(), trainer.seconds
        self.display.start(self.epochs, len(self.loader), trainer.epoch, trainer.batch)
        mode = trainer.model.training
        try:
            for callback in trainer.callbacks:
                callback.on_train_begin(trainer)
            while trainer.epoch <= self.epochs and trainer.stop is None:
                self._epoch()
            if trainer.stop is not None:
                self.display.message(f"stopped: {trainer.stop}")
            trainer.end()
        finally:
            for callback in trainer.callbacks:
                callback.on_train_end(trainer)
            trainer.model.train(mode)
            self._clock()
        folder = trainer.folder
        if folder is not None:
            self._saving(lambda: save_weights(trainer.model, folder.path / "model.safetensors"))

    def _epoch(self) -> None:
        trainer = self.trainer
        began = self._looked = time.perf_counter()
        seconds_before = trainer.seconds
        self._snapshot: dict[str, Tensor] | None = None
        self._rate = trainer.lr
        if not trainer.batch:
            self.steps.totals.reset()
        self._samples = done_before = self.steps.totals.figures().samples
        trainer.model.train()
        for callback in trainer.callbacks:
            callback.on_epoch_begin(trainer, trainer.epoch)
        for x, y in self.loader.epoch(trainer.epoch, start=trainer.batch):
            self._step(x, y)
            self._log()
            if self._at_update():
                self._keep()
        figures = self._checked()
        trained = time.perf_counter() - began
        row: Row = {"epoch": trainer.epoch, "loss": figures.loss}
        if figures.accuracy is not None:
            row["accuracy"] = figures.accuracy
        if self.validation is not None:
            tested = trainer.evaluate(self.validation, batch_size=self.loader.batch_size)
            row["val_loss"] = tested.loss
            row.update({f"val_{name}": value for name, value in tested.metrics.items()})
        row["lr"] = trainer.lr
        row["images_per_second"] = (figures.samples - done_before) / max(trained, 1e-9)
        row["seconds"] = self._clock() - seconds_before
        trainer.history.append(row)
        trainer.tell_schedule(row)
        trainer.epoch, trainer.batch = trainer.epoch + 1, 0
        for callback in trainer.callbacks:
            callback.on_epoch_end(trainer, row)
        best = trainer.best is not None and trainer.best.improves(row)
        self._save(best=best)
        self.display.epoch(row)
        self._obey()

    def _step(self, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> None:
        """One batch; an update after every `accumulate` batches, and after the epoch's last."""
        trainer = self.trainer
        if trainer.batch % trainer.accumulate == 0:
            trainer.set_rate()
        data, target = trainer.upload(x), trainer.upload(y)
        trainer.batch += 1
        trainer.step += 1
        if trainer.accumulate == 1:
            self.steps.whole(data, target)
        else:
            share = np.float32(len(x) / self._group(trainer.batch - 1))
            self.steps.part(data, target, tensor(share, device=trainer.device))
            if self._at_update():
                self.steps.update()
        if self._at_update():
            trainer.updates += 1

    def _at_update(self) -> bool:
        batch = self.trainer.batch
        return batch % self.trainer.accumulate == 0 or batch == len(self.loader)

    def _group(self, batch: int) -> int:
        """How many samples there are in the batches whose gradients make one update."""
        size, first = self.loader.batch_size, batch - batch % self.trainer.accumulate
        all_of_them = len(self.loader) * size
        if not self.loader.drop_last:
            all_of_them = min(all_of_them, len(self.loader.dataset))
        return min((first + self.trainer.accumulate) * size, all_of_them) - first * size

    def _log(self) -> None:
        """Now and then, show the figures of the last time: the device has come to them by now."""
        now = time.perf_counter()
        if now - self._looked < self.display.interval:
            return
        seconds, self._looked = now - self._looked, now
        old, self._snapshot = self._snapshot, self.steps.totals.snapshot()
        if old is None:
            return
        figures = self.steps.totals.figures(old)
        if figures.first_bad is not None:
            raise self._diverged(figures.first_bad)
        trainer = self.trainer
        shown: dict[str, float] = {
            "epoch": trainer.epoch, "step": trainer.batch, "loss": figures.loss,
            "images_per_second": (figures.samples - self._samples) / seconds,
        }  # fmt: skip
        self._samples = figures.samples
        if figures.accuracy is not None:
            shown["accuracy"] = figures.accuracy
        shown["lr"] = trainer.lr if isinstance(trainer.schedule, Schedule) else self._rate
        self.display.update(shown)
        for callback in trainer.callbacks:
            callback.on_log(trainer, {**shown, "step": trainer.step})

    # Keeping

    def _keep(self) -> None:
        """Save if it is time to, or if somebody wants to stop."""
        due = self.save_every is not None and self.trainer.step - self._last >= self.save_every
        if due or self.request:
            self._checked()
            self._save()
        self._obey()

    def _obey(self) -> None:
        if self.request:
            raise self.request.stop(self._how_to_go_on())

    def _save(self, *, best: bool = False) -> None:
        """A checkpoint of now; if it can't be written, training goes on only if asked to."""
        trainer = self.trainer
        self._last = trainer.step
        self._clock()
        if trainer.folder is None and not best:
            return
        checkpoint = trainer.checkpoint()
        if best:
            trainer.best_checkpoint = checkpoint  # until the folder has it, or where there is none
        if trainer.folder is None:
            return
        folder = trainer.folder

        def write() -> None:
            self.saved = folder.save(checkpoint, trainer.step, best=best)
            if best:
                trainer.best_checkpoint = None
            if not trainer.batch:
                folder.write("history.csv", trainer.history.as_csv())
                folder.write("history.json", trainer.history.as_json())

        self._saving(write)

    def _saving(self, write: Callable[[], object]) -> None:
        """Write something; whether its failure ends training is the user's choice."""
        try:
            write()
        except SaveError as error:
            if self.on_save_error == "stop":
                raise SaveError(f"{error}; {self._how_to_go_on()}") from error
            self.display.message(f"not saved: {error}")

    def _checked(self) -> Figures:
        """The epoch's figures so far. Raises `TrainError` if a loss of this run wasn't finite."""
        figures = self.steps.totals.figures()
        if figures.first_bad is not None:
            raise self._diverged(figures.first_bad)
        return figures

    def _diverged(self, step: int) -> TrainError:
        epoch, batch = divmod(step - 1, len(self.loader))
        kept = f"; the last good checkpoint is {self.saved}" if self.saved is not None else ""
        helps = "--lr, --clip-norm" if "config" in self.trainer.facts else "lr, clip_norm"
        return TrainError(
            f"fit: the loss is no finite number at epoch {epoch + 1}, step {batch + 1}; try a "
            f"smaller {helps}, or look for extreme values in the data{kept}"
        )

    def _how_to_go_on(self) -> str:
        trainer = self.trainer
        reached = f"epoch {trainer.epoch}, step {trainer.batch} of {len(self.loader)}"
        if trainer.folder is None:
            return f"stopped at {reached}; nothing was saved, since no folder was named (out=)"
        folder = trainer.folder.path
        if self.saved is None and trainer.folder.best.exists():
            self.saved = trainer.folder.best
        if self.saved is None:
            return f"stopped at {reached}; nothing has been saved in {folder}"
        command = f"tinyaccel resume {folder}"
        if "config" not in trainer.facts:  # it wasn't the program that began it
            command = f"fit(..., out={str(folder)!r}, resume=True)"
        return f"stopped at {reached}; saved in {self.saved}; go on with: {command}"

    def _clock(self) -> float:
        """The seconds that training has taken so far, those before a resume included."""
        self.trainer.seconds = self._before + time.perf_counter() - self._began
        return self.trainer.seconds


def _loader_facts(loader: DataLoader, accumulate: int) -> dict[str, Json]:
    """What has to be equal for the rest of an epoch to be the rest of the same epoch."""
    return {
        "samples": len(loader.dataset), "batch_size": loader.batch_size, "seed": loader.seed,
        "shuffle": loader.shuffle, "drop_last": loader.drop_last,
        "transform": repr(loader.transform) if loader.transform is not None else None,
        "accumulate": accumulate,
    }  # fmt: skip


def _same_batches(old: Json, new: dict[str, Json], path: Path) -> None:
    if not isinstance(old, dict):
        raise DataError(f"{path} doesn't say which batches it was trained on; use another")
    wrong = [f"{k} {new[k]!r} instead of {old.get(k)!r}" for k in new if new[k] != old.get(k)]
    if wrong:
        raise ArgumentError(
            f"{path} was trained on other batches: {', '.join(wrong)}; resume with the same data "
            "and options, or start anew"
        )


def _plain(value: Any) -> Json:
    """A number, or one for each channel, as JSON has them."""
    array = np.asarray(value, np.float64)
    return cast(Json, array.tolist())
