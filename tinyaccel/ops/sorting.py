"""Sorting: in what order the elements along an axis stand, and where in an order a value belongs.

All of it is stable, and the same on every device: equals keep their order, whichever way round;
-0.0 equals 0.0; a NaN counts as larger than any number.
"""

from __future__ import annotations

from typing import Any

from tinyaccel import dtypes, shapes
from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.op import EXACT, Op, Spec, register
from tinyaccel.ops.define import composite
from tinyaccel.ops.elementwise import bitwise_and, bitwise_not, bitwise_or, equal, less, where
from tinyaccel.ops.indexing import take, take_along_axis
from tinyaccel.tensor import Tensor, TensorLike, apply, full, tensor


def _prepare(name: str) -> Any:
    def prepare(
        x: Spec, *, axis: int = -1, descending: bool = False, stable: bool = True
    ) -> dict[str, Any]:
        return {
            "axis": shapes.normalize_axis(axis, len(x.shape), name),
            "descending": bool(descending),
        }

    return prepare


def argsort(
    x: TensorLike, *, axis: int = -1, descending: bool = False, stable: bool = True
) -> Tensor:
    """The int32 indices that sort x along `axis`: x[i] taken in their order rises, or falls.

    x: any shape but 0-d, any dtype. Equals keep their order, also when descending, so `stable`
    is there for the Array API's sake alone. -0.0 equals 0.0; NaN comes last, or first when
    descending. There is no gradient.

    >>> import tinyaccel as ta
    >>> ta.argsort(ta.tensor([2.0, 1.0, 2.0]), descending=True)
    tensor([0, 2, 1], dtype=int32)
    """
    return apply("argsort", x, axis=axis, descending=descending, stable=stable)


register(
    Op(
        "argsort", "indexing",
        lambda x, *, axis, descending: Spec(x.shape, dtypes.int32),
        prepare=_prepare("argsort"),
        doc="the indices that sort along an axis",
    )
)  # fmt: skip


@composite(takes="any", prepare=_prepare("sort"), budget=EXACT)
def sort(x: Tensor, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements along `axis` from the smallest to the largest, or falling.

    x: any shape but 0-d, any dtype; returns its shape and dtype. NaN comes last, or first when
    descending. A gradient goes back to where its element came from.

    >>> import tinyaccel as ta
    >>> ta.sort(ta.tensor([3, 1, 2]))
    tensor([1, 2, 3], dtype=int32)
    """
    return take_along_axis(x, argsort(x, axis=axis, descending=descending), axis=axis)


def topk(x: TensorLike, k: int, *, axis: int = -1, largest: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest (or smallest) elements along `axis` in order, and their int32 indices.

    x: (..., n, ...); both results have k in place of n. Of equals the first come first. Raises
    `ArgumentError` unless k is from 0 to n.

    >>> import tinyaccel as ta
    >>> values, indices = ta.topk(ta.tensor([1.0, 3.0, 2.0]), 2)
    >>> values, indices
    (tensor([3., 2.]), tensor([1, 2], dtype=int32))
    """
    given = x if isinstance(x, Tensor) else tensor(x)
    at = shapes.normalize_axis(axis, given.ndim, "topk")
    if not isinstance(k, int) or isinstance(k, bool) or not 0 <= k <= given.shape[at]:
        raise ArgumentError(
            f"topk: k={k!r} of {given.spec} along axis {at}; expected 0 to {given.shape[at]}"
        )
    order = argsort(given, axis=at, descending=largest)
    # All values in order, and then the first of them: what is sorted is known to be monotone.
    values = take_along_axis(given, order, axis=at)
    first = (slice(None),) * at + (slice(0, k),)
    return values[first], order[first]


def _before(a: Tensor, b: Tensor, *, or_equal: bool) -> Tensor:
    """a < b, or a <= b, in the order of `sort`, where NaN is the largest."""
    if or_equal:
        return bitwise_not(_before(b, a, or_equal=False))
    if not a.dtype.is_float:
        return less(a, b)
    a_is_number, b_is_nan = equal(a, a), bitwise_not(equal(b, b))
    return bitwise_or(less(a, b), bitwise_and(a_is_number, b_is_nan))


def _like(value: Any, other: Tensor) -> Tensor:
    """A number or an array as a tensor beside `other`, whose dtype a number takes."""
    weak = dtypes.with_scalar(other.dtype, value) if dtypes.is_scalar(value) else None
    return tensor(value, dtype=weak, device=other.device)


def searchsorted(ordered: TensorLike, values: TensorLike, *, side: str = "left") -> Tensor:
    """Where each value belongs in a sorted sequence, so that it stays sorted: int32 indices.

    ordered: (n,), rising, NaN at the end; values: any shape, which is the result's; they promote
    to one dtype. side: before the elements that equal the value ("left"), or after them
    ("right"). A binary search, log2(n) steps for all values at once. There is no gradient.

    >>> import tinyaccel as ta
    >>> ta.searchsorted(ta.tensor([1.0, 2.0, 2.0]), ta.tensor([2.0, 5.0]))
    tensor([1, 3], dtype=int32)
    """
    row = ordered if isinstance(ordered, Tensor) else tensor(ordered)
    if row.ndim != 1:
        raise ShapeError(f"searchsorted: sequence {row.spec}; expected one axis, (n,)")
    if side not in ("left", "right"):
        raise ArgumentError(f'searchsorted: side={side!r}; expected "left" or "right"')
    wanted = values if isinstance(values, Tensor) else _like(values, row)
    common = dtypes.promote(row.dtype, wanted.dtype)
    row, wanted = row.detach().astype(common), wanted.detach().astype(common)
    n = row.shape[0]
    # The answer is in [low, high]; each step halves that, and does nothing once they have met.
    low = full(wanted.shape, 0, dtype=dtypes.int32, device=row.device)
    high = full(wanted.shape, n, dtype=dtypes.int32, device=row.device)
    for _ in range(n.bit_length()):
        middle = low + ((high - low) >> 1)
        there = take(row, where(less(middle, n), middle, n - 1), axis=0)
        further = _before(there, wanted, or_equal=side == "right") & less(low, high)
        low, high = where(further, middle + 1, low), where(further, high, middle)
    return low
