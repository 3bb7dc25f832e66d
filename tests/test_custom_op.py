"""Tests of custom_op: a user's op with its own gradient and its own kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.errors import ArgumentError, BackendError, GradientError, TinyaccelError
from tinyaccel.op import OPS

X = [0.5, -1.0, 2.0]


def cube(**options: Any) -> Any:
    """x**3, with kernels and the gradient that is asked for."""
    return ta.custom_op(
        "test_cube",
        infer=lambda x: x,
        kernels={"cpu": lambda x: x**3, "xla": lambda x: x**3},
        **({"vjp": lambda g, out, x: 3 * x * x * g} | options),
        replace=True,
    )


def test_kernel_and_gradient(device: str) -> None:
    """Own kernel, own gradient, of the first and second order, eager and jitted."""
    op = cube()
    x = ta.tensor(X)
    first = ta.grad(lambda x: op(x).sum())
    second = ta.grad(lambda x: first(x).sum())
    for f, expected in ((op, 0.125), (first, 0.75), (second, 3.0)):
        assert f(x).tolist()[0] == expected
        assert ta.jit(f)(x).tolist() == f(x).tolist()


def test_gradient_gets_the_result() -> None:
    """vjp is given g, the result, the inputs and the attributes."""
    seen: dict[str, Any] = {}

    def vjp(g: ta.Tensor, out: ta.Tensor, x: ta.Tensor, *, times: int) -> ta.Tensor:
        seen.update(g=g.tolist(), out=out.tolist(), x=x.tolist(), times=times)
        return g * times

    op = ta.custom_op(
        "test_scale",
        infer=lambda x, *, times: x,
        kernels={"cpu": lambda x, *, times: x * times},
        vjp=vjp,
        replace=True,
    )
    assert ta.grad(lambda x: (op(x, times=3) * 2).sum())(ta.tensor(X)).tolist() == [6, 6, 6]
    assert seen == {"g": [2, 2, 2], "out": [1.5, -3, 6], "x": X, "times": 3}


def test_body_only(device: str) -> None:
    """Without kernel and infer: shape, dtype and gradient come from the body, on every device."""
    op = ta.custom_op("test_body", body=lambda a, b: a * ta.exp(b), replace=True)
    a, b = ta.tensor(X), ta.tensor([[0.0], [1.0]])
    assert op(a, b).shape == (2, 3)
    ga, gb = ta.grad(lambda a, b: op(a, b).sum(), (0, 1))(a, b)
    np.testing.assert_allclose(ga.numpy(), [1 + np.e] * 3, rtol=1e-6)
    np.testing.assert_allclose(gb.numpy(), [[1.5], [1.5 * np.e]], rtol=1e-6)
    np.testing.assert_allclose(ta.jit(op)(a, b).numpy(), op(a, b).numpy(), rtol=1e-6)
    assert "test_body" in [i.op for i in _traced(op, a, b).instrs]


def _traced(op: Any, *args: ta.Tensor) -> ta.Graph:
    jitted = ta.jit(lambda *xs: op(*xs))
    jitted(*args)
    return jitted.graph()


def test_kernel_before_body() -> None:
    """A device that has a kernel runs it; the others run the body."""
    kernels = {"cpu": lambda x: x + np.float32(2)}
    op = ta.custom_op("test_both", body=lambda x: x + 1, kernels=kernels, replace=True)
    assert op(ta.tensor([0.0])).item() == 2
    assert ta.jit(op)(ta.tensor([0.0])).item() == 2
    try:
        x = ta.tensor([0.0], device="xla:cpu")
    except TinyaccelError as error:
        pytest.skip(str(error))
    assert op(x).item() == 1
    assert ta.jit(op)(x).item() == 1


def test_no_kernel_for_this_device() -> None:
    """Neither kernel nor body here: the message names op, device and remedy."""
    op = ta.custom_op("test_elsewhere", infer=lambda x: x, kernels={"cuda": lambda x: x},
                      replace=True)  # fmt: skip
    text = (
        r"test_elsewhere: backend 'cpu' has no kernel for it; use another device, or give it one"
        r" \(its `kernels\['test_elsewhere'\]`, or custom_op's kernels=\)"
    )
    for call in (op, ta.jit(op)):
        with pytest.raises(BackendError, match=text):
            call(ta.tensor(X))


def test_several_inputs_and_none() -> None:
    """A gradient for each input; None where there is none."""
    op = ta.custom_op(
        "test_pick", infer=lambda c, a, b: a,
        kernels={"cpu": lambda c, a, b: np.where(c != 0, a, b)},
        vjp=lambda g, out, c, a, b: (None, ta.where(c != 0, g, 0), ta.where(c != 0, 0, g)),
        replace=True,
    )  # fmt: skip
    inputs = ta.tensor([1.0, 0.0]), ta.tensor([1.0, 2.0]), ta.tensor([3.0, 4.0])
    grads = ta.grad(lambda c, a, b: op(c, a, b).sum(), (0, 1, 2))(*inputs)
    assert [g.tolist() for g in grads] == [[0, 0], [1, 0], [0, 1]]


def test_without_gradient() -> None:
    """No vjp and no body: the result is no place that gradients reach."""
    op = ta.custom_op("test_round", infer=lambda x: x, kernels={"cpu": np.round}, replace=True)
    p = ta.tensor(X, requires_grad=True)
    assert not op(p).requires_grad
    assert ta.grad(lambda x: (op(x) * x).sum())(ta.tensor([2.0])).tolist() == [2]


WRONG: list[tuple[Any, str]] = [
    (lambda g, out, x: g.sum(),
     "test_cube: its vjp returned float32[] for an input of float32[3]; "
     "a gradient has its input's shape and dtype"),
    (lambda g, out, x: g.astype("float64"), "returned float64[3] for an input of float32[3]"),
    (lambda g, out, x: (g, g), "test_cube: its vjp returned 2 gradients for 1 inputs"),
    (lambda g, out, x: (), "test_cube: its vjp returned 0 gradients for 1 inputs"),
]  # fmt: skip


@pytest.mark.parametrize(("vjp", "text"), WRONG)
def test_wrong_gradients(vjp: Any, text: str) -> None:
    """A gradient of another shape, dtype or number isn't summed or cut to fit: it raises."""
    op = cube(vjp=vjp)
    for fn in (op, ta.jit(op)):
        with pytest.raises(GradientError) as caught:
            ta.grad(lambda x, fn=fn: fn(x).sum())(ta.tensor(X))
        assert text in str(caught.value)


