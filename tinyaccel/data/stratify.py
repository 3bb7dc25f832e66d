"""Which samples are held out of a data set: each class in proportion, the same on every machine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinyaccel.ops.random import host_bits


def stratified(labels: npt.NDArray[np.generic], n: int, seed: int) -> npt.NDArray[np.int64]:
    """Which `n` samples are held out, sorted: each class in proportion, drawn by counter.

    labels: (N,), integers from 0. A class with m of N samples gets floor(n m / N) places; those
    left over go to the largest remainders, the smaller class number first, and last to a class
    that would have none left outside. Class c gives the samples with the smallest words of draw c
    of `host_bits`, so no library's generator has a say in it.

    >>> stratified(np.array([0, 0, 0, 0, 1, 1]), 3, seed=0)
    array([0, 1, 4])
    """
    counts = np.bincount(labels.astype(np.int64))
    places = n * counts // len(labels)
    remainders = n * counts % len(labels)
    used_up = places + 1 >= counts
    order = np.lexsort((-remainders, used_up))
    places[order[: n - places.sum()]] += 1
    chosen = []
    for c, k in enumerate(places):
        members = np.flatnonzero(labels == c)
        words = host_bits(seed, c, len(members))
        chosen.append(members[np.argsort(words, kind="stable")[:k]])
    return np.sort(np.concatenate(chosen))
