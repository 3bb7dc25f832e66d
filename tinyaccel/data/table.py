"""Tables: a CSV file as a data set, a column of labels and numbers to tell them from."""

from __future__ import annotations

import csv
import math
import re
import shlex
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinyaccel.data.dataset import ArrayDataset, Dataset, Splits
from tinyaccel.data.plural import counted
from tinyaccel.data.suggest import near
from tinyaccel.errors import ArgumentError, DataError

_DELIMITERS = ",;\t|"
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")


def table(
    path: str | Path,
    *,
    label: str | int = -1,
    ignore: Sequence[str | int] = (),
    header: bool | None = None,
    regression: bool | None = None,
    validation_split: float | None = None,
    test_split: float | None = None,
    seed: int = 0,
) -> Splits[ArrayDataset, ArrayDataset | None]:
    """A CSV file: a sample in each row, its label in one column, numbers in all others.

    label             the column with the labels, by name or by number from 0 (-1: the last)
    ignore            columns to leave out, likewise: row numbers, names
    header            whether the first row has names; default: whether no cell of it is a number
    regression        whether labels are numbers to be fitted; default: whether all are numbers, and
                      not all of them whole. Otherwise each different one is a class, in order
    test_split        the fraction of rows to hold out in `.test`, each class in proportion
    validation_split  the fraction of the others to hold out in `.validation`, likewise
    seed              which rows these are

    x: (N, F) float32, (x - mean) / std in a batch, by the mean and deviation of each column in the
    training rows; y: (N,) int32, or float32 for regression. Cells are divided by `,`, `;`, tab or
    `|`, whichever the first row has most of, and may be quoted (RFC 4180); text is UTF-8.

    Raises `DataError` for a cell that is no finite number, with its line and column, a row with too
    few or too many cells, or a file that is empty or missing; `ArgumentError` for a column that
    isn't there or an impossible fraction.
    """
    source = Path(path)
    rows = _rows(source)
    first = next(rows, None)
    if first is None:
        raise DataError(f"{source} is empty; expected a row for each sample")
    has_names = not any(map(_is_number, first.cells)) if header is None else header
    names = first.cells if has_names else [str(i) for i in range(len(first.cells))]
    columns = _Columns(source, names, label, ignore)
    features = array("d")
    labels: list[str] = []
    if not has_names:
        columns.read(first, features, labels)
    for row in rows:
        columns.read(row, features, labels)
    if not labels:
        raise DataError(f"{source} has no rows below its heading; expected one a sample")
    x = np.frombuffer(features, np.float64).reshape(len(labels), -1)
    y, classes = _targets(source, labels, regression)
    whole = ArrayDataset(x, y, classes=classes, name=source.name)
    return standardized(_held_out(whole, validation_split, test_split, seed))


def standardized(
    splits: Splits[Dataset, Dataset | None],
) -> Splits[ArrayDataset, ArrayDataset | None]:
    """The same arrays; mean and std of each channel (axis 1) are those of the training part."""
    train = _array(splits.train)
    axes = (0, *range(2, train.x.ndim))
    scale = 255.0 if train.x.dtype == np.uint8 else 1.0
    mean = np.atleast_1d(train.x.mean(axes, dtype=np.float64)) / scale
    std = np.atleast_1d(train.x.std(axes, dtype=np.float64)) / scale
    std[std == 0] = 1.0  # a column that never changes becomes 0

    alone = splits.test is None and splits.validation is None

    def again(part: Dataset, name: str) -> ArrayDataset:
        old = _array(part)
        return ArrayDataset(
            old.x, old.y, classes=old.classes or None, mean=mean.tolist(), std=std.tolist(),
            name=old.name if alone else f"{old.name} ({name})",
        )  # fmt: skip

    test, validation = splits.test, splits.validation
    return Splits(
        again(train, "train"),
        None if test is None else again(test, "test"),
        None if validation is None else again(validation, "validation"),
    )


def _array(part: Dataset) -> ArrayDataset:
    assert isinstance(part, ArrayDataset)
    return part


def _held_out(
    whole: Dataset, validation_split: float | None, test_split: float | None, seed: int
) -> Splits[Dataset, Dataset | None]:
    test = validation = None
    if test_split:
        whole, test = whole.split(test_split, seed)
    if validation_split:
        whole, validation = whole.split(validation_split, seed)
    return Splits(whole, test, validation)


