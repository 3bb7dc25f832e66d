"""Callbacks: what happens beside training, at its beginning, its logs and its epochs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from tinyaccel.errors import ArgumentError
from tinyaccel.train.checkpoint import Json

if TYPE_CHECKING:
    from tinyaccel.train.trainer import Trainer

Row: TypeAlias = "dict[str, float | int | None]"

# Figures that are better when they are larger; of all others less is better.
_LARGER_IS_BETTER = ("accuracy", "top", "precision", "recall", "f1", "r2")


class Callback:
    """Does nothing; derive from it and define what is wanted. Called in the order they are given.

    `trainer` has all there is: `trainer.model`, `.optimizer`, `.history`, `.step`, `.folder`.
    Setting `trainer.stop = "why"` ends training after this epoch, or this step if it is on_log
    that sets it.
    """

    def on_train_begin(self, trainer: Trainer) -> None:
        """Before the first step, or before the first one after a resume."""

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        """Before an epoch's first step; epochs count from 1."""

    def on_log(self, trainer: Trainer, figures: Mapping[str, float]) -> None:
        """Now and then: epoch, step (of the whole run), loss, accuracy, lr, images_per_second.

        The means of this epoch up to that step, which lies a little back: nobody waited for it.
        """

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        """After an epoch's last step and the validation; `row` is the history's last."""

    def on_train_end(self, trainer: Trainer) -> None:
        """After the last step, and also after an error or Ctrl-C."""

    def state_dict(self) -> dict[str, Json]:
        """What a checkpoint keeps of this callback."""
        return {}

    def load_state_dict(self, state: Mapping[str, Json]) -> None:
        """Take up what `state_dict` gave."""


class LambdaCallback(Callback):
    """A callback from functions: `LambdaCallback(on_epoch_end=lambda trainer, row: print(row))`.

    Raises `ArgumentError` for a name that no callback has.
    """

    def __init__(self, **functions: Callable[..., None]) -> None:
        known = [name for name in vars(Callback) if name.startswith("on_")]
        for name, function in functions.items():
            if name not in known:
                raise ArgumentError(
                    f"LambdaCallback: {name!r} is unknown; expected {', '.join(known)}"
                )
            setattr(self, name, function)


class Best:
    """The best value so far of one figure, and the epoch that it was reached in.

    monitor    "val_loss", "val_accuracy", ...: a column of the history
    min_delta  a change of no more than this is none
    """

    def __init__(self, monitor: str, min_delta: float = 0.0) -> None:
        if not min_delta >= 0:
            raise ArgumentError(f"monitor {monitor}: min_delta={min_delta}; expected 0 or more")
        self.monitor, self.min_delta = monitor, float(min_delta)
        figure = monitor.removeprefix("val_")
        self.larger = figure.startswith(_LARGER_IS_BETTER)
        self.value: float | None = None
        self.epoch = 0

    def improves(self, row: Mapping[str, float | int | None]) -> bool:
        """Whether a row is the best so far; it is kept then.

        Raises `ArgumentError` if it doesn't have the figure.
        """
        new = row.get(self.monitor)
        if new is None:
            there = ", ".join(name for name, value in row.items() if value is not None)
            raise ArgumentError(
                f"monitor {self.monitor!r} is no figure of this run; expected one of {there}"
            )
        if not math.isfinite(new):
            return False
        if self.value is not None:
            gain = new - self.value if self.larger else self.value - new
            if not gain > self.min_delta:
                return False
        self.value, self.epoch = float(new), int(row["epoch"] or 0)
        return True

    def state_dict(self) -> dict[str, Json]:
        return {"monitor": self.monitor, "value": self.value, "epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, Json]) -> None:
        if state.get("monitor") == self.monitor:  # else it is about another figure: begin anew
            value, epoch = state["value"], state["epoch"]
            assert isinstance(value, float | None) and isinstance(epoch, int)
            self.value, self.epoch = value, epoch


class EarlyStopping(Callback):
    """Stops when a figure hasn't improved for `patience` epochs.

    patience   how many epochs without an improvement there may be
    monitor    the figure; by default the validation's loss
    min_delta  a change of no more than this is no improvement
    restore_best  whether the model ends with the weights of the best epoch, whichever way it
               came to its end; else with the last ones

    Raises `ArgumentError` for an impossible value, or if the run has no such figure.
    L. Prechelt, "Early Stopping - But When?", 1998.
    """

    def __init__(
        self,
        patience: int = 3,
        monitor: str = "val_loss",
        *,
        min_delta: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
            raise ArgumentError(f"EarlyStopping: patience={patience!r}; expected 1 or more")
        self.patience, self.restore_best = patience, restore_best
        self.best = Best(monitor, min_delta)

    def on_train_begin(self, trainer: Trainer) -> None:
        trainer.keep_best(self.best.monitor)

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        if self.best.improves(row):
            return
        waited = int(row["epoch"] or 0) - self.best.epoch
        if waited >= self.patience:
            trainer.stop = (
                f"{self.best.monitor} hasn't improved for {waited} epochs; "
                f"its best is {self.best.value:.4f}, of epoch {self.best.epoch}"
            )

    def on_train_end(self, trainer: Trainer) -> None:
        if self.restore_best and trainer.finished:
            trainer.restore_best()

    def state_dict(self) -> dict[str, Json]:
        return self.best.state_dict()

    def load_state_dict(self, state: Mapping[str, Json]) -> None:
        self.best.load_state_dict(state)
