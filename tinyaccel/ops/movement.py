"""Movement: the same values in another arrangement. Each op is the adjoint of another one here."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from tinyaccel import dtypes, shapes
from tinyaccel.dtypes import Scalar
from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.op import Op, Spec, register
from tinyaccel.ops.define import composite
from tinyaccel.tensor import Tensor, TensorLike, apply


def reshape(x: TensorLike, shape: int | Sequence[int]) -> Tensor:
    """The same elements in row-major order, in another shape; one size may be -1."""
    return apply("reshape", x, shape=shape)


register(
    Op(
        "reshape", "movement", lambda x, *, shape: Spec(shape, x.dtype),
        prepare=lambda x, *, shape: {
            "shape": shapes.reshape(x.shape, (shape,) if isinstance(shape, int) else shape)
        },
        vjp=(lambda g, y, x, *, shape: reshape(g, shape=x.shape),),
        doc="another shape",
    )
)  # fmt: skip


def permute_dims(x: TensorLike, axes: Sequence[int]) -> Tensor:
    """The axes in another order: axis i of the result is axis `axes[i]` of x."""
    return apply("permute_dims", x, axes=axes)


def _prepare_permute(x: Spec, *, axes: Sequence[int]) -> dict[str, Any]:
    order = tuple(shapes.normalize_axis(a, len(x.shape), "permute_dims") for a in axes)
    if sorted(order) != list(range(len(x.shape))):
        raise ShapeError(f"permute_dims: axes {tuple(axes)} for {x}; name each axis once")
    return {"axes": order}


def _permute_vjp(g: Tensor, y: Tensor, x: Tensor, *, axes: shapes.Shape) -> Tensor:
    return permute_dims(g, axes=[axes.index(i) for i in range(len(axes))])


register(
    Op(
        "permute_dims", "movement",
        lambda x, *, axes: Spec(tuple(x.shape[a] for a in axes), x.dtype),
        prepare=_prepare_permute, vjp=(_permute_vjp,),
        doc="axes in another order",
    )
)  # fmt: skip


def broadcast_to(x: TensorLike, shape: Sequence[int]) -> Tensor:
    """x repeated along axes of size 1, and along new axes in front, until it has `shape`."""
    return apply("broadcast_to", x, shape=shape)


def _prepare_broadcast(x: Spec, *, shape: Sequence[int]) -> dict[str, Any]:
    wanted = shapes.as_shape(shape, "broadcast_to")
    if shapes.broadcast("broadcast_to", x.shape, wanted) != wanted:
        raise ShapeError(f"broadcast_to: {x.shape} has more than {wanted} can take; use reshape")
    return {"shape": wanted}


register(
    Op(
        "broadcast_to", "movement", lambda x, *, shape: Spec(shape, x.dtype),
        prepare=_prepare_broadcast, broadcasts=True, vjp=(lambda g, y, x, *, shape: g,),
        doc="repeated to a larger shape",
    )
)  # fmt: skip


def flip(x: TensorLike, axis: shapes.Axes = None) -> Tensor:
    """The order reversed along `axis` (None: all axes)."""
    return apply("flip", x, axis=axis)


register(
    Op(
        "flip", "movement", lambda x, *, axis: x,
        prepare=lambda x, *, axis=None: {
            "axis": shapes.normalize_axes(axis, len(x.shape), "flip")
        },
        vjp=(lambda g, y, x, *, axis: flip(g, axis=axis),),
        doc="reversed along axes",
    )
)  # fmt: skip


# pad and slice undo each other: pad may spread the values apart, as slice may step over some.

Widths: TypeAlias = "int | Sequence[int] | Sequence[Sequence[int]]"


def pad(
    x: TensorLike,
    widths: Widths,
    *,
    mode: Literal["constant", "reflect", "edge"] = "constant",
    value: Scalar = 0,
) -> Tensor:
    """x with a border around it.

    widths  (before, after) for each axis, all at least 0; one pair, or one number, holds for all
            axes. With a constant a third number puts values between neighbours, too
    mode    what the border is made of, as in `numpy.pad`: "constant" is `value`, "edge" the
            outermost elements, "reflect" the elements mirrored at the outermost ones

    Any dtype. Raises `ArgumentError` for other widths or modes, `ShapeError` for a reflection that
    is wider than the axis less one, `DTypeError` for a value that x can't hold.

    >>> import tinyaccel as ta
    >>> pad(ta.tensor([1, 2, 3]), 2, mode="reflect")
    tensor([3, 2, 1, 2, 3, 2, 1], dtype=int32)
    """
    if mode == "constant":
        return apply("pad", x, widths=widths, value=value)
    if mode not in ("reflect", "edge"):
        raise ArgumentError(f'pad: mode={mode!r}; expected "constant", "reflect" or "edge"')
    if value != 0:
        raise ArgumentError(f'pad: value={value} with mode="{mode}"; it goes with "constant" alone')
    return apply(f"pad_{mode}", x, widths=widths)


def each_axis(widths: Widths, x: Spec, op: str, *, most: int = 2) -> tuple[tuple[int, ...], ...]:
    """Widths as given to `pad`, as a tuple (before, after) for each axis."""
    ndim = len(x.shape)
    given: Any = (widths, widths) if not isinstance(widths, Iterable) else tuple(widths)
    if len(given) == 2 and not any(isinstance(w, Iterable) for w in given):
        given = (given,) * ndim  # one pair for all
    try:
        full = tuple(tuple(map(operator.index, w)) for w in given)
    except TypeError:
        full = ()
    right = len(full) == len(given) == ndim
    if not right or any(not 2 <= len(w) <= most or min(w) < 0 for w in full):
        raise ArgumentError(
            f"{op}: widths {widths} for {x}; expected (before, after) for each axis, none below 0"
        )
    return full


def _prepare_pad(x: Spec, *, widths: Widths, value: Scalar = 0) -> dict[str, Any]:
    full = tuple((*w, 0)[:3] for w in each_axis(widths, x, "pad", most=3))
    dtypes.check_scalar(value, x.dtype, "pad")
    return {"widths": full, "value": value}


def _infer_pad(x: Spec, *, widths: Any, value: Scalar) -> Spec:
    def grown(n: int, low: int, high: int, between: int) -> int:
        return low + high + n + between * max(n - 1, 0)

    return Spec(tuple(grown(n, *w) for n, w in zip(x.shape, widths, strict=True)), x.dtype)


def _pad_vjp(g: Tensor, y: Tensor, x: Tensor, *, widths: Any, value: Scalar) -> Tensor:
    starts = tuple(low for low, _, _ in widths)
    steps = tuple(between + 1 for _, _, between in widths)
    stops = tuple(
        start + max((n - 1) * step + 1, 0) if n else start
        for start, step, n in zip(starts, steps, x.shape, strict=True)
    )
    return apply("slice", g, starts=starts, stops=stops, steps=steps)


register(
    Op(
        "pad", "movement", _infer_pad, prepare=_prepare_pad, vjp=(_pad_vjp,),
        doc="with a value around it",
    )
)  # fmt: skip


def _prepare_slice(
    x: Spec, *, starts: Sequence[int], stops: Sequence[int], steps: Sequence[int]
) -> dict[str, Any]:
    fits = len(starts) == len(stops) == len(steps) == len(x.shape) and all(
        0 <= a <= max(a, b) <= n and s > 0
        for a, b, s, n in zip(starts, stops, steps, x.shape, strict=False)
    )
    if not fits:
        raise ShapeError(
            f"slice: {tuple(starts)} to {tuple(stops)} by {tuple(steps)} on {x}; expected one "
            "start, stop and positive step for each axis, within the axis"
        )
    return {"starts": tuple(starts), "stops": tuple(stops), "steps": tuple(steps)}


def _infer_slice(x: Spec, *, starts: Any, stops: Any, steps: Any) -> Spec:
    return Spec(tuple(map(shapes.slice_size, starts, stops, steps)), x.dtype)


def _slice_vjp(g: Tensor, y: Tensor, x: Tensor, *, starts: Any, stops: Any, steps: Any) -> Tensor:
    widths = []
    for n, start, step, kept in zip(x.shape, starts, steps, g.shape, strict=True):
        end = start + (kept - 1) * step + 1 if kept else start
        widths.append((start, n - end, step - 1))
    return pad(g, widths=widths)


register(
    Op(
        "slice", "movement", _infer_slice, prepare=_prepare_slice, vjp=(_slice_vjp,),
        doc="every step-th element from start to stop",
    )
)  # fmt: skip


def concat(xs: Sequence[TensorLike], axis: int | None = 0) -> Tensor:
    """The tensors one after another along `axis`; their other sizes are equal, dtypes promote.

    axis=None puts all their elements in a row. Raises `ShapeError` where sizes differ.
    """
    if axis is None:
        xs, axis = [reshape(x, -1) for x in xs], 0
    return apply("concat", *xs, axis=axis)


def _prepare_concat(*xs: Spec, axis: int) -> dict[str, Any]:
    if not xs:
        raise ArgumentError("concat: got no tensors; expected at least one")
    at = shapes.normalize_axis(axis, len(xs[0].shape), "concat")
    around = {(x.shape[:at], x.shape[at + 1 :], len(x.shape)) for x in xs}
    if len(around) > 1:
        listed = ", ".join(str(x.shape) for x in xs)
        raise ShapeError(f"concat: {listed} along axis {at}; the other sizes must be equal")
    return {"axis": at}


def _infer_concat(*xs: Spec, axis: int) -> Spec:
    shape = list(xs[0].shape)
    shape[axis] = sum(x.shape[axis] for x in xs)
    return Spec(tuple(shape), xs[0].dtype)


def _concat_vjp(g: Tensor, y: Tensor, *xs: Tensor, axis: int) -> list[Tensor]:
    result, start = [], 0
    for x in xs:
        stop = start + x.shape[axis]
        result.append(g[(slice(None),) * axis + (slice(start, stop),)])
        start = stop
    return result


register(
    Op(
        "concat", "movement", _infer_concat, prepare=_prepare_concat, vjp=_concat_vjp,
        doc="one after another along an axis",
    )
)  # fmt: skip


@composite(takes="any")
def expand_dims(x: Tensor, /, axis: int = 0) -> Tensor:
    """x with a new axis of size 1, which becomes axis `axis` of the result."""
    at = shapes.normalize_axis(axis, x.ndim + 1, "expand_dims")
    return reshape(x, shape=(*x.shape[:at], 1, *x.shape[at:]))


def _prepare_squeeze(x: Spec, *, axis: shapes.Axes) -> dict[str, Any]:
    axes = shapes.normalize_axes(axis, len(x.shape), "squeeze")
    if axis is None:
        axes = tuple(a for a in axes if x.shape[a] == 1)
    if any(x.shape[a] != 1 for a in axes):
        raise ShapeError(f"squeeze: axis {axis} of {x}; only axes of size 1 can go")
    return {"axis": axes}


@composite(takes="any", prepare=_prepare_squeeze)
def squeeze(x: Tensor, /, axis: shapes.Axes = None) -> Tensor:
    """x without the axes `axis` (None: all) of size 1."""
    assert isinstance(axis, tuple)
    return reshape(x, shape=shapes.reduce(x.shape, axis, keepdims=False))


def stack(xs: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """The tensors, all of one shape, along a new axis, which becomes axis `axis` of the result.

    Their dtypes promote. Raises `ShapeError` where shapes differ, `ArgumentError` for no tensors.
    """
    sizes = {np.shape(x) for x in xs}
    if len(sizes) > 1:
        raise ShapeError(f"stack: shapes {', '.join(map(str, sorted(sizes)))}; must be equal")
    if not sizes:
        raise ArgumentError("stack: got no tensors; expected at least one")
    at = shapes.normalize_axis(axis, len(sizes.pop()) + 1, "stack")
    return concat([apply("expand_dims", x, axis=at) for x in xs], axis=at)


# Axes in another order: all of them `permute_dims`


def transpose(x: TensorLike, axes: Sequence[int] | None = None) -> Tensor:
    """The axes in another order, `permute_dims`; reversed if None is given (NumPy's `transpose`).

    (PyTorch's `transpose` swaps two axes: that is `swapaxes` here.)
    """
    return permute_dims(x, range(np.ndim(x))[::-1] if axes is None else axes)


def matrix_transpose(x: TensorLike) -> Tensor:
    """The last two axes swapped: (..., n, m) to (..., m, n). `ShapeError` for fewer than 2."""
    if np.ndim(x) < 2:
        raise ShapeError(f"matrix_transpose: {np.ndim(x)} axes; expected (..., n, m)")
    return swapaxes(x, -2, -1)


def swapaxes(x: TensorLike, axis1: int, axis2: int) -> Tensor:
    """Two axes swapped, the others where they are."""
    return permute_dims(x, shapes.swapped(np.ndim(x), axis1, axis2))


def moveaxis(
    x: TensorLike, source: int | Sequence[int], destination: int | Sequence[int]
) -> Tensor:
    """Axis source[i] becomes axis destination[i]; the other axes keep their order around them.

    >>> import tinyaccel as ta
    >>> moveaxis(ta.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    ndim = np.ndim(x)
    pairs = []
    for axis in (source, destination):
        several = tuple(axis) if isinstance(axis, Iterable) else (axis,)
        shapes.normalize_axes(several, ndim, "moveaxis")  # none of them twice
        pairs.append([shapes.normalize_axis(a, ndim, "moveaxis") for a in several])
    if len(pairs[0]) != len(pairs[1]):
        raise ArgumentError(f"moveaxis: {source} to {destination}; expected as many of each")
    order = [a for a in range(ndim) if a not in pairs[0]]
    for to, axis in sorted(zip(pairs[1], pairs[0], strict=True)):
        order.insert(to, axis)
    return permute_dims(x, order)


def flatten(x: TensorLike, start: int = 0, end: int = -1) -> Tensor:
    """The axes from `start` to `end`, both included, as one, in row-major order.

    PyTorch's `flatten`: flatten(x, 1) keeps a batch axis. A 0-d tensor becomes one of one element.
    """
    return reshape(x, shapes.flatten(np.shape(x), start, end))


def ravel(x: TensorLike) -> Tensor:
    """All elements in a row, in row-major order (NumPy's name for `flatten(x)`)."""
    return flatten(x)
