"""Strings and shapes that einsum is tested with: each has something that the others lack."""

from __future__ import annotations

from tinyaccel.testing.layouts.common import Layout, of

LAYOUTS: dict[str, list[Layout]] = {
    "einsum": [
        of((2, 3), (3, 4), subscripts="ij,jk->ik"),
        of((2, 3, 3), subscripts="ijj->ji"),  # a diagonal, and another order
        of((2, 3), (3, 2), (2,), subscripts="ij,jk,k"),  # the letters that occur once
        of((2, 1, 3, 2), (4, 2, 3), subscripts="...ij,...jk->k...i"),  # broadcast
        of((2, 1), (3, 4), subscripts="ij,jk->i"),  # a letter of size 1 in one operand
        of((2, 3), (2, 3), (3,), subscripts="ij,ij,j->ij"),  # nothing is summed
        of((2, 2, 2), subscripts="iii->"),
        of((), (3,), subscripts=",i"),
        of((2, 0), (0, 3), subscripts="ij,jk"),
        of((2, 4, 5, 3), (2, 4, 6, 3), subscripts="bhqd,bhkd->bhqk"),  # attention
    ],
}
