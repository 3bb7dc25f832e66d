"""Displays: what one sees while it trains: a bar, lines, JSON for programs, or nothing."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from tinyaccel.errors import ArgumentError, PackageError
from tinyaccel.extras import optional
from tinyaccel.train.callbacks import Row
from tinyaccel.train.history import strict_row

KINDS = ("auto", "bar", "lines", "json", "quiet")


class Progress:
    """Shows nothing; derive from it and define what is to be seen.

    interval  how many seconds may pass between two looks at the figures
    unit      what a sample is called: images, rows
    """

    interval = 1.0
    unit = "images"

    def start(self, epochs: int, steps: int, epoch: int = 1, step: int = 0) -> None:
        """Training begins: so many epochs of so many steps.

        A resumed run begins in a later epoch, with `step` of its steps already done.
        """

    def update(self, figures: Mapping[str, float]) -> None:
        """A look at a running epoch: epoch, step (in the epoch), loss, accuracy (it may lack, as
        may all that follow), images_per_second, lr.
        """

    def epoch(self, row: Row) -> None:
        """An epoch is over, with these figures."""

    def message(self, text: str) -> None:
        """Something else happened: "early stopping: ...", a checkpoint that couldn't be saved."""

    def close(self) -> None:
        """Training has ended, or failed; may be called again."""


class Bar(Progress):
    """A bar with epoch, loss, accuracy, images per second and time left; a line an epoch above it.

    stream  a terminal; default: stderr. In a narrow one the less important figures are left out.

    Raises `PackageError` without rich.
    """

    interval = 0.25

    def __init__(self, stream: TextIO | None = None) -> None:
        self._rich: Any = optional("rich.progress", "the progress bar (or progress='lines')")
        console: Any = optional("rich.console", "the progress bar")
        self._console = console.Console(file=Guarded(stream or sys.stderr))
        self._bar: Any = None
        self._epochs = self._steps = 1

    def start(self, epochs: int, steps: int, epoch: int = 1, step: int = 0) -> None:
        self._epochs, self._steps = epochs, steps
        column = self._rich.TextColumn
        self._shape = self._rich.BarColumn()
        self._bar = self._rich.Progress(
            column("epoch {task.fields[epoch]}/{task.fields[epochs]}"), self._shape,
            column("{task.fields[figures]}"), self._rich.TimeRemainingColumn(), column("left"),
            console=self._console, auto_refresh=False, transient=True,
            # What is printed meanwhile goes above the bar, but not out of a pipe or file into it.
            redirect_stdout=sys.stdout is not None and Guarded(sys.stdout).isatty(),
        )  # fmt: skip
        self._task = self._bar.add_task(
            "train", total=epochs * steps, completed=(epoch - 1) * steps + step,
            epoch=epoch, epochs=epochs, figures="",
        )  # fmt: skip
        self._bar.start()

    def update(self, figures: Mapping[str, float]) -> None:
        if self._bar is None:
            return
        epoch = int(figures["epoch"])
        self._bar.update(
            self._task, completed=(epoch - 1) * self._steps + int(figures["step"]), epoch=epoch,
            figures=self._fitting(figures), refresh=True,
        )  # fmt: skip

    def _fitting(self, figures: Mapping[str, float]) -> str:
        """As many figures as there is room for, the rest of it for the bar."""
        # All but these two: "epoch 3/10", "0:01:23", "left", and a space between any of the five.
        room = self._console.width - len(f"epoch {self._epochs}/{self._epochs}") - 7 - 4 - 4
        text = ""
        for name, least in (("loss", 1), ("accuracy", 4), ("images_per_second", 10)):
            shown = figure(name, figures.get(name), self.unit)
            longer = f"{text}  {shown}" if text and shown else text + shown
            if len(longer) + least <= room:  # so long must the bar still be
                text = longer
        self._shape.bar_width = max(1, min(40, room - len(text)))
        return text

    def epoch(self, row: Row) -> None:
        self.message(epoch_line(row, self._epochs, self.unit))

    def message(self, text: str) -> None:
        # As it stands: no [markup] of rich's, no :emoji:, and a long path in one piece.
        self._console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class Lines(Progress):
    """A line an epoch, and every half a minute in a longer one: for logs.

    stream  default: stderr
    every   seconds between two lines of one epoch
    clock   what tells the seconds
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        every: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = Guarded(stream or sys.stderr)
        self._every, self._clock = every, clock
        self._epochs = self._steps = 1
        self._last = clock()

    def start(self, epochs: int, steps: int, epoch: int = 1, step: int = 0) -> None:
        self._epochs, self._steps = epochs, steps
        self._last = self._clock()

    def update(self, figures: Mapping[str, float]) -> None:
        step = int(figures["step"])
        if self._clock() - self._last < self._every or step >= self._steps:
            return  # the epoch's own line is due any moment
        names = ("loss", "accuracy", "images_per_second")
        shown = (figure(name, figures.get(name), self.unit) for name in names)
        head = f"{_epoch_of(int(figures['epoch']), self._epochs)}  step {step}/{self._steps}"
        self.message("  ".join([head, *filter(None, shown)]))

    def epoch(self, row: Row) -> None:
        self.message(epoch_line(row, self._epochs, self.unit))

    def message(self, text: str) -> None:
        self._last = self._clock()
        self._out.write(f"{text}\n")
        self._out.flush()


class JsonLines(Progress):
    """A JSON object a line, for programs: what happened ("event"), and its figures.

        {"event": "start", "epochs": 5, "steps": 938, "epoch": 1, "step": 0}
        {"event": "log", "epoch": 1, "step": 120, "loss": 0.41, "accuracy": 0.87, ...}
        {"event": "epoch", "epoch": 1, "loss": 0.2, "val_loss": 0.1, "seconds": 9.5, ...}
        {"event": "message", "text": "..."}
        {"event": "end"}

    A figure that is NaN or infinite is null (RFC 8259 has no such number).

    stream  default: stdout
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._out = Guarded(stream or sys.stdout)
        self._open = False

    def start(self, epochs: int, steps: int, epoch: int = 1, step: int = 0) -> None:
        self._open = True
        self._write("start", {"epochs": epochs, "steps": steps, "epoch": epoch, "step": step})

    def update(self, figures: Mapping[str, float]) -> None:
        self._write("log", strict_row(figures))

    def epoch(self, row: Row) -> None:
        self._write("epoch", strict_row(row))

    def message(self, text: str) -> None:
        self._write("message", {"text": text})

    def close(self) -> None:
        if self._open:
            self._open = False
            self._write("end", {})

    def _write(self, event: str, more: Mapping[str, object]) -> None:
        self._out.write(json.dumps({"event": event, **more}, allow_nan=False) + "\n")
        self._out.flush()


