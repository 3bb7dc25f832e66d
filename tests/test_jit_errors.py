"""Tests of jit's errors: what can't be traced raises `TraceError` with the user's own line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.errors import DeviceError, GradientError, ShapeError, TinyaccelError, TraceError
from tinyaccel.ops.random import default_generator
from tinyaccel.tensor import relocate

Tensor = ta.Tensor
X = ta.tensor([1.0, 2.0])
ONE = ta.tensor(1.0)
VALUES = "reading a tensor's values can't be traced by jit(fn)"

# Each of these is what a user writes in a jitted function, on a line of its own.


def item(x: Tensor) -> Any:
    return x.sum().item()


def as_float(x: Tensor) -> Any:
    return float(x.sum())


def as_int(x: Tensor) -> Any:
    return int(x.sum())


def branch(x: Tensor) -> Any:
    return x if x.sum() > 0 else -x


def loop(x: Tensor) -> Any:
    while x.sum() < 10:
        x = x * 2
    return x


def chained(x: Tensor) -> Any:
    return 0 < x.sum() < 3


def contains(x: Tensor) -> Any:
    return x.sum() in [1.0, 2.0]


def index(x: Tensor) -> Any:
    return [1, 2, 3][x.argmax()]


def slice_to(x: Tensor) -> Any:
    return x[: x.argmax()]


def count(x: Tensor) -> Any:
    return [i for i in range(x.argmax())]  # noqa: C416  # what a user writes


def to_numpy(x: Tensor) -> Any:
    return x.numpy()


def as_array(x: Tensor) -> Any:
    return np.asarray(x)


def numpy_function(x: Tensor) -> Any:
    return np.sum(x.tolist())


def nested_list(x: Tensor) -> Any:
    return ta.tensor([x[0], x[1]])


def dlpack(x: Tensor) -> Any:
    return np.from_dlpack(x)  # type: ignore[arg-type]


def captured_values(x: Tensor) -> Any:
    return x * X.numpy()


def freeze(x: Tensor) -> Any:
    x.requires_grad = True
    return x


def freeze_captured(x: Tensor) -> Any:
    X.requires_grad = True
    return x


def seed(x: Tensor) -> Any:
    ta.manual_seed(3)
    return x


REFUSED: list[tuple[Callable[[Tensor], Any], str, str]] = [
    (item, "return x.sum().item()", "keep it a tensor, or compute this outside jit"),
    (as_float, "return float(x.sum())", "keep it a tensor"),
    (as_int, "return int(x.sum())", "keep it a tensor"),
    (branch, "return x if x.sum() > 0 else -x", "use where(condition, a, b)"),
    (loop, "while x.sum() < 10:", "use where(condition, a, b)"),
    (chained, "return 0 < x.sum() < 3", "use where(condition, a, b)"),
    (contains, "return x.sum() in [1.0, 2.0]", "use where(condition, a, b)"),
    (index, "return [1, 2, 3][x.argmax()]", "keep it a tensor"),
    (slice_to, "return x[: x.argmax()]", "keep it a tensor"),
    (count, "return [i for i in range(x.argmax())]", "keep it a tensor"),
    (to_numpy, "return x.numpy()", "keep it a tensor"),
    (as_array, "return np.asarray(x)", "keep it a tensor"),
    (numpy_function, "return np.sum(x.tolist())", "keep it a tensor"),
    (nested_list, "return ta.tensor([x[0], x[1]])", "keep it a tensor"),
    (dlpack, "return np.from_dlpack(x)", "do it outside jit"),
    (captured_values, "return x * X.numpy()", "keep it a tensor"),
    (freeze, "x.requires_grad = True", "set it outside jit"),
    (freeze_captured, "X.requires_grad = True", "set it outside jit"),
    (seed, "ta.manual_seed(3)", "call it outside jit"),
]


@pytest.mark.parametrize(("fn", "line", "remedy"), REFUSED)
def test_refused(fn: Callable[[Tensor], Any], line: str, remedy: str) -> None:
    """One line: what can't be traced, by which function, at which line, and what to do."""
    jitted = ta.jit(fn)
    with pytest.raises(TraceError) as caught:
        jitted(ta.tensor([1.0, 2.0]))
    text = str(caught.value)
    assert "\n" not in text
    assert f"can't be traced by jit({fn.__name__}), at test_jit_errors.py:" in text
    number = fn.__code__.co_firstlineno
    at = int(text.split("test_jit_errors.py:")[1].split(":")[0])
    assert number < at <= number + 3
    assert line in text
    assert text.endswith(remedy) or remedy in text.split("; ")[-1]
    assert jitted.traces == 0
    assert not X.requires_grad


