"""Normalisation, dropout and attention: PyTorch's values and derivatives, and their own errors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracle import Array, agree

import tinyaccel as ta
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError, TinyaccelError

BOTH = [*itertools.product([False, True], repeat=2)]


def _functional() -> Any:
    return pytest.importorskip("torch", reason="PyTorch is the oracle").nn.functional


def _named(names: list[str], values: tuple[Any, ...]) -> dict[str, Any]:
    """For PyTorch, which has no second derivative of a bias without a weight: a weight of 1."""
    given = dict(zip(names, values, strict=True))
    return {"weight": values[0].detach() * 0 + 1, **given} if names == ["bias"] else given


def _affine(rng: np.random.Generator, shape: Any, given: tuple[bool, bool]) -> dict[str, Array]:
    """A random weight and bias, those that are given."""
    names = [n for n, g in zip(("weight", "bias"), given, strict=True) if g]
    return {n: rng.normal(size=shape) for n in names}


@pytest.mark.parametrize("given", BOTH, ids=str)
@pytest.mark.parametrize(("shape", "k"), [((4, 5), 1), ((2, 3, 4), 2), ((2, 3, 4), 3)])
def test_layer_norm_as_in_pytorch(
    shape: tuple[int, ...], k: int, given: tuple[bool, bool], rng: np.random.Generator
) -> None:
    """With weight, bias, both or none, along the last axes, near and far from 0."""
    x, last = rng.normal(size=shape) * 3 + 100, shape[-k:]
    affine = _affine(rng, last, given)
    names, values = list(affine), list(affine.values())
    theirs = _functional().layer_norm
    agree(
        lambda x, *v: ta.layer_norm(
            x, normalized_shape=last, eps=1e-3, **dict(zip(names, v, strict=True))
        ),
        lambda x, *v: theirs(x, last, eps=1e-3, **_named(names, v)),
        x, *values, rtol=1e-8,
    )  # fmt: skip


@pytest.mark.parametrize("given", BOTH, ids=str)
@pytest.mark.parametrize(("shape", "groups"), [((4, 6), 3), ((2, 4, 5), 2), ((2, 3, 2, 3), 3)])
def test_group_norm_as_in_pytorch(
    shape: tuple[int, ...], groups: int, given: tuple[bool, bool], rng: np.random.Generator
) -> None:
    """With weight, bias, both or none; groups of neighbouring channels, one channel at the end."""
    x = rng.normal(size=shape) * 3 + 10
    affine = _affine(rng, shape[1], given)
    names, values = list(affine), list(affine.values())
    theirs = _functional().group_norm
    agree(
        lambda x, *v: ta.group_norm(
            x, num_groups=groups, eps=1e-2, **dict(zip(names, v, strict=True))
        ),
        lambda x, *v: theirs(x, groups, eps=1e-2, **_named(names, v)),
        x, *values, rtol=1e-8,
    )  # fmt: skip


@pytest.mark.parametrize("eps", [None, 1e-2])
@pytest.mark.parametrize("weighted", [False, True])
def test_rms_norm_as_in_pytorch(
    weighted: bool, eps: float | None, rng: np.random.Generator
) -> None:
    """With and without weight, and with an eps of the dtype's own."""
    theirs = _functional().rms_norm
    w = [rng.normal(size=(3, 4))] * weighted
    agree(
        lambda x, *w: ta.rms_norm(x, *w, normalized_shape=(3, 4), eps=eps),
        lambda x, *w: theirs(x, (3, 4), *w, eps=eps),
        rng.normal(size=(2, 3, 4)), *w, rtol=1e-9,
    )  # fmt: skip


