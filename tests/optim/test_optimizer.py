"""What all optimizers share: hyper-parameters, state, dtypes, devices, and mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import optim
from tinyaccel.errors import ArgumentError, DeviceError, DTypeError, GradientError, TraceError

KINDS = [optim.SGD, optim.Adagrad, optim.RMSprop, optim.Adadelta, optim.Adam, optim.AdamW,
         optim.Adamax, optim.NAdam, optim.RAdam]  # fmt: skip


def leaf(values: object = (1.0, 2.0), **options: Any) -> ta.Tensor:
    """A parameter."""
    return ta.tensor(values, requires_grad=True, **options)  # type: ignore[arg-type]


# Hyper-parameters


def test_a_hyper_parameter_is_a_value() -> None:
    """opt.lr is today's value: who keeps it doesn't see tomorrow's."""
    opt = optim.SGD([leaf()], lr=0.5)
    today = opt.lr
    opt.lr = today * 0.5
    assert (today.item(), opt.lr.item()) == (0.5, 0.25)
    opt.lr = 0.125
    assert opt.lr.item() == 0.125 and opt.lr.dtype is ta.float32 and opt.lr.shape == ()


def test_a_schedule_may_be_part_of_the_jitted_step() -> None:
    """A learning rate computed inside the jitted step is written back after each call."""
    opt = optim.SGD([leaf()], lr=1.0)

    @ta.jit
    def step() -> ta.Tensor:
        opt.lr = opt.lr * 0.5
        return opt.lr

    assert [step().item() for _ in range(3)] == [0.5, 0.25, 0.125]
    assert opt.lr.item() == 0.125 and step.traces == 1


def test_complements_are_exact() -> None:
    """1 - beta and log(beta) are taken in float64: in float32 1 - 0.999 is off by 5e-5."""
    opt = optim.Adam([leaf()])
    assert opt.betas[1].item() == np.float32(0.999)
    state = opt.state_dict()
    assert state["1-beta2"] == np.float32(0.001)
    assert state["log beta2"] == np.float32(math.log(0.999))
    opt.betas = (0.0, 0.5)
    assert opt.state_dict()["log beta1"] == -np.inf


def test_no_cancellation_in_the_bias_correction() -> None:
    """The first step with beta2 = 1 - 1e-7 is lr * sign(g), which 1 - beta**t would miss."""
    p = leaf([1.0, -3.0])
    opt = optim.Adam([p], lr=0.25, betas=(0.9, 1 - 1e-7))
    p.grad = ta.tensor([2.0, -0.5])
    opt.step()
    np.testing.assert_allclose(p.numpy(), [0.75, -2.75], rtol=1e-6)


# The step


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_skips_what_has_no_gradient(kind: type[optim.Optimizer]) -> None:
    """A parameter without a gradient stays, and so does its state; zero_grad() clears."""
    moved, still = leaf(), leaf()
    opt = kind([moved, still])
    moved.grad = ta.ones((2,))
    before = {n: v for n, v in opt.state_dict().items() if n.endswith(".1")}
    opt.step()
    assert still.tolist() == [1, 2] and moved.tolist() != [1, 2]
    for name, value in before.items():
        np.testing.assert_array_equal(opt.state_dict()[name], value)
    opt.zero_grad()
    assert moved.grad is None and still.grad is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_keeps_parameters_leaves(kind: type[optim.Optimizer]) -> None:
    """After a step the parameters are the same leaf tensors, and nothing is on the tape."""
    p = leaf()
    opt = kind([p])
    for _ in range(2):
        opt.zero_grad()
        (p * p).sum().backward()
        opt.step()
    assert p.is_leaf and p.requires_grad
    assert not any(t.requires_grad for t in opt._tensors().values())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_low_precision_is_updated_in_float32(kind: Callable[..., optim.Optimizer], dtype: str,
                                             rng: np.random.Generator) -> None:  # fmt: skip
    """A 16-bit parameter makes float32's step from the same values, rounded once."""
    start = ta.tensor(rng.standard_normal(50), dtype="float32").astype(dtype)
    slope = ta.tensor(rng.standard_normal(50), dtype="float32").astype(dtype)
    low = start.detach()
    low.requires_grad = True
    wide = start.astype("float32").detach()
    wide.requires_grad = True
    opts = [kind([p], lr=0.1, weight_decay=0.1) for p in (low, wide)]
    for opt, p in zip(opts, (low, wide), strict=True):
        p.grad = slope.astype(p.dtype)
        opt.step()
    assert low.dtype.name == dtype
    np.testing.assert_array_equal(low.numpy(), wide.numpy().astype(low.dtype.numpy))
    for name, value in opts[0].state_dict().items():
        assert value.dtype == np.float32, name


