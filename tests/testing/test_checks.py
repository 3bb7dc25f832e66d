"""Checks by name can fail: backends that share memory, reuse buffers, bake values in, and so on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

import tinyaccel as ta
from tinyaccel.backend import register_backend
from tinyaccel.errors import CheckError
from tinyaccel.testing import CHECKS, Check, check_device
from tinyaccel.testing.mutants.memory import baked, donated, static_outputs
from tinyaccel_numpy.backend import NumpyBackend
from tinyaccel_numpy.kernels import KERNELS

Array = npt.NDArray[Any]
Run = Callable[[Sequence[Array]], list[Array]]


class _Planted(NumpyBackend):
    """NumPy, with one thing done wrong."""

    name: ClassVar[str] = "planted"

    def devices(self) -> list[str]:
        return ["planted"]


class Bug(NamedTuple):
    """What is wrong, by which attributes of the backend, and the checks that must see it."""

    name: str
    changes: dict[str, Any]
    found_by: tuple[str, ...]


def _compiled(change: Callable[[Run, ta.Graph], Run]) -> dict[str, Any]:
    """A `compile` whose executable is changed."""

    def compile(self: NumpyBackend, graph: ta.Graph, device: ta.Device) -> Run:
        return change(NumpyBackend.compile(self, graph, device), graph)

    return {"compile": compile}


def _remembered(run: Run, graph: ta.Graph) -> Run:
    """The first call's results, again and again."""
    results: list[Array] = []

    def call(arrays: Sequence[Array]) -> list[Array]:
        if not results:
            results.extend(run(arrays))
        return list(results)

    return call


def _folded(run: Run, graph: ta.Graph) -> Run:
    """The random state of the first call is taken for a constant."""
    first: dict[int, Array] = {}

    def call(arrays: Sequence[Array]) -> list[Array]:
        given = [
            first.setdefault(i, a) if (a.shape, a.dtype) == ((3,), np.uint32) else a
            for i, a in enumerate(arrays)
        ]
        return run(given)

    return call


def _eager_writes(run: Run, graph: ta.Graph) -> Run:
    """State is written to before all of the program has run."""

    def call(arrays: Sequence[Array]) -> list[Array]:
        try:
            return run(arrays)
        except Exception:
            for array in arrays:
                array[...] = 0
            raise

    return call


def _kernels(**wrong: Any) -> dict[str, Any]:
    return {"kernels": {**KERNELS, **wrong}}


def _signed(function: Callable[..., Any]) -> Callable[..., Any]:
    """uint32 taken for int32."""

    def kernel(a: Array, b: Array) -> Array:
        signed = a.dtype == np.uint32
        result = function(a.view(np.int32), b.view(np.int32)) if signed else function(a, b)
        return np.asarray(result.view(a.dtype) if signed and result.dtype != np.bool_ else result)

    return kernel


def _never_moves(a: Array, b: Array) -> Array:
    return np.broadcast_arrays(a, b)[0].copy() if a.dtype == np.uint32 else np.asarray(a + b)


def _unscaled(x: Array, bits: Array, *, p: float) -> Array:
    return np.where(bits >= round(p * 2**32), x, 0).astype(x.dtype)


def _biased(x: Array, bits: Array, *, p: float) -> Array:
    kept = bits >= round(p * 2**32 * 0.8)
    return np.where(kept, x / x.dtype.type(1 - p), 0).astype(x.dtype)


def _narrow(self: NumpyBackend, array: Array, device: ta.Device) -> Array:
    return array.astype(np.float32).astype(array.dtype) if array.dtype == np.float64 else +array


def _in_memory_order(self: NumpyBackend, array: Array, device: ta.Device) -> Array:
    return np.array(array.ravel(order="K")).reshape(array.shape)


def _backwards(self: NumpyBackend, array: Array) -> Array:
    return np.array(array[::-1] if array.shape == (3,) and array.dtype == np.float32 else array)


KEEPS = ("jit: keeps three losses", "jit: keeps a detached parameter", "jit: keeps a gradient")


def _short_counter(state: Array, *, shape: tuple[int, ...]) -> Array:
    """After 2**17 words, the same ones again."""
    words = KERNELS["random_bits"](state, shape=(min(int(np.prod(shape)), 2**17),))
    return np.resize(words, shape)


