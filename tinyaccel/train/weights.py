"""Weights as safetensors files: the same arrays on every device, and nothing that runs code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tinyaccel.data.extras import optional
from tinyaccel.errors import ArgumentError, DataError
from tinyaccel.nn.module import Module


def save_weights(
    model: Module, path: str | Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write all parameters and buffers to a safetensors file, by their dotted names.

    metadata  texts to keep beside them. Raises `PackageError` without safetensors.
    """
    library = optional("safetensors.numpy", "save_weights")
    state = {name: np.array(value, order="C") for name, value in model.state_dict().items()}
    write(Path(path), library.save(state, metadata=dict(metadata or {})))


def load_weights(model: Module, path: str | Path) -> None:
    """Set all parameters and buffers from a safetensors file, on whatever device they are.

    Raises `DataError` for a file that is missing or damaged, `ArgumentError` for one that doesn't
    fit the model (nothing is changed then), `PackageError` without safetensors.
    """
    library = optional("safetensors.numpy", "load_weights")
    errors = optional("safetensors", "load_weights")
    try:
        state = library.load(Path(path).read_bytes())
    except OSError as error:
        raise DataError(
            f"load_weights: {path} can't be read: {error.strerror}; name a file that is there"
        ) from error
    except errors.SafetensorError as error:
        raise DataError(
            f"load_weights: {path} is no whole safetensors file ({error}); save or copy it again"
        ) from error
    model.load_state_dict(state)


def write(path: Path, data: bytes | str) -> None:
    """Write a file aside, then put it in place: whoever reads it finds the old one or the new."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            aside.write_bytes(data.encode() if isinstance(data, str) else data)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise ArgumentError(
            f"{path} can't be written: {error.strerror}; choose another folder"
        ) from error
