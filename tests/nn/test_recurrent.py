"""Recurrent layers and cells: PyTorch's values and gradients, lengths, dropout, and bad input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError
from tinyaccel.nn.recurrent import Recurrent

Arrays = dict[str, np.ndarray]
KINDS = ("RNN", "LSTM", "GRU")
STEPS, BATCH, INPUTS, HIDDEN = 5, 3, 4, 2

OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 2, "batch_first": True, "bias": False},
    {"bidirectional": True, "batch_first": True},
]
CASES = [(kind, options) for kind in KINDS for options in OPTIONS]
CASES.append(("RNN", {"nonlinearity": "relu", "num_layers": 2}))


def flat(result: Any) -> list[Any]:
    """output, h_n (and c_n) in a row."""
    output, state = result
    return [output, *state] if isinstance(state, tuple) else [output, state]


def packed(state: Sequence[Any]) -> Any:
    """A state as the layer wants it: alone, or a pair."""
    return tuple(state) if len(state) == 2 else state[0]


def ours(layer: Recurrent, arrays: Sequence[np.ndarray], seeds: Sequence[np.ndarray],
         **more: Any) -> Arrays:  # fmt: skip
    """Results, and gradients of sum(result * seed) by the input, the states and all parameters."""
    layer.zero_grad()
    x, *state = [ta.tensor(a, requires_grad=True) for a in arrays]
    results = flat(layer(x, packed(state) if state else None, **more))
    total = sum((r * ta.tensor(g)).sum() for r, g in zip(results, seeds, strict=True))
    assert isinstance(total, ta.Tensor)
    total.backward()
    moved = {
        **{f"input {i}": t for i, t in enumerate([x, *state])},
        **dict(layer.named_parameters()),
    }
    grads = {f"d {name}": t.grad.numpy() for name, t in moved.items() if t.grad is not None}
    assert len(grads) == len(moved)
    return {f"result {i}": r.numpy() for i, r in enumerate(results)} | grads


def theirs(layer: Any, arrays: Sequence[np.ndarray], seeds: Sequence[np.ndarray],
           lengths: np.ndarray | None = None) -> Arrays:  # fmt: skip
    """The same in PyTorch; with lengths, by its packed sequences."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    layer.zero_grad()
    x, *state = [torch.tensor(a, requires_grad=True) for a in arrays]
    given = x
    if lengths is not None:
        given = torch.nn.utils.rnn.pack_padded_sequence(
            x, torch.tensor(lengths), layer.batch_first, enforce_sorted=False
        )
    output, last = layer(given, packed(state) if state else None)
    if lengths is not None:
        output = torch.nn.utils.rnn.pad_packed_sequence(
            output, layer.batch_first, total_length=x.shape[1 if layer.batch_first else 0]
        )[0]
    results = flat((output, last))
    sum((r * torch.tensor(g)).sum() for r, g in zip(results, seeds, strict=True)).backward()
    moved = {
        **{f"input {i}": t for i, t in enumerate([x, *state])},
        **dict(layer.named_parameters()),
    }
    grads = {f"d {name}": t.grad.numpy() for name, t in moved.items()}
    return {f"result {i}": r.detach().numpy() for i, r in enumerate(results)} | grads


def pair(kind: str, options: dict[str, Any]) -> tuple[Recurrent, Any]:
    """A layer in float64, and PyTorch's with the same weights."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    reference = getattr(torch.nn, kind)(INPUTS, HIDDEN, **options, dtype=torch.float64)
    layer: Recurrent = getattr(nn, kind)(INPUTS, HIDDEN, **options, dtype="float64")
    reference.load_state_dict({n: torch.tensor(v) for n, v in layer.state_dict().items()})
    return layer, reference


def inputs(
    layer: Recurrent, rng: np.random.Generator, *, one: bool = False
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A sequence with a state to begin with, and an array for each result in its shape."""
    ways = 1 + layer.bidirectional
    batch = () if one else (BATCH,)
    lead = (BATCH, STEPS) if layer.batch_first and not one else (STEPS, *batch)
    state = (layer.num_layers * ways, *batch, HIDDEN)
    count = 2 if isinstance(layer, nn.LSTM) else 1
    arrays = [(*lead, INPUTS), *[state] * count]
    results = [(*lead, ways * HIDDEN), *[state] * count]
    return [rng.normal(size=s) for s in arrays], [rng.normal(size=s) for s in results]


