"""Bad input to every op: one line each, with the op, what arrived and what was expected.

What all ops of a kind share is generated from OPS; what is an op's own stands in a table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.backend import Device, get_device, register_backend
from tinyaccel.dtypes import DType
from tinyaccel.errors import (
    ArgumentError,
    AxisError,
    DeviceError,
    DTypeError,
    ShapeError,
    TinyaccelError,
)
from tinyaccel.op import OPS, Op
from tinyaccel.ops.random import random_bits
from tinyaccel.tensor import Tensor, apply
from tinyaccel.testing import accepted
from tinyaccel.testing.layouts import layouts
from tinyaccel.testing.strategies import make_case
from tinyaccel_numpy.backend import NumpyBackend

ALL = [op for op in OPS.values() if op.kind != "custom"]
BROADCASTING = [op for op in ALL if op.kind in ("binary", "comparison") or op.name == "not_equal"]
WITH_AXIS = [op for op in ALL if "axis" in layouts(op)[0].attrs]
PICKY = [
    op for op in ALL if op.takes in ("number", "integer", "whole") and op.name != "scatter_add"
]


def _name(op: Op) -> str:
    return op.name


def _one_line(error: pytest.ExceptionInfo[TinyaccelError], op: str) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith(f"{op}: ")
    return text


def _inputs(op: Op, device: str | Device = "cpu") -> list[Tensor]:
    dtype = next((d for d in accepted(op) if d.is_float), accepted(op)[0])
    case = make_case(op, dtype, layouts(op)[0], "uniform", 0)
    return [ta.tensor(a, device=device) for a in case.arrays]


class _Other(NumpyBackend):
    """A second CPU."""

    name: ClassVar[str] = "other"

    def devices(self) -> list[str]:
        return ["other"]


@pytest.fixture
def other() -> Device:
    """A device besides "cpu"."""
    register_backend("other", _Other)
    return get_device("other")


# What ops share


@pytest.mark.parametrize("op", BROADCASTING, ids=_name)
def test_shapes_that_do_not_broadcast(op: Op) -> None:
    """Two shapes that don't fit are both named, and the rule with them."""
    dtype = accepted(op)[0]
    a, b = ta.zeros((2, 3), dtype=dtype), ta.zeros(4, dtype=dtype)
    with pytest.raises(ShapeError) as error:
        apply(op.name, a, b)
    assert _one_line(error, op.name) == (
        f"{op.name}: shapes (2, 3) and (4,) don't broadcast; "
        "sizes must be equal or 1, counted from the last axis"
    )


@pytest.mark.parametrize("op", PICKY, ids=_name)
def test_wrong_dtype(op: Op) -> None:
    """A dtype that the op doesn't take is named, and what to do."""
    wrong: DType = ta.bool_ if op.takes in ("number", "whole") else ta.float32
    inputs = [ta.tensor(x.numpy().astype(wrong.numpy)) for x in _inputs(op)]
    with pytest.raises(DTypeError) as error:
        apply(op.name, *inputs, **layouts(op)[0].attrs)
    expected = {"number": "a number", "integer": "integers or bool", "whole": "integers"}[op.takes]
    assert _one_line(error, op.name) == (
        f"{op.name}: dtype {wrong}; expected {expected}; convert with astype"
    )


@pytest.mark.parametrize("axis", [7, -8])
@pytest.mark.parametrize("op", WITH_AXIS, ids=_name)
def test_axis_out_of_range(op: Op, axis: int) -> None:
    """An axis that isn't there is named, with those that are."""
    inputs = _inputs(op)
    n = inputs[0].ndim + (op.name == "expand_dims")
    with pytest.raises(AxisError) as error:
        apply(op.name, *inputs, **{**layouts(op)[0].attrs, "axis": axis})
    assert _one_line(error, op.name) == (
        f"{op.name}: axis {axis} is out of range for {n} dimensions; expected {-n} to {n - 1}"
    )


@pytest.mark.parametrize("op", [op for op in ALL if len(layouts(op)[0].shapes) > 1], ids=_name)
def test_mixed_devices(op: Op, other: Device) -> None:
    """Tensors on two devices: both are named, and the way out."""
    here, there = _inputs(op), _inputs(op, other)
    with pytest.raises(DeviceError) as error:
        apply(op.name, here[0], *there[1:], **layouts(op)[0].attrs)
    assert _one_line(error, op.name) == (
        f"{op.name}: tensors on cpu and other; move one with .to(device)"
    )


