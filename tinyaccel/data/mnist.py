"""MNIST, or anything in its format, from the four idx files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinyaccel.data.dataset import ArrayDataset, Splits
from tinyaccel.data.files import data_folder, find_file
from tinyaccel.data.idx import read_idx
from tinyaccel.errors import DataError

MEAN, STD = 0.1307, 0.3081  # of all training pixels, on [0, 1]
_SIDE = 28


def mnist(folder: str | Path | None = None) -> Splits:
    """60,000 handwritten digits to train on and 10,000 to test on, from local files.

    folder  has `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
            `t10k-labels-idx1-ubyte`, each as it is or with `.gz`; itself, or its folder `mnist`.
            Default: the environment variable TINYACCEL_DATA

    x: (N, 1, 28, 28), (pixels / 255 - 0.1307) / 0.3081 in a batch; y: (N,), 0 to 9. Raises
    `DataError` for files that are missing, truncated, corrupt, or don't belong together.

    Y. LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998.
    """
    where = data_folder("mnist", folder, "mnist/train-images-idx3-ubyte.gz", "mnist")
    return Splits(_part(where, "train"), _part(where, "t10k"))


def _part(folder: Path, part: str) -> ArrayDataset:
    images_at, labels_at = (
        find_file("mnist", folder, f"{part}-{kind}-ubyte.gz", f"{part}-{kind}-ubyte")
        for kind in ("images-idx3", "labels-idx1")
    )
    images, labels = read_idx(images_at, 3, "mnist"), read_idx(labels_at, 1, "mnist")
    if images.shape[1:] != (_SIDE, _SIDE):
        raise DataError(
            f"mnist: {images_at} has images of {images.shape[1]} x {images.shape[2]}; "
            f"expected {_SIDE} x {_SIDE}: is it another data set?"
        )
    if len(images) != len(labels):
        raise DataError(
            f"mnist: {images_at} has {len(images)} images, but {labels_at.name} has {len(labels)} "
            "labels; expected one for each: copy both again"
        )
    return ArrayDataset(
        np.expand_dims(images, 1), labels, classes=10, mean=MEAN, std=STD, name=f"mnist ({part})"
    )