def test_mixed_dtypes_keep_their_own() -> None:
    """float16 and float64 parameters side by side; hyper-parameters are float64's then."""
    params = [leaf(dtype="float16"), leaf(dtype="float64")]
    opt = optim.Adam(params, lr=0.1)
    for p in params:
        p.grad = ta.ones((2,), dtype=p.dtype)
    opt.step()
    assert [p.dtype.name for p in params] == ["float16", "float64"]
    np.testing.assert_allclose(params[1].numpy(), [0.9, 1.9], rtol=1e-8)
    assert opt.lr.item() == 0.1


# State


@pytest.mark.parametrize("kind", KINDS)
def test_training_goes_on_from_a_saved_state(kind: Callable[..., optim.Optimizer]) -> None:
    """Saving after two steps and going on elsewhere gives the bits of never having stopped."""

    def start(values: np.ndarray) -> tuple[ta.Tensor, optim.Optimizer]:
        p = leaf(values)
        return p, kind([p], lr=0.1, weight_decay=0.1)

    def train(p: ta.Tensor, opt: optim.Optimizer) -> None:
        for _ in range(2):
            opt.zero_grad()
            (p * p * p).sum().backward()
            opt.step()

    p, opt = start(np.array([1.0, 2.0], np.float32))
    train(p, opt)
    opt.lr = 0.05  # type: ignore[attr-defined]
    q, other = start(p.numpy())
    other.load_state_dict(opt.state_dict())
    train(p, opt)
    train(q, other)
    np.testing.assert_array_equal(p.numpy(), q.numpy())
    for name, value in opt.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], value, err_msg=name)


def test_a_saved_momentum_turns_it_on() -> None:
    """State saved with momentum loads into an optimizer that was made without."""
    saved = optim.SGD([leaf()], momentum=0.9).state_dict()
    opt = optim.SGD([leaf()])
    opt.load_state_dict(saved)
    assert opt.momentum.item() == np.float32(0.9) and opt.state["momentum_buffer"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"exp_avg.0": None}, r"state doesn't fit this Adam: missing: exp_avg\.0; nothing"),
        ({"extra": np.zeros(1)}, r"unexpected: extra;"),
        ({"exp_avg.0": np.zeros(3)}, r"wrong shape: exp_avg\.0 \(3,\) for \(2,\)"),
        ({"momentum": np.ones(())}, r"unexpected: momentum"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change: dict[str, Any], text: str) -> None:
    """What is missing, unexpected or of another shape is named; no tensor has changed."""
    opt = optim.Adam([leaf()])
    before = opt.state_dict()
    state = {n: v for n, v in {**before, "lr": np.array(9.0), **change}.items() if v is not None}
    with pytest.raises(ArgumentError, match=text) as caught:
        opt.load_state_dict(state)
    assert "\n" not in str(caught.value)
    for name, value in opt.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_failed_load_leaves_no_buffer_behind() -> None:
    """A state that turns momentum on but doesn't fit leaves it off."""
    opt = optim.SGD([leaf()])
    with pytest.raises(ArgumentError, match="unexpected: more"):
        opt.load_state_dict({**opt.state_dict(), "momentum": np.array(0.5), "more": np.zeros(1)})
    assert not opt.param_groups[0].uses("momentum") and "momentum_buffer" not in opt.state