def test_broadcasts() -> None:
    """With broadcasts= the tape sums a gradient to its input's shape; without, it raises."""

    def plus(broadcasts: bool) -> Any:
        return ta.custom_op("test_plus", body=lambda a, b: a + b, vjp=lambda g, out, a, b: (g, g),
                            broadcasts=broadcasts, replace=True)  # fmt: skip

    def slope(op: Any) -> list[float]:
        return ta.grad(lambda b: op(ta.tensor(X), b).sum())(ta.tensor([1.0])).tolist()  # type: ignore[no-any-return]

    assert slope(plus(broadcasts=True)) == [3]
    with pytest.raises(GradientError, match=r"returned float32\[3\] for an input of float32\[1\]"):
        slope(plus(broadcasts=False))


def test_broadcasts_casts_too() -> None:
    """For an op that broadcasts, a gradient is also cast to its input's dtype."""
    op = ta.custom_op("test_wide", body=lambda x: x * 2, broadcasts=True, replace=True,
                      vjp=lambda g, out, x: g.astype("float64") * 2)  # fmt: skip
    g = ta.grad(lambda x: op(x).sum())(ta.tensor(X))
    assert (g.dtype, g.tolist()) == (ta.float32, [2, 2, 2])


def test_takes() -> None:
    """Dtypes are promoted and refused as for our own ops."""
    op = ta.custom_op("test_takes", body=lambda x: x * x, takes="float", replace=True)
    assert op(ta.tensor([2])).dtype is ta.float32
    strict = ta.custom_op("test_takes", body=lambda x: x, takes="integer", replace=True)
    with pytest.raises(ta.errors.DTypeError, match="test_takes: dtype float32; expected integers"):
        strict(ta.tensor(X))


def test_definition_refused() -> None:
    """Nothing to compute with, no rule for the result, or a name that is taken."""
    with pytest.raises(ArgumentError, match=r"custom_op 'c': give kernels= by backend, or a body="):
        ta.custom_op("c", infer=lambda x: x)
    with pytest.raises(ArgumentError, match="custom_op 'c': give infer=, the rule for its result"):
        ta.custom_op("c", kernels={"cpu": lambda x: x})
    cube()
    with pytest.raises(TinyaccelError, match="op 'test_cube' is registered already"):
        ta.custom_op("test_cube", body=lambda x: x)
    with pytest.raises(TinyaccelError, match="op 'add' is registered already"):
        ta.custom_op("add", body=lambda x: x, replace=True)


def test_replace_takes_effect(device: str) -> None:
    """The new op is what runs from then on, eager and in new traces, with the new body's shape."""
    first = ta.custom_op("test_again", body=lambda x: x * 2, replace=True)
    x = ta.tensor(X)
    assert first(x).tolist() == [1, -2, 4]
    second = ta.custom_op("test_again", body=lambda x: x.sum(), replace=True)
    assert second(x).item() == 1.5
    assert ta.jit(second)(x).item() == 1.5
    assert OPS["test_again"].doc == "custom op test_again"
    assert second.__name__ == "test_again"


def test_a_refused_replacement_leaves_the_old_op() -> None:
    """A replacement that isn't valid doesn't take the old op away."""
    op = cube()
    with pytest.raises(ArgumentError):
        ta.custom_op("test_cube", infer=lambda x: x, replace=True)
    assert op(ta.tensor([2.0])).item() == 8


def test_body_must_not_capture() -> None:
    """A body that uses a tensor from outside is refused, with what to do."""
    outside = ta.tensor(X)
    op = ta.custom_op("test_captures", body=lambda x: x + outside, replace=True)
    with pytest.raises(ta.errors.TraceError, match=r"uses float32\[3\] from outside; pass it as"):
        op(ta.tensor(X))


def test_body_must_stay_on_its_device() -> None:
    """A body that makes a tensor on the default device, not on its input's, is told how."""
    op = ta.custom_op("test_strays", body=lambda x: x + ta.ones(3), replace=True)
    with pytest.raises(ta.errors.TraceError, match=r"test_strays: add in its body meets a tensor .*"
                       r"make it with device=x\.device"):  # fmt: skip
        op(ta.tensor(X))
    right = ta.custom_op("test_stays", body=lambda x: x + ta.ones(3, device=x.device), replace=True)
    assert right(ta.tensor(X)).tolist() == [1.5, 0, 3]
