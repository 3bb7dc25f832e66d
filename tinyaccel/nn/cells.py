"""One step of a recurrent network: the formulas that the layers repeat, and the cells.

A step is bound to its weights once and then applied to one input after the other, so that what
depends on the weights alone isn't computed at each step. Input and state are joined for one matrix
product; to multiply all inputs of a sequence beforehand would need that product cut into steps,
whose gradient costs more than it saves.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple, TypeAlias

from tinyaccel import dtypes
from tinyaccel.backend import Device
from tinyaccel.errors import ArgumentError, ShapeError
from tinyaccel.nn import init
from tinyaccel.nn.module import Module
from tinyaccel.nn.settings import described, positive
from tinyaccel.ops.creation import zeros
from tinyaccel.ops.elementwise import relu, tanh
from tinyaccel.ops.linalg import linear
from tinyaccel.ops.movement import concat
from tinyaccel.ops.recurrent import gru_gates, lstm_gates
from tinyaccel.shapes import Shape
from tinyaccel.tensor import DTypeLike, Tensor

State: TypeAlias = tuple[Tensor, ...]  # (h,), or (h, c)
Step: TypeAlias = Callable[[Tensor, State], State]  # input and state -> the next state
Pair: TypeAlias = tuple[Tensor, Tensor]

_NONLINEARITIES = {"tanh": tanh, "relu": relu}


# Steps


class Weights(NamedTuple):
    """Of one layer in one direction: (gates H, I), (gates H, H), and two (gates H,) or None."""

    ih: Tensor
    hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def joined(self) -> tuple[Tensor, Tensor | None]:
        """Weight and bias that give ih x + hh h as one product with x and h side by side."""
        both = None
        if self.bias_ih is not None and self.bias_hh is not None:
            both = self.bias_ih + self.bias_hh
        return concat([self.ih, self.hh], axis=1), both


def rnn_step(weights: Weights, nonlinearity: str) -> Step:
    """h' = nonlinearity(ih x + bias_ih + hh h + bias_hh)"""
    weight, bias = weights.joined()
    bend = _NONLINEARITIES[nonlinearity]

    def step(x: Tensor, state: State) -> State:
        return (bend(linear(concat([x, *state], axis=-1), weight, bias)),)

    return step


def lstm_step(weights: Weights) -> Step:
    """(h', c') of `lstm_gates`."""
    weight, bias = weights.joined()

    def step(x: Tensor, state: State) -> State:
        h, c = state
        both = lstm_gates(linear(concat([x, h], axis=-1), weight, bias), c)
        n = c.shape[-1]
        return both[..., :n], both[..., n:]

    return step


def gru_step(weights: Weights) -> Step:
    """h' of `gru_gates`; its reset gate stands between the two products, so they stay two."""

    def step(x: Tensor, state: State) -> State:
        (h,) = state
        by_x = linear(x, weights.ih, weights.bias_ih)
        by_h = linear(h, weights.hh, weights.bias_hh)
        return (gru_gates(by_x, by_h, h),)

    return step


# What cells and layers check


def check_nonlinearity(layer: str, nonlinearity: str) -> None:
    if nonlinearity not in _NONLINEARITIES:
        raise ArgumentError(f'{layer}: nonlinearity={nonlinearity!r}; expected "tanh" or "relu"')


def first_state(
    layer: str, given: Sequence[Tensor] | None, count: int, shape: Shape, x: Tensor, weight: Tensor
) -> State:
    """The state that a sequence begins with: what is given, in the right shape, or zeros."""
    if given is None:
        dtype = dtypes.promote(x.dtype, weight.dtype)
        return (zeros(shape, dtype=dtype, device=x.device),) * count
    for name, part in zip(("h", "c"), given, strict=False):
        if part.shape != shape:
            raise ShapeError(
                f"{layer}: {name} of the initial state is {part.shape}; expected {shape} for an "
                f"input of {x.shape}"
            )
    return tuple(given)


def pair_of_states(layer: str, hx: object) -> Pair | None:
    """An LSTM's state as it was given: (h, c)."""
    if hx is None:
        return None
    if not isinstance(hx, tuple | list) or len(hx) != 2:
        raise ArgumentError(f"{layer}: state is a {type(hx).__name__}; expected a pair (h, c)")
    h, c = hx
    return h, c


# Cells


