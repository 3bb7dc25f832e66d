"""Tests of jit's state: what it reads anew, writes back, and never overwrites."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta

Tensor = ta.Tensor


def parameter(*values: float) -> Tensor:
    return ta.tensor(list(values), requires_grad=True)


def grad_of(t: Tensor) -> list[float]:
    assert t.grad is not None
    return t.grad.tolist()  # type: ignore[no-any-return]


# State


def test_captured_tensors_are_read_anew(device: str) -> None:
    """What is assigned between calls is seen by the next one, without a new trace."""
    w = ta.tensor([1.0, 2.0])
    jitted = ta.jit(lambda x: x * w)
    x = ta.tensor([1.0, 1.0])
    assert jitted(x).tolist() == [1, 2]
    w.assign([5, 6])  # type: ignore[arg-type]
    assert jitted(x).tolist() == [5, 6]
    assert jitted.traces == 1


def test_assigned_tensors_are_written_back(device: str) -> None:
    """A counter counts, also one that is read after it was assigned; a tensor that is only
    assigned, and never read, too."""
    n, seen = ta.tensor(0), ta.tensor([0.0])

    @ta.jit
    def step(x: Tensor) -> Tensor:
        seen.assign(x)
        n.assign(n + 1)
        before = n * 1
        n.assign(n * 2)
        return before

    assert [step(ta.tensor([float(i)])).item() for i in (5, 6, 7)] == [1, 3, 7]
    assert (n.item(), seen.item()) == (14, 7)
    assert step.traces == 1


def test_two_tensors_swap(device: str) -> None:
    """Each is assigned the other's value of before, as in eager."""
    a, b = ta.tensor(1.0), ta.tensor(2.0)

    @ta.jit
    def swap() -> None:
        old = a.detach()
        a.assign(b)
        b.assign(old)

    swap()
    assert (a.item(), b.item()) == (2, 1)
    swap()
    assert (a.item(), b.item()) == (1, 2)


def test_arguments_can_be_assigned(device: str) -> None:
    """An argument that is assigned is the caller's tensor, another one in each call."""
    jitted = ta.jit(lambda x: x.assign(x * 10))
    x, y = ta.tensor(1.0), ta.tensor(2.0)
    assert jitted(x) is x
    assert jitted(y) is y
    assert (x.item(), y.item(), jitted.traces) == (10, 20, 1)


def test_learning_rate_is_a_tensor(device: str) -> None:
    """A 0-d tensor changes between calls without a new trace; a Python number is a new one."""
    p, rate = parameter(1.0), ta.tensor(0.5)
    step = ta.jit(lambda: p.assign(p - rate * 1.0))
    step()
    rate.assign(0.25)
    step()
    assert (p.item(), step.traces) == (0.25, 1)


def sgd(p: Tensor, velocity: Tensor, count: Tensor, rate: Tensor) -> Callable[[Tensor], Tensor]:
    """A training step with momentum and a step count, as an optimizer writes it."""

    def step(x: Tensor) -> Tensor:
        p.grad = None
        loss = ((p * x) ** 2).mean() + ta.exp(p).sum() * 0.01
        loss.backward()
        assert p.grad is not None
        count.assign(count + 1)
        velocity.assign(velocity * 0.9 + p.grad)
        p.assign(p - rate / (1 + 0.1 * count) * velocity)
        return loss

    return step


def test_training_step(device: str, rng: np.random.Generator) -> None:
    """Losses, parameters, momentum, step count and .grad agree with eager at each of ten steps."""
    batches = [ta.tensor(rng.normal(size=3).astype(np.float32)) for _ in range(10)]
    runs = []
    for wrap in (lambda f: f, ta.jit):
        p, velocity = parameter(0.5, -0.3, 0.8), ta.zeros(3)
        count, rate = ta.tensor(0), ta.tensor(0.1)
        step = wrap(sgd(p, velocity, count, rate))
        history = []
        for i, x in enumerate(batches):
            if i == 5:
                rate.assign(0.01)
            loss = step(x)
            history.append([loss.item(), *p.tolist(), *velocity.tolist(), *grad_of(p)])
        assert count.item() == 10
        runs.append(history)
    np.testing.assert_allclose(runs[1], runs[0], rtol=2e-5, atol=1e-7)


def test_grad_is_an_output_only_if_it_survives(device: str) -> None:
    """A .grad that the step sets back to None costs no output, and stays None outside."""
    p = parameter(1.0, 2.0)

    def body() -> None:
        (p * p).sum().backward()
        assert p.grad is not None
        p.assign(p - 0.1 * p.grad)

    @ta.jit
    def clean() -> None:
        body()
        p.grad = None

    clean()
    assert p.grad is None
    assert len(clean.graph().outputs) == 1
    keeps = ta.jit(body)
    keeps()
    assert len(keeps.graph().outputs) == 2
    np.testing.assert_allclose(grad_of(p), [1.6, 3.2], rtol=1e-6)


def test_grad_accumulates_over_calls(device: str) -> None:
    """Without setting it to None .grad grows, as in eager: one trace without, one with a .grad."""
    p = parameter(1.0, 2.0)
    step = ta.jit(lambda: (p * p).sum().backward())
    kept = []
    for _ in range(3):
        step()
        kept.append(p.grad)
    assert [g.tolist() for g in kept if g is not None] == [[2, 4], [4, 8], [6, 12]]
    assert step.traces == 2
    p.grad = None
    step()
    assert grad_of(p) == [2, 4]
    assert step.traces == 2


def test_grad_of_arguments(device: str) -> None:
    """The .grad of an argument is the caller's, read and written like that of captured ones."""
    step = ta.jit(lambda q: (q * q * q).sum().backward())
    p, q = parameter(1.0), parameter(2.0)
    step(p)
    step(q)
    step(p)
    assert (grad_of(p), grad_of(q)) == ([6], [12])
    assert step.traces == 2


