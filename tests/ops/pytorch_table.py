"""What PyTorch calls each op: a function of its tensors that takes our attributes, as given."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from pytorch_windows import WINDOWS, F, Theirs, around, torch

from tinyaccel import dtypes
from tinyaccel.dtypes import DType

# A uint32 of PyTorch's has hardly any op, so its values are held in an int64.
KINDS: dict[DType, Any] = {
    dtypes.bool_: torch.bool, dtypes.int8: torch.int8, dtypes.uint8: torch.uint8,
    dtypes.int32: torch.int32, dtypes.int64: torch.int64, dtypes.uint32: torch.int64,
    dtypes.float16: torch.float16, dtypes.bfloat16: torch.bfloat16,
    dtypes.float32: torch.float32, dtypes.float64: torch.float64,
}  # fmt: skip

NO_EQUIVALENT = {
    "dropout": "PyTorch draws its mask itself; ours is given the random words",
    "random_bits": "PyTorch's generators are Mersenne-Twister and Philox, not Threefry",
    "random_normal": "PyTorch turns no given words into normal numbers",
    "random_integers": "PyTorch turns no given words into integers",
}


# Helpers


def _cast(x: Any, dtype: DType) -> Any:
    """`Tensor.to`; what PyTorch holds in an int64 wraps around as a uint32."""
    y = x.to(KINDS[dtype])
    return y % 2**32 if dtype is dtypes.uint32 else y


def _dims(x: Any, axis: Any) -> tuple[int, ...]:
    """Axes as PyTorch's dims."""
    if axis is None:
        return tuple(range(x.ndim))
    return tuple(axis) if isinstance(axis, Iterable) else (axis,)