class Cell(Module):
    """What RNNCell, LSTMCell and GRUCell share: weights, and a step bound to them."""

    _gates: ClassVar[int]  # rows of the weights, in units of hidden_size
    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        positive(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = self._gates * hidden_size

        def drawn(*shape: int) -> Tensor:
            return init.fan_in_uniform(shape, hidden_size, dtype=dtype, device=device)

        self.weight_ih, self.weight_hh = drawn(rows, input_size), drawn(rows, hidden_size)
        self.bias_ih, self.bias_hh = (drawn(rows), drawn(rows)) if bias else (None, None)

    @abstractmethod
    def _bind(self, weights: Weights) -> Step: ...

    def _next(self, x: Tensor, given: Sequence[Tensor] | None, count: int) -> State:
        layer = type(self).__name__
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{layer}: input {x.shape}; expected (N, {self.input_size}) or ({self.input_size},)"
            )
        shape = (*x.shape[:-1], self.hidden_size)
        state = first_state(layer, given, count, shape, x, self.weight_ih)
        weights = Weights(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return self._bind(weights)(x, state)

    def extra_repr(self) -> str:
        return described(self, "input_size", "hidden_size", bias=True)


class RNNCell(Cell):
    """h' = tanh(weight_ih x + bias_ih + weight_hh h + bias_hh)

    input_size, hidden_size  I and H, features of the input and of the state
    bias           whether there are biases
    nonlinearity   "tanh" or "relu"
    dtype, device  of the parameters; float32 on the default device

    x: (N, I) or (I,), h: (N, H) or (H,), zeros by default. Returns h' in h's shape. weight_ih:
    (H, I), weight_hh: (H, H), bias_ih and bias_hh: (H,), all drawn from U(-1/sqrt(H), 1/sqrt(H)).
    Raises `ArgumentError` for impossible settings, `ShapeError` for what doesn't fit.
    J. Elman, "Finding Structure in Time", 1990.

    >>> import tinyaccel as ta
    >>> ta.nn.RNNCell(3, 5)(ta.zeros((2, 3))).shape
    (2, 5)
    """

    _gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        check_nonlinearity("RNNCell", nonlinearity)
        super().__init__(input_size, hidden_size, bias, dtype=dtype, device=device)
        self.nonlinearity = nonlinearity

    def _bind(self, weights: Weights) -> Step:
        return rnn_step(weights, self.nonlinearity)

    def forward(self, x: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._next(x, None if hx is None else [hx], 1)[0]


class LSTMCell(Cell):
    """i, f, g, o = the quarters of weight_ih x + bias_ih + weight_hh h + bias_hh

    c' = sigmoid(f) c + sigmoid(i) tanh(g);  h' = sigmoid(o) tanh(c')

    input_size, hidden_size, bias, dtype, device  as in `RNNCell`

    x: (N, I) or (I,); the state is a pair (h, c), each (N, H) or (H,), zeros by default. Returns
    (h', c'). weight_ih: (4 H, I), weight_hh: (4 H, H), bias_ih and bias_hh: (4 H,). Raises
    `ArgumentError` for impossible settings or a state that is no pair, `ShapeError` for what
    doesn't fit. S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", 1997.

    >>> import tinyaccel as ta
    >>> h, c = ta.nn.LSTMCell(3, 5)(ta.zeros((2, 3)))
    >>> h.shape, c.shape
    ((2, 5), (2, 5))
    """

    _gates = 4

    def _bind(self, weights: Weights) -> Step:
        return lstm_step(weights)

    def forward(self, x: Tensor, hx: Pair | None = None) -> Pair:  # type: ignore[override]  # two
        h, c = self._next(x, pair_of_states("LSTMCell", hx), 2)
        return h, c


class GRUCell(Cell):
    """r, z, n = the thirds of weight_ih x + bias_ih (x) and weight_hh h + bias_hh (h)

    r = sigmoid(r_x + r_h);  z = sigmoid(z_x + z_h);  n = tanh(n_x + r n_h);  h' = (1 - z) n + z h

    input_size, hidden_size, bias, dtype, device  as in `RNNCell`

    x: (N, I) or (I,), h: (N, H) or (H,), zeros by default. Returns h' in h's shape. weight_ih:
    (3 H, I), weight_hh: (3 H, H), bias_ih and bias_hh: (3 H,). Raises `ArgumentError` for
    impossible settings, `ShapeError` for what doesn't fit. K. Cho et al., arXiv:1406.1078.

    >>> import tinyaccel as ta
    >>> ta.nn.GRUCell(3, 5)(ta.zeros((2, 3))).shape
    (2, 5)
    """

    _gates = 3

    def _bind(self, weights: Weights) -> Step:
        return gru_step(weights)

    def forward(self, x: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._next(x, None if hx is None else [hx], 1)[0]
