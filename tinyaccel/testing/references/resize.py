"""The reference for interpolation: each new pixel from its place among the old ones."""

from __future__ import annotations

from typing import Any

from tinyaccel.testing.references.numbers import DIGITS, Array, Index, Number, filled, numbers


def interpolate(x: Array, *, size: Any, scale_factor: Any, mode: str, align_corners: bool) -> Array:
    import mpmath

    def step(axis: int) -> Number:
        n = x.shape[2 + axis]
        if align_corners:
            return mpmath.mpf(n - 1) / (out[axis] - 1) if out[axis] > 1 else mpmath.mpf(0)
        same = out[axis] == n or (mode == "nearest" and out[axis] == 2 * n)
        if scale_factor is not None and not same:  # decimal, as it was written
            return 1 / mpmath.mpf(repr(scale_factor[axis]))
        return mpmath.mpf(n) / out[axis]

    def neighbours(axis: int, i: int) -> list[tuple[int, Number]]:
        """The old pixels that count along an axis, and by how much."""
        last = x.shape[2 + axis] - 1
        if mode == "nearest":
            return [(min(int(mpmath.floor(i * step(axis) + tiny)), last), 1)]
        place = i * step(axis) if align_corners else (i + half) * step(axis) - half
        place = min(max(place, 0), last)
        first = int(mpmath.floor(place))
        return [(first, 1 - (place - first)), (min(first + 1, last), place - first)]

    def at(index: Index) -> Number:
        n, c, i, j = index
        return mpmath.fsum(
            mpmath.mpf(values[n, c, p, q]) * a * b
            for p, a in neighbours(0, i)
            for q, b in neighbours(1, j)
        )

    with mpmath.workdps(DIGITS):
        half, tiny = mpmath.mpf("0.5"), mpmath.mpf(10) ** -30  # a third of 3 is 1
        out = size or [
            int(mpmath.floor(n * mpmath.mpf(repr(s)) + tiny))
            for n, s in zip(x.shape[2:], scale_factor, strict=True)
        ]
        values = numbers(x)
        return filled((*x.shape[:2], *out), at, x)
