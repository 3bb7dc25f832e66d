"""The references are right: held against SciPy, NumPy and PyTorch, which none of ours uses."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
import scipy.signal
import scipy.special

import tinyaccel as ta
from tinyaccel.op import OPS
from tinyaccel.testing.layouts import layouts
from tinyaccel.testing.references import reference
from tinyaccel.testing.references.random import threefry
from tinyaccel.testing.strategies import make_case, resolve_reference

SCIPY: dict[str, Any] = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sqrt": np.sqrt,
    "sin": np.sin, "cos": np.cos, "tanh": np.tanh, "erf": scipy.special.erf, "neg": np.negative,
    "abs": np.abs, "floor": np.floor, "sigmoid": scipy.special.expit, "square": np.square,
    "sign": np.sign, "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide,
    "pow": np.power, "maximum": np.maximum, "minimum": np.minimum, "remainder": np.remainder,
    "equal": np.equal, "less": np.less, "less_equal": np.less_equal, "not_equal": np.not_equal,
}  # fmt: skip


@pytest.mark.parametrize("name", SCIPY)
@pytest.mark.parametrize("fill", ["uniform", "spread", "special"])
def test_elementwise(name: str, fill: str) -> None:
    """Functions of numbers are NumPy's and SciPy's, in float64, special values included."""
    op = OPS[name]
    if fill == "special" and op.kind == "composite" and name not in ("sign", "not_equal"):
        fill = "uniform"
    case = make_case(op, ta.float64, layouts(op)[3], fill, 5)
    with np.errstate(all="ignore"):
        expected = SCIPY[name](*case.arrays)
    got = resolve_reference(op)(*case.arrays)
    np.testing.assert_allclose(got.astype(expected.dtype), expected, rtol=4e-15, atol=1e-300)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "bitwise_and", "bitwise_or", "bitwise_xor"])
@pytest.mark.parametrize("dtype", [ta.int8, ta.uint8, ta.int32, ta.uint32, ta.int64], ids=str)
def test_integers_wrap(name: str, dtype: ta.DType) -> None:
    """Integer arithmetic wraps around as the machine's does."""
    case = make_case(OPS[name], dtype, layouts(OPS[name])[3], "special", 7)
    numpy = {"add": np.add, "sub": np.subtract, "mul": np.multiply}.get(name)
    with np.errstate(over="ignore"):
        expected = (numpy or getattr(np, name))(*case.arrays)
    got = resolve_reference(OPS[name])(*case.arrays)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


def test_elementwise_has_more_than_float64() -> None:
    """A reference isn't rounded to float64, where the machine has more."""
    x = np.array([1.0])
    if np.finfo(np.longdouble).eps < 1e-18:
        assert reference("exp")(x)[0] != np.exp(1.0)
        assert abs(reference("exp")(x)[0] - np.longdouble("2.718281828459045235360287")) < 1e-18


@pytest.mark.parametrize("axis", [(0,), (1,), (0, 2), (0, 1, 2), ()])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions(axis: tuple[int, ...], keepdims: bool, rng: np.random.Generator) -> None:
    """Reductions are NumPy's, up to its rounding."""
    x = rng.normal(size=(3, 4, 5))
    at: dict[str, Any] = {"axis": axis, "keepdims": keepdims}
    for name, numpy in (("sum", np.sum), ("max", np.max), ("min", np.min), ("mean", np.mean)):
        expected = numpy(x, **at)
        np.testing.assert_allclose(reference(name)(x, **at).astype(float), expected, rtol=1e-13,
                                   atol=1e-13)  # fmt: skip
    np.testing.assert_allclose(
        reference("var")(x, correction=0, **at).astype(float),
        np.var(x, **at),
        rtol=1e-12,
        atol=1e-15,
    )


def test_sums_are_exact() -> None:
    """A sum has no error beyond one rounding, in float64 too."""
    x = np.array([1e16, 1.0, -1e16, 2.0**-40])
    at: dict[str, Any] = {"axis": (0,), "keepdims": False}
    assert float(reference("sum")(x, **at)) == 1.0 + 2.0**-40
    a, b = np.array([[1e8 + 1, -1e8]]), np.array([[1e8 - 1], [1e8]])
    assert float(reference("matmul")(a, b, precision="highest").item()) == -1.0
    assert math.isnan(reference("sum")(np.array([np.inf, -np.inf]), **at))
    assert reference("sum")(np.array([np.inf, 1.0]), **at) == np.inf


