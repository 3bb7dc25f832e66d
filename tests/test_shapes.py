"""Tests of tinyaccel.shapes, against what NumPy makes of the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyaccel import shapes
from tinyaccel.errors import ArgumentError, AxisError, ShapeError

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


def test_size() -> None:
    """A 0-d shape has one element, a shape with a 0 none."""
    assert shapes.size(()) == 1
    assert shapes.size((2, 3)) == 6
    assert shapes.size((2, 0, 3)) == 0


def test_as_shape() -> None:
    """One number is a shape of one axis; NumPy integers become Python's."""
    assert shapes.as_shape(3, "zeros") == (3,)
    assert shapes.as_shape(np.array([2, 3]).tolist(), "zeros") == (2, 3)
    assert all(type(n) is int for n in shapes.as_shape(np.array([2, 3]), "zeros"))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"zeros: shape \(2, -1\) has a negative size"):
        shapes.as_shape((2, -1), "zeros")
    with pytest.raises(TypeError):
        shapes.as_shape((2.5,), "zeros")  # type: ignore[arg-type]


def test_normalize_axis() -> None:
    """Axes count from either end; one out of range says what would be in it."""
    assert [shapes.normalize_axis(a, 3, "sum") for a in (-3, -1, 0, 2)] == [0, 2, 0, 2]
    with pytest.raises(AxisError, match=r"sum: axis 3 is out of range for 3 .*expected -3 to 2"):
        shapes.normalize_axis(3, 3, "sum")
    with pytest.raises(AxisError, match="sum: axis -4 is out of range"):
        shapes.normalize_axis(-4, 3, "sum")
    with pytest.raises(AxisError, match="sum: axis 0 given, but a 0-d tensor has no axes"):
        shapes.normalize_axis(0, 0, "sum")


def test_normalize_axes() -> None:
    """None is every axis, several are sorted, one named twice (in two ways) raises."""
    assert shapes.normalize_axes(None, 3, "sum") == (0, 1, 2)
    assert shapes.normalize_axes((-1, 0), 3, "sum") == (0, 2)
    assert shapes.normalize_axes(1, 3, "sum") == (1,)
    assert shapes.normalize_axes((), 3, "sum") == ()
    with pytest.raises(AxisError, match=r"sum: axis \(0, -3\) names an axis twice"):
        shapes.normalize_axes((0, -3), 3, "sum")


@given(st.lists(SHAPES, min_size=1, max_size=3))
def test_broadcast(drawn: list[tuple[int, ...]]) -> None:
    """Whatever NumPy broadcasts, so do we, to the same shape; whatever it refuses, we refuse."""
    try:
        expected = np.broadcast_shapes(*drawn)
    except ValueError:
        with pytest.raises(ShapeError, match=r"^add: shapes .* don't broadcast"):
            shapes.broadcast("add", *drawn)
    else:
        assert shapes.broadcast("add", *drawn) == expected


@given(SHAPES, st.data(), st.booleans())
def test_reduce(shape: tuple[int, ...], data: st.DataObject, keepdims: bool) -> None:
    """What a sum leaves of a shape, as in NumPy."""
    axes = tuple(i for i in range(len(shape)) if data.draw(st.booleans()))
    expected = np.zeros(shape).sum(axis=axes, keepdims=keepdims).shape
    assert shapes.reduce(shape, axes, keepdims) == expected


@given(SHAPES, st.lists(st.integers(-1, 4), max_size=4))
def test_reshape(shape: tuple[int, ...], new: list[int]) -> None:
    """-1 is worked out as NumPy does, and what NumPy refuses we refuse."""
    try:
        expected = np.zeros(shape).reshape(new).shape
    except ValueError:
        with pytest.raises(ShapeError, match=r"^reshape: "):
            shapes.reshape(shape, new)
    else:
        assert shapes.reshape(shape, new) == expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((2, 3), (3, 4), (2, 4)),
        ((5, 1, 2, 3), (6, 3, 4), (5, 6, 2, 4)),
        ((0, 3), (3, 2), (0, 2)),
        ((2, 0), (0, 2), (2, 2)),
        ((3,), (3,), ()),
        ((3,), (5, 3, 2), (5, 2)),
        ((5, 2, 3), (3,), (5, 2)),
    ],
)
def test_matmul(a: shapes.Shape, b: shapes.Shape, expected: shapes.Shape) -> None:
    """Leading axes broadcast, the inner ones must meet; vectors and empty ones are fine."""
    assert shapes.matmul(a, b) == expected == (np.zeros(a) @ np.zeros(b)).shape


