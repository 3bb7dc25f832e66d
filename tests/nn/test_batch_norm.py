"""Batch norm: whose statistics it uses, and in what precision."""

from __future__ import annotations

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel import nn


def test_batch_norm_uses_the_batch_or_the_past(rng: np.random.Generator) -> None:
    """Training normalises by the batch and moves the running statistics; evaluating does not."""
    layer = nn.BatchNorm2d(3)
    x = ta.tensor(rng.standard_normal((8, 3, 5, 5)) * 3 + 2, dtype="float32")
    y = layer(x).numpy()
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 2, 3)), 1, atol=1e-5)
    batch = x.numpy().astype(np.float64)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.1 * batch.mean((0, 2, 3)), rtol=1e-5)
    unbiased = 0.9 + 0.1 * batch.var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(layer.running_var.numpy(), unbiased, rtol=1e-5)
    before = layer.state_dict()
    z = layer.eval()(x).numpy()
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    mean, var = (before[f"running_{m}"][:, None, None] for m in ("mean", "var"))
    np.testing.assert_allclose(z, (x.numpy() - mean) / np.sqrt(var + 1e-5), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_batch_norm_in_low_precision(dtype: str, rng: np.random.Generator) -> None:
    """float16 and bfloat16 are normalised in float32: sums past 65504 don't overflow."""
    x = ta.tensor(rng.standard_normal((16, 2, 16, 16)) + 30, dtype="float32").astype(dtype)
    layer = nn.BatchNorm2d(2, dtype=dtype)
    y = layer(x)
    assert y.dtype.name == dtype and layer.running_mean.dtype.name == dtype
    wide = x.numpy().astype(np.float64)
    expected = (wide - wide.mean((0, 2, 3), keepdims=True)) / np.sqrt(
        wide.var((0, 2, 3), keepdims=True) + 1e-5
    )
    error = np.abs(y.numpy().astype(np.float64) - expected).max()
    assert error <= y.dtype.eps * np.abs(expected).max()
