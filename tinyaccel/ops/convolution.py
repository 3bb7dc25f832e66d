"""Convolution of signals (N, C, L) and images (N, C, H, W), and its transpose.

The three convolutions are each other's gradients, so everything here can be differentiated as
often as one likes. A signal is an image of one row.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

from tinyaccel import shapes
from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.op import Budget, Interval, Op, Spec, register
from tinyaccel.ops.define import composite
from tinyaccel.ops.linalg import with_precision
from tinyaccel.ops.movement import pad
from tinyaccel.tensor import Tensor, TensorLike, apply

_two = (Interval(), Interval())
Ends: TypeAlias = int | tuple[int, int]  # before and behind


def conv2d(
    x: TensorLike,
    weight: TensorLike,
    *,
    stride: shapes.Pair = 1,
    padding: shapes.Pair | str | shapes.Padding = 0,
    dilation: shapes.Pair = 1,
    groups: int = 1,
) -> Tensor:
    """y[n, k, i, j] = sum over c, r, s of x[n, c, i*stride + r*dilation - padding, ...] * w[k, c, r, s].

    x: (N, C, H, W); weight: (K, C/groups, kh, kw). stride and dilation are an int or a pair;
    padding is an int, a pair, ((top, bottom), (left, right)), "valid" or "same". Returns
    (N, K, OH, OW) with OH = floor((H + top + bottom - dilation*(kh-1) - 1) / stride) + 1.
    Raises `ShapeError` if channels or window don't fit.

    >>> import tinyaccel as ta
    >>> ta.conv2d(ta.tensor([[[[1.0, 2, 3]]]]), ta.tensor([[[[1.0, 1]]]]))
    tensor([[[[3., 5.]]]])
    """  # noqa: E501  # the formula reads best on one line
    return apply("conv2d", x, weight, stride=stride, padding=padding, dilation=dilation,
                 groups=groups)  # fmt: skip


def places2d(name: str, kernel: tuple[int, int], attrs: dict[str, Any]) -> dict[str, Any]:
    """Where the windows are: stride, padding and dilation in canonical form."""
    stride = shapes.pair(attrs.get("stride", 1), "stride", name)
    dilation = shapes.pair(attrs.get("dilation", 1), "dilation", name)
    padding = shapes.padding2d(attrs.get("padding", 0), kernel, stride, dilation, name)
    return attrs | {"stride": stride, "padding": padding, "dilation": dilation}


def _prepare_conv(x: Spec, weight: Spec, **attrs: Any) -> dict[str, Any]:
    kernel = (weight.shape[2], weight.shape[3]) if len(weight.shape) == 4 else (1, 1)
    return with_precision({"groups": 1} | places2d("conv2d", kernel, attrs))


def _infer_conv(x: Spec, weight: Spec, *, precision: str, **at: Any) -> Spec:
    return Spec(shapes.conv2d(x.shape, weight.shape, **at), x.dtype)


def _check_four(name: str, g: Spec, other: Spec, what: str) -> None:
    if len(g.shape) != 4 or len(other.shape) != 4:
        raise ShapeError(
            f"{name}: gradient {g.shape} and {what} {other.shape}; expected four axes each"
        )


def _infer_input_grad(
    g: Spec, weight: Spec, *, size: tuple[int, int], precision: str, **at: Any
) -> Spec:
    _check_four("conv2d_input_grad", g, weight, "weight")
    x = (g.shape[0], weight.shape[1] * at["groups"], *size)
    if shapes.conv2d(x, weight.shape, **at, op="conv2d_input_grad") != g.shape:
        raise ShapeError(f"conv2d_input_grad: gradient {g.shape} is of no convolution of {x}")
    return Spec(x, g.dtype)


def _infer_weight_grad(
    g: Spec, x: Spec, *, kernel: tuple[int, int], precision: str, **at: Any
) -> Spec:
    _check_four("conv2d_weight_grad", g, x, "input")
    w = (g.shape[1], x.shape[1] // max(at["groups"], 1), *kernel)
    if shapes.conv2d(x.shape, w, **at, op="conv2d_weight_grad") != g.shape:
        raise ShapeError(f"conv2d_weight_grad: gradient {g.shape} is of no convolution with {w}")
    return Spec(w, g.dtype)


def _conv(x: Tensor, w: Tensor, at: dict[str, Any]) -> Tensor:
    return apply("conv2d", x, w, **at)


def _input_grad(g: Tensor, w: Tensor, x: Tensor, at: dict[str, Any]) -> Tensor:
    return apply("conv2d_input_grad", g, w, size=x.shape[2:], **at)


def _weight_grad(g: Tensor, x: Tensor, w: Tensor, at: dict[str, Any]) -> Tensor:
    return apply("conv2d_weight_grad", g, x, kernel=w.shape[2:], **at)


register(
    Op(
        "conv2d", "window", _infer_conv, prepare=_prepare_conv, takes="float",
        vjp=(
            lambda g, y, x, w, **at: _input_grad(g, w, x, at),
            lambda g, y, x, w, **at: _weight_grad(g, x, w, at),
        ),
        domain=_two,
        budget=Budget("accumulate", 4, lambda x, w, **_: math.prod(w.shape[1:])),
        doc="2-D convolution (cross-correlation)",
    )
)  # fmt: skip
register(
    Op(
        "conv2d_input_grad", "window", _infer_input_grad,
        prepare=lambda *specs, **attrs: with_precision(attrs), takes="float",
        vjp=(
            lambda h, y, g, w, *, size, **at: _conv(h, w, at),
            lambda h, y, g, w, *, size, **at: _weight_grad(g, h, w, at),
        ),
        domain=_two,
        budget=Budget(
            "accumulate", 4,
            lambda g, w, *, groups, **_: w.shape[0] // groups * math.prod(w.shape[2:]),
        ),
        doc="the gradient of conv2d with respect to its input",
    )
)  # fmt: skip
register(
    Op(
        "conv2d_weight_grad", "window", _infer_weight_grad,
        prepare=lambda *specs, **attrs: with_precision(attrs), takes="float",
        vjp=(
            lambda v, y, g, x, *, kernel, **at: _conv(x, v, at),
            lambda v, y, g, x, *, kernel, **at: _input_grad(g, v, x, at),
        ),
        domain=_two,
        budget=Budget(
            "accumulate", 4, lambda g, x, **_: g.shape[0] * math.prod(g.shape[2:])
        ),
        doc="the gradient of conv2d with respect to its weight",
    )
)  # fmt: skip


# Signals


def single(value: object, name: str, op: str, least: int = 1) -> int:
    """A setting of a 1-D op: an int of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ArgumentError(f"{op}: {name}={value!r}; expected an int of at least {least}")
    return value


