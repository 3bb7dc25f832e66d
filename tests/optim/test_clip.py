"""Clipped gradients, against PyTorch's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import optim
from tinyaccel.errors import ArgumentError, GradientError, TraceError


def params(rng: np.random.Generator, scale: float = 1.0) -> list[ta.Tensor]:
    """Three parameters, the second without a gradient."""
    made = [ta.tensor(np.zeros(s), requires_grad=True) for s in [(3, 2), (4,), ()]]
    for p in (made[0], made[2]):
        p.grad = ta.tensor(scale * rng.standard_normal(p.shape), dtype="float64")
    return made


@pytest.mark.parametrize("scale", [1e-9, 10.0], ids=["small", "large"])
@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.5, math.inf, -math.inf, 0.0])
def test_norms(norm_type: float, scale: float, rng: np.random.Generator) -> None:
    """Norm and gradients are PyTorch's, eager and jitted, whether they are clipped or not."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    ours = params(rng, scale)
    jitted = [ta.tensor(p.numpy(), requires_grad=True) for p in ours]
    theirs = [torch.tensor(p.numpy(), requires_grad=True) for p in ours]
    for p, q, r in zip(ours, jitted, theirs, strict=True):
        if p.grad is not None:
            q.grad, r.grad = p.grad, torch.tensor(p.grad.numpy())
    expected = torch.nn.utils.clip_grad_norm_(theirs, 0.5, norm_type).item()
    totals = [
        optim.clip_grad_norm_(ours, 0.5, norm_type),
        ta.jit(lambda: optim.clip_grad_norm_(jitted, 0.5, norm_type))(),
    ]
    for total, got in zip(totals, (ours, jitted), strict=True):
        assert total.shape == () and not total.requires_grad
        assert total.item() == pytest.approx(expected, rel=1e-13)
        assert got[1].grad is None
        for p, r in zip(got, theirs, strict=True):
            if r.grad is not None:
                assert p.grad is not None
                np.testing.assert_allclose(p.grad.numpy(), r.grad.numpy(), rtol=1e-13)


def test_values(rng: np.random.Generator) -> None:
    """Values are kept within bounds as PyTorch's are; NaN stays NaN."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    ours = params(rng)
    ours[1].grad = ta.tensor([math.nan, math.inf, -math.inf, 0.25], dtype="float64")
    theirs = [torch.zeros(p.shape, dtype=torch.float64) for p in ours]
    for p, q in zip(ours, theirs, strict=True):
        assert p.grad is not None
        q.grad = torch.tensor(p.grad.numpy())
    torch.nn.utils.clip_grad_value_(theirs, 0.5)
    optim.clip_grad_value_(ours, 0.5)
    for p, q in zip(ours, theirs, strict=True):
        assert p.grad is not None
        np.testing.assert_array_equal(p.grad.numpy(), q.grad.numpy())


def test_low_precision_does_not_overflow() -> None:
    """float16 gradients of 1000, whose squares float16 doesn't have, are clipped all the same."""
    p = ta.zeros((4,), dtype="float16")
    p.requires_grad = True
    p.grad = ta.full((4,), 1000.0, dtype="float16")
    total = optim.clip_grad_norm_(p, 1.0)
    assert total.dtype is ta.float32 and total.item() == 2000
    assert p.grad.tolist() == [0.5] * 4 and p.grad.dtype is ta.float16


def test_training_with_clipping_is_traced_once(device: str) -> None:
    """A jitted step that clips takes steps of at most lr * max_norm, whatever the loss."""
    p = ta.tensor([8.0, 6.0], requires_grad=True)
    opt = optim.SGD([p], lr=0.5)

    @ta.jit
    def step() -> ta.Tensor:
        opt.zero_grad()
        (p * p).sum().backward()
        total = optim.clip_grad_norm_([p], 1.0)
        opt.step()
        return total

    totals = [step().item() for _ in range(3)]
    np.testing.assert_allclose(totals, [20.0, 19.0, 18.0], rtol=1e-6)
    np.testing.assert_allclose(p.numpy(), [6.8, 5.1], rtol=1e-6)
    assert step.traces == 1


def test_a_norm_that_is_not_finite() -> None:
    """It raises if asked to and leaves the gradients; else all become NaN; never in a trace."""
    p = ta.zeros((2,))
    p.requires_grad = True
    p.grad = ta.tensor([math.nan, 1.0])
    with pytest.raises(GradientError, match=r"clip_grad_norm_: the norm of the gradients is nan;"):
        optim.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
    assert p.grad.tolist()[1] == 1
    with pytest.raises(TraceError, match=r"clip_grad_norm_: error_if_nonfinite can't be traced"):
        ta.jit(lambda: optim.clip_grad_norm_(p, 1.0, error_if_nonfinite=True))()
    assert math.isnan(optim.clip_grad_norm_(p, 1.0).item())
    assert np.isnan(p.grad.numpy()).all()


def test_nothing_to_clip() -> None:
    """Without a gradient the norm is 0."""
    assert optim.clip_grad_norm_([ta.zeros((2,))], 1.0).item() == 0
    assert optim.clip_grad_norm_([], 1.0).item() == 0


@pytest.mark.parametrize(
    ("clip", "text"),
    [
        (lambda p: optim.clip_grad_norm_(p, -1.0), r"clip_grad_norm_: max_norm=-1\.0; expected"),
        (lambda p: optim.clip_grad_norm_(p, 1.0, "2"), r"clip_grad_norm_: norm_type='2'; expected"),
        (lambda p: optim.clip_grad_norm_(p, 1.0, math.nan), r"clip_grad_norm_: norm_type=nan;"),
        (lambda p: optim.clip_grad_norm_([1], 1.0), r"clip_grad_norm_: parameter 0 is int;"),
        (lambda p: optim.clip_grad_value_(p, math.nan), r"clip_grad_value_: clip_value=nan;"),
    ],
)
def test_mistakes(clip: Any, text: str) -> None:
    """Impossible numbers raise one line."""
    with pytest.raises(ArgumentError, match=text):
        clip([ta.zeros((1,))])