def test_grad_can_be_read_and_set(device: str) -> None:
    """Inside, .grad is what it would be in eager: clipped, replaced, removed, handed on."""
    p, q = parameter(3.0, 4.0), parameter(0.0, 0.0)

    def step() -> Tensor:
        assert p.grad is not None
        norm = ta.sqrt((p.grad * p.grad).sum())
        q.grad = p.grad
        p.grad = p.grad / norm
        return norm

    jitted = ta.jit(step)
    for size in (1, 2):
        g = [3.0 * size, 4.0 * size]
        p.grad = ta.tensor(g)
        assert jitted().item() == pytest.approx(5 * size)
        np.testing.assert_allclose(grad_of(p), [0.6, 0.8], rtol=1e-6)
        assert grad_of(q) == g
    assert jitted.traces == 1


# Results are what eager's are


def test_returned_values_are_never_overwritten(device: str) -> None:
    """Three losses, a detached parameter of each step, its .grad, and a checkpoint in between."""
    p, velocity = parameter(0.5, -0.3), ta.zeros(2)
    step = ta.jit(sgd(p, velocity, ta.tensor(0), ta.tensor(0.1)))
    x = ta.tensor([1.0, 2.0])
    kept: list[tuple[Tensor, list[float]]] = []
    checkpoint = p.detach()
    kept.append((checkpoint, checkpoint.tolist()))
    for i in range(6):
        if i == 3:
            p.assign(checkpoint)
            velocity.assign(ta.zeros(2))
        loss = step(x)
        assert p.grad is not None
        for t in (loss, p.detach(), velocity.detach(), p.grad):
            kept.append((t, t.tolist()))
    assert all(t.tolist() == values for t, values in kept)
    assert len({tuple(np.ravel(values)) for _, values in kept}) > 12


def test_checkpoint_restarts_the_same_run(device: str) -> None:
    """Loading a checkpoint between steps gives the same steps again, to the bit."""
    p, velocity, count = parameter(0.5, -0.3), ta.zeros(2), ta.tensor(0)
    step = ta.jit(sgd(p, velocity, count, ta.tensor(0.1)))
    x = ta.tensor([1.0, 2.0])
    step(x)
    saved = [t.numpy() for t in (p, velocity, count)]
    first = [step(x).item() for _ in range(3)]
    for t, array in zip((p, velocity, count), saved, strict=True):
        t.assign(array)
    assert [step(x).item() for _ in range(3)] == first


def test_identity_of_results(device: str) -> None:
    """An argument, a captured tensor, a static value that is returned is that very object."""
    w, marker = ta.tensor([1.0]), object()

    def fn(x: Tensor) -> Any:
        w.assign(w + 1)
        return x, w, x * 2, marker, x.detach()

    x = ta.tensor([5.0])
    for call in (fn, jitted := ta.jit(fn), jitted):
        a, b, c, d, e = call(x)
        assert a is x
        assert b is w
        assert d is marker
        assert e is not x
        assert (c.tolist(), e.tolist()) == ([10], [5])
    assert w.tolist() == [4]
    other = ta.tensor([6.0])
    assert jitted(other)[0] is other


def test_returned_grad_is_the_current_one(device: str) -> None:
    """A .grad that is only handed out is today's object, not that of the first call."""
    p = parameter(1.0)

    def fn() -> Any:
        kept = p.grad
        p.grad = None
        return kept

    jitted = ta.jit(fn)
    for value in (5.0, 7.0):
        p.grad = g = ta.tensor([value])
        assert jitted() is g
        assert p.grad is None
    p.grad = g = ta.tensor([9.0])
    argument = ta.jit(lambda q: q.grad)
    assert argument(p) is g
    q = parameter(1.0)
    q.grad = h = ta.tensor([3.0])
    assert argument(q) is h


def test_one_value_twice(device: str) -> None:
    """A value that is returned, assigned and made a .grad at once is right in all places."""
    p, n = parameter(2.0), ta.tensor([0.0])

    @ta.jit
    def fn(x: Tensor) -> tuple[Tensor, Tensor]:
        y = x * 3
        n.assign(y)
        p.grad = y.detach()
        return y, y

    a, b = fn(ta.tensor([2.0]))
    assert a.tolist() == b.tolist() == n.tolist() == grad_of(p) == [6]
    fn(ta.tensor([3.0]))
    assert a.tolist() == b.tolist() == [6]
    assert n.tolist() == grad_of(p) == [9]


def test_requires_grad_of_results(device: str) -> None:
    """Results require a gradient exactly where they would in eager."""
    p = parameter(1.0)

    def fn(x: Tensor) -> tuple[Tensor, ...]:
        return x * 2, x * p, (x * p).detach(), (x * p) > 0, p.detach() * x

    for call in (fn, ta.jit(fn)):
        assert [t.requires_grad for t in call(ta.tensor([1.0]))] == [
            False,
            True,
            False,
            False,
            False,
        ]
        with ta.no_grad():
            assert not any(t.requires_grad for t in call(ta.tensor([1.0])))


def test_results_are_freed_at_once(device: str) -> None:
    """A call leaves no cycle: losses and gradients of earlier steps go without the collector."""
    p = parameter(0.5, -0.3)
    step = ta.jit(sgd(p, ta.zeros(2), ta.tensor(0), ta.tensor(0.1)))
    x = ta.tensor([1.0, 2.0])
    step(x)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            seen: list[Any] = [weakref.ref(step(x)), weakref.ref(p.grad)]
            step(x)
            assert [r() for r in seen] == [None, None]
    finally:
        gc.enable()