def places1d(name: str, kernel: int, attrs: dict[str, Any]) -> dict[str, Any]:
    """`places2d` along one axis: stride and dilation as ints, padding as (before, behind)."""
    stride = single(attrs.get("stride", 1), "stride", name)
    dilation = single(attrs.get("dilation", 1), "dilation", name)
    padding = attrs.get("padding", 0)
    if padding in ("same", "valid"):
        (_, padding) = shapes.padding2d(padding, (1, kernel), (1, stride), (1, dilation), name)
    elif isinstance(padding, str):
        raise ArgumentError(
            f'{name}: padding={padding!r}; expected "same", "valid", an int or (before, behind)'
        )
    padding = shapes.pair(padding, "padding", name, least=0)
    return attrs | {"stride": stride, "padding": padding, "dilation": dilation}


def of_one_row(stride: int, padding: Any, dilation: int) -> dict[str, Any]:
    """What `places1d` gave, for an image of one row."""
    return {"stride": (1, stride), "padding": ((0, 0), padding), "dilation": (1, dilation)}


def _signals(name: str, x: Spec, weight: Spec, weights: str) -> None:
    if len(x.shape) != 3 or len(weight.shape) != 3:
        raise ShapeError(
            f"{name}: input {x.shape} and weight {weight.shape}; expected (N, C, L) and {weights}"
        )


def _prepare_conv1d(x: Spec, weight: Spec, *, groups: int, **attrs: Any) -> dict[str, Any]:
    _signals("conv1d", x, weight, "(K, C/groups, k)")
    shapes.check_channels(x.shape, weight.shape, groups, "conv1d")
    return places1d("conv1d", weight.shape[2], attrs) | {"groups": groups}


