"""Sliding windows over images (N, C, H, W): convolution, pooling, unfold and fold.

The three convolutions are each other's gradients, and so are unfold and fold; pooling is spelled
in them. Everything here can therefore be differentiated as often as one likes.
"""

from __future__ import annotations

import math
from typing import Any

from tinyaccel import dtypes, shapes
from tinyaccel.errors import ShapeError
from tinyaccel.op import Budget, Interval, Op, Spec, register
from tinyaccel.ops.define import composite
from tinyaccel.ops.elementwise import equal, not_equal
from tinyaccel.ops.indexing import scatter_add
from tinyaccel.ops.linalg import with_precision
from tinyaccel.ops.movement import pad
from tinyaccel.tensor import Tensor, TensorLike, apply, full

_two = (Interval(), Interval())


# Convolution


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


def _at(name: str, kernel: tuple[int, int], attrs: dict[str, Any]) -> dict[str, Any]:
    """Where the windows are: stride, padding and dilation in canonical form."""
    stride = shapes.pair(attrs.get("stride", 1), "stride", name)
    dilation = shapes.pair(attrs.get("dilation", 1), "dilation", name)
    padding = shapes.padding2d(attrs.get("padding", 0), kernel, stride, dilation, name)
    return attrs | {"stride": stride, "padding": padding, "dilation": dilation}


def _prepare_conv(x: Spec, weight: Spec, **attrs: Any) -> dict[str, Any]:
    kernel = (weight.shape[2], weight.shape[3]) if len(weight.shape) == 4 else (1, 1)
    return with_precision({"groups": 1} | _at("conv2d", kernel, attrs))


def _infer_conv(x: Spec, weight: Spec, *, precision: str, **at: Any) -> Spec:
    return Spec(shapes.conv2d(x.shape, weight.shape, **at), x.dtype)


def _infer_input_grad(
    g: Spec, weight: Spec, *, size: tuple[int, int], precision: str, **at: Any
) -> Spec:
    x = (g.shape[0], weight.shape[1] * at["groups"], *size)
    if shapes.conv2d(x, weight.shape, **at, op="conv2d_input_grad") != g.shape:
        raise ShapeError(f"conv2d_input_grad: gradient {g.shape} is of no convolution of {x}")
    return Spec(x, g.dtype)


