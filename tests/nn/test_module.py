"""Module: what its attributes become, walking, state, moving, printing, and what jit notices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.errors import ArgumentError, GradientError, TinyaccelError, TraceError


class Net(nn.Module):
    """A layer, a nested one, a parameter, two buffers and an ordinary attribute."""

    def __init__(self) -> None:
        self.inner = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
        self.scale = nn.Parameter(ta.ones((3,)))
        self.register_buffer("calls", ta.zeros(()))
        self.register_buffer("scratch", ta.zeros((2,)), persistent=False)
        self.traced = 0

    def forward(self, x: ta.Tensor) -> ta.Tensor:
        self.traced += 1
        self.calls.assign(self.calls + 1)
        return self.inner(x) * self.scale

    calls: ta.Tensor
    scratch: ta.Tensor


X = ta.tensor(np.arange(8, dtype=np.float32).reshape(2, 4))


# Attributes and walking


def test_attributes_become_what_they_are() -> None:
    """Parameters, buffers and submodules are found by their dotted names, in PyTorch's order."""
    net = Net()
    parameters = ["scale", "inner.0.weight", "inner.0.bias"]
    assert [n for n, _ in net.named_parameters()] == parameters
    assert [n for n, _ in net.named_buffers()] == ["calls", "scratch"]
    assert [n for n, _ in net.named_modules()] == ["", "inner", "inner.0", "inner.1"]
    assert [p.shape for p in net.parameters()] == [(3,), (3, 4), (3,)]
    assert len(list(net.buffers())) == 2 and len(list(net.modules())) == 4
    assert net.inner is net._modules["inner"] and net.scale.requires_grad


def test_labels_are_dotted_names() -> None:
    """A tensor's label is its name in the outermost module that it was put into."""
    outer = nn.Sequential(Net())
    assert {t.label for t in outer.parameters()} == {n for n, _ in outer.named_parameters()}
    assert {t.label for t in outer.buffers()} == {"0.calls", "0.scratch"}
    part = outer[:1]
    assert part[0] is outer[0] and part[0].scale.label == "0.scale"  # type: ignore[attr-defined]


