"""A value with its error, and what the rules ask of one."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Errors: TypeAlias = npt.NDArray[np.float64]


class Bounded(NamedTuple):
    """A value and how far off it may be.

    value  the exact one: float64 or wider for floats, the graph's own dtype for the rest
    error  float64, the same shape. Bools count as 0 and 1: an error of 1 is an open question.
           inf says that nothing is known
    """

    value: Array
    error: Errors


def distance(a: Array, b: Array) -> Errors:
    """|a - b|: 0 between equals and between NaNs, inf between NaN or infinity and the rest."""
    kind = np.longdouble if np.longdouble in (a.dtype, b.dtype) else np.float64
    same = (a == b) | ((a != a) & (b != b))
    apart = np.abs(a.astype(kind) - b.astype(kind))
    apart = np.where(np.isnan(apart), np.inf, apart)
    # Neighbouring int64 can be one and the same float64.
    return np.where(same, 0.0, np.maximum(apart, np.finfo(np.float64).tiny)).astype(np.float64)


def size(x: Bounded) -> Errors:
    return np.abs(x.value.astype(np.float64))


def ends(x: Bounded) -> tuple[Array, Array]:
    """The lowest and the highest that a computed value may be."""
    value = x.value if x.value.dtype.kind == "f" else x.value.astype(np.float64)
    return value - x.error, value + x.error


def known(*inputs: Bounded) -> bool:
    return not any(x.error.any() for x in inputs)
