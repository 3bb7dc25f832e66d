"""Conventions of normalisation, dropout and attention."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyaccel.testing.conventions.common import Convention, c

_BITS = np.array([0, 2**32 - 1], np.uint32)
# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("dropout of everything is 0", "dropout", [1.0, 2.0], _BITS, p=1.0, to=[0, 0]),
    c("dropout of nothing is x", "dropout", [1.0, 2.0], _BITS, p=0.0, to=[1, 2]),
    c("a word just below p * 2**32 drops, the next one keeps", "dropout", [1.0, 1.0],
      np.array([2**31 - 1, 2**31], np.uint32), p=0.5, to=[0, 2]),
    c("layer_norm of equal numbers is 0", "layer_norm", [3.0, 3.0], normalized_shape=2, to=[0, 0]),
    c("rms_norm of zeros is 0", "rms_norm", [0.0, 0.0], normalized_shape=2, to=[0, 0]),
    c("group_norm of one number is 0", "group_norm", [[3.0, -2.0]], num_groups=2, to=[[0, 0]]),
)
# fmt: on
