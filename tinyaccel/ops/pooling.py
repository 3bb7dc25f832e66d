"""Pooling of signals (N, C, L) and images (N, C, H, W): the maximum or the mean of each window.

It is spelled in unfold and fold, so it can be differentiated as often as one likes. A signal is an
image of one row.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyaccel import dtypes, shapes
from tinyaccel.errors import ShapeError
from tinyaccel.op import Budget, Interval, Spec
from tinyaccel.ops.convolution import Ends, of_one_row, places1d, places2d, single
from tinyaccel.ops.define import composite
from tinyaccel.ops.elementwise import equal, not_equal, where
from tinyaccel.ops.indexing import scatter_add, take, take_along_axis
from tinyaccel.ops.movement import pad
from tinyaccel.ops.unfold import fold
from tinyaccel.tensor import Tensor, apply, full, tensor

_two = (Interval(), Interval())
_NO_PADDING = ((0, 0), (0, 0))


# Where the windows of a pool are


def _reach(
    name: str, n: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int,
    ceil_mode: bool,
) -> tuple[int, int]:  # fmt: skip
    """The padding with which the windows end exactly, or with a rest that is none.

    Without ceil_mode that is the padding given. With it there is one window more where the stride
    leaves some of the image over, unless it would start behind it, as in PyTorch.
    """
    low, high = padding
    room = n + low + high - dilation * (kernel - 1) - 1
    if ceil_mode:
        places = -(-room // stride) + 1
        if (places - 1) * stride >= n + low:
            places -= 1
        if places > 0:
            high = max(high, high - room + (places - 1) * stride)
    else:
        places = room // stride + 1
    if low * 2 > kernel or (places - 1) * stride >= n + low:
        raise ShapeError(
            f"{name}: padding {padding} for a window of {kernel}; at most half of it, "
            "or a window could lie in the padding alone"
        )
    return low, high


def _pool_places(name: str, x: Spec, attrs: dict[str, Any]) -> dict[str, Any]:
    """kernel, stride, padding and dilation of a pool in canonical form, before any ceil_mode."""
    if len(x.shape) != 4:
        raise ShapeError(f"{name}: input {x.shape}; expected (N, C, H, W)")
    kernel = shapes.pair(attrs["kernel"], "kernel", name)
    stride = kernel if attrs["stride"] is None else attrs["stride"]
    return places2d(name, kernel, attrs | {"kernel": kernel, "stride": stride})


def _reached(name: str, x: Any, at: dict[str, Any]) -> shapes.Padding:
    """The padding of a pool, with what ceil_mode adds behind; raises if no window fits."""
    kernel, stride, padding, dilation = (
        at[setting] for setting in ("kernel", "stride", "padding", "dilation")
    )
    rows, columns = (
        _reach(name, x.shape[2 + i], kernel[i], stride[i], padding[i], dilation[i], at["ceil_mode"])
        for i in (0, 1)
    )
    size = (x.shape[2], x.shape[3])
    shapes.window2d(size, at["kernel"], at["stride"], (rows, columns), at["dilation"], name)
    return rows, columns


def _padded(x: Tensor, padding: shapes.Padding, value: float) -> Tensor:
    return pad(x, widths=((0, 0), (0, 0), *padding), value=value)


# Max


def _prepare_max_pool(name: str) -> Any:
    def prepare(*specs: Spec, **attrs: Any) -> dict[str, Any]:
        at = _pool_places(name, specs[-1], {"ceil_mode": False} | attrs)
        padding = _reached(name, specs[-1], at)
        del at["ceil_mode"]  # kernels needn't know of it: it is padding behind
        return at | {"padding": padding}

    return prepare


def _places(x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Tensor:
    """(N, C, H, W) -> (N, C, kh*kw, OH, OW), with the lowest value around the image."""
    lowest = -math.inf if x.dtype.is_float else x.dtype.min
    u = apply("unfold", _padded(x, padding, lowest), kernel=kernel, stride=stride,
              dilation=dilation)  # fmt: skip
    return u.reshape(*u.shape[:2], math.prod(kernel), *u.shape[4:])


def _max_pool_vjp(g: Tensor, y: Tensor, x: Tensor, **at: Any) -> Tensor:
    return max_pool2d_input_grad(g, x, **at)


@composite(takes="any", vjp=(_max_pool_vjp,), prepare=_prepare_max_pool("max_pool2d"),
           budget=Budget("exact"))  # fmt: skip
def max_pool2d(
    x: Tensor,
    *,
    kernel: shapes.Pair,
    stride: shapes.Pair | None = None,
    padding: shapes.Pair | shapes.Padding = 0,
    dilation: shapes.Pair = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest value of each window.

    x: (N, C, H, W). stride=None means the kernel's size; padding is at most half of it. Returns
    (N, C, OH, OW), OH as in `conv2d`; with ceil_mode rounded up instead of down, so that no pixel
    is left over, but no window starts behind the image. The gradient goes to the first of equal
    maxima, row by row; NaN is larger than everything. Raises `ShapeError` if no window fits.
    """
    return _places(x, kernel, stride, padding, dilation).max(axis=2)


