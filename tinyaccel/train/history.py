"""History: what each epoch of a run came to, as columns, CSV, JSON and curves."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from tinyaccel.errors import ArgumentError, DataError
from tinyaccel.train.callbacks import Row
from tinyaccel.train.plots import plot_curves


class History:
    """The figures of a run: a row an epoch, each a dict.

    Names are Keras's: epoch (from 1), loss, accuracy, val_loss, val_accuracy and other val_...,
    lr, images_per_second, seconds. Training figures are means over the epoch, taken while the
    weights change and with dropout; val_... are of the validation at its end, without. A figure
    that there is not is missing or None.

    rows  to begin with; copied, NumPy's numbers as Python's

    >>> history = History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "val_loss": 0.75}])
    >>> history["val_loss"]
    [None, 0.75]
    >>> print(history.as_csv(), end="")
    epoch,loss,val_loss
    1,0.5,
    2,0.25,0.75
    """

    def __init__(self, rows: Iterable[Mapping[str, float | int | None]] = ()) -> None:
        self.rows: list[Row] = [plain_row(row) for row in rows]

    def append(self, row: Mapping[str, float | int | None]) -> None:
        """Add an epoch."""
        self.rows.append(plain_row(row))

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all figures, in the order in which they first came."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row))

    def __getitem__(self, name: str) -> list[float | int | None]:
        """A figure's value in each epoch, None where there is none.

        Raises `ArgumentError` if no epoch has it.
        """
        if name not in self.columns:
            there = ", ".join(self.columns) or "nothing yet"
            raise ArgumentError(f"history: {name!r} is no figure of this run; it has {there}")
        return [row.get(name) for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self.rows == other.rows

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:
        return f"History({len(self)} epochs: {', '.join(self.columns)})"

    def as_csv(self) -> str:
        """A table with a heading (RFC 4180, lines ended by \\n): every float to its last bit.

        A figure that there is not is an empty cell.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = self.columns
        if columns:
            writer.writerow(columns)
        writer.writerows([row.get(name) for name in columns] for row in self.rows)
        return text.getvalue()

    def as_json(self) -> str:
        """A list of objects, one an epoch (RFC 8259): every float to its last bit.

        What JSON has no number for (NaN, infinity) is null.
        """
        rows = [strict_row(row) for row in self.rows]
        lines = ",\n".join(f"  {json.dumps(row, allow_nan=False)}" for row in rows)
        return f"[\n{lines}\n]\n" if rows else "[]\n"

    @classmethod
    def from_json(cls, text: str) -> History:
        """What `as_json` wrote. Raises `DataError` for anything else."""
        try:
            rows = json.loads(text)
        except ValueError as error:
            raise DataError(f"history: no JSON ({error}); expected what as_json wrote") from error
        if not isinstance(rows, list) or not all(map(_is_row, rows)):
            raise DataError("history: JSON, but not a list of objects of numbers; expected what "
                            "as_json wrote")  # fmt: skip
        return cls(rows)

    def plot(self, path: str | Path) -> None:
        """Draw the curves as a PNG: see `plot_curves`. Raises `SaveError`, `PackageError`."""
        plot_curves(self.rows, path)


def plain_row(row: Mapping[str, object]) -> Row:
    """A row with Python's own numbers, whatever numbers came.

    Raises `ArgumentError` for a value that is no number.
    """
    return {name: _plain(name, value) for name, value in row.items()}


def strict_row(row: Mapping[str, object]) -> Row:
    """A row as JSON can hold it: None for what is NaN or infinite."""
    plain = plain_row(row)
    return {k: v if v is None or math.isfinite(v) else None for k, v in plain.items()}


def _plain(name: str, value: object) -> float | int | None:
    if value is None:
        return None
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value)
    raise ArgumentError(
        f"history: {name}={value!r} is a {type(value).__name__}; expected a number or None"
    )


def _is_row(row: object) -> bool:
    numbers = int | float | None
    return isinstance(row, dict) and all(isinstance(value, numbers) for value in row.values())