def test_moving() -> None:
    """.to(another device) and relocate are refused; to where a tensor is, it may go."""
    there = _other_device()
    with pytest.raises(
        TraceError, match=r"moving a tensor can't be traced .*: x\.to\(there\); mov"
    ):
        ta.jit(lambda x: (
            x.to(there)
        ))(X)  # fmt: skip
    with pytest.raises(TraceError, match="moving a tensor can't be traced"):
        ta.jit(lambda: relocate(X, ta.get_device(there)))()
    assert ta.jit(lambda x: x.to("cpu") * 1)(X).tolist() == [1, 2]


def _other_device() -> str:
    try:
        ta.get_device("xla:cpu")
    except TinyaccelError as error:
        pytest.skip(str(error))
    return "xla:cpu"


def test_two_devices() -> None:
    """In one op: as in eager. In one function: a graph runs in one place, and both are named."""
    there = _other_device()
    y = ta.tensor([1.0, 2.0], device=there)
    with pytest.raises(DeviceError, match="add: tensors on cpu and xla:cpu"):
        ta.jit(lambda a, b: a + b)(X, y)
    text = r"jit\(<lambda>\): tensors on cpu and xla:cpu, at test_jit_errors\.py:.*; jit one func"
    for fn, args in (
        (lambda a, b: (a * 2, b * 2), (X, y)),
        (lambda a: (a * 2, y * 2), (X,)),
        (lambda a: (a * 2, ta.ones(2, device=there)), (X,)),
    ):
        with pytest.raises(TraceError, match=text):
            ta.jit(fn)(*args)


# Leaks


def test_leaked_tensor() -> None:
    """A traced tensor that was kept has no value: every use after the trace says so."""
    kept: list[Tensor] = []

    def fn(x: Tensor) -> Tensor:
        kept.extend([x * 2, x])
        return x * 3

    ta.jit(fn)(X)
    text = r"a tensor float32\[2\] was traced by jit and kept after the call, and has no value \("
    remedy = "return it from the jitted function, or store it with assign"
    for leak in kept:
        for use in (
            lambda t: t + 1,
            lambda t: t.numpy(),
            lambda t: t.tolist(),
            lambda t: np.asarray(t),
            lambda t: ONE * t,
            lambda t: ta.tensor([0.0, 0.0]).assign(t),
            lambda t: t.assign(ta.tensor([0.0, 0.0])),
            lambda t: ta.jit(lambda x: x * t)(X),
            lambda t: ta.jit(lambda x: x * 2)(t),
            lambda t: t.__dlpack_device__(),
        ):
            with pytest.raises(TraceError, match=text) as caught:
                use(leak)
            assert "test_jit_errors.py:" in str(caught.value)
            assert str(caught.value).endswith(remedy)
        assert repr(leak).endswith("traced)")


def test_leaked_by_an_exception() -> None:
    """The same after a trace that failed."""
    kept: list[Tensor] = []

    def fn(x: Tensor) -> None:
        kept.append(x + 1)
        raise KeyError

    with pytest.raises(KeyError):
        ta.jit(fn)(X)
    with pytest.raises(TraceError, match="kept after the call"):
        kept[0].item() if kept[0].size == 1 else kept[0].numpy()


def test_leaked_gradient() -> None:
    """A .grad of a tensor that was made inside stays inside; nothing outside has a traced .grad."""
    p = ta.tensor([1.0, 2.0], requires_grad=True)

    def fn(x: Tensor) -> Tensor:
        z = x.detach() * 1
        z.requires_grad = True
        (z * p).sum().backward()
        assert z.grad is not None
        return z.grad * 1

    jitted = ta.jit(fn)
    assert jitted(X).tolist() == [1, 2]
    assert p.grad is not None
    assert p.grad.tolist() == [1, 2]
    assert len(jitted.graph().outputs) == 2


# State


def test_assigned_target_made_inside() -> None:
    """A tensor that is made in the trace can't be assigned: there is nothing to write back to."""

    def fn(x: Tensor) -> Tensor:
        total = ta.zeros(2)
        total.assign(total + x)
        return total

    with pytest.raises(TraceError) as caught:
        ta.jit(fn)(X)
    assert str(caught.value).startswith("assign: the target was made inside the jitted function (")
    assert "total.assign(total + x)" in str(caught.value)
    assert str(caught.value).endswith("make it outside, or use the new value itself")


def test_module_attribute_set_to_a_traced_tensor() -> None:
    """It would be kept without a value: refused, with the attribute's name and the line."""

    class Remembers(ta.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            self.last = x * 2
            return self.last

    module = Remembers()
    with pytest.raises(TraceError, match=r"last.*test_jit_errors\.py:\d+: self\.last = x \* 2"):
        ta.jit(lambda x: module(x))(X)
    assert module(X).tolist() == [2, 4]


def test_assign_refuses_as_in_eager() -> None:
    """Another shape, and a computed argument, raise the same errors as in eager."""
    p = ta.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ShapeError, match=r"assign: float32\[\] to float32\[2\]"):
        ta.jit(lambda x: x.assign(x.sum()))(X)
    for call in (lambda f: f, ta.jit):
        with pytest.raises(GradientError, match="assign: the tensor was computed and is on the"):
            call(lambda x: x.assign(x.detach() + 1))(p * 2)


