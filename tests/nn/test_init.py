"""Initial weights: the same on every device, of the right spread, from the seed alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn
from tinyaccel.errors import DTypeError
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
