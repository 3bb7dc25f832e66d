"""A small MNIST as the real one is, to be written, spoilt and read by the tests."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt


def idx_bytes(array: npt.NDArray[np.uint8], magic: int | None = None) -> bytes:
    """An array as an idx file."""
    magic = 0x0800 | array.ndim if magic is None else magic
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()


class MnistFiles:
    """The four files of a small MNIST, 7 images to train on and 5 to test on, in a folder."""

    def __init__(self, folder: Path, rng: np.random.Generator) -> None:
        self.folder = folder
        self.images = {n: rng.integers(0, 256, (n, 28, 28)).astype(np.uint8) for n in (7, 5)}
        self.labels = {n: rng.integers(0, 10, n).astype(np.uint8) for n in (7, 5)}
        for part, n in (("train", 7), ("t10k", 5)):
            self.put(f"{part}-images-idx3-ubyte.gz", gzip.compress(idx_bytes(self.images[n])))
            self.put(f"{part}-labels-idx1-ubyte", idx_bytes(self.labels[n]))

    def put(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)

    def get(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()
