"""Images (N, C, H, W) in another size."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel import dtypes, shapes
from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.op import Spec
from tinyaccel.ops.define import composite
from tinyaccel.ops.indexing import take
from tinyaccel.tensor import Tensor, tensor

Scale: TypeAlias = float | tuple[float, float]
_MODES = ("nearest", "bilinear")


def _scales(scale: Any) -> tuple[float, float]:
    both = tuple(scale) if isinstance(scale, Sequence) else (scale, scale)
    numbers = all(isinstance(s, int | float) and not isinstance(s, bool) for s in both)
    if len(both) != 2 or not numbers or not all(0 < s < float("inf") for s in both):
        raise ArgumentError(
            f"interpolate: scale_factor={scale!r}; expected a number above 0, or one for rows and "
            "one for columns"
        )
    return float(both[0]), float(both[1])


def _prepare(
    x: Spec, *, size: Any, scale_factor: Any, mode: str, align_corners: bool
) -> dict[str, Any]:
    if len(x.shape) != 4 or 0 in x.shape[2:]:
        raise ShapeError(f"interpolate: input {x.shape}; expected (N, C, H, W), H and W at least 1")
    if mode not in _MODES:
        raise ArgumentError(f"interpolate: mode={mode!r}; expected one of {', '.join(_MODES)}")
    if align_corners and mode != "bilinear":
        raise ArgumentError(f"interpolate: align_corners with mode={mode!r}; leave it out")
    if (size is None) == (scale_factor is None):
        given = "neither" if size is None else "both"
        raise ArgumentError(f"interpolate: got {given} of size and scale_factor; expected one")
    if size is None:
        scales = _scales(scale_factor)
        wanted = tuple(int(n * s) for n, s in zip(x.shape[2:], scales, strict=True))
        if 0 in wanted:
            raise ShapeError(
                f"interpolate: scale_factor={scale_factor} leaves nothing of {x.shape[2:]}; "
                "expected at least one pixel, scale by more"
            )
        scale_factor = scales
    else:
        size = shapes.pair(size, "size", "interpolate")
    return {
        "size": size, "scale_factor": scale_factor, "mode": mode,
        "align_corners": bool(align_corners),
    }  # fmt: skip


@composite(prepare=_prepare)
def interpolate(
    x: Tensor,
    /,
    size: shapes.Pair | None = None,
    scale_factor: Scale | None = None,
    *,
    mode: str = "nearest",
    align_corners: bool = False,
) -> Tensor:
    """x in another size, by nearest neighbours or between the four pixels around each new one.

    x: (N, C, H, W). Either size, an int or (OH, OW), or scale_factor, a number or a pair, with
    OH = floor(H * scale). With step = H / OH, or 1 / scale if that is given, pixel i comes from

        "nearest"                   floor(i * step), at most H - 1
        "bilinear"                  (i + 1/2) * step - 1/2, at least 0
        "bilinear", align_corners   i * (H - 1) / (OH - 1): the corners' centres stay where they are

    and so along the other axis; there is no filter against aliasing. float16 and bfloat16 are
    computed in float32. A size that stays as it is, or is doubled for "nearest", passes for the
    scale. Returns (N, C, OH, OW). Raises `ArgumentError` for contradictory options,
    `ShapeError` for an image without pixels. (PyTorch's, in exact arithmetic: it rounds the places
    to float32, and takes its neighbour where that crosses a whole number.)

    >>> import tinyaccel as ta
    >>> ta.interpolate(ta.tensor([[[[1.0, 3.0]]]]), (1, 4), mode="bilinear")
    tensor([[[[1. , 1.5, 2.5, 3. ]]]])
    """
    scales = (None, None) if scale_factor is None else _scales(scale_factor)
    if size is None:
        out = [int(n * s) for n, s in zip(x.shape[2:], _scales(scale_factor), strict=True)]
    else:
        out = list(shapes.pair(size, "size", "interpolate"))
    if mode == "nearest":
        return _nearest(_nearest(x, 2, out[0], scales[0]), 3, out[1], scales[1])
    wide = x.astype(dtypes.promote(x.dtype, dtypes.float32))
    for axis, n, scale in zip((2, 3), out, scales, strict=True):
        wide = _linear(wide, axis, n, scale, align_corners)
    return wide.astype(x.dtype)


def _step(n: int, out: int, scale: float | None) -> Fraction:
    """How far apart the new pixels are, in old ones; of a scale, the simplest fraction there is."""
    if scale is None or out == n:
        return Fraction(n, out)
    return 1 / Fraction(scale).limit_denominator(2**12)


@lru_cache(maxsize=256)
def _nearest_index(n: int, out: int, scale: float | None) -> npt.NDArray[np.int32]:
    step = _step(n, out, None if out == 2 * n else scale)
    return np.array([min(i * step.numerator // step.denominator, n - 1) for i in range(out)], "i4")


def _nearest(x: Tensor, axis: int, out: int, scale: float | None) -> Tensor:
    n = x.shape[axis]
    index = _nearest_index(n, out, scale)
    before, behind = x.shape[:axis], x.shape[axis + 1 :]
    if out % n == 0 and (index == np.arange(out) // (out // n)).all():  # each pixel out / n times
        spread = x.expand_dims(axis + 1).broadcast_to((*before, n, out // n, *behind))
        return spread.reshape(*before, out, *behind)
    return take(x, tensor(index, device=x.device), axis=axis)


class _Between:
    """For each new pixel the two old ones it lies between, and how far from the first."""

    def __init__(self, n: int, out: int, scale: float | None, align_corners: bool) -> None:
        if align_corners:
            step = Fraction(n - 1, max(out - 1, 1)) if out > 1 else Fraction(0)
            places = [i * step for i in range(out)]
        else:
            step = _step(n, out, scale)
            half = Fraction(1, 2)
            places = [max((i + half) * step - half, Fraction(0)) for i in range(out)]
        places = [min(place, Fraction(n - 1)) for place in places]
        self.parts = 2 * step.denominator  # of a pixel: all places are whole multiples
        whole = np.array([int(place * self.parts) for place in places], np.int64)
        self.first = (whole // self.parts).astype(np.int32)
        self.second = np.minimum(self.first + 1, n - 1).astype(np.int32)
        self.away = whole % self.parts


_between = lru_cache(maxsize=256)(_Between)


def _linear(x: Tensor, axis: int, out: int, scale: float | None, align_corners: bool) -> Tensor:
    between = _between(x.shape[axis], out, scale, align_corners)

    def weighted(index: npt.NDArray[np.int32], share: npt.NDArray[np.int64]) -> Tensor:
        # Whole numbers, divided here: then the quotient's rounding is an op's, and accounted for.
        column = share.reshape(-1, *(1,) * (x.ndim - axis - 1))
        weight = tensor(column, dtype=x.dtype, device=x.device) / float(between.parts)
        return take(x, tensor(index, device=x.device), axis=axis) * weight

    near = weighted(between.first, between.parts - between.away)
    return near + weighted(between.second, between.away)
