"""The kit's checks and their reports: what they run, what they say, and that they can fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.backend import get_device, register_backend
from tinyaccel.errors import CheckError
from tinyaccel.op import OPS, Kernel
from tinyaccel.tensor import Tensor, apply
from tinyaccel.testing import (
    CHECKS,
    CONVENTIONS,
    Result,
    check_backend,
    check_conventions,
    check_op,
    kernel_of,
    watched,
)
from tinyaccel.testing.check import _drive
from tinyaccel.testing.derivatives import Function, check_gradient, check_transpose, pulled
from tinyaccel.testing.layouts import Layout
from tinyaccel.testing.strategies import Case, cases, make_case
from tinyaccel.testing.verdict import Judge
from tinyaccel_numpy.backend import NumpyBackend
from tinyaccel_numpy.kernels import KERNELS


class _Third(NumpyBackend):
    """A backend from elsewhere, with one kernel that may be wrong."""

    name: ClassVar[str] = "third"
    extra: ClassVar[dict[str, Kernel]] = {}

    def __init__(self) -> None:
        self.kernels = {**KERNELS, **self.extra}

    def devices(self) -> list[str]:
        return ["third"]


@pytest.fixture
def third(monkeypatch: pytest.MonkeyPatch) -> str:
    """A third party's device."""
    monkeypatch.setattr(_Third, "extra", {})
    register_backend("third", _Third)
    return "third"


def _plant(monkeypatch: pytest.MonkeyPatch, name: str, kernel: Kernel) -> None:
    monkeypatch.setattr(_Third, "extra", {name: kernel})
    register_backend("third", _Third)


# Reports


def test_report_of_one_op() -> None:
    """A line for each dtype, with the kernel, the number of examples and the worst error."""
    report = check_op("sum", "cpu", examples=3)
    assert [r.dtype for r in report.results] == [
        "int32", "uint32", "int64", "float16", "bfloat16", "float32", "float64",
    ]  # fmt: skip
    single = next(r for r in report.results if r.dtype == "float32")
    examples = 9 + 12  # drawn, long and arranged ones, and each layout of the list
    assert (single.op, single.device, single.kernel) == ("sum", "cpu", "own")
    assert single.examples == examples
    assert 0 < single.worst <= 1
    assert report.ok
    assert report.worst == max(r.worst for r in report.results)
    report.raise_for_failures()
    assert len(str(report).splitlines()) == 7


def test_which_kernel() -> None:
    """An op's own, the backend's, the body, or the default."""
    assert kernel_of(OPS["sum"], "cpu") == "own"
    assert kernel_of(OPS["softmax"], "cpu") == "body"
    assert kernel_of(OPS["exp"], "cpu") == "default"
    ta.custom_op("mine", infer=lambda x: x, kernels={"cpu": lambda x: x}, replace=True)
    assert kernel_of(OPS["mine"], "cpu") == "op"
    del OPS["mine"]


def test_same_seed_same_examples() -> None:
    """A check draws the same examples for the same seed, and others for another."""
    given: Any = {"examples": 4, "dtypes": [ta.float32]}  # of an op whose every case is drawn
    worst = [check_op("softmax", "cpu", seed=seed, **given).worst for seed in (1, 1)]
    assert worst[0] == worst[1]
    others = {check_op("softmax", "cpu", seed=seed, **given).worst for seed in range(4)}
    assert len(others) > 1