def _infer_weight_grad(
    g: Spec, x: Spec, *, kernel: tuple[int, int], precision: str, **at: Any
) -> Spec:
    w = (g.shape[1], x.shape[1] // at["groups"], *kernel)
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


# Unfold and fold


def unfold(x: TensorLike, *, kernel: shapes.Pair, stride: shapes.Pair = 1,
           dilation: shapes.Pair = 1) -> Tensor:  # fmt: skip
    """All windows of x: (N, C, H, W) -> (N, C, kh, kw, OH, OW)."""
    return apply("unfold", x, kernel=kernel, stride=stride, dilation=dilation)


def fold(u: TensorLike, *, size: shapes.Pair, stride: shapes.Pair = 1,
         dilation: shapes.Pair = 1) -> Tensor:  # fmt: skip
    """Windows (N, C, kh, kw, OH, OW) added up into images (N, C, *size); unfold's adjoint."""
    return apply("fold", u, size=size, stride=stride, dilation=dilation)


def _prepare_fold(
    u: Spec, *, size: shapes.Pair, stride: shapes.Pair = 1, dilation: shapes.Pair = 1
) -> dict[str, Any]:
    return {
        "size": shapes.pair(size, "size", "fold"),
        "stride": shapes.pair(stride, "stride", "fold"),
        "dilation": shapes.pair(dilation, "dilation", "fold"),
    }


def _prepare_unfold(
    x: Spec, *, kernel: shapes.Pair, stride: shapes.Pair = 1, dilation: shapes.Pair = 1
) -> dict[str, Any]:
    if len(x.shape) != 4:
        raise ShapeError(f"unfold: input {x.shape}; expected (N, C, H, W)")
    return {
        "kernel": shapes.pair(kernel, "kernel", "unfold"),
        "stride": shapes.pair(stride, "stride", "unfold"),
        "dilation": shapes.pair(dilation, "dilation", "unfold"),
    }


_NONE = ((0, 0), (0, 0))


def _infer_unfold(x: Spec, *, kernel: Any, stride: Any, dilation: Any) -> Spec:
    spatial = (x.shape[2], x.shape[3])
    out = shapes.window2d(spatial, kernel, stride, _NONE, dilation, "unfold")
    return Spec((*x.shape[:2], *kernel, *out), x.dtype)


def _infer_fold(u: Spec, *, size: Any, stride: Any, dilation: Any) -> Spec:
    if len(u.shape) != 6 or u.shape[4:] != shapes.window2d(
        size, (u.shape[2], u.shape[3]), stride, _NONE, dilation, "fold"
    ):
        raise ShapeError(f"fold: {u.shape} are not the windows of an image of {size}")
    return Spec((*u.shape[:2], *size), u.dtype)


register(
    Op(
        "unfold", "movement", _infer_unfold, prepare=_prepare_unfold,
        vjp=(lambda g, y, x, *, kernel, **at: apply("fold", g, size=x.shape[2:], **at),),
        doc="all windows of an image",
    )
)  # fmt: skip
register(
    Op(
        "fold", "window", _infer_fold, prepare=_prepare_fold, takes="float",
        vjp=(lambda h, y, u, *, size, **at: apply("unfold", h, kernel=u.shape[2:4], **at),),

        budget=Budget("accumulate", 4, lambda u, **_: math.prod(u.shape[2:4])),
        doc="windows added up into an image",
    )
)  # fmt: skip


# Pooling


def _prepare_pool(name: str) -> Any:
    def prepare(
        *specs: Spec, kernel: shapes.Pair, stride: Any, padding: Any, dilation: Any = 1
    ) -> dict[str, Any]:
        x = specs[-1]
        if len(x.shape) != 4:
            raise ShapeError(f"{name}: input {x.shape}; expected (N, C, H, W)")
        size = shapes.pair(kernel, "kernel", name)
        at = _at(name, size, {"stride": size if stride is None else stride, "padding": padding,
                              "dilation": dilation})  # fmt: skip
        for side, k in zip(at["padding"], size, strict=True):
            if max(side) * 2 > k:
                raise ShapeError(
                    f"{name}: padding {at['padding']} for a window of {size}; at most half of it, "
                    "or a window could lie in the padding alone"
                )
        shapes.window2d(x.shape[2:], size, at["stride"], at["padding"], at["dilation"], name)
        return {"kernel": size, **at}

    return prepare


def _padded(x: Tensor, padding: shapes.Padding, value: float) -> Tensor:
    return pad(x, widths=((0, 0), (0, 0), *padding), value=value)


def _places(x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Tensor:
    """(N, C, H, W) -> (N, C, kh*kw, OH, OW), with the lowest value around the image."""
    lowest = -math.inf if x.dtype.is_float else x.dtype.min
    u = unfold(_padded(x, padding, lowest), kernel=kernel, stride=stride, dilation=dilation)
    return u.reshape(*u.shape[:2], math.prod(kernel), *u.shape[4:])


def _max_pool_vjp(g: Tensor, y: Tensor, x: Tensor, **at: Any) -> Tensor:
    return max_pool2d_input_grad(g, x, **at)


@composite(takes="any", vjp=(_max_pool_vjp,), prepare=_prepare_pool("max_pool2d"),
           budget=Budget("exact"))  # fmt: skip
def max_pool2d(
    x: Tensor,
    *,
    kernel: shapes.Pair,
    stride: shapes.Pair | None = None,
    padding: Any = 0,
    dilation: shapes.Pair = 1,
) -> Tensor:
    """The largest value of each window.

    x: (N, C, H, W). stride=None means the kernel's size. Returns (N, C, OH, OW). The gradient
    goes to the first of equal maxima, row by row; NaN is larger than everything.
    """
    return _places(x, kernel, stride, padding, dilation).max(axis=2)


@composite(prepare=_prepare_pool("max_pool2d_input_grad"), domain=_two)
def max_pool2d_input_grad(
    g: Tensor, x: Tensor, *, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> Tensor:
    """The gradient of `max_pool2d` with respect to x, given g, the gradient of its result."""
    places = _places(x.detach(), kernel, stride, padding, dilation)
    hit = equal(places, places.max(axis=2, keepdims=True)) | not_equal(places, places)
    # A pixel of the lowest value ties with the padding, which can't take its gradient.
    real = _places(full(x.shape, True, device=x.device), kernel, stride, padding, dilation)
    first = (hit & real).astype(dtypes.int32).argmax(axis=2, keepdims=True)
    zeros = full(places.shape, 0, dtype=g.dtype, device=g.device)
    spread = scatter_add(zeros, first, g.expand_dims(2), axis=2)
    (top, bottom), (left, right) = padding
    h, w = x.shape[2:]
    image = apply(
        "fold", spread.reshape(*g.shape[:2], *kernel, *g.shape[2:]),
        size=(h + top + bottom, w + left + right), stride=stride, dilation=dilation)  # fmt: skip
    return image[:, :, top : top + h, left : left + w]


def _prepare_avg_pool(x: Spec, **attrs: Any) -> dict[str, Any]:
    at: dict[str, Any] = _prepare_pool("avg_pool2d")(x, **attrs)
    del at["dilation"]  # it has none
    return at


@composite(prepare=_prepare_avg_pool)
def avg_pool2d(
    x: Tensor, *, kernel: shapes.Pair, stride: shapes.Pair | None = None, padding: Any = 0
) -> Tensor:
    """The mean of each window, zeros of the padding included.

    x: (N, C, H, W). stride=None means the kernel's size. Returns (N, C, OH, OW).
    """
    assert stride is not None and isinstance(kernel, tuple)
    u = unfold(_padded(x, padding, 0), kernel=kernel, stride=stride)
    return u.sum((2, 3)) / float(math.prod(kernel))
