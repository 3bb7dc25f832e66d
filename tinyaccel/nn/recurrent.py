"""Recurrent layers over whole sequences: RNN, LSTM and GRU, in any number of layers, both ways."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from tinyaccel.backend import Device
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError
from tinyaccel.nn import init
from tinyaccel.nn.cells import (
    Pair,
    State,
    Step,
    Weights,
    check_nonlinearity,
    first_state,
    gru_step,
    lstm_step,
    pair_of_states,
    rnn_step,
)
from tinyaccel.nn.module import Module
from tinyaccel.nn.settings import described, positive
from tinyaccel.ops.creation import arange
from tinyaccel.ops.elementwise import less, where
from tinyaccel.ops.movement import concat, stack
from tinyaccel.ops.normalization import dropout
from tinyaccel.ops.random import Generator, default_generator
from tinyaccel.shapes import Shape
from tinyaccel.tensor import DTypeLike, Tensor


def time_steps(x: Tensor, axis: int) -> list[Tensor]:
    """The parts of x along `axis`, each without it, as `unstack` gives them.

    Halved again and again: each part's gradient is padded to the length of all log2(L) times in
    stages, where one cut for each part would pad it to the whole length L times.
    """
    n = x.shape[axis]
    if n == 1:
        return [x.squeeze(axis)]
    before = (slice(None),) * axis
    halves = x[(*before, slice(n // 2))], x[(*before, slice(n // 2, n))]
    return [part for half in halves for part in time_steps(half, axis)]


class Recurrent(Module):
    """What RNN, LSTM and GRU share: the weights of all layers, and the walk along a sequence."""

    _gates: ClassVar[int]  # rows of the weights, in units of hidden_size

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        generator: Generator | None = None,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        layer = type(self).__name__
        positive(layer, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if not 0 <= dropout <= 1:
            raise ArgumentError(f"{layer}: dropout={dropout}; expected a probability from 0 to 1")
        if dropout and num_layers == 1:
            warnings.warn(
                f"{layer}: dropout={dropout} with num_layers=1 does nothing: it is between layers",
                stacklevel=3,
            )
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.generator = bidirectional, generator
        rows = self._gates * hidden_size
        for k, suffix in self._places():
            inputs = input_size if k == 0 else hidden_size * (1 + bidirectional)
            shapes: list[tuple[str, Shape]]
            shapes = [("weight_ih", (rows, inputs)), ("weight_hh", (rows, hidden_size))]
            shapes += [("bias_ih", (rows,)), ("bias_hh", (rows,))] if bias else []
            for name, shape in shapes:
                value = init.fan_in_uniform(shape, hidden_size, dtype=dtype, device=device)
                setattr(self, f"{name}{suffix}", value)

    def _places(self) -> list[tuple[int, str]]:
        """(layer, end of its parameters' names), in the order of the states."""
        ways = ("", "_reverse") if self.bidirectional else ("",)
        return [(k, f"_l{k}{way}") for k in range(self.num_layers) for way in ways]

    def _weights(self, suffix: str) -> Weights:
        names = ["weight_ih", "weight_hh"] + ["bias_ih", "bias_hh"] * self.bias
        found = [getattr(self, name + suffix) for name in names]
        return Weights(*found, *[None] * (4 - len(found)))

    @abstractmethod
    def _bind(self, weights: Weights) -> Step: ...

    def _run(
        self, x: Tensor, given: Sequence[Tensor] | None, count: int, lengths: Tensor | None
    ) -> tuple[Tensor, State]:
        """The outputs in x's layout, and the last states of all layers: `count` tensors."""
        self._check(x, lengths)
        time = 1 if x.ndim == 3 and self.batch_first else 0
        batch = () if x.ndim == 2 else (x.shape[1 - time],)
        ways = 1 + self.bidirectional
        shape = (self.num_layers * ways, *batch, self.hidden_size)
        first = first_state(type(self).__name__, given, count, shape, x, self._weights("_l0").ih)
        there = None
        if lengths is not None:
            within = _within(x, lengths, time)
            x, there = where(within, x, 0), time_steps(within, time)
        steps, last = time_steps(x, time), []
        for k in range(self.num_layers):
            if k and self.training and self.dropout:
                steps = self._dropped(steps)
            found = []
            for place, (_, suffix) in list(enumerate(self._places()))[k * ways : (k + 1) * ways]:
                state = tuple(part[place] for part in first)
                step = self._bind(self._weights(suffix))
                outputs, state = _walk(step, steps, state, there, suffix.endswith("_reverse"))
                found.append(outputs)
                last.append(state)
            steps = [concat(both, axis=-1) for both in zip(*found, strict=True)]
        return stack(steps, time), tuple(stack(parts) for parts in zip(*last, strict=True))

    def _check(self, x: Tensor, lengths: Tensor | None) -> None:
        layer, n = type(self).__name__, self.input_size
        if x.ndim not in (2, 3) or x.shape[-1] != n:
            layout = f"(N, L, {n})" if self.batch_first else f"(L, N, {n})"
            raise ShapeError(
                f"{layer}: input {x.shape}; expected {layout}, or (L, {n}) for one sequence"
            )
        if not x.shape[1 if x.ndim == 3 and self.batch_first else 0]:
            raise ShapeError(f"{layer}: input {x.shape} has no steps; expected at least 1")
        if lengths is None:
            return
        if x.ndim == 2 or lengths.shape != (x.shape[0 if self.batch_first else 1],):
            raise ShapeError(
                f"{layer}: lengths {lengths.shape} for an input of {x.shape}; expected a length "
                "for each sequence of a batch, (N,)"
            )
        if not lengths.dtype.is_integer:
            raise DTypeError(f"{layer}: lengths are {lengths.dtype}; expected integers")

    def _dropped(self, steps: list[Tensor]) -> list[Tensor]:
        """The inputs of a later layer, with random zeros, drawn for all steps at once."""
        source = self.generator or default_generator(steps[0].device)
        bits = source.bits((len(steps), *steps[0].shape))
        return [dropout(x, bits[t], p=self.dropout) for t, x in enumerate(steps)]

    def extra_repr(self) -> str:
        return described(
            self, "input_size", "hidden_size", num_layers=1, bias=True, batch_first=False,
            dropout=0.0, bidirectional=False,
        )  # fmt: skip


def _within(x: Tensor, lengths: Tensor, time: int) -> Tensor:
    """Whether each place of x is in its sequence: (L, N, 1), or (N, L, 1)."""
    shape = [1, 1, 1]
    shape[time] = x.shape[time]
    return less(
        arange(x.shape[time], device=x.device).reshape(shape),
        lengths.reshape((-1, 1, 1) if time else (1, -1, 1)),
    )


def _walk(
    step: Step, xs: list[Tensor], state: State, there: list[Tensor] | None, reverse: bool
) -> tuple[list[Tensor], State]:
    """The outputs for all of xs, in their order, and the last state.

    there  whether each sequence has this step: where not, its state waits and its output is 0. So
           the way back begins at each sequence's own end
    """
    outputs = []
    order = range(len(xs))
    for t in reversed(order) if reverse else order:
        new = step(xs[t], state)
        if there is None:
            state = new
            outputs.append(state[0])
        else:
            state = tuple(where(there[t], a, b) for a, b in zip(new, state, strict=True))
            outputs.append(where(there[t], state[0], 0))
    return outputs[::-1] if reverse else outputs, state


class RNN(Recurrent):
    """h_t = tanh(weight_ih x_t + bias_ih + weight_hh h_{t-1} + bias_hh), along a sequence

    input_size, hidden_size  I and H, features of the input and of the state
    num_layers     how many, each of which reads the outputs of the one before
    nonlinearity   "tanh" or "relu"
    bias           whether there are biases
    batch_first    whether the input is (N, L, I), rather than (L, N, I)
    dropout        the probability of a 0 among what a later layer reads, when training
    bidirectional  whether each layer also reads from the end; D is then 2, else 1
    generator      where dropout's random words come from, as in `Dropout`
    dtype, device  of the parameters; float32 on the default device

    Called with x, and if wanted with hx and lengths=:

    x        (L, N, I), (N, L, I) with batch_first, or (L, I) for one sequence; L at least 1
    hx       the state to begin with, (D num_layers, N, H) or (D num_layers, H); zeros by default
    lengths  (N,) integers: how many steps of each sequence count. What comes after them changes
             nothing: outputs there are 0, the last state is the one at each sequence's end, and
             the way back begins there. (PyTorch packs sequences for that.) More than L count as L

    Returns (output, h_n): the last layer's states of all steps, (L, N, D H) laid out as x is, and
    the last state of each layer and direction, in hx's shape. For k = 0 to num_layers - 1 there are
    weight_ih_l{k} (H, I; later D H), weight_hh_l{k} (H, H), bias_ih_l{k} and bias_hh_l{k} (H,), and
    the same with _reverse, all drawn from U(-1/sqrt(H), 1/sqrt(H)).

    A loop over the steps is traced step by step: the first call of a jitted function takes longer
    for a longer sequence, and each new length is traced anew.

    Raises `ArgumentError` for impossible settings, `ShapeError` and `DTypeError` for what doesn't
    fit. J. Elman, "Finding Structure in Time", 1990.

    >>> import tinyaccel as ta
    >>> output, last = ta.nn.RNN(3, 5, num_layers=2)(ta.zeros((7, 2, 3)))
    >>> output.shape, last.shape
    ((7, 2, 5), (2, 2, 5))
    """

    _gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        generator: Generator | None = None,
        dtype: DTypeLike | None = None,
        device: str | Device | None = None,
    ) -> None:
        check_nonlinearity("RNN", nonlinearity)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            generator=generator, dtype=dtype, device=device,
        )  # fmt: skip
        self.nonlinearity = nonlinearity

    def _bind(self, weights: Weights) -> Step:
        return rnn_step(weights, self.nonlinearity)

    def forward(  # type: ignore[override]  # two tensors
        self, x: Tensor, hx: Tensor | None = None, *, lengths: Tensor | None = None
    ) -> Pair:
        output, (last,) = self._run(x, None if hx is None else [hx], 1, lengths)
        return output, last


