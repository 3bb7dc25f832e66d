"""Conventions of what networks are made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyaccel.errors import IndexRangeError
from tinyaccel.testing.conventions.common import NAN, Convention, c


def _indices(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(values, np.int32)


# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("softmax doesn't overflow", "softmax", [1e4, 1e4, -1e4], axis=0, to=[0.5, 0.5, 0]),
    c("dropout of everything is 0", "dropout", [1.0, 2.0], np.array([0, 2**32 - 1], np.uint32),
      p=1.0, to=[0, 0]),
    c("a label that is no class raises, or gives NaN", "cross_entropy", [[1.0, 2.0]], _indices(2),
      to=(IndexRangeError, NAN)),
)
# fmt: on
