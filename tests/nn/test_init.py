"""Initial weights: the same on every device, of the right spread, from the seed alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError, TraceError
from tinyaccel.nn import init


def weights(seed: int, device: str, dtype: str = "float32") -> dict[str, np.ndarray]:
    """The initial state of a network with both kinds of weights."""
    ta.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(3, 8, (3, 5), groups=1, dtype=dtype, device=device),
        nn.Linear(40, 30, dtype=dtype, device=device),
    )
    return net.state_dict()


def test_weights_are_identical_to_the_bit_on_every_device(device: str) -> None:
    """One seed gives one set of bits, wherever the weights go."""
    for name, value in weights(11, device).items():
        assert value.tobytes() == weights(11, "cpu")[name].tobytes(), name


def test_weights_follow_the_seed() -> None:
    """The same seed gives the same weights, another seed, and the next layer, others."""
    first, again, other = weights(1, "cpu"), weights(1, "cpu"), weights(2, "cpu")
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        assert (first[name] != other[name]).all(), name
    layers = [nn.Linear(5, 5), nn.Linear(5, 5)]
    assert (layers[0].weight.numpy() != layers[1].weight.numpy()).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_dtypes_are_the_same_draws_rounded(dtype: str) -> None:
    """A layer in another dtype starts from the same numbers, rounded once."""
    for name, value in weights(3, "cpu", dtype).items():
        exact = weights(3, "cpu", "float64")[name]
        np.testing.assert_array_equal(value, exact.astype(value.dtype), err_msg=name)


@pytest.mark.parametrize(
    ("make", "fan_in"),
    [
        (lambda: nn.Linear(400, 300), 400),
        (lambda: nn.Conv2d(16, 128, (3, 5)), 240),
        (lambda: nn.Conv2d(32, 128, 5, groups=4), 200),
    ],
    ids=["linear", "conv", "groups"],
)
def test_spread(make: Callable[[], nn.Module], fan_in: int) -> None:
    """Weights and biases fill U(-b, b), b = 1/sqrt(fan_in): bounds, mean and variance.

    The mean of n such numbers deviates by b/sqrt(3n), their variance by b**2 sqrt(4/(45n)); both
    are held to four deviations.
    """
    ta.manual_seed(0)
    b = 1 / math.sqrt(fan_in)
    for p in make().parameters():
        values, n = p.numpy().astype(np.float64), p.size
        assert np.abs(values).max() <= b * (1 + 2**-23)
        assert np.abs(values).max() >= b * (1 - 10 / n)
        assert abs(values.mean()) <= 4 * b / math.sqrt(3 * n)
        assert abs(values.var() - b**2 / 3) <= 4 * b**2 * math.sqrt(4 / (45 * n))


def test_constants_and_dtypes() -> None:
    """constant() fills a shape; neither function makes integers."""
    assert init.constant((2,), 3.0, dtype="float64").tolist() == [3.0, 3.0]
    with pytest.raises(DTypeError, match=r"constant: dtype int32; expected a float"):
        init.constant((2,), 3.0, dtype="int32")
    with pytest.raises(DTypeError, match=r"fan_in_uniform: dtype bool; expected a float"):
        init.fan_in_uniform((2,), 1, dtype="bool")


# In place, as PyTorch's

FILLS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("uniform_", {"a": -1.0, "b": 2.7}, (5, 7)),
    ("normal_", {"mean": 2.0, "std": 0.5}, (5, 7)),
    ("trunc_normal_", {"std": 2.0, "a": -1.0, "b": 3.0}, (5, 7)),
    ("constant_", {"val": 0.25}, (5, 7)),
    ("ones_", {}, (5,)),
    ("zeros_", {}, ()),
    ("eye_", {}, (3, 5)),
    ("dirac_", {"groups": 2}, (6, 2, 3, 4)),
    ("xavier_uniform_", {"gain": 2.0}, (5, 7, 3)),
    ("xavier_normal_", {"gain": 2.0}, (5, 7, 3)),
    ("kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "tanh"}, (5, 7, 3)),
    ("kaiming_normal_", {"a": 0.2}, (5, 7, 3)),
    ("orthogonal_", {"gain": 2.0}, (5, 7, 3)),
    ("sparse_", {"sparsity": 0.3}, (5, 7)),
]
EMPTY = ["uniform_", "xavier_uniform_", "xavier_normal_", "kaiming_normal_", "orthogonal_"]


def filled(
    name: str,
    options: dict[str, Any],
    shape: tuple[int, ...],
    dtype: str = "float32",
    seed: int = 0,
) -> np.ndarray:
    """What a function makes of a parameter of this shape on the default device."""
    ta.manual_seed(seed)
    p = nn.Parameter(ta.tensor(np.full(shape, 7.0), dtype=dtype))
    assert getattr(init, name)(p, **options) is p
    assert p.requires_grad and p.is_leaf and p.dtype.name == dtype
    return p.numpy()


def test_every_function_is_in_the_table() -> None:
    """A new one can't be forgotten below."""
    assert {n for n in vars(init) if n.endswith("_") and n[0] != "_"} == {n for n, _, _ in FILLS}


