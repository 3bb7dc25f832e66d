"""The 8x8 scans of handwritten digits that come with scikit-learn, and their fixed split."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyaccel.data.dataset import ArrayDataset, Splits
from tinyaccel.data.extras import optional
from tinyaccel.ops.random import host_bits

TEST_SIZE = 540
_SEED = 540  # of the split alone; part of the data set's definition, as the images are


def digits() -> Splits:
    """1,797 real digits from 43 writers: 1,257 to train on, 540 to test on.

    x: (N, 1, 8, 8) float32 on [0, 1]; y: (N,) int32, 0 to 9. The split is the same on every
    machine and holds each digit in proportion. Raises `PackageError` without scikit-learn.

    E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, 1998, doi:10.24432/C50P49: the test set of that collection.

    >>> train, test = digits()
    >>> len(train), len(test), test.shape
    (1257, 540, (1, 8, 8))
    """
    x, y = optional("sklearn.datasets", "digits").load_digits(return_X_y=True)
    images = (x.reshape(-1, 1, 8, 8) / 16).astype(np.float32)
    chosen = split(y, TEST_SIZE)
    rest = np.setdiff1d(np.arange(len(y)), chosen)
    return Splits(
        ArrayDataset(images[rest], y[rest], classes=10, name="digits (train)"),
        ArrayDataset(images[chosen], y[chosen], classes=10, name="digits (test)"),
    )


def split(labels: npt.NDArray[np.integer], n: int) -> npt.NDArray[np.int64]:
    """Which `n` images are the test set, sorted: each class in proportion, drawn by counter.

    A class with m of N images gets floor(n m / N) places; those left over go to the largest
    remainders, the smaller class number first. Class c takes the images with the smallest words
    of draw c of `host_bits`, so no library's generator has a say in it.
    """
    counts = np.bincount(labels)
    places = n * counts // len(labels)
    order = np.argsort(-(n * counts % len(labels)), kind="stable")
    places[order[: n - places.sum()]] += 1
    chosen = []
    for c, k in enumerate(places):
        members = np.flatnonzero(labels == c)
        words = host_bits(_SEED, c, len(members))
        chosen.append(members[np.argsort(words, kind="stable")[:k]])
    return np.sort(np.concatenate(chosen))