@composite(prepare=_prepare_max_pool("max_pool2d_input_grad"), domain=_two)
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
    return fold(spread.reshape(*g.shape[:2], *kernel, *g.shape[2:]), size=x.shape[2:],  # type: ignore[arg-type]  # two axes
                stride=stride, padding=padding, dilation=dilation)  # fmt: skip


# Average


def _prepare_avg_pool(x: Spec, **attrs: Any) -> dict[str, Any]:
    at = _pool_places("avg_pool2d", x, attrs | {"dilation": 1})
    same = _reached("avg_pool2d", x, at) == at["padding"]
    at["ceil_mode"] = bool(at["ceil_mode"]) and not same  # said only where it matters
    at["count_include_pad"] = bool(at["count_include_pad"]) or at["padding"] == _NO_PADDING
    del at["dilation"]  # it has none
    return at


def _shares(n: int, at: dict[str, Any], reach: shapes.Padding, i: int) -> npt.NDArray[Any]:
    """How many values each window is the mean of, along axis i: never those of ceil_mode."""
    kernel, (low, high) = at["kernel"][i], at["padding"][i]
    starts = np.arange(0, n + sum(reach[i]) - kernel + 1, at["stride"][i]) - low
    if at["count_include_pad"]:
        return np.asarray(np.minimum(starts + kernel, n + high) - starts)
    return np.asarray(np.minimum(starts + kernel, n) - np.maximum(starts, 0))


