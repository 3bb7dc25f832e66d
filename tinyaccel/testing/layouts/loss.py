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
}
