"""The idx format of MNIST: a magic number, the sizes, and the bytes."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinyaccel.data.files import ByteReader

_UINT8 = 0x08


def read_idx(path: str | Path, ndim: int, name: str = "idx") -> npt.NDArray[np.uint8]:
    """An array of `ndim` dimensions of unsigned bytes from an idx file, gzip or not.

    The file is: 0, 0, the type (8 for unsigned bytes), the number of dimensions; each size as a
    big-endian 32-bit integer; the elements, the last dimension fastest. Returns an array that may
    be written to. Raises `DataError` for anything else, or one byte too few or too many.

    Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", "File formats".
    """
    with ByteReader(name, Path(path)) as file:
        magic = file.read(4)
        wanted = struct.pack(">I", _UINT8 << 8 | ndim)
        if magic != wanted:
            raise file.fault(
                f"starts with {magic.hex()}",
                f"expected {wanted.hex()}, an idx file of bytes in {ndim} dimensions: is it "
                "another file under this name?",
            )
        header = file.read(4 * ndim)
        if len(header) < 4 * ndim:
            raise file.fault(
                f"has {4 + len(header)} bytes",
                f"expected a header of {4 + 4 * ndim}: it is truncated, copy it again",
            )
        shape = struct.unpack(f">{ndim}I", header)
        count = math.prod(shape)
        data = file.read(count + 1)  # one more, which must not be there; so gzip checks its sum
        if len(data) != count:
            has = "more" if len(data) > count else f"{len(data)}"
            raise file.fault(
                f"has {has} bytes after its header",
                f"expected {' x '.join(map(str, shape))} = {count}, as that says: copy it again",
            )
    return np.frombuffer(data, np.uint8).reshape(shape).copy()