class LSTM(Recurrent):
    """Long short-term memory along a sequence, in as many layers and directions as wanted

    i, f, g, o = the quarters of weight_ih x_t + bias_ih + weight_hh h_{t-1} + bias_hh
    c_t = sigmoid(f) c_{t-1} + sigmoid(i) tanh(g);  h_t = sigmoid(o) tanh(c_t)

    Settings, x and lengths= as in `RNN`; hx is a pair (h, c), each (D num_layers, N, H) or
    (D num_layers, H), zeros by default. Returns (output, (h_n, c_n)). The weights have 4 H rows.

    Raises `ArgumentError` for impossible settings or a state that is no pair, `ShapeError` and
    `DTypeError` for what doesn't fit. S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory",
    1997; F. Gers et al., "Learning to Forget", 2000.

    >>> import tinyaccel as ta
    >>> output, (h, c) = ta.nn.LSTM(3, 5, batch_first=True)(ta.zeros((2, 7, 3)))
    >>> output.shape, h.shape, c.shape
    ((2, 7, 5), (1, 2, 5), (1, 2, 5))
    """

    _gates = 4

    def _bind(self, weights: Weights) -> Step:
        return lstm_step(weights)

    def forward(  # type: ignore[override]  # three tensors
        self, x: Tensor, hx: Pair | None = None, *, lengths: Tensor | None = None
    ) -> tuple[Tensor, Pair]:
        output, (h, c) = self._run(x, pair_of_states("LSTM", hx), 2, lengths)
        return output, (h, c)


class GRU(Recurrent):
    """Gated recurrent units along a sequence, in as many layers and directions as wanted

    r, z, n = the thirds of weight_ih x_t + bias_ih (x) and of weight_hh h_{t-1} + bias_hh (h)
    r = sigmoid(r_x + r_h);  z = sigmoid(z_x + z_h);  n = tanh(n_x + r n_h)
    h_t = (1 - z) n + z h_{t-1}

    Settings, x, hx, lengths=, and what is returned and raised, as in `RNN`. The weights have 3 H
    rows. K. Cho et al., arXiv:1406.1078, with the reset gate after the product.

    >>> import tinyaccel as ta
    >>> output, last = ta.nn.GRU(3, 5, bidirectional=True)(ta.zeros((7, 2, 3)))
    >>> output.shape, last.shape
    ((7, 2, 10), (2, 2, 5))
    """

    _gates = 3

    def _bind(self, weights: Weights) -> Step:
        return gru_step(weights)

    def forward(  # type: ignore[override]  # two tensors
        self, x: Tensor, hx: Tensor | None = None, *, lengths: Tensor | None = None
    ) -> Pair:
        output, (last,) = self._run(x, None if hx is None else [hx], 1, lengths)
        return output, last
