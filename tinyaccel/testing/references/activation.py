"""References for softmax and the other activations: their textbook formulas, in mpmath."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyaccel.testing.references.numbers import (
    DIGITS,
    Array,
    Number,
    each,
    filled,
    numbers,
)


def _powers(x: Array, axis: int) -> tuple[Array, Array]:
    """e**x for each element, and the sum of its line along `axis`, which it shares."""
    import mpmath

    powers = np.asarray(np.frompyfunc(mpmath.exp, 1, 1)(numbers(x)), dtype=object)
    sums = np.empty(x.shape, dtype=object)
    lines = np.moveaxis(powers, axis, -1)
    for index in np.ndindex(*lines.shape[:-1]):
        np.moveaxis(sums, axis, -1)[index] = mpmath.fsum(lines[index].tolist())
    return powers, sums


def softmax(x: Array, *, axis: int) -> Array:
    import mpmath

    with mpmath.workdps(DIGITS):
        powers, sums = _powers(x, axis)
        return filled(x.shape, lambda i: powers[i] / sums[i], x)


def log_softmax(x: Array, *, axis: int) -> Array:
    import mpmath

    with mpmath.workdps(DIGITS):
        values, (_, sums) = numbers(x), _powers(x, axis)
        return filled(x.shape, lambda i: values[i] - mpmath.log(sums[i]), x)


def _of(x: Array, function: Callable[[Number], Number]) -> Array:
    """A function of mpmath's numbers, element by element."""
    import mpmath

    with mpmath.workdps(DIGITS):
        return each(lambda v: function(mpmath.mpf(v)), x)


def _sigmoid(v: Number) -> Number:
    import mpmath

    return 1 / (1 + mpmath.exp(-v))


def _log1p_exp(v: Number) -> Number:
    import mpmath

    return mpmath.log1p(mpmath.exp(v))


def hardtanh(x: Array, *, min_val: float, max_val: float) -> Array:
    return each(lambda v: min_val if v < min_val else max_val if v > max_val else v, x)


def relu6(x: Array) -> Array:
    return hardtanh(x, min_val=0.0, max_val=6.0)


def hardsigmoid(x: Array) -> Array:
    return _of(x, lambda v: 0 * v if v <= -3 else 0 * v + 1 if v >= 3 else v / 6 + 0.5)


def hardswish(x: Array) -> Array:
    return _of(x, lambda v: 0 * v if v <= -3 else v if v >= 3 else v * (v + 3) / 6)


def leaky_relu(x: Array, *, negative_slope: float) -> Array:
    return _of(x, lambda v: v if v > 0 else v * negative_slope)


def elu(x: Array, *, alpha: float) -> Array:
    import mpmath

    return _of(x, lambda v: v if v > 0 else alpha * mpmath.expm1(v))


def selu(x: Array) -> Array:
    """The constants are the ones for which the standard normal distribution is a fixed point."""
    import mpmath

    def function(v: Number) -> Number:
        return scale * (v if v > 0 else alpha * mpmath.expm1(v))

    with mpmath.workdps(DIGITS):
        e, root = mpmath.e, mpmath.sqrt
        low, lower = mpmath.erfc(1 / root(2)), mpmath.erfc(root(2))
        alpha = -root(2 / mpmath.pi) / (low * root(e) - 1)
        square = e**2 * lower - 2 * root(e) * low + 1
        square = alpha**2 * square / 2 + mpmath.mpf(1) / 2
        moved = (alpha * (low * root(e) - 1) / 2 + 1 / root(2 * mpmath.pi)) ** 2
        scale = 1 / root(square - moved)
    return _of(x, function)


def gelu(x: Array, *, approximate: str = "none") -> Array:
    import mpmath

    def function(v: Number) -> Number:
        if approximate == "none":
            return v * mpmath.ncdf(v)
        cube = v + mpmath.mpf("0.044715") * v**3
        return v / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * cube))

    return _of(x, function)


def softplus(x: Array, *, beta: float) -> Array:
    return _of(x, lambda v: _log1p_exp(v * beta) / beta)


def log_sigmoid(x: Array) -> Array:
    return _of(x, lambda v: -_log1p_exp(-v))


def silu(x: Array) -> Array:
    return _of(x, lambda v: v * _sigmoid(v))


def mish(x: Array) -> Array:
    import mpmath

    return _of(x, lambda v: v * mpmath.tanh(_log1p_exp(v)))
