"""Dropout layers: when training, random zeros."""

from __future__ import annotations

from typing import ClassVar

from tinyaccel.errors import ShapeError
from tinyaccel.nn.module import Module
from tinyaccel.nn.settings import probability
from tinyaccel.ops.normalization import dropout
from tinyaccel.ops.random import Generator, default_generator
from tinyaccel.tensor import Tensor


class Dropout(Module):
    """When training, x / (1 - p) where a random word says so, else 0; when evaluating, x itself.

    p          the probability of a 0, from 0 to 1
    generator  where the random words come from; by default the one of x's device, which
               `tinyaccel.manual_seed` sets. The same seed gives the same mask on every device

    x: any shape. Raises `ArgumentError` for a p that is no probability.
    N. Srivastava et al., "Dropout", JMLR 15 (2014).

    >>> import tinyaccel as ta
    >>> ta.manual_seed(0)
    >>> layer = ta.nn.Dropout(0.5)
    >>> sorted(set(layer(ta.ones((100,))).tolist())), layer.eval()(ta.ones((2,))).tolist()
    ([0.0, 2.0], [1.0, 1.0])
    """

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        probability(type(self).__name__, p)
        self.p, self.generator = p, generator

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        source = default_generator(x.device) if self.generator is None else self.generator
        return dropout(x, self._words(x, source), p=self.p)

    def _words(self, x: Tensor, source: Generator) -> Tensor:
        """A random word for each element."""
        return source.bits(x.shape)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class _ChannelDropout(Dropout):
    """A random word for each channel of each sample, which holds for all that is in it."""

    _layout: ClassVar[str]  # of the input, in letters

    def forward(self, x: Tensor) -> Tensor:
        axes = self._layout.split(", ")
        if x.ndim != len(axes):
            raise ShapeError(f"{type(self).__name__}: input {x.shape}; expected ({self._layout})")
        return super().forward(x)

    def _words(self, x: Tensor, source: Generator) -> Tensor:
        words = source.bits(x.shape[:2])
        return words.reshape(*x.shape[:2], *(1,) * (x.ndim - 2)).broadcast_to(x.shape)


class Dropout1d(_ChannelDropout):
    """`Dropout` of whole channels of signals: each (n, c) is kept, times 1 / (1 - p), or is 0.

    x: (N, C, L). Settings as of `Dropout`; raises `ShapeError` for an x of other axes.
    """

    _layout = "N, C, L"


class Dropout2d(_ChannelDropout):
    """`Dropout` of whole channels of images: each (n, c) is kept, times 1 / (1 - p), or is 0.

    Neighbouring pixels tell of each other; dropping them one by one would hide little.
    x: (N, C, H, W). Settings as of `Dropout`; raises `ShapeError` for an x of other axes.
    J. Tompson et al., "Efficient Object Localization Using Convolutional Networks",
    arXiv:1411.4280.

    >>> import tinyaccel as ta
    >>> y = ta.nn.Dropout2d(0.5)(ta.ones((2, 4, 3, 3)))
    >>> (y == y[:, :, :1, :1]).all()
    tensor(True)
    """

    _layout = "N, C, H, W"
