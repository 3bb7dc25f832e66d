"""Known differences: excused where they are listed, reported, and a failure once they are gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from tinyaccel.backend import register_backend
from tinyaccel.errors import ArgumentError
from tinyaccel.testing import check_backend, check_conventions, check_device, check_op
from tinyaccel.testing.check import check_known
from tinyaccel_numpy.backend import NumpyBackend
from tinyaccel_numpy.kernels import KERNELS


def _sloppy(x: Any) -> Any:
    """tanh that is wrong in float16 alone."""
    return np.tanh(x) * np.float16(1.01) if x.dtype == np.float16 else np.tanh(x)


class _Odd(NumpyBackend):
    """NumPy with a few deviations, which it lists."""

    name: ClassVar[str] = "odd"
    known_differences: ClassVar[Mapping[str, str]] = {}

    def __init__(self) -> None:
        loses_nan = {"maximum": lambda a, b: np.where(a > b, a, b)}
        self.kernels = {**KERNELS, "tanh": _sloppy, **loses_nan}

    def kernel(self, op: Any, low: bool = False) -> Any:
        return super().kernel(op, low and op.name != "tanh")

    def devices(self) -> list[str]:
        return ["odd"]

    def download(self, array: Any) -> Any:
        return array


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that lists differences and gives the device that has them."""

    def listing(**known: str) -> str:
        monkeypatch.setattr(_Odd, "known_differences", known)
        register_backend("odd", _Odd)
        return "odd"

    return listing


def test_unlisted_differences_fail(odd: Any) -> None:
    """Without a list, each is a failure."""
    device = odd()
    assert [r.dtype for r in check_op("tanh", device).results if not r.ok] == ["float16"]
    assert not check_conventions(device, ["maximum"]).ok
    assert not check_device(device, ["transfer"]).ok


def test_an_op_in_one_dtype(odd: Any) -> None:
    """Listed for float16, tanh is excused in float16, with the reason, and held in the others."""
    device = odd(**{"tanh:float16": "rounds twice"})
    report = check_op("tanh", device)
    assert report.ok
    assert [(r.dtype, r.known) for r in report.known] == [("float16", "rounds twice")]
    assert "known: rounds twice" in str(report)
    wrong_place = odd(**{"tanh:float32": "not there"})
    assert not check_op("tanh", wrong_place).ok


def test_a_whole_op(odd: Any) -> None:
    """Listed by its name alone, it is excused in every dtype."""
    device = odd(tanh="an approximation")
    assert [r.dtype for r in check_op("tanh", device).known] == ["float16"]
    assert check_op("tanh", device).ok


def test_a_convention(odd: Any) -> None:
    """A convention is listed by what it says; the op's other ones are still held."""
    says = "maximum propagates NaN"
    device = odd(**{says: "its hardware does"})
    report = check_conventions(device, ["maximum"])
    assert report.ok
    assert [r.known for r in report.known] == ["its hardware does"]


def test_a_check_by_name(odd: Any) -> None:
    """A check is listed by its name."""
    name = "transfer: download gives an array of one's own"
    report = check_device(odd(**{name: "zero-copy"}), ["transfer"])
    assert report.ok
    assert [(r.op, r.known) for r in report.known] == [(name, "zero-copy")]


def test_what_is_gone_must_be_removed(odd: Any) -> None:
    """In a whole run of an op, a listed difference that nobody met is a failure that says so."""
    device = odd(**{"tanh:float16": "rounds twice", "exp:float16": "once did", "sin": "other op"})
    report = check_backend(device, ["tanh", "exp"], examples=3)
    assert report.failures == [
        "exp:float16 on odd: no longer differs (once did); remove it from known_differences"
    ]
    part = check_backend(device, ["exp"], examples=3, orders=[0])
    assert part.ok  # it may lie in a gradient, which wasn't looked at


def test_is_it_still_there(odd: Any) -> None:
    """Each listed difference can be looked for by itself."""
    name = "transfer: upload copies"
    device = odd(**{"tanh": "rounds twice", "exp": "once did", name: "once shared memory"})
    assert check_known("tanh", device, examples=3).ok
    assert "exp on odd: no longer differs" in check_known("exp", device, examples=3).failures[0]
    assert "remove it" in check_known(name, device).failures[0]
    with pytest.raises(ArgumentError, match="lists no difference 'cos'"):
        check_known("cos", device)
