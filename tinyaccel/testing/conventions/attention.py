"""Conventions of attention: what a row gives that sees nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyaccel.testing.conventions.common import INF, Convention, c

_NAME = "scaled_dot_product_attention"
_X = [[1.0, 0.0], [0.0, 1.0]]
_FALSE = [[False, False], [True, False]]
_MINUS = [[-INF, -INF], [0.0, -INF]]
# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("attention to nothing is 0", _NAME, _X, _X, _X, _FALSE, to=[[0, 0], [1, 0]]),
    c("attention to nothing is 0", _NAME, _X, _X, _X, _MINUS, to=[[0, 0], [1, 0]]),
    c("attention to nothing has no gradient", _NAME, _X, _X, _X, _FALSE, by=0,
      to=[[0, 0], [0, 0]]),
    c("attention to nothing has no gradient", _NAME, _X, _X, _X, _MINUS, by=1,
      to=[[0, 0], [0, 0]]),
    c("attention to nothing has no gradient", _NAME, _X, _X, _X, _FALSE, by=2,
      to=[[1, 1], [0, 0]]),
    c("attention to an empty sequence is 0", _NAME, [[1.0], [2.0]], np.zeros((0, 1), np.float32),
      np.zeros((0, 1), np.float32), to=[[0], [0]]),
    c("attention doesn't overflow", _NAME, [[1e4]], [[1e4], [0.0]], [[2.0], [3.0]], to=[[2]]),
    c("a causal row sees itself and what is before", _NAME, [[0.0], [0.0]], [[1.0], [5.0]],
      [[2.0], [4.0]], is_causal=True, to=[[2], [3]]),
)
# fmt: on