@pytest.mark.parametrize(("name", "options", "shape"), FILLS, ids=[name for name, _, _ in FILLS])
def test_in_place_on_every_device(
    name: str, options: dict[str, Any], shape: tuple[int, ...], device: str
) -> None:
    """On a device and in bfloat16 a tensor gets the same float64 draws, rounded once."""
    exact = filled(name, options, shape, "float64")
    for dtype in ("float32", "bfloat16"):
        got = filled(name, options, shape, dtype)
        assert got.tobytes() == exact.astype(got.dtype).tobytes(), dtype
    if name not in ("constant_", "ones_", "zeros_", "eye_", "dirac_"):
        assert (filled(name, options, shape, seed=1) != exact).any()
        assert (exact.astype(np.float32) != exact).any()  # it isn't float32's draws, widened


@pytest.mark.parametrize("name", EMPTY)
def test_nothing_to_fill(name: str) -> None:
    """A weight without elements stays so, whichever axis is empty."""
    for shape in ((0, 3), (3, 0), (0, 0)):
        assert filled(name, {}, shape).shape == shape


def normal_cdf(x: np.ndarray) -> np.ndarray:
    return np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])


def truncated_cdf(x: np.ndarray) -> np.ndarray:
    """The distribution of N(1, 2**2) between 0 and 2.5."""
    low, high, at = (normal_cdf((v - 1) / 2) for v in (np.zeros(1), np.full(1, 2.5), x))
    return (at - low) / (high - low)


LARGE = (200, 150)
UNIFORM = {  # half of the range of those that are uniform around 0
    "xavier_uniform_": (LARGE, {"gain": 3.0}, 3 * math.sqrt(6 / 350)),
    "kaiming_uniform_": (
        (100, 60, 5), {"mode": "fan_out", "nonlinearity": "relu"}, math.sqrt(6 / 500)
    ),
}  # fmt: skip
NORMAL = {
    "normal_": (LARGE, {"mean": 0.0, "std": 0.1}, 0.1),
    "xavier_normal_": (LARGE, {"gain": 3.0}, 3 * math.sqrt(2 / 350)),
    "kaiming_normal_": ((100, 60, 5), {"a": 0.5}, math.sqrt(2 / 1.25 / 300)),
}


@pytest.mark.parametrize("name", [*UNIFORM, *NORMAL, "uniform_", "trunc_normal_"])
def test_distributions(name: str) -> None:
    """30,000 draws follow the distribution that the docstring names, at every value.

    The largest distance of the draws' distribution from it (Kolmogorov and Smirnov) is above
    1.95 / sqrt(n) once in 1000 tries.
    """
    if name in UNIFORM:
        shape, options, b = UNIFORM[name]
        x = np.sort(filled(name, options, shape, "float64").ravel())
        expected = (x + b) / (2 * b)
        assert np.abs(x).max() <= b
    elif name in NORMAL:
        shape, options, std = NORMAL[name]
        x = np.sort(filled(name, options, shape, "float64").ravel())
        expected = normal_cdf(x / std)
    elif name == "uniform_":
        x = np.sort(filled(name, {"a": 2.0, "b": 5.0}, LARGE, "float64").ravel())
        expected = (x - 2) / 3
    else:
        options = {"mean": 1.0, "std": 2.0, "a": 0.0, "b": 2.5}
        x = np.sort(filled(name, options, LARGE, "float64").ravel())
        expected = truncated_cdf(x)
        assert x[0] >= 0 and x[-1] <= 2.5
    assert len(x) == 30_000
    distance = np.abs(np.arange(0.5, len(x)) / len(x) - expected).max()
    assert distance < 1.95 / math.sqrt(len(x))


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (4, 3, 2), (5, 5)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    """Rows or columns, whichever are fewer, are orthogonal and of length gain."""
    w = filled("orthogonal_", {"gain": 3.0}, shape, "float64").reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 9 * np.eye(min(w.shape)), atol=1e-13)


