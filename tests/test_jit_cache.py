"""Tests of jit's cache: what costs a new trace, what doesn't, and the warning about many."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.backend import get_device
from tinyaccel.errors import ArgumentError, TinyaccelError
from tinyaccel.jit import Jitted
from tinyaccel.tape import GRAD_MODE
from tinyaccel.tensor import relocate
from tinyaccel.trace import guard

Tensor = ta.Tensor


def parameter(*values: float) -> Tensor:
    return ta.tensor(list(values), requires_grad=True)


def _changes(device: str) -> dict[str, tuple[Callable[[], Any], int]]:
    """Calls of one jitted function, and how many new traces each should cost."""
    x, y, p, q = ta.tensor([1.0]), ta.tensor([2.0]), parameter(3.0), parameter(4.0)
    captured, state = parameter(5.0), ta.tensor(0)
    flag: dict[str, bool] = {"training": True}

    @ta.jit
    def fn(*args: Any, **kwargs: Any) -> Any:
        guard(flag, "training", lambda: flag["training"])
        state.assign(state + 1)
        total = captured * 1
        for a in [*args, *kwargs.values()]:
            for t in a if isinstance(a, list) else [a]:
                total = total + (t.sum() if isinstance(t, Tensor) else float(t))
        if GRAD_MODE.get() and captured.requires_grad:
            (captured * 2).sum().backward()
        return total + (0 if flag["training"] else 100)

    def call(*args: Any, **kwargs: Any) -> Callable[[], Any]:
        def run() -> Any:
            captured.grad = None
            for t in args:
                if t is p or t is q:
                    t.grad = None
            return fn(*args, **kwargs)

        return run

    def with_flag() -> Any:
        flag["training"] = False
        assert call(x)().item() == 106
        flag["training"] = True

    def without_captured_gradient() -> Any:
        captured.requires_grad = False
        call(x)()
        captured.requires_grad = True

    def with_captured_grad() -> Any:
        captured.grad = ta.tensor([1.0])
        fn(x)
        captured.grad = None

    def with_grad() -> Any:
        captured.grad = None
        p.grad = ta.tensor([1.0])
        fn(p)

    def no_grad() -> Any:
        with ta.no_grad():
            call(x)()

    def precise() -> Any:
        with ta.precision("fast"):
            call(x)()

    return {
        "first": (call(x), 1),
        "the same": (call(x), 0),
        "other values": (call(y), 0),
        "a result": (call(y * 1), 0),
        "shape": (call(ta.tensor([1.0, 2.0])), 1),
        "no axes": (call(ta.tensor(1.0)), 1),
        "dtype": (call(ta.tensor([1])), 1),
        "int": (call(1), 1),
        "int again": (call(1), 0),
        "float": (call(1.0), 1),
        "bool": (call(True), 1),
        "other int": (call(2), 1),
        "zero": (call(0.0), 1),
        "negative zero": (call(-0.0), 1),
        "NaN": (call(float("nan")), 1),
        "NaN again": (call(float("nan")), 0),
        "NumPy float": (call(np.float32(1)), 1),
        "list": (call([x]), 1),
        "longer list": (call([x, x]), 1),
        "list of two": (call([x, y]), 1),
        "by name": (call(a=x), 1),
        "other name": (call(b=x), 1),
        "requires_grad": (call(p), 1),
        "other parameter": (call(q), 0),
        "computed": (lambda: call(p * 1)(), 1),
        "with a .grad": (with_grad, 1),
        "captured .grad": (with_captured_grad, 1),
        "captured requires_grad": (without_captured_gradient, 1),
        "back to the first": (call(x), 0),
        "grad mode": (no_grad, 1),
        "precision": (precise, 1),
        "a module's flag": (with_flag, 1),
        "the first, at last": (call(x), 0),
        "traces": (lambda: fn, 0),
    }


@pytest.mark.filterwarnings("ignore:jit")
def test_cache_key(device: str) -> None:
    """Each part of the key costs one new trace, once; other values and objects cost none."""
    changes = _changes(device)
    fn = changes.pop("traces")[0]()
    for name, (call, new) in changes.items():
        before = fn.traces
        call()
        assert fn.traces - before == new, name


def test_default_device_is_part_of_the_key() -> None:
    """What a function makes without being told where goes to the default device of the call."""
    if not _has("xla:cpu"):
        pytest.skip("needs two devices")
    jitted = ta.jit(lambda: ta.ones(2) * 2)
    assert jitted().device.name == "cpu"
    with ta.default_device("xla:cpu"):
        assert jitted().device.name == "xla:cpu"
    assert jitted().device.name == "cpu"
    assert jitted.traces == 2


def test_device_is_part_of_the_key() -> None:
    """An argument on another device, and a captured tensor that moved, cost a trace each."""
    if not _has("xla:cpu"):
        pytest.skip("needs two devices")
    w, n = ta.tensor([2.0]), ta.tensor([0.0])

    @ta.jit
    def fn() -> Tensor:
        n.assign(w * 3)
        return w * 2

    assert fn().device.name == "cpu"
    for t in (w, n):
        relocate(t, get_device("xla:cpu"))
    assert (fn().device.name, n.device.name, n.tolist(), fn.traces) == (
        "xla:cpu",
        "xla:cpu",
        [6],
        2,
    )
    double = ta.jit(lambda x: x * 2)
    for name in ("cpu", "xla:cpu", "cpu"):
        assert double(ta.tensor(1.0, device=name)).device.name == name
    assert double.traces == 2


def test_state_elsewhere_is_written_there() -> None:
    """A tensor that is only assigned decides the device, though another one is the default."""
    if not _has("xla:cpu"):
        pytest.skip("needs two devices")
    n = ta.zeros(2, device="xla:cpu")
    ta.jit(lambda: n.assign(ta.ones(2, device="xla:cpu")))()
    assert (n + ta.ones(2, device="xla:cpu")).tolist() == [2, 2]


def _has(device: str) -> bool:
    try:
        get_device(device)
    except TinyaccelError:
        return False
    return True


def test_requires_grad_of_a_tensor_that_is_only_written(device: str) -> None:
    """It is guarded as that of a tensor that is read."""
    p = ta.tensor([1.0])

    def fn(x: Tensor) -> Tensor:
        p.assign(x)
        return p * 2

    jitted = ta.jit(fn)
    assert not jitted(ta.tensor([1.0])).requires_grad
    p.requires_grad = True
    assert jitted(ta.tensor([1.0])).requires_grad


def test_python_values_are_constants(device: str) -> None:
    """A global that changes isn't seen: the docs say so, and this holds them to it."""
    factor = [2.0]
    jitted = ta.jit(lambda x: x * factor[0])
    assert jitted(ta.tensor(1.0)).item() == 2
    factor[0] = 3.0
    assert jitted(ta.tensor(1.0)).item() == 2
    assert jitted(ta.tensor([1.0])).tolist() == [3]  # a new trace sees it


