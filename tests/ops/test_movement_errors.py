"""Movement and arrangement: what is refused, and in which words."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import tinyaccel as ta
from tinyaccel.errors import ArgumentError, AxisError, ShapeError, TinyaccelError
from tinyaccel.tensor import Tensor


def f(*shape: int) -> Tensor:
    return ta.zeros(shape)


BAD: dict[str, tuple[Callable[[], object], type[TinyaccelError], str]] = {
    "pad mode": (
        lambda: ta.pad(f(2), 1, mode="wrap"),  # type: ignore[arg-type]
        ArgumentError,
        'pad: mode=\'wrap\'; expected "constant", "reflect" or "edge"',
    ),
    "pad value": (
        lambda: ta.pad(f(2), 1, mode="edge", value=1),
        ArgumentError,
        'pad: value=1 with mode="edge"; it goes with "constant" alone',
    ),
    "pad four": (
        lambda: ta.pad(f(2), [(1, 2, 3, 4)]),
        ArgumentError,
        "pad: widths [(1, 2, 3, 4)] for float32[2]; expected (before, after) for each axis, none "
        "below 0",
    ),
    "pad half": (
        lambda: ta.pad(f(2), [(0.5, 1)]),  # type: ignore[arg-type]
        ArgumentError,
        "pad: widths [(0.5, 1)] for float32[2]; expected (before, after) for each axis, none "
        "below 0",
    ),
    "pad 0-d": (
        lambda: ta.pad(f(), [(1, 1)], mode="edge"),
        ArgumentError,
        "pad_edge: widths [(1, 1)] for float32[]; expected (before, after) for each axis, none "
        "below 0",
    ),
    "reflect": (
        lambda: ta.pad(f(2, 3), (0, 2), mode="reflect"),
        ShapeError,
        "pad_reflect: (0, 2) around axis 0 of float32[2, 3]; a mirror shows at most 1 elements "
        "there; pad less, or in several steps",
    ),
    "edge": (
        lambda: ta.pad(f(2, 0), 1, mode="edge"),
        ShapeError,
        "pad_edge: (1, 1) around axis 1 of float32[2, 0]; it has no edge; pad with a constant",
    ),
    "tril": (
        lambda: ta.tril(f(3)),
        ShapeError,
        "tril: float32[3]; expected (..., n, m), a matrix or a stack of them",
    ),
    "diagonal": (
        lambda: ta.diagonal(f(3, 3), offset=0.5),  # type: ignore[arg-type]
        ArgumentError,
        "diagonal: offset=0.5; expected an integer",
    ),
    "diag": (
        lambda: ta.diag(f(2, 3, 4)),
        ShapeError,
        "diag: float32[2, 3, 4]; expected a vector or a matrix; see diagonal",
    ),
    "roll shifts": (
        lambda: ta.roll(f(2, 3), (1, 2)),
        ArgumentError,
        "roll: shift=(1, 2) without axis; give an axis for each shift",
    ),
    "roll pairs": (
        lambda: ta.roll(f(2, 3), (1, 2, 3), axis=(0, 1)),
        ArgumentError,
        "roll: shift=(1, 2, 3) and axis=(0, 1); expected as many of each",
    ),
    "roll axis": (
        lambda: ta.roll(f(2, 3), 1, axis=(0, 2)),
        AxisError,
        "roll: axis 2 is out of range for 2 dimensions; expected -2 to 1",
    ),
    "roll shift": (
        lambda: ta.roll(f(2), 0.5),  # type: ignore[arg-type]
        ArgumentError,
        "roll: shift=0.5; expected an integer, or several",
    ),
    "tile": (
        lambda: ta.tile(f(2), -1),
        ArgumentError,
        "tile: repetitions=-1; expected none below 0",
    ),
    "repeat": (
        lambda: ta.repeat(f(2), -1),
        ArgumentError,
        "repeat: repeats=-1; expected none below 0",
    ),
    "repeat counts": (
        lambda: ta.repeat(f(2, 3), (1, 2), axis=1),
        ArgumentError,
        "repeat: 2 repeats for 3 elements along axis 1 of float32[2, 3]; expected one for all, "
        "or one for each",
    ),
    "split": (
        lambda: ta.split(f(6), 4),
        ShapeError,
        "split: 6 elements along axis 0 into 4 equal parts; give a number that divides them, or "
        "the indices where to cut",
    ),
    "split none": (
        lambda: ta.split(f(6), 0),
        ShapeError,
        "split: 6 elements along axis 0 into 0 equal parts; give a number that divides them, or "
        "the indices where to cut",
    ),
    "unstack": (
        lambda: ta.unstack(f(), axis=0),
        AxisError,
        "unstack: axis 0 given, but a 0-d tensor has no axes; use axis=None",
    ),
    "stack shapes": (
        lambda: ta.stack([f(2), f(3)]),
        ShapeError,
        "stack: shapes (2,), (3,); must be equal",
    ),
    "stack nothing": (
        lambda: ta.stack([]),
        ArgumentError,
        "stack: got no tensors; expected at least one",
    ),
    "meshgrid": (
        lambda: ta.meshgrid(f(2), indexing="yx"),  # type: ignore[arg-type]
        ArgumentError,
        'meshgrid: indexing=\'yx\'; expected "xy" or "ij"',
    ),
    "meshgrid axes": (
        lambda: ta.meshgrid(f(2), f(2, 3)),
        ShapeError,
        "meshgrid: float32[2, 3]; expected vectors",
    ),
    "broadcast_arrays": (
        lambda: ta.broadcast_arrays(f(2), f(3)),
        ShapeError,
        "broadcast_arrays: shapes (2,) and (3,) don't broadcast; sizes must be equal or 1, "
        "counted from the last axis",
    ),
    "moveaxis": (
        lambda: ta.moveaxis(f(2, 3), (0, 1), 0),
        ArgumentError,
        "moveaxis: (0, 1) to 0; expected as many of each",
    ),
    "moveaxis twice": (
        lambda: ta.moveaxis(f(2, 3), (0, -2), (0, 1)),
        AxisError,
        "moveaxis: axis (0, -2) names an axis twice; name each axis once",
    ),
    "swapaxes": (
        lambda: ta.swapaxes(f(2, 3), 0, 2),
        AxisError,
        "swapaxes: axis 2 is out of range for 2 dimensions; expected -2 to 1",
    ),
    "matrix_transpose": (
        lambda: ta.matrix_transpose(f(2)),
        ShapeError,
        "matrix_transpose: 1 axes; expected (..., n, m)",
    ),
    "flatten": (
        lambda: ta.flatten(f(2, 3), 1, 0),
        ArgumentError,
        "flatten: axes 1 to 0 of (2, 3); expected start before end",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_refused(case: str) -> None:
    """One line says what arrived and what was expected."""
    call, kind, text = BAD[case]
    with pytest.raises(kind) as error:
        call()
    assert type(error.value) is kind
    assert str(error.value) == text
