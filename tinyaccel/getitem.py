"""Reading `x[index]`, and `x.at[index]`: x with something else there. Every index that NumPy takes.

An index comes to four steps (`indices.parse_index`): a slice, a flip, a reshape, and a permutation
that brings the axes side by side which arrays pick from. Those are merged into one axis, and the
arrays into one index along it. What is put somewhere goes the same way back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel import dtypes, shapes
from tinyaccel.errors import DeviceError, DTypeError, IndexRangeError, ShapeError, TinyaccelError
from tinyaccel.host import HostValues
from tinyaccel.indices import IndexPlan, Part, Picker, parse_index
from tinyaccel.trace import refuse

if TYPE_CHECKING:
    from tinyaccel.tensor import Tensor, TensorLike

Host: TypeAlias = npt.NDArray[Any]
Picking: TypeAlias = "Tensor | Host"  # integers or bools among the indices


class Indexing(HostValues):
    """What of a tensor has to do with its elements and their places."""

    __slots__ = ()

    def __getitem__(self, index: object) -> Tensor:
        """The elements at `index`: integers, slices, None, ..., arrays of integers or bools.

        Raises `IndexRangeError` for an index outside its axis; what is picked by a tensor of
        indices on a device that can't raise is NaN (integers 0) there.
        """
        parts, arrays = _read(self, index, "getitem")
        plan = parse_index(self.shape, parts)
        part = _view(self, plan)
        if not arrays:
            return part
        places = _places(part, plan, arrays, "getitem")
        return self._apply("take", _merged(part, plan), places, axis=plan.at)

    @property
    def at(self) -> At:
        """`x.at[index].set(values)` and `.add(values)`: x with other values at an index.

        x itself stays as it is. An index is whatever `x[index]` takes.
        """
        return At(self)

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("len: a 0-d tensor has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __setitem__(self, index: object, value: object) -> None:
        raise TinyaccelError(
            "tensors are immutable: build a new one with where(), or use x.at[i].set(y) or assign"
        )


class At:
    """Where in a tensor: `x.at[index]`."""

    __slots__ = ("_x",)

    def __init__(self, x: Indexing) -> None:
        self._x = x

    def __getitem__(self, index: object) -> Place:
        return Place(self._x, index)


class Place:
    """The places in a tensor that an index names, for something to be put there."""

    __slots__ = ("_index", "_x")

    def __init__(self, x: Indexing, index: object) -> None:
        self._x = x
        self._index = index

    def set(self, values: TensorLike) -> Tensor:
        """x with `values` at these places, which broadcast to the shape of `x[index]`.

        Of several values for one place the last one stays, on every device. A gradient goes to
        the values that stay, and to what of x does. Raises `DTypeError` if x's dtype can't hold
        the values, `TraceError` within jit for a mask whose values don't broadcast.

        >>> import tinyaccel as ta
        >>> ta.zeros(3).at[[0, 2]].set(5.0)
        tensor([5., 0., 5.])
        """
        return _put(self._x, self._index, values, adding=False)

    def add(self, values: TensorLike) -> Tensor:
        """x with `values` added at these places, to one place as often as the index names it."""
        return _put(self._x, self._index, values, adding=True)


# Reading an index


def _read(x: Indexing, index: object, op: str) -> tuple[list[Part], list[Picking]]:
    """The parts of an index, its arrays as `Picker`s; and those arrays."""
    parts: list[Part] = []
    arrays: list[Picking] = []
    for part in index if isinstance(index, tuple) else (index,):
        array = _array(part)
        if array is None:
            parts.append(part)
            continue
        if isinstance(array, HostValues) and array.device is not x.device:
            raise DeviceError(
                f"{op}: tensors on {x.device} and {array.device}; move one with .to(device)"
            )
        kind = dtypes.as_dtype(array.dtype)
        if kind.is_float:
            raise DTypeError(
                f"{op}: an index of {kind}{list(array.shape)}; expected integers or bools; "
                "convert with astype"
            )
        parts.append(Picker(array.shape, kind is dtypes.bool_))
        arrays.append(array)
    return parts, arrays


def _array(part: Any) -> Picking | None:
    """An array of indices as it came, a list as one; None for what picks one place or a slice."""
    if isinstance(part, HostValues):
        return part  # type: ignore[return-value]  # a Tensor is the only kind
    if isinstance(part, list | tuple):
        array = np.asarray(part)
        return array if array.size else array.astype(np.int32)
    if isinstance(part, np.ndarray) and (part.ndim or part.dtype == np.bool_):
        return part
    return None


def _view(x: Indexing, plan: IndexPlan) -> Tensor:
    """The part of x that a plan leaves to be picked from, its picked axes side by side."""
    out: Any = x
    if plan.moves:
        out = x._apply("slice", out, starts=plan.starts, stops=plan.stops, steps=plan.steps)
    if plan.flipped:
        out = x._apply("flip", out, axis=plan.flipped)
    if out.shape != plan.shape:
        out = x._apply("reshape", out, shape=plan.shape)
    if list(plan.order) != sorted(plan.order):
        out = x._apply("permute_dims", out, axes=plan.order)
    return out  # type: ignore[no-any-return]  # x is a Tensor


def _around(part: Tensor, plan: IndexPlan) -> tuple[shapes.Shape, shapes.Shape, shapes.Shape]:
    """The sizes of the axes before those that are picked from, of those, and after."""
    end = plan.at + plan.picked
    return part.shape[: plan.at], part.shape[plan.at : end], part.shape[end:]


def _merged(part: Tensor, plan: IndexPlan) -> Tensor:
    if plan.picked == 1:
        return part
    before, picked, after = _around(part, plan)
    return part.reshape((*before, shapes.size(picked), *after))


# Arrays of indices


def _places(part: Tensor, plan: IndexPlan, arrays: Sequence[Picking], op: str) -> Picking:
    """One index along the merged axis for all the arrays together.

    An index out of range on one axis must not come to be another place: known ones are checked
    here, the others looked up in a list of the axis's places, counted from 1, so that a device
    that can't raise finds 0.
    """
    sizes = _around(part, plan)[1]
    each: list[Picking] = []
    for array in arrays:
        each += _as_integers(array)
    shapes.broadcast(op, *(index.shape for index in each))
    axes = plan.order[plan.at : plan.at + plan.picked]
    each = [
        _checked(index, n, axis, op) if isinstance(index, np.ndarray) else index
        for index, n, axis in zip(each, sizes, axes, strict=True)
    ]
    total = shapes.size(sizes)
    kind = dtypes.int32 if total <= dtypes.int32.max else dtypes.int64
    if len(each) == 1 and not isinstance(each[0], np.ndarray):
        return each[0]
    known = [index for index in each if isinstance(index, np.ndarray)]
    if len(known) == len(each):
        place = sum(i * step for i, step in zip(known, _strides(sizes), strict=True))
        return np.asarray(place, dtype=kind.numpy)
    linear: Any = 0
    outside: Any = False
    for index, n, step in zip(each, sizes, _strides(sizes), strict=True):
        if isinstance(index, np.ndarray):
            linear = linear + index.astype(kind.numpy) * step
            continue
        count = part._apply("arange", start=1, stop=n + 1, step=1, dtype=kind, device=part.device)
        number = part._apply("take", count, index, axis=0)
        linear = (number - 1) * step + linear
        outside = (number == 0) | outside
    return part._apply("where", outside, total, linear)


def _strides(sizes: shapes.Shape) -> list[int]:
    return [shapes.size(sizes[i + 1 :]) for i in range(len(sizes))]


def _as_integers(array: Picking) -> list[Picking]:
    """Integers as they are; a mask as the places where it is true, one array for each axis."""
    if dtypes.as_dtype(array.dtype) is not dtypes.bool_:
        return [array]
    if not isinstance(array, np.ndarray):
        refuse(
            "indexing by a boolean tensor, whose count is data,",
            "use where(mask, x, 0), or sums of products with the mask; x.at[mask].set(values) "
            "where the values broadcast",
        )
        array = array.numpy()
    return list(np.nonzero(array.reshape(array.shape or (1,))))


def _checked(index: Host, n: int, axis: int, op: str) -> Host:
    """Indices that are known now, counted from the front, or `IndexRangeError`."""
    wrong = index[(index >= n) | (index < -n)]
    if wrong.size:
        raise IndexRangeError(
            f"{op}: index {wrong.flat[0]} is out of range for axis {axis} of {n}; "
            f"expected {-n} to {n - 1}"
        )
    index = index.astype(np.int64)
    return np.where(index < 0, index + n, index)


# Putting values somewhere


def _put(x: Indexing, index: object, values: TensorLike, *, adding: bool) -> Tensor:
    op = "at.add" if adding else "at.set"
    parts, arrays = _read(x, index, op)
    plan = parse_index(x.shape, parts, op)
    given = _values(x, values, op)
    part = _view(x, plan)
    masks = [array for array in arrays if dtypes.as_dtype(array.dtype) is dtypes.bool_]
    under = _spread(given, part, plan) if len(arrays) == len(masks) == 1 else None
    if not arrays:
        under = given
    if under is not None:  # every place at most once, so that the new part can be spelled out
        new = _broadcast(under, part.shape, op)
        new = part + new if adding else new
        if arrays:
            mask = masks[0].reshape((*_around(part, plan)[1], *(1,) * len(_around(part, plan)[2])))
            new = x._apply("where", mask, new, part)
        return _put_back(x, plan, new)
    places = _places(part, plan, arrays, op)
    before, _, after = _around(part, plan)
    updates = _broadcast(given, (*before, *places.shape, *after), op)
    name = "index_add" if adding else "index_set"
    new = x._apply(name, _merged(part, plan), places, updates, axis=plan.at)
    return _put_back(x, plan, new.reshape(part.shape))


def _values(x: Indexing, values: TensorLike, op: str) -> Tensor:
    """`values` as a tensor of x's dtype, which must be able to hold what they are."""
    given: Any = values
    if dtypes.is_scalar(values):
        kind = dtypes.with_scalar(x.dtype, given)
        if kind is x.dtype:
            dtypes.check_scalar(given, kind, op)
            given = np.asarray(given, dtype=kind.numpy)
    elif isinstance(values, HostValues | np.ndarray):
        kind = dtypes.promote(x.dtype, dtypes.as_dtype(values.dtype))
    else:
        raise DTypeError(
            f"{op}: got {type(values).__name__}; expected a tensor, an array or a number"
        )
    if kind is not x.dtype:
        raise DTypeError(
            f"{op}: values of {kind} for a tensor of {x.dtype}; convert one with astype"
        )
    return x._apply("astype", given, dtype=x.dtype, device=x.device)


