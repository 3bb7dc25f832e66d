"""What decides on the best epoch and on stopping early, without any training."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tinyaccel.errors import ArgumentError
from tinyaccel.train import EarlyStopping, LambdaCallback
from tinyaccel.train.callbacks import Best


class _Trainer:
    """Stands in for a trainer: takes down what it is asked to do."""

    def __init__(self) -> None:
        self.stop: str | None = None
        self.finished = True
        self.kept: list[str] = []
        self.restored = 0

    def keep_best(self, monitor: str) -> None:
        self.kept.append(monitor)

    def restore_best(self) -> None:
        self.restored += 1


@pytest.mark.parametrize(
    ("monitor", "values", "better"),
    [
        ("val_loss", [3.0, 2.0, 2.5, 1.0], [True, True, False, True]),
        ("val_accuracy", [0.5, 0.4, 0.6, 0.6], [True, False, True, False]),
        ("val_top5", [0.5, 0.6], [True, True]),
        ("loss", [math.nan, 2.0, math.inf, -math.inf], [False, True, False, False]),
    ],
)
def test_which_is_better(monitor: str, values: list[float], better: list[bool]) -> None:
    """Less of a loss, more of an accuracy; equal isn't better, and no finite number never is."""
    best = Best(monitor)
    assert [best.improves({"epoch": i, monitor: v}) for i, v in enumerate(values)] == better


def test_small_changes_are_none() -> None:
    """A gain counts only if it is more than min_delta, measured from the best so far."""
    best = Best("val_loss", min_delta=0.5)
    rows = [{"epoch": i + 1, "val_loss": v} for i, v in enumerate([4.0, 3.6, 3.4, 2.9, 2.8])]
    assert [best.improves(row) for row in rows] == [True, False, True, False, True]
    assert (best.value, best.epoch) == (2.8, 5)


def test_its_state() -> None:
    """What was best is taken up again, unless it is about another figure now."""
    best = Best("val_loss")
    best.improves({"epoch": 3, "val_loss": 1.5})
    same, other = Best("val_loss"), Best("val_accuracy")
    for copy in (same, other):
        copy.load_state_dict(best.state_dict())
    assert (same.value, same.epoch, other.value) == (1.5, 3, None)


def _stops(losses: list[float], **options: Any) -> tuple[int, _Trainer]:
    """After which epoch it stops."""
    callback, trainer = EarlyStopping(**options), _Trainer()
    given: Any = trainer
    callback.on_train_begin(given)
    for epoch, loss in enumerate(losses, 1):
        callback.on_epoch_end(given, {"epoch": epoch, "val_loss": loss})
        if trainer.stop:
            break
    callback.on_train_end(given)
    return epoch, trainer


def test_patience() -> None:
    """It stops when `patience` epochs in a row were no better, and the best weights come back."""
    assert _stops([3, 2, 2, 2, 1], patience=3)[0] == 5
    epoch, trainer = _stops([3, 2, 2, 2, 2, 1], patience=3)
    assert epoch == 5
    assert trainer.stop == ("val_loss hasn't improved for 3 epochs; its best is 2.0000, of epoch 2")
    assert (trainer.kept, trainer.restored) == (["val_loss"], 1)
    assert _stops([1, 2], patience=1, restore_best=False)[1].restored == 0


def test_bad_input() -> None:
    """A figure that the run doesn't have, and impossible settings, in one line each."""
    with pytest.raises(ArgumentError, match=r"^monitor 'val_los' is no figure of this run"):
        Best("val_los").improves({"epoch": 1, "loss": 2.0, "val_loss": None})
    with pytest.raises(ArgumentError, match=r"^EarlyStopping: patience=0; expected 1 or more$"):
        EarlyStopping(0)
    with pytest.raises(ArgumentError, match=r"min_delta=-1; expected 0 or more$"):
        EarlyStopping(min_delta=-1)
    with pytest.raises(ArgumentError, match=r"'on_end' is unknown; expected on_train_begin, on_ep"):
        LambdaCallback(on_end=print)


def test_functions_as_a_callback() -> None:
    """LambdaCallback calls what it was given, and nothing else."""
    seen: list[Any] = []
    trainer: Any = _Trainer()
    callback = LambdaCallback(on_epoch_end=lambda trainer, row: seen.append(row["epoch"]))
    callback.on_train_begin(trainer)
    callback.on_epoch_end(trainer, {"epoch": 7})
    assert seen == [7]
