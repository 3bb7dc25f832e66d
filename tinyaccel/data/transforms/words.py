"""Random words for images: a pure function of the seed, the epoch and the number of the image."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tinyaccel import array_api
from tinyaccel.ops.random import host_bits

Words = npt.NDArray[np.uint32]

# Mixed into the key, so that what is done to images shares no words with the order of batches.
_IMAGES = 0x696D_6167_6573_0000


def image_words(
    seed: int, epoch: int, indices: npt.NDArray[np.integer], count: int
) -> npt.NDArray[np.uint32]:
    """`count` random words for each image, (count, n).

    Word j of image i is word j % 2 of Threefry-2x32 for the counter (i, j // 2), under a key that
    is itself drawn for the seed and the epoch. What the others in the batch are has no say in it.
    """
    if not count:
        return np.empty((0, len(indices)), np.uint32)
    # One call for all words: 64 images cost as much time as one, most of it NumPy's own.
    pairs = np.arange((count + 1) // 2, dtype=np.uint32)[:, None]
    images = np.asarray(indices).astype(np.uint32)
    shape = (len(pairs), len(images))
    counter = np.broadcast_to(images, shape), np.broadcast_to(pairs, shape)
    words = array_api.threefry2x32(*_key(seed, epoch), *counter)
    return np.stack(words, axis=1).reshape(-1, len(images))[:count]


@lru_cache(maxsize=16)
def _key(seed: int, epoch: int) -> tuple[Words, Words]:
    """The key of an epoch: two words, as arrays, whose sums wrap around without a warning."""
    words = host_bits(seed ^ _IMAGES, epoch, 2)
    return words[:1], words[1:]


def unit(words: Words) -> npt.NDArray[np.float64]:
    """Numbers on [0, 1), multiples of 2**-24: (words >> 8) * 2**-24."""
    return (words >> 8).astype(np.float64) * 2.0**-24


def below(words: Words, count: int) -> npt.NDArray[np.int64]:
    """Integers from 0 to count - 1: floor(words * count / 2**32), off uniform by count * 2**-32."""
    return ((words.astype(np.uint64) * np.uint64(count)) >> np.uint64(32)).astype(np.int64)