@pytest.mark.parametrize("op", [op for op in ALL if layouts(op)[0].shapes], ids=_name)
def test_no_tensor(op: Op) -> None:
    """What is neither tensor, array nor number is named by its type."""
    inputs = _inputs(op)
    with pytest.raises(DTypeError) as error:
        apply(op.name, "text", *inputs[1:], **layouts(op)[0].attrs)  # type: ignore[arg-type]
    assert _one_line(error, op.name) == (
        f"{op.name}: got str; expected a tensor, an array or a number"
    )


@pytest.mark.parametrize("op", [op for op in ALL if op.kind == "composite"], ids=_name)
def test_unknown_option(op: Op) -> None:
    """An option that a composite doesn't know is named, with those that it does."""
    with pytest.raises(ArgumentError) as error:
        apply(op.name, *_inputs(op), **layouts(op)[0].attrs, bogus=1)
    assert _one_line(error, op.name).startswith(f"{op.name}: unknown ['bogus']; it takes ")


# What is an op's own


def f(*shape: int) -> Tensor:
    return ta.zeros(shape)


def i(*shape: int) -> Tensor:
    return ta.zeros(shape, dtype="int32")


def u(*shape: int) -> Tensor:
    return ta.zeros(shape, dtype="uint32")


def b(*shape: int) -> Tensor:
    return ta.zeros(shape, dtype="bool")


AT: dict[str, Any] = {
    "stride": (1, 1),
    "padding": ((0, 0), (0, 0)),
    "dilation": (1, 1),
    "groups": 1,
}
IMAGE, FILTER = (1, 1, 5, 5), (1, 1, 3, 3)

