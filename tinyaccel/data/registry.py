"""The data sets by name, as the command line knows them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tinyaccel.data.cifar10 import cifar10
from tinyaccel.data.dataset import Splits
from tinyaccel.data.digits import digits
from tinyaccel.data.mnist import mnist
from tinyaccel.errors import ArgumentError

DATASETS: dict[str, Callable[[str | Path | None], Splits]] = {
    "digits": lambda _folder: digits(),  # comes with scikit-learn, needs no files
    "mnist": mnist,
    "cifar10": cifar10,
}


def load(name: str, folder: str | Path | None = None) -> Splits:
    """The data set called `name`, from the files in `folder` (default: TINYACCEL_DATA).

    Raises `ArgumentError` for an unknown name, and lists those known; `DataError` for its files.
    """
    if name not in DATASETS:
        raise ArgumentError(f"data set {name!r} is unknown; expected one of {', '.join(DATASETS)}")
    return DATASETS[name](folder)
