"""NumPy files as data sets: arrays for training and testing, by name in one .npz file."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyaccel.data.dataset import ArrayDataset, Dataset, Splits
from tinyaccel.data.table import standardized
from tinyaccel.errors import ArgumentError, DataError

_CHANNELS = (1, 3)


def arrays(
    path: str | Path, *, validation_split: float | None = None, seed: int = 0
) -> Splits[ArrayDataset, ArrayDataset | None]:
    """The arrays in an .npz file: x_train, y_train, and x_test, y_test, or x, y.

    path              a file as `numpy.savez(path, x_train=..., y_train=...)` writes it, and Keras
                      its data sets; x_val and y_val, if there, are for validation
    validation_split  the fraction of the training samples to hold out in `.validation`
    seed              which these are

    x: (N, ...) of any numbers. Bytes (N, H, W) are gray images and get their channel; (N, H, W, 1)
    and (N, H, W, 3) become (N, C, H, W). In a batch they are (x - mean) / std for each channel, by
    the training part. y: (N,) or (N, 1) integers are classes; floats are targets to be fitted.

    Raises `DataError` for a file that is missing, damaged, holds pickled objects or other names;
    what `ArrayDataset` raises for arrays that don't fit; `ArgumentError` for `validation_split`
    where there is an x_val.
    """
    source = Path(path)
    found = _read(source)
    names = {"train": "train", "test": "test", "val": "validation"}
    parts = {
        part: _dataset(source, found, suffix)
        for suffix, part in names.items()
        if f"x_{suffix}" in found or f"y_{suffix}" in found
    }
    if not parts and "x" in found:
        parts = {"train": _dataset(source, found, "")}
    if "train" not in parts:
        raise DataError(
            f"{source} has {', '.join(found) or 'nothing'}; expected x_train, y_train, "
            "and, if there are test data, x_test, y_test; or x, y"
        )
    count = max(len(part.classes) for part in parts.values())
    if count:  # a part may lack the last class
        parts = {
            name: ArrayDataset(part.x, part.y, classes=count, name=source.name)
            for name, part in parts.items()
        }
    train: Dataset = parts["train"]
    validation: Dataset | None = parts.get("validation")
    if validation_split:
        if validation is not None:
            raise ArgumentError(
                f"arrays: validation_split={validation_split}, but {source} has x_val; expected "
                "one of the two"
            )
        train, validation = train.split(validation_split, seed)
    return standardized(Splits(train, parts.get("test"), validation))


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All arrays by name."""
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)  # unpickling may run code from the file
            if isinstance(loaded, np.ndarray):
                raise DataError(
                    f"{path} is one array {loaded.shape}; expected samples and labels: "
                    "write both with numpy.savez(path, x=..., y=...)"
                )
            return {name: loaded[name] for name in loaded.files}
    except FileNotFoundError as error:
        raise DataError(f"{path} doesn't exist; expected an .npz file") from error
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        if "allow_pickle" in str(error):
            raise DataError(
                f"{path} holds pickled objects; tinyaccel unpickles nothing: save arrays "
                "of numbers, such as numpy.stack(images)"
            ) from error
        raise _damaged(path, error) from error
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} is no whole .npz file ({error}); save or copy it again")


def _dataset(path: Path, found: dict[str, npt.NDArray[Any]], suffix: str) -> ArrayDataset:
    names = [f"{letter}_{suffix}" if suffix else letter for letter in "xy"]
    for name in names:
        if name not in found:
            raise DataError(f"{path} has {', '.join(found)}, but not {name}; add it")
    x, y = (found[name] for name in names)
    if y.ndim == 2 and y.shape[1] == 1 and y.dtype.kind in "iu":
        y = y[:, 0]
    return ArrayDataset(_channels_first(x), y, name=f"{path.name} {names[0]}")


def _channels_first(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if x.ndim == 3 and x.dtype == np.uint8:
        return np.expand_dims(x, 1)
    if x.ndim == 4 and x.shape[3] in _CHANNELS and x.shape[1] not in _CHANNELS:
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    return x
