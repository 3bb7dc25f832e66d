"""Every op against PyTorch: results, special values and gradients, over a wide sample of calls."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import hypothesis
import numpy as np
import pytest
from pytorch_differences import ANY_ZERO, DIFFERENCES, MORE, NO_SLOPE, Difference, Seen
from pytorch_table import NO_EQUIVALENT, TABLE, as_torch, call
from pytorch_windows import F, Theirs, torch

import tinyaccel as ta
from tinyaccel import budgets
from tinyaccel.op import OPS, Op
from tinyaccel.testing.arrange import ARRANGEMENTS, placed
from tinyaccel.testing.derivatives import Function, op_function, pulled, trace
from tinyaccel.testing.drawn import drawn_layouts, takes_any_shape
from tinyaccel.testing.layouts import Layout, layouts
from tinyaccel.testing.strategies import Case, accepted, fills, keeps_bits, make_case

Array = np.ndarray[Any, Any]

CPU = ta.get_device("cpu")
NAMES = [op.name for op in OPS.values() if op.kind != "custom"]
MOST = 600  # elements of a listed layout, all inputs together; more shows no more
DRAWN = 10  # calls of an op with shapes drawn freely
EPS = 2.0**-52


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """PyTorch's threads would only wait for each other in so small arrays."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# What is compared


def listed_cases(op: Op) -> Iterator[Case]:
    """Each layout in each dtype with each way of filling in, special values for all floats."""
    for dtype in accepted(op):
        ways = dict.fromkeys([*fills(op, dtype), *["special"] * dtype.is_float])
        for number, at in enumerate(layouts(op)):
            if sum(int(np.prod(s)) for s in at.shapes) <= MOST:
                for way in ways:
                    yield make_case(op, dtype, at, way, number)
    for arrays, attrs in MORE.get(op.name, []):
        yield Case(op.name, arrays, attrs, "special")


