"""The 8x8 scans of handwritten digits that come with scikit-learn, and their fixed split."""

from __future__ import annotations

import numpy as np

from tinyaccel.data.dataset import ArrayDataset, Splits
from tinyaccel.data.stratify import stratified
from tinyaccel.extras import optional

TEST_SIZE = 540
_SEED = 540  # of the split alone; part of the data set's definition, as the images are


def digits() -> Splits[ArrayDataset, ArrayDataset]:
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
    chosen = stratified(y, TEST_SIZE, _SEED)
    rest = np.setdiff1d(np.arange(len(y)), chosen)
    return Splits(
        ArrayDataset(images[rest], y[rest], classes=10, name="digits (train)"),
        ArrayDataset(images[chosen], y[chosen], classes=10, name="digits (test)"),
    )
