"""Conventions of losses: kinks, and logarithms of 0."""

from __future__ import annotations

from collections.abc import Sequence

from tinyaccel.testing.conventions.common import NAN, Convention, c

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
)
# fmt: on