@pytest.mark.parametrize("given", BOTH, ids=str)
def test_batch_norm_as_in_pytorch(given: tuple[bool, bool], rng: np.random.Generator) -> None:
    """With weight, bias, both or none, for statistics that are given."""
    x, m, v = rng.normal(size=(4, 3, 2)), rng.normal(size=3), rng.random(3) + 0.1
    affine = _affine(rng, 3, given)
    names, values = list(affine), list(affine.values())
    theirs = _functional().batch_norm
    agree(
        lambda x, *a: ta.batch_norm(x, m, v, eps=1e-3, **dict(zip(names, a, strict=True))),
        lambda x, *a: theirs(x, x.new_tensor(m), x.new_tensor(v), eps=1e-3, **_named(names, a)),
        x, *values,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_floats_are_normalised_in_float32(dtype: str, rng: np.random.Generator) -> None:
    """Squares past 65504 don't overflow, and the result is rounded once, but for the affine map."""
    x = ta.tensor(rng.normal(size=(4, 8)) * 400 + 500, dtype="float32").astype(dtype)
    wide = x.numpy().astype(np.float64)
    centred = wide - wide.mean(1, keepdims=True)
    cases = [
        (ta.layer_norm(x, normalized_shape=8), centred / wide.std(1, keepdims=True)),
        (ta.group_norm(x, num_groups=1), centred / wide.std(1, keepdims=True)),
        (ta.rms_norm(x, normalized_shape=8), wide / np.sqrt((wide**2).mean(1, keepdims=True))),
    ]
    for y, expected in cases:
        assert y.dtype.name == dtype
        error = np.abs(y.numpy().astype(np.float64) - expected).max()
        assert error <= y.dtype.eps * np.abs(expected).max()


def test_dropout_is_unbiased(device: str) -> None:
    """Over 100,000 words the mean of dropout(1) is 1, to 4 standard deviations, for several p."""
    n = 100_000
    for p in (0.1, 0.5, 0.9):
        bits = ta.Generator(3, device).bits(n)
        y = ta.dropout(ta.ones(n), bits, p=p).numpy().astype(np.float64)
        assert abs(y.mean() - 1) < 4 * np.sqrt(p / (1 - p) / n)
        assert set(np.unique(y)) == {0.0, float(np.float32(1) / np.float32(1 - p))}


# Attention

SIZES = [((5, 4), (7, 4), (7, 3)), ((2, 1, 5, 4), (3, 7, 4), (3, 7, 2)), ((2, 3, 1, 8),) * 3]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("kind", ["none", "bool", "row", "float", "causal", "scale"])
def test_attention_as_in_pytorch(
    kind: str, sizes: tuple[tuple[int, ...], ...], rng: np.random.Generator
) -> None:
    """Every kind of mask; a row that is masked entirely, too, and scores that overflow exp."""
    attention = _functional().scaled_dot_product_attention
    q, k, v = (rng.normal(size=s) * 3 for s in sizes)
    q.flat[:4] *= 300.0
    rows, columns = sizes[0][-2], sizes[1][-2]
    mask: Array | None = None
    if kind == "bool":
        mask = rng.random((rows, columns)) < 0.6
        mask[0] = False
    elif kind == "row":
        mask = rng.random(columns) < 0.6
    elif kind == "float":
        mask = rng.normal(size=(rows, columns))
        mask[0] = mask[-1, 0] = -np.inf
    at: dict[str, Any] = {"is_causal": kind == "causal", "scale": 0.3 if kind == "scale" else None}

    def theirs(q: Any, k: Any, v: Any) -> Any:
        import torch

        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            given = None if mask is None else torch.tensor(mask)
            return attention(q, k, v, given, **at)

    agree(
        lambda q, k, v: ta.scaled_dot_product_attention(q, k, v, mask, **at),
        theirs, q, k, v, rtol=1e-8,
    )  # fmt: skip


def test_attention_sees_only_what_the_mask_lets_it(rng: np.random.Generator) -> None:
    """What stands at a masked position changes neither the result nor any gradient."""
    q, k, v = (rng.normal(size=(4, 3)) for _ in range(3))
    mask = np.tril(np.ones((4, 4), bool))
    outcomes = []
    for last in (0.0, 1e3):
        k[3] = v[3] = last
        loss = ta.vjp(
            lambda *x: ta.scaled_dot_product_attention(*x, mask), *map(ta.tensor, (q, k, v))
        )
        weights = np.zeros((4, 3))
        weights[:3] = 1.0  # the last row sees everything
        out, pull = loss
        outcomes.append([out.numpy()[:3], *(g.numpy()[:3] for g in pull(ta.tensor(weights)))])
        assert not pull(ta.tensor(weights))[1].numpy()[3].any()
    for a, b in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(a, b)
    causal = ta.scaled_dot_product_attention(q, k, v, is_causal=True)
    np.testing.assert_array_equal(causal.numpy()[:3], outcomes[1][0])


X = (2, 3)
BAD: list[tuple[Callable[[], object], type[TinyaccelError], str]] = [
    (lambda: ta.layer_norm(ta.ones(X), normalized_shape=2), ShapeError,
     "layer_norm: input (2, 3) with normalized_shape=(2,); expected its last axes"),
    (lambda: ta.layer_norm(ta.ones(X), normalized_shape=()), ShapeError,
     "layer_norm: input (2, 3) with normalized_shape=(); expected its last axes"),
    (lambda: ta.layer_norm(ta.ones(X), None, ta.ones(2), normalized_shape=3), ShapeError,
     "layer_norm: weight or bias (2,); expected (3,)"),
    (lambda: ta.layer_norm(ta.ones(X), normalized_shape=3, eps=-1.0), ArgumentError,
     "layer_norm: eps=-1.0; expected 0 or more"),
    (lambda: ta.rms_norm(ta.ones(X), ta.ones(X), normalized_shape=3), ShapeError,
     "rms_norm: weight or bias (2, 3); expected (3,)"),
    (lambda: ta.group_norm(ta.ones(X), num_groups=2), ShapeError,
     "group_norm: input (2, 3) with num_groups=2; expected (N, C, ...), C a multiple of the "
     "groups"),
    (lambda: ta.group_norm(ta.ones(X), bias=ta.ones(2), num_groups=1), ShapeError,
     "group_norm: weight or bias (2,); expected (3,)"),
    (lambda: ta.batch_norm(ta.ones(X), ta.ones(3), ta.ones(3), bias=ta.ones(2)), ShapeError,
     "batch_norm: input (2, 3) with statistics (3,), (3,), (2,); expected (N, C, ...) and (C,) "
     "each"),
    (lambda: ta.scaled_dot_product_attention(ta.ones(X), ta.ones((4, 2)), ta.ones(X)), ShapeError,
     "scaled_dot_product_attention: q (2, 3), k (4, 2), v (2, 3); expected (..., L, E), "
     "(..., S, E) and (..., S, Ev)"),
    (lambda: ta.scaled_dot_product_attention(*[ta.ones(X)] * 3, ta.ones((2, 2)), is_causal=True),
     ArgumentError,
     "scaled_dot_product_attention: a mask and is_causal=True; put both into the mask"),
    (lambda: ta.scaled_dot_product_attention(*[ta.ones(X)] * 3, ta.ones((2, 2), dtype="int32")),
     DTypeError, "scaled_dot_product_attention: mask int32[2, 2]; expected bool (True takes part) "
     "or a float"),
    (lambda: ta.scaled_dot_product_attention(*[ta.ones(X)] * 3, ta.ones((4, 2, 2))), ShapeError,
     "scaled_dot_product_attention: mask (4, 2, 2) for scores (2, 2); must broadcast to them"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "text"), BAD, ids=[b[2][:40] for b in BAD])
def test_bad_input(make: Callable[[], object], error: type[TinyaccelError], text: str) -> None:
    """What doesn't fit is named in one line, with what was expected."""
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == text


# Inputs left out before others: how composites are told


def test_absent_inputs_are_the_same_jitted(rng: np.random.Generator) -> None:
    """A bias without a weight is no weight: eager, jitted, by name, and in the graph's text."""
    x, b = ta.tensor(rng.normal(size=(2, 3))), ta.tensor(rng.normal(size=3))

    def by_position(x: ta.Tensor, b: ta.Tensor) -> ta.Tensor:
        return ta.layer_norm(x, None, b, normalized_shape=3)

    step = ta.jit(by_position)
    y = step(x, b).numpy()
    assert "absent=(1,)" in str(step.graph())
    plain = ta.layer_norm(x, normalized_shape=3)
    np.testing.assert_allclose(y, (plain + b).numpy(), rtol=1e-15)
    np.testing.assert_array_equal(y, by_position(x, b).numpy())
    np.testing.assert_array_equal(y, ta.layer_norm(x, bias=b, normalized_shape=3).numpy())