def agree(got: Arrays, truth: Arrays, atol: float = 1e-12) -> None:
    assert got.keys() == truth.keys()
    for name, expected in truth.items():
        np.testing.assert_allclose(got[name], expected, rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize(("kind", "options"), CASES, ids=str)
def test_as_in_pytorch(kind: str, options: dict[str, Any], rng: np.random.Generator) -> None:
    """Outputs, states and all gradients, with a state given and without, in float64."""
    layer, reference = pair(kind, options)
    arrays, seeds = inputs(layer, rng)
    agree(ours(layer, arrays, seeds), theirs(reference, arrays, seeds))
    agree(ours(layer, arrays[:1], seeds), theirs(reference, arrays[:1], seeds))


@pytest.mark.parametrize("kind", KINDS)
def test_one_sequence_without_a_batch(kind: str, rng: np.random.Generator) -> None:
    """(L, I) is a sequence by itself, also with batch_first."""
    layer, reference = pair(kind, {"bidirectional": True, "batch_first": True})
    arrays, seeds = inputs(layer, rng, one=True)
    agree(ours(layer, arrays, seeds), theirs(reference, arrays, seeds))


LENGTHS = np.array([2, STEPS, 1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_lengths_as_packed_in_pytorch(
    kind: str, batch_first: bool, rng: np.random.Generator
) -> None:
    """With lengths=, a padded batch gives what PyTorch gives for packed sequences.

    What stands in the padding changes nothing, not even NaN: it gets the gradient 0.
    """
    layer, reference = pair(
        kind, {"num_layers": 2, "bidirectional": True, "batch_first": batch_first}
    )
    arrays, seeds = inputs(layer, rng)
    steps = np.arange(STEPS) < LENGTHS[:, None]
    padding = ~(steps if batch_first else steps.T)
    truth = theirs(reference, arrays, seeds, LENGTHS)
    arrays[0][padding] = np.nan
    got = ours(layer, arrays, seeds, lengths=ta.tensor(LENGTHS))
    agree(got, truth)
    assert (got["result 0"][padding] == 0).all()


def test_lengths_do_not_retrace(rng: np.random.Generator) -> None:
    """One trace serves all lengths; 0 leaves the state as it was, more than L counts as L."""
    layer = nn.GRU(INPUTS, HIDDEN)
    x = ta.tensor(rng.normal(size=(STEPS, 2, INPUTS)), dtype="float32")
    first = ta.tensor(rng.normal(size=(1, 2, HIDDEN)), dtype="float32")
    jitted = ta.jit(lambda lengths: layer(x, first, lengths=lengths))
    whole, last = layer(x, first)
    output, state = jitted(ta.tensor([0, STEPS]))
    np.testing.assert_allclose(output.numpy()[:, 1], whole.numpy()[:, 1], rtol=1e-6)
    assert (output.numpy()[:, 0] == 0).all()
    np.testing.assert_array_equal(state.numpy()[0, 0], first.numpy()[0, 0])
    np.testing.assert_allclose(jitted(ta.tensor([99, 99]))[1].numpy(), last.numpy(), rtol=1e-6)
    assert jitted.traces == 1


# XLA takes a second to compile one of them; the gates of all are tested there by themselves.
JITTED = [*((kind, "cpu") for kind in KINDS), ("LSTM", "xla:cpu")]


@pytest.mark.parametrize(("kind", "device"), JITTED, indirect=["device"])
def test_jitted_as_eager(kind: str, device: str, rng: np.random.Generator) -> None:
    """A layer jitted on a device, backward pass included, is the eager one on the CPU."""
    found = []
    for where in ("cpu", device):
        ta.manual_seed(1)
        layer = getattr(nn, kind)(
            INPUTS, HIDDEN, num_layers=2, bidirectional=True, dropout=0.4, device=where
        )
        arrays, seeds = inputs(layer, np.random.default_rng(5))
        given = [ta.tensor(a, dtype="float32", device=where) for a in (*arrays, *seeds)]

        def run(*tensors: ta.Tensor, layer: Recurrent = layer, n: int = len(arrays)) -> Any:
            x, *state = (t.detach() for t in tensors[:n])
            x.requires_grad = True
            results = flat(layer(x, packed(state)))
            sum((r * g).sum() for r, g in zip(results, tensors[n:], strict=True)).backward()
            return [*results, x.grad, *(p.grad for p in layer.parameters())]

        function = ta.jit(run) if found else run
        found.append([t.numpy() for t in function(*given)])
    for eager, jitted in zip(*found, strict=True):
        np.testing.assert_allclose(jitted, eager, rtol=0, atol=2e-6)


def test_dropout_is_between_layers(rng: np.random.Generator) -> None:
    """What the second layer reads is the first one's output with dropped numbers, in training."""
    both = nn.LSTM(INPUTS, HIDDEN, 2, dropout=0.5, generator=ta.Generator(3))
    lower, upper = nn.LSTM(INPUTS, HIDDEN), nn.LSTM(HIDDEN, HIDDEN)
    for layer, k in ((lower, 0), (upper, 1)):
        layer.load_state_dict(
            {n: both.state_dict()[n.replace("l0", f"l{k}")] for n in layer.state_dict()}
        )
    x = ta.tensor(rng.normal(size=(STEPS, BATCH, INPUTS)), dtype="float32")
    middle, _ = lower(x)
    bits = ta.Generator(3).bits((STEPS, BATCH, HIDDEN))
    expected, _ = upper(ta.dropout(middle, bits, p=0.5))
    np.testing.assert_allclose(both(x)[0].numpy(), expected.numpy(), rtol=1e-6)
    np.testing.assert_allclose(both.eval()(x)[0].numpy(), upper(middle)[0].numpy(), rtol=1e-6)
    with pytest.warns(UserWarning, match=r"^LSTM: dropout=0.5 with num_layers=1 does nothing"):
        nn.LSTM(INPUTS, HIDDEN, dropout=0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_state_dict_is_pytorchs(kind: str) -> None:
    """Names, shapes and their order, with and without biases; a load and a save change nothing."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    for options in ({"num_layers": 2, "bidirectional": True}, {"bias": False}):
        theirs_ = getattr(torch.nn, kind)(INPUTS, HIDDEN, **options).state_dict()
        layer = getattr(nn, kind)(INPUTS, HIDDEN, **options)
        assert [(n, v.shape) for n, v in layer.state_dict().items()] == [
            (n, tuple(v.shape)) for n, v in theirs_.items()
        ]
        layer.load_state_dict(theirs_)
        for name, value in layer.state_dict().items():
            np.testing.assert_array_equal(value, theirs_[name].numpy(), err_msg=name)
    cell = getattr(torch.nn, f"{kind}Cell")(INPUTS, HIDDEN)
    assert list(getattr(nn, f"{kind}Cell")(INPUTS, HIDDEN).state_dict()) == [*cell.state_dict()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [True, False])
def test_cells_as_in_pytorch(kind: str, bias: bool, rng: np.random.Generator) -> None:
    """A step of a cell from a state, from none, and without a batch; with all gradients."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    cell = getattr(nn, f"{kind}Cell")(INPUTS, HIDDEN, bias, dtype="float64")
    other = getattr(torch.nn, f"{kind}Cell")(INPUTS, HIDDEN, bias, dtype=torch.float64)
    other.load_state_dict({n: torch.tensor(v) for n, v in cell.state_dict().items()})
    count = 2 if kind == "LSTM" else 1

    def step(layer: Any, leaf: Callable[..., Any], arrays: list[np.ndarray]) -> list[np.ndarray]:
        tensors = [leaf(a, requires_grad=True) for a in arrays]
        layer.zero_grad()
        found = layer(tensors[0], packed(tensors[1:]) if tensors[1:] else None)
        results = list(found) if isinstance(found, tuple) else [found]
        sum((r * r).sum() for r in results).backward()
        grads = [t.grad for t in (*tensors, *layer.parameters())]
        return [np.asarray(t.tolist()) for t in (*results, *grads)]

    for batch, given in (((BATCH,), count), ((), count), ((BATCH,), 0)):
        arrays = [rng.normal(size=(*batch, n)) for n in (INPUTS, *[HIDDEN] * given)]
        for a, b in zip(
            step(cell, ta.tensor, arrays), step(other, torch.tensor, arrays), strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


def test_low_precision_stays() -> None:
    """In float16 the states are float16; a float32 input makes them float32, as in any product."""
    layer = nn.LSTM(INPUTS, HIDDEN, dtype="float16")
    half, (_, c) = layer(ta.ones((2, 1, INPUTS), dtype="float16"))
    assert half.dtype.name == c.dtype.name == "float16"
    wide, (_, c) = layer(ta.ones((2, 1, INPUTS)))
    assert wide.dtype.name == c.dtype.name == "float32"


def test_initial_weights() -> None:
    """All are within 1/sqrt(hidden_size), spread over it, and drawn from the seed."""
    layers = []
    for seed in (1, 1, 2):
        ta.manual_seed(seed)
        layers.append(nn.GRU(20, 16).state_dict())
    for name, value in layers[0].items():
        assert 0.2 < np.abs(value).max() <= 0.25
        np.testing.assert_array_equal(value, layers[1][name])
        assert (value != layers[2][name]).all()


def test_a_longer_sequence_is_no_more_than_a_longer_trace() -> None:
    """The trace of forward and backward grows in proportion to the steps: nothing is quadratic.

    Steps are cut from the input in halves: the numbers that the cuts' gradients write are
    counted, too.
    """
    sizes = []
    for steps in (8, 32):
        layer = nn.RNN(1, 1)
        x = ta.zeros((steps, 1, 1))

        def run(x: ta.Tensor, layer: nn.RNN = layer) -> ta.Tensor | None:
            leaf = x.detach()
            leaf.requires_grad = True
            layer(leaf)[0].sum().backward()
            return leaf.grad

        jitted = ta.jit(run)
        jitted(x)
        graph = jitted.graph()
        written = sum(np.prod(graph.specs[i.out].shape) for i in graph.instrs if i.op == "pad")
        sizes.append((len(graph.instrs), written))
    assert sizes[1][0] < 5 * sizes[0][0]
    assert sizes[1][1] < 4 * 2 * sizes[0][1]


X = (STEPS, BATCH, INPUTS)
BAD: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: nn.LSTM(0, 2), ArgumentError,
     "LSTM: input_size=0; expected an integer of at least 1"),
    (lambda: nn.GRU(3, 2, num_layers=0), ArgumentError,
     "GRU: num_layers=0; expected an integer of at least 1"),
    (lambda: nn.RNN(3, 2, nonlinearity="sin"), ArgumentError,
     "RNN: nonlinearity='sin'; expected \"tanh\" or \"relu\""),
    (lambda: nn.GRU(3, 2, 2, dropout=1.5), ArgumentError,
     "GRU: dropout=1.5; expected a probability from 0 to 1"),
    (lambda: nn.LSTM(3, 2)(ta.zeros(X)), ShapeError,
     "LSTM: input (5, 3, 4); expected (L, N, 3), or (L, 3) for one sequence"),
    (lambda: nn.LSTM(3, 2, batch_first=True)(ta.zeros(3)), ShapeError,
     "LSTM: input (3,); expected (N, L, 3), or (L, 3) for one sequence"),
    (lambda: nn.GRU(4, 2)(ta.zeros((0, 3, 4))), ShapeError,
     "GRU: input (0, 3, 4) has no steps; expected at least 1"),
    (lambda: nn.GRU(4, 2)(ta.zeros(X), ta.zeros((1, 2, 2))), ShapeError,
     "GRU: h of the initial state is (1, 2, 2); expected (1, 3, 2) for an input of (5, 3, 4)"),
    (lambda: nn.LSTM(4, 2)(ta.zeros(X), (ta.zeros((1, 3, 2)), ta.zeros((2, 2)))), ShapeError,
     "LSTM: c of the initial state is (2, 2); expected (1, 3, 2) for an input of (5, 3, 4)"),
    (lambda: nn.LSTM(4, 2)(ta.zeros(X), ta.zeros((1, 3, 2))), ArgumentError,
     "LSTM: state is a Tensor; expected a pair (h, c)"),
    (lambda: nn.RNN(4, 2)(ta.zeros(X), lengths=ta.tensor([1, 2])), ShapeError,
     "RNN: lengths (2,) for an input of (5, 3, 4); expected a length for each sequence of a "
     "batch, (N,)"),
    (lambda: nn.RNN(4, 2)(ta.zeros(X), lengths=ta.ones(3)), DTypeError,
     "RNN: lengths are float32; expected integers"),
    (lambda: nn.LSTMCell(4, 2)(ta.zeros((3, 5))), ShapeError,
     "LSTMCell: input (3, 5); expected (N, 4) or (4,)"),
    (lambda: nn.GRUCell(4, 2)(ta.zeros((3, 4)), ta.zeros(2)), ShapeError,
     "GRUCell: h of the initial state is (2,); expected (3, 2) for an input of (3, 4)"),
    (lambda: nn.RNNCell(4, 2, nonlinearity="sin"), ArgumentError,
     "RNNCell: nonlinearity='sin'; expected \"tanh\" or \"relu\""),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), BAD, ids=[text[:40] for _, _, text in BAD])
def test_bad_input(call: Callable[[], object], kind: type[Exception], text: str) -> None:
    """One line says the layer, what arrived, and what was expected."""
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text


def test_printing() -> None:
    """A layer prints the settings that aren't at their defaults."""
    layer = nn.LSTM(28, 128, 2, batch_first=True, dropout=0.5)
    assert layer.extra_repr() == "28, 128, num_layers=2, batch_first=True, dropout=0.5"
    assert nn.GRUCell(3, 4, bias=False).extra_repr() == "3, 4, bias=False"