def progress(kind: str = "auto") -> Progress:
    """A display by name.

    "auto"   a bar if stderr is a terminal (and rich is installed), else lines
    "bar"    `Bar`
    "lines"  `Lines`
    "json"   `JsonLines`
    "quiet"  nothing

    Raises `ArgumentError` for another name, `PackageError` for a bar without rich.
    """
    if kind not in KINDS:
        raise ArgumentError(f"progress={kind!r}; expected {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    stream = sys.stdout if kind == "json" else sys.stderr
    if kind == "quiet" or stream is None:  # None: a program without a terminal, pythonw
        return Progress()
    if kind == "json":
        return JsonLines(stream)
    if kind == "lines":
        return Lines(stream)
    if kind == "bar":
        return Bar(stream)
    try:
        return Bar(stream) if Guarded(stream).isatty() else Lines(stream)
    except PackageError:
        return Lines(stream)


def epoch_line(row: Mapping[str, float | int | None], epochs: int, unit: str = "images") -> str:
    """An epoch's figures as a line; unit: what a sample is called.

    >>> epoch_line({"epoch": 1, "loss": 0.5, "val_loss": None, "seconds": 3.14}, 10)
    'epoch  1/10  loss 0.5000  3.1 s'
    """
    drawn = ((name, value) for name, value in row.items() if name not in ("epoch", "lr"))
    shown = [figure(name, value, unit) for name, value in drawn]
    return "  ".join([_epoch_of(int(row.get("epoch") or 0), epochs), *filter(None, shown)])


def figure(name: str, value: float | int | None, unit: str = "images") -> str:
    """A figure with its name, as short as it can be read; "" if there is none.

    >>> figure("loss", 0.12345), figure("loss", 1.5e-6), figure("images_per_second", 1234.5)
    ('loss 0.1235', 'loss 1.50e-06', '1,234 images/s')
    """
    if value is None:
        return ""
    if name == "images_per_second":
        return f"{value:,.0f} {unit}/s"
    if name == "seconds":
        return f"{value:.1f} s"
    small = value != 0 and abs(value) < 1e-3
    return f"{name} {value:.2e}" if small else f"{name} {value:.4f}"


def _epoch_of(epoch: int, epochs: int) -> str:
    return f"epoch {epoch:>{len(str(epochs))}}/{epochs}"


class Guarded:
    """A stream whose end is no reason to end a training: once it fails, it takes all and says none.

    stream  a text stream, which may be closed, or its reader be gone, at any time
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._gone = False

    @property
    def encoding(self) -> str:
        """The stream's, so that a bar is drawn in letters that it has."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write, if the stream is still there; letters that it doesn't have as \\u escapes."""
        if not self._gone:
            known = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
            self._try(lambda: self._stream.write(known))
        return len(text)

    def flush(self) -> None:
        """Let what was written be seen."""
        if not self._gone:
            self._try(self._stream.flush)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except BrokenPipeError:
            self._gone = True
            # What the stream still holds would fail again as Python ends, and be its exit status.
            with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())
        except (OSError, ValueError):
            self._gone = True

    def isatty(self) -> bool:
        """Whether it is a terminal; a closed stream is none."""
        try:
            return self._stream.isatty()
        except ValueError:
            return False

    def fileno(self) -> int:
        """The stream's file descriptor."""
        return self._stream.fileno()
