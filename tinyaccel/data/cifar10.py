"""CIFAR-10 from its binary version: a label byte and 3,072 planar RGB bytes an image."""

from __future__ import annotations

import re
import shutil
import tarfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinyaccel.data.cache import VARIABLE, alone_in
from tinyaccel.data.dataset import ArrayDataset, Splits
from tinyaccel.data.display import display
from tinyaccel.data.download import RemoteFile, fetch_files
from tinyaccel.data.files import ByteReader, data_folder, missing
from tinyaccel.errors import DataError, SaveError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN = (0.4914, 0.4822, 0.4465)  # of all training pixels, on [0, 1], for red, green, blue
STD = (0.2470, 0.2435, 0.2616)
_SHAPE = (3, 32, 32)
_RECORD = 1 + 3 * 32 * 32


_FOLDER = "cifar-10-batches-bin"  # in the archive
_BATCHES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")

# The address that its author names, with an MD5 sum; the SHA-256 of the same archive.
ARCHIVE = RemoteFile(
    "cifar-10-binary.tar.gz", 170_052_171,
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
)  # fmt: skip


def cifar10(
    folder: str | Path | None = None, *, download: bool = True, progress: str = "auto"
) -> Splits[ArrayDataset, ArrayDataset]:
    """Up to 50,000 small photographs to train on and 10,000 to test on.

    folder    has `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, or some of them, or
              parts such as `data_batch_1_first4000.bin` (left out where the whole batch is there);
              itself, or its folder `cifar10` or `cifar-10-batches-bin`. Default: the environment
              variable TINYACCEL_DATA; else the cache
    download  whether to fetch them into the cache (170 MB) if they are in none of these
    progress  how that is shown: "auto", "bar", "lines", "quiet"

    x: (N, 3, 32, 32), (pixels / 255 - mean) / std in a batch, per channel; y: (N,), 0 to 9. Raises
    `DataError` for files that are missing, truncated, or hold labels that are no class. The
    version for Python isn't read: unpickling a file may run code from it.

    A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """
    where = data_folder(
        "cifar10", folder, "cifar10/data_batch_1.bin", f"cifar10/{_FOLDER}", "cifar10", _FOLDER,
        pattern="*_batch*",
        fetch=(lambda to: fetch_batches(to, progress)) if download else None,
    )  # fmt: skip
    return Splits(_part(where, "data_batch_*", "train"), _part(where, "test_batch*", "test"))


def fetch_batches(to: Path, progress: str) -> None:
    """Download the archive, unless its six files are there, and unpack them; then delete it."""
    if all((to / name).is_file() for name in _BATCHES):
        return
    fetch_files("cifar10", [ARCHIVE], to, progress)
    packed = to / ARCHIVE.name
    with alone_in(to, display(progress)):
        if packed.is_file():  # else another process has unpacked it
            _unpack(packed, to)
            packed.unlink()


def _unpack(packed: Path, to: Path) -> None:
    """The files that are wanted, by name, whatever else an archive holds or calls for."""
    try:
        with tarfile.open(packed, "r:gz") as archive:
            for name in _BATCHES:
                member = archive.extractfile(f"{_FOLDER}/{name}")
                if member is None:
                    raise KeyError(f"{name} is no file")
                part = to / f"{name}.part"
                with part.open("wb") as file:
                    shutil.copyfileobj(member, file)
                part.replace(to / name)
    except (tarfile.TarError, KeyError, EOFError, zlib.error) as error:
        raise DataError(
            f"cifar10: {packed} can't be unpacked ({error}); delete it, and it is fetched again"
        ) from error
    except OSError as error:
        raise SaveError(
            f"{to} can't be written: {error.strerror}; free some space, or name another cache with "
            f"{VARIABLE}"
        ) from error


def _part(folder: Path, pattern: str, what: str) -> ArrayDataset:
    files = _whole_before_parts(sorted(folder.glob(f"{pattern}.bin")))
    if not files:
        pickled = [path.name for path in sorted(folder.glob(pattern)) if not path.suffix]
        if pickled:
            raise DataError(
                f"cifar10: {folder} has {pickled[0]}, the version for Python, which is pickled; "
                "tinyaccel unpickles nothing: get the binary version (data_batch_1.bin, ...)"
            )
        raise missing("cifar10", folder, f"{pattern}.bin")
    images, labels = zip(*map(_read, files), strict=True)
    return ArrayDataset(
        np.concatenate(images), np.concatenate(labels), classes=CLASSES, mean=MEAN, std=STD,
        name=f"cifar10 ({what})",
    )  # fmt: skip


def _whole_before_parts(files: list[Path]) -> list[Path]:
    """`files` without the parts of a batch whose whole is there: no image comes twice."""
    there = {path.stem for path in files}

    def is_part_of_whole(path: Path) -> bool:
        batch = re.match(r"data_batch_\d+|test_batch", path.stem)
        return batch is not None and batch[0] != path.stem and batch[0] in there

    return [path for path in files if not is_part_of_whole(path)]


def _read(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The images (N, 3, 32, 32) and labels (N,) of one file."""
    with ByteReader("cifar10", path) as file:
        data = file.read()
        if len(data) % _RECORD:
            raise file.fault(
                f"has {len(data)} bytes, no multiple of {_RECORD}",
                f"expected 1 label and 3072 pixels for each image: it is truncated after "
                f"{len(data) // _RECORD} images, or another file: copy it again",
            )
        records = np.frombuffer(data, np.uint8).reshape(-1, _RECORD)
        wrong = np.flatnonzero(records[:, 0] >= len(CLASSES))
        if wrong.size:
            raise file.fault(
                f"has label {records[wrong[0], 0]} at image {wrong[0]}",
                f"expected 0 to {len(CLASSES) - 1}: it is another file, or its bytes are shifted",
            )
    return records[:, 1:].reshape(-1, *_SHAPE), records[:, 0]
