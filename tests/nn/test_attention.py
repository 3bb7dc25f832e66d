"""Multi-head attention: PyTorch's values and gradients, every mask, dropout, and bad input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError

E, HEADS, N, L, S = 6, 2, 3, 4, 5
Results = list[np.ndarray]

CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"batch_first": True, "bias": False}, {"average_attn_weights": False}),
    ({"kdim": 3, "vdim": 7}, {"need_weights": False}),
    ({"batch_first": True}, {"masks": "bool", "need_weights": False}),
    ({}, {"masks": "float"}),
    ({"batch_first": True}, {"masks": "each", "average_attn_weights": False}),
    ({}, {"masks": "one"}),
    ({"kdim": 3}, {"one": True}),
]


def masks_of(kind: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Masks that leave each query at least the first key."""
    padding = np.zeros((N, S), bool)
    padding[0, 3:] = padding[2, 1:2] = True
    pairs = rng.random((N * HEADS, L, S) if kind == "each" else (L, S)) < 0.4
    pairs[..., 0] = False
    if kind == "float":
        added = rng.normal(size=pairs.shape)
        return {"key_padding_mask": np.where(padding, -np.inf, 0.25), "attn_mask": added}
    return (
        {"attn_mask": pairs} if kind == "one" else {"key_padding_mask": padding, "attn_mask": pairs}
    )


def run(layer: Any, leaf: Callable[..., Any], arrays: Sequence[np.ndarray], seed: np.ndarray,
        **more: Any) -> Results:  # fmt: skip
    """Output, weights, and gradients by inputs, parameters and masks of floats."""
    inputs = [leaf(a, requires_grad=True) for a in arrays]
    moving = [m for m in more.values() if hasattr(m, "requires_grad") and m.requires_grad]
    layer.zero_grad()
    output, weights = layer(*inputs, **more)
    total = (output * leaf(seed)).sum()
    if weights is not None:
        total = total + (weights * weights).sum()
    total.backward()
    tensors = [output, *([] if weights is None else [weights])]
    tensors += [t.grad for t in (*inputs, *layer.parameters(), *moving)]
    return [np.asarray(t.tolist()) for t in tensors]


@pytest.mark.parametrize(("options", "call"), CASES, ids=str)
def test_as_in_pytorch(
    options: dict[str, Any], call: dict[str, Any], rng: np.random.Generator
) -> None:
    """Output, weights and all gradients are PyTorch's, from the same weights, in float64."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    layer = nn.MultiheadAttention(E, HEADS, **options, dtype="float64")
    layer.load_state_dict({n: rng.normal(size=v.shape) for n, v in layer.state_dict().items()})
    other = torch.nn.MultiheadAttention(E, HEADS, **options, dtype=torch.float64)
    assert list(other.state_dict()) == list(layer.state_dict())
    other.load_state_dict({n: torch.tensor(v) for n, v in layer.state_dict().items()})
    more = dict(call)
    alone = more.pop("one", False)
    kind = more.pop("masks", None)

    def shape(length: int, features: int) -> tuple[int, ...]:
        if alone:
            return length, features
        return (N, length, features) if layer.batch_first else (length, N, features)

    sizes = ((L, E), (S, layer.kdim), (S, layer.vdim))
    arrays = [rng.normal(size=shape(*size)) for size in sizes]
    seed = rng.normal(size=shape(L, E))
    masks = {} if kind is None else masks_of(kind, rng)
    found = []
    for network, leaf in ((layer, ta.tensor), (other, torch.tensor)):
        given = {n: leaf(m, requires_grad=m.dtype.kind == "f") for n, m in masks.items()}
        found.append(run(network, leaf, arrays, seed, **given, **more))
    assert len(found[0]) == len(found[1])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-11)


def test_causal_as_with_the_mask(rng: np.random.Generator) -> None:
    """is_causal=True is the triangular attn_mask, by itself and together with a padding mask."""
    layer = nn.MultiheadAttention(E, HEADS, batch_first=True)
    x = ta.tensor(rng.normal(size=(N, L, E)), dtype="float32")
    triangle = ta.tensor(np.triu(np.ones((L, L), bool), 1))
    padding = ta.tensor(np.arange(L) >= np.array([[4], [2], [3]]))
    for more in ({}, {"key_padding_mask": padding}):
        expected = layer(x, x, x, attn_mask=triangle, **more)
        for need in (True, False):
            got = layer(x, x, x, is_causal=True, need_weights=need, **more)
            np.testing.assert_allclose(got[0].numpy(), expected[0].numpy(), atol=1e-6)
        assert (np.triu(expected[1].numpy(), 1) == 0).all()


def test_a_query_that_sees_nothing(rng: np.random.Generator) -> None:
    """Its weights are 0 rather than NaN, its output out_proj's bias, and gradients stay finite."""
    layer = nn.MultiheadAttention(E, HEADS, batch_first=True)
    assert layer.out_proj.bias is not None
    nn.init.constant_(layer.out_proj.bias, 0.5)
    x = ta.tensor(rng.normal(size=(2, L, E)), dtype="float32", requires_grad=True)
    padding = ta.tensor(np.array([[True] * L, [False] * L]))
    output, weights = layer(x, x, x, key_padding_mask=padding)
    assert weights is not None
    np.testing.assert_array_equal(output.numpy()[0], np.full((L, E), 0.5))
    np.testing.assert_array_equal(weights.numpy()[0], np.zeros((L, L)))
    bare, _ = layer(x, x, x, key_padding_mask=padding, need_weights=False)
    np.testing.assert_allclose(bare.numpy(), output.numpy(), atol=1e-6)
    (output * output).sum().backward()
    assert x.grad is not None
    assert np.isfinite(x.grad.numpy()).all()


