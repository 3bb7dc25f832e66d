"""Shapes and attributes that the losses of classes are tested with."""

from __future__ import annotations

from tinyaccel.testing.layouts.common import Layout, of

LAYOUTS: dict[str, list[Layout]] = {
    "nll": [
        of((4, 3), (4,)),
        of((5, 3), (5,), (3,), ignore_index=1),
        of((2, 3, 4), (2, 4), (3,), reduction="sum"),
        of((2, 3, 2, 2), (2, 2, 2), ignore_index=0, reduction="none"),
        of((33, 129), (33,), (129,)),
    ],
    "cross_entropy": [
        *(of((n, c), (n,)) for n, c in ((4, 3), (1, 1), (33, 10))),
        of((5, 3), (5,), (3,), ignore_index=1, label_smoothing=0.25),
        of((2, 3, 4), (2, 4), reduction="none"),
        of((4, 3), (4,), (3,), reduction="sum"),
        of((2, 129), (2,), label_smoothing=0.1, ignore_index=-100),
        of((6, 2), (6,), ignore_index=0),
    ],
    "soft_cross_entropy": [
        of((4, 3), (4, 3)),
        of((2, 3, 4), (2, 3, 4), (3,), label_smoothing=0.25),
        of((5, 3), (5, 3), (3,), reduction="sum"),
        of((2, 129), (2, 129), reduction="none", label_smoothing=0.1),
    ],
}
ROLES = {("cross_entropy", 1): "label", ("nll", 1): "label"}
