"""MNIST's idx files: read as they were written, and every fault in one line."""

from __future__ import annotations

import gzip
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_mnist import MnistFiles, idx_bytes

from tinyaccel import data
from tinyaccel.data import read_idx
from tinyaccel.errors import DataError

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"


@pytest.mark.parametrize("inside", [True, False])
def test_images_and_labels_come_back(mnist_files: MnistFiles, inside: bool) -> None:
    """Packed and bare files give the bytes written, in a folder or its folder mnist."""
    train, test = data.mnist(mnist_files.folder.parent if inside else str(mnist_files.folder))
    for d, n in ((train, 7), (test, 5)):
        assert np.array_equal(d.x[:, 0], mnist_files.images[n])
        assert np.array_equal(d.y, mnist_files.labels[n])
    x, _ = train.batch([2])
    wanted = (mnist_files.images[7][2] / 255 - 0.1307) / 0.3081
    assert np.abs(x[0, 0] - wanted).max() < 1e-6


def test_gzip_is_told_by_its_bytes(mnist_files: MnistFiles) -> None:
    """A file that a browser has unpacked but left its name, .gz, is read all the same."""
    mnist_files.put(IMAGES, gzip.decompress(mnist_files.get(IMAGES)))
    assert np.array_equal(data.mnist(mnist_files.folder).train.x[:, 0], mnist_files.images[7])


