"""Data by name, or by the path of a folder or file: as the command line is given it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tinyaccel.data.arrays import arrays
from tinyaccel.data.cifar10 import cifar10
from tinyaccel.data.dataset import Dataset, Splits
from tinyaccel.data.digits import digits
from tinyaccel.data.fashion_mnist import fashion_mnist
from tinyaccel.data.folder import image_folder
from tinyaccel.data.images import Color
from tinyaccel.data.mnist import mnist
from tinyaccel.data.suggest import near
from tinyaccel.data.table import table
from tinyaccel.errors import ArgumentError, DataError

AnySplits = Splits[Dataset, Dataset | None]


class Source(Protocol):
    """What reads a data set that has a name."""

    def __call__(
        self, folder: str | Path | None = None, *, download: bool = True, progress: str = "auto"
    ) -> AnySplits:
        """The data set from `folder`, TINYACCEL_DATA or the cache, or downloaded."""


def _digits(
    folder: str | Path | None = None, *, download: bool = True, progress: str = "auto"
) -> AnySplits:
    return digits()  # comes with scikit-learn, needs no files


DATASETS: dict[str, Source] = {
    "digits": _digits,
    "mnist": mnist,
    "fashion_mnist": fashion_mnist,
    "cifar10": cifar10,
}

TABLES = (".csv", ".tsv", ".txt")
ARRAYS = (".npz", ".npy")


def load(
    name_or_path: str | Path,
    folder: str | Path | None = None,
    *,
    download: bool = True,
    image_size: int | tuple[int, int] | None = None,
    color: Color | None = None,
    skip_bad: bool = False,
    label: str | int | None = None,
    ignore: Sequence[str | int] = (),
    validation_split: float | None = None,
    seed: int = 0,
    progress: str = "auto",
    notes: bool = True,
) -> AnySplits:
    """A data set, by its name in `DATASETS` or by the path of one's own data.

    name_or_path      a name (a folder of that name is ./name); or a folder of pictures, see
                      `image_folder`; a .csv or .tsv file, see `table`; an .npz file, see `arrays`
    folder            the files of a data set with a name; default: TINYACCEL_DATA, else the cache
    download          whether to fetch these if they are in none of them
    image_size, color, skip_bad   for a folder of pictures
    label, ignore     for a table: the column with the labels, and those to leave out
    validation_split  the fraction of the training samples to hold out in `.validation`
    seed              which these are
    progress          how it is shown: "auto", "bar", "lines", "json", "quiet"
    notes             whether to tell what is left out, or looks wrong

    Raises `ArgumentError` for an unknown name, and suggests a known one, or for an option that the
    data has no use for; `DataError` for what is wrong with the files.
    """
    given = str(name_or_path)
    pictures = {"image-size": image_size is not None, "color": color is not None,
                "skip-bad": skip_bad}  # fmt: skip
    tables = {"label": label is not None, "ignore": bool(ignore)}
    if given in DATASETS:
        _refuse(given, pictures, "folders of pictures")
        _refuse(given, tables, "tables")
        splits = DATASETS[given](folder, download=download, progress=progress)
        return _with_validation(splits, validation_split, seed)
    path = _path(given)
    if folder is not None:
        raise ArgumentError(
            f"data {given!r} is a path, and folder {str(folder)!r} is given too; that is for "
            f"{', '.join(DATASETS)}: leave it out"
        )
    if path.is_dir():
        _refuse(given, tables, "tables")
        return image_folder(
            path, image_size=image_size, color=color, skip_bad=skip_bad,
            validation_split=validation_split, seed=seed, progress=progress, notes=notes,
        )  # fmt: skip
    _refuse(given, pictures, "folders of pictures")
    if path.suffix.lower() in ARRAYS:
        _refuse(given, tables, "tables")
        return arrays(path, validation_split=validation_split, seed=seed)
    column = -1 if label is None else label
    return table(path, label=column, ignore=ignore, validation_split=validation_split, seed=seed)


def _path(given: str) -> Path:
    """The path that is meant, or an error that says what could have been."""
    path = Path(given).expanduser()
    if path.is_dir() or (path.exists() and path.suffix.lower() in TABLES + ARRAYS):
        return path
    if path.exists():
        raise DataError(
            f"data {given!r} is a {path.suffix or 'bare'} file; expected a folder of pictures, or "
            f"one of {', '.join(TABLES + ARRAYS)}"
        )
    there = [str(path.parent / name) for name in _names_in(path.parent)]
    if path.name != given or path.suffix:
        raise DataError(
            f"there is no folder or file {given!r}{near(str(path), there)}; expected a folder of "
            "pictures, a .csv or an .npz file"
        )
    raise ArgumentError(
        f"there is no data set, folder or file {given!r}{near(given, [*DATASETS, *there])}; "
        f"expected one of {', '.join(DATASETS)}, a folder of pictures, a .csv or an .npz file"
    )


def _names_in(folder: Path) -> list[str]:
    """What is in a folder that data can be read from; nothing if the folder can't be."""
    with contextlib.suppress(OSError):
        return [
            path.name for path in sorted(folder.iterdir())
            if path.name[0] != "." and (path.is_dir() or path.suffix.lower() in TABLES + ARRAYS)
        ]  # fmt: skip
    return []


def _refuse(given: str, options: Mapping[str, bool], what_for: str) -> None:
    for option, is_given in options.items():
        if is_given:
            raise ArgumentError(
                f"--{option} is for {what_for}, but the data is {given!r}; leave it out, or name "
                "your own with --data"
            )


def _with_validation(splits: AnySplits, fraction: float | None, seed: int) -> AnySplits:
    if not fraction:
        return splits
    rest, held_out = splits.train.split(fraction, seed)
    return Splits(rest, splits.test, held_out)
