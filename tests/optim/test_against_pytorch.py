"""Every optimizer, with every option, takes PyTorch's steps; jitted, it takes its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import optim
from tinyaccel.tensor import Tensor

CONFIGS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.05, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.02, "weight_decay": 0.1, "eps": 1e-3}),
    ("Adagrad", {"initial_accumulator_value": 0.5, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"alpha": 0.8, "eps": 1e-4, "weight_decay": 0.1}),
    ("RMSprop", {"momentum": 0.9}),
    ("RMSprop", {"momentum": 0.5, "centered": True, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.02, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"betas": (0.0, 0.5)}),
    ("Adam", {"amsgrad": True, "maximize": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.02, "weight_decay": 0.3, "amsgrad": True}),
    ("AdamW", {"weight_decay": 0.0, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.7, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("Adamax", {"lr": 0.02, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adamax", {"maximize": True}),
    ("NAdam", {"momentum_decay": 0.1, "weight_decay": 0.1}),
    ("NAdam", {"decoupled_weight_decay": True, "weight_decay": 0.3, "maximize": True}),
    ("RAdam", {"weight_decay": 0.1}),
    ("RAdam", {"lr": 0.02, "betas": (0.8, 0.9), "eps": 1e-3, "maximize": True}),
    ("RAdam", {"betas": (0.9, 0.9999), "decoupled_weight_decay": True, "weight_decay": 0.3}),
]
SHAPES = [(5, 3), (4,), ()]
STEPS = 50
Grads = Sequence[Sequence[np.ndarray | None]]  # by step, by parameter


def name(config: object) -> str:
    """How a configuration is shown in a test's name."""
    if isinstance(config, dict):
        return ", ".join(f"{k}={v}" for k, v in config.items()) or "defaults"
    return str(config)


def draw(rng: np.random.Generator) -> tuple[list[np.ndarray], list[list[np.ndarray | None]]]:
    """Parameters, and gradients for STEPS steps, all exact in float32.

    The last parameter gets its first gradient in step 5, and none in every fourth step after it.
    """
    start = [rng.standard_normal(s).astype(np.float32) for s in SHAPES]
    grads: list[list[np.ndarray | None]] = []
    for step in range(STEPS):
        row: list[np.ndarray | None] = [rng.standard_normal(s).astype(np.float32) for s in SHAPES]
        if step < 5 or step % 4 == 0:
            row[-1] = None
        grads.append(row)
    return start, grads


def ours(
    make: Callable[[list[Tensor]], optim.Optimizer],
    start: list[np.ndarray],
    grads: Grads,
    dtype: str,
    change: Callable[[Any, int], None] = lambda opt, step: None,
) -> list[np.ndarray]:
    """The parameters after all steps; `change(opt, step)` may set hyper-parameters before one."""
    params = [ta.tensor(s.astype(dtype), requires_grad=True) for s in start]
    opt = make(params)
    for step, row in enumerate(grads):
        change(opt, step)
        opt.zero_grad()
        for p, g in zip(params, row, strict=True):
            p.grad = None if g is None else ta.tensor(g.astype(dtype))
        opt.step()
    return [p.numpy() for p in params]


def theirs(
    kind: str,
    options: dict[str, Any],
    start: list[np.ndarray],
    grads: Grads,
    change: Callable[[Any, int], None] = lambda opt, step: None,
) -> list[np.ndarray]:
    """The same in PyTorch, in float64."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    params = [torch.tensor(s, dtype=torch.float64, requires_grad=True) for s in start]
    opt = getattr(torch.optim, kind)(params, **options)
    for step, row in enumerate(grads):
        change(opt.param_groups[0], step)
        for p, g in zip(params, row, strict=True):
            p.grad = None if g is None else torch.tensor(g, dtype=torch.float64)
        opt.step()
    return [p.detach().numpy() for p in params]


def assert_close(got: list[np.ndarray], expected: list[np.ndarray], eps: float) -> None:
    """Apart by rounding at most.

    A step does some ten operations on numbers no larger than the parameter and its path, each
    off by eps/2; over STEPS steps that is 5 eps a step. float64 comes to 6e-14, float32 to 3e-5.
    The exception is centered RMSprop, where square_avg - grad_avg**2 magnifies a relative error
    by at most a factor of 4 with gradients like these.
    """
    for a, b in zip(got, expected, strict=True):
        assert np.abs(a - b).max() <= 5 * eps * STEPS * max(1.0, np.abs(b).max())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("kind", "options"), CONFIGS, ids=name)
def test_fifty_steps(
    kind: str, options: dict[str, Any], dtype: str, rng: np.random.Generator
) -> None:
    """Fifty steps end where PyTorch's end, also for a parameter that misses some."""
    start, grads = draw(rng)
    expected = theirs(kind, options, start, grads)
    make = getattr(optim, kind)
    got = ours(lambda params: make(params, **options), start, grads, dtype)
    # PyTorch keeps NAdam's product of momenta in float32 whatever the parameters are.
    assert_close(got, expected, float(np.finfo("float32" if kind == "NAdam" else dtype).eps))