@pytest.mark.parametrize(("a", "b"), [((2, 3), (4, 3)), ((), (2,)), ((2, 3), ()), ((2,), (3, 2))])
def test_matmul_refuses(a: shapes.Shape, b: shapes.Shape) -> None:
    """Inner sizes that differ and numbers raise; both shapes are shown."""
    with pytest.raises(ShapeError) as caught:
        shapes.matmul(a, b)
    assert f"matmul: {a} @ {b} doesn't fit" in str(caught.value)


def test_pair() -> None:
    """A setting is one int for both axes, or a pair; anything else is shown in the message."""
    assert shapes.pair(2, "stride", "conv2d") == (2, 2)
    assert shapes.pair((1, 2), "stride", "conv2d") == (1, 2)
    for wrong in (0, (1, 0), (1, 2, 3), (1.5, 1), -1):
        with pytest.raises(ArgumentError, match=r"conv2d: stride=.*each at least 1"):
            shapes.pair(wrong, "stride", "conv2d")  # type: ignore[arg-type]


def test_padding2d() -> None:
    """All spellings of padding come to ((top, bottom), (left, right))."""

    def padding(value: Any, kernel: tuple[int, int] = (3, 4)) -> shapes.Padding:
        return shapes.padding2d(value, kernel, (1, 1), (1, 2), "conv2d")

    assert padding(1) == ((1, 1), (1, 1))
    assert padding((1, 2)) == ((1, 1), (2, 2))
    assert padding(((1, 2), (3, 4))) == ((1, 2), (3, 4))
    assert padding("valid") == ((0, 0), (0, 0))
    assert padding("same") == ((1, 1), (3, 3))
    assert padding("same", (2, 2)) == ((0, 1), (1, 1))  # the odd one behind, as PyTorch


def test_padding2d_refuses() -> None:
    """ "same" with a stride, an unknown word, three axes and negative numbers raise."""
    with pytest.raises(ArgumentError, match=r'padding="same" with stride \(2, 1\)'):
        shapes.padding2d("same", (3, 3), (2, 1), (1, 1), "conv2d")
    with pytest.raises(ArgumentError, match='padding=\'full\'; expected "same", "valid"'):
        shapes.padding2d("full", (3, 3), (1, 1), (1, 1), "conv2d")
    with pytest.raises(ArgumentError, match="one entry for each of 2 axes"):
        shapes.padding2d((1, 1, 1), (3, 3), (1, 1), (1, 1), "conv2d")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="each at least 0"):
        shapes.padding2d(-1, (3, 3), (1, 1), (1, 1), "conv2d")


@given(n=st.integers(1, 9), k=st.integers(1, 4), s=st.integers(1, 3), p=st.integers(0, 3),
       d=st.integers(1, 3))  # fmt: skip
def test_window2d(n: int, k: int, s: int, p: int, d: int) -> None:
    """The number of places is what counting them gives."""
    starts = range(0, n + 2 * p - d * (k - 1), s)

    def places() -> tuple[int, int]:
        return shapes.window2d((n, 1), (k, 1), (s, 1), ((p, p), (0, 0)), (d, 1), "conv2d")

    if len(starts):
        assert places() == (len(starts), 1)
    else:
        with pytest.raises(ShapeError, match=r"conv2d: a window of \d+ doesn't fit into"):
            places()


def test_conv2d() -> None:
    """The shape of a convolution with stride, padding, dilation and groups."""
    at: Any = {"stride": (2, 1), "padding": ((1, 1), (0, 2)), "dilation": (1, 2)}
    assert shapes.conv2d((2, 6, 9, 8), (4, 3, 3, 3), groups=2, **at) == (2, 4, 5, 6)


CONV = [
    ((2, 3, 8), (4, 3, 3, 3), 1, "expected (N, C, H, W) and (K, C/groups, kh, kw)"),
    ((2, 3, 8, 8), (8, 4, 3, 3), 1,
     "conv2d: input has 3 channels but weight (8, 4, 3, 3) with groups=1 expects 4; "
     "pass groups= or change in_channels"),
    ((2, 4, 8, 8), (3, 2, 3, 3), 2, "3 output channels don't divide into groups=2"),
    ((2, 4, 2, 2), (3, 4, 3, 3), 1, "a window of 3 doesn't fit into 2 + padding 0"),
    ((2, 4, 8, 8), (3, 4, 3, 3), 0, "groups=0"),
]  # fmt: skip


@pytest.mark.parametrize(("x", "weight", "groups", "text"), CONV)
def test_conv2d_refuses(x: Any, weight: Any, groups: int, text: str) -> None:
    """Each way in which a convolution can't fit has its own line."""
    with pytest.raises(ShapeError) as caught:
        shapes.conv2d(x, weight, (1, 1), ((0, 0), (0, 0)), (1, 1), groups)
    assert text in str(caught.value)
