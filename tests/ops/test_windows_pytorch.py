"""Convolution, pooling, unfold and interpolation: against PyTorch over a wide, seeded sample."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.errors import TinyaccelError

torch: Any = pytest.importorskip("torch")
F: Any = torch.nn.functional

Call = Callable[..., Any]
Sample = Callable[[random.Random], tuple[list[tuple[int, ...]], Call, Call]]


def _pair(draw: random.Random, low: int, high: int) -> tuple[int, int]:
    return draw.randint(low, high), draw.randint(low, high)


def _image(draw: random.Random, channels: int = 2) -> tuple[int, ...]:
    return (draw.randint(1, 2), channels, *_pair(draw, 1, 8))


# Each draws shapes, a call of ours, and PyTorch's of the same.


def _conv(draw: random.Random, ndim: int, transposed: bool) -> Any:
    """A convolution, or its transpose, of 1 or 2 axes; one in a few doesn't fit."""
    groups = draw.choice([1, 1, 2, 3])
    c, k = groups * draw.randint(1, 2), groups * draw.randint(1, 2)
    kernel, stride, dilation = _pair(draw, 1, 3), _pair(draw, 1, 3), _pair(draw, 1, 2)
    padding = _pair(draw, 0, 2)
    more = (draw.randint(0, stride[0]), draw.randint(0, max(stride[1], dilation[1]) - 1))
    if not transposed:
        more = (0, 0)
    shapes = [_image(draw, c)[: ndim + 2], (c, k // groups, *kernel[:ndim])]
    if not transposed:
        shapes[1] = (k, c // groups, *kernel[:ndim])
    at: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
    if transposed:
        at["output_padding"] = more
    theirs = {**at, "groups": groups}
    if ndim == 1:
        at = {name: value[0] for name, value in at.items()}
        theirs = {**at, "groups": groups}
    name = ("conv_transpose" if transposed else "conv") + f"{ndim}d"

    def ours(x: Any, w: Any) -> Any:
        return getattr(ta, name)(x, w, **at, groups=groups)

    return shapes, ours, lambda x, w: getattr(F, name)(x, w, **theirs)


def _pool(draw: random.Random, ndim: int, kind: str) -> Any:
    kernel, stride = _pair(draw, 1, 4), _pair(draw, 1, 4)
    padding = (draw.randint(0, kernel[0] // 2), draw.randint(0, kernel[1] // 2))
    if draw.random() < 0.1:
        padding = _pair(draw, 0, 2)  # perhaps too large
    ceil_mode, counted, dilation = draw.random() < 0.6, draw.random() < 0.5, _pair(draw, 1, 2)
    at: dict[str, Any] = {"kernel": kernel, "stride": stride, "padding": padding}
    if draw.random() < 0.2:
        at["stride"] = None
    if kind == "max":
        at["dilation"] = dilation
    if ndim == 1:
        at = {name: value and value[0] for name, value in at.items()}
    at["ceil_mode"] = ceil_mode
    if kind == "avg":
        at["count_include_pad"] = counted
    name = f"{kind}_pool{ndim}d"
    theirs = {"kernel_size": at["kernel"]} | {n: v for n, v in at.items() if n != "kernel"}
    shape = _image(draw)[: ndim + 2]
    return [shape], lambda x: getattr(ta, name)(x, **at), lambda x: getattr(F, name)(x, **theirs)


def _adaptive(draw: random.Random, ndim: int, kind: str = "avg") -> Any:
    size: Any = _pair(draw, 1, 9) if ndim == 2 else draw.randint(1, 9)
    name = f"adaptive_{kind}_pool{ndim}d"
    shape = _image(draw)[: ndim + 2]
    return [shape], lambda x: getattr(ta, name)(x, size), lambda x: getattr(F, name)(x, size)


def _interpolate(draw: random.Random, mode: str) -> Any:
    at: dict[str, Any] = {"mode": mode}
    if mode == "bilinear":
        at["align_corners"] = draw.random() < 0.4
    if draw.random() < 0.5:
        at["size"] = _pair(draw, 1, 12)
    else:
        scales = [0.3, 0.5, 0.77, 1.0, 1.25, 1.7, 2.0, 3.0]
        at["scale_factor"] = (draw.choice(scales), draw.choice(scales))
    return [_image(draw)], lambda x: ta.interpolate(x, **at), lambda x: F.interpolate(x, **at)


def _unfold(draw: random.Random, folded: bool) -> Any:
    kernel, stride, dilation = _pair(draw, 1, 3), _pair(draw, 1, 3), _pair(draw, 1, 2)
    padding, shape = _pair(draw, 0, 2), _image(draw)
    at = {"stride": stride, "padding": padding, "dilation": dilation}

    def flat(u: Any) -> Any:
        return u.reshape(u.shape[0], u.shape[1] * kernel[0] * kernel[1], -1)

    if not folded:
        return (
            [shape], lambda x: flat(ta.unfold(x, kernel=kernel, **at)),
            lambda x: F.unfold(x, kernel, **at),
        )  # fmt: skip
    places = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(shape[2:], padding, dilation, kernel, stride, strict=True)
    ]
    places = [max(n, 1) for n in places]
    return (
        [(*shape[:2], *kernel, *places)], lambda u: ta.fold(u, size=shape[2:], **at),  # type: ignore[arg-type]
        lambda u: F.fold(flat(u), shape[2:], kernel, **at),
    )  # fmt: skip


SAMPLES: dict[str, Sample] = {
    "conv1d": lambda draw: _conv(draw, 1, transposed=False),
    "conv2d": lambda draw: _conv(draw, 2, transposed=False),
    "conv_transpose1d": lambda draw: _conv(draw, 1, transposed=True),
    "conv_transpose2d": lambda draw: _conv(draw, 2, transposed=True),
    "max_pool1d": lambda draw: _pool(draw, 1, "max"),
    "max_pool2d": lambda draw: _pool(draw, 2, "max"),
    "avg_pool1d": lambda draw: _pool(draw, 1, "avg"),
    "avg_pool2d": lambda draw: _pool(draw, 2, "avg"),
    "adaptive_avg_pool1d": lambda draw: _adaptive(draw, 1),
    "adaptive_avg_pool2d": lambda draw: _adaptive(draw, 2),
    "adaptive_max_pool2d": lambda draw: _adaptive(draw, 2, "max"),
    "nearest": lambda draw: _interpolate(draw, "nearest"),
    "bilinear": lambda draw: _interpolate(draw, "bilinear"),
    "unfold": lambda draw: _unfold(draw, folded=False),
    "fold": lambda draw: _unfold(draw, folded=True),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_against_pytorch(name: str, rng: np.random.Generator) -> None:
    """Sixty random calls: results and gradients are PyTorch's, and so is what isn't possible."""
    draw, compared = random.Random(f"windows {name}"), 0  # noqa: S311  # no secret
    for number in range(60):
        shapes, ours, theirs = SAMPLES[name](draw)
        # Few different values, so that maxima tie.
        arrays = [rng.integers(-3, 4, s).astype(np.float64) for s in shapes]
        others = [torch.tensor(a, requires_grad=True) for a in arrays]
        try:
            expected = theirs(*others)
        except (RuntimeError, ValueError) as error:
            with pytest.raises(TinyaccelError):
                raise_for(error, ours, arrays)
            continue
        mine = [ta.tensor(a, requires_grad=True) for a in arrays]
        got = ours(*mine)
        about = f"{name} number {number} of {shapes}"
        wanted = expected.detach().numpy()
        np.testing.assert_allclose(got.numpy(), wanted, atol=1e-11, err_msg=about)
        if np.isinf(wanted).any():  # a window of padding alone: see below
            continue
        g = rng.normal(size=wanted.shape)
        expected.backward(torch.tensor(g))
        got.backward(ta.tensor(g))
        for x, other in zip(mine, others, strict=True):
            assert x.grad is not None
            np.testing.assert_allclose(x.grad.numpy(), other.grad, atol=1e-11, err_msg=about)
        compared += 1
    assert compared > 20


def raise_for(error: Exception, call: Call, arrays: list[Any]) -> None:
    """Run what PyTorch refuses; say what it said, if it runs."""
    y = call(*map(ta.tensor, arrays))
    raise AssertionError(f"gave {y.spec}, where PyTorch says: {error}")


# Where we differ from PyTorch, and why; see also test_windows.py: test_window_of_padding_alone


def test_nearest_is_exact() -> None:
    """Pixel i * n / out is worked out in whole numbers; PyTorch rounds n / out to float32 first."""
    n, out = 2, 82
    x: Any = np.arange(float(n)).reshape(1, 1, 1, n)
    got = ta.interpolate(x, (1, out)).numpy().ravel()
    assert got.tolist() == [i * n // out for i in range(out)]
    theirs = F.interpolate(torch.tensor(x), size=(1, out)).numpy().ravel()
    assert np.abs(got - theirs).max() == 1


# What PyTorch's functions don't take


def test_padding_of_each_side(rng: np.random.Generator) -> None:
    """Asymmetric padding is F.pad's; "same" is PyTorch's, with its odd row behind."""
    x: Any = rng.normal(size=(1, 2, 6, 7))
    w: Any = rng.normal(size=(3, 2, 4, 3))
    padded = F.pad(torch.tensor(x), (0, 3, 2, 1))
    expected = F.conv2d(padded, torch.tensor(w), stride=(1, 2))
    got = ta.conv2d(x, w, stride=(1, 2), padding=((2, 1), (0, 3)))
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-12)
    for dilation in ((1, 1), (2, 1), (1, 3)):
        down = w[:, :, :3]  # of even sizes PyTorch warns
        expected = F.conv2d(torch.tensor(x), torch.tensor(down), padding="same", dilation=dilation)
        got = ta.conv2d(x, down, padding="same", dilation=dilation)
        np.testing.assert_allclose(got.numpy(), expected, atol=1e-12)
        signal, kernel = x[:, :, 0], w[:, :, 0]
        same: dict[str, Any] = {"padding": "same", "dilation": dilation[1]}
        expected = F.conv1d(torch.tensor(signal), torch.tensor(kernel), **same)
        np.testing.assert_allclose(ta.conv1d(signal, kernel, **same), expected, atol=1e-12)
    assert ta.conv1d(x[:, :, 0], w[:, :, 0], padding="valid").shape == (1, 3, 5)
    behind = ta.conv2d(x, w, padding="same")
    assert behind.shape == (1, 3, 6, 7)
    expected = F.conv2d(F.pad(torch.tensor(x), (1, 1, 1, 2)), torch.tensor(w))
    np.testing.assert_allclose(behind.numpy(), expected, atol=1e-12)
    lowest = F.pad(torch.tensor(x), (1, 0, 0, 1), value=-np.inf)
    expected = F.max_pool2d(lowest, 2, 2, ceil_mode=False)
    got = ta.max_pool2d(x, kernel=2, padding=((0, 1), (1, 0)))
    np.testing.assert_array_equal(got.numpy(), expected)