SCHEDULES: list[tuple[str, dict[str, Any], dict[int, dict[str, Any]]]] = [
    ("SGD", {"lr": 0.1}, {10: {"lr": 0.5}, 20: {"weight_decay": 0.2}, 30: {"momentum": 0.7}}),
    ("SGD", {"momentum": 0.9, "dampening": 0.2}, {10: {"momentum": 0.0}, 20: {"momentum": 0.5}}),
    ("Adagrad", {"lr_decay": 0.1}, {10: {"lr": 0.2}, 20: {"weight_decay": 0.2}}),
    ("RMSprop", {"momentum": 0.1}, {10: {"alpha": 0.5}, 20: {"weight_decay": 0.2}, 30: {"lr": 1}}),
    ("Adam", {}, {10: {"betas": (0.5, 0.9)}, 20: {"weight_decay": 0.2}, 30: {"lr": 0.1}}),
    ("AdamW", {}, {10: {"betas": (0.5, 0.9)}, 20: {"weight_decay": 0.0}, 30: {"lr": 0.1}}),
]


@pytest.mark.parametrize(("kind", "options", "changes"), SCHEDULES, ids=name)
def test_schedules(
    kind: str,
    options: dict[str, Any],
    changes: dict[int, dict[str, Any]],
    rng: np.random.Generator,
) -> None:
    """Hyper-parameters that change on the way, also from 0, have PyTorch's effect."""

    def set_ours(opt: Any, step: int) -> None:
        for key, value in changes.get(step, {}).items():
            setattr(opt, key, value)

    start, grads = draw(rng)
    expected = theirs(
        kind, options, start, grads, lambda group, step: group.update(changes.get(step, {}))
    )
    got = ours(
        lambda params: getattr(optim, kind)(params, **options), start, grads, "float64", set_ours
    )
    assert_close(got, expected, float(np.finfo(np.float64).eps))


def _train(kind: str, options: dict[str, Any], where: str, jitted: bool, steps: int) -> Any:
    """Parameters, optimizer state and losses of a small regression, and the step function."""
    rng = np.random.default_rng(3)
    x = ta.tensor(rng.standard_normal((6, 4)), device=where)
    y = ta.tensor(rng.standard_normal((6, 3)), device=where)
    w = ta.tensor(rng.standard_normal((3, 4)), device=where, requires_grad=True)
    b = ta.tensor(rng.standard_normal(3), device=where, requires_grad=True)
    idle = ta.tensor([1.0], dtype="float64", device=where, requires_grad=True)
    opt = getattr(optim, kind)([w, b, idle], **options)

    def step() -> Tensor:
        opt.zero_grad()
        loss = ta.mse(ta.tanh(ta.linear(x, w, b)), y)
        loss.backward()
        opt.step()
        return loss

    run = ta.jit(step) if jitted else step
    losses = [run().item() for _ in range(steps)]
    return [w.numpy(), b.numpy(), idle.numpy()], opt.state_dict(), losses, run, opt


@pytest.mark.parametrize(("kind", "options"), CONFIGS, ids=name)
def test_jitted_as_eager(kind: str, options: dict[str, Any]) -> None:
    """A jitted training step leaves the parameters and state that an eager one leaves.

    In float64; five steps of some hundred roundings each, so 1e-13 is generous for a compiler
    that reorders and far below any other mistake.
    """
    eager = _train(kind, options, "cpu", False, 5)
    jitted = _train(kind, options, "cpu", True, 5)
    assert jitted[3].traces == 1
    for a, b in zip(eager[0], jitted[0], strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-13, atol=1e-13)
    for key, value in eager[1].items():
        np.testing.assert_allclose(jitted[1][key], value, rtol=1e-13, atol=1e-13, err_msg=key)
    np.testing.assert_allclose(jitted[2], eager[2], rtol=1e-13)


LAST = {kind: (kind, options) for kind, options in CONFIGS}


@pytest.mark.parametrize(("kind", "options"), LAST.values(), ids=name)
def test_jitted_on_each_device(kind: str, options: dict[str, Any], device: str) -> None:
    """Jitted on any device, a few steps end where eager ones end on the CPU, within rounding."""
    eager = _train(kind, options, "cpu", False, 3)
    jitted = _train(kind, options, device, True, 3)
    for a, b in zip(eager[0], jitted[0], strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kind", "options", "changes"), SCHEDULES, ids=name)
def test_a_jitted_step_sees_every_change(
    kind: str, options: dict[str, Any], changes: dict[int, dict[str, Any]]
) -> None:
    """Setting a hyper-parameter takes effect in a jitted step; only to or from 0 costs a trace."""
    outcomes = []
    for jitted in (False, True):
        *_, run, opt = _train(kind, options, "cpu", jitted, 2)
        formulas = {frozenset(opt.param_groups[0]._used)}
        for change in changes.values():
            for key, value in change.items():
                setattr(opt, key, value)
            formulas.add(frozenset(opt.param_groups[0]._used))
            run()
            run()
            if jitted:
                assert run.traces == len(formulas)
        outcomes.append(opt.params[0].numpy())
    np.testing.assert_allclose(outcomes[1], outcomes[0], rtol=1e-13, atol=1e-13)
