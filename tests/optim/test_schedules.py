"""Schedules: the rates of a run are PyTorch's, by group; jitted steps see them; runs resume."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import optim
from tinyaccel.errors import ArgumentError, TraceError

RATES = (0.3, 0.07)  # of the two groups
STEPS = 24
Make = Callable[[Any, Any], Any]  # (the module that has the schedules, the optimizer)


def leaf() -> ta.Tensor:
    """A parameter."""
    return ta.tensor([1.0], requires_grad=True)


def ours(kind: str = "SGD", **options: Any) -> Any:
    """An optimizer of two groups."""
    groups = [{"params": [leaf()], "lr": lr} for lr in RATES]
    return getattr(optim, kind)(groups, **options)


def theirs(kind: str = "SGD", **options: Any) -> Any:
    """PyTorch's."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in RATES]
    return getattr(torch.optim, kind)(groups, **options)


TABLE: list[tuple[str, Make]] = [
    ("step", lambda m, o: m.StepLR(o, 4, gamma=0.5)),
    ("milestones", lambda m, o: m.MultiStepLR(o, [11, 3, 3, 20], gamma=0.3)),
    ("milestone 0", lambda m, o: m.MultiStepLR(o, [0, 5])),
    ("constant", lambda m, o: m.ConstantLR(o, factor=0.25, total_iters=6)),
    ("linear", lambda m, o: m.LinearLR(o, start_factor=0.1, total_iters=7)),
    ("linear down", lambda m, o: m.LinearLR(o, 0.9, end_factor=0.2, total_iters=10)),
    ("exponential", lambda m, o: m.ExponentialLR(o, 0.9)),
    ("polynomial", lambda m, o: m.PolynomialLR(o, total_iters=9, power=2.5)),
    ("cosine, past its end", lambda m, o: m.CosineAnnealingLR(o, T_max=9, eta_min=0.01)),
    ("restarts", lambda m, o: m.CosineAnnealingWarmRestarts(o, T_0=5)),
    ("longer restarts", lambda m, o: m.CosineAnnealingWarmRestarts(o, 3, T_mult=2, eta_min=0.02)),
    ("lambda", lambda m, o: m.LambdaLR(o, lambda t: 1 / (1 + t))),
    ("lambdas", lambda m, o: m.LambdaLR(o, [lambda t: 0.9**t, lambda t: float(t % 3)])),
    ("warm-up and cosine", lambda m, o: m.SequentialLR(
        o, [m.LinearLR(o, 0.2, total_iters=5), m.CosineAnnealingLR(o, T_max=19)], [5])),
    ("three in a row", lambda m, o: m.SequentialLR(
        o, [m.ConstantLR(o, 0.5, 2), m.ExponentialLR(o, 0.8), m.StepLR(o, 2)], [3, 9])),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:The epoch parameter")  # PyTorch warns of its own call
@pytest.mark.filterwarnings("ignore:Detected call of")  # steps of the schedule alone
@pytest.mark.parametrize("make", [make for _, make in TABLE], ids=[name for name, _ in TABLE])
def test_rates_as_pytorch(make: Make) -> None:
    """Both groups' rates over 24 steps are PyTorch's, in `at`, in the optimizer, and by set()."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    mine, oracle = ours(), theirs()
    schedule = make(optim, mine)
    expected_schedule = make(torch.optim.lr_scheduler, oracle)
    expected = []
    for step in range(STEPS):
        row = [group["lr"] for group in oracle.param_groups]
        expected.append(row)
        np.testing.assert_allclose(schedule.get_last_lr(), row, rtol=1e-12, atol=1e-17)
        got = [group["lr"].item() for group in mine.param_groups]
        np.testing.assert_allclose(got, row, rtol=1e-7, atol=1e-17, err_msg=f"step {step}")
        schedule.step()
        expected_schedule.step()
    for step in (17, 0, 5):
        np.testing.assert_allclose(schedule.at(step), expected[step], rtol=1e-12, atol=1e-17)
        schedule.set(step)
        got = [group["lr"].item() for group in mine.param_groups]
        np.testing.assert_allclose(got, expected[step], rtol=1e-7, atol=1e-17)


CYCLES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("SGD", {"momentum": 0.9}, {"max_lr": [0.5, 2.0], "total_steps": STEPS}),
    ("SGD", {"momentum": 0.9}, {
        "max_lr": 1.0, "epochs": 4, "steps_per_epoch": 6, "anneal_strategy": "linear",
        "pct_start": 0.25, "div_factor": 10.0, "final_div_factor": 100.0,
        "base_momentum": [0.7, 0.8], "max_momentum": 0.9,
    }),
    ("Adam", {"betas": (0.9, 0.99)}, {"max_lr": 0.5, "total_steps": STEPS, "three_phase": True}),
    ("Adagrad", {}, {"max_lr": 0.5, "total_steps": STEPS, "cycle_momentum": False}),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize(("kind", "options", "cycle"), CYCLES, ids=lambda v: str(v)[:30])
def test_one_cycle_as_pytorch(kind: str, options: dict[str, Any], cycle: dict[str, Any]) -> None:
    """Rates and momenta (or beta1) of a whole cycle are PyTorch's; after it comes an error."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    mine, oracle = ours(kind, **options), theirs(kind, **options)
    schedule = optim.OneCycleLR(mine, **cycle)
    expected = torch.optim.lr_scheduler.OneCycleLR(oracle, **cycle)
    for step in range(STEPS):
        np.testing.assert_allclose(schedule.get_last_lr(), expected.get_last_lr(), rtol=1e-12)
        for group, other in zip(mine.param_groups, oracle.param_groups, strict=True):
            assert group["lr"].item() == pytest.approx(other["lr"], rel=1e-6), step
            for name in ("momentum", "betas"):
                if name in group:
                    got = np.array([float(v) for v in np.atleast_1d(group[name])])
                    np.testing.assert_allclose(got, other[name], rtol=1e-6, err_msg=f"step {step}")
        schedule.step()
        if step < STEPS - 1:
            expected.step()
    assert schedule.get_last_lr() == schedule.at(STEPS - 1)
    with pytest.raises(ArgumentError, match=r"OneCycleLR: step 25 of a cycle of 24; make it with"):
        schedule.step()


FIGURES = [5.0, 4.0, 4.5, 4.2, 3.99, 3.9999, 4.1, math.nan, 3.0, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6, 3.7,
           2.0, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5]  # fmt: skip
PLATEAUS: list[dict[str, Any]] = [
    {"patience": 1, "factor": 0.5},
    {"patience": 0, "factor": 0.1, "min_lr": [0.01, 0.05], "cooldown": 2},
    {"patience": 2, "factor": 0.5, "threshold": 0.5, "threshold_mode": "abs"},
    {"mode": "max", "patience": 1, "threshold": 0.01},
    {"mode": "max", "patience": 0, "threshold": 1.0, "threshold_mode": "abs", "eps": 0.05},
]


@pytest.mark.parametrize("options", PLATEAUS, ids=str)
def test_plateaus_as_pytorch(options: dict[str, Any]) -> None:
    """The rates are PyTorch's after each of 24 figures; saved in the middle, they go on alike."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    mine, oracle = ours(), theirs()
    schedule = optim.ReduceLROnPlateau(mine, **options)
    expected = torch.optim.lr_scheduler.ReduceLROnPlateau(oracle, **options)
    for i, figure in enumerate(FIGURES):
        if i == 10:
            saved = json.loads(json.dumps(schedule.state_dict()))
            mine = ours()
            schedule = optim.ReduceLROnPlateau(mine, **options)
            schedule.load_state_dict(saved)
        schedule.step(figure if i % 2 else ta.tensor(figure, dtype="float64"))
        expected.step(figure)
        row = [group["lr"] for group in oracle.param_groups]
        np.testing.assert_allclose(schedule.get_last_lr(), row, rtol=1e-14)
        got = [group["lr"].item() for group in mine.param_groups]
        np.testing.assert_allclose(got, row, rtol=1e-7)
    assert row != list(RATES)


# With training


def train(jitted: bool, steps: int, stop: int | None = None) -> tuple[list[np.ndarray], Any]:
    """Steps of Adam in two groups on a one-cycle schedule; `stop`: where to save and go on anew."""

    def make(values: list[np.ndarray]) -> Any:
        params = [ta.tensor(v, requires_grad=True) for v in values]
        opt = optim.Adam([{"params": [p], "lr": lr} for p, lr in zip(params, RATES, strict=True)])
        schedule = optim.OneCycleLR(opt, max_lr=0.5, total_steps=20)

        def step() -> None:
            opt.zero_grad()
            ((params[0] - 3 * params[1]) ** 2).sum().backward()
            opt.step()

        return params, opt, schedule, ta.jit(step) if jitted else step

    params, opt, schedule, step = make([np.float32([1.0, 2.0]), np.float32([-1.0, 0.5])])
    for i in range(steps):
        if i == stop:
            states = opt.state_dict(), json.loads(json.dumps(schedule.state_dict()))
            params, opt, schedule, step = make([p.numpy() for p in params])
            opt.load_state_dict(states[0])
            schedule.load_state_dict(states[1])
        step()
        schedule.step()
    return [p.numpy() for p in params] + list(opt.state_dict().values()), step


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jitted"])
def test_a_resumed_run_is_the_same_run(jitted: bool) -> None:
    """Saved after 5 of 12 steps, optimizer and schedule go on to the same bits; one trace each."""
    straight, step = train(jitted, 12)
    resumed, step_on = train(jitted, 12, stop=5)
    for a, b in zip(straight, resumed, strict=True):
        np.testing.assert_array_equal(a, b)
    if jitted:
        assert step.traces == step_on.traces == 1


def test_a_jitted_step_follows(device: str) -> None:
    """The rate of each step is the schedule's, in one trace."""
    p = ta.tensor([8.0], requires_grad=True)
    opt = optim.SGD([p], lr=1.0)
    schedule = optim.ExponentialLR(opt, 0.5)

    @ta.jit
    def step() -> None:
        opt.zero_grad()
        p.sum().backward()
        opt.step()

    seen = []
    for _ in range(4):
        step()
        schedule.step()
        seen.append(p.item())
    assert seen == [7, 6.5, 6.25, 6.125] and step.traces == 1


# What a schedule starts from


def test_a_second_schedule_starts_where_the_first_did() -> None:
    """Unless the rate has been set by hand: then from that. Steps don't count as by hand."""
    opt = optim.SGD([leaf()], lr=0.5)
    first = optim.StepLR(opt, 1)
    first.step()
    assert optim.ExponentialLR(opt, 0.5).at(0) == [0.5]
    opt.lr = 0.25
    second = optim.StepLR(opt, 1)
    assert second.at(0) == [0.25] and opt.lr.item() == 0.25


def test_the_first_rate_is_not_rounded() -> None:
    """0.1 as it was given, not as float32 has it; but what is really there, if that is another."""
    opt = optim.SGD([leaf()], lr=0.1)
    assert optim.StepLR(opt, 1).base_lrs == [0.1]
    opt.lr = opt.lr * 2
    assert optim.StepLR(opt, 1).base_lrs == [float(np.float32(0.2))]
    other = optim.SGD([leaf()], lr=0.3)
    other.load_state_dict(opt.state_dict())
    assert optim.StepLR(other, 1).base_lrs == [float(np.float32(0.2))]


def test_a_state_brings_its_first_rates() -> None:
    """A schedule made for an optimizer that was loaded in the middle goes on from the start's."""
    opt = optim.SGD([leaf()], lr=0.5)
    schedule = optim.StepLR(opt, 1, gamma=0.5)
    schedule.step()
    other = optim.SGD([leaf()], lr=3.0)
    other.load_state_dict(opt.state_dict())
    resumed = optim.StepLR(other, 1, gamma=0.5)
    resumed.load_state_dict(schedule.state_dict())
    assert resumed.get_last_lr() == [0.25] and other.lr.item() == 0.25
    assert optim.StepLR(other, 1).base_lrs == [0.5]
    assert repr(resumed) == "StepLR(step 1, lr 0.25)"


# Mistakes


def sgd() -> optim.SGD:
    """An optimizer of one group."""
    return optim.SGD([leaf()], lr=0.5)


def grown() -> Any:
    """Schedules whose optimizer got another group after they were made."""
    opt = sgd()
    schedules = optim.StepLR(opt, 2), optim.ReduceLROnPlateau(opt)
    opt.add_param_group({"params": [leaf()]})
    return schedules


def sequence(**options: Any) -> object:
    """Two schedules in a row, with something wrong."""
    opt = sgd()
    two = [optim.StepLR(opt, 2), optim.StepLR(opt, 3)]
    return optim.SequentialLR(opt, **{"schedulers": two, "milestones": [4], **options})


BAD: list[tuple[Callable[[], object], str]] = [
    (lambda: optim.StepLR(0.1, 2), r"StepLR: optimizer is float; expected an optimizer"),  # type: ignore[arg-type]
    (lambda: optim.StepLR(sgd(), 0), r"StepLR: step_size=0; expected a whole number, 1 or more"),
    (lambda: optim.StepLR(sgd(), 2.5), r"StepLR: step_size=2\.5; expected"),  # type: ignore[arg-type]
    (lambda: optim.StepLR(sgd(), 2, -1), r"StepLR: gamma=-1; expected a number, 0 or more"),
    (lambda: optim.StepLR(sgd(), 2).at(-1), r"StepLR: step=-1; expected a whole number, 0 or more"),
    (lambda: optim.MultiStepLR(sgd(), [-1]), r"MultiStepLR: milestones=-1;"),
    (lambda: optim.ConstantLR(sgd(), 1.5), r"ConstantLR: factor=1\.5; expected a number, from 0"),
    (lambda: optim.LinearLR(sgd(), 0), r"LinearLR: start_factor=0; a step of 0 learns nothing"),
    (lambda: optim.LinearLR(sgd(), total_iters=0), r"LinearLR: total_iters=0;"),
    (lambda: optim.ExponentialLR(sgd(), math.nan), r"ExponentialLR: gamma=nan;"),
    (lambda: optim.PolynomialLR(sgd(), power=-1), r"PolynomialLR: power=-1;"),
    (lambda: optim.CosineAnnealingLR(sgd(), 0), r"CosineAnnealingLR: T_max=0;"),
    (lambda: optim.CosineAnnealingWarmRestarts(sgd(), 2, 0), r"WarmRestarts: T_mult=0;"),
    (lambda: optim.LambdaLR(sgd(), [float, float]), r"LambdaLR: 2 functions for 1 parameter gr"),
    (lambda: optim.LambdaLR(sgd(), lambda t: -1.0), r"SGD: lr=-0\.5; expected a number, 0 or more"),
    (lambda: sequence(milestones=[]), r"SequentialLR: 2 schedules with milestones \[\]; expected"),
    (lambda: sequence(schedulers=[optim.StepLR(sgd(), 2)], milestones=[]),
     r"SequentialLR: schedule 0 \(StepLR\) is of another optimizer"),
    (lambda: sequence(schedulers=[optim.ReduceLROnPlateau(sgd())], milestones=[]),
     r"SequentialLR: schedule 0 is ReduceLROnPlateau; expected functions of the step"),
    (lambda: optim.OneCycleLR(sgd(), 0.1, epochs=3), r"OneCycleLR: epochs=3, steps_per_epoch=None"),
    (lambda: optim.OneCycleLR(sgd(), 0.1, 3), r"OneCycleLR: pct_start=0\.3 of 3 steps leaves a ph"),
    (lambda: optim.OneCycleLR(sgd(), [0.1, 0.2], 9), r"OneCycleLR: max_lr has 2 values for 1 para"),
    (lambda: optim.OneCycleLR(sgd(), 0.1, 9, anneal_strategy="cosine"),
     r"OneCycleLR: anneal_strategy='cosine'; expected \"cos\" or \"linear\""),
    (lambda: optim.OneCycleLR(optim.Adagrad([leaf()]), 0.1, 9),
     r"OneCycleLR: Adagrad has no momentum to change; pass cycle_momentum=False"),
    (lambda: optim.OneCycleLR(sgd(), 0.1, 9, div_factor=0), r"OneCycleLR: div_factor=0; expected"),
    (lambda: optim.ReduceLROnPlateau(sgd(), "low"), r"ReduceLROnPlateau: mode='low'; expected"),
    (lambda: optim.ReduceLROnPlateau(sgd(), factor=1.0), r"ReduceLROnPlateau: factor=1 changes"),
    (lambda: grown()[0].step(), r"StepLR: made for 1 parameter groups, the optimizer has 2 now;"),
    (lambda: grown()[1].step(1.0), r"ReduceLROnPlateau: made for 1 parameter gr"),
    (lambda: optim.StepLR(sgd(), 2).load_state_dict({"count": 1}),
     r"load_state_dict: the state doesn't fit this StepLR: missing: base_lrs; nothing was loaded"),
    (lambda: optim.StepLR(sgd(), 2).load_state_dict({"count": 1, "base_lrs": [1, 2]}),
     r"load_state_dict: the state of this StepLR is of 2 parameter groups, here are 1;"),
    (lambda: optim.ReduceLROnPlateau(sgd()).load_state_dict({"lrs": [1]}),
     r"this ReduceLROnPlateau: missing: best, bad, cooling; nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "text"), BAD, ids=[b[1][:30] for b in BAD])
def test_mistakes(make: Callable[[], object], text: str) -> None:
    """An impossible schedule raises one line that names it, what arrived and what was expected."""
    with pytest.raises(ArgumentError, match=text) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_schedules_stay_outside_jit() -> None:
    """In a jitted function a schedule would go on once, at the trace: it is refused."""
    opt = sgd()
    schedule, plateau = optim.StepLR(opt, 2), optim.ReduceLROnPlateau(opt)
    for inside, text in [
        (lambda: optim.StepLR(opt, 2), r"StepLR can't be traced .* make it outside"),
        (schedule.step, r"StepLR\.set can't be traced .* set it outside the jitted function"),
        (lambda: plateau.step(1.0), r"ReduceLROnPlateau\.step can't be traced"),
    ]:
        with pytest.raises(TraceError, match=text):
            ta.jit(inside)()
