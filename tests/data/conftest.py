"""Data files for the tests: small ones, written by them, and the real ones, if named."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from small_mnist import MnistFiles


@pytest.fixture
def mnist_files(tmp_path: Path, rng: np.random.Generator) -> MnistFiles:
    """A small MNIST, packed images and bare labels, in a folder of its own."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    return MnistFiles(folder, rng)


@pytest.fixture
def real_data() -> Path:
    """The folder with the real files, named by the environment."""
    named = os.environ.get("TINYACCEL_DATA")
    if not named:
        pytest.skip("TINYACCEL_DATA names no folder with real mnist/*.gz and cifar10/*.bin")
    return Path(named)
