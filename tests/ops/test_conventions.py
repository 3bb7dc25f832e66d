"""Where mathematics leaves a choice, every device makes ours: the kit's table, and extremes."""

from __future__ import annotations

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.errors import IndexRangeError
from tinyaccel.testing import CONVENTIONS, Convention, watched


def _id(convention: Convention) -> str:
    by = "" if convention.by is None else f"-gradient-{convention.by}"
    return f"{convention.op}{by}: {convention.says}"


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jitted"])
@pytest.mark.parametrize("convention", CONVENTIONS, ids=_id)
def test_convention(convention: Convention, device: str, jitted: bool) -> None:
    """What the table says is what the device does."""
    where = ta.get_device(device) if jitted else watched(device)
    assert convention.verify(where, jitted=jitted) is None


def test_a_deviation_is_told() -> None:
    """A wrong expectation, a missing exception and an unexpected one are each reported."""
    wrong = Convention("relu'(0) is 1", "relu", ([0.0],), {}, [1.0], by=0)
    assert wrong.verify("cpu") == "relu'(0) is 1: got [0.0], expected [1.0]"
    missing = Convention("it raises", "relu", ([0.0],), {}, ta.errors.ShapeError)
    assert missing.verify("cpu") == "it raises: got [0.0]; expected ShapeError"
    sudden = Convention("it works", "max", ([],), {"axis": 0}, 0.0)
    assert "raised ShapeError" in (sudden.verify("cpu") or "")
    unsigned = Convention("-0", "neg", ([0.0],), {}, [0.0])
    assert unsigned.verify("cpu") is not None


def test_cpu_raises_for_an_index_out_of_range() -> None:
    """On the CPU, an index outside its axis is an error that names both."""
    x = ta.tensor([1.0, 2.0])
    with pytest.raises(IndexRangeError, match=r"index 2 is out of range for an axis of 2"):
        ta.take_along_axis(x, ta.tensor([2]), axis=0)
    with pytest.raises(IndexRangeError, match=r"index -3 is out of range for an axis of 2"):
        ta.scatter_add(x, ta.tensor([-3]), ta.tensor([1.0]), axis=0)


def test_movement_keeps_every_bit(device: str) -> None:
    """Movement keeps subnormal numbers, infinities and the signs of zeros, to the bit."""
    values = np.array([[1e-40, -0.0], [np.inf, -1e-45]], np.float32)
    kept = {*values.view(np.uint32).ravel().tolist(), 0}
    x = ta.tensor(values)
    for moved in (x.T, ta.flip(x), x.reshape(4), ta.pad(x, widths=((1, 0), (0, 0))),
                  ta.concat([x, x]), x[1:, ::-1]):  # fmt: skip
        assert set(moved.numpy().view(np.uint32).ravel().tolist()) <= kept
