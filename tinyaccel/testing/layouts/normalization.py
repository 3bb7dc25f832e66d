"""Shapes and attributes that normalisation and dropout are tested with."""

from __future__ import annotations

from tinyaccel.testing.layouts.common import Layout, of

LAYOUTS: dict[str, list[Layout]] = {
    "dropout": [
        of(s, s, p=p)
        for s, p in (((2, 3), 0.5), ((33,), 0.1), ((), 0.0), ((5,), 1.0), ((8, 128), 0.25))
    ],
    "batch_norm": [
        *(
            of(x, *[(x[1],)] * 4, eps=eps)
            for x, eps in (((4, 3), 1e-5), ((2, 3, 2, 2), 1e-3), ((1, 33), 1e-5), ((0, 2), 1e-5))
        ),
        of((4, 3), (3,), (3,)),
        of((2, 3, 2), *[(3,)] * 3, absent=(3,)),
    ],
    "layer_norm": [
        of((2, 5), (5,), (5,), normalized_shape=5),
        of((2, 3, 4), normalized_shape=(3, 4), eps=1e-2),
        of((2, 3, 4), (4,), normalized_shape=(4,)),
        of((3, 33), (33,), normalized_shape=33, absent=(1,)),
        of((0, 3), (3,), (3,), normalized_shape=3),
        of((2, 129), (129,), (129,), normalized_shape=129),
    ],
    "rms_norm": [
        of((2, 5), (5,), normalized_shape=5),
        of((2, 3, 4), normalized_shape=(3, 4), eps=1e-2),
        of((3, 33), (33,), normalized_shape=33),
        of((0, 3), normalized_shape=3),
    ],
    "group_norm": [
        of((2, 4, 3), (4,), (4,), num_groups=2),
        of((2, 3), num_groups=1, eps=1e-2),
        of((1, 4, 2, 3), (4,), num_groups=4),
        of((2, 6, 33), (6,), num_groups=3, absent=(1,)),
        of((0, 2, 3), (2,), (2,), num_groups=1),
    ],
}
ROLES = {("dropout", 1): "bits"}
