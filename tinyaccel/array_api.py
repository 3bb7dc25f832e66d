"""Default kernels for any library that follows the Python Array API standard (2023.12).

`kernels(xp)` returns a kernel by op name, written in nothing but `xp`'s standard functions and
never changing an array in place, so the same lines serve NumPy, CuPy, JAX under trace, and a
backend that nobody here has heard of. They aim at being right and short; a backend replaces the
ones that matter to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from tinyaccel import shapes
from tinyaccel.dtypes import ALL, DType, bfloat16, bool_, float16, float32, int32, int64, uint32
from tinyaccel.errors import DTypeError
from tinyaccel.op import Kernel

Array: TypeAlias = Any  # whatever xp's arrays are
LOW_PRECISION = (float16, bfloat16)


@cache
def native(xp: ModuleType) -> dict[DType, Any]:
    """What `xp` calls each of our dtypes: NumPy's dtypes if its own are those, else its names.

    The standard has no float16 and no bfloat16, so some libraries lack them.
    """
    names = {d: "bool" if d.kind == "bool" else d.name for d in ALL}
    try:
        np.dtype(xp.float32)
    except TypeError:
        return {d: getattr(xp, name) for d, name in names.items() if hasattr(xp, name)}
    return {d: d.numpy for d in ALL}


def _called(xp: ModuleType, dtype: DType) -> Any:
    """What `xp` calls a dtype; `DTypeError` if it has none such."""
    own = native(xp)
    if dtype not in own:
        raise DTypeError(
            f"{dtype}: {xp.__name__} has no such dtype; use {', '.join(map(str, own))}"
        )
    return own[dtype]


def _low(xp: ModuleType) -> list[Any]:
    return [native(xp)[d] for d in LOW_PRECISION if d in native(xp)]


def in_float32(kernel: Kernel, xp: ModuleType) -> Kernel:
    """`kernel` for float16 and bfloat16: computed in float32 and rounded once, at the end."""
    low, single = _low(xp), native(xp)[float32]

    def widened(*arrays: Array, **attrs: Any) -> Array:
        narrow = next(a.dtype for a in arrays if a.dtype in low)
        wide = [xp.astype(a, single) if a.dtype in low else a for a in arrays]
        out = kernel(*wide, **attrs)
        return xp.astype(out, narrow) if out.dtype == single else out

    return widened


def numpy_arrays_out(kernel: Kernel) -> Kernel:
    """`kernel` for NumPy, which hands out scalars where a 0-d array is due, and warns of 0 / 0."""

    def run(*arrays: Array, **attrs: Any) -> Array:
        with np.errstate(all="ignore"):  # IEEE 754 has an answer: inf or NaN
            return np.asarray(kernel(*arrays, **attrs))

    return run


# Threefry. Only operators, so that NumPy arrays, device arrays and Tensors all go through it.

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry2x32(key0: Any, key1: Any, x0: Any, x1: Any) -> tuple[Any, Any]:
    """Threefry-2x32 with 20 rounds: two random uint32 words for the counter (x0, x1).

    All four are uint32 and may be arrays of one shape. J. Salmon et al., "Parallel random
    numbers: as easy as 1, 2, 3", SC 2011.
    """
    keys = (key0, key1, key0 ^ key1 ^ 0x1BD11BDA)
    x0, x1 = x0 + keys[0], x1 + keys[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = ((x1 << rotation) | (x1 >> (32 - rotation))) ^ x0
        x0 = x0 + keys[(group + 1) % 3]
        x1 = x1 + keys[(group + 2) % 3] + (group + 1)
    return x0, x1


def pad_axis(
    xp: ModuleType, x: Array, axis: int, widths: tuple[int, int, int], value: Any
) -> Array:
    """`x` with `low` values before, `high` after, and `interior` between neighbours on an axis."""
    low, high, interior = widths

    def fill(shape: shapes.Shape, count: int, at: int) -> Array:
        return xp.full((*shape[:at], count, *shape[at + 1 :]), value, dtype=x.dtype)

    n = x.shape[axis]
    if interior and n > 1:
        spread = xp.expand_dims(x, axis=axis + 1)
        spread = xp.concat([spread, fill(spread.shape, interior, axis + 1)], axis=axis + 1)
        x = xp.reshape(spread, (*x.shape[:axis], n * (interior + 1), *x.shape[axis + 1 :]))
        x = x[(slice(None),) * axis + (slice(0, n * (interior + 1) - interior), ...)]
    parts = [fill(x.shape, low, axis)] * bool(low) + [x] + [fill(x.shape, high, axis)] * bool(high)
    return xp.concat(parts, axis=axis) if len(parts) > 1 else x


def window_slices(
    kernel: tuple[int, int],
    out: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> list[tuple[slice, slice]]:
    """For each place in a window, row by row, the slices of all pixels that fall on it."""
    return [
        tuple(  # type: ignore[misc]  # mypy can't count the two axes
            slice(i * d, i * d + s * (o - 1) + 1, s)
            for i, o, s, d in zip(place, out, stride, dilation, strict=True)
        )
        for place in product(range(kernel[0]), range(kernel[1]))
    ]


@cache
def kernels(xp: ModuleType) -> dict[str, Kernel]:
    """The default kernels over the array namespace `xp`, by op name."""
    low, own = _low(xp), native(xp)

    def cast(x: Array, dtype: DType) -> Array:
        """float to int saturates and NaN becomes 0; int to int wraps; to bool means != 0."""
        wanted = _called(xp, dtype)
        if x.dtype == wanted:
            return x
        if dtype.kind == "bool":
            return x != 0
        if x.dtype in low:
            x = xp.astype(x, own[float32])
        if not (dtype.is_integer and xp.isdtype(x.dtype, "real floating")):
            return xp.astype(x, wanted)
        # The limits as floats of x's own dtype: 2**31 is exact in each of them, 2**31 - 1 isn't.
        over = x >= float(dtype.max + 1)
        under = x < float(dtype.min)
        inside = xp.astype(xp.where(over | under | xp.isnan(x), xp.zeros_like(x), x), wanted)
        whole = xp.full_like(inside, dtype.max)
        return xp.where(over, whole, xp.where(under, xp.full_like(inside, dtype.min), inside))

    def ordered(kernel: Callable[..., Array]) -> Kernel:
        """The standard puts numbers alone in order; False and True are ordered as 0 and 1."""

        def run(*arrays: Array, **attrs: Any) -> Array:
            if arrays[0].dtype != own[bool_]:
                return kernel(*arrays, **attrs)
            out = kernel(*(xp.astype(a, xp.uint8) for a in arrays), **attrs)
            return out != 0 if out.dtype == xp.uint8 else out

        return run

    def remainder(a: Array, b: Array) -> Array:
        """Python's %: the sign of b. Integers modulo 0 give 0, floats NaN."""
        if xp.isdtype(a.dtype, "real floating"):
            return xp.remainder(a, b)
        zero = b == 0
        return xp.where(zero, xp.zeros_like(a), xp.remainder(a, xp.where(zero, b + 1, b)))

    def floor_divide(a: Array, b: Array) -> Array:
        """Python's //. Integers over 0 give 0."""
        if xp.isdtype(a.dtype, "real floating"):
            return xp.floor_divide(a, b)
        zero = b == 0
        return xp.where(zero, xp.zeros_like(a), xp.floor_divide(a, xp.where(zero, b + 1, b)))

    def floor(x: Array) -> Array:
        return xp.floor(x) if xp.isdtype(x.dtype, "real floating") else x

    def power(a: Array, b: Array) -> Array:
        """a**b; of integers, only 1 and -1 have a whole power below 0, and the rest give 0."""
        if not xp.isdtype(a.dtype, "integral"):
            return xp.pow(a, b)
        base = xp.where((b < 0) & (xp.abs(a) != 1), xp.zeros_like(a), a)
        # All that a power of -1, 0 or 1 depends on is whether it is odd.
        return xp.pow(base, xp.where(b < 0, 2 - (b & 1), b))

    def total(x: Array, *, axis: shapes.Shape, keepdims: bool) -> Array:
        """In about sqrt(k) blocks of sqrt(k) terms: so the error grows with sqrt(k), not with k."""
        k = math.prod(x.shape[a] for a in axis)
        if k < 64 or not xp.isdtype(x.dtype, "real floating"):
            return xp.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype)
        kept = tuple(a for a in range(x.ndim) if a not in axis)
        rest = math.prod(x.shape[a] for a in kept)
        rows = xp.reshape(xp.permute_dims(x, axis + kept), (k, rest))
        block = math.isqrt(k)
        whole = k // block * block
        blocks = xp.sum(xp.reshape(rows[:whole, :], (whole // block, block, rest)), axis=1)
        out = xp.sum(blocks, axis=0) + xp.sum(rows[whole:, :], axis=0)
        return xp.reshape(out, shapes.reduce(x.shape, axis, keepdims))

    def argmax(x: Array, *, axis: int, keepdims: bool) -> Array:
        return xp.astype(xp.argmax(x, axis=axis, keepdims=keepdims), own[int32])

    def pad(x: Array, *, widths: Sequence[tuple[int, int, int]], value: Any) -> Array:
        for axis, width in enumerate(widths):
            x = pad_axis(xp, x, axis, width, value)
        return x

    def slice_(x: Array, *, starts: Any, stops: Any, steps: Any) -> Array:
        return x[tuple(map(slice, starts, stops, steps))]

    def argsort(x: Array, *, axis: int, descending: bool) -> Array:
        """Libraries agree on NaN at the end of a rising order only, so a falling one is turned."""
        wide = xp.astype(x, own[float32]) if x.dtype in low else x
        if descending:
            wide = xp.flip(wide, axis=axis)
        # The standard's argsort is stable unless told otherwise, and NumPy's if told so.
        order = xp.argsort(wide, axis=axis, **({"stable": True} if xp is np else {}))
        if descending:  # equals come back in their old order: turned round twice
            order = x.shape[axis] - 1 - xp.flip(order, axis=axis)
        return xp.astype(order, own[int32])

    def from_front(indices: Array, n: int) -> tuple[Array, Array]:
        """Indices counted from the front, 0 for those out of range; and which those are."""
        index = xp.astype(indices, own[int64])
        index = xp.where(index < 0, index + n, index)
        outside = (index < 0) | (index >= n)
        return xp.where(outside, xp.zeros_like(index), index), outside

    def nothing(shape: shapes.Shape, like: Array) -> Array:
        is_float = like.dtype in low or xp.isdtype(like.dtype, "real floating")
        return xp.full(shape, math.nan if is_float else 0, dtype=like.dtype)

    def take_along_axis(x: Array, indices: Array, *, axis: int) -> Array:
        """NaN, or 0 of a dtype without NaN, where an index is out of range."""
        if not x.shape[axis]:
            return nothing(indices.shape, x)
        index, outside = from_front(indices, x.shape[axis])
        return xp.where(outside, nothing((), x), xp.take_along_axis(x, index, axis=axis))

    def take(x: Array, indices: Array, *, axis: int) -> Array:
        """Likewise, by rows."""
        shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
        if not x.shape[axis]:
            return nothing(shape, x)
        index, outside = from_front(indices, x.shape[axis])
        rows = xp.take(x, xp.reshape(index, (-1,)), axis=axis)
        outside = xp.reshape(outside, (*indices.shape, *(1,) * (x.ndim - axis - 1)))
        return xp.where(outside, nothing((), x), xp.reshape(rows, shape))

    def as_rows(x: Array, indices: Array, updates: Array, axis: int) -> tuple[Array, Array]:
        """Indices in one row, x.shape[axis] for those out of range; updates in as many rows."""
        index, outside = from_front(indices, x.shape[axis])
        index = xp.where(outside, xp.full_like(index, x.shape[axis]), index)
        shape = (*x.shape[:axis], math.prod(indices.shape), *x.shape[axis + 1 :])
        return xp.reshape(index, (-1,)), xp.reshape(updates, shape)

    def index_add(x: Array, indices: Array, updates: Array, *, axis: int) -> Array:
        """As `scatter_add`: a comparison with every place."""
        index, rows = as_rows(x, indices, updates, axis)
        hit = xp.expand_dims(index, axis=-1) == xp.arange(x.shape[axis], dtype=index.dtype)
        rows = xp.expand_dims(xp.moveaxis(rows, axis, -1), axis=-1)
        added = xp.sum(xp.where(hit, rows, xp.zeros_like(rows)), axis=-2, dtype=x.dtype)
        return x + xp.moveaxis(added, -1, axis)

    def index_set(x: Array, indices: Array, updates: Array, *, axis: int) -> Array:
        """In a stable order of the indices, the last one of a place is the one that stays."""
        index, rows = as_rows(x, indices, updates, axis)
        if not math.prod(index.shape) or not x.shape[axis]:
            return x
        order = argsort(index, axis=0, descending=False)
        ordered = xp.take(index, order, axis=0)
        places = xp.arange(x.shape[axis], dtype=index.dtype)
        last = xp.astype(xp.searchsorted(ordered, places, side="right"), own[int64]) - 1
        last = xp.where(last < 0, xp.zeros_like(last), last)
        named = xp.take(ordered, last, axis=0) == places
        chosen = xp.take(rows, xp.take(order, last, axis=0), axis=axis)
        return xp.where(xp.reshape(named, (-1, *(1,) * (x.ndim - axis - 1))), chosen, x)

    def scatter_add(x: Array, indices: Array, updates: Array, *, axis: int) -> Array:
        """A comparison with every place: quadratic, but no in-place write and one result."""
        last = [xp.moveaxis(a, axis, -1) for a in (x, indices, updates)]
        n = x.shape[axis]
        index = xp.where(last[1] < 0, last[1] + n, last[1])
        places = xp.arange(n, dtype=index.dtype)
        hit = xp.expand_dims(index, axis=-1) == places
        added = xp.where(hit, xp.expand_dims(last[2], axis=-1), xp.zeros((), dtype=x.dtype))
        out = last[0] + xp.sum(added, axis=-2, dtype=x.dtype)
        return xp.moveaxis(out, -1, axis)

    def matmul(a: Array, b: Array, *, precision: str) -> Array:
        return xp.matmul(a, b)

    def unfold(x: Array, *, kernel: Any, stride: Any, dilation: Any) -> Array:
        none = ((0, 0), (0, 0))
        out = shapes.window2d(x.shape[2:], kernel, stride, none, dilation, "unfold")
        places = [x[:, :, r, c] for r, c in window_slices(kernel, out, stride, dilation)]
        return xp.reshape(xp.stack(places, axis=2), (*x.shape[:2], *kernel, *out))

    def fold(u: Array, *, size: Any, stride: Any, dilation: Any) -> Array:
        kernel, out = u.shape[2:4], u.shape[4:6]
        result = xp.zeros((*u.shape[:2], *size), dtype=u.dtype)
        for (i, j), (rows, columns) in zip(
            product(range(kernel[0]), range(kernel[1])),
            window_slices(kernel, out, stride, dilation),
            strict=True,
        ):
            part = u[:, :, i, j, ...]
            for axis, (s, n) in enumerate(zip((rows, columns), size, strict=True), start=2):
                part = pad_axis(xp, part, axis, (s.start, n - s.stop, s.step - 1), 0)
            result = result + part
        return result

    def spatial_pad(x: Array, padding: shapes.Padding) -> Array:
        return pad(x, widths=((0, 0, 0), (0, 0, 0), *((p[0], p[1], 0) for p in padding)), value=0)

    def columns(x: Array, kernel: Any, groups: int, at: Any) -> tuple[Array, Any]:
        """The windows of `x` as matrices (N, groups, C/groups*kh*kw, OH*OW), and (OH, OW)."""
        u = unfold(spatial_pad(x, at["padding"]), kernel=kernel, stride=at["stride"],
                   dilation=at["dilation"])  # fmt: skip
        depth = x.shape[1] // groups * math.prod(kernel)
        return xp.reshape(u, (x.shape[0], groups, depth, math.prod(u.shape[4:]))), u.shape[4:]

    def conv2d(x: Array, weight: Array, *, groups: int, precision: str, **at: Any) -> Array:
        cols, out = columns(x, weight.shape[2:], groups, at)
        k = weight.shape[0]
        w = xp.reshape(weight, (groups, k // groups, cols.shape[2]))
        return xp.reshape(xp.matmul(w, cols), (x.shape[0], k, *out))

    def conv2d_weight_grad(
        g: Array, x: Array, *, kernel: Any, groups: int, precision: str, **at: Any
    ) -> Array:
        cols, _ = columns(x, kernel, groups, at)
        n, k = g.shape[:2]
        rows = xp.reshape(g, (n, groups, k // groups, math.prod(g.shape[2:])))
        # One product over batch and pixels at once: (groups, K/groups, N*P) @ (groups, N*P, D).
        depth = cols.shape[2]
        rows = xp.reshape(xp.permute_dims(rows, (1, 2, 0, 3)), (groups, k // groups, -1))
        cols = xp.reshape(xp.permute_dims(cols, (1, 0, 3, 2)), (groups, -1, depth))
        return xp.reshape(xp.matmul(rows, cols), (k, x.shape[1] // groups, *kernel))

    def conv2d_input_grad(
        g: Array, weight: Array, *, size: Any, groups: int, precision: str, **at: Any
    ) -> Array:
        n, k = g.shape[:2]
        c, kernel = weight.shape[1] * groups, weight.shape[2:]
        w = xp.reshape(weight, (groups, k // groups, weight.shape[1] * math.prod(kernel)))
        rows = xp.reshape(g, (n, groups, k // groups, math.prod(g.shape[2:])))
        cols = xp.matmul(xp.permute_dims(w, (0, 2, 1)), rows)
        u = xp.reshape(cols, (n, c, *kernel, *g.shape[2:]))
        (top, bottom), (left, right) = at["padding"]
        padded = (size[0] + top + bottom, size[1] + left + right)
        out = fold(u, size=padded, stride=at["stride"], dilation=at["dilation"])
        return out[:, :, top : top + size[0], left : left + size[1]]

    def random_bits(state: Array, *, shape: shapes.Shape) -> Array:
        n = math.prod(shape)
        counter = xp.arange((n + 1) // 2, dtype=own[uint32])
        words = threefry2x32(state[0], state[1], counter, xp.zeros_like(counter) + state[2])
        return xp.reshape(xp.reshape(xp.stack(words, axis=-1), (-1,))[:n], shape)

    same: tuple[str, ...] = (
        "abs", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "atan2",
        "maximum", "minimum", "equal", "less", "less_equal", "where",
        "bitwise_and", "bitwise_or", "bitwise_xor", "max", "flip",
    )  # fmt: skip
    named: dict[str, Callable[..., Array]] = {n: getattr(xp, n) for n in same if hasattr(xp, n)}
    for name in ("maximum", "minimum", "less", "less_equal", "max"):
        named[name] = ordered(named[name])
    return named | {
        "neg": xp.negative,
        "relu": lambda x: xp.maximum(x, xp.zeros((), dtype=x.dtype)),
        "add": xp.add,
        "sub": xp.subtract,
        "mul": xp.multiply,
        "div": xp.divide,
        "pow": power,
        "remainder": remainder,
        "floor_divide": floor_divide,
        "floor": floor,
        "shift_left": xp.bitwise_left_shift,
        "shift_right": xp.bitwise_right_shift,
        "astype": lambda x, *, dtype: cast(x, dtype),
        "sum": total,
        "argmax": ordered(argmax),
        "reshape": lambda x, *, shape: xp.reshape(x, shape),
        "permute_dims": lambda x, *, axes: xp.permute_dims(x, axes),
        "broadcast_to": lambda x, *, shape: xp.broadcast_to(x, shape),
        "pad": pad,
        "slice": slice_,
        "concat": lambda *xs, axis: xp.concat(xs, axis=axis),
        **({"take_along_axis": take_along_axis} if hasattr(xp, "take_along_axis") else {}),
        "scatter_add": scatter_add,
        "take": take,
        "index_add": index_add,
        "index_set": index_set,
        "argsort": ordered(argsort),
        "matmul": matmul,
        "unfold": unfold,
        "fold": fold,
        "conv2d": conv2d,
        "conv2d_weight_grad": conv2d_weight_grad,
        "conv2d_input_grad": conv2d_input_grad,
        "arange": lambda *, start, stop, step, dtype: xp.arange(
            start, stop, step, dtype=_called(xp, dtype)
        ),
        "random_bits": random_bits,
    }
