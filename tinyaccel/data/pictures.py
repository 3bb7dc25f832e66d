"""ImageDataset: pictures in files, decoded on threads into memory, or each time they are needed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinyaccel.data.dataset import Dataset, Indices, Labels, PerChannel
from tinyaccel.data.display import Display
from tinyaccel.data.images import ImageFormat, read_if_alike, read_image
from tinyaccel.errors import DataError

Shape = tuple[int, int, int]
Pixels = npt.NDArray[np.uint8]

_CHUNK = 32  # pictures that one thread is given at a time: fewer hand-overs than pictures
_SMALL_FILE = 10_000  # bytes; measured on JPEGs: at 32 x 32 two threads take 1.3 times as long


class ImageDataset(Dataset):
    """Pictures by their paths, with a class each; of one shape (C, H, W), whatever the files have.

    paths    the file of each picture, in the order of `y`
    x        all pixels (N, C, H, W) uint8, or None: then a batch is decoded when it is asked for
    skipped  files that were left out, because they can't be read

    `pixels` raises `DataError` for a file that has gone or changed since it was checked.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        y: npt.NDArray[np.int32],
        *,
        classes: tuple[str, ...],
        shape: Shape,
        x: Pixels | None,
        mean: PerChannel,
        std: PerChannel,
        name: str,
        skipped: Sequence[Path] = (),
    ) -> None:
        self.paths, self._y, self._shape, self.x = tuple(paths), y, shape, x
        self.classes, self.mean, self.std, self.name = classes, mean, std, name
        self.skipped = tuple(skipped)

    @property
    def shape(self) -> Shape:
        """(C, H, W) of each picture."""
        return self._shape

    @property
    def y(self) -> Labels:
        """The class of each picture, (N,) int32."""
        return self._y

    def pixels(self, indices: Indices) -> Pixels:
        """The pictures at `indices`, (n, C, H, W) uint8."""
        if self.x is not None:
            return self.x[indices]
        wanted = np.arange(len(self))[indices]
        out = np.empty((len(wanted), *self._shape), np.uint8)
        for place, i in enumerate(wanted):
            out[place] = read_image(self.paths[i], self._shape)
        return out

    def subset(self, indices: Indices) -> ImageDataset:
        """The pictures at `indices`, with the same classes and normalisation."""
        chosen = np.arange(len(self))[indices]
        if not chosen.size:
            raise DataError(f"{self.name}: no images; expected at least one")
        return ImageDataset(
            [self.paths[i] for i in chosen], self._y[chosen], classes=self.classes,
            shape=self._shape, x=None if self.x is None else self.x[chosen],
            mean=self.mean, std=self.std, name=self.name, skipped=self.skipped,
        )  # fmt: skip


class Wanted(NamedTuple):
    """What pictures are to be: of one format, into which those of others are made, or aren't."""

    form: ImageFormat
    resize: bool
    recolor: bool


class Decoded(NamedTuple):
    """What became of a list of files."""

    pixels: Pixels | None  # (N, C, H, W) of all files; None if they aren't to be kept
    faults: dict[int, DataError]  # what is wrong with the files at these places
    formats: Counter[ImageFormat]  # the formats that the good ones have
    mean: tuple[float, ...]  # of the pixels on [0, 1] of those that are as wanted, each channel
    std: tuple[float, ...]


def decode(paths: Sequence[Path], wanted: Wanted, keep: bool, show: Display, what: str) -> Decoded:
    """Every file decoded once, which checks it: kept, or only its mean and deviation.

    The sums are of integers, so that they are exact in any order of threads.
    """
    shape = wanted.form.shape
    pixels = np.empty((len(paths), *shape), np.uint8) if keep else None
    sums, squares = np.zeros(shape[0], np.int64), np.zeros(shape[0], np.int64)
    alike, faults, formats = 0, dict[int, DataError](), Counter[ImageFormat]()
    for i, result in enumerate(_read_all(paths, wanted, show, what)):
        if isinstance(result, DataError):
            faults[i] = result
            continue
        own, read = result
        formats[own] += 1
        if read is not None:
            alike += 1
            sums += read.sum((1, 2), np.int64)
            squares += np.square(read, dtype=np.uint16).sum((1, 2), np.int64)
            if pixels is not None:
                pixels[i] = read
    count = max(1, alike * shape[1] * shape[2])
    means = sums / count / 255
    variances = np.maximum(squares / count / 255**2 - means**2, 0)
    deviations = np.where(variances > 0, np.sqrt(variances), 1.0)  # where all is of one colour
    return Decoded(pixels, faults, formats, tuple(means.tolist()), tuple(deviations.tolist()))


Result = tuple[ImageFormat, Pixels | None] | DataError


def _read_all(paths: Sequence[Path], wanted: Wanted, show: Display, what: str) -> Iterator[Result]:
    """Each picture in order, read on threads, as `read_if_alike` gives it; or what is wrong."""

    def chunk(start: int) -> list[Result]:
        return [_read(path, wanted) for path in paths[start : start + _CHUNK]]

    pool = ThreadPoolExecutor(_threads(paths), "decode")
    try:
        with show.task(what, len(paths)) as advance:
            for results in pool.map(chunk, range(0, len(paths), _CHUNK)):
                yield from results
                advance(len(results))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C waits for a few pictures, not for all


def _threads(paths: Sequence[Path]) -> int:
    """How many threads to read with: one for small files, where they would only wait in turn.

    A decoder lets other threads run, but Python's work on a file of 1 KB takes longer than it.
    """
    sizes = sorted(path.stat().st_size for path in paths[:_CHUNK] if path.exists())
    is_small = not sizes or sizes[len(sizes) // 2] < _SMALL_FILE
    return 1 if is_small else min(8, os.cpu_count() or 1)


def _read(path: Path, wanted: Wanted) -> Result:
    try:
        return read_if_alike(path, wanted.form, resize=wanted.resize, recolor=wanted.recolor)
    except DataError as error:
        return error
