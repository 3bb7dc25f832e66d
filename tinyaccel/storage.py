"""Files that hold tensors, in the safetensors format, and how any file is put in place whole."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from tinyaccel.errors import DataError, SaveError
from tinyaccel.extras import optional

Arrays = Mapping[str, npt.NDArray[Any]]

# The format's names of element types, of those that safetensors doesn't read into NumPy by itself.
_BFLOAT16 = "BF16"
_KINDS = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32,
    "I16": np.int16, "I8": np.int8, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16,
    "U8": np.uint8, "BOOL": np.bool_, _BFLOAT16: ml_dtypes.bfloat16,
}  # fmt: skip


def write_tensors(
    path: str | Path, tensors: Arrays, metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays by name, and texts beside them, to one safetensors file.

    Whoever reads `path` meanwhile, or after a crash at any moment, finds the old file or the new
    one, never a part. Raises `SaveError` if that fails, `PackageError` without safetensors.
    """
    write(path, tensors_as_bytes(tensors, metadata))


def tensors_as_bytes(tensors: Arrays, metadata: Mapping[str, str] | None = None) -> bytes:
    """What `write_tensors` writes."""
    library = optional("safetensors.numpy", "saving tensors")
    whole = {name: np.array(value, order="C") for name, value in tensors.items()}
    data: bytes = library.save(whole, metadata=dict(metadata or {}))
    return data


def read_tensors(path: str | Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """The arrays of a safetensors file by name, and its texts.

    The arrays may be written to. Raises `DataError` for a file that is missing or damaged, or of
    types that NumPy doesn't have; `PackageError` without safetensors.

    Format: Hugging Face, safetensors: the header's length (8 bytes), a JSON header, the numbers.
    """
    library = optional("safetensors", "reading tensors")
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} can't be read: {error.strerror}; name a safetensors file that is there"
        ) from error
    try:
        entries = library.deserialize(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        tensors = {name: _array(entry) for name, entry in entries}
    except (library.SafetensorError, ValueError, KeyError) as error:
        size = f"{len(data)} bytes"
        raise DataError(
            f"{path} is no whole safetensors file ({size}: {error}); save or copy it again"
        ) from error
    return tensors, {k: str(v) for k, v in header.get("__metadata__", {}).items()}


def _array(entry: Mapping[str, Any]) -> npt.NDArray[Any]:
    kind = _KINDS[entry["dtype"]]
    return np.frombuffer(entry["data"], kind).reshape(entry["shape"]).copy()


def write(path: str | Path, data: bytes | str) -> None:
    """Write a file aside, see that it is on the disk, then put it in its place.

    Raises `SaveError` if that fails: what was there before is still there then.
    """
    target = Path(path)
    aside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        try:
            with aside.open("wb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(target)
        finally:
            with contextlib.suppress(OSError):  # the first error is the one to tell of
                aside.unlink(missing_ok=True)
        _sync_folder(target.parent)
    except OSError as error:
        raise SaveError(
            f"{path} can't be written: {error.strerror}; free some space, or choose another folder"
        ) from error


def _sync_folder(folder: Path) -> None:
    """See that a new name in a folder is on the disk, where folders can be opened for that."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
