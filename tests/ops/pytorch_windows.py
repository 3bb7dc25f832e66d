"""What PyTorch calls the convolutions, the pools and what unfolds them, with padding of each side.

PyTorch pads both sides of an axis alike. Where ours differ the image is padded before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch", reason="PyTorch is the oracle")
F: Any = torch.nn.functional

Theirs = Callable[..., Any]
Sides = tuple[tuple[int, int], ...]


def _each(value: Any, ndim: int) -> tuple[int, ...]:
    return (value,) * ndim if isinstance(value, int) else tuple(value)


def _sides(padding: Any, ndim: int) -> Sides:
    """Padding as (before, behind) for each axis."""
    if isinstance(padding, int):
        return ((padding, padding),) * ndim
    if ndim == 1:
        return (tuple(padding),)
    return tuple((p, p) if isinstance(p, int) else tuple(p) for p in padding)


def _even(sides: Sides) -> tuple[int, ...] | None:
    """As PyTorch has it, one number an axis; None where its two sides differ."""
    return tuple(low for low, _ in sides) if all(a == b for a, b in sides) else None


def around(x: Any, sides: Sides, value: Any = 0) -> Any:
    return F.pad(x, [n for pair in reversed(sides) for n in pair], value=value)


def _cropped(x: Any, sides: Sides) -> Any:
    for axis, (low, high) in enumerate(sides, start=x.ndim - len(sides)):
        x = x.narrow(axis, low, x.shape[axis] - low - high)
    return x


# Convolution


def _conv(x: Any, w: Any, *, padding: Any = 0, **at: Any) -> Any:
    ndim = x.ndim - 2
    call = F.conv1d if ndim == 1 else F.conv2d
    if isinstance(padding, str):
        return call(x, w, padding=padding, **at)
    sides = _sides(padding, ndim)
    if (even := _even(sides)) is not None:
        return call(x, w, padding=even, **at)
    return call(around(x, sides), w, **at)


def _conv_grad(
    g: Any, x: Any, w: Any, wanted: int, *, padding: Any, stride: Any, dilation: Any, groups: int
) -> Any:
    """What PyTorch's own backward pass gives, by the padded image or by the weight."""
    mask = [wanted == 0, wanted == 1, False]
    found = torch.ops.aten.convolution_backward(
        g, around(x, padding), w, None, stride, (0, 0), dilation, False, (0, 0), groups, mask
    )
    return _cropped(found[0], padding) if wanted == 0 else found[1]


def _conv_input_grad(g: Any, w: Any, *, size: Any, groups: int, **at: Any) -> Any:
    x = torch.zeros((g.shape[0], w.shape[1] * groups, *size), dtype=g.dtype)
    return _conv_grad(g, x, w, 0, groups=groups, **at)