BUGS = (
    Bug("upload shares the host's memory",
        {"upload": lambda self, array, device: np.asarray(array)},
        ("transfer: upload copies",)),
    Bug("download hands out the device's memory",
        {"download": lambda self, array: array},
        ("transfer: download gives an array of one's own",)),
    Bug("float64 goes through float32", {"upload": _narrow},
        ("transfer: every dtype comes back to the bit",)),
    Bug("the host's array is read as it lies in memory", {"upload": _in_memory_order},
        ("transfer: every shape comes back, however the host's array lies",)),
    Bug("three numbers come back the wrong way round", {"download": _backwards},
        ("transfer: tensors move to the CPU and back",)),
    Bug("one word of the counter is off", _kernels(random_bits=lambda state, *, shape: np.full(
        shape, 7, np.uint32)),
        ("random: bits are Threefry's, draw after draw",
         "random: a draw moves the state on by one",
         "jit: random state moves on as in eager",
         "jit: dropout is unbiased, and another one in each call")),
    Bug("the counter has 16 bits", _kernels(random_bits=_short_counter),
        ("random: a long stream doesn't begin again",)),
    Bug("uint32 doesn't add up", _kernels(add=_never_moves),
        ("random: a draw moves the state on by one",)),
    Bug("a shift that keeps the sign of uint32", _kernels(shift_right=_signed(np.right_shift)),
        ("random: uniforms are the bits' own, below 1",)),
    Bug("uint32 compared as int32", _kernels(less_equal=_signed(np.less_equal)),
        ("random: masks are the bits' own",)),
    Bug("the random state is compiled in", _compiled(_folded),
        ("random: jitted draws are the eager ones", "jit: random state moves on as in eager",
         "jit: dropout is unbiased, and another one in each call")),
    Bug("static buffers are handed out", _compiled(static_outputs),
        (*KEEPS, "jit: never overwrites a result", "jit: another argument gives another result")),
    Bug("inputs are reused though others hold them", _compiled(donated),
        ("jit: keeps a detached parameter", "jit: reads values that were assigned between calls",
         "jit: two tensors of one value part when one changes",
         "jit: another argument gives another result")),
    Bug("numbers are compiled in", _compiled(baked),
        ("jit: sees a learning rate that was changed between calls",)),
    Bug("a step runs once", _compiled(_remembered),
        ("jit: keeps three losses", "jit: another argument gives another result")),
    Bug("a failure leaves state half written", _compiled(_eager_writes),
        ("jit: an exception leaves all state as it was",)),
    Bug("dropout doesn't scale", _kernels(dropout=_unscaled),
        ("jit: dropout is unbiased, and another one in each call",)),
    Bug("dropout keeps too many", _kernels(dropout=_biased),
        ("jit: dropout is unbiased, and another one in each call",)),
)  # fmt: skip


def test_every_check_passes(device: str) -> None:
    """What a device must do, ours do."""
    report = check_device(device)
    report.raise_for_failures()
    assert [r.op for r in report.results] == [check.name for check in CHECKS]
    assert {r.kind for r in report.results} == {"transfer", "random", "state"}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name.replace(" ", "-"))
def test_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each bug fails the checks that are about it, with the check's and the device's name."""
    for name, value in bug.changes.items():
        monkeypatch.setattr(_Planted, name, value)
    register_backend("planted", _Planted)
    report = check_device("planted")
    failed = {r.op: r.failure for r in report.results if not r.ok}
    assert set(bug.found_by) <= failed.keys(), f"{bug.name}: found only by {[*failed]}"
    for name in bug.found_by:
        text = failed[name]
        assert text is not None
        assert text.startswith(f"{name} on planted: ")
        assert "\n" not in text


def test_every_check_can_fail() -> None:
    """No check by name is without a bug that it must find."""
    assert {name for bug in BUGS for name in bug.found_by} == {check.name for check in CHECKS}


def test_kinds_and_progress() -> None:
    """Only the kinds that were asked for run, each named before."""
    seen: list[str] = []
    report = check_device("cpu", ["random"], progress=seen.append)
    assert seen == [r.op for r in report.results] == [c.name for c in CHECKS if c.kind == "random"]


def test_any_exception_is_a_deviation() -> None:
    """A check never raises: what goes wrong in a backend is told in one line."""

    def fails(device: ta.Device) -> None:
        raise ZeroDivisionError("of all\nthings")

    def deviates(device: ta.Device) -> None:
        raise CheckError("got 1,\n  expected 2")

    cpu = ta.get_device("cpu")
    assert Check("x", "state", fails).verify(cpu) == "raised ZeroDivisionError: of all things"
    assert Check("x", "state", deviates).verify(cpu) == "got 1, expected 2"
    assert Check("x", "state", lambda device: None).verify(cpu) is None
