"""Weights to a file and back, and files that are no weights."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny import network

from tinyaccel import nn, train
from tinyaccel.errors import ArgumentError, DataError, PackageError

safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors (the extra 'train')")


def test_there_and_back(tmp_path: Path, device: str) -> None:
    """Every parameter and buffer comes back to the bit, onto any device; 0-d ones keep shape ()."""
    model = network(seed=1)
    train.save_weights(model, tmp_path / "w", {"model": "tiny"})
    stored = safetensors.load_file(tmp_path / "w")
    state = model.state_dict()
    assert {k: v.shape for k, v in stored.items()} == {k: v.shape for k, v in state.items()}
    other = network(seed=2).to(device)
    train.load_weights(other, tmp_path / "w")
    assert all(np.array_equal(v, state[k]) for k, v in other.state_dict().items())


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


WRONG: dict[str, tuple[Callable[[Path], object], type[Exception], str]] = {
    "missing": (Path.unlink, DataError,
                r".*w can't be read: No such file or directory; name a .* file .*"),
    "empty": (lambda path: path.write_bytes(b""), DataError,
              r".*w is no whole safetensors file \(.*\); save or copy it again"),
    "truncated": (_truncate, DataError, r".*w is no whole safetensors file \(.*\).*"),
    "other weights": (lambda path: train.save_weights(nn.Linear(2, 3), path), ArgumentError,
                      r"load_state_dict: the state doesn't fit Sequential: missing: 0.weight, .*"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_files_that_do_not_fit(case: str, tmp_path: Path) -> None:
    """One line each, and the model is as it was."""
    spoil, kind, pattern = WRONG[case]
    model = network()
    before = model.state_dict()
    train.save_weights(model, tmp_path / "w")
    spoil(tmp_path / "w")
    with pytest.raises(kind) as caught:
        train.load_weights(model, tmp_path / "w")
    assert re.fullmatch(pattern, str(caught.value)), caught.value
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())


def test_without_safetensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is missed before any training, with the extra that brings it."""
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.delitem(sys.modules, "safetensors.numpy")
    text = r"safetensors is not installed; pip install 'tinyaccel\[train\]'"
    with pytest.raises(PackageError, match=rf": {text}$"):
        train.save_weights(network(), tmp_path / "w")
