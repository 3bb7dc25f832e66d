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
    c("an update for an index out of range raises, or is dropped", "scatter_add", [1.0, 2.0],
      _indices(2, 1), [10.0, 20.0], axis=0, to=(IndexRangeError, [1, 22])),
    c("a negative index counts back", "take", [[1.0, 2.0], [3.0, 4.0]], _indices(-1, -2), axis=0,
      to=[[3, 4], [1, 2]]),
    c("a row out of range raises, or is NaN", "take", [[1.0, 2.0], [3.0, 4.0]], _indices(2, -3, 0),
      axis=0, to=(IndexRangeError, [[NAN, NAN], [NAN, NAN], [1, 2]])),
    c("an integer row out of range is 0", "take", np.array([4, 5], np.int32), _indices(7, 1),
      axis=0, to=(IndexRangeError, [0, 5])),
    c("a row of nothing raises, or is NaN", "take", [], _indices(0), axis=0,
      to=(IndexRangeError, [NAN])),
    c("an update for a row out of range raises, or is dropped", "index_add", [1.0, 2.0],
      _indices(-3, 1), [10.0, 20.0], axis=0, to=(IndexRangeError, [1, 22])),
    c("an update for a row out of range raises, or is dropped", "index_set", [1.0, 2.0],
      _indices(2, 0), [10.0, 20.0], axis=0, to=(IndexRangeError, [20, 2])),
    c("the last of several updates stays", "index_set", [1.0, 2.0, 3.0], _indices(0, 2, 0, -1),
      [10.0, 20.0, 30.0, 40.0], axis=0, to=[30, 2, 40]),
    c("the last update has the gradient to itself", "index_set", [1.0, 2.0, 3.0],
      _indices(0, 2, 0, -1), [10.0, 20.0, 30.0, 40.0], axis=0, by=2, to=[0, 0, 1, 1]),
    c("what is replaced has no gradient", "index_set", [1.0, 2.0, 3.0], _indices(0, 2, 0, -1),
      [10.0, 20.0, 30.0, 40.0], axis=0, by=0, to=[0, 1, 0]),
    c("a class counts back too", "one_hot", _indices(-1, 1), num_classes=3, to=[[0, 0, 1],
      [0, 1, 0]]),
    c("no class raises, or is a row of NaN", "one_hot", _indices(3, 0), num_classes=3,
      to=(IndexRangeError, [[NAN, NAN, NAN], [1, 0, 0]])),
)
# fmt: on
