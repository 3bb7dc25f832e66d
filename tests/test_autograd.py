"""Tests of tinyaccel.autograd: derivatives of any order, nesting, and what they leave behind."""

from __future__ import annotations

import gc
import math
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.errors import GradientError

Fn = Callable[..., ta.Tensor]


@pytest.fixture
def _no_gc() -> Iterator[None]:
    """Without the cycle collector: what is freed is freed by its last reference."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def scalar(x: ta.Tensor) -> ta.Tensor:
    """A smooth function whose derivatives all differ: sum of exp(sin x) * x."""
    return (ta.exp(ta.sin(x)) * x).sum()


def numeric(fn: Callable[[np.ndarray], float], x: np.ndarray, h: float = 1e-5) -> np.ndarray:
    """Central differences of a scalar function, in float64."""
    out = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[at] += h
        down[at] -= h
        out[at] = (fn(up) - fn(down)) / (2 * h)
    return out


# First order


def test_grad_against_differences(rng: np.random.Generator, device: str) -> None:
    """grad and value_and_grad against central differences."""
    x = rng.normal(size=(2, 3))
    value, g = ta.value_and_grad(scalar)(ta.tensor(x))
    assert value.item() == pytest.approx(float((np.exp(np.sin(x)) * x).sum()))
    np.testing.assert_allclose(
        g.numpy(), numeric(lambda a: scalar(ta.tensor(a)).item(), x), rtol=1e-6, atol=1e-8
    )
    assert ta.grad(scalar)(ta.tensor(x)).tolist() == g.tolist()


def test_argnums() -> None:
    """One number gives one gradient, several a tuple, -1 the last argument."""

    def fn(a: ta.Tensor, b: ta.Tensor, n: ta.Tensor) -> ta.Tensor:
        return (a * b * b * n).sum()

    a, b, n = ta.tensor(2.0), ta.tensor(3.0), ta.tensor(5)
    assert ta.grad(fn)(a, b, n).item() == 45
    assert [g.item() for g in ta.grad(fn, (1, 0))(a, b, n)] == [60, 45]
    assert [g.item() for g in ta.grad(fn, [0])(a, b, n)] == [45]
    assert ta.grad(fn, -2)(a, b, n).item() == 60
    assert ta.grad(lambda x: x * x)(3.0).item() == 6  # numbers become tensors


def test_unused_argument() -> None:
    """The gradient of what isn't used is zeros of its shape and dtype, never None."""
    x, unused = ta.tensor([1.0]), ta.tensor([[1.0, 2.0]], dtype="float16")
    zeros = ta.grad(lambda x, u: x.sum(), 1)(x, unused)
    assert (zeros.tolist(), zeros.dtype) == ([[0, 0]], ta.float16)
    assert ta.grad(lambda x: ta.tensor(1.0))(x).tolist() == [0]
    assert ta.jacobian(lambda x: ta.zeros(2), x).tolist() == [[0], [0]]
    _, tangent = ta.jvp(lambda x: ta.ones(2), [x], [x])
    assert tangent.tolist() == [0, 0]


def test_same_tensor_twice() -> None:
    """One tensor as two arguments has a gradient for each place."""
    x = ta.tensor(3.0)
    assert [g.item() for g in ta.grad(lambda a, b: a * a * b, (0, 1))(x, x)] == [18, 9]


def test_leaves_grad_alone() -> None:
    """The functions fill nobody's .grad, and work on tensors that require one or none."""
    p = ta.tensor(2.0, requires_grad=True)
    assert ta.grad(lambda x: x**3)(p).item() == 12
    assert p.grad is None


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: ta.grad(lambda x: x)(ta.tensor([1.0, 2.0])),
     "grad: the function returned float32[2]; expected a tensor of 1 element"),
    (lambda: ta.grad(lambda x: (x, x))(ta.tensor(1.0)), "grad: the function returned tuple"),  # type: ignore[arg-type, return-value]
    (lambda: ta.grad(lambda x: x)(ta.tensor(1)),
     "grad: argument 0 is int32[]; only floats have one"),
    (lambda: ta.grad(lambda x: x, 1)(ta.tensor(1.0)), "argnums 1, but the function got 1 arg"),
    (lambda: ta.vjp(lambda x: x * 2, ta.tensor([1.0]))[1](ta.tensor(1.0)),
     "vjp: float32[] pulled back through float32[1]; must be equal"),
    (lambda: ta.vjp(lambda x: [x], ta.tensor([1.0])), "vjp: the function returned list"),  # type: ignore[arg-type, return-value]
    (lambda: ta.jvp(lambda x: None, [ta.tensor(1.0)], [ta.tensor(1.0)]),  # type: ignore[arg-type, return-value]
     "jvp: the function returned NoneType; expected one tensor"),
    (lambda: ta.jvp(lambda x: x, [ta.tensor(1.0)], []), "jvp: 1 primals but 0 tangents"),
    (lambda: ta.jvp(lambda x: x, [ta.tensor(1.0)], [ta.tensor([1.0])]),
     "jvp: tangent float32[1] for an input of float32[]; must be equal"),
    (lambda: ta.hvp(lambda x: x, [ta.tensor(1.0)], []), "hvp: 1 primals but 0 vectors; pair them"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "text"), REFUSED)
