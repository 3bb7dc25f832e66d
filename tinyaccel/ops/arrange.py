"""Arrangements spelled in movement: a node each, or several results. Bodies give the gradients."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np

from tinyaccel import shapes
from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.op import EXACT, Spec
from tinyaccel.ops.creation import arange, asarray
from tinyaccel.ops.define import composite
from tinyaccel.ops.elementwise import less_equal, where
from tinyaccel.ops.indexing import take
from tinyaccel.ops.movement import Widths, broadcast_to, concat, each_axis, flip, pad, reshape
from tinyaccel.tensor import Tensor, TensorLike, full, tensor


def _integers(value: object, name: str, op: str) -> shapes.Shape:
    """An integer, or several, as a tuple."""
    try:
        several = value if isinstance(value, Iterable) else (value,)
        return tuple(map(operator.index, several))
    except TypeError:
        raise ArgumentError(f"{op}: {name}={value!r}; expected an integer, or several") from None


def _integer(value: object, name: str, op: str) -> int:
    try:
        return operator.index(value)  # type: ignore[arg-type]  # what it can't take, it refuses
    except TypeError:
        raise ArgumentError(f"{op}: {name}={value!r}; expected an integer") from None


def _part(x: Tensor, axis: int, start: int | None, stop: int | None) -> Tensor:
    """x[..., start:stop, ...] along one axis."""
    return x[(slice(None),) * axis + (slice(start, stop),)]


# Triangles and diagonals of the last two axes


def _matrix(name: str, attr: str) -> Callable[..., dict[str, Any]]:
    def prepare(x: Spec, **attrs: Any) -> dict[str, Any]:
        if len(x.shape) < 2:
            raise ShapeError(f"{name}: {x}; expected (..., n, m), a matrix or a stack of them")
        n, m = x.shape[-2:]
        offset = _integer(attrs[attr], attr, name)
        return {attr: max(-n, min(offset, m))}  # beyond the corners all offsets are alike

    return prepare


@composite(takes="any", prepare=_matrix("diagonal", "offset"), budget=EXACT)
def diagonal(x: Tensor, /, *, offset: int = 0) -> Tensor:
    """The diagonals of the last two axes: y[..., i] = x[..., i, i + offset].

    x: (..., n, m), any dtype. offset: above 0 a diagonal over the main one, below 0 under it; one
    outside the matrix is empty. Returns (..., length). Raises `ShapeError` for fewer than 2 axes.
    The Array API's `linalg.diagonal`; NumPy's takes the first two axes unless told otherwise.

    >>> import tinyaccel as ta
    >>> diagonal(ta.tensor([[1, 2, 3], [4, 5, 6]]), offset=1)
    tensor([2, 6], dtype=int32)
    """
    *stack, n, m = x.shape
    row, column = max(-offset, 0), max(offset, 0)
    k = max(min(n - row, m - column), 0)
    square = x[..., row : row + k, column : column + k]
    # In row-major order the diagonal's elements are k + 1 apart.
    return reshape(square, shape=(*stack, k * k))[..., :: k + 1]


def diag(x: TensorLike, /, *, k: int = 0) -> Tensor:
    """The k-th diagonal of a matrix, or the matrix that has x as its k-th diagonal, else 0.

    x: (n, m), which gives its diagonal as `diagonal` does, or (n,), which gives (n + |k|, n + |k|).
    Raises `ShapeError` for any other number of axes.

    >>> import tinyaccel as ta
    >>> diag(ta.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    x = asarray(x)
    if x.ndim == 2:
        return diagonal(x, offset=k)
    if x.ndim != 1:
        raise ShapeError(f"diag: {x.spec}; expected a vector or a matrix; see diagonal")
    above = _integer(k, "k", "diag")
    square = reshape(pad(x, widths=((0, 0, x.size),)), shape=(x.size, x.size))
    return pad(square, widths=((max(-above, 0), max(above, 0)), (max(above, 0), max(-above, 0))))


def _triangle(x: Tensor, k: int, lower: bool) -> Tensor:
    n, m = x.shape[-2:]
    row = reshape(arange(n, device=x.device), shape=(n, 1)) + k
    column = arange(m, device=x.device)
    inside = less_equal(column, row) if lower else less_equal(row, column)
    return where(inside, x, full((), 0, dtype=x.dtype, device=x.device))


@composite(takes="any", prepare=_matrix("tril", "k"), budget=EXACT)
def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The lower triangles of the last two axes: x[..., i, j] where j <= i + k, elsewhere 0.

    x: (..., n, m), any dtype. What is cut off is 0 even if it was NaN. Raises `ShapeError` for
    fewer than 2 axes.
    """
    return _triangle(x, k, lower=True)


@composite(takes="any", prepare=_matrix("triu", "k"), budget=EXACT)
def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The upper triangles of the last two axes: x[..., i, j] where j >= i + k, elsewhere 0.

    x: (..., n, m), any dtype. What is cut off is 0 even if it was NaN. Raises `ShapeError` for
    fewer than 2 axes.
    """
    return _triangle(x, k, lower=False)


# Turned and repeated


def _prepare_roll(x: Spec, *, shift: int | Sequence[int], axis: shapes.Axes) -> dict[str, Any]:
    shifts = _integers(shift, "shift", "roll")
    if axis is None:
        if len(shifts) != 1:
            raise ArgumentError(f"roll: shift={shift} without axis; give an axis for each shift")
        return {"shift": shifts, "axis": None}
    axes = tuple(
        shapes.normalize_axis(a, len(x.shape), "roll")
        for a in (axis if isinstance(axis, Iterable) else (axis,))
    )
    count = max(len(shifts), len(axes))
    if {len(shifts), len(axes)} - {1, count}:
        raise ArgumentError(f"roll: shift={shift} and axis={axis}; expected as many of each")
    return {
        "shift": shifts * (count if len(shifts) == 1 else 1),
        "axis": axes * (count if len(axes) == 1 else 1),
    }


@composite(takes="any", prepare=_prepare_roll, budget=EXACT)
def roll(x: Tensor, /, shift: int | Sequence[int], *, axis: shapes.Axes = None) -> Tensor:
    """x turned around: y[..., (i + shift) mod n, ...] = x[..., i, ...] along `axis`.

    shift  an integer, or one for each axis; below 0 it turns towards the front
    axis   an axis or several; None turns the elements in row-major order, whatever the shape

    Any dtype; returns x's shape. Shifts of an axis that is named twice add up, as in NumPy. Raises
    `AxisError` for an axis that isn't there, `ArgumentError` where shifts and axes don't pair.

    >>> import tinyaccel as ta
    >>> roll(ta.tensor([1, 2, 3, 4]), 1)
    tensor([4, 1, 2, 3], dtype=int32)
    """
    assert isinstance(shift, tuple)
    if axis is None:
        return reshape(_turned(reshape(x, shape=-1), shift[0], 0), shape=x.shape)
    assert isinstance(axis, tuple)
    out = x
    for a in sorted(set(axis)):
        out = _turned(out, sum(s for s, b in zip(shift, axis, strict=True) if b == a), a)
    return out


def _turned(x: Tensor, shift: int, axis: int) -> Tensor:
    n = x.shape[axis]
    cut = -shift % n if n else 0
    if not cut:
        return x
    return concat([_part(x, axis, cut, None), _part(x, axis, None, cut)], axis=axis)


def _prepare_tile(x: Spec, *, repetitions: int | Sequence[int]) -> dict[str, Any]:
    counts = _integers(repetitions, "repetitions", "tile")
    if any(n < 0 for n in counts):
        raise ArgumentError(f"tile: repetitions={repetitions}; expected none below 0")
    return {"repetitions": (1,) * (len(x.shape) - len(counts)) + counts}


@composite(takes="any", prepare=_prepare_tile, budget=EXACT)
def tile(x: Tensor, /, repetitions: int | Sequence[int]) -> Tensor:
    """The whole of x side by side: y[..., i, ...] = x[..., i mod n, ...], n * repetitions long.

    repetitions  how often along each axis, the last ones if there are fewer than axes; more than
                 axes give new axes in front

    Any dtype. Raises `ArgumentError` for a repetition below 0.

    >>> import tinyaccel as ta
    >>> tile(ta.tensor([1, 2]), (2, 2))
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]], dtype=int32)
    """
    assert isinstance(repetitions, tuple)
    shape = (1,) * (len(repetitions) - x.ndim) + x.shape
    pairs = list(zip(repetitions, shape, strict=True))
    single = reshape(x, shape=[size for _, n in pairs for size in (1, n)])
    many = broadcast_to(single, shape=[size for pair in pairs for size in pair])
    return reshape(many, shape=[count * n for count, n in pairs])


def _prepare_repeat(x: Spec, *, repeats: int | Sequence[int], axis: int | None) -> dict[str, Any]:
    counts = _integers(repeats, "repeats", "repeat")
    at = None if axis is None else shapes.normalize_axis(axis, len(x.shape), "repeat")
    n = shapes.size(x.shape) if at is None else x.shape[at]
    if any(count < 0 for count in counts):
        raise ArgumentError(f"repeat: repeats={repeats}; expected none below 0")
    if len(counts) not in (1, n):
        raise ArgumentError(
            f"repeat: {len(counts)} repeats for {n} elements along axis {axis} of {x}; expected "
            "one for all, or one for each"
        )
    return {"repeats": counts, "axis": at}


@composite(takes="any", prepare=_prepare_repeat, budget=EXACT)
def repeat(x: Tensor, /, repeats: int | Sequence[int], *, axis: int | None = None) -> Tensor:
    """Each element of x several times in a row, along `axis`.

    repeats  how often: one integer for all, or one for each element along the axis
    axis     None repeats the elements in row-major order, and returns one axis

    Any dtype. Raises `ArgumentError` for repeats below 0, or as many as there are no elements.

    >>> import tinyaccel as ta
    >>> repeat(ta.tensor([1, 2, 3]), (2, 0, 1))
    tensor([1, 1, 3], dtype=int32)
    """
    assert isinstance(repeats, tuple)
    if axis is None:
        x, axis = reshape(x, shape=-1), 0
    before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    if len(repeats) == 1:
        single = reshape(x, shape=(*before, n, 1, *after))
        many = broadcast_to(single, shape=(*before, n, repeats[0], *after))
        return reshape(many, shape=(*before, n * repeats[0], *after))
    index = np.repeat(np.arange(n, dtype=np.int32), repeats)
    return take(x, tensor(index, device=x.device), axis=axis)


# Borders that repeat what is inside: `pad` with mode "reflect" or "edge"


def _prepare_reflect(x: Spec, *, widths: Widths) -> dict[str, Any]:
    pairs = each_axis(widths, x, "pad_reflect")
    for axis, (n, pair) in enumerate(zip(x.shape, pairs, strict=True)):
        if max(pair) > max(n - 1, 0):
            raise ShapeError(
                f"pad_reflect: {pair} around axis {axis} of {x}; a mirror shows at most "
                f"{max(n - 1, 0)} elements there; pad less, or in several steps"
            )
    return {"widths": pairs}


@composite(takes="any", prepare=_prepare_reflect, budget=EXACT)
def pad_reflect(x: Tensor, /, *, widths: Widths) -> Tensor:
    """`pad` with mode="reflect": mirrored at the first and last elements, c b | a b c | b a."""
    for axis, (low, high) in enumerate(each_axis(widths, x.spec, "pad_reflect")):
        n = x.shape[axis]
        before = flip(_part(x, axis, 1, 1 + low), axis=axis)
        after = flip(_part(x, axis, max(n - 1 - high, 0), n - 1), axis=axis)
        x = _joined([before, x, after], axis)
    return x


def _prepare_edge(x: Spec, *, widths: Widths) -> dict[str, Any]:
    pairs = each_axis(widths, x, "pad_edge")
    for axis, (n, pair) in enumerate(zip(x.shape, pairs, strict=True)):
        if n == 0 and max(pair):
            raise ShapeError(
                f"pad_edge: {pair} around axis {axis} of {x}; it has no edge; pad with a constant"
            )
    return {"widths": pairs}


@composite(takes="any", prepare=_prepare_edge, budget=EXACT)
def pad_edge(x: Tensor, /, *, widths: Widths) -> Tensor:
    """`pad` with mode="edge": the first and last elements repeated, a a | a b c | c c."""
    for axis, (low, high) in enumerate(each_axis(widths, x.spec, "pad_edge")):
        rest = (x.shape[:axis], x.shape[axis + 1 :])
        first, last = _part(x, axis, None, 1), _part(x, axis, -1, None)
        before = broadcast_to(first, shape=(*rest[0], low, *rest[1]))
        after = broadcast_to(last, shape=(*rest[0], high, *rest[1]))
        x = _joined([before, x, after], axis)
    return x


def _joined(parts: Sequence[Tensor], axis: int) -> Tensor:
    """`concat`, without parts that have nothing."""
    some = [part for part in parts if part.shape[axis]]
    return concat(some or parts[:1], axis=axis)


# Several tensors, or several results


def split(
    x: TensorLike, indices_or_sections: int | Sequence[int], /, *, axis: int = 0
) -> tuple[Tensor, ...]:
    """x cut along `axis`, as NumPy cuts: the parts of which `concat` makes x again.

    indices_or_sections  an integer: so many equal parts. Several: the indices before which to cut,
                         so that [2, 3] gives x[:2], x[2:3] and x[3:]

    (PyTorch's `split` takes the sizes of the parts instead: its split(x, 2) of 6 elements has 3
    parts, this one 2.) Raises `ShapeError` where the parts can't be equal.

    >>> import tinyaccel as ta
    >>> split(ta.tensor([1, 2, 3, 4]), [1, 3])
    (tensor([1], dtype=int32), tensor([2, 3], dtype=int32), tensor([4], dtype=int32))
    """
    x = asarray(x)
    at = shapes.normalize_axis(axis, x.ndim, "split")
    n = x.shape[at]
    if isinstance(indices_or_sections, Iterable):
        cuts = _integers(indices_or_sections, "indices", "split")
    else:
        count = _integer(indices_or_sections, "sections", "split")
        if count < 1 or n % count:
            raise ShapeError(
                f"split: {n} elements along axis {at} into {count} equal parts; give a number "
                "that divides them, or the indices where to cut"
            )
        cuts = tuple(n // count * i for i in range(1, count))
    bounds = zip((0, *cuts), (*cuts, None), strict=True)
    return tuple(_part(x, at, start, stop) for start, stop in bounds)


def unstack(x: TensorLike, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices of x along `axis`, without that axis: what `stack` puts together again."""
    x = asarray(x)
    at = shapes.normalize_axis(axis, x.ndim, "unstack")
    return tuple(x[(slice(None),) * at + (i,)] for i in range(x.shape[at]))


def broadcast_arrays(*xs: TensorLike) -> tuple[Tensor, ...]:
    """The tensors, each broadcast to the one shape that fits them all; dtypes stay.

    Raises `ShapeError` where there is none. PyTorch's name is `broadcast_tensors`.
    """
    given = [asarray(x) for x in xs]
    shape = shapes.broadcast("broadcast_arrays", *(x.shape for x in given)) if given else ()
    return tuple(broadcast_to(x, shape=shape) for x in given)


broadcast_tensors = broadcast_arrays  # PyTorch's name


def meshgrid(*xs: TensorLike, indexing: Literal["xy", "ij"] = "xy") -> tuple[Tensor, ...]:
    """The coordinates of a grid: from n vectors, n tensors that each vary along one axis.

    xs        vectors of any dtype, of sizes n_0, n_1, ...; a number counts as one of size 1
    indexing  "ij": tensor i varies along axis i, and the shape is (n_0, n_1, n_2, ...). "xy", as
              pictures and plots have it: the first two axes swapped, (n_1, n_0, n_2, ...)

    Raises `ArgumentError` for any other indexing, `ShapeError` for what is no vector.

    >>> import tinyaccel as ta
    >>> meshgrid(ta.tensor([1, 2]), ta.tensor([3, 4]))[0]
    tensor([[1, 2],
            [1, 2]], dtype=int32)
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f'meshgrid: indexing={indexing!r}; expected "xy" or "ij"')
    given = [asarray(x) for x in xs]
    for x in given:
        if x.ndim > 1:
            raise ShapeError(f"meshgrid: {x.spec}; expected vectors")
    places = list(range(len(given)))
    if indexing == "xy" and len(given) > 1:
        places[:2] = [1, 0]
    shape = tuple(given[i].size for i in places)
    return tuple(
        broadcast_to(reshape(x, shape=[-1 if i == p else 1 for i in places]), shape=shape)
        for p, x in enumerate(given)
    )
