"""Tests of differentiating through a jitted call, and of differentiating inside one."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.errors import GradientError

Tensor = ta.Tensor


def parameter(*values: float) -> Tensor:
    return ta.tensor(list(values), requires_grad=True)


def grad_of(t: Tensor) -> list[float]:
    assert t.grad is not None
    return t.grad.tolist()  # type: ignore[no-any-return]


# Scalar functions of one tensor, each with its own trap for a jitted gradient.


def smooth(x: Tensor) -> Tensor:
    return (ta.exp(ta.sin(x)) * x).sum()


def composites(x: Tensor) -> Tensor:
    return (ta.gelu(x) * ta.softmax(x, axis=0)).sum()


def detaches(x: Tensor) -> Tensor:
    return (x.detach() * x * x).sum()


def detaches_twice(x: Tensor) -> Tensor:
    y = ta.exp(x)
    return (y.detach() * y + (y * y).detach()).sum()


def without_grad(x: Tensor) -> Tensor:
    with ta.no_grad():
        scale = x * x + 1
    return (x * scale).sum()


def nested(x: Tensor) -> Tensor:
    return (ta.grad(smooth)(x) * x).sum()


def nested_with_capture(x: Tensor) -> Tensor:
    return ta.grad(lambda y: (y * y * x).sum())(x.detach() * 2).sum()


def uses_itself(x: Tensor) -> Tensor:
    return ((x + x) * x.reshape(3, 1)).sum()


def masks(x: Tensor) -> Tensor:
    return ta.where(x > 0, x * x, -x).sum()


def through_other_dtypes(x: Tensor) -> Tensor:
    return (x.astype("float64") ** 3).sum().astype("float32")


FUNCTIONS = [smooth, composites, detaches, detaches_twice, without_grad, nested,
             nested_with_capture, uses_itself, masks, through_other_dtypes]  # fmt: skip


@pytest.mark.parametrize("fn", FUNCTIONS)
def test_every_order_of_jit_and_grad(fn: Callable[[Tensor], Tensor], device: str) -> None:
    """grad(jit(f)) == jit(grad(f)) == grad(f), and the same for the second derivative."""
    x = ta.tensor([0.5, -1.0, 2.0])

    def second(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        return ta.grad(lambda x: (ta.grad(f)(x) * x).sum())

    for g in (ta.grad, second):
        expected = g(fn)(x).numpy()
        for variant in (g(ta.jit(fn)), ta.jit(g(fn)), ta.jit(g(ta.jit(fn)))):
            for _ in range(2):
                np.testing.assert_allclose(variant(x).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_third_derivative(device: str) -> None:
    """Three orders through one jitted function, alternating with jit."""
    x = ta.tensor(0.5)
    f: Any = ta.jit(ta.sin)
    for expected in (np.cos(0.5), -np.sin(0.5), -np.cos(0.5)):
        f = ta.jit(ta.grad(f))
        assert f(x).item() == pytest.approx(expected, rel=1e-5)
    g: Any = ta.jit(ta.sin)
    for expected in (np.cos(0.5), -np.sin(0.5), -np.cos(0.5)):
        g = ta.grad(g)
        assert g(x).item() == pytest.approx(expected, rel=1e-5)


def test_backward_through_a_call(device: str) -> None:
    """Leaves among the arguments and captured ones receive gradients, which accumulate."""
    w, b = parameter(2.0, 3.0), parameter(0.5, 0.5)
    jitted = ta.jit(lambda x, b: (x * w + b) ** 2)
    x = ta.tensor([1.0, -1.0])
    for k in (1, 2):
        y = jitted(x, b)
        assert not y.is_leaf
        y.sum().backward()
        np.testing.assert_allclose(grad_of(w), [5 * k, 5 * k])
        np.testing.assert_allclose(grad_of(b), [5 * k, -5 * k])
    assert x.grad is None
    assert jitted.traces == 2  # b's .grad was None once


def test_backward_through_a_chain_of_calls(device: str) -> None:
    """A call whose argument was computed, by another call or eagerly, passes gradients on."""
    p = parameter(3.0)
    square, triple = ta.jit(lambda x: x * x), ta.jit(lambda x: x * 3)
    y = square(triple(p) + 1)
    y.backward(ta.tensor([1.0]))
    assert grad_of(p) == [2 * 10 * 3]


def test_several_results(device: str) -> None:
    """Each result can be differentiated by itself, or all together; some may need nothing."""
    p, q = parameter(2.0), parameter(5.0)

    def fn(x: Tensor) -> dict[str, Any]:
        return {"a": x * p, "b": (x * x * q, x.detach() * 7), "c": x > 0, "d": p}

    x = parameter(3.0)
    out = ta.jit(fn)(x)
    assert [t.requires_grad for t in (out["a"], *out["b"], out["c"], out["d"])] == [
        True, True, False, False, True,
    ]  # fmt: skip
    out["a"].backward(ta.tensor([1.0]))
    assert (grad_of(x), grad_of(p), q.grad) == ([2], [3], None)
    out["b"][0].backward(ta.tensor([1.0]))
    assert (grad_of(x), grad_of(p), grad_of(q)) == ([2 + 30], [3], [9])
    p.grad = q.grad = x.grad = None
    out = ta.jit(fn)(x)
    (out["a"] + out["b"][0] * 10).backward(ta.tensor([1.0]))
    assert (grad_of(x), grad_of(p), grad_of(q)) == ([2 + 300], [3], [90])


def test_captured_computed_tensor(device: str) -> None:
    """What was computed outside and is captured gets its gradient, and hands it on."""
    p = parameter(2.0)
    y = p * p
    jitted = ta.jit(lambda x: x * y)
    jitted(ta.tensor([3.0])).backward(ta.tensor([1.0]))
    assert grad_of(p) == [3 * 2 * 2]


def test_detached_inputs_get_nothing(device: str) -> None:
    """An argument that is only used detached gets zeros from grad, and None from backward."""
    p, q = parameter(2.0), parameter(3.0)
    jitted = ta.jit(lambda p, q: p.detach() * q)
    y = jitted(p, q)
    y.backward(ta.tensor([1.0]))
    assert (p.grad, grad_of(q)) == (None, [2])
    assert ta.grad(lambda p, q: jitted(p, q).sum())(p, q).tolist() == [0]


def test_assigned_parameters_as_in_eager(device: str) -> None:
    """What a function assigned cuts the tape, and the leaf receives what flows to its new value."""

    def clips(p: Tensor) -> Tensor:
        p.assign(ta.clip(p.detach(), low=-1, high=1))
        return (p * p * 3).sum()

    def scales(p: Tensor) -> Tensor:
        y = p * 10
        p.assign(p * 3)
        return (y + p * 2).sum()

    for fn in (clips, scales):
        found = []
        for call in (fn, ta.jit(fn)):
            p = parameter(0.5, 4.0)
            call(p).backward()
            found.append((p.tolist(), grad_of(p)))
        assert found[0] == found[1]


def test_parameters_that_are_only_written(device: str) -> None:
    """A captured leaf that is assigned before it is read gets its gradient too."""
    found = []
    for wrap in (lambda f: f, ta.jit):
        p = parameter(1.0)

        def step(x: Tensor, p: Tensor = p) -> Tensor:
            p.assign(x * 5)
            return x * p

        y = wrap(step)(ta.tensor([2.0]))
        y.backward(ta.tensor([1.0]))
        found.append((y.tolist(), p.tolist(), grad_of(p)))
    assert found[0] == found[1] == ([20], [10], [2])


def test_gradient_at_the_values_of_the_call(device: str) -> None:
    """What is differentiated later uses what the call read, whatever was assigned since."""
    p = parameter(3.0)
    jitted = ta.jit(lambda x: x * p * p)
    y = jitted(ta.tensor([1.0]))
    p.assign([100.0])  # type: ignore[arg-type]
    y.backward(ta.tensor([1.0]))
    assert grad_of(p) == [6]


def test_random_masks_are_those_of_the_call(device: str) -> None:
    """The gradient of dropout uses the mask that the call drew, not a new one."""
    generator = ta.Generator(1)
    p = parameter(*[1.0] * 20)
    jitted = ta.jit(lambda p: ta.dropout(p, generator.bits((20,)), p=0.5))
    y = jitted(p)
    jitted(p)
    y.backward(ta.ones(20))
    assert grad_of(p) == y.tolist()
    assert 0 < sum(y.tolist()) < 40


def test_integers_pass_by(device: str) -> None:
    """Integer arguments and state don't get in the way of a gradient."""
    count = ta.tensor(0)
    p = parameter(1.0, 2.0, 3.0)

    @ta.jit
    def fn(p: Tensor, labels: Tensor) -> Tensor:
        count.assign(count + 1)
        return ta.cross_entropy(p.reshape(1, 3), labels)

    fn(p, ta.tensor([2])).backward()
    e = np.exp([1.0, 2.0, 3.0])
    np.testing.assert_allclose(grad_of(p), e / e.sum() - [0, 0, 1], rtol=1e-5, atol=1e-6)
    assert count.item() == 1


