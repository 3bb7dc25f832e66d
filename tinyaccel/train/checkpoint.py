"""Checkpoint: the whole state of a training run, in one file that shows if it was altered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel.errors import DataError
from tinyaccel.storage import read_tensors, tensors_as_bytes, write

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
FORMAT = 1  # one more whenever an older program couldn't read what a newer one writes


@dataclass
class Checkpoint:
    """Tensors by name, and facts about them that JSON can hold.

    tensors  "model.0.weight", "optimizer.exp_avg.0", "random.state", ...
    facts    "progress", "history", "environment", ...: see `Trainer.checkpoint`

    The file is a safetensors file that any program can read. Its metadata are the facts ("facts",
    as JSON), the format's number ("tinyaccel") and a SHA-256 of facts and tensors ("sha256"), by
    which `read` sees a file that was altered.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.safetensors"
    >>> Checkpoint({"model.w": np.ones(2)}, {"step": 3}).write(path)
    >>> Checkpoint.read(path).facts
    {'step': 3}
    """

    tensors: dict[str, npt.NDArray[Any]]
    facts: dict[str, Json] = field(default_factory=dict)

    def as_bytes(self) -> bytes:
        """The file's content."""
        facts = json.dumps(self.facts, allow_nan=False)
        metadata = {
            "tinyaccel": str(FORMAT),
            "facts": facts,
            "sha256": _digest(facts, self.tensors),
        }
        return tensors_as_bytes(self.tensors, metadata)

    def write(self, path: str | Path) -> None:
        """Put the file in place, whole or not at all. Raises `SaveError` if that fails."""
        write(path, self.as_bytes())

    @classmethod
    def read(cls, path: str | Path) -> Checkpoint:
        """The checkpoint in a file.

        Raises `DataError` for a file that is missing, truncated, altered, of a later version of
        tinyaccel, or no checkpoint but weights alone.
        """
        tensors, metadata = read_tensors(path)
        if "facts" not in metadata or "sha256" not in metadata:
            raise DataError(
                f"{path} has {len(tensors)} tensors but is no checkpoint of tinyaccel; expected "
                "one that `tinyaccel train` wrote; load_weights reads bare weights"
            )
        if metadata.get("tinyaccel") != str(FORMAT):
            raise DataError(
                f"{path} is a checkpoint of format {metadata.get('tinyaccel')}; this tinyaccel "
                f"reads format {FORMAT}: use the version that wrote it"
            )
        if _digest(metadata["facts"], tensors) != metadata["sha256"]:
            raise DataError(
                f"{path} was altered after it was written: its SHA-256 doesn't match; "
                "use an older checkpoint, or copy it again"
            )
        return cls(tensors, json.loads(metadata["facts"]))

    def part(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """The tensors below "name.", without that prefix."""
        start = f"{name}."
        return {k.removeprefix(start): v for k, v in self.tensors.items() if k.startswith(start)}

    def add(self, name: str, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """Put tensors below "name."."""
        self.tensors.update({f"{name}.{key}": value for key, value in tensors.items()})


def _digest(facts: str, tensors: Mapping[str, npt.NDArray[Any]]) -> str:
    """SHA-256 of the facts and of each tensor's name, dtype, shape and bytes, by name."""
    digest = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        value = np.array(tensors[name], order="C")
        digest.update(f"\n{name} {value.dtype.name} {list(value.shape)}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
