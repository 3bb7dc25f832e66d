"""Shapes and attributes that networks' ops are tested with."""

from __future__ import annotations

from tinyaccel.testing.layouts.common import Layout, of

_SOFTMAX = [
    of((2, 5), axis=-1), of((33,), axis=0), of((2, 3, 4), axis=1), of((3, 1), axis=1),
    of((0, 4), axis=1), of((129, 2), axis=0), of((2, 1025), axis=1),
]  # fmt: skip

LAYOUTS: dict[str, list[Layout]] = {
    "softmax": _SOFTMAX,
    "log_softmax": _SOFTMAX,
    "cross_entropy": [of((n, c), (n,)) for n, c in ((4, 3), (1, 1), (33, 10), (2, 129))],
    "mse": [of(s, s) for s in ((2, 3), (), (33,), (3, 129))],
    "dropout": [
        of(s, s, p=p)
        for s, p in (((2, 3), 0.5), ((33,), 0.1), ((), 0.0), ((5,), 1.0), ((8, 128), 0.25))
    ],
    "batch_norm": [
        of(x, *[(x[1],)] * 4, eps=eps)
        for x, eps in (((4, 3), 1e-5), ((2, 3, 2, 2), 1e-3), ((1, 33), 1e-5), ((0, 2), 1e-5))
    ],
}  # fmt: skip

ROLES = {("cross_entropy", 1): "label", ("dropout", 1): "bits"}
