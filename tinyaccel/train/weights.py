"""Weights as safetensors files: the same arrays on every device, and nothing that runs code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tinyaccel.nn.module import Module
from tinyaccel.storage import read_tensors, write_tensors


def save_weights(
    model: Module, path: str | Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Write all parameters and buffers to a safetensors file, by their dotted names.

    metadata  texts to keep beside them. Raises `SaveError` if it can't be written, `PackageError`
    without safetensors.
    """
    write_tensors(path, model.state_dict(), metadata)


def load_weights(model: Module, path: str | Path) -> None:
    """Set all parameters and buffers from a safetensors file, on whatever device they are.

    Raises `DataError` for a file that is missing or damaged, `ArgumentError` for one that doesn't
    fit the model (nothing is changed then), `PackageError` without safetensors.
    """
    state, _ = read_tensors(path)
    model.load_state_dict(state)
