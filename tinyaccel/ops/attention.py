"""Attention, spelled in other ops."""

from __future__ import annotations

import math
from typing import Any

from tinyaccel import dtypes, shapes
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError
from tinyaccel.op import Interval, Spec
from tinyaccel.ops.activation import softmax
from tinyaccel.ops.creation import arange
from tinyaccel.ops.define import composite
from tinyaccel.ops.elementwise import equal, less_equal, where
from tinyaccel.ops.reduce import max
from tinyaccel.tensor import Tensor

_NAME = "scaled_dot_product_attention"


def _prepare(
    q: Spec,
    k: Spec,
    v: Spec,
    mask: Spec | None = None,
    *,
    is_causal: bool,
    scale: float | None,
) -> dict[str, Any]:
    fits = min(len(x.shape) for x in (q, k, v)) >= 2
    fits = fits and q.shape[-1] == k.shape[-1] > 0 and k.shape[-2] == v.shape[-2]
    if not fits:
        raise ShapeError(
            f"{_NAME}: q {q.shape}, k {k.shape}, v {v.shape}; expected (..., L, E), (..., S, E) "
            "and (..., S, Ev)"
        )
    if mask is not None:
        if is_causal:
            raise ArgumentError(f"{_NAME}: a mask and is_causal=True; put both into the mask")
        if mask.dtype.is_integer:
            raise DTypeError(f"{_NAME}: mask {mask}; expected bool (True takes part) or a float")
        batch = shapes.broadcast(_NAME, q.shape[:-2], k.shape[:-2])
        scores = (*batch, q.shape[-2], k.shape[-2])
        if shapes.broadcast(_NAME, mask.shape, scores) != scores:
            raise ShapeError(
                f"{_NAME}: mask {mask.shape} for scores {scores}; must broadcast to them"
            )
    factor = 1 / math.sqrt(q.shape[-1]) if scale is None else float(scale)
    return {"is_causal": bool(is_causal), "scale": factor}


def masked_softmax(scores: Tensor) -> Tensor:
    """softmax along the last axis, and 0 for a row of -inf alone, where it would be NaN."""
    nothing = equal(max(scores, -1, keepdims=True), -math.inf)
    return where(nothing, 0, softmax(where(nothing, 0, scores)))


@composite(prepare=_prepare, together=(0, 1, 2),
           domain=(Interval(), Interval(), Interval(), Interval()))  # fmt: skip
def scaled_dot_product_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    *,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """softmax(scale * q @ k.mT + mask) @ v

    q: (..., L, E), k: (..., S, E), v: (..., S, Ev); leading axes broadcast. Returns (..., L, Ev).
    mask: broadcasts to (..., L, S); bool, True where a position takes part, or a float that is
    added. is_causal=True lets row i see the positions 0 to i. scale is 1 / sqrt(E) by default.
    A row that sees nothing gives 0, and passes no gradient on.

    Raises `ShapeError` for shapes that don't fit, `DTypeError` for a mask of integers,
    `ArgumentError` for a mask together with is_causal.
    A. Vaswani et al., "Attention Is All You Need", arXiv:1706.03762, equation 1.

    >>> import tinyaccel as ta
    >>> x = ta.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> scaled_dot_product_attention(x, x, x, is_causal=True)[0]
    tensor([1., 0.])
    """
    assert scale is not None
    scores = (q * scale) @ k.mT
    if not k.shape[-2]:
        return scores @ v
    if is_causal:
        rows, columns = (arange(n, device=q.device) for n in scores.shape[-2:])
        scores = where(less_equal(columns, rows.expand_dims(1)), scores, -math.inf)
    elif mask is None:
        pass
    elif mask.dtype is dtypes.bool_:
        scores = where(mask, scores, -math.inf)
    else:
        scores = scores + (mask if mask.dtype is q.dtype else mask.astype(q.dtype))
    return (softmax(scores) if mask is None else masked_softmax(scores)) @ v