def test_a_shared_parameter_comes_once_but_is_saved_twice() -> None:
    """Tied weights are one parameter under its first name; the state dict has both names."""
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight  # type: ignore[attr-defined]
    assert [n for n, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert set(net.state_dict()) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    net.load_state_dict(net.state_dict())


def test_a_module_used_twice_comes_once() -> None:
    """The same module at two places is walked once."""
    layer = nn.Linear(3, 3)
    assert len(list(nn.Sequential(layer, layer).modules())) == 2
    assert len(list(nn.Sequential(layer, layer).parameters())) == 2


def test_replacing_and_deleting() -> None:
    """A new value takes the old one's place and kind; None and del remove it."""
    net = Net()
    net.scale = nn.Parameter(ta.zeros((3,)))
    assert next(n for n, _ in net.named_parameters()) == "scale"
    net.calls = ta.ones(())
    assert dict(net.named_buffers())["calls"].item() == 1
    net.scale = None  # type: ignore[assignment]
    assert "scale" not in dict(net.named_parameters()) and net.scale is None
    del net.inner
    assert not list(net.parameters())
    with pytest.raises(AttributeError, match="Net has no attribute 'inner'"):
        _ = net.inner
    with pytest.raises(AttributeError, match="Net has no attribute 'inner'"):
        del net.inner


def test_a_frozen_parameter_stays_one() -> None:
    """requires_grad=False keeps a parameter in the state dict and out of the gradients."""
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    for p in net[0].parameters():
        p.requires_grad = False
    net(X).sum().backward()
    assert [p.grad is None for p in net.parameters()] == [True, True, False, False]
    assert len(net.state_dict()) == 4


def test_a_plain_tensor_is_no_parameter() -> None:
    """A tensor without gradient that wasn't announced as a buffer is an ordinary attribute."""
    net = nn.Module()
    net.offset = ta.ones((2,))
    assert not net.state_dict() and net.offset.shape == (2,)  # type: ignore[attr-defined]


def test_sequential_is_a_sequence() -> None:
    """It can be built by names, iterated, indexed, sliced and appended to."""
    net = nn.Sequential({"first": nn.Linear(4, 3), "second": nn.ReLU()})
    assert [n for n, _ in net.named_parameters()] == ["first.weight", "first.bias"]
    assert len(net) == 2 and [type(m).__name__ for m in net] == ["Linear", "ReLU"]
    assert net[-1] is net.second  # type: ignore[attr-defined]
    assert len(net[:1]) == 1 and net[:1](X).shape == (2, 3)
    assert len(net.append(nn.Tanh())) == 3
    np.testing.assert_array_equal(nn.Sequential()(X).numpy(), X.numpy())


def test_train_and_eval_reach_every_module() -> None:
    """train() and eval() set the flag everywhere, and return the module."""
    net = Net()
    assert all(m.training for m in net.modules())
    assert net.eval() is net and not any(m.training for m in net.modules())
    assert net.train() is net and all(m.training for m in net.modules())


def test_zero_grad_forgets() -> None:
    """zero_grad() sets every parameter's .grad to None."""
    net = Net()
    net(X).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


# State


def test_state_dict_goes_round() -> None:
    """Saved values come back exactly, into the same tensors, without what isn't saved."""
    ta.manual_seed(1)
    net, other = Net(), Net()
    net(X)
    state = net.state_dict()
    assert list(state) == ["scale", "calls", "inner.0.weight", "inner.0.bias"]
    assert all(type(v) is np.ndarray for v in state.values())
    tensors = list(other.parameters())
    report = other.load_state_dict(state)
    assert report == ([], [])
    assert all(a is b for a, b in zip(tensors, other.parameters(), strict=True))
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    state["scale"][:] = 99
    assert net.scale.tolist() == [1, 1, 1]


def test_a_pytorch_state_dict_fits_both_ways(rng: np.random.Generator) -> None:
    """Weights go from PyTorch to the same network here and back, with the same results."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    torch.manual_seed(0)

    def build(lib: Any) -> Any:
        return lib.Sequential(
            lib.Conv2d(1, 4, 3), lib.BatchNorm2d(4), lib.ReLU(), lib.MaxPool2d(2), lib.Flatten(),
            lib.Linear(36, 5),
        )  # fmt: skip

    source, net = build(torch.nn), build(nn)
    x = rng.standard_normal((3, 1, 8, 8)).astype(np.float32)
    source(torch.tensor(x))
    as_numpy = {name: value.numpy() for name, value in source.state_dict().items()}
    net.load_state_dict(as_numpy)
    source.eval()
    net.eval()
    with torch.no_grad():
        expected = source(torch.tensor(x)).numpy()
    # The longest sum has 36 terms of about 1; see test_layers for the budget.
    np.testing.assert_allclose(net(ta.tensor(x)).numpy(), expected, atol=8 * 6 * 1.2e-7 * 4)
    back = build(torch.nn)
    back.load_state_dict({n: torch.tensor(v) for n, v in net.state_dict().items()})
    assert list(net.state_dict()) == list(back.state_dict())
    for name, value in back.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), as_numpy[name])


def test_loading_rounds_to_the_modules_dtype() -> None:
    """float64 values load into a float16 module, rounded once."""
    net = nn.Linear(2, 1, bias=False, dtype="float16")
    net.load_state_dict({"weight": np.array([[0.1, 1 / 3]])})
    np.testing.assert_array_equal(net.weight.numpy(), np.array([[0.1, 1 / 3]], np.float16))


def _state(**changes: Any) -> dict[str, Any]:
    state: dict[str, Any] = {**Net().state_dict(), **changes}
    return {name: value for name, value in state.items() if value is not None}


BAD_STATES = [
    ("missing", _state(scale=None), r"doesn't fit Net: missing: scale; nothing was loaded"),
    ("unexpected", _state(extra=np.zeros(2)), r"unexpected: extra; nothing"),
    ("shape", _state(scale=np.zeros((3, 1))), r"wrong: scale float64\[3, 1\] for float32\[3\]"),
    ("all", _state(calls=None, a=np.zeros(1), b=np.zeros(1), scale=np.zeros(1)),
     r"missing: calls; unexpected: a, b; wrong: scale float64\[1\] for float32\[3\]"),
]  # fmt: skip


@pytest.mark.parametrize(("state", "text"), [b[1:] for b in BAD_STATES], ids=lambda b: None)
def test_a_state_that_does_not_fit_changes_nothing(state: dict[str, Any], text: str) -> None:
    """What is missing, unexpected or of another shape is named, and no tensor has changed."""
    net = Net()
    before = net.state_dict()
    with pytest.raises(ArgumentError, match=text) as caught:
        net.load_state_dict({name: np.asarray(v) + 7 for name, v in state.items()})
    assert "\n" not in str(caught.value)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_broken_number_is_no_count() -> None:
    """Floats don't load into an integer buffer."""
    layer = nn.BatchNorm2d(1)
    state = layer.state_dict() | {"num_batches_tracked": np.float32(1.5)}
    with pytest.raises(ArgumentError, match=r"num_batches_tracked float32\[\] for int64\[\]"):
        layer.load_state_dict(state)


def test_loading_what_fits() -> None:
    """strict=False loads the names in common and reports the others; shapes must still fit."""
    net = Net()
    report = net.load_state_dict({"scale": np.full(3, 5.0), "extra": np.zeros(1)}, strict=False)
    assert net.scale.tolist() == [5, 5, 5]
    assert report.missing_keys == ["calls", "inner.0.weight", "inner.0.bias"]
    assert report.unexpected_keys == ["extra"]
    with pytest.raises(ArgumentError, match="wrong: scale"):
        net.load_state_dict({"scale": np.zeros(1)}, strict=False)


def test_moving_keeps_the_tensors(device: str) -> None:
    """to(device) moves parameters, buffers and gradients where they stand."""
    with ta.default_device("cpu"):
        net = Net()
    optimizer = ta.optim.SGD(net.parameters(), lr=1.0)
    net(X).sum().backward()
    expected = {
        n: p.numpy() - p.grad.numpy() for n, p in net.named_parameters() if p.grad is not None
    }
    tensors = [*net.parameters(), *net.buffers()]
    assert net.to(device) is net
    optimizer.to(device)
    assert all(a is b for a, b in zip(tensors, [*net.parameters(), *net.buffers()], strict=True))
    assert {t.device.name for t in tensors} == {ta.get_device(device).name}
    assert all(p.requires_grad for p in net.parameters())
    optimizer.step()
    for name, p in net.named_parameters():
        np.testing.assert_array_equal(p.numpy(), expected[name])
    assert net(X.to(device)).device is ta.get_device(device)


# jit


def test_a_trace_follows_training_and_replaced_tensors() -> None:
    """A jitted model is traced again when training or a parameter is replaced, and only then."""
    net = nn.Sequential(nn.Linear(4, 3), nn.Dropout(1.0))
    fn = ta.jit(lambda x: net(x))

    def expect(traces: int) -> None:
        np.testing.assert_array_equal(fn(X).numpy(), net(X).numpy())
        assert fn.traces == traces

    expect(1)
    expect(1)
    net.eval()
    expect(2)
    net.train()
    expect(2)
    net.eval()
    net[0].weight.assign(ta.ones((3, 4)))  # type: ignore[attr-defined]
    expect(2)
    net[0].weight = nn.Parameter(ta.zeros((3, 4)))
    expect(3)
    setattr(net, "0", nn.Linear(4, 3, bias=False))
    expect(4)
    net.append(nn.ReLU())
    expect(5)


@pytest.mark.parametrize(
    "read",
    [
        lambda net: net.factor * 1,
        lambda net: net(None),
        lambda net: next(net.parameters()) * 1,
        lambda net: next(iter(net.named_parameters()))[1] * 1,
    ],
    ids=["attribute", "call", "parameters", "named"],
)
def test_every_way_of_reading_is_guarded(read: Callable[[nn.Module], ta.Tensor]) -> None:
    """However the trace gets at a parameter, replacing it is noticed."""

    class One(nn.Module):
        def __init__(self) -> None:
            self.factor = nn.Parameter(ta.tensor(2.0))

        def forward(self, _: object) -> ta.Tensor:
            return self.__dict__["_parameters"]["factor"] * 1  # type: ignore[no-any-return]

    net = One()
    fn = ta.jit(lambda: read(net))
    assert fn().item() == 2
    net.factor = nn.Parameter(ta.tensor(5.0))
    assert fn().item() == 5


def test_an_ordinary_attribute_is_a_constant_of_the_trace() -> None:
    """A Python counter in forward counts traces, a buffer counts calls."""
    net = Net()
    fn = ta.jit(lambda x: net(x))
    for _ in range(4):
        fn(X)
    assert net.traced == 1 and net.calls.item() == 4 and fn.traces == 1


def test_keeping_a_traced_tensor_is_refused() -> None:
    """Setting an attribute inside jit names class, attribute and remedy, and changes nothing."""

    class Keeps(nn.Module):
        def forward(self, x: ta.Tensor) -> ta.Tensor:
            self.seen = x * 2
            return x

    net = Keeps()
    text = (
        r"Keeps\.seen: set to a tensor float32\[2, 4\] that jit is tracing, at test_module\.py:"
        r".*self\.seen = x \* 2; .*register_buffer.* use self\.seen\.assign\(value\)"
    )
    with pytest.raises(TraceError, match=text):
        ta.jit(lambda x: net(x))(X)
    with pytest.raises(AttributeError):
        _ = net.seen
    net(X)
    assert net.seen.shape == (2, 4)


def test_a_layer_made_inside_jit_is_refused() -> None:
    """Weights drawn in a trace would be drawn once and never trained."""
    with pytest.raises(TraceError, match=r"Linear\.weight: set to a tensor .* outside jit"):
        ta.jit(lambda x: nn.Linear(4, 2)(x))(X)


def test_loading_inside_jit_is_refused() -> None:
    """load_state_dict in a jitted function would happen once, at the trace."""
    net = nn.Linear(4, 2)
    state = net.state_dict()

    def load(x: ta.Tensor) -> ta.Tensor:
        net.load_state_dict(state)
        return net(x)

    with pytest.raises(TraceError, match=r"load_state_dict .* load outside the jitted function"):
        ta.jit(load)(X)


def test_loading_between_jitted_calls_is_seen() -> None:
    """A jitted model uses the weights that were loaded after its trace."""
    net = nn.Linear(4, 2)
    fn = ta.jit(lambda x: net(x))
    fn(X)
    net.load_state_dict({"weight": np.zeros((2, 4)), "bias": np.array([1.0, 2.0])})
    assert fn(X).tolist() == [[1, 2], [1, 2]] and fn.traces == 1


# Printing and mistakes


def test_printing() -> None:
    """A module prints as a tree with settings, shapes, counts and the total."""
    net = nn.Sequential(nn.Conv2d(1, 32, 3), nn.Sequential(nn.ReLU()), nn.Linear(576, 10))
    for p in net[0].parameters():
        p.requires_grad = False
    assert repr(net).splitlines() == [
        "Sequential()",
        "├─ 0: Conv2d(1, 32, kernel_size=(3, 3))  weight (32, 1, 3, 3), bias (32,)    320",
        "├─ 1: Sequential()",
        "│  └─ 0: ReLU()",
        "└─ 2: Linear(576, 10)                    weight (10, 576), bias (10,)      5,770",
        "6,090 parameters in all, 320 of them frozen",
    ]
    assert repr(nn.ReLU()) == "ReLU()"
    assert "num_batches_tracked () int64" in repr(nn.BatchNorm2d(2))
    assert repr(nn.Dropout(0.1)) == "Dropout(p=0.1)"


def _module_named(name: str, value: object) -> Callable[[], object]:
    return lambda: setattr(nn.Module(), name, value)


BAD = [
    ("no forward", lambda: nn.Module()(X), TinyaccelError,
     r"Module: called with 1 inputs, but it has no forward; define forward\(self, x\)"),
    ("hidden list", _module_named("layers", [nn.ReLU()]), ArgumentError,
     r"Module\.layers: a list of modules, .* put them into nn\.ModuleList or nn\.Seq"),
    ("hidden dict", _module_named("layers", {"a": nn.ReLU()}), ArgumentError, r"a dict of modules"),
    ("dotted", _module_named("a.b", nn.ReLU()), ArgumentError,
     r"Module\.a\.b: set to a ReLU, but the name has a dot"),
    ("method", _module_named("train", nn.Parameter(X)), ArgumentError,
     r"Module\.train: set to a Tensor, but the name is the class's own"),
    ("computed", lambda: setattr(nn.Linear(4, 2), "bias", nn.Parameter(X) * 2), ArgumentError,
     r"Linear\.bias: a parameter set to a computed tensor float32\[2, 4\]"),
    ("buffer taken", lambda: nn.Linear(4, 2).register_buffer("bias", X), ArgumentError,
     r"Linear\.register_buffer: name 'bias' is taken"),
    ("buffer dotted", lambda: nn.Module().register_buffer("a.b", X), ArgumentError, r"has a dot"),
    ("integer", lambda: nn.Parameter(ta.arange(3)), GradientError, r"int32\[3\] has no gradient"),
    ("class for module", lambda: nn.Sequential(nn.ReLU), ArgumentError,  # type: ignore[arg-type]
     r"Sequential: entry '0' is ReLU, no module; call the class"),
    ("function", lambda: nn.Sequential(ta.relu), ArgumentError,  # type: ignore[arg-type]
     r"Sequential: entry '0' is function, no module; expected modules"),
    ("index", lambda: nn.Sequential()[0], IndexError, r"index 0, but it has 0 modules"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "text"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_mistakes(make: Callable[[], object], error: type[Exception], text: str) -> None:
    """What a module can't be or hold raises one line that says what to do."""
    with pytest.raises(error, match=text) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_deep_copy_trains_on_its_own(device: str) -> None:
    """copy.deepcopy gives a model with the same weights, which change apart from the original's."""
    import copy

    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm2d(2, device=device))
    twin = copy.deepcopy(model)
    for (name, a), (other, b) in zip(
        model.named_parameters(), twin.named_parameters(), strict=True
    ):
        assert name == other
        assert b.requires_grad
        assert a is not b
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    before = twin.state_dict()
    for p in model.parameters():
        p.assign(p + 1)
    for name, array in twin.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    with pytest.raises(ta.errors.GradientError, match="deepcopy: the tensor was computed"):
        copy.deepcopy(next(iter(model.parameters())) * 2)
