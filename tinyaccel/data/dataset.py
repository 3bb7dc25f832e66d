"""Dataset: what a loader and a trainer need of any data; and the one whose data is two arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Generic, NamedTuple, Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from tinyaccel.data.stratify import stratified
from tinyaccel.errors import ArgumentError, DataError
from tinyaccel.ops.random import host_bits

Images: TypeAlias = npt.NDArray[np.float32]
Labels: TypeAlias = npt.NDArray[np.int32 | np.float32]
Batch: TypeAlias = tuple[Images, Labels]
Pixels: TypeAlias = npt.NDArray[np.uint8 | np.float32]
Indices: TypeAlias = Sequence[int] | npt.NDArray[np.integer] | slice
PerChannel: TypeAlias = float | tuple[float, ...]

# Mixed into the key, so that a split shares no random words with other draws from the same seed.
_SPLIT = 0x7370_6C69_7400_0000


class Dataset(ABC):
    """Images, or samples of any one shape, with a label or a target each.

    A subclass gives `shape`, `y`, `pixels` and the attributes; what follows from them is here.

    name     what messages call it
    classes  the names of the classes; () where y holds targets to be fitted, not classes
    mean     what is taken off, one number or one for each channel: of pixels on [0, 1]
    std      what the rest is divided by, likewise

    >>> class Squares(Dataset):
    ...     name, classes, mean, std, shape = "squares", (), 0.0, 1.0, (1,)
    ...     y = np.arange(4, dtype=np.float32) ** 2
    ...
    ...     def pixels(self, indices):
    ...         return np.arange(4, dtype=np.float32).reshape(4, 1)[indices]
    >>> Squares().batch([3, 2])
    (array([[3.],
           [2.]], dtype=float32), array([9., 4.], dtype=float32))
    """

    name: str
    classes: tuple[str, ...]
    mean: PerChannel
    std: PerChannel

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample: (C, H, W) for images."""

    @property
    @abstractmethod
    def y(self) -> Labels:
        """All labels (N,) int32, or all targets (N, ...) float32."""

    @abstractmethod
    def pixels(self, indices: Indices) -> Pixels:
        """The samples at `indices` as they are kept, (n, ...) uint8 or float32."""

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.shape)) or "scalar"
        wanted = " x ".join(map(str, self.y.shape[1:])) or "a number"
        labels = f"{len(self.classes)} classes" if self.classes else f"targets of {wanted}"
        return f"{type(self).__name__}({self.name}: {len(self)} of {size}, {labels})"

    def normalized(self, pixels: Pixels) -> Images:
        """(pixels - mean) / std in float32; uint8 pixels are divided by 255 first."""
        return normalize(pixels, self.mean, self.std)

    def batch(self, indices: Indices) -> Batch:
        """The samples and labels at `indices`: x (n, ...) float32, normalised; y (n, ...)."""
        return self.normalized(self.pixels(indices)), np.array(self.y[indices])

    def subset(self, indices: Indices) -> Dataset:
        """A data set of the samples at `indices`, with the same classes and normalisation."""
        return Subset(self, indices)

    def split(self, fraction: float, seed: int = 0) -> tuple[Dataset, Dataset]:
        """(the rest, a fraction of it), to train on the one and validate on the other.

        fraction  more than 0 and less than 1, rounded to whole samples
        seed      what is drawn is a pure function of it and of the labels, on every machine

        Each class is in both in proportion, to within a sample (`stratified`); both keep the order.
        Raises `ArgumentError` for a fraction that isn't one, or that leaves either part empty.

        >>> rest, held_out = ArrayDataset(np.zeros((10, 1)), np.arange(10) % 2).split(0.4)
        >>> np.bincount(rest.y), np.bincount(held_out.y)
        (array([3, 3]), array([2, 2]))
        """
        if isinstance(fraction, bool) or not 0 < fraction < 1:
            raise ArgumentError(
                f"split: fraction {fraction!r} of {self.name}; expected more than 0, less than 1"
            )
        count = round(fraction * len(self))
        if not 0 < count < len(self):
            raise ArgumentError(
                f"split: {fraction} of the {len(self)} samples of {self.name} is {count}; expected "
                "at least one in either part: give more data, or another fraction"
            )
        host_bits(seed, 0, 1)  # says what is wrong with a seed, before it is mixed
        labels = self.y if self.classes else np.zeros(len(self), np.int32)
        chosen = stratified(labels, count, seed ^ _SPLIT)
        rest = np.setdiff1d(np.arange(len(self)), chosen)
        return self.subset(rest), self.subset(chosen)