def test_state_is_made_outside_a_trace() -> None:
    """Turning momentum on inside a jitted function makes real buffers, not traced ones."""
    p = leaf()
    opt = optim.SGD([p], lr=1.0)

    @ta.jit
    def step() -> None:
        opt.momentum = 0.5
        opt.zero_grad()
        p.sum().backward()
        opt.step()

    for _ in range(2):
        step()
    assert p.tolist() == [-1.5, -0.5]  # 1 - 1 - 1.5, 2 - 1 - 1.5
    assert opt.momentum.item() == 0.5
    assert opt.state["momentum_buffer"][0].tolist() == [1.5, 1.5]


def test_loading_inside_jit_is_refused() -> None:
    """load_state_dict in a jitted function would happen once, at the trace."""
    opt = optim.SGD([leaf()])
    state = opt.state_dict()
    with pytest.raises(TraceError, match=r"load_state_dict .* load outside the jitted function"):
        ta.jit(lambda: opt.load_state_dict(state))()


def test_moving_to_another_device(device: str) -> None:
    """State follows the parameters with to(device); until then a step says what is missing."""
    p = leaf(device="cpu")
    opt = optim.SGD([p], lr=0.5, momentum=0.9)
    p.grad = ta.ones((2,), device="cpu")
    opt.step()
    net = ta.nn.Module()
    net.p = p
    net.to(device)
    if device != "cpu":
        text = rf"SGD: p is on {device}, the optimizer's state on cpu; use opt\.to\('{device}'\)"
        with pytest.raises(DeviceError, match=text):
            opt.step()
    assert opt.to(device) is opt
    opt.step()
    np.testing.assert_allclose(p.numpy(), [1 - 0.5 - 0.95, 2 - 0.5 - 0.95], rtol=1e-6)


def test_names_and_printing() -> None:
    """State tensors are labelled, options print with their present values."""
    net = ta.nn.Linear(4, 2)
    opt = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    opt.lr = 0.25
    labels = {t.label for t in opt._tensors().values()}
    expected = {"SGD.lr", "SGD.momentum", "SGD.weight_decay"}
    assert labels == expected | {"weight.momentum_buffer", "bias.momentum_buffer"}
    assert repr(opt) == (
        "SGD(lr=0.25, momentum=0.9, dampening=0.0, weight_decay=0, nesterov=False, maximize=False) "
        "over 2 parameters, 10 numbers on cpu"
    )
    assert dict(opt.defaults)["lr"] == 0.1
    with pytest.raises(AttributeError, match="learning_rate"):
        opt.learning_rate = 0.1  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="does not support item assignment"):
        opt.defaults["lr"] = 1.0  # type: ignore[index]


def test_an_optimizer_of_ones_own() -> None:
    """A subclass with one Hyper and an update works eagerly and jitted."""

    class SignDescent(optim.Optimizer):
        lr = optim.Hyper()

        def __init__(self, params: list[ta.Tensor], lr: float) -> None:
            super().__init__(params, lr=lr)

        def update(self, p: ta.Tensor, g: ta.Tensor, state: optim.ParameterState) -> ta.Tensor:
            assert not (p * 1).requires_grad  # a step isn't recorded
            return p - state.hyper("lr") * ta.sign(g)

    p = leaf([3.0, -5.0])
    opt = SignDescent([p], lr=1.0)

    def step() -> None:
        opt.zero_grad()
        (p * p).sum().backward()
        opt.step()

    step()
    ta.jit(step)()
    assert p.tolist() == [1, -3]


# Mistakes


def _set(name: str, value: object, kind: Any = optim.Adam) -> Callable[[], object]:
    return lambda: setattr(kind([leaf()]), name, value)


