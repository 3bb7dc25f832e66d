"""Products and windows, drawn by name: batch shapes, strides, paddings, dilations, groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tinyaccel import dtypes, shapes
from tinyaccel.errors import TinyaccelError
from tinyaccel.op import OPS, Attrs, Spec
from tinyaccel.shapes import Shape
from tinyaccel.testing.drawn.sizes import Draw, lesser, maybe, one_of, shape, size, whole
from tinyaccel.testing.layouts import Layout


def _matmul(draw: Draw, base: Layout, limit: int) -> Layout:
    """(..., n, k) @ (..., k, m), the batch axes broadcasting."""
    n, m = size(draw, 33), size(draw, 33)
    k = size(draw, max(1, limit // max(1, n * m)))
    batch = shape(draw, max(1, limit // max(1, n * m * k)), dims=(0, 2))
    a, b = (*lesser(draw, batch), n, k), (*lesser(draw, batch), k, m)
    return Layout((a, b), base.attrs)


def _linear(draw: Draw, base: Layout, limit: int) -> Layout:
    """(..., k) by (m, k), with a bias where the listed one has it."""
    k, m = size(draw, limit), size(draw, 33, least=1)
    batch = shape(draw, max(1, limit // max(1, k * m)), dims=(0, 2))
    given: tuple[Shape, ...] = ((*batch, k), (m, k), (m,))
    return Layout(given[: len(base.shapes)], base.attrs)


def _images(draw: Draw, limit: int, groups: int = 1) -> tuple[int, int, int, int]:
    """(N, C, H, W): both sides short, or one of a telling length."""
    n, channels = whole(draw, 0, 2), groups * whole(draw, 1, 2)
    long = size(draw, min(129, max(5, limit // max(1, n * channels))), least=1)
    short = whole(draw, 1, 6 if long < 10 else 2)
    sides = (short, long) if maybe(draw) else (long, short)
    return n, channels, *sides


def _pair(draw: Draw, high: int) -> tuple[int, int]:
    return whole(draw, 1, high), whole(draw, 1, high)


def _sides(draw: Draw, kernel: tuple[int, int]) -> shapes.Padding:
    """Padding of each side by itself, at most half of the window."""
    (a, b), (c, d) = ((whole(draw, 0, k // 2), whole(draw, 0, k // 2)) for k in kernel)
    return (a, b), (c, d)


def _conv(arrange: Callable[[Shape, Shape, Shape, dict[str, Any]], Layout]) -> Any:
    """Convolutions as `arrange(x, weight, result, attributes in canonical form)`."""

    def drawn(draw: Draw, base: Layout, limit: int) -> Layout:
        groups, kernel = one_of(draw, [1, 1, 2, 3]), _pair(draw, 3)
        x = _images(draw, limit, groups)
        weight = (groups * whole(draw, 1, 2), x[1] // groups, *kernel)
        specs = [Spec(x, dtypes.float32), Spec(weight, dtypes.float32)]
        given = {
            "stride": _pair(draw, 3), "padding": _sides(draw, kernel),
            "dilation": _pair(draw, 2), "groups": groups,
        }  # fmt: skip
        op = OPS["conv2d"]
        assert op.prepare is not None
        try:
            attrs = op.prepare(*specs, **given)
            out = op.infer(*specs, **attrs).shape
        except TinyaccelError:
            return base  # the window doesn't fit
        attrs.pop("precision", None)  # whatever is set when the op is called
        return arrange(x, weight, out, attrs)

    return drawn


def _pool(draw: Draw, base: Layout, limit: int) -> Layout:
    """Pooling, with whatever other options the listed one has."""
    kernel = _pair(draw, 3)
    x = _images(draw, limit)
    at: dict[str, Any] = {"kernel": kernel, "stride": _pair(draw, 3)}
    at["padding"] = _sides(draw, kernel)
    if "dilation" in base.attrs:
        at["dilation"] = _pair(draw, 2)
    return Layout((x,), {**base.attrs, **at})


def _pool_grad(draw: Draw, base: Layout, limit: int) -> Layout:
    (x,), at = _pool(draw, Layout((), base.attrs), limit)
    return _with_result(base, x, at, lambda out: Layout((out, x), at))


def _with_result(base: Layout, x: Shape, at: Attrs, arrange: Callable[[Shape], Layout]) -> Layout:
    """`arrange` with the shape that windows of these attributes give; else the listed one."""
    none = ((0, 0), (0, 0))
    try:
        out = shapes.window2d(
            (x[2], x[3]), at["kernel"], at["stride"], at.get("padding", none),
            at["dilation"], "window",
        )  # fmt: skip
    except TinyaccelError:
        return base
    return arrange((*x[:2], *out))


def _unfold(draw: Draw, base: Layout, limit: int) -> Layout:
    x = _images(draw, limit)
    at = {"kernel": _pair(draw, 3), "stride": _pair(draw, 3), "dilation": _pair(draw, 2)}
    return Layout((x,), {**base.attrs, **at})


def _fold(draw: Draw, base: Layout, limit: int) -> Layout:
    (x,), at = _unfold(draw, Layout((), {}), limit)
    rest = {name: value for name, value in at.items() if name != "kernel"}

    def arrange(out: Shape) -> Layout:
        windows = (*x[:2], *at["kernel"], *out[2:])
        return Layout((windows,), {**base.attrs, "size": x[2:], **rest})

    return _with_result(base, x, at, arrange)


BY_NAME: Mapping[str, Callable[[Draw, Layout, int], Layout]] = {
    "matmul": _matmul,
    "linear": _linear,
    "conv2d": _conv(lambda x, w, out, at: Layout((x, w), at)),
    "conv2d_input_grad": _conv(lambda x, w, out, at: Layout((out, w), {**at, "size": x[2:]})),
    "conv2d_weight_grad": _conv(lambda x, w, out, at: Layout((out, x), {**at, "kernel": w[2:]})),
    "max_pool2d": _pool,
    "avg_pool2d": _pool,
    "max_pool2d_input_grad": _pool_grad,
    "unfold": _unfold,
    "fold": _fold,
}
