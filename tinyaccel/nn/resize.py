"""Layers that change the size of images: upsampling, a border of zeros, channels become pixels."""

from __future__ import annotations

from tinyaccel import shapes
from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.nn.module import Module
from tinyaccel.nn.settings import described, positive
from tinyaccel.ops.movement import pad
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


class ZeroPad2d(Module):
    """Images with a border of zeros.

    padding  an int for all sides, or (left, right, top, bottom), all at least 0

    x: (N, C, H, W) -> (N, C, top + H + bottom, left + W + right). Raises `ArgumentError` for
    another padding, `ShapeError` for an x of other axes.
    """

    def __init__(self, padding: int | tuple[int, int, int, int]) -> None:
        sides = (padding,) * 4 if isinstance(padding, int) else tuple(padding)
        if len(sides) != 4 or any(not isinstance(n, int) or n < 0 for n in sides):
            raise ArgumentError(
                f"ZeroPad2d: padding={padding!r}; expected an int of at least 0, or four of them: "
                "(left, right, top, bottom)"
            )
        self.padding = sides

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise ShapeError(f"ZeroPad2d: input {x.shape}; expected (N, C, H, W)")
        left, right, top, bottom = self.padding
        return pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))

    def extra_repr(self) -> str:
        return described(self, "padding")


class PixelShuffle(Module):
    """r**2 channels become r x r pixels: y[n, c, h r + i, w r + j] = x[n, c r r + i r + j, h, w].

    upscale_factor  r

    x: (N, C r r, H, W) -> (N, C, H r, W r). Raises `ShapeError` for channels that don't divide.
    W. Shi et al., "Real-Time Single Image and Video Super-Resolution", arXiv:1609.05158.
    """

    def __init__(self, upscale_factor: int) -> None:
        positive("PixelShuffle", upscale_factor=upscale_factor)
        self.upscale_factor = upscale_factor

    def forward(self, x: Tensor) -> Tensor:
        r = self.upscale_factor
        if x.ndim != 4 or x.shape[1] % (r * r):
            raise ShapeError(
                f"PixelShuffle: input {x.shape}; expected (N, C, H, W), C a multiple of {r * r}"
            )
        n, c, h, w = x.shape
        parts = x.reshape(n, c // (r * r), r, r, h, w).permute_dims((0, 1, 4, 2, 5, 3))
        return parts.reshape(n, c // (r * r), h * r, w * r)

    def extra_repr(self) -> str:
        return described(self, "upscale_factor")
