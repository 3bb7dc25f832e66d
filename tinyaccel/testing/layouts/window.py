"""Shapes and attributes that convolution and pooling are tested with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinyaccel import dtypes, shapes
from tinyaccel.op import OPS, Attrs, Spec
from tinyaccel.shapes import Shape
from tinyaccel.testing.layouts.common import Layout, of

_CONV = [
    # x, weight, stride, padding, dilation, groups
    ((1, 2, 5, 4), (3, 2, 3, 3), 1, 0, 1, 1),
    ((2, 2, 4, 5), (4, 1, 2, 3), (2, 1), (1, 0), 1, 2),
    ((1, 3, 6, 6), (2, 3, 2, 2), 1, ((1, 0), (0, 2)), 2, 1),
    ((2, 1, 3, 3), (1, 1, 1, 1), 2, 0, 1, 1),
    ((2, 4, 3, 4), (4, 1, 3, 3), 1, 1, 1, 4),
    ((1, 1, 33, 2), (2, 1, 31, 1), 1, 0, 1, 1),
    ((3, 2, 5, 5), (2, 2, 2, 2), 3, 2, 1, 1),
    ((0, 2, 3, 3), (2, 2, 3, 3), 1, 1, 1, 1),
]  # fmt: skip


def _conv2d(arrange: Callable[[Shape, Shape, Shape, Attrs], Layout]) -> list[Layout]:
    """Convolutions as `arrange(x, weight, result, attributes in canonical form)`."""
    op, result = OPS["conv2d"], []
    for x, w, stride, padding, dilation, groups in _CONV:
        specs = [Spec(x, dtypes.float32), Spec(w, dtypes.float32)]
        given = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        assert op.prepare is not None
        attrs = op.prepare(*specs, **given)
        out = op.infer(*specs, **attrs).shape
        attrs.pop("precision")  # whatever is set when the op is called
        result.append(arrange(x, w, out, attrs))
    return result


_POOL: list[tuple[Shape, shapes.Pair, shapes.Pair | None, shapes.Pair, shapes.Pair]] = [
    # x, kernel, stride, padding, dilation
    ((1, 2, 4, 5), 2, None, 0, 1),
    ((2, 1, 5, 5), 3, 2, 1, 1),
    ((1, 1, 6, 7), (2, 3), (1, 2), (1, 0), 1),
    ((2, 2, 5, 4), 2, 1, 0, 2),
    ((1, 3, 33, 4), (2, 1), None, 0, 1),
    ((0, 2, 4, 4), 2, None, 0, 1),
]


def _pool(gradient: bool = False, dilated: bool = True) -> list[Layout]:
    result = []
    for x, kernel, stride, padding, dilation in _POOL:
        k = shapes.pair(kernel, "kernel", "pool")
        s = k if stride is None else shapes.pair(stride, "stride", "pool")
        d = shapes.pair(dilation, "dilation", "pool")
        sides = shapes.padding2d(padding, k, s, d, "pool")
        out = shapes.window2d((x[2], x[3]), k, s, sides, d, "pool")
        if gradient:
            at: dict[str, Any] = {"kernel": k, "stride": s, "padding": sides, "dilation": d}
            result.append(of((*x[:2], *out), x, **at))
        elif dilated:
            result.append(of(x, kernel=kernel, stride=stride, padding=padding, dilation=dilation))
        elif d == (1, 1):
            result.append(of(x, kernel=kernel, stride=stride, padding=padding))
    return result


def _windows(folded: bool) -> list[Layout]:
    result = []
    for x, kernel, stride, dilation in (
        ((1, 2, 4, 5), (2, 3), (1, 1), (1, 1)), ((2, 1, 5, 6), (2, 2), (2, 1), (1, 2)),
        ((1, 1, 7, 4), (3, 1), (3, 2), (2, 1)), ((1, 3, 33, 3), (31, 3), (1, 1), (1, 1)),
    ):  # fmt: skip
        out = shapes.window2d((x[2], x[3]), kernel, stride, ((0, 0), (0, 0)), dilation, "fold")
        if folded:
            u = (*x[:2], *kernel, *out)
            result.append(of(u, size=x[2:], stride=stride, dilation=dilation))
        else:
            result.append(of(x, kernel=kernel, stride=stride, dilation=dilation))
    return result


LAYOUTS: dict[str, list[Layout]] = {
    "conv2d": _conv2d(lambda x, w, out, at: of(x, w, **at)),
    "conv2d_input_grad": _conv2d(lambda x, w, out, at: of(out, w, size=x[2:], **at)),
    "conv2d_weight_grad": _conv2d(lambda x, w, out, at: of(out, x, kernel=w[2:], **at)),
    "unfold": _windows(folded=False),
    "fold": _windows(folded=True),
    "max_pool2d": _pool(),
    "max_pool2d_input_grad": _pool(gradient=True),
    "avg_pool2d": _pool(dilated=False),
}
LARGE: dict[str, list[Layout]] = {
    "conv2d_weight_grad": [
        of((4, 1, 64, 64), (4, 1, 64, 64), kernel=(1, 1), stride=(1, 1), dilation=(1, 1), groups=1,
           padding=((0, 0), (0, 0)))
    ],
}  # fmt: skip
