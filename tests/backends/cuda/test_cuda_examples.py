"""The CUDA lessons in examples/ run to their end without a GPU and print what they promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"
PRINTS = {
    "cuda_vector_add": [
        "CUDA C      equal to NumPy in all 10000 elements",
        "Numba-CUDA  equal to NumPy in all 10000 elements",
        "unguarded: out-of-bounds read at <unguarded>:4, block (39, 0, 0), thread (16, 0, 0)",
    ],
    "cuda_shared_sum": [
        "printed: missing barrier (shared-memory race) at <printed>:5",
        "which thread (0, 0, 0) read at",
        "reads share[256], but share has 256 elements",
        "repaired: out-of-bounds read at <repaired>:5, block (3, 0, 0), thread (232, 0, 0)",
        "allowed for 1000 numbers",
    ],
}


@pytest.mark.parametrize("name", PRINTS)
def test_example_runs(name: str) -> None:
    """The lesson ends well and shows each of its points."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, EXAMPLES / f"{name}.py"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    missing = [text for text in PRINTS[name] if text not in done.stdout]
    assert missing == [], done.stdout