class _Row(NamedTuple):
    line: int
    cells: list[str]


def _rows(path: Path) -> Iterator[_Row]:
    """The rows that have anything in them, and the lines they end on."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            start = file.readline()
            delimiter = max(_DELIMITERS, key=start.count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True, skipinitialspace=True)
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield _Row(reader.line_num, [cell.strip() for cell in cells])
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}; name a file") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} isn't UTF-8 (byte {error.start}); save it as CSV in UTF-8"
        ) from error
    except csv.Error as error:
        raise DataError(
            f"{path} line {reader.line_num} isn't CSV ({error}); mend its quotes"
        ) from error


class _Columns:
    """Which columns are what."""

    def __init__(
        self, path: Path, names: list[str], label: str | int, ignore: Sequence[str | int]
    ) -> None:
        self._path, self._names = path, names
        self._label = self._number(label)
        left_out = {self._number(column) for column in ignore} | {self._label}
        self.features = [i for i in range(len(names)) if i not in left_out]
        if not self.features:
            raise DataError(
                f"{path} has {counted(len(names), 'column')}, none left beside the label; "
                f"expected numbers in columns divided by one of {', '.join(map(repr, _DELIMITERS))}"
            )

    def _number(self, column: str | int) -> int:
        """The number of a column that is given by name or number."""
        if isinstance(column, str) and column in self._names:
            return self._names.index(column)
        try:
            number = range(len(self._names))[int(column)]
        except (ValueError, IndexError):
            raise ArgumentError(
                f"{self._path} has no column {column!r}{near(str(column), self._names)}; "
                f"expected one of {', '.join(self._names[:10])}"
                + (f" and {len(self._names) - 10} more" if len(self._names) > 10 else "")
                + f", or a number below {len(self._names)}"
            ) from None
        return number

    def read(self, row: _Row, features: array[float], labels: list[str]) -> None:
        """Add a row's numbers to `features`, and its label to `labels`."""
        cells = row.cells
        if len(cells) != len(self._names):
            raise DataError(
                f"{self._path} line {row.line} has {counted(len(cells), 'cell')}; expected "
                f"{len(self._names)}, as in the first row: mend that line"
            )
        if not cells[self._label]:
            raise self._fault(row, self._label, "expected a label: mend or delete that row")
        try:
            numbers = array("d", [float(cells[i]) for i in self.features])
        except ValueError:
            numbers = array("d", (math.nan,))
        if not all(map(math.isfinite, numbers)):
            raise self._no_number(row)
        features.extend(numbers)
        labels.append(cells[self._label])

    def _no_number(self, row: _Row) -> DataError:
        """What to say of a row with a cell that is no number: of that cell, or of all like it."""
        wrong = next(i for i in self.features if not _is_number(row.cells[i]))
        if _DECIMAL_COMMA.fullmatch(row.cells[wrong]):
            return self._fault(
                row, wrong, "expected a decimal point, not a comma: save the table in that form"
            )
        words = self._words()
        if wrong in words:
            names = ", ".join(repr(self._names[i]) for i in words)
            have = "column {} has" if len(words) == 1 else "columns {} have"
            given = ",".join(self._names[i] for i in words)
            return DataError(
                f"{self._path}: {have.format(names)} words in every row ({row.cells[wrong]!r}, "
                f"...); expected numbers: leave {'it' if len(words) == 1 else 'them'} out with "
                f"--ignore {shlex.quote(given)}"
            )
        return self._fault(
            row, wrong, "expected a finite number: mend or delete that row, or leave the column "
            f"out with --ignore {shlex.quote(self._names[wrong])}",
        )  # fmt: skip

    def _words(self) -> list[int]:
        """The columns, of those that should be numbers, in which no cell below the first is one."""
        rows = _rows(self._path)
        next(rows)  # names, or a row that is like the others
        left = set(self.features)
        for row in rows:
            left -= {i for i in left if i >= len(row.cells) or _is_number(row.cells[i])}
        return sorted(left)

    def _fault(self, row: _Row, column: int, expected: str) -> DataError:
        cell = row.cells[column]
        return DataError(
            f"{self._path} line {row.line}, column {self._names[column]!r}: "
            f"{f'{cell!r}' if cell else 'nothing'}; {expected}"
        )


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _targets(
    path: Path, labels: Sequence[str], regression: bool | None
) -> tuple[npt.NDArray[np.int64 | np.float64], tuple[str, ...] | None]:
    """Classes by number, and their names; or numbers to be fitted, and None."""
    are_numbers = all(map(_is_number, labels))
    numbers = np.array([float(label) for label in labels]) if are_numbers else np.zeros(0)
    if regression is None:
        regression = are_numbers and bool((numbers != np.round(numbers)).any())
    if regression:
        if not are_numbers:
            wrong = next(label for label in labels if not _is_number(label))
            raise DataError(f"{path} has label {wrong!r}; expected finite numbers to fit")
        return numbers, None
    if are_numbers and (numbers == np.round(numbers)).all():
        classes, y = np.unique(numbers, return_inverse=True)
        names = tuple(f"{value:.0f}" for value in classes)
    else:
        texts, y = np.unique(np.array(labels), return_inverse=True)
        names = tuple(map(str, texts))
    if len(names) < 2:
        raise DataError(f"{path} has one label, {names[0]!r}; expected at least two classes")
    return y.astype(np.int64), names