class Subset(Dataset):
    """Some samples of another data set, which are fetched from there: nothing is copied.

    Raises `DataError` if there are none, `IndexError` for one that isn't there.
    """

    def __init__(self, parent: Dataset, indices: Indices) -> None:
        self.parent, self.name, self.classes = parent, parent.name, parent.classes
        self.mean, self.std = parent.mean, parent.std
        self.indices = np.arange(len(parent))[indices]
        if not self.indices.size:
            raise DataError(f"{self.name}: no images; expected at least one")
        self._y = parent.y[self.indices]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.parent.shape

    @property
    def y(self) -> Labels:
        """The labels of these samples."""
        return self._y

    def pixels(self, indices: Indices) -> Pixels:
        """The samples at `indices`, fetched from the whole data set."""
        return self.parent.pixels(self.indices[indices])

    def normalized(self, pixels: Pixels) -> Images:
        """What the whole data set makes of its pixels."""
        return self.parent.normalized(pixels)


class ArrayDataset(Dataset):
    """Images and labels in memory.

    x        (N, C, H, W) or any other (N, ...); uint8 counts as pixels and is divided by 255,
             everything else is taken as it is, rounded to float32
    y        (N,), integers: the class of each image; or (N, ...), floats: targets to be fitted,
             rounded to float32
    classes  how many classes there are, or their names; default: the largest label plus 1
    mean     what is taken off, one number or one for each channel (axis 1)
    std      what the rest is divided by, likewise
    name     what error messages call it

    A batch is (x, y) with x = (pixels - mean) / std in float32, and y in int32 (float32 for
    targets). Pixels stay uint8 until then, a quarter of the memory.

    Raises `DataError` if there are no images, if the lengths differ, if x or a target isn't finite,
    or if a label is no class; `ArgumentError` for an impossible mean or std.

    >>> d = ArrayDataset(np.full((2, 1, 1, 1), 255, np.uint8), np.array([0, 1]), mean=0.5, std=0.5)
    >>> d.batch([1])
    (array([[[[1.]]]], dtype=float32), array([1], dtype=int32))
    """

    x: Pixels

    def __init__(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        classes: int | Sequence[str] | None = None,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        name: str = "data",
    ) -> None:
        self.name = name
        self.x = _images(np.asarray(x), name)
        labels = np.asarray(y)
        targets = labels.dtype.kind == "f" and classes is None
        if labels.ndim == 0 or len(self.x) != len(labels) or (labels.ndim != 1 and not targets):
            raise DataError(
                f"{name}: x {self.x.shape} and y {labels.shape}; expected one label for each image"
            )
        if not len(labels):
            raise DataError(f"{name}: no images; expected at least one")
        self._y: Labels
        if targets:
            self.classes, self._y = (), _finite(labels, name, "target")
        else:
            self.classes, self._y = _classes(labels, classes, name)
        channels = self.x.shape[1] if self.x.ndim > 1 else 1
        self.mean = _constants("mean", mean, channels, name)
        self.std = _constants("std", std, channels, name)
        if np.min(self.std) <= 0:
            raise ArgumentError(f"{name}: std={std!r}; expected more than 0")

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return self.x.shape[1:]

    @property
    def y(self) -> Labels:
        """All labels (N,) int32, or all targets (N, ...) float32."""
        return self._y

    def pixels(self, indices: Indices) -> Pixels:
        """The images at `indices` as they are kept, (n, ...) uint8 or float32."""
        return self.x[indices]

    def subset(self, indices: Indices) -> ArrayDataset:
        """A data set of the images at `indices`, with the same classes and normalisation."""
        return ArrayDataset(
            self.x[indices], self.y[indices], classes=self.classes or None, mean=self.mean,
            std=self.std, name=self.name,
        )  # fmt: skip


Train = TypeVar("Train", bound=Dataset, covariant=True)
Test = TypeVar("Test", bound=Dataset | None, covariant=True)


