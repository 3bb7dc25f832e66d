"""A backend's conformance as pytest tests: `pytest --pyargs tinyaccel.testing --backend NAME`.

A test for each op, order and mode, each op's conventions, and each check by name; a known
difference is an expected failure with its reason, and has a test that it is still there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from tinyaccel.backend import backend_names, get_device
from tinyaccel.errors import BackendError, DeviceError
from tinyaccel.op import OPS
from tinyaccel.testing.check import (
    check_conventions,
    check_known,
    check_named,
    check_op,
    has_order,
)
from tinyaccel.testing.checks import CHECKS
from tinyaccel.testing.conventions import CONVENTIONS
from tinyaccel.testing.known import op_of
from tinyaccel.testing.report import Report

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

_MODES = {False: "eager", True: "jitted"}
_Unusable = pytest.Collector.CollectError  # which pytest shows as its text alone


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The tests of each backend that was named; without any, a line that says what to give."""
    devices = _devices(metafunc.config)
    ops = _ops(metafunc.config)
    make = {
        "test_op": _op_cases,
        "test_conventions": _convention_cases,
        "test_check": _named_cases,
        "test_known_difference": _known_cases,
    }[metafunc.function.__name__]
    whole = not _option(metafunc.config, "--backend-ops")
    names = [n for n in metafunc.fixturenames if n != "request"]
    found: list[ParameterSet] = []
    for device in devices:
        some = [pytest.param(*values, id=id) for values, id in make(device, ops, whole)]
        nothing = pytest.mark.skip(reason=f"{device}: none of these to test")
        found += some or [pytest.param(device, *names[1:], id=f"{device}-none", marks=nothing)]
    metafunc.parametrize(names, found)


def _option(config: pytest.Config, name: str) -> list[str]:
    """What the plug-in has read; nothing where it isn't loaded."""
    given: list[str] = config.getoption(name, [])
    return given


def _devices(config: pytest.Config) -> list[str]:
    names = _option(config, "--backend")
    if not names:
        known = ", ".join(backend_names())
        raise _Unusable(f"tinyaccel.testing: give --backend NAME; installed are {known}")
    try:
        return [get_device(name).name for name in names]
    except (BackendError, DeviceError) as error:
        raise _Unusable(f"tinyaccel.testing: --backend: {error}") from None


def _ops(config: pytest.Config) -> list[str]:
    known = [op.name for op in OPS.values() if op.kind != "custom"]
    wanted = _option(config, "--backend-ops")
    for name in wanted:
        if name not in known:
            raise _Unusable(f"tinyaccel.testing: --backend-ops: op {name!r} is unknown")
    return wanted or known


Cases = list[tuple[tuple[Any, ...], str]]  # the arguments of a test, and its id


def _op_cases(device: str, ops: Sequence[str], whole: bool) -> Cases:
    return [
        ((device, name, order, jitted), f"{device}-{name}-order{order}-{_MODES[jitted]}")
        for name in ops
        for order in (0, 1, 2)
        if has_order(name, order, device)
        for jitted in (False, True)
    ]


def _convention_cases(device: str, ops: Sequence[str], whole: bool) -> Cases:
    known = dict.fromkeys(c.op for c in CONVENTIONS)
    return [
        ((device, name, jitted), f"{device}-{name}-{_MODES[jitted]}")
        for name in known
        if name in ops
        for jitted in (False, True)
    ]


def _named_cases(device: str, ops: Sequence[str], whole: bool) -> Cases:
    return [((device, check.name), f"{device}-{check.name}") for check in CHECKS if whole]


def _known_cases(device: str, ops: Sequence[str], whole: bool) -> Cases:
    keys = get_device(device).backend.known_differences
    return [((device, key), f"{device}-{key}") for key in keys if whole or op_of(key) in ops]


def _settle(report: Report) -> None:
    """Fail with what fails; what is known to differ is an expected failure."""
    report.raise_for_failures()
    for result in report.known:
        pytest.xfail(f"known: {result.known}")


def _examples(request: pytest.FixtureRequest) -> tuple[int, int]:
    """How many, and from which seed."""
    config = request.config
    return config.getoption("--backend-examples"), config.getoption("--backend-seed")


def test_op(
    device: str, name: str, order: int, jitted: bool, request: pytest.FixtureRequest
) -> None:
    """The op, its gradient, or that one's gradient is within its budget, in every dtype."""
    examples, seed = _examples(request)
    _settle(check_op(name, device, order=order, jitted=jitted, examples=examples, seed=seed))


def test_conventions(device: str, name: str, jitted: bool) -> None:
    """Where mathematics leaves the op a choice, the backend makes the library's."""
    _settle(check_conventions(device, [name], jitted=jitted))


def test_check(device: str, name: str) -> None:
    """Transfer, random numbers, state under jit: one thing that the device must do."""
    check = next(c for c in CHECKS if c.name == name)
    _settle(Report([check_named(check, get_device(device))]))


def test_known_difference(device: str, key: str, request: pytest.FixtureRequest) -> None:
    """What the backend lists as a known difference is still one."""
    examples, seed = _examples(request)
    check_known(key, device, examples=examples, seed=seed).raise_for_failures()
