"""Activations: PyTorch's values and derivatives over many magnitudes, and their own errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracle import agree

import tinyaccel as ta
from tinyaccel.errors import ArgumentError, TinyaccelError

KINKS = [-6.0, -3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, 6.0]
SAME: list[tuple[str, str, dict[str, Any]]] = [
    ("softmax", "softmax", {}),
    ("log_softmax", "log_softmax", {}),
    ("hardtanh", "hardtanh", {}),
    ("hardtanh", "hardtanh", {"min_val": -0.5, "max_val": 3.0}),
    ("relu6", "relu6", {}),
    ("hardsigmoid", "hardsigmoid", {}),
    ("leaky_relu", "leaky_relu", {}),
    ("leaky_relu", "leaky_relu", {"negative_slope": 0.3}),
    ("leaky_relu", "leaky_relu", {"negative_slope": 0.0}),
    ("elu", "elu", {}),
    ("elu", "elu", {"alpha": 2.5}),
    ("selu", "selu", {}),
    ("gelu", "gelu", {}),
    ("gelu", "gelu", {"approximate": "tanh"}),
    ("softplus", "softplus", {}),
    ("softplus", "softplus", {"beta": 3.0}),
    ("log_sigmoid", "logsigmoid", {}),
    ("silu", "silu", {}),
    ("mish", "mish", {}),
    ("hardswish", "hardswish", {}),
]


def _options(name: str, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same options in our names and in PyTorch's."""
    if "softmax" in name:
        return {"axis": 1}, {"dim": 1}
    if (
        name == "softplus"
    ):  # we have no threshold from which on it is x; here theirs is out of reach
        return options, {**options, "threshold": 1e9}
    return options, options


@pytest.mark.parametrize(("name", "theirs", "options"), SAME, ids=str)
def test_as_in_pytorch(
    name: str, theirs: str, options: dict[str, Any], rng: np.random.Generator
) -> None:
    """Value, gradient and gradient's gradient are PyTorch's from 1e-6 to 1e2, and at the kinks."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    mine, other = _options(name, options)
    spread = rng.choice([-1, 1], 50) * 10 ** rng.uniform(-6, 2, 50)
    x = np.concatenate([rng.normal(size=100) * 3, spread, KINKS]).reshape(16, 10)
    if name in ("elu", "selu"):
        x = x[x != 0]  # there the second derivative is ours from below, and 0 in PyTorch
    if name == "softplus" and options:
        x = x / 8  # beyond, PyTorch's own e**(beta x) leaves its exact digits
    agree(
        lambda t: getattr(ta, name)(t, **mine),
        lambda t: getattr(torch.nn.functional, theirs)(t, **other),
        x,
        order=1 if name == "hardsigmoid" else 2,  # PyTorch has no second derivative of it
        rtol=1e-7 if name == "hardsigmoid" else 1e-9,  # its 1/6 is one of float32
    )


@pytest.mark.parametrize("name", ["softplus", "log_sigmoid", "elu", "gelu", "silu", "mish"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_nothing_is_nan_far_out(name: str, dtype: str) -> None:
    """Towards the ends of the dtype value, gradient and gradient's gradient are numbers."""
    top = float(ta.dtypes.as_dtype(dtype).max) / 4
    x = ta.tensor([top, -top, 300.0, -300.0, 0.0], dtype=dtype)
    ways: list[Callable[[ta.Tensor], ta.Tensor]] = [getattr(ta, name)]
    if name == "gelu":
        ways.append(lambda t: ta.gelu(t, "tanh"))
    for f in ways:
        first = ta.grad(lambda t, f=f: f(t).sum())
        second = ta.grad(lambda t, first=first: first(t).sum())
        for y in (f(x), first(x), second(x)):
            assert y.dtype.name == dtype
            assert not np.isnan(y.numpy().astype(np.float64)).any()


def test_selu_keeps_mean_and_variance(rng: np.random.Generator) -> None:
    """Standard normal numbers come out with mean 0 and variance 1, to 4 standard deviations."""
    y = ta.selu(ta.tensor(rng.normal(size=100_000))).numpy()
    assert abs(y.mean()) < 4 * 100_000**-0.5
    assert abs(y.var() - 1) < 4 * (y**2).std() * 100_000**-0.5


def test_integers_become_floats() -> None:
    """Integers are taken as float32, as in every function of real numbers."""
    y = ta.leaky_relu(ta.tensor([-2, 3]), 0.5)
    assert y.dtype is ta.float32
    assert y.tolist() == [-1.0, 3.0]


BAD: list[tuple[Callable[[], object], type[TinyaccelError], str]] = [
    (lambda: ta.gelu(ta.ones(2), "erf"), ArgumentError,
     "gelu: approximate='erf'; expected \"none\" or \"tanh\""),
    (lambda: ta.softplus(ta.ones(2), 0.0), ArgumentError,
     "softplus: beta=0.0; expected a number above 0"),
    (lambda: ta.hardtanh(ta.ones(2), 1.0, -1.0), ArgumentError,
     "hardtanh: min_val=1.0 and max_val=-1.0; expected the first to be smaller"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "text"), BAD, ids=[b[2].split(":")[0] for b in BAD])
def test_bad_options(make: Callable[[], object], error: type[TinyaccelError], text: str) -> None:
    """An impossible option is named, with what was expected."""
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == text
