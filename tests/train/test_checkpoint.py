"""Checkpoint files: there and back, and each way in which one can be wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinyaccel import storage
from tinyaccel.errors import DataError
from tinyaccel.train import checkpoint
from tinyaccel.train.checkpoint import Checkpoint

pytest.importorskip("safetensors", reason="safetensors (the extra 'train')")


def _example() -> Checkpoint:
    tensors = {"model.w": np.arange(3.0), "model.b": np.float32(1), "random.state": np.ones(3)}
    return Checkpoint(tensors, {"progress": {"epoch": 2}, "text": 'a "ü"', "history": [{"a": 0.1}]})


def test_there_and_back(tmp_path: Path) -> None:
    """Tensors and facts come back as they were, and its parts without their prefix."""
    _example().write(tmp_path / "c")
    back = Checkpoint.read(tmp_path / "c")
    assert back.facts == _example().facts
    assert back.part("model").keys() == {"w", "b"} and back.part("mod") == {}
    assert all(np.array_equal(back.tensors[k], v) for k, v in _example().tensors.items())


def _flip(path: Path, at: bytes) -> None:
    """Change one byte after `at`."""
    data = bytearray(path.read_bytes())
    data[data.index(at) + len(at)] ^= 1
    path.write_bytes(data)


def _metadata(path: Path, **changes: str) -> None:
    tensors, texts = storage.read_tensors(path)
    storage.write_tensors(path, tensors, {**texts, **changes})


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "a number": (lambda p: p.write_bytes(p.read_bytes()[:-1] + b"\x07"),
                 ".* was altered after it was written: its SHA-256 doesn't match; use an older .*"),
    "a fact": (lambda p: _metadata(p, facts=json.dumps({"progress": {"epoch": 3}})),
               ".* was altered .*"),
    "a name": (lambda p: _flip(p, b'"model.'), ".* was altered .*"),
    "no facts": (lambda p: storage.write_tensors(p, {"w": np.ones(1)}),
                 ".* has 1 tensors but is no checkpoint of tinyaccel; .*load_weights.*"),
    "the future": (lambda p: _metadata(p, tinyaccel="99"),
                   ".* is a checkpoint of format 99; this tinyaccel reads format 1: .*"),
    "truncated": (lambda p: p.write_bytes(p.read_bytes()[:-5]), ".* no whole safetensors file .*"),
    "gone": (Path.unlink, ".* can't be read: No such file or directory; .*"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files(case: str, tmp_path: Path) -> None:
    """Each is told apart in one line that names the file."""
    spoil, pattern = WRONG[case]
    path = tmp_path / "c"
    _example().write(path)
    spoil(path)
    with pytest.raises(DataError) as caught:
        Checkpoint.read(path)
    assert re.fullmatch(pattern, str(caught.value)), caught.value
    assert str(path) in str(caught.value)


def test_shape_and_dtype_count() -> None:
    """Two checkpoints whose bytes are equal, but not their shapes or dtypes, differ."""
    zeros = np.zeros((2, 3), np.float32)
    others = [zeros.T, zeros.astype(np.int32), zeros.ravel()]
    digests = {checkpoint._digest("{}", {"w": value}) for value in [zeros, *others]}
    assert len(digests) == 4


def test_facts_are_strict_json() -> None:
    """NaN is no JSON, so no program would read it: it is refused, not written."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        Checkpoint({}, {"loss": float("nan")}).as_bytes()
