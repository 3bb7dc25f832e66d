"""References for creation: a list of numbers."""

from __future__ import annotations

import itertools

import numpy as np

from tinyaccel.dtypes import DType
from tinyaccel.testing.references.numbers import (
    Array,
    Number,
    filled,
    is_float,
)


def arange(*, start: int, stop: int, step: int, dtype: DType) -> Array:
    values: list[Number] = list(itertools.takewhile(
        lambda v: v < stop if step > 0 else v > stop, itertools.count(start, step)
    ))  # fmt: skip
    like = np.empty(0, dtype.numpy)
    convert = float if is_float(like) else int
    return filled((len(values),), lambda index: convert(values[index[0]]), like)
