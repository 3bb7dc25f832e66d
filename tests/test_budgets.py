"""Error budgets: the bounds hold, are no larger than stated, and what breaks them is told."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

import tinyaccel as ta
from tinyaccel import budgets
from tinyaccel.budgets import rules
from tinyaccel.budgets.kernels import kernels
from tinyaccel.budgets.values import Bounded
from tinyaccel.errors import CheckError, IndexRangeError, ShapeError
from tinyaccel.graph import Graph
from tinyaccel.op import OPS
from tinyaccel.tensor import Tensor, apply
from tinyaccel.testing import accepted, trace_call
from tinyaccel.testing.layouts import layouts
from tinyaccel.testing.references.elementwise import erf
from tinyaccel.testing.strategies import make_case, make_smooth

Array: TypeAlias = npt.NDArray[Any]
EPS, TINY = 2.0**-23, 2.0**-126


def graph_of(fn: Callable[..., Any], *arrays: Array) -> Graph:
    return trace_call(fn, *map(ta.tensor, arrays))


def bound_of(fn: Callable[..., Any], *arrays: Array) -> Bounded:
    """The value and the bound of the one result of `fn`."""
    (found,) = budgets.bounds(graph_of(fn, *arrays), arrays)
    return found


def f32(*values: float) -> Array:
    return np.array(values, np.float32)


# What an op itself is allowed


def test_elementwise_is_the_stated_formula() -> None:
    """units * eps * (|y| + sum |dy/dx_i * x_i|) + the smallest normal; slopes by the op's rule."""
    a, b = f32(1.5, -2.0), f32(0.25, 3.0)
    found = bound_of(ta.mul, a, b)
    np.testing.assert_allclose(found.error, 0.5 * EPS * 3 * np.abs(a * b) + TINY, rtol=1e-6)
    found = bound_of(ta.exp, a)
    x = a.astype(np.float64)
    np.testing.assert_allclose(
        found.error, 4 * EPS * (np.exp(x) + np.abs(x) * np.exp(x)) + TINY, rtol=1e-6
    )


def test_accumulation_is_the_stated_formula() -> None:
    """units * sqrt(k) * eps * sum |a||b|, with k terms."""
    x = np.linspace(-1, 1, 100, dtype=np.float32)
    found = bound_of(ta.sum, x)
    np.testing.assert_allclose(found.error, 4 * 10 * EPS * np.abs(x).sum(), rtol=1e-5)
    a, b = x.reshape(4, 25), x.reshape(25, 4)
    found = bound_of(ta.matmul, a, b)
    np.testing.assert_allclose(found.error, 4 * 5 * EPS * (np.abs(a) @ np.abs(b)), rtol=1e-5)


def test_narrow_types_round_once() -> None:
    """float16 is computed in float32 and rounded once: no room for rounding at each step."""
    x = np.full(4096, 0.1, np.float16)
    exact = float(x[0]) * 4096
    found = bound_of(ta.sum, x)
    once = 0.5 * 2.0**-10 * exact
    assert once < found.error < 1.2 * once
    assert bound_of(ta.sum, x.astype(np.float64)).error < 1e-9


def test_precision_widens_products() -> None:
    """A lower precision permits its own rounding of each factor, and no more."""
    a, b = np.ones((1, 4), np.float32), np.ones((4, 1), np.float32)
    errors = []
    for level in ("highest", "high", "fast"):
        with ta.precision(level):
            errors.append(float(bound_of(ta.matmul, a, b).error.item()))
    assert errors[0] < 1e-5 < errors[1] < 0.005 < errors[2] < 0.05


def test_movement_is_exact() -> None:
    """What only moves values may not change them."""
    x = f32(1, 2, 3, 4)
    for fn in (lambda t: t.reshape(2, 2), ta.flip, lambda t: t[1:], lambda t: ta.concat([t, t])):
        assert not bound_of(fn, x).error.any()


def test_overflow() -> None:
    """What certainly overflows is infinite; what may is open; an intermediate sum counts, too."""
    found = bound_of(ta.exp, f32(1, 100, 88.722839))
    assert found.value[1] == np.inf
    assert found.error[1] == 0
    assert found.error[2] == np.inf
    assert np.isinf(bound_of(ta.sum, f32(3e38, 3e38, -3e38)).error)
    assert bound_of(ta.exp, np.array([12], np.float16)).value == np.inf


def test_infinity_and_nan_are_exact() -> None:
    """An op on infinity, NaN or at a pole has a definite result."""
    found = bound_of(ta.log, f32(0, -1, np.inf, np.nan))
    assert found.value.tolist()[0] == -np.inf
    assert np.isnan(found.value[[1, 3]].astype(float)).all()
    assert not found.error.any()