class _Pair(NamedTuple, Generic[Train, Test]):
    train: Train
    test: Test


class Splits(_Pair[Train, Test]):
    """What a data set is loaded as: a pair, images to train on and images to test on.

    train       what a model learns from
    test        what it is judged by at the end; None where the data has no such part
    validation  what it is judged by while it learns, if the data has or was given such a part;
                not one of the pair, so that `train, test = data.mnist()` holds for all data

    >>> part = ArrayDataset(np.zeros((2, 1)), [0, 1])
    >>> train, test = Splits(part, None, validation=part)
    """

    validation: Dataset | None = None

    def __new__(cls, train: Train, test: Test, validation: Dataset | None = None) -> Self:
        pair: Self = tuple.__new__(cls, (train, test))
        pair.validation = validation
        return pair


def normalize(pixels: npt.NDArray[Any], mean: PerChannel, std: PerChannel) -> Images:
    """(pixels - mean) / std in float32, pixels (n, C, ...) of uint8 on [0, 1]; a new array.

    mean, std: a number, or one for each channel.
    """
    scale, offset = _affine(mean, std, pixels.dtype == np.uint8, pixels.ndim)
    x = pixels.astype(np.float32)
    x *= scale
    x += offset
    return x


@lru_cache(maxsize=64)
def _affine(mean: PerChannel, std: PerChannel, is_uint8: bool, ndim: int) -> tuple[Images, Images]:
    """(pixels - mean) / std as pixels * scale + offset, shaped for the channels of a batch."""
    means, stds = np.array(mean, np.float64), np.array(std, np.float64)
    scale, offset = 1 / ((255.0 if is_uint8 else 1.0) * stds), -means / stds
    shape = (1, -1, *(1,) * (ndim - 2)) if ndim > 1 else (-1,)
    return scale.astype(np.float32).reshape(shape), offset.astype(np.float32).reshape(shape)


def _constants(what: str, given: float | Sequence[float], channels: int, name: str) -> PerChannel:
    """A mean or standard deviation, as a number or a tuple of one for each channel."""
    numbers = np.asarray(given, np.float64)
    if numbers.shape not in ((), (1,), (channels,)) or not np.isfinite(numbers).all():
        raise ArgumentError(
            f"{name}: {what}={given!r}; expected one finite number, or "
            f"one for each of {channels} channels"
        )
    return tuple(numbers.tolist()) if numbers.ndim else float(numbers)


def _classes(
    labels: npt.NDArray[Any], classes: int | Sequence[str] | None, name: str
) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    """The names of the classes, and the labels, each of which is one."""
    if labels.dtype.kind not in "iu":
        raise DataError(f"{name}: labels are {labels.dtype}; expected integers, a class each")
    if classes is None:
        classes = max(int(labels.max()), 0) + 1
    names = tuple(map(str, range(classes))) if isinstance(classes, int) else tuple(classes)
    wrong = np.flatnonzero((labels < 0) | (labels >= len(names)))
    if wrong.size:
        raise DataError(
            f"{name}: label {labels[wrong[0]]} of image {wrong[0]} is no class; "
            f"expected 0 to {len(names) - 1}"
            + (f" ({wrong.size} labels are wrong)" if wrong.size > 1 else "")
        )
    return names, labels.astype(np.int32)


def _images(x: npt.NDArray[Any], name: str) -> Pixels:
    """x as it is kept: uint8 or float32, all finite."""
    if x.dtype.kind not in "buif" or x.ndim == 0:
        raise DataError(f"{name}: x is {x.dtype} {x.shape}; expected numbers, (N, C, H, W)")
    return x if x.dtype == np.uint8 else _finite(x, name, "image")


def _finite(array: npt.NDArray[Any], name: str, what: str) -> npt.NDArray[np.float32]:
    """`array` (N, ...) in float32, all finite."""
    with np.errstate(over="ignore"):  # past float32 becomes infinite, which is refused below
        kept = array.astype(np.float32)
    finite = np.isfinite(kept).all(axis=tuple(range(1, kept.ndim)))
    if not finite.all():
        raise DataError(
            f"{name}: {what} {np.argmin(finite)} has a value that is NaN, infinite or past "
            "float32; expected finite numbers"
        )
    return kept
