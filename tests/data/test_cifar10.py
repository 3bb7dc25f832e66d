"""CIFAR-10's binary files: planar pixels, whole and partial batches, and every fault."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tinyaccel import data
from tinyaccel.errors import DataError

Records = npt.NDArray[np.uint8]


def _records(n: int, rng: np.random.Generator) -> Records:
    records = rng.integers(0, 256, (n, 3073)).astype(np.uint8)
    records[:, 0] %= 10
    return records


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A training batch of 4 images and a part of a test batch, of 3."""
    (tmp_path / "data_batch_1.bin").write_bytes(_records(4, rng).tobytes())
    (tmp_path / "test_batch_first3.bin").write_bytes(_records(3, rng).tobytes())
    return tmp_path


def test_planes_are_channels(folder: Path) -> None:
    """Red, green and blue planes of 32 x 32 become channels; each has its own constants."""
    train, test = data.cifar10(folder)
    raw = np.fromfile(folder / "data_batch_1.bin", np.uint8).reshape(4, 3073)
    assert train.y.tolist() == raw[:, 0].tolist()
    assert (len(test), test.shape, train.classes[3]) == (3, (3, 32, 32), "cat")
    x, _ = train.batch([1])
    green = raw[1, 1 + 1024 + 32 * 5 + 7]  # row 5, column 7
    assert abs(x[0, 1, 5, 7] - (green / 255 - 0.4822) / 0.2435) < 1e-6


def test_batches_are_joined_in_order(folder: Path, rng: np.random.Generator) -> None:
    """Several batches and parts of others come one after another."""
    more = _records(2, rng)
    (folder / "data_batch_2_first2.bin").write_bytes(more.tobytes())
    train, _ = data.cifar10(folder)
    assert len(train) == 6
    assert train.y[4:].tolist() == more[:, 0].tolist()


def test_no_image_comes_twice(folder: Path) -> None:
    """A part of a batch is left out where the whole is there; that of another batch is not."""
    bytes_ = (folder / "data_batch_1.bin").read_bytes()
    for name in ("data_batch_1_first2", "data_batch_10_first2"):
        (folder / f"{name}.bin").write_bytes(bytes_[: 2 * 3073])
    assert len(data.cifar10(folder).train) == 6


@pytest.mark.parametrize(
    "inside", ["cifar10", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin"]
)
def test_where_the_files_may_lie(folder: Path, tmp_path: Path, inside: str) -> None:
    """In the folder itself, or under either usual name."""
    target = tmp_path / "named" / inside
    target.mkdir(parents=True)
    for path in folder.glob("*.bin"):
        path.rename(target / path.name)
    assert len(data.cifar10(tmp_path / "named").train) == 4


Spoil = Callable[[Path], object]


def _cut(n: int) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / "data_batch_1.bin"
        path.write_bytes(path.read_bytes()[:n])

    return spoil


def _label(folder: Path) -> None:
    records = np.fromfile(folder / "data_batch_1.bin", np.uint8)
    records[2 * 3073] = 17
    records.tofile(folder / "data_batch_1.bin")


def _pickled(folder: Path) -> None:
    (folder / "data_batch_1.bin").unlink()
    (folder / "data_batch_1").write_bytes(pickle.dumps({b"data": [1]}))


WRONG: dict[str, tuple[Spoil, str]] = {
    "truncated": (_cut(2 * 3073 + 5),
                  r"cifar10: .*data_batch_1.bin has 6151 bytes, no multiple of 3073; expected 1 "
                  r"label and 3072 pixels for each image: it is truncated after 2 images, or "
                  r"another file: copy it again"),
    "zero bytes": (_cut(0), r"cifar10: .*data_batch_1.bin is empty \(0 bytes\); copy it again"),
    "a label past 9": (_label, r"cifar10: .*data_batch_1.bin has label 17 at image 2; expected 0 "
                               r"to 9: it is another file, or its bytes are shifted"),
    "no training files": (lambda f: (f / "data_batch_1.bin").unlink(),
                          r"cifar10: data_batch_\*.bin is not in .*, which has "
                          r"test_batch_first3.bin; put it there, or name the folder .*"),
    "no test files": (lambda f: (f / "test_batch_first3.bin").unlink(),
                      r"cifar10: test_batch\*.bin is not in .*, which has data_batch_1.bin; .*"),
    "pickled": (_pickled, r"cifar10: .* has data_batch_1, the version for Python, which is "
                          r"pickled; tinyaccel unpickles nothing: get the binary version .*"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_each_fault_is_one_line(folder: Path, case: str) -> None:
    """The line names the file, what arrived, what was expected, and what to do."""
    spoil, pattern = WRONG[case]
    spoil(folder)
    with pytest.raises(DataError) as caught:
        data.cifar10(folder)
    assert re.fullmatch(pattern, str(caught.value)), caught.value


def test_the_real_files(real_data: Path) -> None:
    """The sample's mean and deviation are near those of the whole set, so planes aren't mixed."""
    if not (real_data / "cifar10").is_dir():
        pytest.skip(f"{real_data} has no cifar10")
    train, test = data.cifar10(real_data)
    assert set(np.unique(train.y)) == set(range(10)) == set(np.unique(test.y))
    x, _ = train.batch(slice(0, None))
    assert np.abs(x.mean((0, 2, 3), dtype=np.float64)).max() < 0.02
    assert np.abs(x.std((0, 2, 3), dtype=np.float64) - 1).max() < 0.02
    neighbours = np.abs(np.diff(x[:100], axis=3)).mean()
    assert neighbours < np.abs(x[:100, :, :, ::2] - x[:100, :, :, 16:17]).mean() / 2
