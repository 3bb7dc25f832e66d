"""Files of tensors: there and back, put in place whole, and files that are none."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from tinyaccel import dtypes, storage
from tinyaccel.errors import DataError, SaveError

pytest.importorskip("safetensors", reason="safetensors (the extra 'train')")


def test_every_dtype_there_and_back(tmp_path: Path, rng: np.random.Generator) -> None:
    """Every dtype of the library, 0-d, empty and transposed arrays, and texts, to the bit."""
    drawn = rng.integers(0, 2, (3, 2))
    arrays = {d.name: drawn.astype(d.numpy).T for d in dtypes.ALL}
    arrays["scalar"], arrays["empty"] = np.array(7, np.uint32), np.zeros((0, 3), np.float16)
    storage.write_tensors(tmp_path / "a", arrays, {"who": "ünïcode"})
    back, texts = storage.read_tensors(tmp_path / "a")
    assert texts == {"who": "ünïcode"}
    assert {k: (v.dtype, v.shape) for k, v in back.items()} == {
        k: (v.dtype, v.shape) for k, v in arrays.items()
    }
    assert all(np.array_equal(back[k], arrays[k]) for k in arrays)
    assert all(v.flags.writeable for v in back.values())


def test_bfloat16_is_pytorchs(tmp_path: Path) -> None:
    """What PyTorch writes as bfloat16 is read as such."""
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    library = pytest.importorskip("safetensors.torch")
    library.save_file({"w": torch.tensor([1.5, -2.0]).bfloat16()}, tmp_path / "a")
    back, _ = storage.read_tensors(tmp_path / "a")
    assert back["w"].dtype == ml_dtypes.bfloat16 and back["w"].tolist() == [1.5, -2.0]


@pytest.mark.parametrize("left", [0, 7, 8, 40, -1])
def test_files_cut_short(left: int, tmp_path: Path) -> None:
    """A file that ends anywhere before its end is named, with its size, in one line."""
    storage.write_tensors(tmp_path / "a", {"w": np.ones(4)})
    data = (tmp_path / "a").read_bytes()[:left]
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(DataError, match=rf"^.*a is no whole safetensors file \({len(data)} bytes"):
        storage.read_tensors(tmp_path / "a")


def test_what_was_there_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, seen at writing or at syncing, leaves the old file, and no part of the new."""
    path = tmp_path / "a"
    storage.write(path, b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(SaveError, match=r"a can't be written: No space left on device; fr"):
                storage.write(path, b"new")
        assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["a"]


def test_it_is_on_the_disk_before_it_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes are synced before the file gets its name, and the folder after."""
    done = []
    sync, replace = os.fsync, os.replace

    def note_sync(handle: int) -> None:
        done.append("folder" if Path(f"/proc/self/fd/{handle}").is_dir() else "file")
        sync(handle)

    def note_replace(*args: str) -> None:
        done.append("name")
        replace(*args)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    storage.write(tmp_path / "a", "text")
    if Path("/proc/self/fd").is_dir():  # Linux
        assert done == ["file", "name", "folder"]
    assert (tmp_path / "a").read_text() == "text"