def test_argmax() -> None:
    """The first of equals, the first NaN; otherwise NumPy's."""
    x = np.array([[1.0, 3.0, 3.0], [np.nan, 5.0, np.nan]])
    assert reference("argmax")(x, axis=1, keepdims=False).tolist() == [1, 0]
    assert reference("argmax")(x[:, 1:], axis=1, keepdims=True).tolist() == [[0], [1]]


MOVES: dict[str, Any] = {
    "reshape": lambda x, shape: x.reshape(shape),
    "permute_dims": lambda x, axes: x.transpose(axes),
    "broadcast_to": lambda x, shape: np.broadcast_to(x, shape),
    "flip": lambda x, axis: np.flip(x, axis),
    "slice": lambda x, starts, stops, steps: x[tuple(map(slice, starts, stops, steps))],
    "concat": lambda *xs, axis: np.concatenate(xs, axis),
    "take_along_axis": lambda x, i, axis: np.take_along_axis(x, i, axis),
    "matmul": lambda a, b, precision: a @ b,
    "linear": lambda x, w, b=0: x @ w.T + b,
    "where": np.where,
}


@pytest.mark.parametrize("name", MOVES)
def test_arrays(name: str) -> None:
    """Movement, indexing and products are NumPy's, for every layout."""
    op = OPS[name]
    for i, layout in enumerate(layouts(op)):
        case = make_case(op, ta.float64, layout, "uniform", i)
        attrs = op.prepare(*case.specs, **case.attrs) if op.prepare else {}
        expected = MOVES[name](*case.arrays, **attrs)
        got = resolve_reference(op)(*case.arrays, **attrs)
        assert got.shape == expected.shape
        np.testing.assert_allclose(got.astype(float), expected, rtol=1e-12, atol=1e-12)


def test_pad_and_scatter() -> None:
    """Padding between, before and after; updates that meet in one place."""
    x = np.array([1.0, 2.0])
    assert reference("pad")(x, widths=((1, 0, 2),), value=7).tolist() == [7, 1, 7, 7, 2]
    out = reference("scatter_add")(x, np.array([1, -1, 0]), np.array([10.0, 20.0, 30.0]), axis=0)
    assert out.tolist() == [31, 32]


def test_conv2d_against_scipy(rng: np.random.Generator) -> None:
    """Without stride, dilation and groups a convolution is SciPy's correlation."""
    x, w = rng.normal(size=(2, 3, 6, 5)), rng.normal(size=(4, 3, 3, 2))
    correlate = functools.partial(scipy.signal.correlate2d, mode="valid")
    at: dict[str, Any] = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
    at |= {"groups": 1, "precision": "highest"}
    expected = np.array([[sum(map(correlate, image, filters)) for filters in w] for image in x])
    np.testing.assert_allclose(reference("conv2d")(x, w, **at).astype(float), expected, rtol=1e-12)


@pytest.mark.parametrize("number", range(len(layouts(OPS["conv2d"])) - 1))
def test_convolutions_are_adjoint(number: int) -> None:
    """<conv(x, w), g> = <x, input_grad(g, w)> = <w, weight_grad(g, x)>, whatever the stride."""
    op, layout = OPS["conv2d"], layouts(OPS["conv2d"])[number]
    x, w = make_case(op, ta.float64, layout, "uniform", number).arrays
    at: dict[str, Any] = {**layout.attrs, "precision": "highest"}
    y = reference("conv2d")(x, w, **at).astype(float)
    g = np.random.default_rng(1).normal(size=y.shape)
    by_x = reference("conv2d_input_grad")(g, w, size=x.shape[2:], **at).astype(float)
    by_w = reference("conv2d_weight_grad")(g, x, kernel=w.shape[2:], **at).astype(float)
    np.testing.assert_allclose([(by_x * x).sum(), (by_w * w).sum()], (y * g).sum(), rtol=1e-10)


