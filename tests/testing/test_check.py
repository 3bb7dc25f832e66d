"""The kit's checks and their reports: what they run, what they say, and that they can fail."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.backend import get_device, register_backend
from tinyaccel.errors import CheckError
from tinyaccel.op import OPS, Kernel
from tinyaccel.tensor import Tensor, apply
from tinyaccel.testing import check_backend, check_conventions, check_op, kernel_of, watched
from tinyaccel.testing.derivatives import Function, check_gradient, check_transpose, pulled
from tinyaccel.testing.table import main, table
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
    assert (single.op, single.device, single.kernel, single.examples) == ("sum", "cpu", "own", 5)
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
    worst = [check_op("exp", "cpu", examples=4, seed=s, dtypes=[ta.float32]).worst for s in (1, 1)]
    assert worst[0] == worst[1]
    others = {
        check_op("exp", "cpu", examples=4, seed=s, dtypes=[ta.float32]).worst for s in range(4)
    }
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


# The table


def test_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A line per op with kernel, reference, budget and worst errors; absent devices are named."""
    few = {name: OPS[name] for name in ("exp", "sum", "less", "softmax")}
    for module in ("table", "check"):
        monkeypatch.setattr(f"tinyaccel.testing.{module}.OPS", few)
    lines = table(["cpu"], examples=1).splitlines()
    assert lines[0] == (
        "| op | kind | kernel on cpu | reference | budget | worst error on cpu (orders 0, 1, 2) |"
    )
    assert lines[2].startswith("| `exp` | unary | default | `elementwise` | 4 eps (")
    assert lines[4].endswith("| exact | 0.00 - - |")
    assert main(["cpu", "nowhere"]) == 0
    out = capsys.readouterr()
    assert len(out.out.splitlines()) == 6
    assert out.err.startswith("nowhere is left out: device: 'nowhere' is unknown")
    assert main(["nowhere"]) == 1


def test_table_marks_what_fails(third: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An op out of budget stands out."""
    _plant(monkeypatch, "floor", np.ceil)
    monkeypatch.setattr("tinyaccel.testing.table.OPS", {"floor": OPS["floor"]})
    assert "**FAILED**" in table([third], examples=3)
