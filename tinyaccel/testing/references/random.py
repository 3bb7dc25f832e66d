"""References for random numbers: Threefry, a word at a time."""

from __future__ import annotations

import itertools

import numpy as np

from tinyaccel.dtypes import DType
from tinyaccel.testing.references.numbers import (
    DIGITS,
    Array,
    Index,
    Number,
    filled,
    numbers,
)


def threefry(key: tuple[int, int], counter: tuple[int, int]) -> tuple[int, int]:
    """Threefry-2x32-20 as its paper writes it: a rotation per round, a key every fourth."""
    mask, rotations = 0xFFFFFFFF, (13, 15, 26, 6, 17, 29, 16, 24)
    keys = (*key, 0x1BD11BDA ^ key[0] ^ key[1])
    x = [(c + k) & mask for c, k in zip(counter, key, strict=True)]
    for turn in range(20):
        r = rotations[turn % 8]
        x[0] = (x[0] + x[1]) & mask
        x[1] = ((x[1] << r) & mask | (x[1] >> (32 - r))) ^ x[0]
        if turn % 4 == 3:
            group = turn // 4 + 1
            x[0] = (x[0] + keys[group % 3]) & mask
            x[1] = (x[1] + keys[(group + 1) % 3] + group) & mask
    return x[0], x[1]


def random_bits(state: Array, *, shape: Index) -> Array:
    """Word i % 2 of the counter (i // 2, draw), for element i."""
    key, draw = (int(state[0]), int(state[1])), int(state[2])
    count = itertools.count()

    def at(_: Index) -> int:
        i = next(count)
        return threefry(key, (i // 2, draw))[i % 2]

    return filled(shape, at, np.empty(0, np.uint32))


def random_normal(bits: Array, *, dtype: DType) -> Array:
    """Box and Muller's formula of two numbers on [0, 1), with 50 digits."""
    import mpmath

    pairs = numbers(bits)

    def at(index: Index) -> Number:
        u, v = (mpmath.mpf(int(word) // 2**8) / 2**24 for word in pairs[index])
        return mpmath.sqrt(-2 * mpmath.log(1 - u)) * mpmath.cos(2 * mpmath.pi * v)

    with mpmath.workdps(DIGITS):
        return filled(bits.shape[:-1], at, np.empty(0, dtype.numpy))


def random_integers(bits: Array, *, count: int) -> Array:
    """The remainder of a number of 64 bits, which Python's integers hold."""
    pairs = numbers(bits)

    def at(index: Index) -> int:
        high, low = map(int, pairs[index])
        return (high * 2**32 + low) % count

    return filled(bits.shape[:-1], at, np.empty(0, np.int64))
