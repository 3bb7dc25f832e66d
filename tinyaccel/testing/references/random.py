"""References for random numbers: Threefry, a word at a time."""

from __future__ import annotations

import itertools

import numpy as np

from tinyaccel.testing.references.numbers import (
    Array,
    Index,
    filled,
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
