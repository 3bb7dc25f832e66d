"""ArrayDataset: images and their labels as two arrays, checked once, normalised batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel.errors import ArgumentError, DataError

Batch: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]


class ArrayDataset:
    """Images and labels in memory.

    x        (N, C, H, W) or any other (N, ...); uint8 counts as pixels and is divided by 255,
             everything else is taken as it is, rounded to float32
    y        (N,), integers: the class of each image
    classes  how many classes there are, or their names; default: the largest label plus 1
    mean     what is taken off, one number or one for each channel (axis 1)
    std      what the rest is divided by, likewise
    name     what error messages call it

    A batch is (x, y) with x = (pixels - mean) / std in float32 and y in int32. Pixels stay uint8
    until then, a quarter of the memory.

    Raises `DataError` if there are no images, if the lengths differ, if x isn't finite, or if a
    label is no integer or no class; `ArgumentError` for an impossible mean or std.

    >>> d = ArrayDataset(np.full((2, 1, 1, 1), 255, np.uint8), np.array([0, 1]), mean=0.5, std=0.5)
    >>> d.batch([1])
    (array([[[[1.]]]], dtype=float32), array([1], dtype=int32))
    """

    x: npt.NDArray[np.generic]
    y: npt.NDArray[np.int32]
    classes: tuple[str, ...]
    name: str

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
        if len(self.x) != labels.size or labels.ndim != 1:
            raise DataError(
                f"{name}: x {self.x.shape} and y {labels.shape}; expected one label for each image"
            )
        if not len(labels):
            raise DataError(f"{name}: no images; expected at least one")
        if labels.dtype.kind not in "iu":
            raise DataError(f"{name}: labels are {labels.dtype}; expected integers, a class each")
        if classes is None:
            classes = int(labels.max()) + 1
        names = [str(i) for i in range(classes)] if isinstance(classes, int) else classes
        self.classes = tuple(names)
        wrong = np.flatnonzero((labels < 0) | (labels >= len(self.classes)))
        if wrong.size:
            raise DataError(
                f"{name}: label {labels[wrong[0]]} of image {wrong[0]} is no class; "
                f"expected 0 to {len(self.classes) - 1}"
                + (f" ({wrong.size} labels are wrong)" if wrong.size > 1 else "")
            )
        self.y = labels.astype(np.int32)
        self.mean, self.std = mean, std
        scale, offset = self._affine()
        self._scale, self._offset = scale, offset

    def _affine(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """(pixels - mean) / std as pixels * scale + offset, shaped for the channels of a batch."""
        mean, std = np.asarray(self.mean, np.float64), np.asarray(self.std, np.float64)
        channels = self.x.shape[1] if self.x.ndim > 1 else 1
        for what, given in (("mean", mean), ("std", std)):
            if given.shape not in ((), (1,), (channels,)) or not np.isfinite(given).all():
                raise ArgumentError(
                    f"{self.name}: {what}={getattr(self, what)!r}; expected one finite number, or "
                    f"one for each of {channels} channels"
                )
        if (std <= 0).any():
            raise ArgumentError(f"{self.name}: std={self.std!r}; expected more than 0")
        pixel = 255.0 if self.x.dtype == np.uint8 else 1.0
        shape = (1, -1, *(1,) * (self.x.ndim - 2))
        scale, offset = 1 / (pixel * std), -mean / std
        return scale.astype(np.float32).reshape(shape), offset.astype(np.float32).reshape(shape)

    def __len__(self) -> int:
        return len(self.y)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return self.x.shape[1:]

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.shape)) or "scalar"
        return f"ArrayDataset({self.name}: {len(self)} of {size}, {len(self.classes)} classes)"

    def batch(self, indices: Sequence[int] | npt.NDArray[np.integer] | slice) -> Batch:
        """The images and labels at `indices`: x (n, ...) float32, normalised; y (n,) int32."""
        x = self.x[indices].astype(np.float32)
        if x.ndim == 1:  # one number an image: no axis for channels
            x = x * self._scale.reshape(-1) + self._offset.reshape(-1)
        else:
            x *= self._scale
            x += self._offset
        return x, np.array(self.y[indices])

    def subset(self, indices: Sequence[int] | npt.NDArray[np.integer] | slice) -> ArrayDataset:
        """A data set of the images at `indices`, with the same classes and normalisation."""
        return ArrayDataset(
            self.x[indices], self.y[indices], classes=self.classes, mean=self.mean, std=self.std,
            name=self.name,
        )  # fmt: skip


class Splits(NamedTuple):
    """What a data set is loaded as: images to train on, and images to test on."""

    train: ArrayDataset
    test: ArrayDataset


def _images(x: npt.NDArray[np.generic], name: str) -> npt.NDArray[np.generic]:
    """x as it is kept: uint8 or float32, all finite."""
    if x.dtype.kind not in "buif" or x.ndim == 0:
        raise DataError(f"{name}: x is {x.dtype} {x.shape}; expected numbers, (N, C, H, W)")
    if x.dtype == np.uint8:
        return x
    kept = x.astype(np.float32)
    finite = np.isfinite(kept).all(axis=tuple(range(1, kept.ndim)))
    if not finite.all():
        raise DataError(
            f"{name}: image {np.argmin(finite)} has a value that is NaN, infinite or past "
            "float32; expected finite numbers"
        )
    return kept
