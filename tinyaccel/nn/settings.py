"""How layers check their settings, and print those that aren't as they are by default."""

from __future__ import annotations

import math

from tinyaccel.errors import ArgumentError
from tinyaccel.nn.module import Module


def positive(layer: str, **settings: int) -> None:
    """Raise `ArgumentError` unless all of a layer's settings are integers of at least 1."""
    for name, value in settings.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ArgumentError(f"{layer}: {name}={value!r}; expected an integer of at least 1")


def not_negative(layer: str, **settings: float) -> None:
    """Raise `ArgumentError` unless all of a layer's settings are numbers of at least 0."""
    for name, value in settings.items():
        if not 0 <= value < math.inf:
            raise ArgumentError(f"{layer}: {name}={value}; expected a number of at least 0")


def probability(layer: str, p: float) -> None:
    """Raise `ArgumentError` unless p is one."""
    if not 0 <= p <= 1:
        raise ArgumentError(f"{layer}: p={p}; expected a probability from 0 to 1")


def divides(layer: str, parts: str, count: int, **sizes: int) -> None:
    """Raise `ArgumentError` unless all sizes are multiples of `count`, the setting `parts`."""
    for name, size in sizes.items():
        if size % count:
            raise ArgumentError(
                f"{layer}: {name}={size} doesn't divide into {parts}={count}; change one"
            )


def described(layer: Module, *names: str, **defaults: object) -> str:
    """A layer's settings for printing: those of these names, then those not at their defaults.

    Where one number holds for each axis, a pair of the default is the default.

    >>> from tinyaccel.nn import Conv2d
    >>> described(Conv2d(1, 8, 3, stride=2), "in_channels", stride=1, dilation=1)
    '1, stride=(2, 2)'
    """
    listed = [str(getattr(layer, name)) for name in names]
    now = {name: getattr(layer, name) for name in defaults}
    usual = {name: (value, (value, value)) for name, value in defaults.items()}
    listed += [f"{name}={value!r}" for name, value in now.items() if value not in usual[name]]
    return ", ".join(listed)
