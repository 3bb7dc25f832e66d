"""Clipping: gradients kept within bounds, before an optimizer's step."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tinyaccel.errors import ArgumentError, GradientError
from tinyaccel.ops.creation import zeros
from tinyaccel.ops.elementwise import clip, minimum
from tinyaccel.ops.movement import stack
from tinyaccel.ops.reduce import norm
from tinyaccel.optim.group import cast, computes_in
from tinyaccel.optim.hyper import is_number
from tinyaccel.tape import no_grad
from tinyaccel.tensor import Tensor
from tinyaccel.trace import refuse


def clip_grad_norm_(
    params: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Shrink all gradients by one factor, min(1, max_norm / (norm + 1e-6)); returns the norm.

    The norm is that of all gradients taken as one vector, before they shrink. Each `.grad` is
    replaced; a parameter without one is passed over.

    params      tensors with a `.grad`, all on one device, or a single one
    max_norm    0 or more; a constant of a jitted function
    norm_type   p of the norm (sum |g|**p)**(1/p), inf for the largest |g|
    error_if_nonfinite  raise if the norm is NaN or infinite, which has to be read back for that

    Returns a 0-d tensor, float32 or float64; 0 if there is no gradient. Without
    `error_if_nonfinite` a NaN makes every gradient NaN.

    Raises `ArgumentError` for an impossible number, `GradientError` for a norm that isn't finite,
    if asked to, and `TraceError` if asked to in a traced function.
    R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training Recurrent Neural Networks",
    arXiv:1211.5063.

    >>> import tinyaccel as ta
    >>> p = ta.tensor([0.0, 0.0], requires_grad=True)
    >>> p.grad = ta.tensor([3.0, 4.0])
    >>> ta.optim.clip_grad_norm_([p], max_norm=1.0)
    tensor(5.)
    >>> p.grad.numpy().round(3)
    array([0.6, 0.8], dtype=float32)
    """
    _check("clip_grad_norm_", "max_norm", max_norm)
    if not is_number(norm_type) or math.isnan(norm_type):
        raise ArgumentError(f"clip_grad_norm_: norm_type={norm_type!r}; expected a number or inf")
    if error_if_nonfinite:
        refuse("clip_grad_norm_: error_if_nonfinite", "leave it out, or clip outside jit")
    tensors = _tensors("clip_grad_norm_", params)
    with no_grad():
        grads = [g for p in tensors if (g := p.grad) is not None]
        if not grads:
            return zeros((), device=tensors[0].device if tensors else None)
        total = norm(stack([norm(_wide(g), norm_type) for g in grads]), norm_type)
        if error_if_nonfinite and not math.isfinite(total.item()):
            raise GradientError(
                f"clip_grad_norm_: the norm of the gradients is {total.item()}; "
                "lower the learning rate, or leave out error_if_nonfinite"
            )
        factor = minimum(max_norm / (total + 1e-6), 1)
        for p in tensors:
            if (g := p.grad) is not None:
                p.grad = cast(_wide(g) * factor, g.dtype)
    return total


def clip_grad_value_(params: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Replace each `.grad` by itself, kept between -clip_value and clip_value; NaN stays.

    params      tensors with a `.grad`, or a single one; one without is passed over
    clip_value  0 or more; a constant of a jitted function

    Raises `ArgumentError` for an impossible number.

    >>> import tinyaccel as ta
    >>> p = ta.tensor([0.0, 0.0], requires_grad=True)
    >>> p.grad = ta.tensor([0.25, -4.0])
    >>> ta.optim.clip_grad_value_([p], 0.5)
    >>> p.grad
    tensor([ 0.25, -0.5 ])
    """
    _check("clip_grad_value_", "clip_value", clip_value)
    with no_grad():
        for p in _tensors("clip_grad_value_", params):
            if (g := p.grad) is not None:
                p.grad = clip(g, -clip_value, clip_value)


def _check(owner: str, name: str, value: object) -> None:
    if not is_number(value) or not value >= 0:
        raise ArgumentError(f"{owner}: {name}={value!r}; expected a number, 0 or more")


def _tensors(owner: str, params: Tensor | Iterable[Tensor]) -> list[Tensor]:
    items = [params] if isinstance(params, Tensor) else list(params)
    for i, p in enumerate(items):
        if not isinstance(p, Tensor):
            raise ArgumentError(f"{owner}: parameter {i} is {type(p).__name__}; expected tensors")
    return items


def _wide(g: Tensor) -> Tensor:
    """float16's squares overflow from 256 on."""
    return cast(g, computes_in(g.dtype))