def test_orthogonal_has_no_preferred_sign() -> None:
    """Turned by chance, not by LAPACK: a 1x1 matrix is 1 and -1 about as often.

    Of 200 throws of a coin, four deviations are 28.
    """
    signs = [filled("orthogonal_", {}, (1, 1), seed=seed).item() for seed in range(200)]
    assert set(signs) == {1.0, -1.0} and abs(sum(signs)) <= 2 * 28


def test_sparse_and_structures() -> None:
    """sparse_ has its zeros in each column; eye_ and dirac_ are PyTorch's."""
    w = filled("sparse_", {"sparsity": 0.25, "std": 2.0}, (10, 50), "float64")
    assert ((w == 0).sum(0) == 3).all()
    assert len({tuple(np.flatnonzero(column == 0)) for column in w.T}) > 10
    assert abs(w[w != 0].std() - 2) < 4 * 2 / math.sqrt(2 * 350)
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    expected = torch.nn.init.eye_(torch.empty(3, 5)).numpy()
    np.testing.assert_array_equal(filled("eye_", {}, (3, 5)), expected)
    for shape, groups in (((6, 2, 3), 2), ((4, 6, 3, 4), 1), ((3, 2, 5, 5, 4), 3)):
        expected = torch.nn.init.dirac_(torch.empty(shape), groups).numpy()
        np.testing.assert_array_equal(filled("dirac_", {"groups": groups}, shape), expected)


def test_fans_and_gains_are_pytorchs() -> None:
    """How many numbers are summed, and by how much weights grow, for every kind."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    for shape in ((3, 4), (3, 4, 5), (3, 4, 5, 2)):
        fans = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
        assert init.fans(ta.zeros(shape)) == fans
    names = [
        "linear", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "sigmoid", "tanh",
        "relu", "leaky_relu", "selu",
    ]  # fmt: skip
    for name in names:
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


WRONG: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: init.uniform_(ta.zeros(3), 2, 1), ArgumentError, "uniform_: from 2 to 1; expected a"),
    (lambda: init.normal_(ta.zeros(3), 0, -1), ArgumentError, "normal_: std=-1; expected 0 or"),
    (lambda: init.trunc_normal_(ta.zeros(3), a=1, b=1), ArgumentError, "std=1.0 from 1 to 1;"),
    (lambda: init.trunc_normal_(ta.zeros(3), a=9, b=10), ArgumentError, "has next to nothing"),
    (lambda: init.eye_(ta.zeros(3)), ShapeError, r"eye_: tensor \(3,\); expected 2 axes"),
    (lambda: init.dirac_(ta.zeros((3, 3))), ShapeError, "dirac_: .* expected at least 3 axes"),
    (lambda: init.dirac_(ta.zeros((3, 3, 3)), 2), ArgumentError, "groups=2 for 3 outputs"),
    (lambda: init.xavier_normal_(ta.zeros(3)), ShapeError, "xavier_normal_: .* at least 2 axes"),
    (lambda: init.kaiming_normal_(ta.zeros((3, 3)), mode="fan"),  # type: ignore[arg-type]
     ArgumentError, "mode='fan'; expected \"fan_in\""),
    (lambda: init.kaiming_normal_(ta.zeros((3, 3)), nonlinearity="gelu"), ArgumentError,
     "calculate_gain: nonlinearity='gelu'; expected one of linear, .*leaky_relu"),
    (lambda: init.sparse_(ta.zeros((3, 3)), 2), ArgumentError, "sparse_: sparsity=2; expected"),
    (lambda: init.fans(ta.zeros(3)), ShapeError, "fans: .* expected .outputs, inputs"),
    (lambda: init.ones_(ta.zeros(3, dtype="int32")), DTypeError, "constant_: dtype int32"),
    (lambda: ta.jit(init.normal_)(ta.zeros(3)), TraceError,
     "normal_ can't be traced .* outside the jitted function"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), WRONG, ids=[m[:30] for _, _, m in WRONG])
def test_what_cannot_be_filled(
    call: Callable[[], object], error: type[Exception], message: str
) -> None:
    """One line says which function, what arrived and what was expected."""
    with pytest.raises(error, match=message):
        call()
