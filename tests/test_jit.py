"""Tests of tinyaccel.jit: arguments, results, exceptions, threads, what is shown.

test_jit_state.py has state and the identity of results, test_jit_cache.py the cache,
test_jit_errors.py what can't be traced, test_jit_gradients.py differentiation, and
test_jit_check.py `check=True`.
"""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.errors import IndexRangeError, TraceError
from tinyaccel.jit import Jitted
from tinyaccel.trace import TRACE

Tensor = ta.Tensor


def parameter(*values: float) -> Tensor:
    return ta.tensor(list(values), requires_grad=True)


def grad_of(t: Tensor) -> list[float]:
    assert t.grad is not None
    return t.grad.tolist()  # type: ignore[no-any-return]


# Arguments and results


class Pair(NamedTuple):
    first: Any
    second: Any


STRUCTURES: list[Any] = [
    lambda x, y: x + y,
    lambda x, y: (x, y * 2),
    lambda x, y: [x + 1, (y, [x])],
    lambda x, y: {"a": x * 2, "b": {"c": y}},
    lambda x, y: Pair(x + 1, Pair(y, None)),
    lambda x, y: None,
    lambda x, y: (),
    lambda x, y: (x * 2, 7, "text", 2.5, True, None),
]


def plain(tree: Any) -> Any:
    """A tree with its tensors as lists, and all types as they are."""
    if isinstance(tree, Tensor):
        return tree.dtype, tree.tolist()
    if isinstance(tree, tuple | list):
        return type(tree).__name__, [plain(t) for t in tree]
    if isinstance(tree, dict):
        return {name: plain(t) for name, t in tree.items()}
    return tree


@pytest.mark.parametrize("fn", STRUCTURES)
def test_results_have_their_structure(fn: Callable[..., Any], device: str) -> None:
    """Tuples, named tuples, lists, dicts, None and Python values come back as they were."""
    x, y = ta.tensor([1.0, 2.0]), ta.tensor([3, 4])
    jitted = ta.jit(fn)
    for _ in range(2):
        assert plain(jitted(x, y)) == plain(fn(x, y))
    assert jitted.traces == 1


def test_arguments_have_their_structure(device: str) -> None:
    """Tensors arrive in whatever tree they were passed in, by position and by name."""

    def fn(a: Any, *rest: Any, k: Any, n: int = 3) -> Tensor:
        assert isinstance(a, Pair)
        return a.first * n + a.second["x"][0] + rest[0][1] * k  # type: ignore[no-any-return]

    x, y, z, k = (ta.tensor([float(i)]) for i in (1, 2, 3, 4))
    args = (Pair(x, {"x": [y]}), (None, z))
    jitted = ta.jit(fn)
    assert jitted(*args, k=k).tolist() == fn(*args, k=k).tolist() == [1 * 3 + 2 + 3 * 4]
    assert jitted(*args, k=k, n=5).tolist() == [1 * 5 + 2 + 3 * 4]
    assert jitted.traces == 2


def test_without_tensors(device: str) -> None:
    """A function without tensor arguments makes its result on the default device."""
    jitted = ta.jit(lambda n: ta.arange(n) * 2 + ta.ones(n))
    for _ in range(2):
        y = jitted(3)
        assert (y.tolist(), y.device.name) == ([1, 3, 5], device)
    assert jitted.traces == 1
    assert ta.jit(lambda: 5)() == 5


def test_same_tensor_twice(device: str) -> None:
    """One tensor as two arguments is one inside: assigned and differentiated as in eager."""

    def fn(a: Tensor, b: Tensor) -> tuple[Tensor, bool]:
        (a * b).sum().backward()
        a.assign(a + 1)
        return b * 1, a is b

    jitted = ta.jit(fn)
    for _ in range(2):
        results = []
        for call in (fn, jitted):
            p = parameter(1.0, 2.0)
            y, same = call(p, p)
            results.append((y.tolist(), same, p.tolist(), grad_of(p)))
        assert results[0] == results[1] == ([2, 3], True, [2, 3], [2, 4])
    p, q = parameter(1.0, 2.0), parameter(3.0, 4.0)
    y, same = jitted(p, q)
    assert (y.tolist(), same, p.tolist(), q.tolist()) == ([3, 4], False, [2, 3], [3, 4])
    assert (grad_of(p), grad_of(q)) == ([3, 4], [1, 2])
    y, same = jitted(q, p)
    assert (y.tolist(), p.tolist(), q.tolist()) == ([2, 3], [2, 3], [4, 5])


def test_third_argument_after_a_repeated_one(device: str) -> None:
    """Arguments are counted with their repetitions."""
    x, y = ta.tensor(2.0), ta.tensor(10.0)
    assert ta.jit(lambda a, b, c: a + b * c)(x, x, y).item() == 22


