"""MNIST, and whatever has its format: four idx files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinyaccel.data.dataset import ArrayDataset, Splits
from tinyaccel.data.download import RemoteFile, fetch_files
from tinyaccel.data.files import data_folder, find_file
from tinyaccel.data.idx import read_idx
from tinyaccel.errors import DataError

MEAN, STD = 0.1307, 0.3081  # of all training pixels, on [0, 1]
_SIDE = 28
_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def idx_files(mirrors: Sequence[str], *sizes_and_sums: tuple[int, str]) -> tuple[RemoteFile, ...]:
    """The four files by their usual names, in the order of `_NAMES`, at each of the mirrors."""
    return tuple(
        RemoteFile(name, size, sha256, tuple(mirror + name for mirror in mirrors))
        for name, (size, sha256) in zip(_NAMES, sizes_and_sums, strict=True)
    )


_NAMES = (
    "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz",
)  # fmt: skip

# Sizes and SHA-256 sums as torchvision and TensorFlow Datasets publish them.
FILES = idx_files(
    _MIRRORS,
    (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
    (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
    (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
    (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
)


def mnist(
    folder: str | Path | None = None, *, download: bool = True, progress: str = "auto"
) -> Splits[ArrayDataset, ArrayDataset]:
    """60,000 handwritten digits to train on and 10,000 to test on.

    folder    has `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
              `t10k-labels-idx1-ubyte`, each as it is or with `.gz`; itself, or its folder `mnist`.
              Default: the environment variable TINYACCEL_DATA; else the cache
    download  whether to fetch them into the cache (12 MB) if they are in none of these
    progress  how that is shown: "auto", "bar", "lines", "quiet"

    x: (N, 1, 28, 28), (pixels / 255 - 0.1307) / 0.3081 in a batch; y: (N,), 0 to 9. Raises
    `DataError` for files that are missing, truncated, corrupt, or don't belong together.

    Y. LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998.
    """
    where = data_folder(
        "mnist", folder, "mnist/train-images-idx3-ubyte.gz", "mnist",
        pattern="t*-idx?-ubyte*",
        fetch=(lambda to: fetch_files("mnist", FILES, to, progress)) if download else None,
    )  # fmt: skip
    return read_four("mnist", where, [str(digit) for digit in range(10)], MEAN, STD)


def read_four(
    name: str, folder: Path, classes: Sequence[str], mean: float, std: float
) -> Splits[ArrayDataset, ArrayDataset]:
    """What the four files in a folder have; `name` is what messages call it."""
    train, test = (_part(name, folder, part) for part in ("train", "t10k"))
    return Splits(
        ArrayDataset(*train, classes=classes, mean=mean, std=std, name=f"{name} (train)"),
        ArrayDataset(*test, classes=classes, mean=mean, std=std, name=f"{name} (t10k)"),
    )


def _part(
    name: str, folder: Path, part: str
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    images_at, labels_at = (
        find_file(name, folder, f"{part}-{kind}-ubyte.gz", f"{part}-{kind}-ubyte")
        for kind in ("images-idx3", "labels-idx1")
    )
    images, labels = read_idx(images_at, 3, name), read_idx(labels_at, 1, name)
    if images.shape[1:] != (_SIDE, _SIDE):
        raise DataError(
            f"{name}: {images_at} has images of {images.shape[1]} x {images.shape[2]}; "
            f"expected {_SIDE} x {_SIDE}: is it another data set?"
        )
    if len(images) != len(labels):
        raise DataError(
            f"{name}: {images_at} has {len(images)} images, but {labels_at.name} has {len(labels)} "
            "labels; expected one for each: copy both again"
        )
    return np.expand_dims(images, 1), labels
