"""Convolution, pooling and interpolation: what is none of the kit's, and bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.errors import ArgumentError, ShapeError, TinyaccelError


def test_transpose_is_the_adjoint(rng: np.random.Generator) -> None:
    """<conv(x, w), g> = <x, conv_transpose(g, w)>, with padding of each side, exactly."""
    at: dict[str, Any] = {
        "stride": (2, 3), "padding": ((1, 0), (0, 2)), "dilation": (1, 2), "groups": 2,
    }  # fmt: skip
    x, w = (rng.integers(-4, 5, s).astype(np.float64) for s in ((2, 4, 8, 9), (6, 2, 2, 3)))
    y = ta.conv2d(x, w, **at)
    g = rng.integers(-4, 5, y.shape).astype(np.float64)
    rest = tuple(
        (n + sum(p) - d * (k - 1) - 1) % s
        for n, p, d, k, s in zip(
            x.shape[2:], at["padding"], at["dilation"], w.shape[2:], at["stride"], strict=True
        )
    )
    assert rest != (0, 0)
    back = ta.conv_transpose2d(ta.tensor(g), ta.tensor(w), **at, output_padding=rest)
    assert back.shape == x.shape
    assert (y.numpy() * g).sum() == (back.numpy() * x).sum()


def test_fold_is_the_adjoint_of_unfold(rng: np.random.Generator) -> None:
    """<unfold(x), u> = <x, fold(u)>, with padding of each side, exactly."""
    at: dict[str, Any] = {"stride": (2, 1), "padding": ((0, 2), (3, 1)), "dilation": (1, 2)}
    x = rng.integers(-4, 5, (2, 3, 6, 7)).astype(np.float64)
    windows = ta.unfold(x, kernel=(2, 3), **at)
    u = rng.integers(-4, 5, windows.shape).astype(np.float64)
    folded = ta.fold(u, size=(6, 7), **at)
    assert (windows.numpy() * u).sum() == (folded.numpy() * x).sum()


def test_ceil_mode_takes_the_same_kernel() -> None:
    """What ceil_mode adds is padding behind, so a backend's kernel needn't know of it."""
    x = ta.ones((1, 1, 5, 4))
    pool = ta.jit(lambda x: ta.max_pool2d(x, kernel=2, ceil_mode=True))
    pool(x)
    (instr,) = pool.graph().instrs
    assert instr.op == "max_pool2d"
    assert dict(instr.attrs) == {
        "kernel": (2, 2), "stride": (2, 2), "padding": ((0, 1), (0, 0)), "dilation": (1, 1),
    }  # fmt: skip


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_means_of_narrow_floats(dtype: str) -> None:
    """The mean of numbers whose sum overflows float16 is no infinity, and rounded once."""
    x = ta.full((1, 1, 4, 6), 3e4, dtype=dtype)
    for y in (
        ta.avg_pool2d(x, kernel=(4, 3)), ta.avg_pool2d(x, kernel=3, stride=2, ceil_mode=True),
        ta.adaptive_avg_pool2d(x, (3, 2)), ta.interpolate(x, 5, mode="bilinear"),
    ):  # fmt: skip
        assert y.dtype.name == dtype
        assert (y == x[0, 0, 0, 0]).numpy().all()


def test_window_of_padding_alone(device: str) -> None:
    """A dilated window may miss the image; its gradient goes nowhere (PyTorch: to another row)."""
    x = ta.tensor(np.arange(5.0, dtype=np.float32).reshape(1, 1, 5, 1), device=device)
    x.requires_grad = True
    y = ta.max_pool2d(x, kernel=(1, 2), stride=1, padding=(0, 1), dilation=2)
    assert y.tolist() == [[[[-np.inf]] * 5]]
    y.backward(ta.ones(y.shape, device=device))
    assert x.grad is not None
    assert x.grad.tolist() == [[[[0.0]] * 5]]


def f(*shape: int) -> Any:
    return ta.ones(shape)


WRONG: dict[str, tuple[Callable[[], object], type[TinyaccelError], str]] = {
    "conv1d axes": (
        lambda: ta.conv1d(f(2, 3), f(2, 2, 3)),
        ShapeError,
        "conv1d: input (2, 3) and weight (2, 2, 3); expected (N, C, L) and (K, C/groups, k)",
    ),
    "conv1d channels": (
        lambda: ta.conv1d(f(1, 3, 5), f(8, 4, 3)),
        ShapeError,
        "conv1d: input has 3 channels but weight (8, 4, 3) with groups=1 expects 4; pass groups= "
        "or change in_channels",
    ),
    "conv1d stride": (
        lambda: ta.conv1d(f(1, 1, 5), f(1, 1, 3), stride=(1, 2)),  # type: ignore[arg-type]
        ArgumentError,
        "conv1d: stride=(1, 2); expected an int of at least 1",
    ),
    "conv1d padding": (
        lambda: ta.conv1d(f(1, 1, 5), f(1, 1, 3), padding="full"),
        ArgumentError,
        'conv1d: padding=\'full\'; expected "same", "valid", an int or (before, behind)',
    ),
    "conv1d window": (
        lambda: ta.conv1d(f(1, 1, 2), f(1, 1, 3)),
        ShapeError,
        "conv1d: a window of 3 doesn't fit into 2 + padding 0; make the window smaller or the "
        "padding larger",
    ),
    "conv_transpose2d axes": (
        lambda: ta.conv_transpose2d(f(1, 5, 5), f(1, 1, 3, 3)),
        ShapeError,
        "conv_transpose2d: input (1, 5, 5) and weight (1, 1, 3, 3); expected (N, C, H, W) and "
        "(C, K/groups, kh, kw)",
    ),
    "conv_transpose2d channels": (
        lambda: ta.conv_transpose2d(f(1, 3, 5, 5), f(2, 1, 3, 3)),
        ShapeError,
        "conv_transpose2d: input has 3 channels, weight (2, 1, 3, 3), groups=1; expected weight "
        "(in_channels, out_channels/groups, ...), in_channels a multiple of groups",
    ),
    "conv_transpose2d padding": (
        lambda: ta.conv_transpose2d(f(1, 1, 5, 5), f(1, 1, 3, 3), padding="same"),  # type: ignore[arg-type]
        ArgumentError,
        "conv_transpose2d: padding='same'; expected numbers",
    ),
    "conv_transpose2d output_padding": (
        lambda: ta.conv_transpose2d(f(1, 1, 5, 5), f(1, 1, 3, 3), stride=2, output_padding=2),
        ArgumentError,
        "conv_transpose2d: output_padding 2 with stride 2 and dilation 1; expected less than one "
        "of them",
    ),
    "conv_transpose1d leaves nothing": (
        lambda: ta.conv_transpose1d(f(1, 1, 2), f(1, 1, 2), padding=2),
        ShapeError,
        "conv_transpose1d: a window of 2 at 2 places of stride 1, padding (2, 2) taken off, "
        "leaves -1; expected at least 1 of each",
    ),
    "max_pool1d axes": (
        lambda: ta.max_pool1d(f(4, 4), kernel=2),
        ShapeError,
        "max_pool1d: input (4, 4); expected (N, C, L)",
    ),
    "avg_pool1d padding": (
        lambda: ta.avg_pool1d(f(1, 1, 4), kernel=2, padding=2),
        ShapeError,
        "avg_pool1d: padding (2, 2) for a window of 2; at most half of it, or a window could lie "
        "in the padding alone",
    ),
    "avg_pool2d, padded behind": (
        lambda: ta.avg_pool2d(f(1, 1, 4, 4), kernel=2, padding=((0, 2), (0, 0))),
        ShapeError,
        "avg_pool2d: padding (0, 2) for a window of 2; at most half of it, or a window could lie "
        "in the padding alone",
    ),
    "max_pool2d, ceil_mode, window": (
        lambda: ta.max_pool2d(f(1, 1, 4, 4), kernel=9, stride=2, ceil_mode=True),
        ShapeError,
        "max_pool2d: a window of 9 doesn't fit into 4 + padding 0; make the window smaller or the "
        "padding larger",
    ),
    "adaptive_avg_pool2d axes": (
        lambda: ta.adaptive_avg_pool2d(f(4, 4), 1),
        ShapeError,
        "adaptive_avg_pool2d: input (4, 4); expected (N, C, H, W), H and W at least 1",
    ),
    "adaptive_max_pool2d size": (
        lambda: ta.adaptive_max_pool2d(f(1, 1, 4, 4), (2, 0)),
        ArgumentError,
        "adaptive_max_pool2d: size=(2, 0); expected an int or a pair of ints, each at least 1",
    ),
    "adaptive_avg_pool1d size": (
        lambda: ta.adaptive_avg_pool1d(f(1, 1, 4), 0),
        ArgumentError,
        "adaptive_avg_pool1d: size=0; expected an int of at least 1",
    ),
    "fold of other windows": (
        lambda: ta.fold(f(1, 1, 2, 2, 3, 3), size=(9, 9), padding=1),
        ShapeError,
        "fold: (1, 1, 2, 2, 3, 3) are not the windows of an image of (11, 11)",
    ),
    "interpolate axes": (
        lambda: ta.interpolate(f(1, 3, 4), 2),
        ShapeError,
        "interpolate: input (1, 3, 4); expected (N, C, H, W), H and W at least 1",
    ),
    "interpolate mode": (
        lambda: ta.interpolate(f(1, 1, 3, 4), 2, mode="cubic"),
        ArgumentError,
        "interpolate: mode='cubic'; expected one of nearest, bilinear",
    ),
    "interpolate both": (
        lambda: ta.interpolate(f(1, 1, 3, 4), 2, 2.0),
        ArgumentError,
        "interpolate: got both of size and scale_factor; expected one",
    ),
    "interpolate neither": (
        lambda: ta.interpolate(f(1, 1, 3, 4)),
        ArgumentError,
        "interpolate: got neither of size and scale_factor; expected one",
    ),
    "interpolate scale": (
        lambda: ta.interpolate(f(1, 1, 3, 4), scale_factor=(1, -2)),
        ArgumentError,
        "interpolate: scale_factor=(1, -2); expected a number above 0, or one for rows and one for "
        "columns",
    ),
    "interpolate to nothing": (
        lambda: ta.interpolate(f(1, 1, 3, 4), scale_factor=0.1),
        ShapeError,
        "interpolate: scale_factor=0.1 leaves nothing of (3, 4); expected at least one pixel, "
        "scale by more",
    ),
    "interpolate corners": (
        lambda: ta.interpolate(f(1, 1, 3, 4), 2, align_corners=True),
        ArgumentError,
        "interpolate: align_corners with mode='nearest'; leave it out",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input(case: str) -> None:
    """One line says what arrived and what was expected."""
    call, kind, text = WRONG[case]
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text
