"""Groups of parameters with options of their own, against PyTorch's; steps that are left out."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import optim
from tinyaccel.errors import ArgumentError, DeviceError, TraceError

SHAPES = [(3, 2), (4,), ()]
GROUPS: list[tuple[str, dict[str, Any], list[dict[str, Any]]]] = [
    ("SGD", {"lr": 0.1}, [{"momentum": 0.9, "nesterov": True}, {"lr": 0.3, "weight_decay": 0.1}]),
    ("SGD", {"momentum": 0.5}, [{"dampening": 0.3}, {"momentum": 0.0, "maximize": True}]),
    # PyTorch ignores a group's own initial_accumulator_value: here it is the optimizer's.
    ("Adagrad", {"initial_accumulator_value": 0.5}, [{"lr_decay": 0.1}, {"lr": 0.2}]),
    ("RMSprop", {}, [{"centered": True, "alpha": 0.5}, {"momentum": 0.9, "eps": 1e-3}]),
    ("Adam", {}, [{"betas": (0.5, 0.8), "amsgrad": True}, {"lr": 0.1, "weight_decay": 0.2}]),
    ("AdamW", {"lr": 0.05}, [{"weight_decay": 0.0}, {"eps": 0.1}]),
    ("NAdam", {}, [{"momentum_decay": 0.1}, {"decoupled_weight_decay": True, "weight_decay": 0.1}]),
]


def leaf() -> ta.Tensor:
    """A parameter."""
    return ta.tensor([1.0], requires_grad=True)


def leaves(rng: np.random.Generator, dtype: str = "float64") -> list[ta.Tensor]:
    """Three parameters."""
    return [ta.tensor(rng.standard_normal(s), dtype=dtype, requires_grad=True) for s in SHAPES]


def grads(rng: np.random.Generator, steps: int) -> list[list[np.ndarray]]:
    """By step, a gradient for each parameter."""
    return [[np.asarray(rng.standard_normal(s)) for s in SHAPES] for _ in range(steps)]


def split(params: list[Any], own: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first parameter in one group, the others in another."""
    return [{"params": params[:1], **own[0]}, {"params": params[1:], **own[1]}]


def give(params: list[Any], row: list[np.ndarray], make: Callable[[np.ndarray], Any]) -> None:
    """Set the gradients."""
    for p, g in zip(params, row, strict=True):
        p.grad = make(g)


@pytest.mark.parametrize(("kind", "options", "own"), GROUPS, ids=lambda v: str(v)[:30])
def test_groups_step_as_pytorch(
    kind: str, options: dict[str, Any], own: list[dict[str, Any]], rng: np.random.Generator
) -> None:
    """Ten steps of two groups with options of their own end where PyTorch's end.

    In step 5 the second group's rate changes; a third group would be the same mechanism.
    """
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    params, rows = leaves(rng), grads(rng, 10)
    theirs = [torch.tensor(p.numpy(), requires_grad=True) for p in params]
    ours = getattr(optim, kind)(split(params, own), **options)
    oracle = getattr(torch.optim, kind)(split(theirs, own), **options)
    for step, row in enumerate(rows):
        if step == 5:
            for opt in (ours, oracle):
                opt.param_groups[1]["lr"] = 0.07
        give(params, row, ta.tensor)
        give(theirs, row, torch.tensor)
        ours.step()
        oracle.step()
    tolerance = 1e-6 if kind == "NAdam" else 1e-12  # PyTorch's product of momenta is float32
    for p, q in zip(params, theirs, strict=True):
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=tolerance, atol=tolerance)


def test_a_jitted_step_sees_every_group_change(rng: np.random.Generator) -> None:
    """A group's rate and betas change without a trace; a new group costs one, and takes part."""
    outcomes = []
    for jitted in (False, True):
        params = leaves(np.random.default_rng(5))
        opt = optim.Adam([{"params": params[:1]}, {"params": params[1:2], "lr": 0.1}])
        give(params, grads(np.random.default_rng(6), 1)[0], ta.tensor)

        def step(opt: optim.Adam = opt) -> None:
            opt.step()

        run = ta.jit(step) if jitted else step
        run()
        opt.param_groups[1]["lr"] = 0.2
        opt.param_groups[0]["betas"] = (0.5, 0.7)
        run()
        opt.add_param_group({"params": params[2], "lr": 0.5})
        run()
        opt.lr = 0.125
        run()
        if jitted:
            assert run.traces == 2  # type: ignore[attr-defined]
        outcomes.append([p.numpy() for p in params])
    for eager, jitted_values in zip(*outcomes, strict=True):
        np.testing.assert_allclose(jitted_values, eager, rtol=1e-13)
    assert abs(outcomes[0][2] - leaves(np.random.default_rng(5))[2].numpy()) > 0.5


