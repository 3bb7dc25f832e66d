"""Conventions of the losses of classes: labels that are no class, or ignored; overflow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyaccel.errors import IndexRangeError, ShapeError
from tinyaccel.testing.conventions.common import NAN, Convention, c


def _labels(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(values, np.int32)


_FAR = [[1e4, -1e4], [-1e4, 1e4]]
# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("a label that is no class raises, or gives NaN", "cross_entropy", [[1.0, 2.0]], _labels(2),
      to=(IndexRangeError, NAN)),
    c("a label below 0 is no class", "cross_entropy", [[1.0, 2.0]], _labels(-1),
      to=(IndexRangeError, NAN)),
    c("a label below 0 is no class", "nll", [[-1.0, -2.0]], _labels(-1),
      to=(IndexRangeError, NAN)),
    c("an ignored label may be any number", "nll", [[-1.0, -2.0], [-3.0, -4.0]],
      _labels(-100, 1), ignore_index=-100, to=4),
    c("with all labels ignored the mean is NaN", "nll", [[-1.0, -2.0]], _labels(1),
      ignore_index=1, to=NAN),
    c("with all labels ignored the mean is NaN", "cross_entropy", [[1.0, 2.0]], _labels(1),
      ignore_index=1, to=NAN),
    c("with all labels ignored the sum is 0", "cross_entropy", [[1.0, 2.0]], _labels(1),
      ignore_index=1, reduction="sum", to=0),
    c("an ignored position has no gradient", "cross_entropy", [[3.0, 2.0], [0.0, 0.0]],
      _labels(1, 0), by=0, ignore_index=1, label_smoothing=0.5, to=[[0, 0], [-0.25, 0.25]]),
    c("an empty batch has no mean", "cross_entropy", np.zeros((0, 2), np.float32), _labels(),
      to=ShapeError),
    c("the sum of an empty batch is 0", "cross_entropy", np.zeros((0, 2), np.float32), _labels(),
      reduction="sum", to=0),
    c("cross_entropy doesn't overflow", "cross_entropy", _FAR, _labels(0, 0), to=1e4),
    c("cross_entropy doesn't overflow", "cross_entropy", _FAR, _labels(0, 0), by=0,
      to=[[0, 0], [-0.5, 0.5]]),
    c("cross_entropy doesn't overflow", "soft_cross_entropy", _FAR, [[1.0, 0.0], [0.5, 0.5]], by=0,
      reduction="sum", to=[[0, 0], [-0.5, 0.5]]),
)
# fmt: on
