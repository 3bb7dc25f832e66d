"""Plots: what is drawn, through matplotlib's figures, and the files."""

from __future__ import annotations

import math
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from tinyaccel.errors import ArgumentError, SaveError
from tinyaccel.train.callbacks import Row
from tinyaccel.train.plots import (
    compare_curves,
    comparison_figure,
    confusion_figure,
    curves_figure,
    plot_confusion,
    plot_curves,
)

pytest.importorskip("matplotlib", reason="matplotlib (the extra 'train')")

LOSS, VAL_LOSS = [0.9, 0.5, 0.2, 0.1], [0.8, 0.4, 0.6, 0.7]
ACCURACY, VAL_ACCURACY = [0.5, 0.6, 0.7, 0.8], [0.4, 0.5, 0.7, 0.6]
ROWS: list[Row] = [
    {"epoch": i, "loss": a, "accuracy": b, "val_loss": c, "val_accuracy": d, "lr": 1e-3}
    for i, a, b, c, d in zip(range(1, 5), LOSS, ACCURACY, VAL_LOSS, VAL_ACCURACY, strict=True)
]


def size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG file."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR"
    return struct.unpack(">II", data[16:24])


def test_curves() -> None:
    """Loss and accuracy, training and validation, over the epochs; lr isn't drawn."""
    axes = curves_figure(ROWS).axes
    assert [(a.get_xlabel(), a.get_ylabel()) for a in axes] == [
        ("epoch", "loss"), ("epoch", "accuracy"),
    ]  # fmt: skip
    for panel, drawn in zip(axes, ((LOSS, VAL_LOSS), (ACCURACY, VAL_ACCURACY)), strict=True):
        for line, label, values in zip(
            panel.lines, ("training", "validation"), drawn, strict=False
        ):
            assert line.get_label() == label
            assert line.get_xdata().tolist() == [1, 2, 3, 4]
            assert line.get_ydata().tolist() == values
        assert all(tick == int(tick) for tick in panel.get_xticks())


def test_the_best_epoch() -> None:
    """It is the validation's: the least loss, the largest accuracy; training's without one."""
    loss, accuracy = curves_figure(ROWS).axes
    for panel, epoch, value in ((loss, 2, 0.4), (accuracy, 3, 0.7)):
        star = panel.lines[-1]
        assert (star.get_xdata().tolist(), star.get_ydata().tolist()) == ([epoch], [value])
        assert star.get_label() == f"best: {value} in epoch {epoch}"
    rows: list[Row] = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.7}]
    (alone,) = curves_figure(rows).axes
    assert [line.get_label() for line in alone.lines] == ["training", "best: 0.5 in epoch 1"]


def test_gaps() -> None:
    """An epoch without a figure, or with NaN, is a gap; a resumed history keeps its numbers."""
    rows: list[Row] = [
        {"epoch": 3, "loss": 0.5, "val_loss": None},
        {"epoch": 4, "loss": math.nan, "val_loss": 0.6},
        {"epoch": 5, "loss": 0.4},
    ]
    training, validation, star = curves_figure(rows).axes[0].lines
    assert training.get_xdata().tolist() == [3, 4, 5]
    assert np.array_equal(training.get_ydata(), [0.5, np.nan, 0.4], equal_nan=True)
    assert np.array_equal(validation.get_ydata(), [np.nan, 0.6, np.nan], equal_nan=True)
    assert star.get_xdata().tolist() == [4]


def test_runs_over_each_other() -> None:
    """A colour a run, by its name; validation is a full line, training dashed beside it."""
    other: list[Row] = [{"epoch": 1, "loss": 0.25}, {"epoch": 2, "loss": 0.125}]
    loss, accuracy = comparison_figure({"cpu": ROWS, "_x$a$": other}).axes
    found = [(x.get_label(), x.get_linestyle(), x.get_ydata().tolist()) for x in loss.lines]
    assert found == [
        ("cpu, training", "--", LOSS), ("cpu", "-", VAL_LOSS), ("x$a$", "-", [0.25, 0.125]),
    ]  # fmt: skip
    colours = [line.get_color() for line in loss.lines]
    assert colours[0] == colours[1] != colours[2]
    assert len(accuracy.lines) == 2