def test_a_group_is_a_mapping() -> None:
    """A group reads as PyTorch's does; what is set is seen in a step, and read is today's value."""
    net = ta.nn.Linear(3, 2)
    opt = optim.Adam(net.named_parameters(), lr=0.5, betas=(0.25, 0.5))
    (group,) = opt.param_groups
    assert group["params"] == opt.params == tuple(net.parameters())
    assert group["param_names"] == ("weight", "bias")
    today = group["lr"]
    group["lr"] = 0.125
    assert (today.item(), group["lr"].item(), opt.lr.item()) == (0.5, 0.125, 0.125)
    assert [b.item() for b in group["betas"]] == [0.25, 0.5]
    group["betas"] = (0.5, 0.75)
    assert group["beta1"].item() == 0.5 and group["eps"] == 1e-8 and not group["amsgrad"]
    assert set(group) == {"params", "lr", "beta1", "beta2", "eps", "weight_decay", "amsgrad",
                          "maximize"}  # fmt: skip
    assert len(group) == 8 and "betas" in group and "momentum" not in group
    with pytest.raises(KeyError, match="Adam: a group has no 'momentum'; it has params, lr"):
        group["momentum"]
    assert repr(group).startswith("ParameterGroup(2 parameters, lr=0.125, beta1=0.5,")


def test_lr_of_all_groups() -> None:
    """opt.lr sets every group, and reads what all share; else it names the groups' own."""
    a, b = (ta.tensor([1.0], requires_grad=True) for _ in range(2))
    opt = optim.SGD([{"params": [a], "lr": 0.5}, {"params": [b]}], lr=0.25)
    with pytest.raises(
        ArgumentError, match=r"SGD: lr differs by group \(0\.5, 0\.25\); read optimizer\.param_gr"
    ):
        _ = opt.lr
    opt.lr = 0.125
    assert opt.lr.item() == 0.125
    assert [g["lr"].item() for g in opt.param_groups] == [0.125, 0.125]
    with pytest.raises(TraceError, match="SGD: lr of 2 groups, which a traced function can't"):
        ta.jit(lambda: opt.lr)()
    assert "SGD in 2 groups over 2 parameters, 2 numbers on cpu\n  0: 1 with lr=0.125" in repr(opt)


# State


def test_each_group_has_its_own_first_state() -> None:
    """A group's own initial_accumulator_value is where its sums begin."""
    groups = [{"params": leaf(), "initial_accumulator_value": 0.5}, {"params": leaf()}]
    opt = optim.Adagrad(groups, initial_accumulator_value=0.25)
    assert [t.tolist() for t in opt.state["sum"]] == [[0.5], [0.25]]


def test_names_of_state() -> None:
    """State is by the parameter's number; hyper-parameters by group, if there are several."""
    params = leaves(np.random.default_rng(1))
    opt = optim.SGD(params[:1], momentum=0.9)
    assert {"lr", "momentum", "momentum_buffer.0"} <= opt.state_dict().keys()
    opt.add_param_group({"params": params[1:], "momentum": 0.5})
    names = {"groups.0.lr", "groups.1.momentum", "momentum_buffer.0", "momentum_buffer.2"}
    assert names <= opt.state_dict().keys() and "lr" not in opt.state_dict()
    assert len(opt.state["momentum_buffer"]) == 3


