"""Shapes and attributes that convolution and its transpose are tested with."""

from __future__ import annotations

from collections.abc import Callable

from tinyaccel import dtypes
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


LAYOUTS: dict[str, list[Layout]] = {
    "conv2d": _conv2d(lambda x, w, out, at: of(x, w, **at)),
    "conv2d_input_grad": _conv2d(lambda x, w, out, at: of(out, w, size=x[2:], **at)),
    "conv2d_weight_grad": _conv2d(lambda x, w, out, at: of(out, x, kernel=w[2:], **at)),
    "conv1d": [
        of((1, 2, 6), (3, 2, 3)), of((2, 2, 7), (2, 1, 2), stride=2, padding=(0, 1), groups=2),
        of((1, 2, 7), (1, 2, 3), padding="same", dilation=2), of((1, 1, 33), (2, 1, 31)),
    ],
    "conv_transpose2d": [
        of((1, 2, 3, 2), (2, 3, 3, 2)),
        of((1, 4, 2, 3), (4, 1, 3, 3), stride=2, padding=1, output_padding=1, groups=2),
        of((1, 1, 3, 3), (1, 2, 2, 3), stride=(1, 3), padding=((0, 1), (2, 0)), dilation=(2, 1)),
        # output_padding of more than the padding, and of more than the stride
        of((2, 1, 2, 2), (1, 1, 2, 1), stride=(2, 1), output_padding=(1, 2), dilation=(1, 3)),
        of((0, 2, 2, 2), (2, 1, 3, 3), padding=1),
    ],
    "conv_transpose1d": [
        of((1, 2, 4), (2, 3, 3)), of((2, 4, 3), (4, 1, 2), stride=3, output_padding=2, groups=2),
        of((1, 1, 33), (1, 1, 3), padding=(1, 0), dilation=2),
    ],
}  # fmt: skip
LARGE: dict[str, list[Layout]] = {
    "conv2d_weight_grad": [
        of((4, 1, 64, 64), (4, 1, 64, 64), kernel=(1, 1), stride=(1, 1), dilation=(1, 1), groups=1,
           padding=((0, 0), (0, 0)))
    ],
}  # fmt: skip