def test_confusion() -> None:
    """Counts and shares of the row stand in the cells, colours are the shares, names at the sides.

    A class that has no samples has shares of 0; a name with $ is no formula.
    """
    counts = np.array([[3, 1, 0], [0, 8, 0], [0, 0, 0]])
    figure = confusion_figure(counts, ["cat", "a$_$b", "a class of a rather long name"])
    axes = figure.axes[0]
    names = ["cat", "a$_$b", "a class of a rather…"]
    assert [label.get_text() for label in axes.get_xticklabels()] == names
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    assert not any(label.get_parse_math() for label in axes.get_xticklabels())
    assert {t.get_position(): t.get_text() for t in axes.texts} == {
        (0, 0): "3\n75%", (1, 0): "1\n25%", (1, 1): "8\n100%",
    }  # fmt: skip
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0]]
    assert axes.get_title() == "11 of 12 right"
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("what it is", "what it was taken for")


def test_many_classes() -> None:
    """Beyond 20 the cells have colours alone; beyond 60 there are no names."""
    for n, names in ((21, 21), (61, 0)):
        axes = confusion_figure(np.eye(n, dtype=np.int64), [f"c{i}" for i in range(n)]).axes[0]
        assert not axes.texts
        assert sum(t.get_text().startswith("c") for t in axes.get_xticklabels()) == names


def test_files(tmp_path: Path) -> None:
    """Each is a whole PNG of a readable size, the same bytes for the same data.

    Nothing of pyplot is loaded, and letters that the font lacks give no warning.
    """
    loaded = "matplotlib.pyplot" in sys.modules
    for name in ("a.png", "b.png"):
        plot_curves(ROWS, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert size(tmp_path / "a.png") == (1320, 504)
    compare_curves({"漢字": ROWS}, tmp_path / "c.png")
    plot_confusion(np.eye(2, dtype=np.int64), ["漢字", "b"], tmp_path / "d.png")
    assert min(size(tmp_path / "d.png")) > 400
    assert ("matplotlib.pyplot" in sys.modules) == loaded
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png", "c.png", "d.png"]


def test_many_figures() -> None:
    """No more than three panels beside each other: more of them stand in rows."""
    for n, (across, down) in {3: (3, 1), 4: (2, 2), 5: (3, 2)}.items():
        figure = curves_figure([{"epoch": 1, **{f"m{i}": 0.5 for i in range(n)}}])
        assert len(figure.axes) == n
        assert figure.get_size_inches().tolist() == pytest.approx([5.5 * across, 4.2 * down])


def test_what_they_refuse(tmp_path: Path) -> None:
    """No epochs, nothing to draw, names that don't fit, a folder that isn't there."""
    with pytest.raises(ArgumentError, match="curves: the history has no epochs; draw it after the"):
        curves_figure([])
    with pytest.raises(ArgumentError, match="curves: the history 'b' has no epochs"):
        comparison_figure({"a": ROWS, "b": []})
    with pytest.raises(ArgumentError, match="curves: the history has neither losses nor metrics"):
        curves_figure([{"epoch": 1, "seconds": 2.0, "loss": None}])
    with pytest.raises(
        ArgumentError, match=r"plot_confusion: confusion \(2, 2\) for 3 classes; ex"
    ):
        confusion_figure(np.eye(2, dtype=np.int64), ["a", "b", "c"])
    with pytest.raises(ArgumentError, match=r"plot: 'a\.jpg'; expected a name that ends in \.png"):
        plot_curves(ROWS, "a.jpg")
    with pytest.raises(SaveError, match="can't be written: No such file"):
        plot_curves(ROWS, tmp_path / "nowhere" / "a.png")