def test_refuses(call: Callable[[], Any], text: str) -> None:
    """Each misuse has one line that says what came and what was expected."""
    with pytest.raises(GradientError) as caught:
        call()
    assert text in str(caught.value)


# Jacobians and Hessians


def field(x: ta.Tensor) -> ta.Tensor:
    """R^3 -> R^2, with the Jacobian [[x1, x0, 0], [0, cos x1, 2 x2]]."""
    return ta.stack([x[0] * x[1], ta.sin(x[1]) + x[2] * x[2]])


def test_jacobian_vjp_and_jvp_agree(rng: np.random.Generator, device: str) -> None:
    """v^T J and J t are products with the same J, which is the one on paper."""
    a, v, t = rng.normal(size=3), rng.normal(size=2), rng.normal(size=3)
    j = np.array([[a[1], a[0], 0], [0, math.cos(a[1]), 2 * a[2]]])
    x = ta.tensor(a)
    np.testing.assert_allclose(ta.jacobian(field, x).numpy(), j)
    y, pull = ta.vjp(field, x)
    np.testing.assert_allclose(y.numpy(), [a[0] * a[1], math.sin(a[1]) + a[2] ** 2])
    np.testing.assert_allclose(pull(ta.tensor(v))[0].numpy(), v @ j)
    np.testing.assert_allclose(pull(ta.tensor(2 * v))[0].numpy(), 2 * v @ j)  # again
    y, tangent = ta.jvp(field, [x], [ta.tensor(t)])
    np.testing.assert_allclose(tangent.numpy(), j @ t)


def test_jacobian_shapes() -> None:
    """The shape is the result's, then the argument's; empty ones too."""
    x = ta.ones((2, 3))
    assert ta.jacobian(lambda x: x.sum(1), x).shape == (2, 2, 3)
    assert ta.jacobian(lambda x: x.sum(), x).shape == (2, 3)
    assert ta.jacobian(lambda x: x[:0], x).shape == (0, 3, 2, 3)


def test_jvp_of_several_inputs() -> None:
    """The directions of all inputs add up, also for an input that is returned as it is."""
    a, b = ta.tensor(2.0), ta.tensor(3.0)
    _, t = ta.jvp(lambda a, b: a * b, [a, b], [ta.tensor(1.0), ta.tensor(10.0)])
    assert t.item() == 3 + 20
    _, t = ta.jvp(lambda a, b: a, [a, b], [ta.tensor(1.0), ta.tensor(10.0)])
    assert t.item() == 1


def test_hvp(rng: np.random.Generator) -> None:
    """The Hessian times a vector, against the Hessian as the Jacobian of the gradient."""
    a, v = rng.normal(size=4), rng.normal(size=4)

    def fn(x: ta.Tensor) -> ta.Tensor:
        return (x[:-1] * ta.exp(x[1:])).sum()

    hessian = ta.jacobian(ta.grad(fn), ta.tensor(a)).numpy()
    np.testing.assert_allclose(hessian, hessian.T)
    np.testing.assert_allclose(
        hessian, numeric_hessian(lambda z: float((z[:-1] * np.exp(z[1:])).sum()), a), atol=1e-4
    )
    got = ta.hvp(fn, [ta.tensor(a)], [ta.tensor(v)])
    assert isinstance(got, ta.Tensor)
    np.testing.assert_allclose(got.numpy(), hessian @ v)