def test_windows_against_pytorch(rng: np.random.Generator) -> None:
    """Convolution with all its options, pooling, unfold and fold are PyTorch's."""
    torch = pytest.importorskip("torch")
    x, w = rng.normal(size=(2, 4, 7, 6)), rng.normal(size=(6, 2, 3, 2))
    t = torch.tensor(x)
    y = torch.nn.functional.conv2d(t, torch.tensor(w), stride=(2, 1), padding=(1, 2),
                                   dilation=(1, 2), groups=2)  # fmt: skip
    at: dict[str, Any] = {
        "stride": (2, 1),
        "padding": ((1, 1), (2, 2)),
        "dilation": (1, 2),
        "groups": 2,
    }
    got = reference("conv2d")(x, w, precision="highest", **at)
    np.testing.assert_allclose(got.astype(float), y.numpy(), rtol=1e-11)
    pool: dict[str, Any] = {
        "kernel": (3, 2),
        "stride": (2, 1),
        "padding": ((1, 1), (0, 0)),
        "dilation": (1, 2),
    }
    u = t.clone().requires_grad_()
    y = torch.nn.functional.max_pool2d(u, (3, 2), (2, 1), (1, 0), (1, 2))
    np.testing.assert_array_equal(
        reference("max_pool2d")(x, **pool).astype(float), y.detach().numpy()
    )
    g = rng.normal(size=y.shape)
    y.backward(torch.tensor(g))
    back = reference("max_pool2d_input_grad")(g, x, **pool)
    np.testing.assert_allclose(back.astype(float), u.grad.numpy(), rtol=1e-12)
    y = torch.nn.functional.avg_pool2d(t, (3, 2), (2, 1), (1, 0))
    del pool["dilation"]
    np.testing.assert_allclose(
        reference("avg_pool2d")(x, **pool).astype(float), y.numpy(), rtol=1e-12
    )
    at = {"stride": (2, 1), "dilation": (1, 2)}
    windows = torch.nn.functional.unfold(t, (3, 2), dilation=(1, 2), stride=(2, 1))
    got = reference("unfold")(x, kernel=(3, 2), **at)
    np.testing.assert_array_equal(got.reshape(windows.shape).astype(float), windows.numpy())
    image = torch.nn.functional.fold(windows, (7, 6), (3, 2), dilation=(1, 2), stride=(2, 1))
    folded = reference("fold")(got.astype(float), size=(7, 6), **at)
    np.testing.assert_allclose(folded.astype(float), image.numpy(), rtol=1e-12)


def test_networks_against_scipy(rng: np.random.Generator) -> None:
    """softmax, its logarithm and the loss are SciPy's; gelu is x times the normal distribution."""
    x, labels = rng.normal(size=(4, 5)) * 5, np.array([0, 4, 2, 2])
    np.testing.assert_allclose(
        reference("softmax")(x, axis=1).astype(float), scipy.special.softmax(x, 1), rtol=1e-13
    )
    log = scipy.special.log_softmax(x, 0)
    np.testing.assert_allclose(reference("log_softmax")(x, axis=0).astype(float), log, rtol=1e-12)
    loss = -scipy.special.log_softmax(x, 1)[range(4), labels].mean()
    np.testing.assert_allclose(float(reference("cross_entropy")(x, labels)), loss, rtol=1e-13)
    gelu = x * scipy.special.ndtr(x)
    np.testing.assert_allclose(reference("gelu")(x).astype(float), gelu, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(float(reference("mse")(x, 2 * x)), (x**2).mean(), rtol=1e-13)


def test_normalisation(rng: np.random.Generator) -> None:
    """batch_norm and dropout are their formulas, written with NumPy."""
    x = rng.normal(size=(3, 2, 4))
    m, v, w, b = rng.normal(size=2), rng.random(2), rng.normal(size=2), rng.normal(size=2)
    c = (slice(None), None)
    expected = (x - m[c]) / np.sqrt(v[c] + 1e-3) * w[c] + b[c]
    got = reference("batch_norm")(x, m, v, w, b, eps=1e-3)
    np.testing.assert_allclose(got.astype(float), expected, rtol=1e-12)
    bits = np.array([0, 2**31 - 1, 2**31, 2**32 - 1], np.uint32)
    assert reference("dropout")(np.ones(4), bits, p=0.5).tolist() == [0, 0, 2, 2]


@pytest.mark.parametrize(
    ("key", "counter", "words"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((2**32 - 1,) * 2, (2**32 - 1,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry(key: Any, counter: Any, words: Any) -> None:
    """Zeros, ones and the digits of pi give the words that Random123 publishes."""
    assert threefry(key, counter) == words
    if not counter[0]:
        state = np.array([*key, counter[1]], np.uint32)
        assert tuple(reference("random_bits")(state, shape=(2,)).tolist()) == words


def test_casts() -> None:
    """Floats saturate and drop the fraction, integers wrap."""
    x = np.array([3e9, -3e9, np.nan, 2.9])
    assert reference("astype")(x, dtype=ta.int32).tolist() == [2**31 - 1, -(2**31), 0, 2]
    assert reference("astype")(np.array([300]), dtype=ta.uint8).tolist() == [44]
    assert reference("astype")(np.array([0.5, 0.0]), dtype=ta.bool_).tolist() == [True, False]
