"""Shapes and attributes that pooling is tested with."""

from __future__ import annotations

from typing import Any

from tinyaccel import dtypes
from tinyaccel.op import OPS, Spec
from tinyaccel.testing.layouts.common import Layout, of

_POOL = [
    of((1, 2, 4, 5), kernel=2),
    of((2, 1, 5, 5), kernel=3, stride=2, padding=1),
    of((1, 1, 6, 7), kernel=(2, 3), stride=(1, 2), padding=(1, 0)),
    of((1, 2, 6, 5), kernel=2, ceil_mode=True),  # one axis has a rest, the other has none
    of((2, 1, 5, 6), kernel=3, stride=(3, 2), padding=((1, 0), (0, 1)), ceil_mode=True),
    of((1, 3, 33, 4), kernel=(2, 1)),
    of((0, 2, 4, 4), kernel=2),
]
_DILATED = [
    of((2, 2, 5, 4), kernel=2, stride=1, dilation=2),
    of((1, 1, 6, 7), kernel=2, stride=3, dilation=(3, 1), ceil_mode=True),
]
_BINS = [
    of((1, 2, 4, 6), size=(2, 3)), of((2, 1, 5, 7), size=(3, 2)), of((1, 1, 3, 2), size=(5, 2)),
    of((1, 2, 4, 5), size=1), of((0, 1, 3, 3), size=2), of((1, 1, 33, 3), size=(31, 1)),
]  # fmt: skip


def _gradient(layout: Layout) -> Layout:
    """The layout of the gradient of max_pool2d."""
    op, x = OPS["max_pool2d"], Spec(layout.shapes[0], dtypes.float32)
    assert op.prepare is not None
    at: dict[str, Any] = op.prepare(x, **layout.attrs)
    return of(op.infer(x, **at).shape, x.shape, **at)


LAYOUTS: dict[str, list[Layout]] = {
    "max_pool2d": [*_POOL, *_DILATED],
    "max_pool2d_input_grad": [_gradient(layout) for layout in [*_POOL, *_DILATED]],
    "avg_pool2d": [
        *_POOL,
        of((1, 1, 5, 4), kernel=3, stride=2, padding=1, count_include_pad=False),
        of((1, 1, 6, 5), kernel=(3, 2), stride=2, padding=(1, 0), ceil_mode=True,
           count_include_pad=False),
    ],
    "adaptive_avg_pool2d": _BINS,
    "adaptive_max_pool2d": _BINS,
    "max_pool1d": [
        of((1, 2, 7), kernel=2), of((2, 1, 8), kernel=3, stride=2, padding=1, dilation=2),
        of((1, 1, 6), kernel=3, stride=2, padding=(0, 1), ceil_mode=True),
    ],
    "avg_pool1d": [
        of((1, 2, 7), kernel=2), of((2, 1, 8), kernel=3, stride=2, padding=1),
        of((1, 1, 6), kernel=3, stride=2, padding=(1, 0), ceil_mode=True, count_include_pad=False),
    ],
    "adaptive_avg_pool1d": [
        of((1, 2, 6), size=3), of((2, 1, 7), size=3), of((1, 1, 2), size=5),
    ],
}  # fmt: skip
