"""DataLoader: batches in an order that depends on nothing but the seed and the epoch."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel.data.ahead import ahead
from tinyaccel.data.dataset import Batch, Dataset, Images, Labels
from tinyaccel.data.transforms import Transform
from tinyaccel.data.transforms.words import Words, image_words
from tinyaccel.errors import ArgumentError, DataError
from tinyaccel.ops.random import host_bits

# Mixed into the key, so that the order of batches and the initial weights, which count their
# draws from 0 too, never see the same random words under one seed.
_ORDER = 0x6F72_6465_7200_0000
_DRAWN = 1024  # images whose words are drawn at once: for 64 it takes half as long

_Job: TypeAlias = tuple[npt.NDArray[np.int64], Words]


class DataLoader:
    """The images of a data set in batches, shuffled anew each epoch.

    batch_size  images in a batch; more than there are means all of them, in one batch, which
                `drop_last` doesn't drop
    shuffle     whether the order is random: then it is a pure function of `seed` and the epoch,
                the same on every machine and with every library version
    drop_last   whether the smaller batch at the end is left out
    transform   what is done to the pixels of each image, before they are normalised; what chance
                decides is a pure function of `seed`, the epoch and the number of the image
    map         map(x, y) -> (x, y), done to each batch at last; as many samples must come out
    workers     threads that prepare batches ahead; 0: each is prepared when it is asked for. The
                batches are the same to the bit
    prefetch    batches that each of them may be ahead

    Iterating yields (x, y) NumPy arrays, x (n, ...) float32 and y (n, ...) int32 (float32 for
    targets), and goes on to the next epoch each time; `epoch(k)` yields those of a given one. A
    batch is the consumer's own: it is never written to again. Ending an iteration early, by
    `break`, an exception or Ctrl-C, stops the threads.

    Raises `ArgumentError` for an impossible option or epoch; while iterating, `DataError` where
    `map` gives something else, and what the transform raises.

    >>> from tinyaccel.data import ArrayDataset
    >>> images = ArrayDataset(np.zeros((5, 1)), np.arange(5))
    >>> [y.tolist() for x, y in DataLoader(images, batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 64,
        *,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        transform: Transform | None = None,
        map: Callable[[Images, Labels], Batch] | None = None,
        workers: int = 0,
        prefetch: int = 2,
    ) -> None:
        for option, value, least in (
            ("batch_size", batch_size, 1), ("workers", workers, 0), ("prefetch", prefetch, 1),
        ):  # fmt: skip
            if not _is_int(value) or value < least:
                raise ArgumentError(f"DataLoader: {option}={value!r}; expected {least} or more")
        if transform is not None and not isinstance(transform, Transform):
            raise ArgumentError(
                f"DataLoader: transform={transform!r}; expected a Transform: make a subclass, or "
                "give a function of a batch as map="
            )
        if map is not None and not callable(map):
            raise ArgumentError(f"DataLoader: map={map!r}; expected a function of x and y")
        host_bits(seed, 0, 1)  # says what is wrong with a seed, before there is anything to undo
        self.dataset = dataset
        self.batch_size = min(operator.index(batch_size), len(dataset))
        self.shuffle, self.seed, self.drop_last = shuffle, operator.index(seed), drop_last
        self.transform, self.map = transform, map
        self.workers, self.prefetch = operator.index(workers), operator.index(prefetch)
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

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of a given epoch, whatever was iterated before.

        start  the first batch wanted: what follows is the same, to the bit, as if all before it
               had been iterated too

        Raises `ArgumentError` for an epoch or a batch that there isn't.
        """
        _checked(epoch)
        if not _is_int(start) or not 0 <= start <= len(self):
            raise ArgumentError(f"DataLoader: start={start!r}; expected a batch, 0 to {len(self)}")
        return self._batches(epoch, start)

    def __iter__(self) -> Iterator[Batch]:
        epoch, self._next = self._next, self._next + 1
        return self.epoch(epoch)

    def _batches(self, epoch: int, start: int) -> Iterator[Batch]:
        jobs = self._jobs(epoch, start)
        if self.workers:
            yield from ahead(self._batch, jobs, self.workers, self.prefetch)
        else:
            yield from map(self._batch, jobs)

    def _jobs(self, epoch: int, start: int) -> Iterator[_Job]:
        """For each batch, which images, and the random words of each."""
        size = self.batch_size
        order = self.order(epoch)[start * size : len(self) * size]
        count = 0 if self.transform is None else self.transform.words
        drawn = max(1, _DRAWN // size) * size
        for first in range(0, len(order), drawn):
            indices = order[first : first + drawn]
            words = image_words(self.seed, epoch, indices, count)
            for at in range(0, len(indices), size):
                yield indices[at : at + size], words[:, at : at + size]

    def _batch(self, job: _Job) -> Batch:
        (indices, words), data = job, self.dataset
        if self.transform is None:
            x, y = data.batch(indices)
        else:
            done = self.transform.transformed(data.pixels(indices), words)
            x = np.asarray(done, np.float32) if self.transform.normalizes else data.normalized(done)
            y = np.array(data.y[indices])
        return (x, y) if self.map is None else _mapped(self.map(x, y), len(y))


def _mapped(result: Any, n: int) -> Batch:
    """What `map` gave, as a batch of n samples."""
    if not (
        isinstance(result, tuple)
        and len(result) == 2
        and all(isinstance(part, np.ndarray) and part.ndim for part in result)
    ):
        got = (
            f"({', '.join(type(part).__name__ for part in result)})"
            if isinstance(result, tuple)
            else type(result).__name__
        )
        raise DataError(f"DataLoader: map gave {got}; expected (x, y), two NumPy arrays")
    x, y = result
    if (len(x), len(y)) != (n, n):
        raise DataError(
            f"DataLoader: map gave x {x.shape} and y {y.shape} for a batch of {n}; expected {n} "
            "of both: what leaves samples out belongs into the data set"
        )
    labels: Labels = np.asarray(y, np.float32 if y.dtype.kind == "f" else np.int32)
    return np.asarray(x, np.float32), labels


def _is_int(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _checked(epoch: int) -> int:
    if not _is_int(epoch) or not 0 <= epoch < 2**31:
        raise ArgumentError(f"DataLoader: epoch {epoch!r}; expected an integer from 0 to 2**31 - 1")
    return epoch
