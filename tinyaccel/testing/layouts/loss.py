"""Shapes and attributes that losses are tested with."""

from __future__ import annotations

from typing import Any

from tinyaccel.testing.layouts.common import Layout, of


def _pairs(*attrs: dict[str, Any], inputs: int = 2) -> list[Layout]:
    """A few shapes for every input, with the attributes given and each reduction by turns."""
    turns: tuple[dict[str, Any], ...] = ({}, {"reduction": "sum"}, {"reduction": "none"}, {})
    return [
        of(*[s] * inputs, **attrs[i % len(attrs)], **turns[i])
        for i, s in enumerate(((2, 3), (), (33,), (3, 129)))
    ]


def _deltas(name: str) -> list[dict[str, Any]]:
    return [{name: 10.0}, {name: 0.05}, {name: 0.05}, {}]


LAYOUTS: dict[str, list[Layout]] = {
    "mse": [*_pairs({}), of((0,), (0,), reduction="sum")],
    "l1": _pairs({}),
    # Small ones lie on one side of the kink, as finite differences see nothing there.
    "huber": [*_pairs(*_deltas("delta")), of((5,), (5,), delta=0.0)],
    "smooth_l1": [*_pairs(*_deltas("beta")), of((5,), (5,), beta=0.0, reduction="none")],
    "bce": [*_pairs({}), of((2, 3), (2, 3), (3,)), of((5,), (5,), (5,), reduction="none")],
    "bce_with_logits": [
        *_pairs({}),
        of((2, 3), (2, 3), (2, 1), (3,), reduction="sum"),
        of((4, 3), (4, 3), (3,), absent=(2,)),
        of((5,), (5,), (5,), reduction="none"),
    ],
    "kl_div": [
        *_pairs({}, {"log_target": True}),
        of((3, 4), (3, 4), reduction="batchmean"),
        of((3, 4), (3, 4), reduction="sum", log_target=True),
    ],
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
