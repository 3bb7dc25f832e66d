"""DataLoader: batches in an order that depends on nothing but the seed and the epoch."""

from __future__ import annotations

import operator
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tinyaccel.data.dataset import ArrayDataset, Batch
from tinyaccel.errors import ArgumentError
from tinyaccel.ops.random import host_bits

# Mixed into the key, so that the order of batches and the initial weights, which count their
# draws from 0 too, never see the same random words under one seed.
_ORDER = 0x6F72_6465_7200_0000


class DataLoader:
    """The images of a data set in batches, shuffled anew each epoch.

    batch_size  images in a batch; more than there are means all of them, in one batch
    shuffle     whether the order is random: then it is a pure function of `seed` and the epoch,
                the same on every machine and with every library version
    drop_last   whether the smaller batch at the end is left out

    Iterating yields (x, y) NumPy arrays, x (n, ...) float32 and y (n,) int32, and goes on to the
    next epoch each time; `epoch(k)` yields those of a given one. Raises `ArgumentError` for a
    batch size below 1, or an impossible seed or epoch.

    >>> images = ArrayDataset(np.zeros((5, 1)), np.arange(5))
    >>> [y.tolist() for x, y in DataLoader(images, batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: ArrayDataset,
        batch_size: int = 64,
        *,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if not _is_int(batch_size) or batch_size < 1:
            raise ArgumentError(f"DataLoader: batch_size={batch_size!r}; expected 1 or more")
        host_bits(seed, 0, 1)  # says what is wrong with a seed, before there is anything to undo
        self.dataset = dataset
        self.batch_size = min(operator.index(batch_size), len(dataset))
        self.shuffle, self.seed, self.drop_last = shuffle, operator.index(seed), drop_last
        self._next = 0

    def __len__(self) -> int:
        """Batches in an epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __repr__(self) -> str:
        return f"DataLoader({self.dataset!r}, {len(self)} batches of {self.batch_size})"

    def set_epoch(self, epoch: int) -> None:
        """Which epoch the next iteration yields."""
        self._next = _checked(epoch)

    def order(self, epoch: int) -> npt.NDArray[np.int64]:
        """The images of an epoch in order: a permutation of 0 to N - 1."""
        _checked(epoch)
        n = len(self.dataset)
        if not self.shuffle:
            return np.arange(n, dtype=np.int64)
        words = host_bits(self.seed ^ _ORDER, epoch, n)
        return np.argsort(words, kind="stable").astype(np.int64)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of a given epoch, whatever was iterated before."""
        order = self.order(epoch)
        for i in range(len(self)):
            yield self.dataset.batch(order[i * self.batch_size : (i + 1) * self.batch_size])

    def __iter__(self) -> Iterator[Batch]:
        epoch, self._next = self._next, self._next + 1
        return self.epoch(epoch)


def _is_int(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _checked(epoch: int) -> int:
    if not _is_int(epoch) or not 0 <= epoch < 2**31:
        raise ArgumentError(f"DataLoader: epoch {epoch!r}; expected an integer from 0 to 2**31 - 1")
    return epoch
