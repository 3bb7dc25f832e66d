"""The fuzzer: its programs, the report, and the bugs that it must find and shrink."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from tinyaccel.backend import register_backend
from tinyaccel.errors import ArgumentError, CheckError, DeviceError
from tinyaccel.graph import Graph, Instr
from tinyaccel.op import OPS, Kernel
from tinyaccel.testing.fuzz import FuzzReport, campaign, fuzz, generate
from tinyaccel_numpy.backend import NumpyBackend
from tinyaccel_numpy.kernels import KERNELS

Array = npt.NDArray[Any]


class _Planted(NumpyBackend):
    """NumPy's kernels with a bug among them: eagerly and jitted, or where a graph runs alone."""

    name: ClassVar[str] = "planted"
    wrong: ClassVar[Mapping[str, Kernel]] = {}
    wrong_in_graphs: ClassVar[Mapping[str, Kernel]] = {}

    def __init__(self) -> None:
        self.kernels = {**KERNELS, **self.wrong}

    def devices(self) -> list[str]:
        return [self.name]

    def instr_kernel(self, instr: Instr, graph: Graph) -> Kernel:
        return self.wrong_in_graphs.get(instr.op) or super().instr_kernel(instr, graph)


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts wrong kernels on the device "planted" for the length of a test."""

    monkeypatch.setattr(campaign, "SHRUNK", 1)

    def put(wrong: Mapping[str, Kernel], in_graphs: Mapping[str, Kernel] | None = None) -> None:
        monkeypatch.setattr(_Planted, "wrong", wrong)
        monkeypatch.setattr(_Planted, "wrong_in_graphs", in_graphs or {})
        register_backend("planted", _Planted)

    return put


# Wrong kernels


def _turned_weight_grad(g: Array, x: Array, **attrs: Any) -> Array:
    return np.asarray(KERNELS["conv2d_weight_grad"](g, x, **attrs)[:, :, ::-1, ::-1])


def _forgets_after_1024(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:
    """A sum that leaves out what is past the first 1,024 terms."""
    if x.ndim == 1 and axis == (0,):
        x = x[:1024]
    return np.asarray(KERNELS["sum"](x, axis=axis, keepdims=keepdims))


def _last_largest(x: Array, *, axis: int, keepdims: bool) -> Array:
    from_behind = np.argmax(np.flip(x, axis), axis, keepdims=keepdims)
    return np.asarray(x.shape[axis] - 1 - from_behind, dtype=np.int32)


def _rough_tanh(x: Array) -> Array:
    return np.asarray(np.tanh(x) * (1 + 2e-6)).astype(x.dtype)


def _raises(x: Array, *, axis: int) -> Array:
    raise MemoryError("no room for log_softmax")


def _half_product(a: Array, b: Array) -> Array:
    return np.asarray((a * b).astype(np.float16)).astype(a.dtype)


def _wide_exp(x: Array) -> Array:
    return np.exp(x.astype(np.float64))


BUGS: dict[str, tuple[dict[str, Kernel], Sequence[str] | None, int, str]] = {
    # what is wrong: kernels, the ops to fuzz (None: all), programs, what the shrunk one contains
    "weight gradient turned round": (
        {"conv2d_weight_grad": _turned_weight_grad}, ["conv2d", "tanh", "add"], 6, ".grad.numpy()"
    ),
    "sum wrong past 1,024": ({"sum": _forgets_after_1024}, ["sum", "mul", "tanh"], 30, "1025"),
    "ties to the last": ({"argmax": _last_largest}, ["argmax", "relu", "floor"], 12, "argmax"),
    "relu'(0) = 1, by less": ({"less": np.less_equal}, ["relu", "sub", "floor"], 12, "relu"),
    "a function of 20 roundings": ({"tanh": _rough_tanh}, ["tanh", "exp", "sub"], 6, "tanh"),
    "a kernel that raises": ({"log_softmax": _raises}, ["log_softmax", "sin"], 6, "MemoryError"),
    "another dtype": ({"exp": _wide_exp}, ["exp", "sin", "square"], 6, "watched("),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_bug_is_found_and_shrunk(bug: str, plant: Callable[..., None]) -> None:
    """A wrong kernel fails; the shrunk program is short, fails as it stands, and passes on cpu."""
    wrong, ops, programs, contains = BUGS[bug]
    plant(wrong)
    report = fuzz(["planted"], programs=programs, seed=1, jitted=[False], ops=ops)
    shrunk = [f for f in report.failures if f.program is not None]
    assert shrunk, f"{bug} survived:\n{report}"
    for failure in shrunk:
        assert failure.program is not None
        assert len(failure.program.steps) <= 3
        assert failure.steps >= len(failure.program.steps)
        assert contains in failure.source
        with pytest.raises((AssertionError, MemoryError)):
            exec(failure.source, {})  # noqa: S102  # it is to run as it stands
        exec(failure.source.replace('"planted"', '"cpu"'), {})  # noqa: S102
    assert not report.ok
    with pytest.raises(CheckError, match="shrunk to"):
        report.raise_for_failures()


def test_bug_of_graphs_alone(plant: Callable[..., None]) -> None:
    """A bug that only a compiled graph has fails jitted alone, and the program says `@ta.jit`."""
    plant({}, {"mul": _half_product})
    report = fuzz(["planted"], programs=6, ops=["mul", "tanh", "sum", "add"])
    assert report.failing["planted", True] >= 1
    assert report.failing["planted", False] == 0
    failure = report.failures[0]
    assert failure.jitted
    assert "@ta.jit" in failure.source
    with pytest.raises(AssertionError, match="expected"):
        exec(failure.source, {})  # noqa: S102
    exec(failure.source.replace('"planted"', '"cpu"'), {})  # noqa: S102


def test_few_failures_are_shrunk_and_all_counted(
    plant: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few failures of a device and mode are shrunk; an eager failure covers the jitted one."""
    plant({"tanh": _rough_tanh})
    monkeypatch.setattr(campaign, "SHRUNK", 2)
    report = fuzz(["planted"], programs=8, ops=["tanh", "sin"])
    assert report.failing["planted", False] > 2
    assert report.failing["planted", True] > 2
    assert [f.jitted for f in report.failures if f.source] == [False] * 2
    assert len(report.failures) == sum(report.failing.values())


