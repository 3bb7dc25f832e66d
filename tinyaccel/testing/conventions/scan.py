"""Conventions of scans: zeros, nothing, small integers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinyaccel.errors import ShapeError
from tinyaccel.testing.conventions.common import INF, NAN, Convention, c

# fmt: off
CONVENTIONS: Sequence[Convention] = (
    c("cumsum of nothing is nothing", "cumsum", [], axis=0, include_initial=False, to=[]),
    c("cumsum may start from 0", "cumsum", [], axis=0, include_initial=True, to=[0]),
    c("cumprod may start from 1", "cumprod", [2.0, 3.0], axis=0, include_initial=True,
      to=[1, 2, 6]),
    c("int8 is summed in 32 bits", "cumsum", np.array([100, 100, -1], np.int8), axis=0,
      to=[100, 200, 199]),
    c("integers wrap around", "cumprod", np.array([2**30, 2, 2], np.int32), axis=0,
      to=[2**30, -(2**31), 0]),
    c("cumsum meets NaN where it comes", "cumsum", [1.0, INF, -INF, 1.0], axis=0,
      to=[1, INF, NAN, NAN]),
    c("cumprod's gradient with one zero", "cumprod", [2.0, 0.0, 3.0], by=0, axis=0,
      to=[1, 8, 0]),
    c("cumprod's gradient with two zeros", "cumprod", [0.0, 2.0, 0.0, 3.0], by=0, axis=0,
      to=[3, 0, 0, 0]),
    c("two axes are one too many", "cumsum", [[1.0]], axis=None, include_initial=False,
      to=ShapeError),
)
# fmt: on
