"""Dropout and other layers that draw: equal masks for equal seeds, and what they drop."""

from __future__ import annotations

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn


def test_dropout_masks_are_equal_for_equal_seeds(device: str) -> None:
    """The same seed drops the same numbers on every device; another seed, or draw, others."""

    def masks(seed: int, where: str) -> list[np.ndarray]:
        ta.manual_seed(seed)
        layer = nn.Dropout(0.4)
        return [layer(ta.ones((40, 25), device=where)).numpy() for _ in range(2)]

    first, second = masks(3, device)
    np.testing.assert_array_equal(np.stack(masks(3, "cpu")), np.stack([first, second]))
    assert (first != second).any() and (masks(4, device)[0] != first).any()
    assert set(np.unique(first)) == {np.float32(0), np.float32(1 / 0.6)}
    kept = (first > 0).mean()  # of 1000 with probability 0.6: four deviations are 0.062
    assert abs(kept - 0.6) < 0.062


def test_dropout_draws_from_its_own_generator() -> None:
    """A generator given to the layer is the one that moves; the default one stays."""
    ta.manual_seed(0)
    default = ta.random.default_generator("cpu").state.tolist()
    own = ta.Generator(7)
    x = ta.ones((64,))
    y = nn.Dropout(generator=own)(x)
    assert own.state.tolist()[2] == 1
    assert ta.random.default_generator("cpu").state.tolist() == default
    bits = ta.Generator(7).bits((64,))
    np.testing.assert_array_equal(y.numpy(), ta.dropout(x, bits, p=0.5).numpy())


@pytest.mark.parametrize(("p", "value"), [(0.0, 1.0), (1.0, 0.0)])
def test_dropout_at_its_ends(p: float, value: float) -> None:
    """p=0 keeps everything as it is, p=1 nothing."""
    assert nn.Dropout(p)(ta.ones((50,))).tolist() == [value] * 50


def test_dropout_when_evaluating_draws_nothing() -> None:
    """eval() passes x through, and leaves the generator where it is."""
    own = ta.Generator(7)
    x = ta.ones((4,))
    assert nn.Dropout(generator=own).eval()(x) is x
    assert own.state.tolist()[2] == 0


@pytest.mark.parametrize(
    ("build", "shape"), [(nn.Dropout1d, (40, 25, 3)), (nn.Dropout2d, (40, 25, 2, 3))]
)
def test_whole_channels_are_dropped(build: type[nn.Dropout], shape: tuple[int, ...]) -> None:
    """A channel of a sample is kept or dropped as a whole, each by a word of its own."""
    ta.manual_seed(3)
    generator = ta.Generator(7)
    layer = build(0.4, generator=generator)
    y = layer(ta.ones(shape)).numpy().reshape(40, 25, -1)
    assert (y == y[:, :, :1]).all()
    words = ta.Generator(7).bits((40, 25)).numpy()
    np.testing.assert_array_equal(
        y[:, :, 0], np.where(words >= 0.4 * 2**32, np.float32(1 / 0.6), 0)
    )
    x = ta.ones(shape)
    assert layer.eval()(x) is x


def test_rrelu_draws_its_slopes() -> None:
    """Below 0 each element has a slope of its own, from lower to upper; above, x stays."""
    layer = nn.RReLU(0.25, 0.5, generator=ta.Generator(7))
    x = ta.full((1000,), -2.0)
    first, second = (layer(x).numpy() / -2 for _ in range(2))
    assert first.min() >= 0.25 and first.max() <= 0.5
    assert (first != second).mean() > 0.99
    # The mean of 1000 such numbers deviates by 0.25 / sqrt(12000) = 0.0023: four of them.
    assert abs(first.mean() - 0.375) < 0.0092
    assert layer(ta.tensor([3.0])).tolist() == [3.0]