def test_static_arguments_need_a_hash() -> None:
    """A set, an array or an object without a hash is refused in one clear line."""
    jitted = ta.jit(lambda x, s: x)
    x = ta.tensor(1.0)
    with pytest.raises(ArgumentError, match=r"jit\(<lambda>\): argument of type set can't be part"):
        jitted(x, {1, 2})
    with pytest.raises(ArgumentError, match=r"jit\(<lambda>\): got a NumPy array; pass tinyaccel"):
        jitted(np.ones(3), 1)
    assert jitted.traces == 0


def test_many_traces_warn(device: str) -> None:
    """The ninth trace warns at the caller's line, and says what changed; eight don't."""
    jitted = ta.jit(lambda x, n: x * n)
    x = ta.tensor(1.0)
    for n in range(8):
        jitted(x, n)
    with pytest.warns(UserWarning, match=r"jit\(<lambda>\): traced 9 times") as caught:
        jitted(x, 8)
    (warning,) = caught
    assert warning.filename == __file__
    assert "because a Python value changed: " in str(warning.message)
    assert "7" in str(warning.message) and "8" in str(warning.message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jitted(x, 3)  # an old one


REASONS: list[tuple[str, Callable[[Jitted[..., Any], Tensor], Any]]] = [
    ("shape, dtype, device, requires_grad", lambda f, w: f(ta.tensor([[1.0]]), 1)),
    ("the structure of the arguments", lambda f, w: f(ta.tensor([1.0]), n=1)),
    ("which arguments are tensors", lambda f, w: f(1.0, 1)),
    ("Tensor.requires_grad changed: False to True",
     lambda f, w: f(_now_requires_grad(w), 1)),
]  # fmt: skip


def _now_requires_grad(w: Tensor) -> Tensor:
    w.requires_grad = True
    return ta.tensor([1.0])


@pytest.mark.parametrize(("reason", "call"), REASONS)
@pytest.mark.filterwarnings("ignore:jit.*a Python value")
def test_warning_says_what_changed(
    reason: str, call: Callable[[Jitted[..., Any], Tensor], Any]
) -> None:
    """Each part of the key, and guards, are named in the warning."""
    w = ta.tensor([1.0])
    jitted = ta.jit(lambda x, n: x * n + w)
    for n in [*range(9, 1, -1), 1]:
        jitted(ta.tensor([1.0]), n)
    with pytest.warns(UserWarning, match=f"this time because {re.escape(reason)}"):
        call(jitted, w)


def test_training_flag_of_a_module(device: str) -> None:
    """A module in training and in evaluation has a trace each; going back and forth costs none."""
    layer = ta.nn.Dropout(0.5)
    jitted = ta.jit(lambda x: layer(x))
    x = ta.ones(64)
    for _ in range(2):
        assert 0.0 in jitted(x).tolist()
        layer.eval()
        assert jitted(x).tolist() == x.tolist()
        layer.train()
    assert jitted.traces == 2