def test_argument_that_is_also_captured_and_changes(device: str) -> None:
    """The graph would mix up what it was before and after: refused in the first call and later."""
    p = ta.tensor([1.0], requires_grad=True)
    other = ta.tensor([1.0], requires_grad=True)

    def assigns_captured(x: Tensor) -> Tensor:
        p.assign(p + 1)
        return x * 1

    def assigns_argument(x: Tensor) -> Tensor:
        x.assign(x + 1)
        return p * 1

    def accumulates(x: Tensor) -> None:
        (x * p).sum().backward()

    def reads_grad(x: Tensor) -> Any:
        x.grad = x.detach()
        return None if p.grad is None else p.grad * 1

    text = r"jit\(\w+\): argument 0 \(float32\[1\]\) is also reached from outside, and changes, at "
    for fn in (assigns_captured, assigns_argument, accumulates, reads_grad):
        p.grad = ta.tensor([5.0])
        jitted: Any = ta.jit(fn)
        with pytest.raises(TraceError, match=text) as caught:
            jitted(p)
        assert "test_jit_errors.py:" in str(caught.value)
        assert str(caught.value).endswith("pass it, or capture it, but not both")
        other.grad = ta.tensor([5.0])
        jitted(other)
        before = p.tolist()
        with pytest.raises(TraceError, match=text):
            jitted(p)
        assert p.tolist() == before


def test_argument_that_is_also_captured_and_stays(device: str) -> None:
    """As long as it doesn't change, it may be both, in the first call and later."""
    p = ta.tensor([3.0], requires_grad=True)
    jitted = ta.jit(lambda x: x * p)
    assert jitted(p).tolist() == [9]
    assert jitted(ta.tensor([2.0], requires_grad=True)).tolist() == [6]
    assert jitted(p).tolist() == [9]


def test_identities_of_dead_tensors_mean_nothing() -> None:
    """A new argument may get the memory of one that is gone: it isn't taken for it."""

    def fn(x: Tensor) -> Tensor:
        inside = ta.tensor([1.0, 2.0])
        inside.requires_grad = True
        (inside * x).sum().backward()
        x.assign(x + 1)
        return x * 2

    jitted = ta.jit(fn)
    for _ in range(200):
        assert jitted(ta.tensor([1.0, 2.0])).tolist() == [4, 6]
    assert jitted.traces == 1


# Gradients


def test_backward_into_what_was_computed_outside() -> None:
    """The tape outside belongs to one call: an argument or a captured tensor that was computed."""
    p = ta.tensor([1.0, 2.0], requires_grad=True)
    computed = p * 2
    text = (
        r"backward: reaches a tensor that was computed outside the jitted function, at "
        r"test_jit_errors\.py:\d+: .*; compute it inside, or detach it"
    )
    with pytest.raises(TraceError, match=text):
        ta.jit(lambda x: (x * x).sum().backward())(computed)
    with pytest.raises(TraceError, match=text):
        ta.jit(lambda: (computed * p).sum().backward())()
    assert p.grad is None
    ta.jit(lambda: (computed.detach() * p).sum().backward())()
    assert p.grad is not None
    assert p.grad.tolist() == [2, 4]


def test_numpy_result() -> None:
    """A function that returns a NumPy array says so, at the line of the call."""
    with pytest.raises(TraceError, match=r"jit\(<lambda>\): it returns a NumPy array \(test_jit"):
        ta.jit(lambda x: np.zeros(3))(X)


def test_eager_errors_are_the_same(device: str) -> None:
    """What raises in eager raises the same while tracing: shapes, dtypes, indices."""

    def calls() -> list[Callable[[Tensor], Any]]:
        return [
            lambda x: x + ta.zeros(3),
            lambda x: x @ ta.zeros(3),
            lambda x: x[5],
            lambda x: x & 1,
            lambda x: x.reshape(3),
            lambda x: x.sum(1),
            lambda x: x.backward(),
            lambda x: (x * x).backward(),
        ]

    for fn in calls():
        texts = []
        for call in (fn, ta.jit(fn)):
            with pytest.raises(TinyaccelError) as caught:
                call(ta.tensor([1.0, 2.0]))
            texts.append((type(caught.value), str(caught.value)))
        assert texts[0] == texts[1]


def test_random_state_after_an_error(device: str) -> None:
    """A trace that was refused has drawn nothing."""
    before = default_generator().state.tolist()

    def fn(x: Tensor) -> Any:
        noise = default_generator().uniform((2,))
        return float((x + noise).sum())

    with pytest.raises(TraceError, match="can't be traced"):
        ta.jit(fn)(ta.tensor([1.0, 2.0]))
    assert default_generator().state.tolist() == before
