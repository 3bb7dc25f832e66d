"""The pytest plug-in: what it runs, what it says, and that it can fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ODD = """
import numpy as np
from tinyaccel.backend import register_backend
from tinyaccel_numpy.backend import NumpyBackend
from tinyaccel_numpy.kernels import KERNELS

class Odd(NumpyBackend):
    name = "odd"
    kernels = {**KERNELS, "floor": np.ceil, "relu": lambda x: np.maximum(x, x.dtype.type(1))}
    known_differences = {"relu": "starts at one", "less": "once did"}
    def devices(self):
        return ["odd"]

register_backend("odd", Odd)
"""


def run(folder: Path, *options: str) -> tuple[int, str]:
    """pytest in a process of its own, in an empty folder, with the plug-in by its name."""
    (folder / "conftest.py").write_text(ODD)
    (folder / "pytest.ini").write_text("[pytest]\n")
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tinyaccel_pytest", "-p", "conftest", "-q", "-ra",
         "-p", "no:cacheprovider", "--pyargs", "tinyaccel.testing", *options],
        cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
    )  # fmt: skip
    return found.returncode, found.stdout + found.stderr


def test_without_a_backend_it_says_what_to_give(tmp_path: Path) -> None:
    """No backend, an unknown one, an unknown op: one line, and no success."""
    for options, says in (
        ((), "tinyaccel.testing: give --backend NAME; installed are cpu, "),
        (("--backend", "abacus"), "--backend: device: 'abacus' is unknown; expected one of "),
        (("--backend", "cpu", "--backend-ops", "sine"), "--backend-ops: op 'sine' is unknown"),
    ):
        status, text = run(tmp_path, *options)
        assert status not in (0, 5), text
        assert any(says in line for line in text.splitlines()), text
        assert "Traceback" not in text


def test_right_backend_passes(tmp_path: Path) -> None:
    """A test for each op, order and mode, and for its conventions; comparisons have no gradient."""
    status, text = run(
        tmp_path, "--backend", "cpu", "--backend-ops", "relu,less", "--backend-examples", "2", "-vv"
    )
    assert status == 0, text
    for name in (
        "test_op[cpu-relu-order0-eager]",
        "test_op[cpu-relu-order2-jitted]",
        "test_op[cpu-less-order0-jitted]",
        "test_conventions[cpu-relu-jitted]",
    ):
        assert f"{name} PASSED" in text
    assert "cpu-less-order1" not in text
    assert "test_check[cpu-jit" not in text  # named ops, and nothing else


def test_wrong_backend_fails(tmp_path: Path) -> None:
    """What is wrong fails, what is known is an expected failure, what is gone is to be removed."""
    options = ("--backend", "odd", "--backend-ops", "floor,relu,less", "--backend-examples", "3")
    status, text = run(tmp_path, *options)
    assert status == 1, text
    assert "test_op[odd-floor-order0-eager]" in text
    assert "CheckError: floor on odd" in text
    assert "XFAIL" in text
    assert "known: starts at one" in text
    assert "less on odd: no longer differs (once did); remove it from known_differences" in text
    assert "FAILED" in text
    assert not any(line.startswith("FAILED") and "relu" in line for line in text.splitlines()), text


def test_checks_by_name_run(tmp_path: Path) -> None:
    """Without a choice of ops, checks by name are tests too; backends may be several."""
    status, text = run(tmp_path, "--backend", "cpu,odd", "-k", "test_check", "-vv")
    assert status == 0, text
    for device in ("cpu", "odd"):
        assert f"test_check[{device}-jit: keeps three losses] PASSED" in text


def test_plug_in_loads_nothing_heavy() -> None:
    """pytest imports the plug-in in every run, so it imports neither tinyaccel nor NumPy."""
    program = (
        "import tinyaccel_pytest, sys;"
        "print(*sorted({'numpy', 'tinyaccel', 'hypothesis'} & sys.modules.keys()))"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env
    )
    assert out.stdout.split() == []


def test_plug_in_is_announced() -> None:
    """The distribution names it as pytest's entry point, under its module's own name."""
    project = Path(__file__).parents[2] / "pyproject.toml"
    if not project.exists():
        pytest.skip("the project file lies elsewhere")
    text = project.read_text(encoding="utf-8")
    assert '[project.entry-points.pytest11]\ntinyaccel_pytest = "tinyaccel_pytest"' in text
