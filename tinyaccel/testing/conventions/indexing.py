"""Conventions of indices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyaccel.errors import IndexRangeError
from tinyaccel.testing.conventions.common import NAN, Convention, c


def _indices(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(values, np.int32)


# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("a negative index counts back", "take_along_axis", [1.0, 2.0, 3.0], _indices(-1, -3), axis=0,
      to=[3, 1]),
    c("an index out of range raises, or gives NaN", "take_along_axis", [1.0, 2.0], _indices(0, 2),
      axis=0, to=(IndexRangeError, [1, NAN])),
    c("an index out of range raises, or gives NaN", "take_along_axis", [1.0, 2.0], _indices(-3, 1),
      axis=0, to=(IndexRangeError, [NAN, 2])),
    c("an integer at an index out of range is 0", "take_along_axis", np.array([4, 5], np.int32),
      _indices(1, 7), axis=0, to=(IndexRangeError, [5, 0])),
)
# fmt: on
