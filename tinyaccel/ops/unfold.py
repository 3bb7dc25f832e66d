"""All windows of an image (N, C, H, W), side by side, and back: each other's gradients."""

from __future__ import annotations

import math
from typing import Any

from tinyaccel import shapes
from tinyaccel.errors import ShapeError
from tinyaccel.op import Budget, Op, Spec, register
from tinyaccel.ops.convolution import places2d
from tinyaccel.tensor import Tensor, TensorLike, apply

_NO_PADDING = ((0, 0), (0, 0))


def unfold(
    x: TensorLike,
    *,
    kernel: shapes.Pair,
    stride: shapes.Pair = 1,
    padding: shapes.Pair | str | shapes.Padding = 0,
    dilation: shapes.Pair = 1,
) -> Tensor:
    """All windows of x, with zeros around it: (N, C, H, W) -> (N, C, kh, kw, OH, OW).

    y[n, c, r, s, i, j] = x[n, c, i*stride + r*dilation - padding, ...]; stride, padding and
    dilation as in `conv2d`. Raises `ShapeError` if the window doesn't fit.
    """
    sides = _sides("unfold", kernel, stride, padding, dilation)
    if sides != _NO_PADDING:
        widths = ((0, 0), (0, 0), *sides)
        x = apply("pad", x, widths=widths, value=0)
    return apply("unfold", x, kernel=kernel, stride=stride, dilation=dilation)


def fold(
    u: TensorLike,
    *,
    size: shapes.Pair,
    stride: shapes.Pair = 1,
    padding: shapes.Pair | shapes.Padding = 0,
    dilation: shapes.Pair = 1,
) -> Tensor:
    """Windows (N, C, kh, kw, OH, OW) added up into images (N, C, *size); unfold's adjoint.

    What falls on the padding is left out. Raises `ShapeError` if they aren't the windows of an
    image of that size.
    """
    (top, bottom), (left, right) = sides = _sides("fold", 1, stride, padding, dilation)
    if sides == _NO_PADDING:
        return apply("fold", u, size=size, stride=stride, dilation=dilation)
    h, w = shapes.pair(size, "size", "fold")
    padded = (h + top + bottom, w + left + right)
    y = apply("fold", u, size=padded, stride=stride, dilation=dilation)
    return y[:, :, top : top + h, left : left + w]


def _sides(name: str, kernel: Any, stride: Any, padding: Any, dilation: Any) -> shapes.Padding:
    at = {"stride": stride, "padding": padding, "dilation": dilation}
    sides: shapes.Padding = places2d(name, shapes.pair(kernel, "kernel", name), at)["padding"]
    return sides


def _prepare_fold(
    u: Spec, *, size: shapes.Pair, stride: shapes.Pair = 1, dilation: shapes.Pair = 1
) -> dict[str, Any]:
    return {
        "size": shapes.pair(size, "size", "fold"),
        "stride": shapes.pair(stride, "stride", "fold"),
        "dilation": shapes.pair(dilation, "dilation", "fold"),
    }


def _prepare_unfold(
    x: Spec, *, kernel: shapes.Pair, stride: shapes.Pair = 1, dilation: shapes.Pair = 1
) -> dict[str, Any]:
    if len(x.shape) != 4:
        raise ShapeError(f"unfold: input {x.shape}; expected (N, C, H, W)")
    return {
        "kernel": shapes.pair(kernel, "kernel", "unfold"),
        "stride": shapes.pair(stride, "stride", "unfold"),
        "dilation": shapes.pair(dilation, "dilation", "unfold"),
    }


def _infer_unfold(x: Spec, *, kernel: Any, stride: Any, dilation: Any) -> Spec:
    spatial = (x.shape[2], x.shape[3])
    out = shapes.window2d(spatial, kernel, stride, _NO_PADDING, dilation, "unfold")
    return Spec((*x.shape[:2], *kernel, *out), x.dtype)


def _infer_fold(u: Spec, *, size: Any, stride: Any, dilation: Any) -> Spec:
    if len(u.shape) != 6 or u.shape[4:] != shapes.window2d(
        size, (u.shape[2], u.shape[3]), stride, _NO_PADDING, dilation, "fold"
    ):
        raise ShapeError(f"fold: {u.shape} are not the windows of an image of {size}")
    return Spec((*u.shape[:2], *size), u.dtype)


register(
    Op(
        "unfold", "movement", _infer_unfold, prepare=_prepare_unfold,
        vjp=(lambda g, y, x, *, kernel, **at: apply("fold", g, size=x.shape[2:], **at),),
        doc="all windows of an image",
    )
)  # fmt: skip
register(
    Op(
        "fold", "window", _infer_fold, prepare=_prepare_fold, takes="float",
        vjp=(lambda h, y, u, *, size, **at: apply("unfold", h, kernel=u.shape[2:4], **at),),

        budget=Budget("accumulate", 4, lambda u, **_: math.prod(u.shape[2:4])),
        doc="windows added up into an image",
    )
)  # fmt: skip
