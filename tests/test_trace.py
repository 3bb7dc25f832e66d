"""Tests of tinyaccel.trace: the account that a trace keeps of the tensors it meets."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.contexts import setting
from tinyaccel.errors import TraceError
from tinyaccel.trace import TRACE, Trace, Var, guard, refuse, user_line


@pytest.fixture
def trace() -> Trace:
    return Trace("test")


def test_captures_once(trace: Trace) -> None:
    """A tensor from outside becomes one input, however often it is read; its data is untouched."""
    x = ta.tensor([1.0, 2.0])
    data = x._data
    with setting(TRACE, trace):
        y = x * x + x
    assert [spec.shape for spec in map(trace.graph.specs.__getitem__, trace.graph.inputs)] == [(2,)]
    assert trace.captured[id(x)][0] is x
    assert x._data is data
    assert isinstance(y._data, Var)


def test_captures_may_be_forbidden() -> None:
    """The body of an op uses nothing from outside; the message shows what it tried to use."""
    trace, x = Trace("myop", captures=False), ta.tensor([1.0, 2.0])
    with setting(TRACE, trace), pytest.raises(
        TraceError, match=r"myop: its body uses float32\[2\] from outside; pass it as an input"
    ):  # fmt: skip
        x.exp()


def test_scalars_are_one_constant(trace: Trace) -> None:
    """Equal 0-d constants are one value, but 0.0 and -0.0 are two, as are 1 and 1.0."""
    with setting(TRACE, trace):
        x, n = ta.tensor([1.0]), ta.tensor([1])
        x = x * 2.0 + 2.0
        x = x + 0.0 + -0.0
        n = n + 1 + 1
    values = [a.item() for a in trace.graph.constants.values() if a.ndim == 0]
    assert [repr(v) for v in values] == ["2.0", "0.0", "-0.0", "1"]


def test_assign_is_seen_by_later_reads(trace: Trace) -> None:
    """What follows an assign reads the new value; what came before keeps the old one."""
    x = ta.tensor([1.0])
    with setting(TRACE, trace):
        before = x * 1
        x.assign(x + 1)
        after = x * 1
    trace.graph.outputs = [before._data.value, after._data.value]
    cpu = ta.get_device("cpu")
    run = cpu.backend.compile(trace.graph, cpu)
    assert [a.item() for a in run([np.array([5], np.float32)])] == [5, 6]
    assert x.item() == 1


def test_guard_asks_once(trace: Trace) -> None:
    """A guard remembers the first answer; without a trace it asks nothing."""
    answers = iter([1, 2])
    owner = object()
    guard(owner, "flag", lambda: next(answers))
    with setting(TRACE, trace):
        guard(owner, "flag", lambda: next(answers))
        guard(owner, "flag", lambda: next(answers))
    ((_, value, what),) = trace.guards.values()
    assert (value, what) == (1, "object.flag")
    assert next(answers) == 2


def test_refuse(trace: Trace) -> None:
    """Outside a trace nothing happens; inside, the line says what, where and what to do."""
    refuse("jumping", "walk")
    with setting(TRACE, trace), pytest.raises(TraceError) as caught:
        refuse("jumping", "walk")
    text = str(caught.value)
    assert text.startswith("jumping can't be traced by test, at test_trace.py:")
    assert text.endswith('refuse("jumping", "walk"); walk')


def test_user_line_is_the_callers() -> None:
    """The innermost line outside the package, with its text."""
    line = user_line()
    assert line.startswith("test_trace.py:")
    assert line.endswith(": line = user_line()")


def test_user_line_of_a_file_with_a_similar_name() -> None:
    """A user's file beside the package whose name starts like ours is the user's, not ours."""
    package, module = Path(ta.__file__).parent, importlib.import_module("tinyaccel.trace")
    space: dict[str, str] = {}
    for path, ours in ((package.with_name("tinyaccel_tricks.py"), False), (package / "x.py", True)):
        code = compile("line = trace.user_line()", str(path), "exec")
        exec(code, {"trace": module}, space)  # noqa: S102  # as if it stood in that file
        assert space["line"].startswith(f"{path.name}:1:") != ours


def test_two_traces_dont_mix(trace: Trace) -> None:
    """A tensor of one trace that is used in another is a leak, and said to be one."""
    with setting(TRACE, trace):
        x = ta.tensor([1.0]) * 2
    with setting(TRACE, Trace("other")), pytest.raises(TraceError, match="kept after the call"):
        x + 1
    with pytest.raises(TraceError, match=r"tensor float32\[1\] was traced by jit and kept"):
        x + 1