def test_one_argument_of_two_requires_grad(device: str) -> None:
    """requires_grad is part of the key, so each combination has its own tape."""
    jitted = ta.jit(lambda a, b: a * b)
    for ra, rb in ((True, False), (False, True), (True, True), (False, False)):
        a, b = ta.tensor([2.0], requires_grad=ra), ta.tensor([5.0], requires_grad=rb)
        y = jitted(a, b)
        assert y.requires_grad == (ra or rb)
        if y.requires_grad:
            y.backward(ta.tensor([1.0]))
        assert (None if a.grad is None else a.grad.item()) == (5 if ra else None)
        assert (None if b.grad is None else b.grad.item()) == (2 if rb else None)
    assert jitted.traces == 4


def test_vjp_jvp_and_hvp_through_jit(device: str) -> None:
    """The other derivatives work through a jitted function, too."""
    jitted = ta.jit(lambda x: ta.exp(x) * x)
    x, v = ta.tensor([0.5, 1.0]), ta.tensor([1.0, 2.0])
    slope = (1 + x.numpy()) * np.exp(x.numpy())
    y, pull = ta.vjp(jitted, x)
    np.testing.assert_allclose(y.numpy(), x.numpy() * np.exp(x.numpy()), rtol=1e-6)
    np.testing.assert_allclose(pull(v)[0].numpy(), slope * v.numpy(), rtol=1e-5)
    np.testing.assert_allclose(ta.jvp(jitted, [x], [v])[1].numpy(), slope * v.numpy(), rtol=1e-5)
    np.testing.assert_allclose(ta.jacobian(jitted, x).numpy(), np.diag(slope), rtol=1e-5)
    got = ta.hvp(lambda x: jitted(x).sum(), [x], [v])
    assert isinstance(got, Tensor)
    curvature = (2 + x.numpy()) * np.exp(x.numpy())
    np.testing.assert_allclose(got.numpy(), curvature * v.numpy(), rtol=1e-5)


