"""Dtypes that a backend lacks: left out everywhere where it says so, and only if it is true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

import tinyaccel as ta
from tinyaccel import array_api, dtypes
from tinyaccel.backend import Device, get_device, register_backend
from tinyaccel.testing import check_backend, check_conventions, check_device, check_op
from tinyaccel.testing.check import check_known, has_order
from tinyaccel.testing.conventions.common import c
from tinyaccel.testing.fuzz import fuzz
from tinyaccel.testing.lacking import is_there, lacking, needs, present
from tinyaccel_numpy.backend import NumpyBackend


class _Narrow(NumpyBackend):
    """NumPy without one of the dtypes."""

    name: ClassVar[str] = "narrow"
    known_differences: ClassVar[Mapping[str, str]] = {}
    without: ClassVar[dtypes.DType] = dtypes.float16

    def devices(self) -> list[str]:
        return ["narrow"]

    def upload(self, array: npt.NDArray[Any], device: Device) -> npt.NDArray[Any]:
        self._refuse(array)
        return super().upload(array, device)

    def wrap(self, kernel: Any, name: str) -> Any:
        right = super().wrap(kernel, name)

        def run(*arrays: Any, **attrs: Any) -> Any:
            out = right(*arrays, **attrs)
            self._refuse(out)
            return out

        return run

    def _refuse(self, array: npt.NDArray[Any]) -> None:
        if array.dtype == self.without.numpy:
            raise TypeError(f"there is no {self.without} here")


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that says what is listed, and gives the device."""

    def listing(*missing: str, without: dtypes.DType = dtypes.float16) -> Device:
        monkeypatch.setattr(_Narrow, "known_differences", dict.fromkeys(missing, "no hardware"))
        monkeypatch.setattr(_Narrow, "without", without)
        register_backend("narrow", _Narrow)
        return get_device("narrow")

    return listing


def test_an_unlisted_dtype_fails(narrow: Any) -> None:
    """Whoever doesn't say that a dtype is missing fails wherever it is met."""
    device = narrow()
    assert [r.dtype for r in check_op("add", device, examples=2).results if not r.ok] == ["float16"]
    assert not check_op("astype", device, dtypes=["float32"], examples=20).ok
    assert len(check_device(device).failures) == 2  # transfer, and uniforms
    assert check_backend(device, ["add"], examples=1).known == []


def test_a_listed_dtype_is_left_out(narrow: Any) -> None:
    """An op isn't run in it, nor with it as an attribute; checks by name leave it out."""
    device = narrow("float16")
    tried = [r.dtype for r in check_op("add", device, examples=2).results]
    assert "float16" not in tried
    assert "bfloat16" in tried
    cast = check_op("astype", device, examples=20)
    assert cast.ok
    assert all(r.examples for r in cast.results)
    assert check_op("add", device, dtypes=["float16"]).results == []
    assert check_op("one_hot", device, order=1, examples=8).ok
    assert check_device(device).ok


def test_it_is_reported_with_its_reason(narrow: Any) -> None:
    """`check_backend` has one result for it, also of a few ops, but not of other dtypes alone."""
    report = check_backend(narrow("float16"), ["add"], examples=1)
    assert report.ok
    assert [(r.op, r.key, r.known) for r in report.known] == [("float16", "float16", "no hardware")]
    assert "known: no hardware" in str(report)
    some = check_backend(narrow("float16"), ["add"], dtypes=["int32"], examples=1)
    assert some.known == []


def test_a_dtype_that_is_there_after_all(narrow: Any) -> None:
    """Listing a dtype that goes there and comes back is a failure that says: remove it."""
    says = "float64 on narrow: no longer differs (no hardware); remove it from known_differences"
    device = narrow("float16", "float64")
    assert check_backend(device, ["add"], examples=1).failures == [says]
    assert check_known("float64", device).failures == [says]
    assert check_known("float16", device).ok


