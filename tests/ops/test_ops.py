"""Every op on every device, eager and jitted, to the second order: generated from OPS."""

from __future__ import annotations

import zlib

import pytest

from tinyaccel import testing
from tinyaccel.dtypes import DType, float32
from tinyaccel.op import OPS
from tinyaccel.testing.layouts import layouts
from tinyaccel.testing.strategies import fills, resolve_reference

NAMES = [op.name for op in OPS.values() if op.kind != "custom"]
COMPILED = 2  # examples where each new shape is compiled, and 4 where it isn't


def _examples(device: str) -> int:
    return 4 if device == "cpu" else COMPILED


def _some_dtypes(name: str) -> list[DType]:
    """float32 and two others, by turns, of those that the op computes in."""
    known = testing.accepted(OPS[name])
    others = [d for d in known if d is not float32]
    first = zlib.crc32(name.encode())
    turns = [others[(first + 3 * i) % len(others)] for i in range(min(2, len(others)))]
    return [d for d in known if d is float32 or d in turns]


@pytest.mark.parametrize("name", NAMES)
def test_op_has_a_reference(name: str) -> None:
    """Every op names an implementation to be tested against, which isn't one of its kernels."""
    reference = resolve_reference(OPS[name])
    assert reference.__module__.startswith("tinyaccel.testing.references.")


@pytest.mark.parametrize("name", NAMES)
def test_layouts_are_few(name: str) -> None:
    """A compiled backend meets at most 12 shapes an op and dtype; every dtype has values."""
    op = OPS[name]
    assert 1 <= len(layouts(op)) <= 12
    assert 1 <= len(layouts(op, small=True)) <= 4
    assert all(fills(op, dtype) for dtype in testing.accepted(op))


@pytest.mark.parametrize("name", NAMES)
def test_eager(name: str, device: str) -> None:
    """The op is within its budget of its reference, each kernel under watch.

    On the CPU in every dtype, elsewhere in some.
    """
    known = testing.accepted(OPS[name]) if device == "cpu" else _some_dtypes(name)
    report = testing.check_op(name, device, dtypes=known, examples=_examples(device))
    report.raise_for_failures()
    assert report.results
    assert all(result.examples for result in report.results)


@pytest.mark.parametrize("name", NAMES)
def test_jitted(name: str, device: str) -> None:
    """So it is when jitted, in some dtypes; on a compiled backend in one, as it takes longer."""
    known = _some_dtypes(name)
    chosen = known if device == "cpu" else [float32] if float32 in known else known[:1]
    testing.check_op(
        name, device, jitted=True, dtypes=chosen, examples=COMPILED, seed=1
    ).raise_for_failures()


# Where each op of each shape is compiled by itself, gradients run jitted alone: they are made of
# ops that test_eager has run there. `check_backend` and `tinyaccel verify` run them eagerly, too.


@pytest.mark.parametrize("name", NAMES)
def test_gradient(name: str, way: tuple[str, bool]) -> None:
    """The gradient is within its bound on the device, and its formula is finite differences'."""
    device, jitted = way
    testing.check_op(
        name, device, jitted=jitted, order=1, examples=_examples(device) // 2
    ).raise_for_failures()


@pytest.mark.parametrize("name", NAMES)
def test_second_order(name: str, way: tuple[str, bool]) -> None:
    """So is the gradient of the gradient, by inputs and cotangent."""
    device, jitted = way
    examples = 2 if device == "cpu" else 1
    testing.check_op(name, device, jitted=jitted, order=2, examples=examples).raise_for_failures()


def test_gradients_are_really_checked() -> None:
    """An op with a gradient has checks of orders 1 and 2 that ran; one without has none."""
    for order in (1, 2):
        ran = testing.check_op("tanh", "cpu", order=order, examples=2)
        assert [(r.dtype, r.examples) for r in ran.results] == [("float32", 6 - order)]
        assert testing.check_op("less", "cpu", order=order).results == []
