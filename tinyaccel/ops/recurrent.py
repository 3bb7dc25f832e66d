"""Gates of recurrent networks: what one step does element by element, as one node with its slope.

Spelled in a layer's own code, each gate would be a slice whose gradient is padded back to the size
of all gates, at every step; here the gradients of the gates are put side by side once.
"""

from __future__ import annotations

from typing import Any

from tinyaccel.errors import ShapeError
from tinyaccel.op import Interval, Spec
from tinyaccel.ops.define import composite
from tinyaccel.ops.elementwise import sigmoid, tanh
from tinyaccel.ops.movement import concat
from tinyaccel.tensor import Tensor

_gate = Interval(-8, 8)


def _parts(x: Tensor, count: int) -> list[Tensor]:
    """The last axis in `count` equal parts."""
    n = x.shape[-1] // count
    return [x[..., i * n : (i + 1) * n] for i in range(count)]


def _prepare_lstm(gates: Spec, c: Spec) -> dict[str, Any]:
    if not c.shape or gates.shape != (*c.shape[:-1], 4 * c.shape[-1]):
        raise ShapeError(
            f"lstm_gates: gates {gates.shape} for c {c.shape}; expected (..., 4 H) and (..., H)"
        )
    return {}


def _lstm_vjp(g: Tensor, y: Tensor, gates: Tensor, c: Tensor) -> list[Tensor]:
    gh, gc = _parts(g, 2)
    before_i, before_f, before_g, before_o = _parts(gates, 4)
    i, f, o = sigmoid(before_i), sigmoid(before_f), sigmoid(before_o)
    new = tanh(before_g)
    seen = tanh(_parts(y, 2)[1])
    gc = gc + gh * o * (1 - seen * seen)
    slopes = [
        gc * new * i * (1 - i),
        gc * c * f * (1 - f),
        gc * i * (1 - new * new),
        gh * seen * o * (1 - o),
    ]
    return [concat(slopes, axis=-1), gc * f]


@composite(vjp=_lstm_vjp, prepare=_prepare_lstm, domain=(_gate, Interval()))
def lstm_gates(gates: Tensor, c: Tensor, /) -> Tensor:
    """One step of a long short-term memory, after the matrix products.

    i, f, g, o = the quarters of `gates`
    c' = sigmoid(f) * c + sigmoid(i) * tanh(g);  h' = sigmoid(o) * tanh(c')

    gates: (..., 4 H), c: (..., H). Returns (..., 2 H): h', then c'. Raises `ShapeError` for shapes
    that don't fit. S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", 1997, with the
    forget gate of F. Gers et al., "Learning to Forget", 2000, and PyTorch's order.

    >>> import tinyaccel as ta
    >>> ta.lstm_gates(ta.tensor([100.0, 100.0, 0.0, -100.0]), ta.tensor([3.0]))
    tensor([0., 3.])
    """
    i, f, new, o = _parts(gates, 4)
    kept = sigmoid(f) * c + sigmoid(i) * tanh(new)
    return concat([sigmoid(o) * tanh(kept), kept], axis=-1)


def _prepare_gru(x: Spec, h: Spec, state: Spec) -> dict[str, Any]:
    fits = bool(state.shape) and x.shape == h.shape == (*state.shape[:-1], 3 * state.shape[-1])
    if not fits:
        raise ShapeError(
            f"gru_gates: gates {x.shape} and {h.shape} for state {state.shape}; expected "
            "(..., 3 H) twice, and (..., H)"
        )
    return {}


def _gru_gates(x: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Reset gate, update gate, and what is new."""
    (xr, xz, xn), (hr, hz, hn) = _parts(x, 3), _parts(h, 3)
    r = sigmoid(xr + hr)
    return r, sigmoid(xz + hz), tanh(xn + r * hn)


def _gru_vjp(g: Tensor, y: Tensor, x: Tensor, h: Tensor, state: Tensor) -> list[Tensor]:
    r, z, new = _gru_gates(x, h)
    by_new = g * (1 - z) * (1 - new * new)
    by_z = g * (state - new) * z * (1 - z)
    by_r = by_new * _parts(h, 3)[2] * r * (1 - r)
    by_x = concat([by_r, by_z, by_new], axis=-1)
    by_h = concat([by_r, by_z, by_new * r], axis=-1)
    return [by_x, by_h, g * z]


@composite(vjp=_gru_vjp, prepare=_prepare_gru, domain=(_gate, _gate, Interval()))
def gru_gates(x: Tensor, h: Tensor, state: Tensor, /) -> Tensor:
    """One step of a gated recurrent unit, after the matrix products.

    r = sigmoid(x_r + h_r);  z = sigmoid(x_z + h_z);  n = tanh(x_n + r * h_n)
    state' = n + z * (state - n)

    x, h: (..., 3 H), whose thirds r, z and n come from the input and from the state; state:
    (..., H). Returns (..., H). Raises `ShapeError` for shapes that don't fit. K. Cho et al.,
    arXiv:1406.1078, with the reset after the product, and PyTorch's order.

    >>> import tinyaccel as ta
    >>> ta.gru_gates(ta.tensor([0.0, 100.0, 0.0]), ta.zeros((3,)), ta.tensor([0.5]))
    tensor([0.5])
    """
    _, z, new = _gru_gates(x, h)
    return new + z * (state - new)
