"""The reference for einsum: every choice of every label, one product each, with 50 digits."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from tinyaccel.testing.references.numbers import (
    DIGITS,
    Array,
    Index,
    Number,
    is_float,
    numbers,
    packed,
)


def _spelled(term: str, ndim: int) -> list[str]:
    """A letter for each axis; those under the dots are called by digits, the last one 0."""
    dots = ndim - len(term.replace("...", ""))
    return list(term.replace("...", "".join(str(i) for i in reversed(range(dots)))))


def einsum(*operands: Array, subscripts: str) -> Array:
    import mpmath

    left, _, output = subscripts.partition("->")
    terms = [_spelled(t, x.ndim) for t, x in zip(left.split(","), operands, strict=True)]
    sizes: dict[str, int] = {}
    for term, x in zip(terms, operands, strict=True):
        for label, n in zip(term, x.shape, strict=True):
            sizes[label] = n if sizes.get(label, 1) == 1 else sizes[label]
    digits = "".join(sorted((d for d in sizes if d.isdigit()), reverse=True))
    result = list(output.replace("...", digits))
    rest = [label for label in sizes if label not in result]
    exact: Any = mpmath.mpf if is_float(operands[0]) else int
    with mpmath.workdps(DIGITS):
        values = [np.frompyfunc(exact, 1, 1)(numbers(x)) for x in operands]

        def factor(i: int, at: dict[str, int]) -> Number:
            index: Index = tuple(
                0 if n == 1 else at[label]
                for label, n in zip(terms[i], operands[i].shape, strict=True)
            )
            return np.asarray(values[i], dtype=object)[index]

        out = np.empty([sizes[label] for label in result], dtype=object)
        for index in np.ndindex(out.shape):
            total = exact(0)
            for others in product(*(range(sizes[label]) for label in rest)):
                at = dict(zip([*result, *rest], [*index, *others], strict=True))
                term_value = exact(1)
                for i in range(len(operands)):
                    term_value = term_value * factor(i, at)
                total = total + term_value
            out[index] = total
        return packed(out, operands[0])