# What becomes of the errors of the inputs


def _perturbed(name: str, seed: int) -> tuple[Array, Array, Array]:
    """(exact, bound, worst deviation seen) of an op whose inputs are off by a float16 rounding."""
    op = OPS[name]
    layout = next(at for at in layouts(op, small=True) if math.prod(at.shapes[0]))
    case = make_smooth(op, layout, seed)
    attrs = {k: v for k, v in case.attrs.items() if k != "dtype"}
    attrs |= {"dtype": ta.float16} if "dtype" in case.attrs else {}
    arrays = [a.astype(np.float16) if a.dtype == np.float64 else a for a in case.arrays]
    floats = [i for i, a in enumerate(arrays) if a.dtype == np.float16]

    def program(*xs: Tensor) -> tuple[Tensor, ...]:
        moved = [x * 1.0625 if i in floats else x for i, x in enumerate(xs)]
        return (apply(name, *moved, **attrs), *[moved[i] for i in floats])

    (value, bound), *given = budgets.bounds(graph_of(program, *arrays), arrays)
    rng = np.random.default_rng(seed)
    if "dtype" in attrs:
        attrs["dtype"] = ta.float64
    worst = np.zeros(value.shape)
    for _ in range(40):
        inputs = list(arrays)
        for i, (z, error) in zip(floats, given, strict=True):
            push = (
                rng.choice([-1.0, 1.0, 0.0], z.shape) if rng.random() < 0.7 else rng.uniform(-1, 1)
            )
            inputs[i] = np.asarray(z + push * error)
        out = apply(name, *map(ta.tensor, inputs), **attrs).numpy()
        worst = np.maximum(worst, np.abs(out.astype(float) - value.astype(float)))
    return value, bound, worst


PROPAGATING = [
    op.name
    for op in OPS.values()
    if op.kind != "custom" and ta.float16 in accepted(op) and op.domain
]


@pytest.mark.parametrize("name", PROPAGATING)
def test_propagation(name: str) -> None:
    """However the inputs are off within their bounds, the result is within its own."""
    for seed in range(3):
        value, bound, worst = _perturbed(name, seed)
        assert (worst <= bound * (1 + 1e-9)).all(), (value, bound, worst)


def test_errors_multiply_too() -> None:
    """Where nothing but error is left of two factors, their product may be off by the product."""

    def nothing(t: Tensor) -> Tensor:
        return t * 1.1 - t * 1.1

    x = f32(1.0)
    error = bound_of(nothing, x).error
    assert error > 1e-8
    assert bound_of(lambda t: nothing(t) * nothing(t), x).error >= error**2