def numeric_hessian(fn: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    def slope(i: int) -> Callable[[np.ndarray], float]:
        return lambda z: float(numeric(fn, z, 1e-4)[i])

    return np.stack([numeric(slope(i), x, 1e-4) for i in range(x.size)])


def test_hvp_of_two_arguments() -> None:
    """Mixed second derivatives: f = a^2 b has the Hessian [[2b, 2a], [2a, 0]]."""
    a, b = ta.tensor(2.0), ta.tensor(3.0)
    got = ta.hvp(lambda a, b: a * a * b, [a, b], [ta.tensor(1.0), ta.tensor(10.0)])
    assert isinstance(got, tuple)
    assert [g.item() for g in got] == [2 * 3 + 2 * 2 * 10, 2 * 2]


# Higher orders


def test_four_orders(device: str) -> None:
    """The first four derivatives of x^5 and of sin, each from the one before."""
    f: Fn = lambda x: x**5  # noqa: E731
    g: Fn = ta.sin
    powers, waves = [], []
    x, y = ta.tensor(2.0, dtype="float64"), ta.tensor(0.5, dtype="float64")
    for _ in range(4):
        f, g = ta.grad(f), ta.grad(g)
        powers.append(f(x).item())
        waves.append(g(y).item())
    np.testing.assert_allclose(powers, [5 * 16, 20 * 8, 60 * 4, 120 * 2])
    np.testing.assert_allclose(
        waves, [math.cos(0.5), -math.sin(0.5), -math.cos(0.5), math.sin(0.5)]
    )


def test_forward_over_reverse_and_reverse_over_forward() -> None:
    """jvp of grad, grad of jvp, and jvp of jvp agree on a second derivative."""
    x, one = ta.tensor(0.7, dtype="float64"), ta.tensor(1.0, dtype="float64")
    expected = -math.sin(0.7)

    def slope(z: ta.Tensor) -> ta.Tensor:
        return ta.jvp(ta.sin, [z], [one])[1]

    assert ta.jvp(ta.grad(ta.sin), [x], [one])[1].item() == pytest.approx(expected)
    assert ta.grad(slope)(x).item() == pytest.approx(expected)
    assert ta.jvp(slope, [x], [one])[1].item() == pytest.approx(expected)


def test_gradient_of_a_gradient_norm(rng: np.random.Generator) -> None:
    """A gradient penalty through a small network, against differences in float64."""
    w, x = rng.normal(size=(3, 4)), rng.normal(size=(2, 3))

    def penalty(w: ta.Tensor) -> ta.Tensor:
        g = ta.grad(lambda x: ta.tanh(x @ w).sum())(ta.tensor(x))
        return (g * g).sum()

    got = ta.grad(penalty)(ta.tensor(w)).numpy()
    np.testing.assert_allclose(
        got, numeric(lambda a: penalty(ta.tensor(a)).item(), w), rtol=1e-6, atol=1e-8
    )


# Nesting


def test_mixed_derivatives_of_captured_tensors() -> None:
    """d/dw of grad_x reaches a w that the inner function only captured: f = w^2 x^3."""
    x = ta.tensor(2.0)

    def slope_in_x(w: ta.Tensor) -> ta.Tensor:
        return ta.grad(lambda x: w * w * x**3)(x)

    assert slope_in_x(ta.tensor(5.0)).item() == 25 * 12
    assert ta.grad(slope_in_x)(ta.tensor(5.0)).item() == 2 * 5 * 12
    assert ta.grad(ta.grad(slope_in_x))(ta.tensor(5.0)).item() == 2 * 12


def test_inner_gradient_of_an_outer_argument() -> None:
    """The classic trap of nested differentiation: d/dx (x * d/dy (x + y)) is 1, not 2."""
    got = ta.grad(lambda x: x * ta.grad(lambda y: x + y)(ta.tensor(1.0)))(ta.tensor(3.0))
    assert got.item() == 1


def test_inner_gradient_at_an_outer_argument() -> None:
    """grad_y f(y) taken at y = x, where f also captures x: d/dx (3 x^2 * x) is 9 x^2."""
    got = ta.grad(lambda x: ta.grad(lambda y: y**3 * x)(x))(ta.tensor(2.0))
    assert got.item() == 9 * 4


def test_captured_leaves_receive_gradients() -> None:
    """backward through a grad call reaches parameters that were captured, at second order."""
    w = ta.tensor(5.0, requires_grad=True)
    ta.grad(lambda x: w * w * x**3)(ta.tensor(2.0)).backward()
    assert w.grad is not None
    assert w.grad.item() == 2 * 5 * 12


def test_argument_that_requires_grad_stays_on_the_tape() -> None:
    """A gradient at a parameter can be differentiated with respect to it."""
    p = ta.tensor(2.0, requires_grad=True)
    g = ta.grad(lambda x: x**3)(p)
    assert g.requires_grad
    g.backward()
    assert p.grad is not None
    assert p.grad.item() == 12
    value, _ = ta.value_and_grad(lambda x: x**3)(p)
    p.grad = None
    value.backward()
    assert p.grad is not None
    assert p.grad.item() == 12


def test_inside_no_grad() -> None:
    """no_grad stops recording outside, but grad itself still works; its results carry no tape."""
    p = ta.tensor(2.0, requires_grad=True)
    with ta.no_grad():
        value, g = ta.value_and_grad(lambda x: x**3)(p)
        assert ta.grad(ta.grad(lambda x: x**3))(ta.tensor(2.0)).item() == 12
    assert (value.item(), g.item()) == (8, 12)
    assert not value.requires_grad
    assert not g.requires_grad


def test_no_grad_inside() -> None:
    """What the function computes within no_grad counts as a constant."""

    def fn(x: ta.Tensor) -> ta.Tensor:
        with ta.no_grad():
            factor = x * x
        return factor * x

    assert ta.grad(fn)(ta.tensor(3.0)).item() == 9


def test_detach_inside() -> None:
    """detach cuts the tape for the innermost and all outer derivatives."""
    assert ta.grad(lambda x: x.detach() * x)(ta.tensor(3.0)).item() == 3
    assert ta.grad(ta.grad(lambda x: x.detach() * x))(ta.tensor(3.0)).item() == 0


def test_backward_inside_grad() -> None:
    """backward fills leaves from within a differentiated function."""
    w = ta.tensor(2.0, requires_grad=True)

    def fn(x: ta.Tensor) -> ta.Tensor:
        (w * w * 3).backward()
        return x * x

    assert ta.grad(fn)(ta.tensor(3.0)).item() == 6
    assert w.grad is not None
    assert w.grad.item() == 12


# What is left behind


def test_chain_of_100_000_ops() -> None:
    """A chain far longer than Python's stack is differentiated, and deleted."""
    x = ta.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = -y
    assert sys.getrecursionlimit() < 100_000
    y.backward()
    assert x.grad is not None
    assert x.grad.item() == 1
    node = weakref.ref(y._node)
    del y
    assert node() is None


@pytest.mark.usefixtures("_no_gc")
def test_functional_loop_keeps_nothing() -> None:
    """p = p - lr * grad(f)(p): each step's tensors go when the next ones come, without gc."""
    p = ta.tensor([1.0, 2.0])
    step = ta.value_and_grad(lambda q: (q * q).sum())
    seen = []
    for _ in range(5):
        value, g = step(p)
        seen += [weakref.ref(t) for t in (p, g, value)]
        assert not p.requires_grad
        assert not value.requires_grad  # its tape led to nobody but the function itself
        p = p - 0.1 * g
        del value, g
    assert [r() for r in seen if r() is not None] == []


@pytest.mark.usefixtures("_no_gc")
def test_training_loop_keeps_nothing() -> None:
    """backward and assign: no node of an earlier step outlives its loss, without gc."""
    p = ta.tensor([1.0, 2.0], requires_grad=True)
    for _ in range(3):
        loss = (ta.exp(p) * p).sum()
        nodes = [weakref.ref(n) for n in _nodes(loss)]
        p.grad = None
        loss.backward()
        assert p.grad is not None
        p.assign(p.detach() - 0.1 * p.grad)
        del loss
        assert [n() for n in nodes if n() is not None and n() is not p._node] == []


def _nodes(t: ta.Tensor) -> list[Any]:
    from tinyaccel.tape import reachable

    assert t._node is not None
    return reachable(t._node)


@pytest.mark.usefixtures("_no_gc")
def test_higher_order_keeps_nothing() -> None:
    """jvp, hvp, jacobian and create_graph leave no cycle behind."""
    x = ta.tensor([1.0, 2.0])
    before = len(gc.get_objects())
    for _ in range(3):
        ta.hvp(lambda x: (x**3).sum(), [x], [x])
        ta.jvp(lambda x: x * x, [x], [x])
        ta.jacobian(lambda x: x * x, x)
        ta.grad(lambda x: ta.grad(lambda y: (y**3).sum())(x).sum())(x)
        after, before = before, len(gc.get_objects())
    assert before <= after + 5


# Modes and threads


def test_threads_start_eager_and_recording() -> None:
    """A worker thread records a tape though its parent is in no_grad, and the other way round."""
    seen: list[bool] = []

    def work() -> None:
        seen.append((ta.tensor(1.0, requires_grad=True) * 2).requires_grad)

    with ta.no_grad():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert not (ta.tensor(1.0, requires_grad=True) * 2).requires_grad
    assert seen == [True]


def test_threads_differentiate_at_once() -> None:
    """Several threads take gradients at the same time, each its own."""
    results: dict[int, list[float]] = {}

    def work(k: int) -> None:
        results[k] = [ta.grad(lambda x: x ** float(k))(ta.tensor(2.0)).item() for _ in range(50)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {k: [k * 2.0 ** (k - 1)] * 50 for k in range(1, 5)}