CASES: dict[str, tuple[Callable[[], object], type[TinyaccelError], str]] = {
    "conv2d channels": (
        lambda: ta.conv2d(f(1, 3, 5, 5), f(8, 4, 3, 3)),
        ShapeError,
        "conv2d: input has 3 channels but weight (8, 4, 3, 3) with groups=1 expects 4; "
        "pass groups= or change in_channels",
    ),
    "conv2d axes": (
        lambda: ta.conv2d(f(3, 5, 5), f(8, 3, 3, 3)),
        ShapeError,
        "conv2d: input (3, 5, 5) and weight (8, 3, 3, 3); expected (N, C, H, W) and (K, "
        "C/groups, kh, kw)",
    ),
    "conv2d groups": (
        lambda: ta.conv2d(f(1, 2, 5, 5), f(3, 1, 3, 3), groups=2),
        ShapeError,
        "conv2d: 3 output channels don't divide into groups=2; change out_channels or groups",
    ),
    "conv2d empty window": (
        lambda: ta.conv2d(f(*IMAGE), f(1, 1, 0, 3)),
        ShapeError,
        "conv2d: a window of (0, 3) is empty; expected at least 1 each way",
    ),
    "conv2d_weight_grad axes": (
        lambda: apply("conv2d_weight_grad", f(3, 3), f(*IMAGE), kernel=(3, 3), **AT),
        ShapeError,
        "conv2d_weight_grad: gradient (3, 3) and input (1, 1, 5, 5); expected four axes each",
    ),
    "conv2d_input_grad axes": (
        lambda: apply("conv2d_input_grad", f(*IMAGE), f(3, 3), size=(5, 5), **AT),
        ShapeError,
        "conv2d_input_grad: gradient (1, 1, 5, 5) and weight (3, 3); expected four axes each",
    ),
    "conv2d no groups": (
        lambda: ta.conv2d(f(*IMAGE), f(*FILTER), groups=0),
        ShapeError,
        "conv2d: input has 1 channels but weight (1, 1, 3, 3) with groups=0 expects 0; "
        "pass groups= or change in_channels",
    ),
    "conv2d window": (
        lambda: ta.conv2d(f(1, 1, 2, 2), f(*FILTER)),
        ShapeError,
        "conv2d: a window of 3 doesn't fit into 2 + padding 0; make the window smaller or "
        "the padding larger",
    ),
    "conv2d stride": (
        lambda: ta.conv2d(f(*IMAGE), f(*FILTER), stride=0),
        ArgumentError,
        "conv2d: stride=0; expected an int or a pair of ints, each at least 1",
    ),
    "conv2d dilation": (
        lambda: ta.conv2d(f(*IMAGE), f(*FILTER), dilation=(1, 2, 3)),  # type: ignore[arg-type]
        ArgumentError,
        "conv2d: dilation=(1, 2, 3); expected an int or a pair of ints, each at least 1",
    ),
    "conv2d padding": (
        lambda: ta.conv2d(f(*IMAGE), f(*FILTER), padding="full"),
        ArgumentError,
        'conv2d: padding=\'full\'; expected "same", "valid", an int, (height, width) or '
        "((top, bottom), (left, right))",
    ),
    "conv2d negative padding": (
        lambda: ta.conv2d(f(*IMAGE), f(*FILTER), padding=-1),
        ArgumentError,
        "conv2d: padding=-1; expected an int or a pair of ints, each at least 0",
    ),
    "conv2d same, with a stride": (
        lambda: ta.conv2d(f(*IMAGE), f(*FILTER), padding="same", stride=2),
        ArgumentError,
        'conv2d: padding="same" with stride (2, 2); it needs stride 1, or give numbers',
    ),
    "conv2d_input_grad": (
        lambda: apply("conv2d_input_grad", f(1, 1, 9, 9), f(*FILTER), size=(5, 5), **AT),
        ShapeError,
        "conv2d_input_grad: gradient (1, 1, 9, 9) is of no convolution of (1, 1, 5, 5)",
    ),
    "conv2d_weight_grad": (
        lambda: apply("conv2d_weight_grad", f(1, 1, 9, 9), f(*IMAGE), kernel=(3, 3), **AT),
        ShapeError,
        "conv2d_weight_grad: gradient (1, 1, 9, 9) is of no convolution with (1, 1, 3, 3)",
    ),
    "unfold axes": (
        lambda: ta.unfold(f(3, 4), kernel=2),
        ShapeError,
        "unfold: input (3, 4); expected (N, C, H, W)",
    ),
    "unfold window": (
        lambda: ta.unfold(f(1, 1, 2, 2), kernel=3),
        ShapeError,
        "unfold: a window of 3 doesn't fit into 2 + padding 0; make the window smaller or "
        "the padding larger",
    ),
    "fold": (
        lambda: ta.fold(f(1, 1, 2, 2, 3, 3), size=(9, 9)),
        ShapeError,
        "fold: (1, 1, 2, 2, 3, 3) are not the windows of an image of (9, 9)",
    ),
    "max_pool2d axes": (
        lambda: ta.max_pool2d(f(4, 4), kernel=2),
        ShapeError,
        "max_pool2d: input (4, 4); expected (N, C, H, W)",
    ),
    "max_pool2d window": (
        lambda: ta.max_pool2d(f(1, 1, 4, 4), kernel=5),
        ShapeError,
        "max_pool2d: a window of 5 doesn't fit into 4 + padding 0; make the window "
        "smaller or the padding larger",
    ),
    "max_pool2d padding": (
        lambda: ta.max_pool2d(f(1, 1, 4, 4), kernel=2, padding=2),
        ShapeError,
        "max_pool2d: padding (2, 2) for a window of 2; at most half of it, "
        "or a window could lie in the padding alone",
    ),
    "avg_pool2d kernel": (
        lambda: ta.avg_pool2d(f(1, 1, 4, 4), kernel=0),
        ArgumentError,
        "avg_pool2d: kernel=0; expected an int or a pair of ints, each at least 1",
    ),
    "matmul sizes": (
        lambda: ta.matmul(f(2, 3), f(4, 5)),
        ShapeError,
        "matmul: (2, 3) @ (4, 5) doesn't fit; expected (..., n, k) @ (..., k, m) with one k, "
        "or a vector (k,) on either side",
    ),
    "matmul axes": (
        lambda: ta.matmul(f(), f(3, 2)),
        ShapeError,
        "matmul: () @ (3, 2) doesn't fit; expected (..., n, k) @ (..., k, m) with one k, "
        "or a vector (k,) on either side",
    ),
    "linear features": (
        lambda: ta.linear(f(2, 3), f(4, 5)),
        ShapeError,
        "linear: input (2, 3) has 3 features but weight (4, 5) expects (..., in_features) "
        "and (out_features, in_features)",
    ),
    "linear bias": (
        lambda: ta.linear(f(2, 3), f(4, 3), f(3)),
        ShapeError,
        "linear: bias (3,) for weight (4, 3); one per row",
    ),
    "where condition": (
        lambda: ta.where(f(2), f(2), f(2)),
        DTypeError,
        "where: condition is float32[2]; expected bool; compare it first",
    ),
    "where shapes": (
        lambda: ta.where(b(2), f(3), f(2)),
        ShapeError,
        "where: shapes (2,) and (3,) and (2,) don't broadcast; sizes must be equal or 1, "
        "counted from the last axis",
    ),
    "sum axis twice": (
        lambda: ta.sum(f(2, 3), axis=(0, 0)),
        AxisError,
        "sum: axis (0, 0) names an axis twice; name each axis once",
    ),
    "sum of 0-d": (
        lambda: ta.sum(f(), axis=0),
        AxisError,
        "sum: axis 0 given, but a 0-d tensor has no axes; use axis=None",
    ),
    "max of nothing": (
        lambda: ta.max(f(2, 0), axis=1),
        ShapeError,
        "max: float32[2, 0] has nothing along axis (1,); it has no max",
    ),
    "min of nothing": (
        lambda: ta.min(f(0)),
        ShapeError,
        "min: float32[0] has nothing along axis (0,); it has no min",
    ),
    "argmax of two axes": (
        lambda: ta.argmax(f(2, 3)),
        ShapeError,
        "argmax: float32[2, 3] with axis=None; flatten it first, or name one axis",
    ),
    "argmax of nothing": (
        lambda: ta.argmax(f(2, 0), 1),
        ShapeError,
        "argmax: float32[2, 0] has nothing along axis 1; it has no argmax",
    ),
    "reshape size": (
        lambda: ta.reshape(f(2, 3), shape=(4, 2)),
        ShapeError,
        "reshape: (2, 3) has 6 elements, which (4, 2) can't hold",
    ),
    "reshape unknowns": (
        lambda: ta.reshape(f(2, 3), shape=(-1, -1)),
        ShapeError,
        "reshape: (-1, -1) is no shape; at most one size may be -1, none below it",
    ),
    "permute_dims twice": (
        lambda: ta.permute_dims(f(2, 3), axes=(0, 0)),
        ShapeError,
        "permute_dims: axes (0, 0) for float32[2, 3]; name each axis once",
    ),
    "permute_dims range": (
        lambda: ta.permute_dims(f(2, 3), axes=(0, 2)),
        AxisError,
        "permute_dims: axis 2 is out of range for 2 dimensions; expected -2 to 1",
    ),
    "broadcast_to fewer": (
        lambda: ta.broadcast_to(f(2, 3), shape=(3,)),
        ShapeError,
        "broadcast_to: (2, 3) has more than (3,) can take; use reshape",
    ),
    "broadcast_to other": (
        lambda: ta.broadcast_to(f(2, 3), shape=(2, 4)),
        ShapeError,
        "broadcast_to: shapes (2, 3) and (2, 4) don't broadcast; sizes must be equal or "
        "1, counted from the last axis",
    ),
    "pad axes": (
        lambda: ta.pad(f(2, 3), widths=((1, 1),)),
        ArgumentError,
        "pad: widths ((1, 1),) for float32[2, 3]; expected (before, after) for each axis, "
        "none below 0",
    ),
    "pad negative": (
        lambda: ta.pad(f(2), widths=((-1, 1),)),
        ArgumentError,
        "pad: widths ((-1, 1),) for float32[2]; expected (before, after) for each axis, "
        "none below 0",
    ),
    "pad value": (
        lambda: ta.pad(i(2), widths=((1, 1),), value=0.5),
        DTypeError,
        "pad: 0.5 is no integer, but the tensor is int32; use astype",
    ),
    "slice range": (
        lambda: apply("slice", f(3), starts=(0,), stops=(5,), steps=(1,)),
        ShapeError,
        "slice: (0,) to (5,) by (1,) on float32[3]; expected one start, stop and positive "
        "step for each axis, within the axis",
    ),
    "concat sizes": (
        lambda: ta.concat([f(2, 3), f(2, 4)], axis=0),
        ShapeError,
        "concat: (2, 3), (2, 4) along axis 0; the other sizes must be equal",
    ),
    "concat of nothing": (
        lambda: ta.concat([]),
        ArgumentError,
        "concat: got no tensors; expected at least one",
    ),
    "squeeze size": (
        lambda: ta.squeeze(f(2, 1), axis=0),
        ShapeError,
        "squeeze: axis 0 of float32[2, 1]; only axes of size 1 can go",
    ),
    "take_along_axis dtype": (
        lambda: ta.take_along_axis(f(3), f(2), axis=0),
        DTypeError,
        "take_along_axis: indices are float32[2]; expected integers; convert with astype",
    ),
    "take_along_axis shape": (
        lambda: ta.take_along_axis(f(3, 2), i(2, 3), axis=0),
        ShapeError,
        "take_along_axis: indices (2, 3) for (3, 2) along axis 0; they have x's shape, "
        "except along the axis",
    ),
    "scatter_add shape": (
        lambda: ta.scatter_add(f(3), i(2), f(4), axis=0),
        ShapeError,
        "scatter_add: updates (4,) for indices (2,); must be equal",
    ),
    "scatter_add dtype": (
        lambda: ta.scatter_add(b(3), i(2), b(2), axis=0),
        DTypeError,
        "scatter_add: dtype bool; expected a number; convert with astype",
    ),
    "cross_entropy dtype": (
        lambda: ta.cross_entropy(f(2, 3), f(2)),
        DTypeError,
        "cross_entropy: labels are float32[2]; expected integers, a class each, or "
        "probabilities (2, 3)",
    ),
    "cross_entropy shape": (
        lambda: ta.cross_entropy(f(2, 3), i(3)),
        ShapeError,
        "cross_entropy: logits (2, 3) and labels (3,); expected (N, classes, ...) and (N, ...), "
        "N at least 1",
    ),
    "mse": (
        lambda: ta.mse(f(2), f(3)),
        ShapeError,
        "mse: prediction (2,) and target (3,); must be equal",
    ),
    "dropout shape": (
        lambda: ta.dropout(f(2), u(3), p=0.5),
        ShapeError,
        "dropout: bits (3,) for (2,); one word per element",
    ),
    "dropout p": (
        lambda: ta.dropout(f(2), u(2), p=2),
        ArgumentError,
        "dropout: p=2; expected a probability from 0 to 1",
    ),
    "dropout bits": (
        lambda: ta.dropout(f(2), f(2), p=0.5),
        DTypeError,
        "dropout: bits are float32[2]; expected uint32, as random.bits draws them",
    ),
    "batch_norm": (
        lambda: ta.batch_norm(f(2, 3), f(2), f(2), f(2), f(2)),
        ShapeError,
        "batch_norm: input (2, 3) with statistics (2,), (2,), (2,), (2,); expected (N, C, "
        "...) and (C,) each",
    ),
    "lstm_gates": (
        lambda: ta.lstm_gates(f(2, 8), f(2, 3)),
        ShapeError,
        "lstm_gates: gates (2, 8) for c (2, 3); expected (..., 4 H) and (..., H)",
    ),
    "gru_gates": (
        lambda: ta.gru_gates(f(2, 9), f(2, 9), f(3)),
        ShapeError,
        "gru_gates: gates (2, 9) and (2, 9) for state (3,); expected (..., 3 H) twice, and "
        "(..., H)",
    ),
    "random_bits state": (
        lambda: random_bits(f(3), shape=(2,)),
        ShapeError,
        "random_bits: state float32[3]; expected uint32[3], a generator's state",
    ),
    "random_bits shape": (
        lambda: random_bits(u(3), shape=(-1,)),
        ShapeError,
        "random_bits: shape (-1,) has a negative size; sizes are 0 or more",
    ),
    "arange step": (
        lambda: ta.arange(0, 5, 0),
        ArgumentError,
        "arange: step 0 from 0 to 5 never arrives; give another",
    ),
    "arange dtype": (
        lambda: ta.arange(0.5, dtype="int32"),
        DTypeError,
        "arange: dtype int32 for floats; expected a float; use astype",
    ),
    "arange range": (
        lambda: ta.arange(300, dtype="uint8"),
        DTypeError,
        "arange: 299 doesn't fit uint8 (0 to 255); use astype",
    ),
    "clip bound": (
        lambda: ta.clip(f(2), low="a", high=1),  # type: ignore[arg-type]
        DTypeError,
        "clip: got str; expected a tensor, an array or a number",
    ),
    "add number": (
        lambda: ta.add(i(2), 2**40),
        DTypeError,
        "add: 1099511627776 doesn't fit int32 (-2147483648 to 2147483647); use astype",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_own_rules(case: str) -> None:
    """One line says what arrived and what the op expects."""
    call, kind, text = CASES[case]
    with pytest.raises(kind) as error:
        call()
    assert type(error.value) is kind
    assert str(error.value) == text
    assert "\n" not in text
    assert text.startswith(case.split()[0] + ": ")


def test_every_op_with_rules_of_its_own_is_in_the_table() -> None:
    """An op that prepares its attributes has at least one case of its own, or shares one above."""
    shared = {op.name for op in [*BROADCASTING, *WITH_AXIS, *PICKY]}
    own = {case.split()[0] for case in CASES}
    ruled = {op.name for op in ALL if op.prepare is not None and op.kind != "composite"}
    assert ruled <= shared | own
    assert own <= {*OPS}


def test_numbers_out_of_range() -> None:
    """A weak number never wraps around silently."""
    assert np.iinfo(np.int8).max == 127
    with pytest.raises(
        DTypeError, match=r"^add: 128 doesn't fit int8 \(-128 to 127\); use astype$"
    ):
        ta.add(ta.zeros(2, dtype="int8"), 128)