@pytest.mark.parametrize(("kind", "options", "own"), GROUPS[:5], ids=lambda v: str(v)[:30])
@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jitted"])
def test_a_resumed_run_is_the_same_run(
    kind: str, options: dict[str, Any], own: list[dict[str, Any]], jitted: bool
) -> None:
    """Saved in the middle and loaded into a new optimizer, groups go on to the same bits."""

    def make(values: list[np.ndarray]) -> tuple[list[ta.Tensor], Any, Callable[[], None]]:
        params = [ta.tensor(v, requires_grad=True) for v in values]
        opt = getattr(optim, kind)(split(params, own), **options)

        def step() -> None:
            opt.step()

        return params, opt, ta.jit(step) if jitted else step

    rows = grads(np.random.default_rng(2), 6)
    start = [p.numpy() for p in leaves(np.random.default_rng(3), "float32")]
    params, opt, step = make(start)
    for i, row in enumerate(rows):
        if i == 3:
            opt.param_groups[1]["lr"] = 0.01
            resumed, other, step_on = make([p.numpy() for p in params])
            other.load_state_dict(opt.state_dict())
        give(params, row, lambda g: ta.tensor(g.astype("float32")))
        step()
        if i >= 3:
            give(resumed, row, lambda g: ta.tensor(g.astype("float32")))
            step_on()
    for p, q in zip(params, resumed, strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
    for name, value in opt.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], value, err_msg=name)


def test_a_state_of_other_groups_changes_nothing() -> None:
    """A state of another number of groups is refused, as is one that lacks a group's rate."""
    params = leaves(np.random.default_rng(1))
    one = optim.SGD(params)
    two = optim.SGD(split(params, [{"momentum": 0.5}, {}]))
    with pytest.raises(ArgumentError, match=r"this SGD: it is of 2 parameter groups, here are 1;"):
        one.load_state_dict(two.state_dict())
    state = two.state_dict()
    del state["groups.1.lr"]
    state["groups.1.momentum"] = np.ones(())
    state["momentum_buffer.1"] = np.zeros(SHAPES[1])
    state["momentum_buffer.2"] = np.zeros(SHAPES[2])
    with pytest.raises(ArgumentError, match=r"this SGD: missing: groups\.1\.lr; nothing"):
        two.load_state_dict(state)
    assert not two.param_groups[1].uses("momentum") and len(two.state["momentum_buffer"]) == 1


def test_groups_move(device: str) -> None:
    """All groups' state goes to another device; a group added there has its state there."""
    params = [ta.tensor([float(i)], requires_grad=True, device="cpu") for i in range(3)]
    net = ta.nn.Module()
    net.a, net.b, net.c = params
    opt = optim.SGD([{"params": params[:1]}, {"params": params[1:2], "lr": 0.25}], lr=0.5)
    net.to(device)
    opt.to(device)
    opt.add_param_group({"params": [params[2]], "momentum": 0.5})
    opt.param_groups[1]["momentum"] = 0.5  # and so are buffers that are made later
    for p in params:
        p.grad = ta.ones((1,), device=device)
    ta.jit(opt.step)()
    assert [p.tolist() for p in params] == [[-0.5], [0.75], [1.5]]


# Steps that are left out


ALL = ["SGD", "Adagrad", "RMSprop", "Adadelta", "Adam", "AdamW", "Adamax", "NAdam", "RAdam"]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jitted"])
def test_a_step_that_is_left_out(kind: str, jitted: bool) -> None:
    """step(when) with False leaves parameters and state to the bit, NaN or not; True is a step.

    After a step and one that was left out all is as after the one step.
    """
    rows = grads(np.random.default_rng(4), 3)
    rows[1] = [np.full(s, np.nan) for s in SHAPES]
    options = {"momentum": 0.9, "dampening": 0.1} if kind == "SGD" else {"weight_decay": 0.1}
    runs = []
    for conditional in (False, True):
        params = leaves(np.random.default_rng(3), "float32")
        opt = getattr(optim, kind)(params, **options)

        def step(good: ta.Tensor, opt: Any = opt, conditional: bool = conditional) -> None:
            opt.step(when=good if conditional else None)

        run = ta.jit(step) if jitted else step
        for i, row in enumerate(rows):
            if i == 1 and not conditional:
                continue
            give(params, row, lambda g: ta.tensor(g.astype("float32")))
            run(ta.tensor(i != 1))
        runs.append([p.numpy() for p in params] + list(opt.state_dict().values()))
    for plain, conditional_values in zip(*runs, strict=True):
        np.testing.assert_array_equal(conditional_values, plain)


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (True, r"SGD\.step: when is True; expected a 0-d bool tensor"),
        (ta.tensor([True]), r"SGD\.step: when is bool\[1\]; expected a 0-d"),
        (ta.tensor(1.0), r"SGD\.step: when is float32\[\]; expected a 0-d"),
    ],
)
def test_conditions(when: Any, text: str) -> None:
    """What is no 0-d bool tensor is refused."""
    with pytest.raises(ArgumentError, match=text):
        optim.SGD([ta.tensor([1.0], requires_grad=True)]).step(when)