def test_numpy_results_and_scalars(device: str) -> None:
    """NumPy scalars are Python values; a traced NumPy operand is a constant."""
    table = np.array([10.0, 20.0], np.float32)
    jitted = ta.jit(lambda x, k: x * table + k)
    x = ta.tensor([1.0, 2.0])
    assert jitted(x, np.float32(1)).tolist() == [11, 41]
    table[:] = 0  # a constant of the trace, as the docs say
    assert jitted(x, np.float32(1)).tolist() == [11, 41]


def test_methods(device: str) -> None:
    """A jitted method is bound to its object, and each object has traces and state of its own."""

    class Counter:
        def __init__(self, start: float) -> None:
            self.value = ta.tensor(start)

        @ta.jit
        def add(self, x: Tensor, *, times: int = 1) -> Tensor:
            """Add x."""
            self.value.assign(self.value + x * times)
            return self.value * 1

    a, b, one = Counter(0.0), Counter(10.0), ta.tensor(1.0)
    assert [a.add(one).item(), a.add(one, times=2).item(), b.add(one).item()] == [1, 3, 11]
    assert (a.value.item(), b.value.item()) == (3, 11)
    assert a.add(one).item() == 4
    assert Counter.add.traces == 3
    assert Counter.add.__doc__ == "Add x."


def test_wraps() -> None:
    """Name and documentation are the function's; both spellings of the decorator work."""

    def fn(x: Tensor) -> Tensor:
        """Doc."""
        return x

    spellings: list[Any] = [ta.jit(fn), ta.jit()(fn), ta.jit(check=True)(fn)]
    assert all(isinstance(jitted, Jitted) for jitted in spellings)
    for jitted in spellings:
        assert (jitted.__name__, jitted.__doc__) == ("fn", "Doc.")
        assert jitted.__wrapped__ is fn


def test_callable_objects(device: str) -> None:
    """An object with __call__ is jitted too, and its attributes don't hide jit's own."""

    class Scale:
        def __init__(self) -> None:
            self.factor = ta.tensor(3.0)
            self.graph = "mine"

        def __call__(self, x: Tensor) -> Tensor:
            return x * self.factor

    jitted = ta.jit(Scale())
    assert jitted(ta.tensor(2.0)).item() == 6
    assert jitted.traces == 1
    assert len(jitted.graph().instrs) == 1


# Exceptions


def test_exception_while_tracing(device: str) -> None:
    """An exception of the user's own leaves values, .grad, random state and cache as they were."""
    p, q = parameter(1.0), parameter(1.0)
    q.grad = g = ta.tensor([7.0])
    generator = ta.Generator(3)

    @ta.jit
    def step(x: Tensor, fail: bool) -> Tensor:
        generator.uniform((2,))
        (p * q * x).sum().backward()
        p.assign(p * 10)
        q.grad = None
        if fail:
            raise KeyError("mine")
        return p * 1

    x = ta.tensor([2.0])
    with pytest.raises(KeyError, match="mine"):
        step(x, True)
    assert TRACE.get() is None
    assert (p.tolist(), p.grad, q.grad, step.traces) == ([1], None, g, 0)
    assert generator.state.tolist() == [3, 0, 0]
    assert step(x, False).tolist() == p.tolist() == [10]
    assert grad_of(p) == [2]
    assert q.grad is None
    with pytest.raises(KeyError):
        step(x, True)
    assert p.tolist() == [10]


def test_exception_in_a_kernel() -> None:
    """A kernel that raises when the graph runs leaves everything as it was, too."""
    p = parameter(1.0, 2.0, 3.0)
    generator, count = ta.Generator(3), ta.tensor(0)

    @ta.jit
    def step(index: Tensor) -> Tensor:
        count.assign(count + 1)
        noise = generator.uniform((1,))
        loss = ta.take_along_axis(p, index, axis=0).sum()
        loss.backward()
        p.assign(p - 1)
        return loss + noise * 0

    def state() -> list[Any]:
        return [p.tolist(), p.grad, count.item(), generator.state.tolist()]

    before = state()
    for _ in range(2):
        with pytest.raises(IndexRangeError, match="index 3 is out of range for an axis of 3"):
            step(ta.tensor([3]))
        assert state() == before
    assert step.traces == 1
    assert step(ta.tensor([2])).item() == 3
    assert (p.tolist(), grad_of(p), count.item()) == ([0, 1, 2], [0, 0, 1], 1)


def test_failed_function_keeps_nothing_alive() -> None:
    """A trace that failed doesn't hold the tensors that it had read."""
    w = ta.tensor([1.0])

    @ta.jit
    def fails(t: list[Tensor]) -> None:
        t[0] * w
        raise KeyError

    for _ in range(2):
        x = ta.tensor([1.0])
        with pytest.raises(KeyError):
            fails([x])
        seen = weakref.ref(x)
        del x
        gc.collect()
        assert seen() is None