def _spread(values: Tensor, part: Tensor, plan: IndexPlan) -> Tensor | None:
    """Values for what a mask picks, laid out over all of `part`; None if they differ by place."""
    after = len(_around(part, plan)[2])
    if values.ndim <= after:
        return values
    axis = values.ndim - after - 1  # of the elements that are picked
    if values.shape[axis] != 1:
        return None
    return values.reshape((*values.shape[:axis], *(1,) * plan.picked, *values.shape[axis + 1 :]))


def _broadcast(values: Tensor, shape: shapes.Shape, op: str) -> Tensor:
    if values.shape == shape:
        return values
    if len(values.shape) > len(shape) or shapes.broadcast(op, values.shape, shape) != shape:
        raise ShapeError(f"{op}: values {values.shape} for places {shape}; must broadcast to them")
    return values.broadcast_to(shape)


def _put_back(x: Indexing, plan: IndexPlan, new: Tensor) -> Tensor:
    """x with `new` in place of `_view(x, plan)`."""
    if list(plan.order) != sorted(plan.order):
        new = new.permute_dims([plan.order.index(i) for i in range(len(plan.order))])
    sliced = tuple(map(shapes.slice_size, plan.starts, plan.stops, plan.steps))
    if new.shape != sliced:
        new = new.reshape(sliced)
    if plan.flipped:
        new = x._apply("flip", new, axis=plan.flipped)
    if not plan.moves:
        return new
    widths = [
        (start, n - (start + (kept - 1) * step + 1 if kept else start), step - 1)
        for n, start, step, kept in zip(x.shape, plan.starts, plan.steps, sliced, strict=True)
    ]
    inside = x._apply("astype", np.ones((), np.bool_), dtype=dtypes.bool_, device=x.device)
    inside = x._apply("pad", inside.broadcast_to(sliced), widths=widths, value=False)
    return x._apply("where", inside, x._apply("pad", new, widths=widths, value=0), x)