def test_backend_of_somebody_else(third: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any backend can be held to account; one wrong kernel fails its own op, and no other."""
    assert check_backend(third, ["floor", "add"], examples=3).ok

    def almost(a: Any, b: Any) -> Any:
        return (a + b) * a.dtype.type(1 + 1e-5) if a.dtype.kind == "f" else a + b

    _plant(monkeypatch, "add", almost)
    report = check_backend(third, ["floor", "add"], examples=6, orders=[0], jitted=[False, True])
    assert {r.op for r in report.results if not r.ok} == {"add"}
    assert {r.dtype for r in report.results if not r.ok} >= {"float32", "float64"}
    assert {r.jitted for r in report.results if not r.ok} == {False, True}
    with pytest.raises(CheckError, match=r"^add on third in .*\(and \d+ more\)$"):
        report.raise_for_failures()
    assert "FAILED: add on third" in str(report)


def test_kernel_that_raises(third: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that fails in its own way is a failure of its op, with the error's name."""

    def broken(x: Any) -> Any:
        raise ZeroDivisionError("of all things")

    _plant(monkeypatch, "floor", broken)
    report = check_op("floor", third, examples=2, dtypes=[ta.float32])
    expected = "floor on third in float32 (eager, order 0): ZeroDivisionError: of all things"
    assert report.failures == [expected]


def test_bug_of_the_compiler_alone(third: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is right eagerly and wrong when compiled fails the jitted check, and only that."""

    def careless(self: NumpyBackend, graph: ta.Graph, device: ta.Device) -> Any:
        run = NumpyBackend.compile(self, graph, device)
        return lambda arrays: [a * a.dtype.type(1.001) for a in run(arrays)]

    monkeypatch.setattr(_Third, "compile", careless)
    for order in (0, 1, 2):
        given: Any = {"order": order, "dtypes": [ta.float32], "examples": 3}
        assert check_op("mul", third, **given).ok
        assert not check_op("mul", third, jitted=True, **given).ok


def test_conventions_report(third: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deviation from a convention is reported once for its op."""
    assert check_conventions(third, ["maximum", "max"]).ok
    _plant(monkeypatch, "maximum", lambda a, b: np.where(a > b, a, b))
    report = check_conventions(third, ["maximum", "max"], jitted=True)
    assert [r.op for r in report.results] == ["maximum", "max"]
    (failure,) = report.failures
    assert failure.startswith("maximum on third (jitted): maximum propagates NaN: got [1.0, nan]")


def test_ops_without_gradient_have_no_gradient_checks() -> None:
    """Comparisons, creation and integer ops are skipped beyond order 0, not passed."""
    for name in ("less", "arange", "bitwise_and", "random_bits"):
        assert not any(r.examples for r in check_op(name, "cpu", order=1, examples=2).results)


# What one call must not do to others, and what it must not take for granted


def _reused() -> Kernel:
    """exp that returns the same array for the same shape, call after call."""
    buffers: dict[Any, Any] = {}

    def kernel(x: Any) -> Any:
        out = buffers.setdefault((x.shape, x.dtype), np.empty(x.shape, x.dtype))
        with np.errstate(all="ignore"):
            return np.exp(x, out=out)

    return kernel


def _in_place(x: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.exp(x, out=x if x.flags.writeable else None)


def _as_it_lies(x: Any) -> Any:
    """exp of the memory, row after row, whatever the axes' order."""
    with np.errstate(all="ignore"):
        return np.exp(x.ravel(order="K").reshape(x.shape))


def _short(x: Any) -> Any:
    """exp that a loop over blocks of 1,024 leaves unfinished."""
    with np.errstate(all="ignore"):
        y = np.exp(x)
    y.reshape(-1)[1024:] = 1
    return y


def _no_edge(x: Any) -> Any:
    """exp in tiles of 32, whose last one is taken for a whole one."""
    with np.errstate(all="ignore"):
        y = np.exp(x)
    if x.ndim and x.shape[-1] > 32 and x.shape[-1] % 32:
        y[..., -(x.shape[-1] % 32) :] = 0
    return y


@pytest.mark.parametrize(
    ("kernel", "jitted", "says"),
    [
        (_reused(), False, "a result of its kernel on third was overwritten by a later call"),
        (_reused(), True, "its result was overwritten by a later call with other values"),
        (_in_place, False, "its kernel on third changed its input 0"),
        (_in_place, True, "input 0 was changed; a kernel writes to none"),
        (_as_it_lies, False, " transposed) of "),
        (_as_it_lies, True, " transposed) of "),
        (_short, False, "exp(float32["),
        (_no_edge, False, "exp(float32["),
    ],
)
def test_bug_of_memory(
    kernel: Kernel, jitted: bool, says: str, third: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Buffers that are reused or written to, strides and block edges that are forgotten."""
    _plant(monkeypatch, "exp", kernel)
    report = check_op("exp", third, jitted=jitted, dtypes=[ta.float32])
    assert not report.ok
    assert says in report.failures[0]


def test_failure_ends_with_a_line_to_run(third: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest case comes as Python, and what it prints is what was got."""
    _plant(monkeypatch, "sum", lambda x, *, axis, keepdims: KERNELS["sum"](
        x, axis=axis, keepdims=keepdims) + x.dtype.type(1))  # fmt: skip
    for name in ("sum", "flip"):
        if name == "flip":
            _plant(monkeypatch, "flip", lambda x, *, axis: x)
        (failure,) = check_op(name, third, dtypes=["float32"], examples=40).failures
        line = failure.partition("; run ")[2]
        assert line.startswith(f"ta.{name}(ta.tensor(")
        shown = eval(line, {"ta": ta})  # noqa: S307  # the line is what is tested
        right = eval(line.replace('"third"', '"cpu"'), {"ta": ta})  # noqa: S307
        assert isinstance(shown, Tensor)
        assert shown.shape == right.shape
        assert shown.tolist() != right.tolist()
        assert shown.size <= 6, line


def test_simplest_failure_is_told() -> None:
    """Of all cases that failed, the one of fewest elements; also where none fails twice."""
    seen: list[int] = []

    def fails(case: Case) -> None:
        seen.append(case.arrays[0].size)
        raise CheckError(f"{seen[-1]} elements")

    def fails_once(case: Case) -> None:
        if not seen:
            fails(case)

    longest_first = cases("exp", ta.float32).filter(lambda case: case.arrays[0].size > 20)
    with pytest.raises(CheckError) as error:
        _drive(longest_first, 20, 0, fails)
    assert len(set(seen)) > 1
    assert str(error.value) == f"{min(seen)} elements"
    seen.clear()
    with pytest.raises(CheckError, match="elements"):
        _drive(cases("exp", ta.float32), 20, 0, fails_once)


def test_long_failure_has_no_line(third: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of numbers are no line to read."""
    _plant(monkeypatch, "exp", _short)
    (failure,) = check_op("exp", third, dtypes=["float32"]).failures
    assert "; run " not in failure


def test_transpose_on_the_device(third: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that isn't linear in the cotangent fails <v, J t> = <J^T v, t> where it runs."""
    judge = Judge(get_device(third), Result("square", third, "float32", False, 1, "body"))
    case = make_case(OPS["square"], ta.float32, Layout(((3,),), {}), "uniform", 0)
    judge.transpose(case)
    assert 0 <= judge.result.worst <= 1
    bent = replace(OPS["square"], vjp=(lambda g, y, x: g * g * 2 * x,))
    monkeypatch.setitem(OPS, "square", bent)
    with pytest.raises(CheckError, match=r"jvp and vjp disagree: <v, J t> = .* apart$"):
        judge.transpose(case)


def test_ops_are_checked_with_views(third: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels receive strided, transposed, flipped and broadcast memory."""
    met: set[tuple[int, ...]] = set()

    def spy(x: Any) -> Any:
        with np.errstate(all="ignore"):
            met.add(tuple(s // x.itemsize for s in x.strides))
            return np.exp(x)

    _plant(monkeypatch, "exp", spy)
    check_op("exp", third, dtypes=[ta.float32], examples=40).raise_for_failures()
    assert any(strides and strides[-1] == 2 for strides in met)
    assert any(0 in strides for strides in met)
    assert any(min(strides, default=0) < 0 for strides in met)


# The whole


def test_whole_backend_with_few_ops(third: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a choice of ops, all of them run, conventions and checks by name too."""
    few = {name: OPS[name] for name in ("relu", "less")}
    monkeypatch.setattr("tinyaccel.testing.check.OPS", few)
    monkeypatch.setattr("tinyaccel.testing.check.CONVENTIONS", [
        c for c in CONVENTIONS if c.op in few])  # fmt: skip
    seen: list[str] = []
    report = check_backend(third, examples=2, progress=seen.append)
    report.raise_for_failures()
    assert seen == ["relu", "less", "conventions", *[check.name for check in CHECKS]]
    assert {r.kind for r in report.results} == {"op", "convention", "transfer", "random", "state"}
    assert len(str(report).splitlines()) == len(report.results)
    named = check_backend(third, ["relu"], examples=2)
    assert {r.kind for r in named.results} == {"op", "convention"}


def test_op_that_is_unknown() -> None:
    """A misspelt op is an error, and no empty report."""
    with pytest.raises(ta.errors.ArgumentError, match=r"^check_op: op 'sine' is unknown"):
        check_op("sine")


# Watching


def test_watched_device_computes_the_same() -> None:
    """Under watch, forward and backward are what they were."""
    x = ta.tensor([0.5, 2.0])
    seen = ta.tensor([0.5, 2.0], device=watched("cpu"))
    slope = ta.grad(lambda t: (ta.tanh(t) * t).sum())
    assert slope(seen).tolist() == slope(x).tolist()
    assert seen.device.name == "cpu"


@pytest.mark.parametrize(
    ("kernel", "says"),
    [
        (lambda x: np.exp(x.astype(np.float64)), "returned float64[2]; expected float32[2]"),
        (lambda x: np.exp(x)[None], "returned float32[1, 2]; expected float32[2]"),
        (lambda x: np.exp(x).tolist(), "returned list; expected ndarray float32[2]"),
    ],
)
def test_watch_sees_a_broken_contract(
    kernel: Kernel, says: str, third: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another dtype, another shape, no array: each is an error that names op and device."""
    _plant(monkeypatch, "exp", kernel)
    backend = get_device(third).backend
    monkeypatch.setattr(backend, "kernel", lambda op, low=False: backend.kernels.get(op.name))
    with pytest.raises(CheckError) as error:
        ta.exp(ta.tensor([1.0, 2.0], device=watched(third)))
    assert str(error.value) == f"exp: its kernel on third {says}"


# Derivatives


def _function(run: Any, *shapes: tuple[int, ...]) -> Function:
    specs = tuple(ta.Spec(s, ta.float64) for s in shapes)
    return Function(run, specs, (specs[0],))


def test_finite_differences_agree(rng: np.random.Generator) -> None:
    """A right gradient passes, twice over; vjp and jvp are each other's transpose."""
    f = _function(lambda x, y: (ta.sin(x) * y * y,), (3,), (3,))
    arrays = [rng.normal(size=3), rng.normal(size=3)]
    assert check_gradient(f, arrays, rng) < 1
    assert check_transpose(f, arrays, rng) < 1
    assert check_gradient(pulled(f), [*arrays, rng.normal(size=3)], rng) < 1


def test_finite_differences_find_one_wrong_element(rng: np.random.Generator) -> None:
    """A gradient that is off in one element is named there, with both values."""
    weights = np.array([1.0, 1.0, 1.0 + 1e-4])
    wrong = ta.custom_op(
        "wrong", infer=lambda x: x, kernels={"cpu": np.sin}, replace=True,
        vjp=lambda g, y, x: g * ta.cos(x) * ta.tensor(weights),
    )  # fmt: skip
    f = _function(lambda x: (wrong(x),), (3,))
    with pytest.raises(CheckError, match=r"^gradient by input 0 at \[2\]: got .*, finite diff"):
        check_gradient(f, [rng.normal(size=3)], rng)
    del OPS["wrong"]


def test_transpose_finds_an_inconsistent_rule(rng: np.random.Generator) -> None:
    """A rule that isn't linear in the cotangent is no transpose of anything."""
    bent = ta.custom_op(
        "bent", infer=lambda x: x, kernels={"cpu": lambda x: x}, replace=True,
        vjp=lambda g, y, x: g * g,
    )  # fmt: skip
    with pytest.raises(CheckError, match=r"^vjp and jvp disagree"):
        check_transpose(_function(lambda x: (bent(x),), (3,)), [rng.normal(size=3)], rng)
    del OPS["bent"]


def test_pulled_is_the_vjp() -> None:
    """`pulled` gives the gradients by all float inputs, and leaves integers alone."""
    specs = (ta.Spec((3,), ta.float32), ta.Spec((2,), ta.int32))

    def run(x: Tensor, i: Tensor) -> tuple[Tensor, ...]:
        return (apply("take_along_axis", x, i, axis=0),)

    f = pulled(Function(run, specs, (ta.Spec((2,), ta.float32),)))
    assert f.outputs == (specs[0],)
    (g,) = f.run(ta.zeros(3), ta.tensor([2, 2]), ta.tensor([1.0, 10.0]))
    assert g.tolist() == [0, 0, 11]


def test_compiled_code_is_let_go(third: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over many ops, a backend is told to forget what it has compiled for them."""
    forgotten: list[str] = []
    monkeypatch.setattr(_Third, "forget", lambda self: forgotten.append(self.name))
    check_backend(third, ["floor"] * 33, examples=1, orders=(0,), jitted=[False])
    assert forgotten == ["third", "third"]
