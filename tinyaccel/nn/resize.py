"""Layers that show images in another size."""

from __future__ import annotations

from tinyaccel import shapes
from tinyaccel.nn.module import Module
from tinyaccel.nn.settings import described
from tinyaccel.ops.resize import Scale, interpolate
from tinyaccel.tensor import Tensor


class Upsample(Module):
    """Images in another size: see `tinyaccel.interpolate`.

    size           an int or (OH, OW); or else
    scale_factor   a number or a pair, by which height and width are multiplied
    mode           "nearest" or "bilinear"
    align_corners  of "bilinear": whether the centres of the corners stay where they are

    x: (N, C, H, W) -> (N, C, OH, OW). Raises `ArgumentError` for contradictory settings,
    `ShapeError` for an x without pixels.

    >>> import tinyaccel as ta
    >>> ta.nn.Upsample(scale_factor=2)(ta.zeros((1, 3, 8, 8))).shape
    (1, 3, 16, 16)
    """

    def __init__(
        self,
        size: shapes.Pair | None = None,
        scale_factor: Scale | None = None,
        mode: str = "nearest",
        align_corners: bool = False,
    ) -> None:
        self.size, self.scale_factor = size, scale_factor
        self.mode, self.align_corners = mode, align_corners

    def forward(self, x: Tensor) -> Tensor:
        return interpolate(
            x, self.size, self.scale_factor, mode=self.mode, align_corners=self.align_corners
        )

    def extra_repr(self) -> str:
        return described(
            self, size=None, scale_factor=None, mode="nearest", align_corners=False
        )  # fmt: skip


class UpsamplingNearest2d(Upsample):
    """`Upsample` by nearest neighbours: size, or else scale_factor, as there."""

    def __init__(self, size: shapes.Pair | None = None, scale_factor: Scale | None = None) -> None:
        super().__init__(size, scale_factor)


class UpsamplingBilinear2d(Upsample):
    """`Upsample` between four pixels, the corners' centres where they are: mode "bilinear".

    size, or else scale_factor, as there.
    """

    def __init__(self, size: shapes.Pair | None = None, scale_factor: Scale | None = None) -> None:
        super().__init__(size, scale_factor, "bilinear", align_corners=True)

    def extra_repr(self) -> str:
        return described(self, size=None, scale_factor=None)
