"""Data by name, or by the path of a folder or file: as the command line is given it."""

from __future__ import annotations

from collections.abc import Mapping
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
    validation_split: float | None = None,
    seed: int = 0,
    progress: str = "auto",
) -> AnySplits:
    """A data set, by its name in `DATASETS` or by the path of one's own data.

    name_or_path      a name (a folder of that name is ./name); or a folder of pictures, see
                      `image_folder`; a .csv or .tsv file, see `table`; an .npz file, see `arrays`
    folder            the files of a data set with a name; default: TINYACCEL_DATA, else the cache
    download          whether to fetch these if they are in none of them
    image_size, color, skip_bad   for a folder of pictures
    label             for a table: the column with the labels
    validation_split  the fraction of the training samples to hold out in `.validation`
    seed              which these are
    progress          how it is shown: "auto", "bar", "lines", "json", "quiet"

    Raises `ArgumentError` for an unknown name, and suggests a known one, or for an option that the
    data has no use for; `DataError` for what is wrong with the files.
    """
    given = str(name_or_path)
    pictures: dict[str, object] = {
        "image_size": image_size,
        "color": color,
        "skip_bad": skip_bad or None,
    }
    if given in DATASETS:
        _refuse(given, pictures | {"label": label}, "pictures and tables of one's own")
        splits = DATASETS[given](folder, download=download, progress=progress)
        return _with_validation(splits, validation_split, seed)
    path = _path(given)
    if folder is not None:
        raise ArgumentError(
            f"data {given!r} is a path, and folder {str(folder)!r} is given too; that is for "
            f"{', '.join(DATASETS)}: leave it out"
        )
    if path.is_dir():
        _refuse(given, {"label": label}, "tables")
        return image_folder(
            path, image_size=image_size, color=color, skip_bad=skip_bad,
            validation_split=validation_split, seed=seed, progress=progress,
        )  # fmt: skip
    _refuse(given, pictures, "folders of pictures")
    if path.suffix.lower() in ARRAYS:
        _refuse(given, {"label": label}, "tables")
        return arrays(path, validation_split=validation_split, seed=seed)
    column = -1 if label is None else label
    return table(path, label=column, validation_split=validation_split, seed=seed)


def _path(given: str) -> Path:
    """The path that is meant, or an error that says what could have been."""
    path = Path(given).expanduser()
    if path.is_dir() or path.suffix.lower() in TABLES + ARRAYS:
        return path
    if path.exists():
        raise DataError(
            f"data {given!r} is a {path.suffix or 'bare'} file; expected a folder of pictures, or "
            f"one of {', '.join(TABLES + ARRAYS)}"
        )
    if path.name != given or path.suffix:
        raise DataError(
            f"data {given!r} doesn't exist; expected a folder of pictures, a .csv or an .npz file"
        )
    raise ArgumentError(
        f"data set {given!r} is unknown{near(given, DATASETS)}; expected one of "
        f"{', '.join(DATASETS)}, a folder of pictures, a .csv or an .npz file"
    )


def _refuse(given: str, options: Mapping[str, object], what_for: str) -> None:
    for option, value in options.items():
        if value is not None:
            raise ArgumentError(
                f"data {given!r} has no use for {option}={value!r}, which is for {what_for}; leave "
                "it out"
            )


def _with_validation(splits: AnySplits, fraction: float | None, seed: int) -> AnySplits:
    if not fraction:
        return splits
    rest, held_out = splits.train.split(fraction, seed)
    return Splits(rest, splits.test, held_out)
