"""Convolution and pooling on XLA: every stride, padding, dilation and grouping, both spellings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import tinyaccel as ta
from tinyaccel.tensor import apply

pytest.importorskip("jax")

from tinyaccel_jax import windows  # needs JAX's presence

DEVICE = "xla:cpu"
Array = npt.NDArray[Any]

# (N, C, H, W), (K, C/groups, kh, kw), stride, padding, dilation, groups
CONVOLUTIONS = [
    ((2, 3, 7, 8), (4, 3, 3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    ((2, 3, 8, 7), (4, 3, 3, 2), (2, 3), ((1, 1), (1, 1)), (1, 1), 1),  # the stride leaves a rest
    ((1, 2, 9, 9), (3, 2, 3, 3), (1, 2), ((0, 2), (1, 0)), (2, 3), 1),  # asymmetric, dilated
    ((2, 1, 6, 6), (4, 1, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),  # one channel in
    ((2, 3, 6, 7), (1, 3, 3, 3), (2, 1), ((1, 0), (0, 1)), (1, 2), 1),  # one channel out
    ((2, 4, 6, 6), (4, 1, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 4),  # a filter a channel
    ((2, 3, 8, 8), (6, 1, 3, 2), (2, 2), ((1, 2), (0, 1)), (1, 2), 3),  # two filters a channel
    ((2, 6, 7, 6), (4, 3, 3, 3), (2, 1), ((2, 1), (0, 1)), (1, 1), 2),  # groups
    ((2, 4, 5, 5), (2, 2, 2, 2), (3, 3), ((0, 0), (0, 0)), (1, 1), 2),  # a filter a group, a rest
    ((1, 3, 5, 4), (2, 3, 1, 1), (2, 2), ((0, 0), (0, 0)), (1, 1), 1),  # 1 x 1
    ((0, 1, 5, 5), (2, 1, 3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),  # no images
    ((0, 4, 5, 5), (4, 1, 3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 4),
    ((0, 4, 5, 5), (4, 2, 3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 2),
    ((1, 2, 12, 11), (2, 2, 9, 9), (1, 1), ((1, 1), (2, 0)), (1, 1), 1),  # a large window
    ((1, 1, 12, 11), (2, 1, 9, 9), (1, 1), ((1, 1), (2, 0)), (1, 1), 1),
]  # fmt: skip


@pytest.fixture(params=["cpu", "default"])
def spelling(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Kernels spelled for CPUs, and those for other platforms, here compiled for the CPU."""
    chosen = str(request.param)

    def choose(*arrays: Any, cpu: Callable[..., Any], default: Callable[..., Any]) -> Any:
        return (cpu if chosen == "cpu" else default)(*arrays)

    monkeypatch.setattr(windows, "by_platform", choose)
    return chosen


