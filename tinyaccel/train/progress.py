"""What one sees while it trains: a bar in a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from types import ModuleType, TracebackType
from typing import Self

from tinyaccel.data.extras import optional
from tinyaccel.train.record import Row


class Progress:
    """Shows nothing. `interval` is how many seconds may pass between two looks at the losses."""

    interval = 1.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return

    def update(self, epoch: int, steps: int, loss: float, accuracy: float, rate: float) -> None:
        """`steps` more are done; the mean loss and accuracy of this epoch, images per second."""

    def finished(self, row: Row) -> None:
        """An epoch is over."""


class Bar(Progress):
    """A bar with epoch, loss, accuracy, images per second and the time left; a line an epoch."""

    interval = 0.25

    def __init__(self, epochs: int, steps: int, rich: ModuleType, console: object) -> None:
        self._epochs = epochs
        column = rich.TextColumn
        self._bar = rich.Progress(
            column("epoch {task.fields[epoch]}/{task.fields[epochs]}"), rich.BarColumn(),
            column("loss {task.fields[loss]:.4f}"), column("accuracy {task.fields[accuracy]:.4f}"),
            column("{task.fields[rate]:,.0f} images/s"), rich.TimeRemainingColumn(), column("left"),
            console=console, auto_refresh=False, transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task(
            "train", total=epochs * steps, epoch=1, epochs=epochs, loss=0.0, accuracy=0.0, rate=0.0
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, epoch: int, steps: int, loss: float, accuracy: float, rate: float) -> None:
        self._bar.update(
            self._task, advance=steps, epoch=epoch, loss=loss, accuracy=accuracy, rate=rate,
            refresh=True,
        )  # fmt: skip

    def finished(self, row: Row) -> None:
        test = ""
        if row.test_loss is not None:
            test = f"  test {row.test_loss:.4f} / {row.test_accuracy:.4f}"
        self._bar.console.print(
            f"epoch {row.epoch:>{len(str(self._epochs))}}/{self._epochs}"
            f"  train loss / accuracy {row.train_loss:.4f} / {row.train_accuracy:.4f}{test}"
            f"  {row.seconds:.1f} s",
            highlight=False,
        )


def progress(epochs: int, steps: int, quiet: bool) -> Progress:
    """A bar on stderr, if that is a terminal and `quiet` isn't asked for.

    Raises `PackageError` if it is to be shown and rich isn't installed.
    """
    if quiet or not sys.stderr.isatty():
        return Progress()
    rich = optional("rich.progress", "fit (progress bar; or quiet=True)")
    return Bar(epochs, steps, rich, optional("rich.console", "fit").Console(stderr=True))