BAD: list[tuple[str, Callable[[], object], type[Exception], str]] = [
    ("negative lr", lambda: optim.SGD([leaf()], lr=-1.0), ArgumentError,
     r"SGD: lr=-1\.0; expected a number, 0 or more"),
    ("nan lr", lambda: optim.Adam([leaf()], lr=math.nan), ArgumentError, r"Adam: lr=nan"),
    ("text lr", lambda: optim.Adam([leaf()], lr="1"), ArgumentError, r"Adam: lr='1'"),  # type: ignore[arg-type]
    ("set lr", _set("lr", -0.1), ArgumentError, r"Adam: lr=-0\.1; expected a number, 0 or more"),
    ("decay", lambda: optim.AdamW([leaf()], weight_decay=-0.1), ArgumentError,
     r"AdamW: weight_decay=-0\.1"),
    ("momentum", lambda: optim.RMSprop([leaf()], momentum=-0.1), ArgumentError,
     r"RMSprop: momentum=-0\.1"),
    ("beta1", lambda: optim.Adam([leaf()], betas=(1.0, 0.9)), ArgumentError,
     r"Adam: beta1=1\.0; expected a number, at least 0 and below 1"),
    ("beta2", _set("betas", (0.5, -0.5)), ArgumentError, r"Adam: beta2=-0\.5"),
    ("betas", lambda: optim.Adam([leaf()], betas=0.9), ArgumentError,  # type: ignore[arg-type]
     r"Adam: betas=0\.9; expected a pair of numbers"),
    ("beta tensor", _set("beta1", ta.tensor(0.5)), ArgumentError,
     r"Adam: beta1 given as a tensor; expected a number"),
    ("alpha", lambda: optim.RMSprop([leaf()], alpha=1.5), ArgumentError, r"RMSprop: alpha=1\.5"),
    ("eps", lambda: optim.Adam([leaf()], eps=-1e-8), ArgumentError, r"Adam: eps=-1e-08"),
    ("lr_decay", lambda: optim.Adagrad([leaf()], lr_decay=-1.0), ArgumentError,
     r"Adagrad: lr_decay=-1\.0"),
    ("dampening", lambda: optim.SGD([leaf()], momentum=0.9, dampening=math.nan), ArgumentError,
     r"SGD: dampening=nan; expected a number"),
    ("nesterov", lambda: optim.SGD([leaf()], nesterov=True), ArgumentError,
     r"SGD: nesterov with momentum=0\.0 and dampening=0\.0; it needs a momentum above 0"),
    ("nothing", lambda: optim.SGD([]), ArgumentError, r"SGD: no parameters; "),
    ("one tensor", lambda: optim.SGD(leaf()), ArgumentError,
     r"SGD: params is Tensor; expected several tensors, as model\.parameters\(\) or \[tensor\]"),
    ("a module", lambda: optim.SGD(ta.nn.Linear(1, 1)), ArgumentError,  # type: ignore[arg-type]
     r"SGD: params is Linear; expected several tensors, as model\.parameters\(\)"),
    ("names", lambda: optim.SGD(["weight"]), ArgumentError,  # type: ignore[list-item]
     r"SGD: parameter 0 is str; expected tensors"),
    ("integers", lambda: optim.SGD([ta.arange(3)]), DTypeError,
     r"SGD: parameter 0 is int32\[3\]; expected a float"),
    ("computed", lambda: optim.SGD([leaf(), leaf() * 2]), GradientError,
     r"SGD: parameter 1 was computed from others; expected a leaf; use detach\(\)"),
    ("twice", lambda: optim.SGD([p := leaf(), p]), ArgumentError, r"a parameter is given twice"),
    ("lr shape", _set("lr", ta.ones((2,))), ValueError, r"assign: float32\[2\] to float32\[\]"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "text"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_mistakes(make: Callable[[], object], error: type[Exception], text: str) -> None:
    """An impossible option or parameter raises one line that names optimizer, value and remedy."""
    with pytest.raises(error, match=text) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_parameters_on_two_devices() -> None:
    """Parameters on two devices are refused by both names."""
    pytest.importorskip("jax", reason="a second device is needed")
    with pytest.raises(DeviceError, match=r"SGD: parameters on cpu and xla:cpu; expected one"):
        optim.SGD([leaf(), leaf(device="xla:cpu")])