def test_right_devices_pass(device: str) -> None:
    """Each device passes, eager and jitted, and nearly everything that came out was judged."""
    report = fuzz([device], programs=24 if device == "cpu" else 3, seed=2)
    report.raise_for_failures()
    assert report.ok, report
    assert report.judged > 9 * report.unjudged
    assert 0 < max(report.worst.values()) <= 1
    assert set(report.runs.values()) == {report.programs}


def test_same_seed_same_report() -> None:
    """A seed fixes programs and verdicts; another seed draws others."""
    one, same, other = (fuzz(["cpu"], programs=4, seed=s) for s in (4, 4, 5))
    assert (one.ops, one.worst, one.judged) == (same.ops, same.worst, same.judged)
    assert one.ops != other.ops


def test_kinds_of_ops() -> None:
    """All kinds of ops are used within eighty programs."""
    used = {step.op for number in range(80) for step in generate(0, number).steps}
    assert {OPS[name].kind for name in used} == {
        op.kind for op in OPS.values() if op.kind != "custom"
    }


def test_report_reads_well(plant: Callable[..., None]) -> None:
    """A line for each device and mode, how much was judged, and the program that fails."""
    plant({"tanh": _rough_tanh})
    report = fuzz(["cpu", "planted"], programs=3, ops=["tanh"], jitted=[False])
    text = str(report)
    assert "3 programs of seed 0" in text
    assert "of them judged" in text
    assert "cpu          eager       3 programs" in text
    assert "FAILED" in text
    assert "shrunk to 1 step:" in text
    assert "    v0 = x0.tanh()\n" in text


def test_nothing_judged_is_no_success() -> None:
    """A report without a single judged number isn't ok, and says so."""
    report = FuzzReport(0, ("cpu",))
    assert not report.ok
    with pytest.raises(CheckError, match="nothing was judged"):
        report.raise_for_failures()


def test_ctrl_c_returns_what_is_done() -> None:
    """An interrupt ends the fuzzing, and the report is of the programs that were finished."""
    seen: list[str] = []

    def stop(line: str) -> None:
        seen.append(line)
        if len(seen) == 3:
            raise KeyboardInterrupt

    report = fuzz(["cpu"], programs=50, progress=stop)
    assert report.interrupted
    assert report.programs == 3
    assert seen[-1] == "3 programs, 0 failures"
    assert "interrupted" in str(report)


def test_compiled_code_is_let_go(
    plant: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Backends are told now and then to forget what they compiled."""
    told: list[None] = []
    plant({})
    monkeypatch.setattr(_Planted, "forget", lambda self: told.append(None))
    monkeypatch.setattr(campaign, "_FORGET", 2)
    fuzz(["planted"], programs=5, ops=["add"])
    assert len(told) == 2


def test_it_stops_in_time() -> None:
    """The time given is kept, give or take a program."""
    start = time.monotonic()
    report = fuzz(["cpu"], minutes=0.02)
    assert report.programs >= 1
    assert time.monotonic() - start < 10


def test_bad_arguments() -> None:
    """Numbers that make no sense, ops and devices that don't exist raise before anything runs."""
    with pytest.raises(ArgumentError, match="programs=0"):
        fuzz(["cpu"], programs=0)
    with pytest.raises(ArgumentError, match="minutes=-1"):
        fuzz(["cpu"], minutes=-1)
    with pytest.raises(ArgumentError, match="op 'tahn' is unknown"):
        fuzz(["cpu"], programs=1, ops=["tahn"])
    with pytest.raises(DeviceError, match="nowhere"):
        fuzz(["nowhere"], programs=1)