def _along(x: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    """x, and what to reduce it along: for no axes a new one, as () means all of them there."""
    dims = _dims(x, axis)
    return (x, dims) if dims else (x.unsqueeze(-1), (-1,))


def _reduced(name: str) -> Theirs:
    def call(x: Any, axis: Any = None, *, keepdims: bool = False, **more: Any) -> Any:
        given, dims = _along(x, axis)
        y = getattr(torch, name)(given, dim=dims, keepdim=keepdims, **more)
        return y.reshape(x.shape) if given is not x else y

    return call


def _one_row(x: Any, axis: Any, keepdims: bool) -> tuple[Any, tuple[int, ...]]:
    """What is reduced as one last axis, for functions that take one; and the result's shape."""
    dims = {d % x.ndim for d in _dims(x, axis)}
    kept = [d for d in range(x.ndim) if d not in dims]
    rows = x.permute((*kept, *sorted(dims)))
    shape = [x.shape[d] for d in kept]
    full = [1 if d in dims else n for d, n in enumerate(x.shape)]
    return rows.reshape(*shape, math.prod(x.shape[d] for d in dims)), (full if keepdims else shape)


def _wrapped(indices: Any, n: int) -> Any:
    """Indices counted from the front, as `gather` and its like want them."""
    return indices.long() % max(n, 1)


def _at(x: Any, axis: int, indices: Any) -> tuple[Any, ...]:
    """The key of some rows of x along an axis, for x[key] and index_put."""
    return (slice(None),) * (axis % x.ndim) + (_wrapped(indices, x.shape[axis]),)


def _put(x: Any, indices: Any, updates: Any, axis: int, *, accumulate: bool) -> Any:
    first = x.movedim(axis, 0)
    over = tuple(range(axis % x.ndim, axis % x.ndim + indices.ndim))
    rows = updates.movedim(over, tuple(range(indices.ndim)))
    at = (_wrapped(indices, x.shape[axis]),)
    return first.index_put(at, rows, accumulate=accumulate).movedim(0, axis)


# Elementwise


def _clip(x: Any, *, low: float | None, high: float | None) -> Any:
    if low is None and high is None:  # it wants one of them
        return torch.clamp(x, max=math.inf) if x.is_floating_point() else x
    return torch.clamp(x, low, high)


def _softplus(x: Any, *, beta: float = 1.0) -> Any:
    """Without a threshold from which on PyTorch takes it for x."""
    return F.softplus(x, beta=beta, threshold=math.inf)


# Reductions and scans


def _prod(x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    rows, shape = _one_row(x, axis, keepdims)
    return torch.prod(rows, -1).reshape(shape)


def _count(x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    rows, shape = _one_row(x, axis, keepdims)
    return torch.count_nonzero(rows, -1).reshape(shape)


def _place(name: str) -> Theirs:
    def call(x: Any, axis: int | None, *, keepdims: bool) -> Any:
        whole = x.to(torch.uint8) if x.dtype is torch.bool else x  # it takes no bools
        return getattr(torch, name)(whole, 0 if axis is None else axis, keepdim=keepdims)

    return call


def _norm(x: Any, *, ord: float, axis: Any, keepdims: bool) -> Any:
    given, dims = _along(x, axis)
    y = torch.linalg.vector_norm(given, ord, dims, keepdim=keepdims)
    return y.reshape(x.shape) if given is not x else y


def _scan(name: str) -> Theirs:
    def call(x: Any, *, axis: int | None, include_initial: bool) -> Any:
        at = 0 if axis is None else axis
        y = getattr(torch, name)(x, at)
        first = torch.full_like(y.sum(at, keepdim=True), int(name == "cumprod")).to(y.dtype)
        return torch.cat([first, y], at) if include_initial else y

    return call


# Movement


def _pad(x: Any, *, widths: Any, value: float) -> Any:
    full = [(*w, 0)[:3] for w in widths]
    if not any(between for *_, between in full):
        return around(x, tuple(w[:2] for w in full), value)
    shape = [
        low + n + between * max(n - 1, 0) + high
        for n, (low, high, between) in zip(x.shape, full, strict=True)
    ]
    key = [
        slice(low, low + (n - 1) * (between + 1) + 1 if n else low, between + 1)
        for n, (low, _, between) in zip(x.shape, full, strict=True)
    ]
    y = torch.full(shape, value, dtype=x.dtype)
    y[tuple(key)] = x
    return y


def _bordered(mode: str) -> Theirs:
    """`F.pad` pads one last axis in this mode, of floats: here it pads the places to take."""

    def call(x: Any, *, widths: Any) -> Any:
        for axis, sides in enumerate(widths):
            if any(sides):
                places = torch.arange(x.shape[axis], dtype=torch.float64)
                places = F.pad(places.reshape(1, 1, -1), list(sides), mode=mode)
                x = x.index_select(axis, places.reshape(-1).long())
        return x

    return call


def _slice(x: Any, *, starts: Any, stops: Any, steps: Any) -> Any:
    return x[tuple(map(slice, starts, stops, steps))]


def _squeeze(x: Any, *, axis: Any) -> Any:
    return x.squeeze() if axis is None else x.squeeze(_dims(x, axis)) if x.ndim else x


def _roll(x: Any, *, shift: Any, axis: Any) -> Any:
    if axis is None or not x.ndim:
        return torch.roll(x, shift)
    shifts, axes = (shift,) if isinstance(shift, int) else shift, _dims(x, axis)
    count = max(len(shifts), len(axes))
    return torch.roll(x, shifts * (count // len(shifts)), axes * (count // len(axes)))


def _repeat(x: Any, *, repeats: Any, axis: int | None) -> Any:
    counts = repeats if isinstance(repeats, int) else torch.tensor(repeats, dtype=torch.int64)
    return torch.repeat_interleave(x, counts, axis)


# Indexing and sorting


def _one_hot(indices: Any, *, num_classes: int, dtype: DType) -> Any:
    found = F.one_hot(_wrapped(indices, num_classes), num_classes)
    return _cast(found, dtype)


def _sort(x: Any, axis: int, descending: bool) -> Any:
    return torch.sort(x, dim=axis, descending=descending, stable=True)


# Products


def _dot(a: Any, b: Any) -> Any:
    if not a.ndim or not b.ndim:
        return a * b
    return torch.tensordot(a, b, ([a.ndim - 1], [max(b.ndim - 2, 0)]))


def _tensordot(a: Any, b: Any, *, axes: Any) -> Any:
    dims = axes if isinstance(axes, int) else [list(_dims(a, given)) for given in axes]
    return torch.tensordot(a, b, dims)


def _vecdot(a: Any, b: Any, *, axis: int) -> Any:
    if a.is_floating_point():
        return torch.linalg.vecdot(a, b, dim=axis)
    return (a * b).sum(axis)  # it takes no integers


# Networks


def _attention(
    q: Any, k: Any, v: Any, mask: Any = None, *, is_causal: bool = False,
    scale: float | None = None,
) -> Any:  # fmt: skip
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=is_causal, scale=scale
        )


def _batch_norm(
    x: Any, mean: Any, var: Any, weight: Any = None, bias: Any = None, *, eps: float = 1e-5
) -> Any:
    return F.batch_norm(x, mean, var, weight, bias, eps=eps)


def _last(name: str) -> Theirs:
    """layer_norm and rms_norm, whose shape comes first in PyTorch."""

    def call(x: Any, *affine: Any, normalized_shape: Any, **more: Any) -> Any:
        shape = _dims(x, normalized_shape)
        return getattr(F, name)(x, shape, *affine, **more)

    return call


def _group_norm(
    x: Any, weight: Any = None, bias: Any = None, *, num_groups: int, eps: float = 1e-5
) -> Any:
    if weight is None and bias is not None:  # its backward pass wants both
        weight = torch.ones_like(bias)
    return F.group_norm(x, num_groups, weight, bias, eps=eps)


def _lstm_gates(gates: Any, c: Any) -> Any:
    """The formulas; `lstm_cell` multiplies by matrices first, where infinity becomes NaN."""
    i, f, new, o = gates.chunk(4, -1)
    kept = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(new)
    return torch.cat([torch.sigmoid(o) * torch.tanh(kept), kept], -1)


def _gru_gates(x: Any, h: Any, state: Any) -> Any:
    (xr, xz, xn), (hr, hz, hn) = x.chunk(3, -1), h.chunk(3, -1)
    new = torch.tanh(xn + torch.sigmoid(xr + hr) * hn)
    return new + torch.sigmoid(xz + hz) * (state - new)


def _logits(x: Any, target: Any, weight: Any = None, pos_weight: Any = None, **more: Any) -> Any:
    return F.binary_cross_entropy_with_logits(x, target, weight, pos_weight=pos_weight, **more)


def _of_classes(theirs: Theirs) -> Theirs:
    """Cross-entropies: PyTorch ignores the label -100 unless told of another."""

    def call(x: Any, target: Any, weight: Any = None, **more: Any) -> Any:
        if more.get("ignore_index", 0) is None:
            del more["ignore_index"]
        target = target if target.is_floating_point() else target.long()
        return theirs(x, target, weight, **more)

    return call


# The table

_SAME = (
    "neg", "abs", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "erf", "relu",
    "add", "sub", "mul", "div", "pow", "maximum", "minimum", "remainder", "floor_divide",
    "not_equal", "less", "less_equal", "bitwise_and", "bitwise_or", "bitwise_xor",
    "bitwise_not", "where", "sign", "square", "sigmoid", "isnan", "isinf", "isfinite",
    "signbit", "copysign", "logical_and", "logical_or", "logical_xor", "logical_not", "floor",
    "ceil", "trunc", "round", "reciprocal", "rsqrt", "exp2", "log2", "log10", "logaddexp",
    "hypot", "atan2", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh",
    "matmul", "inner", "outer", "kron",
)  # fmt: skip
_IN_NETWORKS = (
    "hardtanh", "relu6", "hardsigmoid", "hardswish", "leaky_relu", "elu", "selu", "gelu",
    "silu", "mish", "linear",
)  # fmt: skip

TABLE: dict[str, Theirs] = {
    **{name: getattr(torch, name) for name in _SAME},
    **{name: getattr(F, name) for name in _IN_NETWORKS},
    "equal": torch.eq,
    "shift_left": torch.bitwise_left_shift,
    "shift_right": torch.bitwise_right_shift,
    "astype": lambda x, *, dtype: _cast(x, dtype),
    "clip": _clip,
    "log_sigmoid": F.logsigmoid,
    "softplus": _softplus,
    "softmax": lambda x, *, axis: torch.softmax(x, axis),
    "log_softmax": lambda x, *, axis: torch.log_softmax(x, axis),
    # Reductions
    "sum": _reduced("sum"),
    "max": _reduced("amax"),
    "min": _reduced("amin"),
    "mean": _reduced("mean"),
    "var": _reduced("var"),
    "std": _reduced("std"),
    "any": _reduced("any"),
    "all": _reduced("all"),
    "logsumexp": _reduced("logsumexp"),
    "prod": _prod,
    "count_nonzero": _count,
    "argmax": _place("argmax"),
    "argmin": _place("argmin"),
    "norm": _norm,
    "cumsum": _scan("cumsum"),
    "cumprod": _scan("cumprod"),
    # Movement
    "reshape": lambda x, *, shape: x.reshape(shape),
    "permute_dims": lambda x, *, axes: x.permute(axes),
    "broadcast_to": lambda x, *, shape: torch.broadcast_to(x, shape),
    "flip": lambda x, *, axis: torch.flip(x, _dims(x, axis)),
    "pad": _pad,
    "pad_reflect": _bordered("reflect"),
    "pad_edge": _bordered("replicate"),
    "slice": _slice,
    "concat": lambda *xs, axis: torch.cat(xs, axis),
    "expand_dims": lambda x, *, axis: x.unsqueeze(axis),
    "squeeze": _squeeze,
    "diagonal": lambda x, *, offset: torch.diagonal(x, offset, -2, -1),
    "tril": lambda x, *, k: torch.tril(x, k),
    "triu": lambda x, *, k: torch.triu(x, k),
    "roll": _roll,
    "tile": lambda x, *, repetitions: torch.tile(x, _dims(x, repetitions)),
    "repeat": _repeat,
    "arange": lambda *, start, stop, step, dtype: torch.arange(
        start, stop, step, dtype=KINDS[dtype]
    ),
    # Indexing and sorting
    "take_along_axis": lambda x, i, *, axis: torch.gather(x, axis, _wrapped(i, x.shape[axis])),
    "scatter_add": lambda x, i, u, *, axis: torch.scatter_add(
        x, axis, _wrapped(i, x.shape[axis]), u
    ),
    "take": lambda x, i, *, axis: x[_at(x, axis, i)],
    "index_add": lambda x, i, u, *, axis: _put(x, i, u, axis, accumulate=True),
    "index_set": lambda x, i, u, *, axis: _put(x, i, u, axis, accumulate=False),
    "one_hot": _one_hot,
    "argsort": lambda x, *, axis, descending: _sort(x, axis, descending).indices,
    "sort": lambda x, *, axis, descending: _sort(x, axis, descending).values,
    # Products
    "tensordot": _tensordot,
    "dot": _dot,
    "vecdot": _vecdot,
    "trace": lambda x, *, offset: torch.diagonal(x, offset, -2, -1).sum(-1),
    "einsum": lambda *xs, subscripts: torch.einsum(subscripts, *xs),
    **WINDOWS,
    # Networks
    "scaled_dot_product_attention": _attention,
    "batch_norm": _batch_norm,
    "layer_norm": _last("layer_norm"),
    "rms_norm": _last("rms_norm"),
    "group_norm": _group_norm,
    "lstm_gates": _lstm_gates,
    "gru_gates": _gru_gates,
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "huber": F.huber_loss,
    "smooth_l1": F.smooth_l1_loss,
    "bce": F.binary_cross_entropy,
    "bce_with_logits": _logits,
    "kl_div": F.kl_div,
    "nll": _of_classes(F.nll_loss),
    "cross_entropy": _of_classes(F.cross_entropy),
    "soft_cross_entropy": _of_classes(F.cross_entropy),
}


def as_torch(array: np.ndarray[Any, Any]) -> Any:
    """An array as PyTorch is to have it: floats in float64, integers in their own dtype."""
    dtype = dtypes.as_dtype(array.dtype)
    wide = np.float64 if dtype.is_float else np.int64 if dtype is dtypes.uint32 else array.dtype
    return torch.tensor(array.astype(wide))


def call(
    name: str, tensors: Sequence[Any], attrs: dict[str, Any], *, eps: float | None = None
) -> Any:
    """PyTorch's result; `absent` inputs are None, an eps left to the dtype is the dtype's."""
    given, options = list(tensors), dict(attrs)
    for i in options.pop("absent", ()):
        given.insert(i, None)
    if name == "rms_norm":
        options.setdefault("eps", eps)
    return TABLE[name](*given, **options)