def test_arguments_are_not_kept_alive() -> None:
    """A successful trace holds captured tensors, but none of its arguments or results."""
    w = ta.tensor([1.0])
    jitted = ta.jit(lambda x: x * w)
    x = ta.tensor([1.0])
    refs = [weakref.ref(x), weakref.ref(jitted(x))]
    del x
    gc.collect()
    assert [r() for r in refs] == [None, None]


# Traces and threads


def test_nested(device: str) -> None:
    """A jitted function within another is part of its trace, with its state and gradients."""
    w, n = parameter(2.0), ta.tensor(0)

    @ta.jit
    def inner(x: Tensor) -> Tensor:
        n.assign(n + 1)
        return x * w

    outer = ta.jit(lambda x: inner(inner(x)) + 1)
    x = ta.tensor([3.0])
    for k in (1, 2):
        assert outer(x).tolist() == [13]
        assert n.item() == 2 * k
    assert (outer.traces, inner.traces) == (1, 0)
    assert inner(x).tolist() == [6]
    assert ta.jit(inner)(x).tolist() == [6]


def test_threads_start_eager() -> None:
    """While one thread traces, another one works on values."""
    inside, done = threading.Event(), threading.Event()
    seen: list[Any] = []

    def work() -> None:
        inside.wait(10)
        seen.append(TRACE.get())
        seen.append((ta.tensor(2.0) * 3).item())
        seen.append(ta.jit(lambda x: x + 1)(ta.tensor(1.0)).item())
        done.set()

    def fn(x: Tensor) -> Tensor:
        inside.set()
        assert done.wait(10)
        assert TRACE.get() is not None
        return x * 2

    thread = threading.Thread(target=work)
    thread.start()
    assert ta.jit(fn)(ta.tensor(1.0)).item() == 2
    thread.join()
    assert seen == [None, 6, 2]


def test_thread_started_while_tracing_is_eager() -> None:
    """A worker that is started from within a trace doesn't inherit it."""
    seen: list[float] = []

    def fn(x: Tensor) -> Tensor:
        thread = threading.Thread(target=lambda: seen.append((ta.tensor(1.0) + 1).item()))
        thread.start()
        thread.join()
        return x

    ta.jit(fn)(ta.tensor(1.0))
    assert seen == [2]


# Random numbers


def test_random_state_is_carried(device: str) -> None:
    """Dropout's masks in jitted calls are those of eager calls, and differ from call to call."""
    x = ta.ones(50)

    def fn(generator: ta.Generator) -> Tensor:
        return ta.dropout(x, generator.bits((50,)), p=0.5)

    eager, jitted = ta.Generator(4), ta.Generator(4)
    fast = ta.jit(fn)
    masks = [fast(jitted).tolist() for _ in range(3)]
    assert masks == [fn(eager).tolist() for _ in range(3)]
    assert masks[0] != masks[1] != masks[2]
    assert jitted.state.tolist() == eager.state.tolist()
    assert fast.traces == 1


# What is shown


def test_introspection(device: str) -> None:
    """graph() as traced, graph(optimized=True) as compiled, source(), memory() and traces."""
    w = ta.tensor([[1.0, 2.0, 3.0]])
    w.label = "weight"

    @ta.jit
    def fn(x: Tensor) -> Tensor:
        ta.cos(x)
        return ta.softmax(x * w, axis=1)

    for show in (fn.graph, fn.source, fn.memory):
        with pytest.raises(TraceError, match=r"jit\(fn\): nothing is traced yet; call it once fir"):
            show()
    assert fn.traces == 0
    fn(ta.ones((1, 3)))
    graph = fn.graph()
    assert [i.op for i in graph.instrs] == ["cos", "mul", "softmax"]
    assert sorted(graph.labels.values()) == ["argument 0", "captured weight"]
    optimized = fn.graph(optimized=True)
    assert "cos" not in [i.op for i in optimized.instrs]
    assert len(optimized.inputs) == 2
    assert fn.memory()["inputs"] == 24
    assert fn.memory()["outputs"] == 12
    text = fn.source()
    if device == "cpu":  # a line an instruction, and where its kernel comes from
        lines = zip(text.splitlines(), optimized.instrs, strict=True)
        assert all(f"= {i.op}(" in line and "  # " in line for line, i in lines)
        assert "sum(" in text
        assert "# cpu kernel" in text
    if device == "xla:cpu":  # XLA's own text, of one program
        assert text.count("HloModule") == 1
        assert "exponential" in text
    fn(ta.ones((2, 3)))
    assert fn.graph().specs[fn.graph().inputs[0]].shape == (2, 3)
    assert fn.traces == 2


def test_tensors_in_a_trace_print() -> None:
    """Printing inside shows what is known: number, dtype and shape."""
    texts = []

    def fn(x: Tensor) -> Tensor:
        texts.append(repr(x * 2))
        return x

    ta.jit(fn)(ta.tensor([1.0, 2.0]))
    assert texts == ["tensor(%2, float32[2], traced)"]
