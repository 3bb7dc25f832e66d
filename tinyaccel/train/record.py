"""What a training run leaves in its folder: metrics.json, history.csv, model.safetensors."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from tinyaccel.data.extras import optional
from tinyaccel.errors import ArgumentError
from tinyaccel.nn.module import Module
from tinyaccel.train.weights import save_weights, write

Fact: TypeAlias = "str | int | float | bool | Mapping[str, str] | None"


class Row(NamedTuple):
    """One epoch: means over its images, and how long it took, its evaluation included.

    The training figures are taken while the weights change and with dropout; the test figures,
    None without a test set, at the epoch's end and without.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float | None
    test_accuracy: float | None
    seconds: float


class Record:
    """The files of one run, in a folder that is made if need be.

    Raises `ArgumentError` if the folder can't be made, `PackageError` without safetensors: both
    before any training.
    """

    def __init__(self, folder: str | Path) -> None:
        optional("safetensors.numpy", "fit (out=)")
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArgumentError(
                f"out: {folder} can't be made a folder: {error.strerror}; choose another"
            ) from error

    def save(self, model: Module, history: Sequence[Row], facts: Mapping[str, Fact]) -> None:
        """Replace the files by those of what is finished; metrics.json, the summary, comes last."""
        meta = {name: str(facts[name]) for name in ("model", "data", "seed") if name in facts}
        save_weights(model, self.folder / "model.safetensors", meta)
        write(self.folder / "history.csv", as_csv(history))
        write(self.folder / "metrics.json", json.dumps(facts, indent=2, allow_nan=False) + "\n")


def as_csv(history: Sequence[Row]) -> str:
    """The history as a table with a heading; a figure that there is not is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(history)
    return text.getvalue()


def fresh_folder(parent: str | Path, name: str) -> Path:
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
