"""Layers that put a border around signals and images: of a number, of a mirror, of the edge."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, TypeAlias

from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.nn.module import Module
from tinyaccel.nn.settings import described
from tinyaccel.ops.movement import pad
from tinyaccel.tensor import Tensor

Ends: TypeAlias = tuple[int, int]
Sides: TypeAlias = tuple[int, int, int, int]


class _Border(Module):
    """What all of them share: how wide the border is, and the axes that it lies along."""

    _layout: ClassVar[str]  # of the input, in letters
    _sides: ClassVar[str]  # in PyTorch's order, the last axis first
    _mode: ClassVar[Literal["constant", "reflect", "edge"]] = "constant"
    value: float = 0.0

    def _set(self, padding: int | Ends | Sides) -> None:
        count = len(self._sides.split(", "))
        sides = (padding,) * count if isinstance(padding, int) else tuple(padding)
        if len(sides) != count or any(not isinstance(n, int) or n < 0 for n in sides):
            raise ArgumentError(
                f"{type(self).__name__}: padding={padding!r}; expected an int of at least 0, or "
                f"{ {2: 'two', 4: 'four'}[count] } of them: ({self._sides})"
            )
        self.padding = sides

    def forward(self, x: Tensor) -> Tensor:
        axes = len(self._layout.split(", "))
        if x.ndim != axes:
            raise ShapeError(f"{type(self).__name__}: input {x.shape}; expected ({self._layout})")
        ends = list(zip(self.padding[::2], self.padding[1::2], strict=True))
        widths = [(0, 0), (0, 0), *reversed(ends)]
        return pad(x, widths, mode=self._mode, value=self.value)

    def extra_repr(self) -> str:
        return described(self, "padding")


class _Border1d(_Border):
    _layout, _sides = "N, C, L", "left, right"

    def __init__(self, padding: int | Ends) -> None:
        self._set(padding)


class _Border2d(_Border):
    _layout, _sides = "N, C, H, W", "left, right, top, bottom"

    def __init__(self, padding: int | Sides) -> None:
        self._set(padding)


# Of zeros, and of any other number


class ZeroPad1d(_Border1d):
    """Signals with zeros at both ends.

    padding  an int for both ends, or (left, right), each at least 0

    x: (N, C, L) -> (N, C, left + L + right). Raises `ArgumentError` for another padding,
    `ShapeError` for an x of other axes.
    """


class ZeroPad2d(_Border2d):
    """Images with a border of zeros.

    padding  an int for all sides, or (left, right, top, bottom), all at least 0

    x: (N, C, H, W) -> (N, C, top + H + bottom, left + W + right). Raises `ArgumentError` for
    another padding, `ShapeError` for an x of other axes.

    >>> import tinyaccel as ta
    >>> ta.nn.ZeroPad2d((1, 0, 0, 1))(ta.ones((1, 1, 1, 2)))
    tensor([[[[0., 1., 1.],
              [0., 0., 0.]]]])
    """


class ConstantPad1d(_Border1d):
    """Signals with `value`, any number, at both ends; all else as for `ZeroPad1d`."""

    def __init__(self, padding: int | Ends, value: float) -> None:
        self._set(padding)
        self.value = _number("ConstantPad1d", value)

    def extra_repr(self) -> str:
        return f"{self.padding}, {self.value}"


class ConstantPad2d(_Border2d):
    """Images with a border of `value`, any number; all else as for `ZeroPad2d`."""

    def __init__(self, padding: int | Sides, value: float) -> None:
        self._set(padding)
        self.value = _number("ConstantPad2d", value)

    def extra_repr(self) -> str:
        return f"{self.padding}, {self.value}"


def _number(layer: str, value: float) -> float:
    if not isinstance(value, int | float) or math.isnan(value):
        raise ArgumentError(f"{layer}: value={value!r}; expected a number")
    return value


# Of what is inside


class ReflectionPad1d(_Border1d):
    """Signals mirrored at both ends, c b | a b c | b a; all else as for `ZeroPad1d`.

    Raises `ShapeError` for a mirror that shows more than the L - 1 values behind the end.
    """

    _mode = "reflect"


class ReflectionPad2d(_Border2d):
    """Images mirrored at their outermost pixels, c b | a b c | b a; all else as for `ZeroPad2d`.

    Raises `ShapeError` for a mirror that shows more than the pixels behind the outermost ones.

    >>> import tinyaccel as ta
    >>> ta.nn.ReflectionPad2d((2, 1, 0, 0))(ta.tensor([[[[1, 2, 3]]]])).tolist()
    [[[[3, 2, 1, 2, 3, 2]]]]
    """

    _mode = "reflect"


class ReplicationPad1d(_Border1d):
    """Signals whose first and last values go on, a a | a b c | c c; all else as for `ZeroPad1d`."""

    _mode = "edge"


class ReplicationPad2d(_Border2d):
    """Images whose outermost pixels go on, a a | a b c | c c; all else as for `ZeroPad2d`."""

    _mode = "edge"