def test_jitted_as_eager(device: str, rng: np.random.Generator) -> None:
    """Jitted on a device, with dropout, masks and the backward pass, it is the eager layer."""
    x = rng.normal(size=(N, L, E)).astype(np.float32)
    padding = np.arange(L) >= np.array([[4], [2], [3]])
    found = []
    for where in ("cpu", device):
        ta.manual_seed(2)
        layer = nn.MultiheadAttention(E, HEADS, dropout=0.3, batch_first=True, device=where)

        def step(
            t: ta.Tensor, mask: ta.Tensor, layer: nn.MultiheadAttention = layer
        ) -> list[ta.Tensor | None]:
            output, weights = layer(t, t, t, key_padding_mask=mask, is_causal=True)
            (output * output).sum().backward()
            return [output, weights, *(p.grad for p in layer.parameters())]

        function = ta.jit(step) if found else step
        results = function(ta.tensor(x, device=where), ta.tensor(padding, device=where))
        found.append([t.numpy() for t in results if t is not None])
    assert len(found[0]) == 6
    for eager, jitted in zip(*found, strict=True):
        np.testing.assert_allclose(jitted, eager, rtol=0, atol=1e-5)


def test_dropout_of_weights(rng: np.random.Generator) -> None:
    """When training, weights are dropped and the others scaled up, and the output is made of
    them; when evaluating, none are."""
    layer = nn.MultiheadAttention(E, HEADS, dropout=0.5, batch_first=True)
    x = ta.tensor(rng.normal(size=(1, 8, E)), dtype="float32")
    output, weights = layer(x, x, x, average_attn_weights=False)
    whole_output, whole = layer.eval()(x, x, x, average_attn_weights=False)
    assert weights is not None
    assert whole is not None
    kept = weights.numpy() != 0
    assert 0.3 < kept.mean() < 0.7
    np.testing.assert_allclose(weights.numpy()[kept], 2 * whole.numpy()[kept], rtol=1e-5)
    np.testing.assert_allclose(whole.numpy().sum(-1), 1, rtol=1e-5)
    assert np.abs(output.numpy() - whole_output.numpy()).max() > 1e-3
    ta.manual_seed(4)
    hidden, nothing = layer.train()(x, x, x, need_weights=False)
    assert nothing is None
    ta.manual_seed(4)
    np.testing.assert_array_equal(layer(x, x, x)[0].numpy(), hidden.numpy())


def test_initial_weights() -> None:
    """Xavier-uniform, biases 0; keys and values of other sizes have weights of their own."""
    ta.manual_seed(0)
    state = nn.MultiheadAttention(16, 4).state_dict()
    bound = np.sqrt(6 / (16 + 48))
    assert 0.9 * bound < np.abs(state["in_proj_weight"]).max() <= bound
    assert not state["in_proj_bias"].any()
    assert not state["out_proj.bias"].any()
    assert np.abs(state["out_proj.weight"]).max() <= 0.25
    layer = nn.MultiheadAttention(6, 2, kdim=3, batch_first=True)
    assert layer.extra_repr() == "6, 2, batch_first=True, kdim=3"
    assert [n for n, _ in layer.named_parameters()][:3] == [
        "q_proj_weight", "k_proj_weight", "v_proj_weight",
    ]  # fmt: skip


def _call(*inputs: tuple[int, ...], batch_first: bool = False, **more: Any) -> object:
    layer = nn.MultiheadAttention(6, 2, batch_first=batch_first)
    return layer(*map(ta.zeros, inputs), **more)