def _conv_weight_grad(g: Any, x: Any, *, kernel: Any, groups: int, **at: Any) -> Any:
    w = torch.zeros((g.shape[1], x.shape[1] // groups, *kernel), dtype=g.dtype)
    return _conv_grad(g, x, w, 1, groups=groups, **at)


def _conv_transpose(x: Any, w: Any, *, padding: Any = 0, **at: Any) -> Any:
    ndim = x.ndim - 2
    call = F.conv_transpose1d if ndim == 1 else F.conv_transpose2d
    sides = _sides(padding, ndim)
    if (even := _even(sides)) is not None:
        return call(x, w, padding=even, **at)
    return _cropped(call(x, w, **at), sides)


def _inside(y: Any, x: Any, sides: Sides, stride: Any) -> Any:
    """Windows of an image that was padded before, without those that start in what is behind it."""
    for axis, (low, _), step in zip(range(2, x.ndim), sides, stride, strict=True):
        most = -(-(x.shape[axis] + low) // step)
        y = y.narrow(axis, 0, min(y.shape[axis], most))
    return y


def _max_pool(
    x: Any, *, kernel: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False,
) -> Any:  # fmt: skip
    """Padded before where a window lies in the padding alone.

    There PyTorch's backward pass writes outside of its memory, and may end the process.
    """
    ndim = x.ndim - 2
    call = F.max_pool1d if ndim == 1 else F.max_pool2d
    sides = _sides(padding, ndim)
    image = x if x.is_floating_point() else x.long()  # it hasn't all of them
    if (even := _even(sides)) is not None:
        zeros = torch.zeros(x.shape, dtype=torch.float64)
        if not torch.isinf(call(zeros, kernel, stride, even, dilation, ceil_mode)).any():
            return call(image, kernel, stride, even, dilation, ceil_mode).to(x.dtype)
    lowest = -math.inf if x.is_floating_point() else int(torch.iinfo(torch.int64).min)
    y = call(around(image, sides, lowest), kernel, stride, 0, dilation, ceil_mode)
    return _inside(y, x, sides, _each(stride or kernel, ndim)).to(x.dtype)


def _max_pool1d(
    x: Any, *, kernel: int, stride: int | None = None, padding: Any = 0, dilation: int = 1,
    ceil_mode: bool = False,
) -> Any:  # fmt: skip
    """max_pool1d is for floats; integers are a picture of one row."""
    at = {"ceil_mode": ceil_mode}
    if x.is_floating_point():
        return _max_pool(x, kernel=kernel, stride=stride, padding=padding, dilation=dilation, **at)
    flat = ((0, 0), *_sides(padding, 1))
    y = _max_pool(
        x.unsqueeze(2), kernel=(1, kernel), stride=(1, stride or kernel), padding=flat,
        dilation=(1, dilation), **at,
    )  # fmt: skip
    return y.squeeze(2)


def _max_pool_grad(g: Any, x: Any, **at: Any) -> Any:
    """The backward pass of max_pool2d, which is linear in g."""
    with torch.enable_grad():
        image = x.detach().requires_grad_()
        y = _max_pool(image, **at)
        return torch.autograd.grad(y, image, g, create_graph=g.requires_grad)[0]


def _avg_pool(
    x: Any, *, kernel: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:  # fmt: skip
    ndim = x.ndim - 2
    call = F.avg_pool1d if ndim == 1 else F.avg_pool2d
    sides = _sides(padding, ndim)
    if (even := _even(sides)) is not None:
        return call(x, kernel, stride, even, ceil_mode, count_include_pad)

    def mean(image: Any) -> Any:
        y = call(around(image, sides), kernel, stride, 0, ceil_mode)
        return _inside(y, x, sides, _each(stride or kernel, ndim))

    return mean(x) if count_include_pad else mean(x) / mean(torch.ones_like(x))


def _adaptive_max_pool(x: Any, *, size: Any) -> Any:
    """adaptive_max_pool2d is for floats."""
    return F.adaptive_max_pool2d(x if x.is_floating_point() else x.double(), size).to(x.dtype)


def _unfold(x: Any, *, kernel: Any, stride: Any, dilation: Any) -> Any:
    """`F.unfold` takes floats: here it unfolds the places of pixels."""
    n, c, h, w = x.shape
    places = torch.arange(h * w, dtype=torch.float64).reshape(1, 1, h, w)
    found = F.unfold(places, kernel, dilation=dilation, stride=stride)[0].long()
    out = [
        (size - d * (k - 1) - 1) // s + 1
        for size, k, s, d in zip((h, w), kernel, stride, dilation, strict=True)
    ]
    return x.reshape(n, c, h * w)[:, :, found].reshape(n, c, *kernel, *out)


def _fold(u: Any, *, size: Any, stride: Any, dilation: Any) -> Any:
    n, c, kh, kw, oh, ow = u.shape
    flat = u.reshape(n, c * kh * kw, oh * ow)
    return F.fold(flat, size, (kh, kw), dilation=dilation, stride=stride)


WINDOWS: dict[str, Theirs] = {
    "conv1d": _conv,
    "conv2d": _conv,
    "conv2d_input_grad": _conv_input_grad,
    "conv2d_weight_grad": _conv_weight_grad,
    "conv_transpose1d": _conv_transpose,
    "conv_transpose2d": _conv_transpose,
    "unfold": _unfold,
    "fold": _fold,
    "max_pool1d": _max_pool1d,
    "max_pool2d": _max_pool,
    "max_pool2d_input_grad": _max_pool_grad,
    "avg_pool1d": _avg_pool,
    "avg_pool2d": _avg_pool,
    "adaptive_avg_pool1d": lambda x, *, size: F.adaptive_avg_pool1d(x, size),
    "adaptive_avg_pool2d": lambda x, *, size: F.adaptive_avg_pool2d(x, size),
    "adaptive_max_pool2d": _adaptive_max_pool,
    "interpolate": lambda x, **at: F.interpolate(x, **at),
}