def test_an_op_of_missing_dtypes_alone(narrow: Any) -> None:
    """Random words are uint32: without it, nothing is left of that op to test."""
    device = narrow("uint32", without=dtypes.uint32)
    assert has_order("random_bits", 0, "cpu")
    assert not has_order("random_bits", 0, device)


def test_conventions_leave_it_out(narrow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A convention whose inputs or attributes are of a missing dtype isn't asked."""
    half = np.zeros(1, np.float16)
    table = [
        c("halves add up", "add", half, half, to=[0.0]),
        c("casts to half", "astype", [1.0], dtype=dtypes.float16, to=[1.0]),
        c("zeros add up", "add", [0.0], [0.0], to=[0.0]),
    ]
    monkeypatch.setattr("tinyaccel.testing.check.CONVENTIONS", table)
    assert [r.examples for r in check_conventions(narrow("float16")).results] == [1]
    assert len(check_conventions(narrow()).failures) == 2


def test_known_conventions_of_one_op(narrow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two known differences of one op are both seen: neither is said to be gone."""
    table = [c(says, "add", [1.0], [1.0], to=[3.0]) for says in ("one and one", "two ones")]
    table.append(c("ones", "add", [1.0], [1.0], to=[2.0]))
    monkeypatch.setattr("tinyaccel.testing.check.CONVENTIONS", table)
    report = check_conventions(narrow("one and one", "two ones"))
    assert report.ok
    assert [r.key for r in report.results] == ["one and one", "two ones", ""]


def test_fuzzing_leaves_it_out(narrow: Any) -> None:
    """Programs that need a missing dtype run on the other devices alone."""
    report = fuzz(["cpu", narrow("float16", "bfloat16")], programs=30, jitted=[False])
    assert report.ok, report
    assert 0 < report.runs["narrow", False] < report.runs["cpu", False] == 30


def test_what_needs_a_dtype(narrow: Any) -> None:
    """Attributes are looked through for dtypes; `is_there` is asked of the device itself."""
    assert needs([1, dtypes.float16], [dtypes.float16])
    assert not needs([1, "float16", dtypes.float32], [dtypes.float16])
    device = narrow("float16")
    assert lacking(device) == [dtypes.float16]
    assert present([dtypes.float16, dtypes.int8], device) == [dtypes.int8]
    assert [d.name for d in dtypes.ALL if not is_there(d, device)] == ["float16"]


def test_default_kernels_say_so() -> None:
    """Where a library has no such dtype, its default kernels name it, the library and the rest."""
    xp = pytest.importorskip("array_api_strict", reason="the standard's own test library")
    cast = array_api.kernels(xp)["astype"]
    says = r"^float16: array_api_strict has no such dtype; use bool, int8, .*float32, float64$"
    with pytest.raises(ta.errors.DTypeError, match=says):
        cast(xp.asarray([1.0]), dtype=dtypes.float16)


def test_bools_are_ordered_by_numbers() -> None:
    """False is below True, also in a library that orders numbers only."""
    xp = pytest.importorskip("array_api_strict", reason="the standard's own test library")
    kernels = array_api.kernels(xp)
    a, b = xp.asarray([False, False, True, True]), xp.asarray([False, True, False, True])
    for name, wanted in (
        ("maximum", [False, True, True, True]), ("minimum", [False, False, False, True]),
        ("less", [False, True, False, False]), ("less_equal", [True, True, False, True]),
    ):  # fmt: skip
        got = kernels[name](a, b)
        assert got.dtype == xp.bool
        assert np.from_dlpack(got).tolist() == wanted
    assert bool(kernels["max"](b, axis=(0,), keepdims=False)) is True
    assert int(kernels["argmax"](b, axis=0, keepdims=False)) == 1
    order = kernels["argsort"](b, axis=0, descending=True)
    assert np.from_dlpack(order).tolist() == [1, 3, 0, 2]