@pytest.mark.parametrize("kind", ["unary", "binary", "linalg", "window", "comparison"])
def test_propagation_can_fail(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that forgets its inputs' errors is found by the test above."""
    rule = rules._BY_KIND[kind]

    def forgetful(step: Any, *inputs: Bounded) -> Bounded:
        return rule(step, *[Bounded(x.value, np.zeros_like(x.error)) for x in inputs])

    monkeypatch.setitem(rules._BY_KIND, kind, forgetful)
    name = {"unary": "exp", "binary": "mul", "linalg": "matmul", "window": "conv2d"}.get(kind)
    if name is None:
        x = f32(1.0)
        assert not bound_of(lambda t: ta.less(t * 3, t + 2), x).error.any()  # but it is open
        return
    _, bound, worst = _perturbed(name, 0)
    assert not (worst <= bound).all()


def test_comparison_is_open_where_it_may_go_either_way() -> None:
    """Near a tie a bool is open, and what it selects may be either; elsewhere nothing is lost."""
    x = f32(1.0, 2.0)
    found = bound_of(lambda t: ta.less(t * 3, t + 2), x)  # 3 < 3, 6 < 4
    assert found.error.tolist() == [1, 0]
    chosen = bound_of(lambda t: ta.where(ta.less(t * 3, t + 2), t * 0 + 10, t * 0), x)
    assert 10 <= chosen.error[0] < 10.001
    assert chosen.error[1] < 1e-6


def test_equality_with_a_maximum_is_no_accident() -> None:
    """x == max(x) is certain for a clear maximum, however rough x is; and x == x always."""
    x = f32(1.0, 2.0, 3.0)
    found = bound_of(lambda t: ta.equal(t * 1.1, (t * 1.1).max(0, keepdims=True)), x)
    assert found.error.any()  # two products: strangers to each other

    def clear(t: Tensor) -> Tensor:
        y = t * 1.1
        return ta.equal(y, y.max(0, keepdims=True))

    assert not bound_of(clear, x).error.any()
    assert bound_of(clear, f32(1, 3, 3)).error.tolist() == [0, 1, 1]

    def itself(t: Tensor) -> Tensor:
        y = t * 1.1
        return ta.not_equal(y, y)

    assert not bound_of(itself, x).error.any()


def test_argmax_and_what_it_points_to() -> None:
    """Where several places may hold the maximum, index, taken and scattered value are open."""

    def index(t: Tensor) -> Tensor:
        return (t * 1.1).argmax(0, keepdims=True)

    assert bound_of(index, f32(1, 2, 3)).error.tolist() == [0]
    assert bound_of(index, f32(3, 2, 3)).error.tolist() == [2]
    taken = bound_of(lambda t: ta.take_along_axis(tens(t), index(t), axis=0), f32(3, 2, 3))
    assert 40 <= taken.error[0] < 40.001  # from the first place to the third

    def scattered(t: Tensor) -> Tensor:
        return ta.scatter_add(t * 0, index(t), ta.ones(1, device=t.device), axis=0)

    assert (bound_of(scattered, f32(3, 2, 3)).error >= 1).all()
    assert (bound_of(scattered, f32(1, 2, 3)).error < 1e-5).all()


def tens(t: Tensor) -> Tensor:
    return ta.tensor(np.array([0, 20, 40], np.float32), device=t.device) + t * 0


def test_casts_to_integers_are_open_at_their_steps() -> None:
    """A float near a whole number may become either; elsewhere the integer is certain."""
    found = bound_of(lambda t: (t * 3).astype("int32"), f32(1.0, 1.2))
    assert found.error.tolist() == [1, 0]
    found = bound_of(lambda t: (t * 3 - 3).astype("bool"), f32(1.0, 1.2))
    assert found.error.tolist() == [1, 0]


def test_bools_combine() -> None:
    """True | open is true, False & open is false, and true & open is open."""

    def near(t: Tensor) -> Tensor:
        return ta.less(t * 3, t + 2)

    x = f32(1.0)
    assert bound_of(lambda t: near(t) | ta.less(t, 5), x).error.tolist() == [0]
    assert bound_of(lambda t: near(t) & ta.less(5, t), x).error.tolist() == [0]
    assert bound_of(lambda t: near(t) & ta.less(t, 5), x).error.tolist() == [1]


# Programs


def _loss(x: Tensor, w: Tensor, v: Tensor, labels: Tensor) -> Tensor:
    h = ta.max_pool2d(ta.relu(ta.conv2d(x, w, padding=1)), kernel=2, stride=None, padding=0)
    return ta.cross_entropy(ta.linear(h.flatten(1), v), labels)


def _network(dtype: Any, rng: np.random.Generator) -> tuple[Callable[..., Any], list[Array]]:
    """A convolutional network's loss and gradients, and inputs for it."""
    arrays = [
        rng.normal(size=(4, 2, 6, 6)).astype(dtype), rng.normal(size=(3, 2, 3, 3)).astype(dtype),
        rng.normal(size=(5, 27)).astype(dtype) * dtype(0.3),
        rng.integers(0, 5, 4).astype(np.int32),
    ]  # fmt: skip

    def step(*xs: Tensor) -> tuple[Tensor, ...]:
        loss, grads = ta.value_and_grad(_loss, (0, 1, 2))(*xs)
        return (loss, *grads)

    return step, arrays


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_network(dtype: Any, rng: np.random.Generator, device: str) -> None:
    """Loss and gradients of a CNN are within their bounds, which say something."""
    step, arrays = _network(dtype, rng)
    graph = graph_of(step, *arrays)
    eps = float(np.finfo(dtype).eps)
    for value, error in budgets.bounds(graph, arrays):
        assert np.isfinite(error).all()
        assert error.max() < 1e5 * eps * np.abs(value).max()
    got = [t.numpy() for t in step(*[ta.tensor(a, device=device) for a in arrays])]
    assert budgets.within(graph, arrays, got).ok
    jitted = [t.numpy() for t in ta.jit(step)(*[ta.tensor(a, device=device) for a in arrays])]
    budgets.compare(graph, arrays, jitted, got, ["loss", "x", "w", "v"])


@pytest.mark.parametrize("output", range(4))
def test_network_off_by_little(output: int, rng: np.random.Generator) -> None:
    """An error of a percent in one element of one gradient is out of budget, and found."""
    step, arrays = _network(np.float32, rng)
    graph = graph_of(step, *arrays)
    got = [t.numpy() for t in step(*map(ta.tensor, arrays))]
    wrong = [g.copy() for g in got]
    at = np.unravel_index(np.argmax(np.abs(wrong[output])), wrong[output].shape)
    wrong[output][at] *= 1.01
    worst = budgets.within(graph, arrays, wrong)
    assert not worst.ok
    assert (worst.output, worst.index) == (output, tuple(map(int, at)))
    with pytest.raises(CheckError, match="check: " + "abcd"[output]):
        budgets.compare(graph, arrays, wrong, got, ["a", "b", "c", "d"])


def test_spread_is_what_rounding_does(rng: np.random.Generator) -> None:
    """Through a whole program it is within the bound, below it, and still no less than real."""
    step, arrays = _network(np.float32, rng)
    graph = graph_of(step, *arrays)
    wide, narrow = budgets.bounds(graph, arrays), budgets.spread(graph, arrays)
    again = budgets.spread(graph, arrays)
    got = [t.numpy() for t in step(*map(ta.tensor, arrays))]
    for y, bound, found, same in zip(got, wide, narrow, again, strict=True):
        assert (found.error <= bound.error).all()
        assert np.median(found.error) < np.median(bound.error)
        assert budgets.measure(y, found.value, found.error).ok
        assert (found.error == same.error).all()


def test_float64_is_judged_in_more_than_float64() -> None:
    """The exact value of a float64 graph isn't itself rounded to float64."""
    found = bound_of(ta.sum, np.array([1.0, 2.0**-60, -1.0]))
    if np.finfo(np.longdouble).eps < 1e-18:
        assert float(found.value) == 2.0**-60
    assert found.error < 1e-14


def test_erf_in_higher_precision(rng: np.random.Generator) -> None:
    """erf for the exact values is right to the last digits of the type it is asked for in."""
    x = np.concatenate([rng.normal(size=40) * 2, [0.0, 2.999, 3.0, 3.001, -8.0, 1e-300]])
    for kind in (np.float64, np.longdouble):
        got = kernels()["erf"](x.astype(kind))
        assert got.dtype == kind
        np.testing.assert_allclose(got, erf(x).astype(kind), rtol=8 * float(np.finfo(kind).eps))
    assert kernels()["erf"](np.array([np.inf, -np.inf])).tolist() == [1, -1]
    assert np.isnan(kernels()["erf"](np.array([np.nan])))


@pytest.mark.parametrize("name", [n for n in PROPAGATING if n != "astype"])
def test_exact_values(name: str) -> None:
    """The exact values are the references': the engine's own formulas, on NumPy, in float64."""
    from tinyaccel.testing.strategies import resolve_reference

    op = OPS[name]
    case = make_case(op, ta.float32, layouts(op, small=True)[0], "uniform", 3)
    attrs = op.prepare(*case.specs, **case.attrs) if op.prepare else dict(case.attrs)
    (found,) = budgets.bounds(
        graph_of(lambda *xs: apply(name, *xs, **attrs), *case.arrays), case.arrays
    )
    expected = resolve_reference(op)(*case.arrays, **attrs).astype(np.float64)
    scale = np.abs(expected).max() if expected.size else 1.0
    rounded = 1e-7 if op.body is not None else 1e-13  # a body's numbers are float32
    np.testing.assert_allclose(found.value.astype(float), expected, atol=rounded * max(scale, 1))


def test_rounded_constants() -> None:
    """A number that was rounded to the dtype is off by half a unit, if a formula is judged."""
    x = np.ones(1, np.float16)
    graph = graph_of(lambda t: ta.where(t > 0, 0.9, t), x)
    assert budgets.bounds(graph, [x])[0].error == 0
    assert 0 < budgets.bounds(graph, [x], rounded_constants=True)[0].error <= 2.0**-11
    half = graph_of(lambda t: ta.where(t > 0, 0.5, t), x)
    assert budgets.bounds(half, [x], rounded_constants=True)[0].error == 0


# Custom ops


def test_custom_op_is_tried_out() -> None:
    """A custom op without a body gets an estimate from its own kernel; with a body, a bound."""
    cube = ta.custom_op("cube", infer=lambda x: x, kernels={"cpu": lambda x: x**3}, replace=True)
    found = bound_of(lambda t: cube(t * 1.1), f32(2.0, 0.5))
    given = bound_of(lambda t: t * 1.1, f32(2.0, 0.5))
    slope = 3 * given.value**2 * given.error
    assert (found.error >= slope).all()
    assert (found.error <= 4 * slope + 4 * EPS * np.abs(found.value)).all()
    del OPS["cube"]


def test_custom_op_without_host_kernel() -> None:
    """Of a custom op that only runs elsewhere, nothing is known, and nothing is asserted."""
    away = ta.custom_op("away", infer=lambda x: x, kernels={"elsewhere": lambda x: x}, replace=True)
    x = f32(1.0)
    graph = trace_call(away, ta.tensor(x))
    assert np.isinf(budgets.bounds(graph, [x])[0].error).all()
    budgets.compare(graph, [x], [f32(5.0)], [f32(7.0)], ["y"])
    del OPS["away"]


# Comparing


def _compared(got: Array, expected: Array, fn: Callable[..., Any], *inputs: Array) -> None:
    budgets.compare(graph_of(fn, *inputs), inputs, [got], [expected], ["loss"])


def test_compare_permits_twice_the_bound() -> None:
    """Each of two runs may be one bound away from the exact value."""
    x = f32(1.0)
    bound = float(bound_of(ta.exp, x).error.item())
    y = np.exp(x)
    _compared(y + np.float32(1.9 * bound), y, ta.exp, x)
    with pytest.raises(CheckError):
        _compared(y + np.float32(2.1 * bound), y, ta.exp, x)


def test_compare_tells_all_in_one_line() -> None:
    """The error names the output, the index, both values, what is permitted and by how much."""
    x = f32(0, 1)
    with pytest.raises(CheckError) as error:
        _compared(f32(1, 3), f32(1, 2.5), ta.exp, x)
    pattern = (
        r"check: loss at \[1\]: jitted 3\.0, eager 2\.5; they may differ by \d\.\d+e-06, "
        r"and differ by \d\.\d+e\+\d\d times that"
    )
    assert re.fullmatch(pattern, str(error.value))


@pytest.mark.parametrize(
    ("got", "expected"),
    [(np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0), (np.inf, -np.inf), (-np.inf, np.nan)],
)
def test_nan_and_infinity_must_match(got: float, expected: float) -> None:
    """NaN is only as good as NaN, and infinity as the same infinity."""
    with pytest.raises(CheckError):
        _compared(f32(got), f32(expected), ta.exp, f32(0))
    _compared(f32(got), f32(got), ta.exp, f32(0))


def test_integers_are_equal() -> None:
    """Integers and bools are equal, also where float64 can't tell them apart; unless open."""
    x = np.array([2**60], np.int64)
    with pytest.raises(CheckError):
        _compared(x + 1, x, lambda t: ta.add(t, 0), x)
    near = f32(1.0)
    _compared(np.array([True]), np.array([False]), lambda t: ta.less(t * 3, t + 2), near)
    with pytest.raises(CheckError):
        _compared(np.array([True]), np.array([False]), lambda t: ta.less(t * 3, t), near)


def test_compare_holds_shape_and_dtype() -> None:
    """A result of another shape or dtype is no result, whatever its values."""
    x = f32(1, 2)
    y = np.exp(x)
    with pytest.raises(
        CheckError, match=r"^check: loss came as float32\[1, 2\] from the jitted run"
    ):
        _compared(y.reshape(1, 2), y, ta.exp, x)
    with pytest.raises(CheckError, match=r"float64\[2\] from the eager run; expected float32\[2\]"):
        _compared(y, y.astype(np.float64), ta.exp, x)


def test_wrong_inputs() -> None:
    """Inputs that don't fit the graph, and indices outside their axis, are errors here, too."""
    graph = graph_of(ta.exp, f32(1, 2))
    with pytest.raises(ShapeError, match=r"^bounds: input \(3,\) for float32\[2\]; must be equal$"):
        budgets.bounds(graph, [f32(1, 2, 3)])
    indices = np.array([0, 2], np.int32)
    with pytest.raises(IndexRangeError, match="index 2 is out of range for an axis of 2"):
        bound_of(lambda t, i: ta.take_along_axis(t, i, axis=0), f32(1, 2), indices)
    with pytest.raises(IndexRangeError, match="scatter_add: index 2"):
        bound_of(lambda t, i: ta.scatter_add(t, i, t, axis=0), f32(1, 2), indices)


def test_measure_of_nothing() -> None:
    """Empty arrays agree; other shapes don't."""
    nothing: Sequence[int] = (0, 3)
    empty = np.empty(nothing)
    assert budgets.measure(empty, empty, empty).ok
    with pytest.raises(CheckError, match=r"shape \(0, 3\), not \(3, 0\)"):
        budgets.measure(empty, empty.T, empty)
