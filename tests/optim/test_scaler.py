"""GradScaler: the scale's way, against PyTorch's; steps that overflow are left out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import optim
from tinyaccel.errors import ArgumentError, GradientError, TraceError

# Whether the gradient overflows, by step: growth after two good ones in a row.
OVERFLOWS = [False, False, True, False, True, True, False, False, False, False]


def leaf() -> ta.Tensor:
    """A parameter."""
    return ta.tensor([1.0, -2.0], requires_grad=True)


def training(scaler: optim.GradScaler) -> tuple[ta.Tensor, optim.Optimizer, Any]:
    """A parameter, its optimizer, and a step of mixed precision on loss factors."""
    p = leaf()
    opt = optim.SGD([p], lr=0.125, momentum=0.5)

    def step(factor: ta.Tensor) -> ta.Tensor:
        opt.zero_grad()
        scaler.scale((p * factor).sum()).backward()
        finite = scaler.unscale_([p])
        opt.step(when=finite)
        scaler.update(finite)
        return finite

    return p, opt, step


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jitted"])
def test_the_way_of_the_scale(jitted: bool) -> None:
    """Scale, growth tracker and parameters are PyTorch's after each of ten steps."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    options = {"init_scale": 2.0**10, "growth_factor": 4.0, "backoff_factor": 0.25,
               "growth_interval": 2}  # fmt: skip
    scaler = optim.GradScaler(**options)  # type: ignore[arg-type]
    oracle = torch.amp.GradScaler("cpu", **options)
    p, _, step = training(scaler)
    run = ta.jit(step) if jitted else step
    q = torch.tensor(p.numpy(), requires_grad=True)
    opt = torch.optim.SGD([q], lr=0.125, momentum=0.5)
    for overflows in OVERFLOWS:
        factor = np.float32(math.inf if overflows else 1.5)
        assert run(ta.tensor(factor)).item() is (not overflows)
        opt.zero_grad()
        oracle.scale((q * torch.tensor(factor)).sum()).backward()
        oracle.step(opt)
        oracle.update()
        np.testing.assert_array_equal(p.numpy(), q.detach().numpy())
        state = oracle.state_dict()
        assert scaler.get_scale() == state["scale"]
        assert scaler.state_dict()["growth_tracker"] == state["_growth_tracker"]
    if jitted:
        assert run.traces == 1


def test_small_gradients_survive_float16() -> None:
    """A gradient of 2**-26, which float16 rounds to 0, arrives when the loss is scaled."""
    seen = []
    for scale in (1.0, 2.0**16):
        x = ta.tensor([1.0], requires_grad=True)
        scaler = optim.GradScaler(init_scale=scale)
        loss = (x.astype("float16").astype("float32") * 2.0**-26).sum()
        scaler.scale(loss).backward()
        assert scaler.unscale_(x).item()
        assert x.grad is not None
        seen.append(x.grad.item())
    assert seen == [0.0, 2.0**-26]


def test_the_scaled_loss_is_wide() -> None:
    """A float16 loss of 8 times 2**16 is no infinity."""
    scaled = optim.GradScaler().scale(ta.tensor(8.0, dtype="float16"))
    assert scaled.dtype is ta.float32 and scaled.item() == 2.0**19


def test_one_bad_gradient_is_enough() -> None:
    """NaN or infinity in any of several gradients is seen, also what unscaling overflows."""
    scaler = optim.GradScaler(init_scale=0.5)
    for bad in (math.nan, math.inf, -math.inf, 3e38, 1.0):
        a, b, c, idle = leaf(), leaf(), leaf(), leaf()
        a.grad = c.grad = ta.tensor([1.0, 1.0])
        b.grad = ta.tensor([1.0, bad])
        assert scaler.unscale_([a, b, c, idle]).item() is (bad == 1)
        assert a.grad.tolist() == c.grad.tolist() == [2, 2]


def test_the_scale_stays_finite() -> None:
    """A scale that can't grow stays."""
    scaler = optim.GradScaler(init_scale=2.0**127, growth_interval=1)
    scaler.update(ta.tensor(True))
    assert scaler.get_scale() == 2.0**127


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jitted"])
def test_a_resumed_run_is_the_same_run(jitted: bool) -> None:
    """Saved in the middle, scaler, optimizer and parameter go on to the same bits."""
    factors = [ta.tensor(math.inf if bad else 1.0 + i) for i, bad in enumerate(OVERFLOWS)]
    ends = []
    for stop in (None, 4):
        scaler = optim.GradScaler(growth_interval=2)
        p, opt, step = training(scaler)
        run = ta.jit(step) if jitted else step
        for i, factor in enumerate(factors):
            if i == stop:
                states = (scaler.state_dict(), opt.state_dict(), p.numpy())
                scaler = optim.GradScaler(init_scale=3.0, growth_interval=2)
                p, opt, step = training(scaler)
                run = ta.jit(step) if jitted else step
                scaler.load_state_dict(states[0])
                opt.load_state_dict(states[1])
                p.assign(states[2])
            run(factor)
        ends.append([p.numpy(), *scaler.state_dict().values(), *opt.state_dict().values()])
    for straight, resumed in zip(*ends, strict=True):
        np.testing.assert_array_equal(resumed, straight)


def test_on_each_device(device: str) -> None:
    """State is made on a device or moved there, and the step runs there."""
    scaler = optim.GradScaler("cpu", init_scale=4.0)
    assert scaler.to(device) is scaler and scaler.device is ta.get_device(device)
    p, _, step = training(scaler)
    run = ta.jit(step)
    assert [run(ta.tensor(f)).item() for f in (1.0, math.inf)] == [True, False]
    assert p.tolist() == [0.875, -2.125] and scaler.get_scale() == 2
    assert optim.GradScaler().device is ta.get_device(device)


def test_mistakes() -> None:
    """Impossible numbers, states, places and gradients raise one line."""
    for options, text in [
        ({"init_scale": 0.0}, r"init_scale=0\.0; expected a finite number above 0"),
        ({"growth_factor": 1.0}, r"growth_factor=1\.0; expected a finite number above 1"),
        ({"backoff_factor": 1}, r"backoff_factor=1; expected a finite number above 0 and below 1"),
        ({"growth_interval": 2.5}, r"growth_interval=2\.5; expected an integer"),
        ({"growth_interval": 0}, r"growth_interval=0; expected"),
    ]:
        with pytest.raises(ArgumentError, match=f"GradScaler: {text}"):
            optim.GradScaler(**options)  # type: ignore[arg-type]
    scaler = optim.GradScaler()
    with pytest.raises(GradientError, match=r"unscale_: none of 1 parameters has a gradient; call"):
        scaler.unscale_([leaf()])
    with pytest.raises(ArgumentError, match=r"GradScaler\.update: True; expected what unscale_"):
        scaler.update(True)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"this GradScaler: missing: growth_tracker; nothing"):
        scaler.load_state_dict({"scale": np.ones(())})
    with pytest.raises(TraceError, match="load_state_dict"):
        ta.jit(lambda: scaler.load_state_dict({}))()
    assert repr(scaler) == "GradScaler(scale=65536) on cpu"
