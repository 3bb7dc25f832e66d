"""Plots: a run's curves, several runs over each other, and a confusion matrix, as PNG files."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel.errors import ArgumentError
from tinyaccel.extras import optional
from tinyaccel.storage import write
from tinyaccel.train.callbacks import Best, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows: TypeAlias = Iterable[Row]

_NOT_DRAWN = ("epoch", "lr", "images_per_second", "seconds")
_DOTS = 120  # to the inch
_MANY_CLASSES = 20  # with more, numbers in the cells of a confusion matrix can't be read
_MANY_NAMES = 60  # with more, neither can names at its sides
_ACROSS = 3  # panels beside each other, at most
_NAME = 20  # characters of a class's or run's name


def plot_curves(rows: Rows, path: str | Path) -> None:
    """Draw a run's loss and metrics over its epochs as a PNG.

    A panel for each figure (loss, accuracy, ...), training and validation in it, the best epoch
    marked. rows: a `History`, or its rows. Raises `ArgumentError` without any row, or for a path
    that doesn't end in .png; `SaveError` if the file can't be written, `PackageError` without
    matplotlib.
    """
    _save(curves_figure(rows), path)


def compare_curves(runs: Mapping[str, Rows], path: str | Path) -> None:
    """Draw the curves of several runs over each other as a PNG, a colour for each run's name.

    Training is a thin, dashed line, validation a full one. Raises what `plot_curves` does.

    >>> import tempfile
    >>> rows = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]
    >>> compare_curves({"cpu": rows, "xla:cpu": rows}, Path(tempfile.mkdtemp()) / "curves.png")
    """
    _save(comparison_figure(runs), path)


def plot_confusion(
    confusion: npt.NDArray[np.int64], classes: Sequence[str], path: str | Path
) -> None:
    """Draw a confusion matrix as a PNG: counts, and shares of their row as colours.

    confusion: (C, C), row i, column j counts what is i and was taken for j; classes: their names.
    With more than 20 classes the cells have colours alone. Raises `ArgumentError` for a path that
    doesn't end in .png, `SaveError`, `PackageError`.
    """
    _save(confusion_figure(confusion, classes), path)


def curves_figure(rows: Rows) -> Figure:
    """What `plot_curves` draws, as a figure of matplotlib to change or embed."""
    kept = _kept({"": rows})[""]
    figure, panels = _panels({"": kept})
    for name, axes in panels.items():
        for label, column, colour in (
            ("training", name, "tab:blue"), ("validation", f"val_{name}", "tab:orange"),
        ):  # fmt: skip
            x, y = _line(kept, column)
            if np.isfinite(y).any():
                axes.plot(x, y, label=label, color=colour, marker="o", markersize=3)
        _mark_best(axes, name, kept)
        if axes.lines:  # r2 of a single row to validate on is NaN in every epoch
            axes.legend()
    return figure


def comparison_figure(runs: Mapping[str, Rows]) -> Figure:
    """What `compare_curves` draws, as a figure of matplotlib."""
    kept = _kept(runs)
    figure, panels = _panels(kept)
    for name, axes in panels.items():
        for i, (run, rows) in enumerate(kept.items()):
            validated = np.isfinite(_line(rows, f"val_{name}")[1]).any()
            for column, thin in ((name, validated), (f"val_{name}", False)):
                x, y = _line(rows, column)
                if not np.isfinite(y).any():
                    continue
                axes.plot(
                    x, y, color=f"C{i % 10}", marker="o", markersize=3,
                    linestyle="--" if thin else "-", linewidth=0.8 if thin else 1.5,
                    # a label that begins with _ would be left out of the legend
                    label=f"{_cut(run).lstrip('_')}{', training' if thin else ''}",
                )  # fmt: skip
        for text in axes.legend(fontsize="small").get_texts():
            text.set_parse_math(False)
    return figure


def confusion_figure(confusion: npt.NDArray[np.int64], classes: Sequence[str]) -> Figure:
    """What `plot_confusion` draws, as a figure of matplotlib."""
    n = len(classes)
    if confusion.shape != (n, n) or not n:
        raise ArgumentError(
            f"plot_confusion: confusion {confusion.shape} for {n} classes; expected ({n}, {n})"
        )
    side = min(3.0 + 0.45 * n, 14.0)
    names = [_cut(name) for name in classes]
    figure = _figure((side + 1, side + 0.08 * max(map(len, names))))  # they hang below
    axes = figure.subplots()
    of = np.maximum(confusion.sum(1, keepdims=True), 1)  # a class without samples: shares of 0
    shares = confusion / of
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the row", shrink=0.8)
    axes.set_xlabel("what it was taken for")
    axes.set_ylabel("what it is")
    right = int(confusion.trace())
    total = int(confusion.sum())
    axes.set_title(f"{right:,} of {total:,} right" if total else "no samples")
    if n <= _MANY_NAMES:
        size = min(10.0, 400 / n)
        axes.set_xticks(range(n), names, rotation=90, fontsize=size, parse_math=False)
        axes.set_yticks(range(n), names, fontsize=size, parse_math=False)
    if n <= _MANY_CLASSES:
        for (i, j), count in np.ndenumerate(confusion):
            if count:
                axes.text(
                    j, i, f"{count}\n{shares[i, j]:.0%}", ha="center", va="center",
                    fontsize=7, color="white" if shares[i, j] > 0.5 else "black",
                )  # fmt: skip
    return figure


def _kept(runs: Mapping[str, Rows]) -> dict[str, list[Row]]:
    kept = {name: list(rows) for name, rows in runs.items()}
    empty = [f" {name!r}" if name else "" for name, rows in kept.items() if not rows]
    if empty or not kept:
        raise ArgumentError(
            f"curves: the history{empty[0] if empty else ''} has no epochs; "
            "draw it after the first epoch"
        )
    return kept


def _figure(size: tuple[float, float]) -> Figure:
    """An empty figure that no window or global state of matplotlib knows of."""
    library = optional("matplotlib.figure", "plots")
    figure: Figure = library.Figure(figsize=size, dpi=_DOTS, layout="constrained")
    return figure


def _panels(runs: Mapping[str, list[Row]]) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a panel for each figure of the runs; epochs below, its name at the left."""
    drawn = {
        name.removeprefix("val_"): None
        for rows in runs.values()
        for row in rows
        for name, value in row.items()
        if name not in _NOT_DRAWN and value is not None
    }
    names = list(drawn)
    if not names:
        raise ArgumentError("curves: the history has neither losses nor metrics; nothing to draw")
    down = -(-len(names) // _ACROSS)
    across = -(-len(names) // down)
    figure = _figure((5.5 * across, 4.2 * down))
    ticker = optional("matplotlib.ticker", "plots")
    panels: dict[str, Axes] = {}
    for i, name in enumerate(names):
        axes = figure.add_subplot(down, across, i + 1)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name, parse_math=False)
        axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        panels[name] = axes
    return figure, panels


def _line(rows: list[Row], column: str) -> tuple[list[int], npt.NDArray[np.float64]]:
    """Epochs, and a figure's values in them; NaN, a gap, where there is none."""
    x = [int(row.get("epoch") or i) for i, row in enumerate(rows, 1)]
    values = [row.get(column) for row in rows]
    return x, np.array([math.nan if v is None else v for v in values], np.float64)


def _mark_best(axes: Axes, name: str, rows: list[Row]) -> None:
    """A star at the best epoch: of the validation, if there is one."""
    for column in (f"val_{name}", name):
        best = Best(column)
        for epoch, value in zip(*_line(rows, column), strict=True):
            best.improves({column: float(value), "epoch": epoch})
        if best.value is not None:
            axes.plot(
                [best.epoch], [best.value], linestyle="", marker="*", markersize=12,
                color="black", markerfacecolor="none",
                label=f"best: {best.value:.4g} in epoch {best.epoch}",
            )  # fmt: skip
            return


def _cut(name: str) -> str:
    plain = "".join(c if c.isprintable() else "?" for c in name)
    return plain if len(plain) <= _NAME else plain[: _NAME - 1] + "…"


def check_png(path: str | Path) -> None:
    """Raise `ArgumentError` for a name that isn't a PNG file's, which is what is drawn."""
    if Path(path).suffix.lower() != ".png":
        raise ArgumentError(f"plot: {str(path)!r}; expected a name that ends in .png")


def _save(figure: Figure, path: str | Path) -> None:
    """Put the figure's PNG in place: whole, or not at all; the same bytes for the same figure."""
    check_png(path)
    image = io.BytesIO()
    with warnings.catch_warnings():
        # A class's name in letters that the font lacks is drawn as boxes: no reason for a warning.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        figure.savefig(image, format="png", metadata={"Software": None})
    write(path, image.getvalue())
