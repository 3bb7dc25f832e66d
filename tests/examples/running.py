"""How examples are run as a user runs them, and files of made-up data for them."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinyaccel as ta
from tinyaccel.errors import BackendError, DeviceError

EXAMPLES = Path(__file__).parents[2] / "examples"
DATA = os.environ.get("TINYACCEL_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="TINYACCEL_DATA names no folder with real data")


def run(
    *command: str | Path, folder: Path, data: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Python with this command line, in `folder`, on one thread for each library."""
    kept = {name: value for name, value in os.environ.items() if name != "TINYACCEL_DATA"}
    extra = {"OMP_NUM_THREADS": "1"} | ({"TINYACCEL_DATA": data} if data else {})
    return subprocess.run(
        [sys.executable, *map(str, command)], cwd=folder, env=kept | extra,
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def skip_without(device: str) -> None:
    try:
        ta.get_device(device)
    except (BackendError, DeviceError) as error:
        pytest.skip(str(error))


def output_of(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def fake_mnist(folder: Path) -> None:
    """64 x 10 digits in MNIST's format, which a network can tell apart: a bright row each."""
    rng = np.random.default_rng(1)
    labels = rng.permutation(np.repeat(np.arange(10, dtype=np.uint8), 64))
    images = rng.integers(0, 100, (640, 28, 28), np.uint8)
    images[np.arange(640), labels * 2 + 4] = 255
    folder.mkdir()
    for part in ("train", "t10k"):
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            magic = np.array([0x0800 + array.ndim, *array.shape], ">u4").tobytes()
            packed = gzip.compress(magic + array.tobytes())
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(packed)


def fake_cifar10(folder: Path) -> None:
    """100 images of noise in CIFAR-10's format."""
    rng = np.random.default_rng(1)
    records = rng.integers(0, 256, (100, 3073), np.uint8)
    records[:, 0] = np.arange(100) % 10
    folder.mkdir()
    for name in ("data_batch_1", "test_batch"):
        (folder / f"{name}.bin").write_bytes(records.tobytes())
