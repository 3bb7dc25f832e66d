"""Transforms that change what pixels hold and leave them where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyaccel.data.dataset import PerChannel, Pixels, normalize
from tinyaccel.data.transforms.options import as_fill, image_size, whole
from tinyaccel.data.transforms.transform import Transform
from tinyaccel.data.transforms.words import Words, below
from tinyaccel.errors import ArgumentError


@dataclass(frozen=True)
class Cutout(Transform):
    """A square of size x size pixels, wherever it falls, is filled.

    Its centre is uniform over all pixels of the image, so that at the border a part of the square
    lies outside: rows from cy - size // 2 up to, not including, cy - size // 2 + size, and columns
    likewise, as far as there are any.

    size  the square's side, 1 or more
    fill  what it is filled with, a number or one for each channel; for uint8 on [0, 1]. The
          default, 0, is black; `fill=dataset.mean` is 0 after normalisation, as in the paper

    x: (N, C, H, W), the same out. Raises `ArgumentError` for an impossible option.

    T. DeVries, G. W. Taylor, "Improved Regularization of Convolutional Neural Networks with
    Cutout", arXiv:1708.04552.
    """

    words = 2  # an image
    size: int
    fill: PerChannel = 0.0

    def __post_init__(self) -> None:
        whole("Cutout", "size", self.size, least=1)

    def apply(self, x: Pixels, words: Words) -> Pixels:
        """The images, with squares at the places that the words (2, n) say."""
        height, width = image_size("Cutout", x)
        first_row, first_column = (
            (below(row, side) - self.size // 2)[:, None]
            for row, side in zip(words, (height, width), strict=True)
        )
        rows, columns = np.arange(height) - first_row, np.arange(width) - first_column
        in_rows = (rows >= 0) & (rows < self.size)
        in_columns = (columns >= 0) & (columns < self.size)
        square = in_rows[:, None, :, None] & in_columns[:, None, None, :]
        out = x.copy()
        np.copyto(out, as_fill("Cutout", self.fill, x), where=square)
        return out


class Normalize(Transform):
    """(x - mean) / std in float32, in place of the data set's own; uint8 is divided by 255 first.

    mean  a number, or one for each channel (axis 1)
    std   likewise, above 0

    x: (N, C, ...), the same out, float32. What a model is trained on so is to be evaluated so.
    Raises `ArgumentError` for an impossible mean or std.

    >>> Normalize(0.5, 0.25)(np.array([[[[0, 255]]]], np.uint8))
    array([[[[-2.,  2.]]]], dtype=float32)
    """

    normalizes = True

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean, self.std = _constants("mean", mean), _constants("std", std)
        if np.min(self.std) <= 0:
            raise ArgumentError(f"Normalize: std={std!r}; expected more than 0")

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"

    def apply(self, x: Pixels, words: Words) -> Pixels:
        """The normalised images; no words are needed."""
        channels = x.shape[1] if x.ndim > 1 else 1
        for what, given in (("mean", self.mean), ("std", self.std)):
            if np.size(given) not in (1, channels):
                raise ArgumentError(
                    f"Normalize: {what}={given} for images {x.shape}; expected one number, or one "
                    f"for each of {channels} channels"
                )
        return normalize(x, self.mean, self.std)


class Standardize(Transform):
    """Each image by itself to mean 0 and standard deviation 1, in place of the data set's own.

        (x - mean(x)) / max(std(x), 1 / sqrt(k))        over the k numbers of an image

    computed in float64 from pixels on [0, 1] (uint8) or as they are (float32), and rounded to
    float32. The least divisor keeps an image of a single colour finite: it becomes 0.

    x: (N, ...), the same out, float32. TensorFlow's `tf.image.per_image_standardization`.

    >>> Standardize()(np.array([[[[0, 255]]]], np.uint8))
    array([[[[-0.70710677,  0.70710677]]]], dtype=float32)
    """

    normalizes = True

    def __repr__(self) -> str:
        return "Standardize()"

    def apply(self, x: Pixels, words: Words) -> Pixels:
        """The standardised images; no words are needed."""
        # Contiguous float64 rows: a sum over one then takes the same steps in any batch.
        rows = x.reshape(len(x), -1).astype(np.float64)
        if x.dtype == np.uint8:
            rows /= 255
        rows -= rows.mean(axis=1, keepdims=True)
        deviation = np.sqrt(np.square(rows).mean(axis=1, keepdims=True))
        rows /= np.maximum(deviation, 1 / np.sqrt(rows.shape[1]))
        return rows.astype(np.float32).reshape(x.shape)


def _constants(what: str, given: float | Sequence[float]) -> PerChannel:
    numbers = np.asarray(given, np.float64)
    if numbers.ndim > 1 or not numbers.size or not np.isfinite(numbers).all():
        raise ArgumentError(
            f"Normalize: {what}={given!r}; expected a finite number, or one for each channel"
        )
    return tuple(numbers.tolist()) if numbers.ndim else float(numbers)