@composite(prepare=_prepare_conv1d, domain=_two)
def conv1d(
    x: Tensor,
    weight: Tensor,
    /,
    *,
    stride: int = 1,
    padding: Ends | str = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """y[n, k, i] = sum over c, r of x[n, c, i*stride + r*dilation - padding] * weight[k, c, r].

    x: (N, C, L); weight: (K, C/groups, k). padding is an int, (before, behind), "valid" or "same".
    Returns (N, K, OL) with OL = floor((L + before + behind - dilation*(k-1) - 1) / stride) + 1.
    Raises `ShapeError` if channels or window don't fit.
    """
    at = of_one_row(stride, padding, dilation)
    return conv2d(x.expand_dims(2), weight.expand_dims(2), groups=groups, **at).squeeze(2)


# The transpose


class _Axis(NamedTuple):
    """What comes out along an axis: of the convolution's gradient, and zeros behind it."""

    size: int
    padding: tuple[int, int]
    zeros: int


def _transposed(
    name: str, n: int, kernel: int, stride: int, padding: tuple[int, int], more: int, dilation: int
) -> _Axis:
    if more >= max(stride, dilation):
        raise ArgumentError(
            f"{name}: output_padding {more} with stride {stride} and dilation {dilation}; "
            "expected less than one of them"
        )
    low, high = padding
    # First what the padding would take off is kept, then what a stride leaves over; and behind
    # that, where only a dilated kernel would reach, there is nothing.
    kept, beyond = (low, max(high - more, 0)), max(more - high, 0)
    zeros = max(beyond - (stride - 1), 0)
    size = (n - 1) * stride - sum(kept) + dilation * (kernel - 1) + 1 + beyond - zeros
    if n < 1 or size < 1:
        raise ShapeError(
            f"{name}: a window of {dilation * (kernel - 1) + 1} at {n} places of stride {stride}, "
            f"padding {padding} taken off, leaves {size}; expected at least 1 of each"
        )
    return _Axis(size, kept, zeros)


def _check_transposed(name: str, x: Spec, weight: Spec, attrs: dict[str, Any]) -> None:
    groups = attrs["groups"]
    if isinstance(attrs["padding"], str):
        raise ArgumentError(f"{name}: padding={attrs['padding']!r}; expected numbers")
    if groups < 1 or x.shape[1] != weight.shape[0] or weight.shape[0] % groups:
        raise ShapeError(
            f"{name}: input has {x.shape[1]} channels, weight {weight.shape}, groups={groups}; "
            "expected weight (in_channels, out_channels/groups, ...), in_channels a multiple of "
            "groups"
        )


def _axes(x: Any, weight: Any, at: dict[str, Any], name: str = "conv_transpose2d") -> list[_Axis]:
    settings = [at[s] for s in ("stride", "padding", "output_padding", "dilation")]
    along = zip(x.shape[2:], weight.shape[2:], *settings, strict=True)
    return [_transposed(name, *numbers) for numbers in along]


def _prepare_transpose2d(x: Spec, weight: Spec, **attrs: Any) -> dict[str, Any]:
    name = "conv_transpose2d"
    if len(x.shape) != 4 or len(weight.shape) != 4:
        raise ShapeError(
            f"{name}: input {x.shape} and weight {weight.shape}; expected (N, C, H, W) and "
            "(C, K/groups, kh, kw)"
        )
    _check_transposed(name, x, weight, attrs)
    at = places2d(name, (weight.shape[2], weight.shape[3]), attrs)
    at["output_padding"] = shapes.pair(at["output_padding"], "output_padding", name, least=0)
    _axes(x, weight, at)
    return at


@composite(prepare=_prepare_transpose2d, domain=_two)
def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    /,
    *,
    stride: shapes.Pair = 1,
    padding: shapes.Pair | shapes.Padding = 0,
    output_padding: shapes.Pair = 0,
    dilation: shapes.Pair = 1,
    groups: int = 1,
) -> Tensor:
    """The transpose of `conv2d`: each pixel adds weight times itself to a window of the result.

    x: (N, C, H, W); weight: (C, K/groups, kh, kw), as PyTorch's. padding takes rows and columns
    off the result; output_padding, less than stride or dilation, adds some behind. Returns
    (N, K, OH, OW) with OH = (H-1)*stride - top - bottom + dilation*(kh-1) + output_padding + 1.
    Raises `ShapeError` if channels don't fit or nothing is left.
    V. Dumoulin, F. Visin, "A guide to convolution arithmetic", arXiv:1603.07285, section 4.

    >>> import tinyaccel as ta
    >>> ta.conv_transpose2d(ta.tensor([[[[1.0, 2]]]]), ta.tensor([[[[1.0, 10]]]]), stride=(1, 2))
    tensor([[[[ 1., 10.,  2., 20.]]]])
    """
    at: dict[str, Any] = {"stride": stride, "dilation": dilation, "groups": groups}
    rows, columns = _axes(x, weight, {**at, "padding": padding, "output_padding": output_padding})
    y = apply(
        "conv2d_input_grad", x, weight, size=(rows.size, columns.size),
        padding=(rows.padding, columns.padding), **at,
    )  # fmt: skip
    behind = ((0, rows.zeros), (0, columns.zeros))
    return pad(y, widths=((0, 0), (0, 0), *behind)) if rows.zeros or columns.zeros else y


def _prepare_transpose1d(x: Spec, weight: Spec, **attrs: Any) -> dict[str, Any]:
    name = "conv_transpose1d"
    _signals(name, x, weight, "(C, K/groups, k)")
    _check_transposed(name, x, weight, attrs)
    at = places1d(name, weight.shape[2], attrs)
    single(at["output_padding"], "output_padding", name, least=0)
    settings = [at[s] for s in ("stride", "padding", "output_padding", "dilation")]
    _transposed(name, x.shape[2], weight.shape[2], *settings)
    return at


@composite(prepare=_prepare_transpose1d, domain=_two)
def conv_transpose1d(
    x: Tensor,
    weight: Tensor,
    /,
    *,
    stride: int = 1,
    padding: Ends = 0,
    output_padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """The transpose of `conv1d`, by the rules of `conv_transpose2d`.

    x: (N, C, L); weight: (C, K/groups, k). Returns (N, K, OL) with
    OL = (L-1)*stride - before - behind + dilation*(k-1) + output_padding + 1.
    """
    at = of_one_row(stride, padding, dilation)
    more = (0, output_padding)
    y = conv_transpose2d(
        x.expand_dims(2), weight.expand_dims(2), output_padding=more, groups=groups, **at
    )
    return y.squeeze(2)