# Mistakes


def sgd() -> optim.SGD:
    """An optimizer of one group."""
    return optim.SGD([leaf()], momentum=0.5)


BAD: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: optim.SGD([{"params": [leaf()], "rate": 1}]), ArgumentError,
     r"SGD: a group has 'rate'; expected params, and any of lr, momentum, dampening, "),
    (lambda: optim.Adam([{"params": [leaf()], "betas": 0.5}]), ArgumentError,
     r"Adam: betas=0\.5; expected a pair of numbers"),
    (lambda: optim.Adam([{"params": [leaf()], "betas": (0.5, 2)}]), ArgumentError,
     r"Adam: beta2=2; expected a number, at least 0 and below 1"),
    (lambda: optim.Adam([{"params": [leaf()], "eps": -1.0}]), ArgumentError, r"Adam: eps=-1\.0;"),
    (lambda: optim.SGD([{"params": [leaf()], "nesterov": True}]), ArgumentError,
     r"SGD: nesterov with momentum=0\.0"),
    (lambda: optim.SGD([{"lr": 0.1}]), ArgumentError,
     r"SGD: a group of parameters is \['lr'\]; expected \{\"params\": \.\.\., \"lr\": \.\.\.\}"),
    (lambda: optim.SGD([{"params": [leaf()]}, leaf()]), ArgumentError,  # type: ignore[list-item]
     r"SGD: a group of parameters is Tensor; expected"),
    (lambda: optim.SGD({"params": [leaf()]}), ArgumentError,  # type: ignore[arg-type]
     r"SGD: params is a dict; expected tensors, or a list of groups"),
    (lambda: optim.SGD([{"params": []}]), ArgumentError, r"SGD: no parameters;"),
    (lambda: optim.SGD([{"params": [p := leaf()]}, {"params": p}]), ArgumentError,
     r"SGD: a parameter is given twice"),
    (lambda: optim.SGD([{"params": [leaf()]}, {"params": [("w", 1)]}]), ArgumentError,
     r"SGD: parameter 1 is int; expected tensors"),
    (lambda: sgd().add_param_group([leaf()]), ArgumentError,  # type: ignore[arg-type]
     r"SGD: a group of parameters is list; expected"),
    (lambda: ta.jit(sgd().add_param_group)({"params": [1]}), TraceError,
     r"add_param_group .* add it outside the jitted function"),
    (lambda: sgd().param_groups[0].__setitem__("nesterov", True), ArgumentError,
     r"SGD: nesterov of a group can't be set; lr, momentum, weight_decay can"),
    (lambda: sgd().param_groups[0].__setitem__("lr", -1.0), ArgumentError, r"SGD: lr=-1\.0;"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "text"), BAD, ids=[b[2][:30] for b in BAD])
def test_mistakes(make: Callable[[], object], error: type[Exception], text: str) -> None:
    """What can't be a group raises one line that names optimizer, value and remedy."""
    with pytest.raises(error, match=text) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_pair_is_set_whole_or_not_at_all() -> None:
    """Betas of which the second can't be leave the first as it was."""
    opt = optim.Adam([leaf()], betas=(0.25, 0.5))
    with pytest.raises(ArgumentError, match=r"beta2=1\.5"):
        opt.betas = (0.75, 1.5)
    assert [b.item() for b in opt.betas] == [0.25, 0.5]


def test_a_group_that_fails_is_not_added() -> None:
    """An optimizer is as it was after a group that couldn't be added."""
    opt = sgd()
    with pytest.raises(ArgumentError, match="SGD: lr=-1; expected"):
        opt.add_param_group({"params": [leaf()], "lr": -1})
    assert len(opt.param_groups) == len(opt.params) == 1
    jax = pytest.importorskip("jax", reason="a second device is needed")
    assert jax
    with pytest.raises(DeviceError, match=r"SGD: parameters on cpu and xla:cpu; expected one"):
        opt.add_param_group({"params": [ta.tensor([1.0], requires_grad=True, device="xla:cpu")]})


def test_examples() -> None:
    """The examples in the docstrings of optim run."""
    for module in pkgutil.iter_modules(optim.__path__, "tinyaccel.optim."):
        found = importlib.import_module(module.name)
        assert doctest.testmod(found).failed == 0, module.name
