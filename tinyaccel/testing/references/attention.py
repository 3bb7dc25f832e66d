"""The reference for attention: row by row, in mpmath."""

from __future__ import annotations

import math

import numpy as np

from tinyaccel.testing.references.numbers import DIGITS, Array, Index, Number, filled, numbers


def scaled_dot_product_attention(
    q: Array, k: Array, v: Array, mask: Array | None = None, *, is_causal: bool, scale: float
) -> Array:
    import mpmath

    batch = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    rows, columns = q.shape[-2], k.shape[-2]

    def laid_out(x: Array) -> Array:
        return np.broadcast_to(numbers(x), (*batch, *x.shape[-2:]))

    qs, ks, vs = map(laid_out, (q, k, v))
    extra = None if mask is None else np.broadcast_to(numbers(mask), (*batch, rows, columns))

    def score(index: Index, row: int, column: int) -> Number:
        if is_causal and column > row:
            return -math.inf
        pairs = zip(qs[index][row], ks[index][column], strict=True)
        found = scale * mpmath.fsum(mpmath.mpf(a) * b for a, b in pairs)
        if extra is None:
            return found
        added = extra[index][row, column]
        if isinstance(added, bool):
            return found if added else -math.inf
        return found + added

    def weights(index: Index, row: int) -> list[Number]:
        powers = [mpmath.exp(score(index, row, column)) for column in range(columns)]
        total = mpmath.fsum(powers)
        return [p / total if total else p for p in powers]

    with mpmath.workdps(DIGITS):
        known = {
            (*index, row): weights(index, row)
            for index in np.ndindex(*batch)
            for row in range(rows)
        }

        def at(place: Index) -> Number:
            *index, row, out = place
            values = vs[tuple(index)][:, out]
            return mpmath.fsum(w * x for w, x in zip(known[(*index, row)], values, strict=True))

        return filled((*batch, rows, v.shape[-1]), at, q)
