"""Scans: running sums and products along an axis, in log2(n) steps.

Each step combines every element with the one 1, 2, 4, ... places before it, which by then stands
for all that lie between. W. Hillis, G. Steele, "Data parallel algorithms", CACM 29 (1986).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinyaccel.op import Interval, Spec
from tinyaccel.ops.define import composite
from tinyaccel.ops.elementwise import add, mul
from tinyaccel.ops.movement import flip, pad
from tinyaccel.ops.reduce import one_axis, widened
from tinyaccel.tensor import Tensor


def _prepare(name: str) -> Any:
    def prepare(x: Spec, *, axis: int | None, include_initial: bool) -> dict[str, Any]:
        return {"axis": one_axis(x, axis, name), "include_initial": bool(include_initial)}

    return prepare


def _delayed(x: Tensor, axis: int, places: int, first: int) -> Tensor:
    """x moved `places` back along `axis`; `first` enters in front."""
    widths = [(places, 0) if a == axis else (0, 0) for a in range(x.ndim)]
    return pad(x, widths=widths, value=first)


def _scan(
    combine: Callable[[Tensor, Tensor], Tensor],
    neutral: int,
    x: Tensor,
    axis: int,
    include_initial: bool,
) -> Tensor:
    before, n, places = (slice(None),) * axis, x.shape[axis], 1
    out = widened(x)
    while places < n:
        out = combine(out, _delayed(out[(*before, slice(n - places))], axis, places, neutral))
        places *= 2
    return (_delayed(out, axis, 1, neutral) if include_initial else out).astype(x.dtype)


def _cumsum_vjp(g: Tensor, y: Tensor, x: Tensor, *, axis: int, include_initial: bool) -> Tensor:
    """Each element counts in every sum from its own on."""
    g = g[(*(slice(None),) * axis, slice(1, None))] if include_initial else g
    return flip(cumsum(flip(g, axis=axis), axis=axis), axis=axis)


@composite(takes="sum", prepare=_prepare("cumsum"), vjp=(_cumsum_vjp,))
def cumsum(x: Tensor, /, axis: int | None = None, *, include_initial: bool = False) -> Tensor:
    """y_i = x_0 + ... + x_i along `axis`, which may be left out where x has only one.

    x: any shape but (); bool, int8 and uint8 are summed in 32 bits, and integers wrap around.
    include_initial: put the empty sum, 0, in front; `axis` is then one longer.
    Returns x's shape. Raises `ShapeError` for axis=None on more than one dimension, or on none.

    >>> import tinyaccel as ta
    >>> ta.cumsum(ta.tensor([1.0, 2.0, 3.0]), include_initial=True)
    tensor([0., 1., 3., 6.])
    """
    assert axis is not None
    return _scan(add, 0, x, axis, include_initial)


@composite(takes="sum", prepare=_prepare("cumprod"),
           domain=(Interval(-1.9, 1.9, away_from_zero=0.65),))  # fmt: skip
def cumprod(x: Tensor, /, axis: int | None = None, *, include_initial: bool = False) -> Tensor:
    """y_i = x_0 * ... * x_i along `axis`, as `cumsum` has it; the empty product is 1.

    The gradient is right with any number of zeros, to any order.

    >>> import tinyaccel as ta
    >>> ta.cumprod(ta.tensor([1, 2, 3, 4]))
    tensor([ 1,  2,  6, 24], dtype=int32)
    """
    assert axis is not None
    return _scan(mul, 1, x, axis, include_initial)
