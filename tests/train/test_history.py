"""History: rows in, columns, CSV and JSON out, to the last bit."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinyaccel.errors import ArgumentError, DataError
from tinyaccel.train.callbacks import Row
from tinyaccel.train.history import History

ROWS: list[Row] = [
    {"epoch": 1, "loss": 0.1 + 0.2, "val_loss": None, "seconds": 3.0},
    {"epoch": 2, "loss": 1e-310, "val_loss": 1 / 3, "seconds": 2.5, "val_f1": 0.5},
]


def test_columns() -> None:
    """In the order in which they first came; what a row lacks is None."""
    history = History(ROWS)
    assert history.columns == ("epoch", "loss", "val_loss", "seconds", "val_f1")
    assert history["val_f1"] == [None, 0.5]
    assert history["epoch"] == [1, 2]
    assert (len(history), list(history)) == (2, ROWS)
    assert repr(history) == "History(2 epochs: epoch, loss, val_loss, seconds, val_f1)"


def test_csv() -> None:
    """Every float is exact, and a figure that there is not is an empty cell."""
    text = History(ROWS).as_csv()
    assert text.splitlines()[:2] == [
        "epoch,loss,val_loss,seconds,val_f1",
        "1,0.30000000000000004,,3.0,",
    ]
    second = list(csv.DictReader(io.StringIO(text)))[1]
    assert {name: float(value) for name, value in second.items()} == ROWS[1]
    assert History().as_csv() == ""


def test_json() -> None:
    """It comes back as it was, whole numbers as such; without rows, too."""
    back = History.from_json(History(ROWS).as_json())
    assert back == History(ROWS) and back.rows == ROWS
    assert type(back.rows[0]["epoch"]) is int
    assert History.from_json(History().as_json()) == History()
    assert back != History(ROWS[:1])


def test_json_is_strict() -> None:
    """A figure that is no finite number is null: NaN is no JSON."""
    text = History([{"epoch": 1, "loss": math.nan, "val_loss": -math.inf}]).as_json()
    refuse: Callable[[str], object] = pytest.fail
    assert json.loads(text, parse_constant=refuse) == [{"epoch": 1, "loss": None, "val_loss": None}]


def test_numbers_of_numpy() -> None:
    """They are kept as Python's; a float32 isn't rounded once more. Rows are copies."""
    row = {"epoch": np.int32(3), "loss": np.float32(0.1)}
    history = History()
    history.append(row)
    row["epoch"] = np.int32(4)
    assert history.rows == [{"epoch": 3, "loss": float(np.float32(0.1))}]
    assert [type(value) for value in history.rows[0].values()] == [int, float]


def test_what_it_refuses() -> None:
    """A figure that no epoch has, a value that is no number, and a text that it didn't write."""
    with pytest.raises(
        ArgumentError, match=r"history: 'val_los' is no figure of this run; it has e"
    ):
        History(ROWS)["val_los"]
    with pytest.raises(
        ArgumentError, match=r"history: loss='low' is a str; expected a number or N"
    ):
        History([{"loss": "low"}])  # type: ignore[dict-item]
    with pytest.raises(DataError, match=r"history: no JSON \(.*\); expected what as_json wrote"):
        History.from_json("[1,")
    for text in ('{"epoch": 1}', "[1]", '[{"epoch": "1"}]'):
        with pytest.raises(DataError, match="JSON, but not a list of objects of numbers"):
            History.from_json(text)


def test_its_plot(tmp_path: Path) -> None:
    """The curves are drawn where they are asked for."""
    pytest.importorskip("matplotlib", reason="matplotlib (the extra 'train')")
    History(ROWS).plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
