"""Augmentation as a line of text, as the command line gives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from tinyaccel.data.dataset import PerChannel
from tinyaccel.data.transforms.geometry import (
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    RandomVerticalFlip,
)
from tinyaccel.data.transforms.transform import Compose, Transform
from tinyaccel.data.transforms.values import Cutout
from tinyaccel.errors import ArgumentError


@dataclass(frozen=True)
class _Kind:
    """One word of the line.

    make     the transform, from the number and the fill
    number   what the number is called; `default` is what it is unless given, None: it must be
    """

    make: Callable[[float, PerChannel], Transform]
    number: str
    example: str
    default: float | None = None
    whole: bool = False


_KINDS = {
    "crop": _Kind(
        lambda n, fill: RandomCrop(padding=int(n), fill=fill), "PIXELS", "crop:4", whole=True
    ),
    "flip": _Kind(lambda p, _: RandomHorizontalFlip(p), "PROBABILITY", "flip:0.5", default=0.5),
    "vflip": _Kind(lambda p, _: RandomVerticalFlip(p), "PROBABILITY", "vflip:0.5", default=0.5),
    "rotate": _Kind(lambda d, fill: RandomRotation(d, fill), "DEGREES", "rotate:15"),
    "cutout": _Kind(lambda n, fill: Cutout(int(n), fill), "PIXELS", "cutout:8", whole=True),
}


def augmentation(text: str, fill: PerChannel = 0.0) -> Compose:
    """The transforms that a line such as "crop:4,flip,rotate:15,cutout:8" names, in its order.

    text  names with a number each, between commas; none at all: nothing is done to images
          crop:PIXELS          shifted by up to so many pixels each way (`RandomCrop`)
          flip[:PROBABILITY]   left and right exchanged, 0.5 (`RandomHorizontalFlip`)
          vflip[:PROBABILITY]  top and bottom, likewise (`RandomVerticalFlip`)
          rotate:DEGREES       turned by up to so many degrees each way (`RandomRotation`)
          cutout:PIXELS        a square of this side is filled (`Cutout`)
    fill  what empty pixels hold, a number or one for each channel; for uint8 on [0, 1]

    Raises `ArgumentError` for an unknown name, or a number that is missing or impossible.

    >>> augmentation("crop:4, flip")
    Compose(RandomCrop(size=None, padding=4, fill=0.0), RandomHorizontalFlip(p=0.5))
    """
    items = text.split(",") if text.strip() else []
    return Compose(_parsed(item.strip(), fill) for item in items)


def _parsed(item: str, fill: PerChannel) -> Transform:
    name, colon, number = (part.strip() for part in item.partition(":"))
    if name not in _KINDS:
        near = get_close_matches(name, _KINDS, n=1)
        raise ArgumentError(
            f"augmentation: {item!r} is unknown; "
            + (f"did you mean {_usage(near[0])}? " if near else "")
            + f"expected {', '.join(map(_usage, _KINDS))}, with commas between"
        )
    kind = _KINDS[name]
    if not colon and kind.default is not None:
        return kind.make(kind.default, fill)
    try:
        value = int(number) if kind.whole else float(number)
    except ValueError:
        raise ArgumentError(
            f"augmentation: {item!r} has {number!r} for a number; "
            f"expected {_usage(name)}, as in {kind.example}"
        ) from None
    return kind.make(value, fill)


def _usage(name: str) -> str:
    kind = _KINDS[name]
    return f"{name}:{kind.number}" if kind.default is None else f"{name}[:{kind.number}]"