def test_gradient_penalty_step(device: str) -> None:
    """A step with a gradient within, a backward through it, and an update: jitted as eager."""
    data = np.random.default_rng(5).normal(size=(4, 3)).astype(np.float32)
    runs = []
    for wrap in (lambda f: f, ta.jit):
        w = ta.tensor(np.ones((3, 2), np.float32) * 0.3, requires_grad=True)
        x = ta.tensor(data)

        def step(w: Tensor, x: Tensor) -> Tensor:
            slope = ta.grad(lambda x: ta.tanh(x @ w).sum())(x)
            loss = ((slope * slope).sum() - 1) ** 2
            loss.backward()
            assert w.grad is not None
            w.assign(w - 0.01 * w.grad)
            w.grad = None
            return loss

        jitted = wrap(step)
        runs.append([jitted(w, x).item() for _ in range(5)] + w.numpy().ravel().tolist())
    np.testing.assert_allclose(runs[1], runs[0], rtol=1e-4)


def test_create_graph_inside(device: str) -> None:
    """A .grad that backward(create_graph=True) leaves behind can itself be differentiated."""
    found = []
    for wrap in (lambda f: f, ta.jit):
        p, w = parameter(2.0), parameter(5.0)

        def step(p: Tensor, w: Tensor = w) -> None:
            (p**3 * w).sum().backward(create_graph=True)
            p.assign([100.0])  # type: ignore[arg-type]

        wrap(step)(p)
        first = p.grad
        assert first is not None and first.requires_grad
        p.grad = w.grad = None
        first.backward(ta.tensor([1.0]))
        found.append((first.tolist(), grad_of(p), grad_of(w)))
    assert found[0] == found[1] == ([60], [60], [12])


def test_custom_op_inside(device: str) -> None:
    """A user's op with its own gradient keeps it through jit, at both orders."""
    op = ta.custom_op("jit_test_cube", body=lambda x: x * x * x,
                      vjp=lambda g, out, x: g * 3 * x * x, replace=True)  # fmt: skip
    x = ta.tensor([2.0])
    first = ta.grad(ta.jit(lambda x: op(x).sum()))
    assert first(x).tolist() == [12]
    assert ta.grad(lambda x: first(x).sum())(x).tolist() == [12]


def test_refused_as_in_eager(device: str) -> None:
    """backward of a result without tape, or of several elements, says the same as in eager."""
    jitted = ta.jit(lambda x: x * 2)
    with pytest.raises(GradientError, match="nothing here requires a gradient"):
        jitted(ta.tensor([1.0])).backward()
    with pytest.raises(GradientError, match=r"backward: float32\[2\] is no scalar"):
        jitted(parameter(1.0, 2.0)).backward()


def test_results_let_go_of_the_tape() -> None:
    """Dropping a result frees the arguments that its tape had saved, without gc."""
    jitted = ta.jit(lambda x: x * x)
    p = parameter(1.0)
    jitted(p).backward(ta.tensor([1.0]))
    gc.collect()
    gc.disable()
    try:
        x = p * 2
        y = jitted(x)
        seen = weakref.ref(x._node)
        del x
        assert seen() is not None
        y.backward(ta.tensor([1.0]))
        del y
        assert seen() is None
    finally:
        gc.enable()
