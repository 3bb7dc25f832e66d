"""TensorBoard: a run's figures, settings and weights, for TensorBoard to draw while it trains."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyaccel.errors import ArgumentError, SaveError
from tinyaccel.extras import optional
from tinyaccel.train.callbacks import Callback, Row

if TYPE_CHECKING:
    from tinyaccel.train.trainer import Trainer

_BUCKETS = 64  # of a histogram
_FLUSH_SECONDS = 10.0  # how old what TensorBoard doesn't see yet may be


class TensorBoard(Callback):
    """Writes what TensorBoard shows: `tensorboard --logdir FOLDER`.

    folder      where; made if need be. Default: "tensorboard" in the run's folder
    histograms  whether to write each parameter's values after each epoch, too: a copy of all
                weights to the host
    config      what is shown as text: a mapping, written as JSON, or a text
    hparams     settings by which TensorBoard compares runs; None values are left out

    Scalars, by the step of the whole run (batches):

        loss, accuracy, lr, images_per_second  now and then, as training logs them
        epoch/loss, epoch/val_loss, ...        after each epoch: every figure of its row

    A figure that isn't finite is left out. A run that is resumed begins a new file, which hides
    what the stopped one wrote after its checkpoint. If a file can't be written later on, a warning
    says so, and training goes on without.

    Raises `PackageError` without tensorboardX; `SaveError` as training begins, if the folder can't
    be written to; `ArgumentError` if neither the callback nor the run has a folder.

    Format: TensorFlow, TFRecord files of Event protocol buffers, as tensorboardX defines them.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        histograms: bool = False,
        config: Mapping[str, object] | str | None = None,
        hparams: Mapping[str, str | int | float | bool | None] | None = None,
    ) -> None:
        self._library: Any = optional("tensorboardX", "TensorBoard")
        self._events: Any = optional("tensorboardX.proto.event_pb2", "TensorBoard")
        self._summary: Any = optional("tensorboardX.summary", "TensorBoard")
        self._folder = None if folder is None else Path(folder)
        self._histograms, self._config = histograms, config
        self._hparams = dict(hparams or {})
        # tensorboardX's SummaryWriter writes from a thread: once that fails, as on a full disk,
        # the training waits for ever at its full queue. Its RecordWriter raises here and now.
        self._writer: Any = None
        self._flushed = -math.inf

    def on_train_begin(self, trainer: Trainer) -> None:
        folder = self._folder
        if folder is None:
            if trainer.folder is None:
                raise ArgumentError(
                    "TensorBoard: neither it nor the run has a folder; give TensorBoard(folder)"
                )
            folder = trainer.folder.path / "tensorboard"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = self._library.RecordWriter(str(_fresh(folder)))
            step = trainer.step
            self._write(step, file_version="brain.Event:2")
            if step:  # resumed: what comes after this step is told anew
                start = self._events.SessionLog(status=self._events.SessionLog.START)
                self._write(step + 1, session_log=start)
            else:
                self._begin(trainer)
            self._flush()
        except OSError as error:
            self._close()
            raise SaveError(
                f"TensorBoard: {folder} can't be written to: {error.strerror}; choose another"
            ) from error

    def _begin(self, trainer: Trainer) -> None:
        """What is told once: the settings, and what the model looks like."""
        if self._config is not None:
            text = self._config
            if not isinstance(text, str):
                text = json.dumps(dict(text), indent=2, default=str)
            self._text("config", text)
        self._text("model", repr(trainer.model))

    def on_log(self, trainer: Trainer, figures: Mapping[str, float]) -> None:
        step = int(figures.get("step", trainer.step))
        with self._going_on():
            self._scalars(step, {k: v for k, v in figures.items() if k not in ("epoch", "step")})
            if time.monotonic() - self._flushed >= _FLUSH_SECONDS:
                self._flush()

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        with self._going_on():
            self._scalars(trainer.step, {f"epoch/{name}": value for name, value in row.items()})
            if self._hparams and row.get("epoch") == 1:  # only now is it known what figures it has
                self._settings(row)
            if self._histograms:
                self._weights(trainer)
            self._flush()

    def on_train_end(self, trainer: Trainer) -> None:
        with self._going_on():
            self._flush()
        self._close()

    # What is written

    def _scalars(self, step: int, figures: Mapping[str, float | int | None]) -> None:
        for name, value in figures.items():
            if value is not None and math.isfinite(value):
                self._write(step, summary=self._summary.scalar(name, float(value)))

    def _text(self, tag: str, text: str) -> None:
        """A text as it stands: four spaces, so that TensorBoard's Markdown takes it for code."""
        lines = "\n".join(f"    {line}" for line in text.splitlines())
        self._write(0, summary=self._summary.text(tag, lines))

    def _settings(self, row: Row) -> None:
        figures = {f"epoch/{name}": 0.0 for name in row if name != "epoch"}  # the names matter
        experiment, start, _end = self._summary.hparams(self._hparams, figures)
        self._write(0, summary=experiment)
        self._write(0, summary=start)

    def _weights(self, trainer: Trainer) -> None:
        for name, parameter in trainer.model.named_parameters():
            values = parameter.numpy().astype(np.float64)
            if values.size and np.isfinite(values).all():
                tag = f"weights/{name}"
                summary = self._summary.histogram(tag, values, bins=_BUCKETS)
                self._write(trainer.step, summary=summary)

    def _write(self, step: int, **what: object) -> None:
        event = self._events.Event(wall_time=time.time(), step=step, **what)
        if self._writer is not None:
            self._writer.write(event.SerializeToString())

    def _flush(self) -> None:
        if self._writer is not None:
            self._writer.flush()
        self._flushed = time.monotonic()

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(OSError):  # of what was told already
                writer.close()

    @contextlib.contextmanager
    def _going_on(self) -> Iterator[None]:
        """In which a file that can't be written to is warned of, once, and given up."""
        try:
            yield
        except OSError as error:
            self._close()
            warnings.warn(
                f"TensorBoard: its file can't be written ({error.strerror}); training goes on "
                "without it",
                RuntimeWarning,
                stacklevel=4,
            )


def _fresh(folder: Path) -> Path:
    """A name for a new file, which TensorBoard reads after those that are there.

    It reads them by name; tensorboardX's own names, of the second, would meet an older file's if
    a run were resumed at once.
    """
    for number in itertools.count():
        path = folder / f"events.out.tfevents.{int(time.time())}.{number:04d}"
        if not path.exists():
            return path
    raise AssertionError  # the count has no end
