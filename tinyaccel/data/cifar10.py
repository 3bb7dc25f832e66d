"""CIFAR-10 from its binary version: a label byte and 3,072 planar RGB bytes an image."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinyaccel.data.dataset import ArrayDataset, Splits
from tinyaccel.data.files import ByteReader, data_folder, missing
from tinyaccel.errors import DataError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN = (0.4914, 0.4822, 0.4465)  # of all training pixels, on [0, 1], for red, green, blue
STD = (0.2470, 0.2435, 0.2616)
_SHAPE = (3, 32, 32)
_RECORD = 1 + 3 * 32 * 32


def cifar10(folder: str | Path | None = None) -> Splits:
    """Up to 50,000 small photographs to train on and 10,000 to test on, from local files.

    folder  has `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, or some of them, or
            parts such as `data_batch_1_first4000.bin` (left out where the whole batch is there);
            itself, or its folder `cifar10` or `cifar-10-batches-bin`. Default: the environment
            variable TINYACCEL_DATA

    x: (N, 3, 32, 32), (pixels / 255 - mean) / std in a batch, per channel; y: (N,), 0 to 9. Raises
    `DataError` for files that are missing, truncated, or hold labels that are no class. The
    version for Python isn't read: unpickling a file may run code from it.

    A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """
    inside = ("cifar10", "cifar-10-batches-bin")
    where = data_folder("cifar10", folder, "cifar10/data_batch_1.bin", *inside)
    where = next((where / sub for sub in inside[1:] if (where / sub).is_dir()), where)
    return Splits(_part(where, "data_batch_*", "train"), _part(where, "test_batch*", "test"))


def _part(folder: Path, pattern: str, what: str) -> ArrayDataset:
    files = _whole_before_parts(sorted(folder.glob(f"{pattern}.bin")))
    if not files:
        pickled = [path.name for path in sorted(folder.glob(pattern)) if not path.suffix]
        if pickled:
            raise DataError(
                f"cifar10: {folder} has {pickled[0]}, the version for Python, which is pickled; "
                "tinyaccel unpickles nothing: get the binary version (data_batch_1.bin, ...)"
            )
        raise missing("cifar10", folder, f"{pattern}.bin")
    images, labels = zip(*map(_read, files), strict=True)
    return ArrayDataset(
        np.concatenate(images), np.concatenate(labels), classes=CLASSES, mean=MEAN, std=STD,
        name=f"cifar10 ({what})",
    )  # fmt: skip


def _whole_before_parts(files: list[Path]) -> list[Path]:
    """`files` without the parts of a batch whose whole is there: no image comes twice."""
    there = {path.stem for path in files}

    def is_part_of_whole(path: Path) -> bool:
        batch = re.match(r"data_batch_\d+|test_batch", path.stem)
        return batch is not None and batch[0] != path.stem and batch[0] in there

    return [path for path in files if not is_part_of_whole(path)]


def _read(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The images (N, 3, 32, 32) and labels (N,) of one file."""
    with ByteReader("cifar10", path) as file:
        data = file.read()
        if len(data) % _RECORD:
            raise file.fault(
                f"has {len(data)} bytes, no multiple of {_RECORD}",
                f"expected 1 label and 3072 pixels for each image: it is truncated after "
                f"{len(data) // _RECORD} images, or another file: copy it again",
            )
        records = np.frombuffer(data, np.uint8).reshape(-1, _RECORD)
        wrong = np.flatnonzero(records[:, 0] >= len(CLASSES))
        if wrong.size:
            raise file.fault(
                f"has label {records[wrong[0], 0]} at image {wrong[0]}",
                f"expected 0 to {len(CLASSES) - 1}: it is another file, or its bytes are shifted",
            )
    return records[:, 1:].reshape(-1, *_SHAPE), records[:, 0]