def test_the_environment_names_the_folder(
    mnist_files: MnistFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TINYACCEL_DATA is used where no folder is given, and only there."""
    monkeypatch.setenv("TINYACCEL_DATA", str(mnist_files.folder.parent))
    assert len(data.mnist().train) == 7
    with pytest.raises(DataError, match="mnist: folder nowhere doesn't exist"):
        data.mnist("nowhere")


Spoil = Callable[[MnistFiles], object]


def _cut(name: str, n: int) -> Spoil:
    return lambda files: files.put(name, files.get(name)[:n])


def _idx(name: str, shape: tuple[int, ...], magic: int | None = None) -> Spoil:
    return lambda files: files.put(name, idx_bytes(np.zeros(shape, np.uint8), magic))


def _flip(files: MnistFiles) -> None:
    bytes_ = bytearray(files.get(IMAGES))
    bytes_[len(bytes_) // 2] ^= 0xFF
    files.put(IMAGES, bytes(bytes_))


def _wrong_sum(files: MnistFiles) -> None:
    bytes_ = bytearray(files.get(IMAGES))
    bytes_[-8] ^= 0xFF  # the first byte of the checksum; every pixel is right
    files.put(IMAGES, bytes(bytes_))


COPY = "copy it again"
HUGE = struct.pack(">4I", 0x803, 2**31, 28, 28)  # a header of 1.7 TB, and nothing after it
WRONG: dict[str, tuple[Spoil, str]] = {
    "missing": (lambda files: (files.folder / IMAGES).unlink(),
                r"mnist: train-images-idx3-ubyte.gz or train-images-idx3-ubyte is not in .*mnist, "
                r"which has t10k-.*, train-labels-idx1-ubyte; put it there, or name the folder .*"),
    "zero bytes": (_cut(IMAGES, 0), rf"mnist: .*{IMAGES} is empty \(0 bytes\); {COPY}"),
    "truncated gzip": (_cut(IMAGES, 500),
                       rf"mnist: .*{IMAGES} ends in the middle of its gzip stream \(500 bytes.*\); "
                       rf"it is truncated: {COPY}"),
    "corrupt gzip": (_flip, rf"mnist: .*{IMAGES} (is corrupt gzip|ends in|has|starts with).*"),
    "wrong checksum": (_wrong_sum, rf"mnist: .*{IMAGES} is corrupt gzip \(CRC.*\); {COPY}"),
    "gzip header only": (_cut(IMAGES, 4),
                         rf"mnist: .*{IMAGES} (is corrupt gzip|ends in the middle).*{COPY}"),
    "truncated magic": (_cut(LABELS, 3),
                        rf"mnist: .*{LABELS} starts with 000008; expected 00000801, .*"),
    "truncated header": (_cut(LABELS, 6), rf"mnist: .*{LABELS} has 6 bytes; expected a header of "
                                          rf"8: it is truncated, {COPY}"),
    "truncated data": (_cut(LABELS, 12), rf"mnist: .*{LABELS} has 4 bytes after its header; "
                                         rf"expected 7 = 7, as that says: {COPY}"),
    "too long": (lambda files: files.put(LABELS, files.get(LABELS) + b"\0"),
                 rf"mnist: .*{LABELS} has more bytes after its header; expected 7 = 7, .*"),
    "wrong magic": (_idx(LABELS, (7,), 0x0D01),
                    rf"mnist: .*{LABELS} starts with 00000d01; expected 00000801, an idx file of "
                    r"bytes in 1 dimensions: is it another file under this name\?"),
    "labels for images": (_idx(IMAGES, (7,)), rf"mnist: .*{IMAGES} starts with 00000801; .*"),
    "a web page": (lambda files: files.put(IMAGES, b"<html>404</html>"),
                   rf"mnist: .*{IMAGES} starts with 3c68746d; expected 00000803.*"),
    "counts differ": (_idx(LABELS, (6,)),
                      rf"mnist: .*{IMAGES} has 7 images, but {LABELS} has 6 labels; .*"),
    "other size": (_idx(IMAGES, (7, 8, 8)),
                   rf"mnist: .*{IMAGES} has images of 8 x 8; expected 28 x 28: .*"),
    "a label past 9": (lambda files: files.put(LABELS, idx_bytes(np.full(7, 10, np.uint8))),
                       r"mnist \(train\): label 10 of image 0 is no class; expected 0 to 9 .*"),
    "a header that lies": (lambda files: files.put(IMAGES, HUGE),
                           rf"mnist: .*{IMAGES} has 0 bytes after its header; "
                           rf"expected {2**31} x 28 x 28 = {2**31 * 784}, .*"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_each_fault_is_one_line(mnist_files: MnistFiles, case: str) -> None:
    """The line names the file, what arrived, what was expected, and what to do."""
    spoil, pattern = WRONG[case]
    spoil(mnist_files)
    with pytest.raises(DataError) as caught:
        data.mnist(mnist_files.folder)
    assert re.fullmatch(pattern, str(caught.value)), caught.value


def test_no_folder_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a folder the line says how to name one; a file in its place is told apart."""
    monkeypatch.delenv("TINYACCEL_DATA", raising=False)
    with pytest.raises(DataError, match=r"mnist: no folder given; .* --data-dir .* TINYACCEL_DATA"):
        data.mnist()
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"mnist: folder .*file is a file; expected a folder"):
        data.mnist(tmp_path / "file")


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 0, 3), (2, 1, 3, 2)])
def test_read_idx_in_any_number_of_dimensions(
    shape: tuple[int, ...], tmp_path: Path, rng: np.random.Generator
) -> None:
    """What is written is read back, and may be written to."""
    array = rng.integers(0, 256, shape).astype(np.uint8)
    (tmp_path / "a").write_bytes(idx_bytes(array))
    found = read_idx(tmp_path / "a", len(shape))
    assert np.array_equal(found, array)
    assert found.flags.writeable


def test_the_real_files(real_data: Path) -> None:
    """All 70,000 images; mean and deviation of the normalised training pixels are 0 and 1."""
    if not (real_data / "mnist").is_dir():
        pytest.skip(f"{real_data} has no mnist")
    train, test = data.mnist(real_data)
    assert (len(train), len(test)) == (60_000, 10_000)
    assert np.bincount(test.y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    x, _ = train.batch(slice(0, None))
    assert abs(x.mean(dtype=np.float64)) < 1e-3
    assert abs(x.std(dtype=np.float64) - 1) < 1e-3