def drawn_cases(op: Op, count: int) -> list[Case]:
    """Shapes and attributes that no list has, drawn by the op's strategy; listed ones for others.

    Every second one in float64, the rest in the other dtypes by turns; the ways of filling in and
    of lying in memory by turns, too.
    """
    known = {str(at) for at in layouts(op)}
    found: dict[str, Layout] = {}

    @hypothesis.seed(5)
    @hypothesis.settings(
        max_examples=6 * count, database=None, deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )  # fmt: skip
    @hypothesis.given(drawn_layouts(op))
    def collect(at: Layout) -> None:
        if str(at) not in known:
            found[str(at)] = at

    collect()
    chosen = list(found.values())[-count:] or list(layouts(op))  # the first ones are the simplest
    dtypes = accepted(op)
    result = []
    for i, at in enumerate(chosen):
        dtype = ta.float64 if ta.float64 in dtypes and i % 2 else dtypes[i % len(dtypes)]
        ways = fills(op, dtype)
        lie = ARRANGEMENTS[i % len(ARRANGEMENTS) :]
        result.append(make_case(op, dtype, at, ways[i // 2 % len(ways)], 100 + i, lie))
    return result


def function(case: Case) -> Function:
    """The call as a function of tensors on the CPU."""
    op, attrs = OPS[case.op], dict(case.attrs)
    if op.prepare is not None:
        attrs = op.prepare(*case.specs, **attrs)
    return op_function(case.op, case.specs, op.infer(*case.specs, **attrs), attrs, CPU)


def run_ours(f: Function, case: Case, *more: Array) -> list[Array]:
    inputs = [placed(a, case.how(i), CPU) for i, a in enumerate(case.arrays)]
    return [y.numpy() for y in f.run(*inputs, *map(ta.tensor, more))]


def run_theirs(case: Case, slopes: tuple[int, ...] = (), *, g: Array | None = None) -> list[Array]:
    """PyTorch's result, or with g its gradients by the inputs `slopes`; in float64 or integers."""
    xs = [as_torch(a) for a in case.arrays]
    for i in slopes:
        xs[i].requires_grad_()
    first = case.specs[0].dtype if case.specs else ta.float32
    eps = float(first.eps) if first.is_float else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = call(case.op, xs, dict(case.attrs), eps=eps)
        if g is None:
            result = y.detach()
            return [(result.double() if result.is_floating_point() else result).numpy()]
        free = [xs[i] for i in slopes]
        if not y.requires_grad:
            return [np.zeros(x.shape) for x in free]
        found = torch.autograd.grad(
            y, free, torch.tensor(g), allow_unused=True, materialize_grads=True
        )
    return [x.detach().numpy() for x in found]


# Comparing


def allowed(case: Case, f: Function, theirs: Array) -> tuple[Array, Array]:
    """How far ours may be off, and what PyTorch's float64 is in our dtype.

    That is the op's budget, PyTorch counting as exact but for a few roundings; in float64 both
    have the same eps, so both have the budget. Where special values leave it open, six digits.
    """
    op, dtype = OPS[case.op], f.outputs[0].dtype
    if not dtype.is_float:
        return np.zeros(theirs.shape), theirs.astype(dtype.numpy)  # integers wrap around
    ((own, bound),) = budgets.bounds(trace(f), case.arrays, rounded_constants=True)
    if op.budget.kind == "exact":
        return np.zeros(theirs.shape), theirs
    size = np.where(np.isfinite(theirs), np.abs(theirs), 0.0)
    own = own.astype(np.float64)
    beyond = np.isinf(own) & np.isfinite(theirs) & (np.abs(theirs) > 1)
    digits = np.maximum(1e-6, 16 * dtype.eps) * size + dtype.tiny
    bound = (2 if dtype is ta.float64 else 1) * bound + 8 * EPS * size + dtype.tiny
    return np.where(np.isinf(bound), digits, bound), np.where(beyond, own, theirs)


def has_signed_zeros(op: Op) -> bool:
    """Whether a zero has a sign of its own: it hasn't where it comes from a sum."""
    return (takes_any_shape(op) or keeps_bits(op)) and op.name not in ANY_ZERO


def check_value(case: Case) -> set[str]:
    """Hold a result against PyTorch's; returns the names of the differences that showed."""
    f = function(case)
    (ours,) = run_ours(f, case)
    try:
        (theirs,) = run_theirs(case)
    except (RuntimeError, ValueError, IndexError, ZeroDivisionError) as error:
        return {refused(Seen(case, ours, ours), error)}
    assert ours.shape == theirs.shape, f"{case}: {ours.shape}, PyTorch {theirs.shape}"
    with np.errstate(all="ignore"):
        bound, theirs = allowed(case, f, theirs)
        if f.outputs[0].dtype.is_float:
            ours = ours.astype(np.float64)
        seen = Seen(case, ours, theirs)
        off = budgets.values.distance(ours, theirs) > bound
        shown = excused(seen, "value", off, "values differ")
        if ours.dtype.kind == "f" and has_signed_zeros(OPS[case.op]):
            lost = (ours == 0) & (theirs == 0) & (np.signbit(ours) != np.signbit(theirs))
            shown |= excused(seen, "sign", lost, "signs of zero differ")
    return shown


def check_gradient(case: Case) -> set[str]:
    """Hold the gradients in a random direction against PyTorch's, in float64.

    Nine digits: a few hundred float64 roundings amplified a few thousand times. Elements of sums
    that cancel may be off by as much as the larger ones' twelfth digit. What is further off has
    the gradient's own budget, twice: 1 - tanh(x)**2 loses digits in both.
    """
    f = function(case)
    if not f.floats or f.outputs[0].dtype is not ta.float64:
        return set()
    absent = tuple(case.attrs.get("absent", ()))
    without = {i - sum(a < i for a in absent) for i in NO_SLOPE.get(case.op, ()) if i not in absent}
    slopes = tuple(i for i in f.floats if i not in without)
    rng = np.random.default_rng(case.arrays[0].size)
    g = np.asarray(rng.integers(-8, 9, f.outputs[0].shape) / 4)
    ours = dict(zip(f.floats, run_ours(pulled(f), case, g), strict=True))
    try:
        theirs = run_theirs(case, slopes, g=g)
    except (RuntimeError, ValueError) as error:
        return {refused(Seen(case, ours[f.floats[0]], ours[f.floats[0]]), error)}
    shown: set[str] = set()
    wide: list[Array] | None = None
    for i, expected in zip(slopes, theirs, strict=True):
        assert ours[i].shape == expected.shape
        largest = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
        noise = 1e-300 if takes_any_shape(OPS[case.op]) else 1e-13
        off = ~np.isclose(
            ours[i], expected, rtol=1e-9, atol=1e-12 * largest + noise, equal_nan=True
        )
        if not off.any():
            continue
        with np.errstate(all="ignore"):
            wide = wide or [
                bound for _, bound in budgets.bounds(trace(pulled(f)), [*case.arrays, g])
            ]
            bound = wide[f.floats.index(i)]
            off &= np.isinf(bound) | (budgets.values.distance(ours[i], expected) > 2 * bound)
            seen = Seen(case, ours[i], expected, by=i)
            shown |= excused(seen, "gradient", off, f"gradients by input {i} differ")
    return shown


def listed(op: str, of: str) -> list[tuple[str, Difference]]:
    return [(k[1], d) for k, d in DIFFERENCES.items() if k[0] == op and d.of == of]


def refused(seen: Seen, error: Exception) -> str:
    """The difference that explains why PyTorch raised; raises itself if none does."""
    for words, difference in listed(seen.case.op, "call"):
        if difference.where(seen):
            return words
    raise AssertionError(f"{seen.case}: PyTorch raised {type(error).__name__}: {error}") from error


def excused(seen: Seen, of: str, off: Array, what: str) -> set[str]:
    """The differences that explain the elements which are off; raises unless they explain all."""
    shown: set[str] = set()
    if not off.any():
        return shown
    for words, difference in listed(seen.case.op, of):
        here = np.broadcast_to(difference.where(seen), off.shape)
        if (off & here).any():
            shown.add(words)
        off = off & ~here
    if off.any():
        at = tuple(int(i) for i in np.argwhere(off)[0])
        inputs = [a[at].item() if a.shape == off.shape else a.shape for a in seen.arrays]
        raise AssertionError(
            f"{seen.case}: {what} at {list(at)}: ours {seen.ours[at]}, PyTorch's "
            f"{seen.theirs[at]}; inputs {inputs}"
        )
    return shown


def check_op(op: Op, *, examples: int = DRAWN) -> None:
    """All of it for one op; a difference that is listed has to show."""
    shown: set[str] = set()
    compared = 0
    drawn = drawn_cases(op, examples) if examples else []
    for case in [*listed_cases(op), *drawn]:
        shown |= check_value(case)
        if case.specs and case.specs[0].dtype is ta.float64:
            shown |= check_gradient(case)
        compared += 1
    assert compared >= 4
    gone = {words for name, words in DIFFERENCES if name == op.name} - shown
    assert not gone, f"{op.name}: {gone} isn't a difference from PyTorch any more; take it out"


# Tests


def test_every_op_is_in_the_table() -> None:
    """An op has a function of PyTorch's, or a reason why there is none; and none is listed else."""
    assert not set(TABLE) & set(NO_EQUIVALENT)
    assert set(TABLE) | set(NO_EQUIVALENT) == set(NAMES)
    assert {name for name, _ in DIFFERENCES} | set(NO_SLOPE) | set(ANY_ZERO) <= set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_as_pytorch(name: str) -> None:
    """Values, zeros' signs and gradients are PyTorch's, but for the differences listed."""
    check_op(OPS[name])


@pytest.mark.parametrize(
    ("name", "position"), [(name, i) for name, positions in NO_SLOPE.items() for i in positions]
)
def test_no_slope(name: str, position: int) -> None:
    """PyTorch says itself that it has no gradient by these inputs."""
    op = OPS[name]
    fits = [at for at in layouts(op) if position < len(at.shapes) and "absent" not in at.attrs]
    case = make_case(op, ta.float64, fits[0], "uniform", 0)
    g = np.ones(function(case).outputs[0].shape)
    with pytest.raises(RuntimeError, match=r"not (differentiable|implemented)"):
        run_theirs(case, (position,), g=g)


# These tests can fail: here PyTorch is made to do otherwise, as if ours were wrong.

WRONG: dict[str, tuple[str, Theirs, str]] = {
    "digits of float32": ("tanh", lambda x: torch.tanh(x) * (1 + 1e-6), "values differ"),
    "digits of float64": ("exp", lambda x: torch.exp(x) * (1 + 1e-13), "values differ"),
    "slope at a kink": ("relu", lambda x: torch.where(x < 0, 0, x), "gradients by input 0"),
    "the second of equals": (
        "maximum", lambda a, b: torch.where((a > b) | a.isnan(), a, b), "gradients by input 0",
    ),
    "slope of one input": ("mul", lambda a, b: a * b.detach(), "gradients by input 1"),
    "no NaN": ("max", lambda x, **at: TABLE["max"](x.nan_to_num(0.0), **at), "values differ"),
    "sign of zero": ("neg", lambda x: 0 - x, "signs of zero differ"),
    "saturating": ("add", lambda a, b: (a.double() + b).clamp(-128, 127).to(a.dtype), "differ"),
    "last of equals": (
        "argmax", lambda x, axis, **at: x.shape[axis or 0] - 1 - TABLE["argmax"](
            x.flip(axis or 0), axis, **at
        ), "values differ",
    ),
    "label": ("cross_entropy", lambda x, t, **at: F.cross_entropy(x, 0 * t.long()), "differ"),
    "shape": ("expand_dims", lambda x, axis: x, "PyTorch"),
    "refusal": ("take", lambda x, i, axis: x.index_select(axis, i), "PyTorch raised"),
    "difference gone": (
        "sign", lambda x: torch.where(x.isnan(), x.detach(), torch.sign(x)), "any more",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_disagreement_is_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these would be seen if ours did it: the listed layouts alone are enough."""
    name, wrong, text = WRONG[what]
    monkeypatch.setattr("pytorch_table.TABLE", {**TABLE, name: wrong})  # ours stays as it is
    with pytest.raises(AssertionError, match=text):
        check_op(OPS[name], examples=0)
