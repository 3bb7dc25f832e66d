"""Conventions of losses: kinks, logarithms of 0, and labels that are no class."""

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
    c("an empty mean is NaN", "mse", [], [], to=NAN),
    c("l1'(0) is 0", "l1", [1.0, 2.0, 0.0], [1.0, 1.0, 3.0], by=0, reduction="sum",
      to=[0, 1, -1]),
    c("huber's halves meet at delta", "huber", [2.0, -2.0, 5.0, 0.0], [0.0, 0.0, 0.0, 0.0],
      delta=2.0, reduction="none", to=[2, 2, 8, 0]),
    c("huber's slopes meet at delta", "huber", [2.0, -2.0, 5.0, 0.0], [0.0, 0.0, 0.0, 0.0], by=0,
      delta=2.0, reduction="sum", to=[2, -2, 2, 0]),
    c("huber's slope doesn't overflow", "huber", [3e38], [-3e38], by=0, to=[1]),
    c("smooth_l1's slopes meet at beta", "smooth_l1", [2.0, -2.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0],
      by=0, beta=2.0, reduction="sum", to=[1, -1, 0.5, 0]),
    c("smooth_l1 with beta 0 is l1", "smooth_l1", [0.0, -3.0], [0.0, 0.0], by=0, beta=0.0,
      reduction="sum", to=[0, -1]),
    c("bce's logarithms end at -100", "bce", [0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0],
      reduction="sum", to=200),
    c("bce's slope at 0 and 1 is finite", "bce", [0.0, 1.0], [0.0, 1.0], by=0, reduction="sum",
      to=[0, 0]),
    c("bce of no probability is NaN", "bce", [-0.5, 1.5], [0.0, 0.0], reduction="none",
      to=[NAN, NAN]),
    c("bce_with_logits doesn't overflow", "bce_with_logits", [1e4, -1e4, 1e4, -1e4],
      [1.0, 0.0, 0.0, 1.0], reduction="none", to=[0, 0, 1e4, 1e4]),
    c("bce_with_logits doesn't overflow", "bce_with_logits", [1e4, -1e4, 1e4, -1e4],
      [1.0, 0.0, 0.0, 1.0], by=0, reduction="sum", to=[0, 0, 1, -1]),
    c("kl_div where the target is 0 is 0", "kl_div", [-1.0, -2.0], [0.0, 1.0], reduction="none",
      to=[0, 2]),
    c("kl_div where the target is 0 has no gradient", "kl_div", [-1.0, -2.0], [0.0, 1.0], by=0,
      reduction="sum", to=[0, -1]),
    c("kl_div where the target is 0 has no gradient", "kl_div", [-1.0, -2.0], [0.0, 1.0], by=1,
      reduction="sum", to=[0, 3]),
    c("kl_div of a target below 0 is NaN", "kl_div", [-1.0], [-0.5], to=NAN),
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