def features_of(
    path: str | Path, *, label: str | int = -1, ignore: Sequence[str | int] = ()
) -> list[str]:
    """The names of the columns that `table` takes numbers from; "0", "1", ... without a heading."""
    source = Path(path)
    first = next(_rows(source), None)
    cells = [] if first is None else first.cells
    names = cells if not any(map(_is_number, cells)) else [str(i) for i in range(len(cells))]
    return [names[i] for i in _Columns(source, names, label, ignore).features]


class Rows(NamedTuple):
    """Rows of numbers, and the lines of the file that they end on."""

    lines: list[int]
    x: npt.NDArray[np.float32]


def read_rows(path: str | Path, features: Sequence[str]) -> Rows:
    """The rows of a CSV file as a model takes them that was trained on a table.

    features  names of the columns, as `features_of` gives them

    x: (N, F) float32. Columns are found by their names, in any order and among others, which may
    be the labels'; without a heading they have to be these, in this order. Raises `DataError` for
    a column that is missing, a cell that is no finite number, a file that is empty or missing.
    """
    source = Path(path)
    rows = list(_rows(source))
    if not rows:
        raise DataError(f"{source} is empty; expected a row for each sample")
    heading = rows[0].cells if not any(map(_is_number, rows[0].cells)) else None
    places = _places(source, heading, len(rows[0].cells), features)
    lines: list[int] = []
    numbers = array("d")
    for row in rows if heading is None else rows[1:]:
        for place, name in zip(places, features, strict=True):
            cell = row.cells[place] if place < len(row.cells) else ""
            if not _is_number(cell):
                shown = repr(cell) if cell else "nothing"
                raise DataError(
                    f"{source} line {row.line}, column {name!r}: {shown}; expected a finite "
                    "number: mend or delete that row"
                )
            numbers.append(float(cell))
        lines.append(row.line)
    if not lines:
        raise DataError(f"{source} has no rows below its heading; expected one a sample")
    x = np.frombuffer(numbers, np.float64).reshape(len(lines), -1)
    return Rows(lines, x.astype(np.float32))


def _places(
    path: Path, heading: Sequence[str] | None, width: int, features: Sequence[str]
) -> list[int]:
    """Where a file has each of the columns."""
    nameless = all(name.isdecimal() for name in features)  # trained on a table without a heading
    if heading is not None and not nameless:
        missing = [name for name in features if name not in heading]
        if missing:
            raise DataError(
                f"{path} has no column {missing[0]!r}{near(missing[0], heading)}; expected "
                f"{', '.join(features)}, as in the table that the model was trained on"
            )
        return [heading.index(name) for name in features]
    if width == len(features):
        return [*range(width)]
    if nameless and width > max(map(int, features)):
        return [int(name) for name in features]
    raise DataError(
        f"{path} has {counted(width, 'column')} without names; expected {len(features)}, or a "
        f"first row that names them: {', '.join(features)}"
    )