def kernel(name: str, **attrs: Any) -> Callable[..., Array]:
    """A kernel as a program of its own: one compiled in an earlier test mustn't answer."""
    import jax

    program = jax.jit(lambda *arrays: windows.KERNELS[name](*arrays, **attrs))

    def run(*arrays: Array) -> Array:
        with jax.enable_x64(True):
            return np.asarray(program(*arrays))

    return run


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolution_and_gradients(case: Any, spelling: str) -> None:
    """The three convolutions equal PyTorch's in float64, with exactly the input's size back."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    x_shape, w_shape, stride, padding, dilation, groups = case
    rng = np.random.default_rng(17)
    x, w = rng.normal(size=x_shape), rng.normal(size=w_shape)
    tx, tw = (torch.tensor(a, requires_grad=True) for a in (x, w))
    (top, bottom), (left, right) = padding
    padded = torch.nn.functional.pad(tx, (left, right, top, bottom))
    ty = torch.nn.functional.conv2d(padded, tw, None, stride, 0, dilation, groups)
    g = rng.normal(size=tuple(ty.shape))
    ty.backward(torch.tensor(g))
    at = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
          "precision": "highest"}  # fmt: skip
    pairs = [
        (kernel("conv2d", **at)(x, w), ty.detach().numpy()),
        (kernel("conv2d_input_grad", size=x_shape[2:], **at)(g, w), tx.grad.numpy()),
        (kernel("conv2d_weight_grad", kernel=w_shape[2:], **at)(g, x), tw.grad.numpy()),
    ]
    for got, expected in pairs:
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13 * 81)


@pytest.mark.parametrize(
    ("x_shape", "w_shape"),
    [((64, 1, 28, 28), (16, 1, 3, 3)), ((64, 8, 28, 28), (1, 8, 3, 3)),
     ((1, 1, 150, 150), (1, 1, 144, 144)), ((32, 4, 28, 28), (4, 1, 3, 3))],
)  # fmt: skip
def test_biased_convolutions(x_shape: Any, w_shape: Any) -> None:
    """With one channel on either side too, errors grow no faster than sqrt(k)."""
    x = ta.tensor(np.full(x_shape, 0.1, np.float32), device=DEVICE)
    w = ta.tensor(np.ones(w_shape, np.float32), device=DEVICE)
    groups = x_shape[1] // w_shape[1]
    at = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": groups}
    y = apply("conv2d", x, w, **at)
    g = apply("conv2d_weight_grad", ta.ones(y.shape, device=DEVICE), x, kernel=w_shape[2:], **at)
    for got, k in ((y, np.prod(w_shape[1:])), (g, y.size // y.shape[1])):
        exact = k * float(np.float32(0.1))
        error = np.abs(got.numpy().astype(np.float64) - exact).max() / exact
        assert error < 4 * np.sqrt(k) * 2.0**-23


# Pooling: shape, kernel, stride, padding, dilation
POOLS = [
    ((2, 3, 6, 6), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)),
    ((2, 2, 7, 6), (3, 2), (2, 1), ((1, 1), (0, 1)), (1, 1)),  # overlapping, padded, a rest
    ((1, 2, 8, 9), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    ((1, 1, 9, 9), (2, 3), (2, 1), ((0, 0), (1, 1)), (3, 2)),  # dilated
    ((0, 2, 4, 4), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)),  # no images
    ((1, 2, 9, 10), (9, 9), (1, 1), ((1, 0), (2, 1)), (1, 1)),  # more than 64 places
]


def slow_pool(x: Array, g: Array, case: Any) -> tuple[Array, Array]:
    """Pooling and its gradient by explicit loops, the first maximum or the first NaN winning."""
    _, kernel, stride, padding, dilation = case
    out, grad = np.zeros(g.shape, x.dtype), np.zeros(x.shape, g.dtype)
    for n, c, i, j in np.ndindex(g.shape):
        best, at = None, (0, 0)
        for r, s in np.ndindex(*kernel):
            row = i * stride[0] + r * dilation[0] - padding[0][0]
            column = j * stride[1] + s * dilation[1] - padding[1][0]
            if not (0 <= row < x.shape[2] and 0 <= column < x.shape[3]):
                continue
            value = x[n, c, row, column]
            if best is None or value > best or (value != value and best == best):
                best, at = value, (row, column)
        out[n, c, i, j] = best
        grad[n, c, at[0], at[1]] += g[n, c, i, j]
    return out, grad


@pytest.mark.parametrize("case", POOLS, ids=str)
def test_pooling_takes_the_first_maximum(case: Any, spelling: str) -> None:
    """Pooling and its gradient equal explicit loops, with ties, NaN, -inf and integers."""
    shape, size, stride, padding, dilation = case
    rng = np.random.default_rng(23)
    few: Array = rng.integers(0, 3, shape).astype(np.float32)
    inputs = {
        "ties": few,
        "nan": np.where(rng.random(shape) < 0.2, np.float32(np.nan), few),
        "-inf": np.where(rng.random(shape) < 0.8, np.float32(-np.inf), few),
        "int32": few.astype(np.int32) - 2,
        "uint8": few.astype(np.uint8),
        "bool": few > 1,
    }
    at = {"kernel": size, "stride": stride, "padding": padding, "dilation": dilation}
    pool, pool_grad = kernel("max_pool2d", **at), kernel("max_pool2d_input_grad", **at)
    for name, x in inputs.items():
        y = pool(x)
        g = rng.integers(1, 100, y.shape).astype(np.float32)  # whole numbers: sums are exact
        expected, expected_grad = slow_pool(x, g, case)
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y, expected, err_msg=name)
        np.testing.assert_array_equal(pool_grad(g, x), expected_grad, err_msg=name)


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_platforms_choose_their_spelling(platform: str) -> None:
    """On CPUs a pool and a one-channel convolution are spelled out; elsewhere XLA's own serve."""
    import jax

    def step(x: Any, w: Any) -> tuple[Any, Any]:
        y = windows.conv2d(x, w, groups=1, precision="highest", stride=(1, 1), dilation=(1, 1),
                           padding=((1, 1), (1, 1)))  # fmt: skip
        pool = {"kernel": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
        z = windows.max_pool2d(y, **pool)
        return z, windows.max_pool2d_input_grad(z, y, **pool)

    x, w = np.zeros((2, 1, 4, 4), "f"), np.zeros((3, 1, 3, 3), "f")
    text = jax.jit(step).trace(x, w).lower(lowering_platforms=(platform,)).as_text()
    for own in ("reduce_window", "stablehlo.convolution"):
        assert (own in text) == (platform != "cpu")
    assert ("scatter" in text) == (platform == "cpu")
    assert "HIGHEST" in text


@pytest.mark.parametrize("kernel_size", [(2, 3), (9, 9), (9, 1)])
def test_unfold_and_fold(kernel_size: tuple[int, int]) -> None:
    """Small windows and large ones, which take another way, equal the CPU backend's."""
    rng = np.random.default_rng(29)
    x = rng.integers(-50, 50, (2, 3, 20, 21)).astype(np.float32)  # whole numbers: sums are exact
    results = []
    for device in ("cpu", DEVICE):
        at = {"kernel": kernel_size, "stride": (3, 2), "dilation": (2, 1)}
        u = ta.unfold(ta.tensor(x, device=device), **at)
        folded = ta.fold(u, size=(20, 21), stride=(3, 2), dilation=(2, 1))
        results.append((u.numpy(), folded.numpy()))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
