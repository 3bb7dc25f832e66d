"""Report: how good a classifier is, class by class, and what it takes for what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from unicodedata import east_asian_width

import numpy as np
import numpy.typing as npt

from tinyaccel.errors import ShapeError
from tinyaccel.extras import optional
from tinyaccel.train.checkpoint import Json
from tinyaccel.train.metrics import Array, Integers, answers
from tinyaccel.train.plots import plot_confusion

MANY_CLASSES = 20  # with more, a confusion matrix is no table to read
_WORST = 10  # confusions that are told of instead
_WIDE = 24  # the most columns that a class's name gets


class Means(NamedTuple):
    """Precision, recall and F1 of several classes together."""

    precision: float
    recall: float
    f1: float


class Confusion(NamedTuple):
    """How often a class is taken for another; `support` samples are of it."""

    true: str
    answer: str
    times: int
    support: int


class Report:
    """What a classifier's answers are worth.

    logits   (N, C), one for each class or more; the largest (the first of equals) is the answer
    labels   (N,), integers: what is right
    classes  the names of the classes

    accuracy               the share of the answers that is right
    precision, recall, f1  (C,) float64, class by class; a share of nothing (0 / 0) is 0
    support                (C,) int64, how many samples are of each class
    macro                  means over the classes that occur as a label, each counting the same
    weighted               means over the samples: each class counts as often as it is a label
    confusion              (C, C) int64: row i, column j counts what is i and was taken for j

    Raises `ShapeError`, `DataError`, `ArgumentError`, `TrainError` as metrics do (see
    `find_metric`), `PackageError` without scikit-learn.

    >>> logits = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0], [0.0, 9.0]])
    >>> print(Report(logits, np.array([0, 0, 0, 1]), ["cat", "dog"]).text())
                   precision  recall      f1  support
    cat               1.0000  0.6667  0.8000        3
    dog               0.5000  1.0000  0.6667        1
    mean              0.7500  0.8333  0.7333        4
    weighted mean     0.8750  0.7500  0.7667        4
    accuracy 0.7500
    <BLANKLINE>
    what it is (rows), what it was taken for (columns)
         cat  dog
    cat    2    1
    dog    0    1
    """

    def __init__(self, logits: Array, labels: Array, classes: Sequence[str]) -> None:
        said, y = answers("report", logits, labels)
        columns = logits.shape[1]
        if columns < len(classes):
            raise ShapeError(
                f"report: logits {logits.shape} for {len(classes)} classes; expected a logit for "
                "each: change the model's last layer"
            )
        # A model may have logits that no class of the data belongs to, and answer with them.
        self.classes = (*classes, *(f"class {i}" for i in range(len(classes), columns)))
        library = optional("sklearn.metrics", "report")
        every = np.arange(columns)
        pairs = np.bincount(y * columns + said, minlength=columns**2)
        self.confusion: Integers = pairs.reshape(columns, columns)
        precision, recall, f1, support = library.precision_recall_fscore_support(
            y, said, labels=every, zero_division=0
        )
        self.precision: npt.NDArray[np.float64] = precision
        self.recall: npt.NDArray[np.float64] = recall
        self.f1: npt.NDArray[np.float64] = f1
        self.support: Integers = support
        self.accuracy = float((said == y).mean())
        self.macro = self._means((support > 0).astype(np.float64))
        self.weighted = self._means(support.astype(np.float64))

    def _means(self, weights: npt.NDArray[np.float64]) -> Means:
        columns = (self.precision, self.recall, self.f1)
        return Means(*(float(np.average(column, weights=weights)) for column in columns))

    @property
    def samples(self) -> int:
        """How many there are."""
        return int(self.support.sum())

    def worst(self, most: int = _WORST) -> list[Confusion]:
        """The most frequent confusions, the first of equals first."""
        wrong = self.confusion.copy()
        np.fill_diagonal(wrong, 0)
        found = []
        for place in np.argsort(-wrong, axis=None, kind="stable")[:most]:
            i, j = divmod(int(place), len(self.classes))
            if wrong[i, j]:
                support = int(self.support[i])
                found.append(Confusion(self.classes[i], self.classes[j], int(wrong[i, j]), support))
        return found

    def text(self) -> str:
        """A table for a terminal, and the confusion matrix; the worst confusions if it is large."""
        lines: list[Sequence[str]] = [("", "precision", "recall", "f1", "support")]
        rows = zip(self.classes, self.precision, self.recall, self.f1, self.support, strict=True)
        for name, *shares, support in rows:
            lines.append((_short(name), *(f"{share:.4f}" for share in shares), f"{support:,}"))
        for name, means in (("mean", self.macro), ("weighted mean", self.weighted)):
            lines.append((name, *(f"{mean:.4f}" for mean in means), f"{self.samples:,}"))
        table = [*_aligned(lines), f"accuracy {self.accuracy:.4f}"]
        absent = [name for name, n in zip(self.classes, self.support, strict=True) if not n]
        if absent:
            table.append(f"not in the data: {', '.join(map(_short, absent))}")
        return "\n".join([*table, "", *self._confusions()])

    def _confusions(self) -> list[str]:
        if len(self.classes) > MANY_CLASSES:
            worst = self.worst()
            return ["the worst confusions" if worst else "no confusions"] + [
                f"{_short(one.true)} taken for {_short(one.answer)}: {one.times:,} of "
                f"{one.support:,}"
                for one in worst
            ]
        # Long names would make long lines: the columns are then called by numbers.
        names = [_short(name) for name in self.classes]
        numbered = max(map(_width, names)) > 6
        lines: list[Sequence[str]] = [
            ("", *(str(i) if numbered else name for i, name in enumerate(names)))
        ]
        for i, (name, row) in enumerate(zip(names, self.confusion, strict=True)):
            head = f"{i} {name}" if numbered else name
            lines.append((head, *(f"{n:,}" for n in row)))
        return ["what it is (rows), what it was taken for (columns)", *_aligned(lines)]

    def as_json(self) -> dict[str, Json]:
        """All of it as plain numbers, texts, lists and dicts, for `json.dumps`."""
        per_class: list[Json] = [
            {
                "name": name, "precision": float(self.precision[i]),
                "recall": float(self.recall[i]), "f1": float(self.f1[i]),
                "support": int(self.support[i]),
            }
            for i, name in enumerate(self.classes)
        ]  # fmt: skip
        return {
            "accuracy": self.accuracy,
            "samples": self.samples,
            "macro": dict(self.macro._asdict()),
            "weighted": dict(self.weighted._asdict()),
            "classes": per_class,
            "confusion": self.confusion.tolist(),
        }

    def plot_confusion(self, path: str | Path) -> None:
        """Draw the confusion matrix as a PNG. Raises `SaveError`, `PackageError`."""
        plot_confusion(self.confusion, self.classes, path)


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)


def _short(name: str) -> str:
    """A name without what would break a line, cut if it is long."""
    plain = "".join(c if c.isprintable() else "?" for c in name)
    if _width(plain) <= _WIDE:
        return plain
    while _width(plain) >= _WIDE:
        plain = plain[:-1]
    return plain + "…"


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines: the first column to the left, all others to the right."""
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    aligned = []
    for first, *others in lines:
        cells = [first + " " * (widths[0] - _width(first))]
        for cell, width in zip(others, widths[1:], strict=True):
            cells.append(" " * (width - _width(cell)) + cell)
        aligned.append("  ".join(cells).rstrip())
    return aligned