@composite(prepare=_prepare_avg_pool)
def avg_pool2d(
    x: Tensor,
    *,
    kernel: shapes.Pair,
    stride: shapes.Pair | None = None,
    padding: shapes.Pair | shapes.Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window.

    x: (N, C, H, W). stride=None means the kernel's size; ceil_mode as in `max_pool2d`. The zeros
    of the padding count, unless count_include_pad says no; those that ceil_mode added never do.
    float16 and bfloat16 are averaged in float32. Returns (N, C, OH, OW).
    """
    at: dict[str, Any] = {
        "kernel": kernel, "stride": stride, "padding": padding, "dilation": (1, 1),
        "ceil_mode": ceil_mode, "count_include_pad": count_include_pad,
    }  # fmt: skip
    reach = _reached("avg_pool2d", x, at)
    wide = x.astype(dtypes.promote(x.dtype, dtypes.float32))
    u = apply("unfold", _padded(wide, reach, 0), kernel=kernel, stride=stride)
    total = u.sum((2, 3))
    if count_include_pad and not ceil_mode:
        return (total / float(math.prod(at["kernel"]))).astype(x.dtype)
    rows, columns = (_shares(x.shape[2 + i], at, reach, i) for i in (0, 1))
    count = tensor(np.outer(rows, columns), dtype=wide.dtype, device=x.device)
    return (total / count).astype(x.dtype)


# Bins: windows of which the number is given, and the size follows


def _bins(n: int, out: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Where `out` bins of n values start and end: bin i is floor(i*n/out) to ceil((i+1)*n/out)."""
    numbers = np.arange(out)
    return numbers * n // out, -((numbers + 1) * -n // out)


def _parted(x: Tensor, axis: int, out: int) -> Tensor:
    """Each bin along an axis of its own, behind that of the bins.

    A bin that is shorter than others has its last value more than once.
    """
    n = x.shape[axis]
    if n % out == 0:
        return x.reshape(*x.shape[:axis], out, n // out, *x.shape[axis + 1 :])
    starts, ends = _bins(n, out)
    places = starts[:, None] + np.arange((ends - starts).max())
    rows = tensor(np.minimum(places, ends[:, None] - 1), dtype=dtypes.int32, device=x.device)
    return take(x, rows, axis=axis)


def _bin_means(x: Tensor, axis: int, out: int) -> Tensor:
    """The means of `out` bins along an axis."""
    n, bins = x.shape[axis], _parted(x, axis, out)
    if n % out == 0:
        return bins.sum(axis + 1) / float(n // out)
    starts, ends = _bins(n, out)
    sizes, width = (ends - starts)[:, None], bins.shape[axis + 1]
    ones = (1,) * (x.ndim - axis - 1)
    inside = tensor((np.arange(width) < sizes).reshape(out, width, *ones), device=x.device)
    count = tensor(sizes.reshape(out, *ones), dtype=x.dtype, device=x.device)
    return where(inside, bins, 0).sum(axis + 1) / count


def _bin_maxima(x: Tensor, axis: int, out: int) -> Tensor:
    """The first of the largest values of `out` bins along an axis."""
    bins = _parted(x, axis, out)
    first = bins.argmax(axis + 1, keepdims=True)
    return take_along_axis(bins, first, axis=axis + 1).squeeze(axis + 1)


def _prepare_adaptive(name: str) -> Any:
    def prepare(x: Spec, *, size: Any) -> dict[str, Any]:
        if len(x.shape) != 4 or 0 in x.shape[2:]:
            raise ShapeError(f"{name}: input {x.shape}; expected (N, C, H, W), H and W at least 1")
        return {"size": shapes.pair(size, "size", name)}

    return prepare


@composite(prepare=_prepare_adaptive("adaptive_avg_pool2d"))
def adaptive_avg_pool2d(x: Tensor, /, size: shapes.Pair) -> Tensor:
    """The means of `size` (OH, OW) bins, each as large as the others or one larger.

    x: (N, C, H, W). Bin i goes from row floor(i*H/OH) to ceil((i+1)*H/OH), so bins overlap where
    OH doesn't divide H; size 1 is the mean of the whole image. float16 and bfloat16 are averaged
    in float32. Returns (N, C, OH, OW). Raises `ShapeError` for an image without pixels.

    >>> import tinyaccel as ta
    >>> ta.adaptive_avg_pool2d(ta.tensor([[[[1.0, 2, 3], [4, 5, 6]]]]), (1, 2))
    tensor([[[[3., 4.]]]])
    """
    rows, columns = size  # type: ignore[misc]  # a pair by now
    wide = x.astype(dtypes.promote(x.dtype, dtypes.float32))
    return _bin_means(_bin_means(wide, 2, rows), 3, columns).astype(x.dtype)


@composite(takes="any", prepare=_prepare_adaptive("adaptive_max_pool2d"), budget=Budget("exact"))
def adaptive_max_pool2d(x: Tensor, /, size: shapes.Pair) -> Tensor:
    """The largest values of `size` (OH, OW) bins, which lie as in `adaptive_avg_pool2d`.

    x: (N, C, H, W). The gradient goes to the first of equal maxima, row by row; NaN is larger than
    everything. Returns (N, C, OH, OW). Raises `ShapeError` for an image without pixels.

    >>> import tinyaccel as ta
    >>> ta.adaptive_max_pool2d(ta.tensor([[[[1.0, 2, 3], [4, 5, 6]]]]), (1, 2))
    tensor([[[[5., 6.]]]])
    """
    rows, columns = size  # type: ignore[misc]  # a pair by now
    return _bin_maxima(_bin_maxima(x, 3, columns), 2, rows)  # first within rows, then among them


# Signals


def _prepare_pool1d(name: str) -> Any:
    def prepare(x: Spec, **attrs: Any) -> dict[str, Any]:
        if len(x.shape) != 3:
            raise ShapeError(f"{name}: input {x.shape}; expected (N, C, L)")
        kernel = single(attrs["kernel"], "kernel", name)
        stride = kernel if attrs["stride"] is None else attrs["stride"]
        at = places1d(name, kernel, attrs | {"kernel": kernel, "stride": stride})
        if "dilation" not in attrs:
            del at["dilation"]
        at["ceil_mode"] = bool(at["ceil_mode"])
        stride, dilation = at["stride"], at.get("dilation", 1)
        sides = _reach(name, x.shape[2], kernel, stride, at["padding"], dilation, at["ceil_mode"])
        flat = ((0, 0), sides)
        shapes.window2d((1, x.shape[2]), (1, kernel), (1, stride), flat, (1, dilation), name)
        return at

    return prepare


@composite(takes="any", prepare=_prepare_pool1d("max_pool1d"), budget=Budget("exact"))
def max_pool1d(
    x: Tensor,
    /,
    *,
    kernel: int,
    stride: int | None = None,
    padding: Ends = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest value of each window of a signal, by the rules of `max_pool2d`.

    x: (N, C, L) -> (N, C, OL).
    """
    assert stride is not None
    at = of_one_row(stride, padding, dilation)
    return max_pool2d(x.expand_dims(2), kernel=(1, kernel), ceil_mode=ceil_mode, **at).squeeze(2)


@composite(prepare=_prepare_pool1d("avg_pool1d"))
def avg_pool1d(
    x: Tensor,
    /,
    *,
    kernel: int,
    stride: int | None = None,
    padding: Ends = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of a signal, by the rules of `avg_pool2d`.

    x: (N, C, L) -> (N, C, OL).
    """
    assert stride is not None
    at = of_one_row(stride, padding, 1)
    del at["dilation"]
    y = avg_pool2d(x.expand_dims(2), kernel=(1, kernel), ceil_mode=ceil_mode,
                   count_include_pad=count_include_pad, **at)  # fmt: skip
    return y.squeeze(2)


def _prepare_adaptive1d(x: Spec, *, size: Any) -> dict[str, Any]:
    name = "adaptive_avg_pool1d"
    if len(x.shape) != 3 or not x.shape[2]:
        raise ShapeError(f"{name}: input {x.shape}; expected (N, C, L), L at least 1")
    return {"size": single(size, "size", name)}


@composite(prepare=_prepare_adaptive1d)
def adaptive_avg_pool1d(x: Tensor, /, size: int) -> Tensor:
    """The means of `size` bins of a signal, by the rules of `adaptive_avg_pool2d`.

    x: (N, C, L) -> (N, C, size).
    """
    wide = x.astype(dtypes.promote(x.dtype, dtypes.float32))
    return _bin_means(wide, 2, size).astype(x.dtype)
