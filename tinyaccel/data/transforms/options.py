"""Checks of what transforms are given."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from tinyaccel.data.dataset import PerChannel, Pixels
from tinyaccel.errors import ArgumentError, ShapeError


def whole(name: str, option: str, value: object, least: int) -> None:
    """Refuse what is no whole number of `least` or more."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ArgumentError(f"{name}: {option}={value!r}; expected a whole number, {least} or more")


def between(name: str, option: str, value: object, least: float, most: float) -> None:
    """Refuse what is no number from `least` to `most`."""
    if (
        not isinstance(value, int | float | np.integer | np.floating)
        or isinstance(value, bool)
        or not least <= value <= most
    ):
        raise ArgumentError(f"{name}: {option}={value!r}; expected a number, {least} to {most}")


def image_size(name: str, x: Pixels) -> tuple[int, int]:
    """(H, W) of a batch of images, or `ShapeError`."""
    if x.ndim != 4:
        raise ShapeError(f"{name}: {x.shape}; expected images, (N, C, H, W)")
    return x.shape[2], x.shape[3]


def as_fill(name: str, fill: float | Sequence[float], x: Pixels) -> Pixels:
    """What an empty pixel of x (n, C, H, W) is filled with, (C, 1, 1), of x's dtype.

    fill: a number, or one for each channel; for uint8 on [0, 1], rounded to the nearest of 256.
    """
    given = tuple(fill) if isinstance(fill, Sequence | np.ndarray) else fill
    return _as_fill(name, given, x.shape[1], x.dtype == np.uint8)


@lru_cache(maxsize=64)
def _as_fill(name: str, fill: PerChannel, channels: int, is_uint8: bool) -> Pixels:
    numbers = np.array(fill, np.float64)
    if numbers.shape not in ((), (1,), (channels,)):
        raise ArgumentError(
            f"{name}: fill={fill!r} for images of {channels} channels; expected one number, or one "
            "for each of them"
        )
    if is_uint8:
        if not ((numbers >= 0) & (numbers <= 1)).all():
            raise ArgumentError(
                f"{name}: fill={fill!r} for uint8 images; expected 0 (black) to 1 (white)"
            )
        numbers = np.rint(255 * numbers)
    kept = numbers.astype(np.uint8 if is_uint8 else np.float32)
    return np.broadcast_to(kept.reshape(-1, 1, 1), (channels, 1, 1))
