"""References for the gates of recurrent networks: each unit by itself, in mpmath."""

from __future__ import annotations

from collections.abc import Callable

from tinyaccel.testing.references.numbers import DIGITS, Array, Index, Number, filled, numbers


def _sigmoid(x: Number) -> Number:
    import mpmath

    return 1 / (1 + mpmath.exp(-mpmath.mpf(x)))


def _gate(gates: Array, units: int) -> Callable[[Index, int], Number]:
    """The number of a unit's k-th gate, by the unit's index."""
    values = numbers(gates)
    return lambda index, k: values[(*index[:-1], k * units + index[-1])]


def lstm_gates(gates: Array, c: Array) -> Array:
    import mpmath

    units = c.shape[-1]
    gate, before = _gate(gates, units), numbers(c)

    def at(index: Index) -> Number:
        unit = (*index[:-1], index[-1] % units)
        enters = _sigmoid(gate(unit, 0)) * mpmath.tanh(gate(unit, 2))
        memory = _sigmoid(gate(unit, 1)) * before[unit] + enters
        if index[-1] >= units:
            return memory
        return _sigmoid(gate(unit, 3)) * mpmath.tanh(memory)

    with mpmath.workdps(DIGITS):
        return filled((*c.shape[:-1], 2 * units), at, c)


def gru_gates(x: Array, h: Array, state: Array) -> Array:
    import mpmath

    units = state.shape[-1]
    by_x, by_h, before = _gate(x, units), _gate(h, units), numbers(state)

    def at(index: Index) -> Number:
        reset = _sigmoid(mpmath.mpf(by_x(index, 0)) + by_h(index, 0))
        update = _sigmoid(mpmath.mpf(by_x(index, 1)) + by_h(index, 1))
        new = mpmath.tanh(by_x(index, 2) + reset * by_h(index, 2))
        return (1 - update) * new + update * before[index]

    with mpmath.workdps(DIGITS):
        return filled(state.shape, at, state)
