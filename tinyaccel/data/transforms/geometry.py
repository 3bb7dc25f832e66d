"""Transforms that move pixels: crop, flip, rotate. All keep uint8 as uint8."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinyaccel.data.dataset import PerChannel, Pixels
from tinyaccel.data.transforms.options import as_fill, between, image_size, whole
from tinyaccel.data.transforms.transform import Transform
from tinyaccel.data.transforms.words import Words, below, unit
from tinyaccel.errors import ArgumentError, ShapeError


@dataclass(frozen=True)
class RandomCrop(Transform):
    """A window of each image at a random place: out[y, x] = padded[top + y, left + x].

    size     (h, w), or one number for both; default: that of the images, which are then shifted by
             up to `padding` pixels each way
    padding  pixels added on all four sides first
    fill     what those hold, a number or one for each channel: for uint8 on [0, 1], 0 is black

    top and left are uniform over all places where the window fits. x: (N, C, H, W) to (N, C, h, w),
    the same dtype. Raises `ArgumentError` for an impossible option, `ShapeError` for images that
    are smaller than the window.
    """

    words = 2  # an image
    size: int | tuple[int, int] | None = None
    padding: int = 0
    fill: PerChannel = 0.0

    def __post_init__(self) -> None:
        whole("RandomCrop", "padding", self.padding, least=0)
        if self.size is not None:
            sizes = self.size if isinstance(self.size, tuple) else (self.size,) * 2
            if len(sizes) != 2:
                raise ArgumentError(f"RandomCrop: size={self.size!r}; expected (height, width)")
            for side in sizes:
                whole("RandomCrop", "size", side, least=1)

    def apply(self, x: Pixels, words: Words) -> Pixels:
        """The windows at the places that the words (2, n) say."""
        height, width = image_size("RandomCrop", x)
        size = (height, width) if self.size is None else self.size
        h, w = size if isinstance(size, tuple) else (size, size)
        p = self.padding
        if h > height + 2 * p or w > width + 2 * p:
            raise ShapeError(
                f"RandomCrop: a window of {h} x {w} from images of {height} x {width} with "
                f"padding={p}; expected it to fit in: give more padding, or a smaller size"
            )
        if p:
            padded = np.empty((*x.shape[:2], height + 2 * p, width + 2 * p), x.dtype)
            padded[:] = as_fill("RandomCrop", self.fill, x)
            padded[:, :, p : p + height, p : p + width] = x
            x = padded
        top, left = below(words[0], x.shape[2] - h + 1), below(words[1], x.shape[3] - w + 1)
        windows = np.lib.stride_tricks.sliding_window_view(x, (h, w), axis=(2, 3))
        return windows[np.arange(len(x)), :, top, left]


@dataclass(frozen=True)
class RandomHorizontalFlip(Transform):
    """Left and right exchanged with probability p: out[y, x] = in[y, W - 1 - x].

    x: (N, C, H, W), the same out. Raises `ArgumentError` unless p is from 0 to 1.
    """

    words = 1  # an image
    p: float = 0.5

    def __post_init__(self) -> None:
        between("RandomHorizontalFlip", "p", self.p, 0, 1)

    def apply(self, x: Pixels, words: Words) -> Pixels:
        """The images, of which those are flipped whose word is below p."""
        image_size("RandomHorizontalFlip", x)
        return _flipped(x, unit(words[0]) < self.p, lambda chosen: chosen[:, :, :, ::-1])


@dataclass(frozen=True)
class RandomVerticalFlip(Transform):
    """Top and bottom exchanged with probability p: out[y, x] = in[H - 1 - y, x].

    x: (N, C, H, W), the same out. Raises `ArgumentError` unless p is from 0 to 1.
    """

    words = 1  # an image
    p: float = 0.5

    def __post_init__(self) -> None:
        between("RandomVerticalFlip", "p", self.p, 0, 1)

    def apply(self, x: Pixels, words: Words) -> Pixels:
        """The images, of which those are flipped whose word is below p."""
        image_size("RandomVerticalFlip", x)
        return _flipped(x, unit(words[0]) < self.p, lambda chosen: chosen[:, :, ::-1])


def _flipped(x: Pixels, which: npt.NDArray[np.bool_], flip: Callable[[Pixels], Pixels]) -> Pixels:
    out = x.copy()
    out[which] = flip(x[which])
    return out


_TURN = 2**14  # cosines are multiples of 1 / _TURN
_BLOCK = 2**13  # pixels of a channel rotated at once: arrays that an allocator has at hand


@dataclass(frozen=True)
class RandomRotation(Transform):
    """Each image turned about its centre by an angle uniform on [-degrees, degrees).

    An output pixel (y, x) takes the value at (y', x') of the image, bilinear between four pixels:

        x' = cx + (x - cx) cos a - (y - cy) sin a
        y' = cy + (x - cx) sin a + (y - cy) cos a        cx = (W - 1) / 2, cy = (H - 1) / 2

    so that a positive angle turns counter-clockwise as one sees it. cos a and sin a are rounded to
    multiples of 2**-14, and the weights down to multiples of 1/256: in uint8 all is exact up to the
    last rounding (to the nearest, ties to even), and the same on every machine.

    degrees  0 to 180
    fill     what lies outside of the image, a number or one for each channel: for uint8 on [0, 1],
             0 is black

    x: (N, C, H, W), the same out. Raises `ArgumentError` for an impossible option.
    """

    words = 1  # an image
    degrees: float
    fill: PerChannel = 0.0

    def __post_init__(self) -> None:
        between("RandomRotation", "degrees", self.degrees, 0, 180)

    def apply(self, x: Pixels, words: Words) -> Pixels:
        """The images, turned by the angles that the words (1, n) say."""
        height, width = image_size("RandomRotation", x)
        fill = as_fill("RandomRotation", self.fill, x)
        angles = math.radians(self.degrees) * (2 * unit(words[0]) - 1)
        cos = np.rint(_TURN * np.cos(angles)).astype(np.int32)
        sin = np.rint(_TURN * np.sin(angles)).astype(np.int32)
        out = np.empty_like(x)
        step = max(1, _BLOCK // (height * width))
        for start in range(0, len(x), step):
            some = slice(start, start + step)
            out[some] = _rotated(x[some], cos[some], sin[some], fill)
        return out


def _rotated(
    x: Pixels, cos: npt.NDArray[np.int32], sin: npt.NDArray[np.int32], fill: Pixels
) -> Pixels:
    """x (n, C, H, W) turned, by cosines and sines in units of 1 / _TURN."""
    n, channels, height, width = x.shape
    cos, sin = cos[:, None, None], sin[:, None, None]
    # Coordinates in half pixels from the centre, which are integers; then from the corner, in units
    # of 1 / (2 * _TURN). A power of two, so shifts give the pixel, and 8 bits of what is left.
    across = 2 * np.arange(width, dtype=np.int32) - (width - 1)
    down = (2 * np.arange(height, dtype=np.int32) - (height - 1))[:, None]
    x_at = cos * across - sin * down + _TURN * (width - 1)
    y_at = sin * across + cos * down + _TURN * (height - 1)
    right, lower = (((at >> 7) & 255).astype(np.float32).ravel() / 256 for at in (x_at, y_at))
    # Two more pixels on each side: then what is outside is inside, and holds the fill.
    row, area = width + 4, (height + 4) * (width + 4)
    padded = np.empty((channels, n, height + 4, row), x.dtype)
    padded[:] = fill[:, None]
    padded[:, :, 2:-2, 2:-2] = x.transpose(1, 0, 2, 3)
    flat = padded.reshape(channels, -1)
    corner = (y_at >> 15).clip(-2, height) + 2
    corner = corner * row + (x_at >> 15).clip(-2, width) + 2
    at = (corner + np.arange(n)[:, None, None] * area).ravel()

    def between_columns(below: int) -> npt.NDArray[np.float32]:
        left = flat.take(at + below, axis=1).astype(np.float32)
        mixed: npt.NDArray[np.float32] = flat.take(at + below + 1, axis=1).astype(np.float32)
        mixed -= left
        mixed *= right
        mixed += left
        return mixed

    upper = between_columns(0)
    mixed = between_columns(row)
    mixed -= upper
    mixed *= lower
    mixed += upper
    if x.dtype == np.uint8:
        np.rint(mixed, out=mixed)
    out: Pixels = mixed.astype(x.dtype)
    return out.reshape(channels, n, height, width).transpose(1, 0, 2, 3)