BAD: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: nn.MultiheadAttention(6, 4), ArgumentError,
     "MultiheadAttention: embed_dim=6 doesn't divide into num_heads=4; change one"),
    (lambda: nn.MultiheadAttention(6, 2, kdim=0), ArgumentError,
     "MultiheadAttention: kdim=0; expected an integer of at least 1"),
    (lambda: nn.MultiheadAttention(6, 2, dropout=-1), ArgumentError,
     "MultiheadAttention: dropout=-1; expected a probability from 0 to 1"),
    (lambda: _call((4, 3, 6), (5, 3, 6), (4, 3, 6)), ShapeError,
     "MultiheadAttention: query (4, 3, 6), key (5, 3, 6), value (4, 3, 6); expected (L, N, 6), "
     "(S, N, 6) and (S, N, 6), or all without N, S at least 1"),
    (lambda: _call((3, 4, 6), (2, 5, 6), (2, 5, 6), batch_first=True), ShapeError,
     "MultiheadAttention: query (3, 4, 6), key (2, 5, 6), value (2, 5, 6); expected (N, L, 6), "
     "(N, S, 6) and (N, S, 6), or all without N, S at least 1"),
    (lambda: _call((4, 6), (0, 6), (0, 6)), ShapeError,
     "MultiheadAttention: query (4, 6), key (0, 6), value (0, 6); expected (L, N, 6), "
     "(S, N, 6) and (S, N, 6), or all without N, S at least 1"),
    (lambda: _call((4, 6), (5, 6), (5, 6), key_padding_mask=ta.zeros((1, 5))), ShapeError,
     "MultiheadAttention: key_padding_mask (1, 5); expected (5,)"),
    (lambda: _call((4, 3, 6), (5, 3, 6), (5, 3, 6), attn_mask=ta.zeros((5, 4))), ShapeError,
     "MultiheadAttention: attn_mask (5, 4); expected (4, 5) or (6, 4, 5)"),
    (lambda: _call((4, 6), (5, 6), (5, 6), attn_mask=ta.zeros((4, 5), dtype="int32")), DTypeError,
     "MultiheadAttention: attn_mask is int32; expected bool, True where nothing is to be seen, or "
     "a float to be added"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), BAD, ids=[text[:60] for _, _, text in BAD])
def test_bad_input(call: Callable[[], object], kind: type[Exception], text: str) -> None:
    """One line says what arrived, and what was expected."""
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text


# The encoder layer on top


@pytest.mark.parametrize(
    "options",
    [{"batch_first": True}, {"norm_first": True, "activation": "gelu", "bias": False}],
    ids=str,
)
def test_encoder_layer_as_in_pytorch(options: dict[str, Any], rng: np.random.Generator) -> None:
    """Result and all gradients are PyTorch's, from its state_dict's names, with both masks."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    layer = nn.TransformerEncoderLayer(E, HEADS, 7, 0.0, **options, dtype="float64")
    layer.load_state_dict({n: rng.normal(size=v.shape) for n, v in layer.state_dict().items()})
    other = torch.nn.TransformerEncoderLayer(E, HEADS, 7, 0.0, **options, dtype=torch.float64)
    assert list(other.state_dict()) == list(layer.state_dict())
    other.load_state_dict({n: torch.tensor(v) for n, v in layer.state_dict().items()})
    x, seed = rng.normal(size=(2, N, L, E) if "batch_first" in options else (2, L, N, E))
    found = []
    for network, leaf in ((layer, ta.tensor), (other, torch.tensor)):
        t = leaf(x, requires_grad=True)
        y = network(
            t, src_mask=leaf(np.triu(np.ones((L, L), bool), 1)),
            src_key_padding_mask=leaf(np.arange(L) >= np.array([[4], [2], [3]])),
        )  # fmt: skip
        (y * leaf(seed)).sum().backward()
        grads = [p.grad for p in (t, *network.parameters())]
        found.append([np.asarray(v.tolist()) for v in (y, *grads)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


def test_encoder_layer_drops_when_training(rng: np.random.Generator) -> None:
    """Each of four dropouts changes the result by itself, none does when evaluating."""
    x = ta.tensor(rng.normal(size=(1, L, E)), dtype="float32")
    layer = nn.TransformerEncoderLayer(E, HEADS, 7, 0.5, batch_first=True)
    places = [m for m in layer.modules() if isinstance(m, nn.Dropout)]
    assert [m.p for m in places] == [0.5] * 3
    assert layer.self_attn.dropout == 0.5
    whole = layer.eval()(x).numpy()
    np.testing.assert_array_equal(layer(x).numpy(), whole)
    layer.train()
    for each in range(4):
        for i, place in enumerate(places):
            place.p = 0.5 * (i == each)
        layer.self_attn.dropout = 0.5 * (each == 3)
        assert (layer(x).numpy() != whole).any(), each
    with pytest.raises(
        ArgumentError, match=r'^TransformerEncoderLayer: activation=\'sin\'; expected "relu" or'
    ):
        nn.TransformerEncoderLayer(E, HEADS, activation="sin")
