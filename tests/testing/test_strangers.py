"""Backends from outside this repository: installed as packages, found, and held to everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

STRANGERS = Path(__file__).parents[1] / "strangers"

Install = Callable[[str], Path]

pytest.importorskip("pip", reason="strangers are installed by pip")
pytest.importorskip("hatchling", reason="strangers are built by hatchling")

needs_strict = pytest.mark.skipif(
    find_spec("array_api_strict") is None, reason="array-api-strict isn't installed"
)
needs_torch = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("array_api_compat") is None,
    reason="PyTorch or array-api-compat isn't installed",
)


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Install:
    """A function that installs a package of tests/strangers, and says in which folder."""
    done: dict[str, Path] = {}

    def into_a_folder(name: str) -> Path:
        if name not in done:
            done[name] = tmp_path_factory.mktemp(name)
            subprocess.run(
                [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                 "--no-deps", "--no-build-isolation", "--no-index",
                 "--target", str(done[name]), str(STRANGERS / name)],
                check=True,
            )  # fmt: skip
        return done[name]

    return into_a_folder


def python(folders: list[Path], *arguments: str) -> tuple[int, str]:
    """Python in a process of its own that has these packages besides; its status and output."""
    found = subprocess.run(
        [sys.executable, *arguments],
        cwd=folders[0], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders)), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return found.returncode, found.stdout + found.stderr


CHECK = """
import json, sys
from tinyaccel.testing import check_backend
report = check_backend(sys.argv[1], examples=1, **json.loads(sys.argv[2]))
found = {"ops": len({r.op for r in report.results}), "failures": report.failures,
         "known": {r.key: r.known for r in report.known}}
print(json.dumps(found))
"""


def check(folder: Path, device: str, **options: Any) -> dict[str, Any]:
    """What `check_backend` says there, with warnings as errors."""
    status, text = python([folder], "-W", "error", "-c", CHECK, device, json.dumps(options))
    assert status == 0, text
    found: dict[str, Any] = json.loads(text)
    return found


def test_strangers_are_found(install: Install) -> None:
    """`tinyaccel devices` names what is installed, from nothing but the packages' metadata."""
    folders = [install(name) for name in ("strict", "torch", "mutant")]
    status, text = python(folders, "-m", "tinyaccel.cli", "devices")
    assert status == 0, text
    rows = {line.split()[0]: line.split()[1:3] for line in text.splitlines() if line.split()}
    assert rows["mutant"] == ["yes", "mutant"]
    for name, library in (("strict", "array_api_strict"), ("torch", "torch")):
        assert name in rows, text
        assert find_spec(library) is None or rows[name] == ["yes", name]


@needs_strict
def test_standard_library_passes(install: Install) -> None:
    """The standard's functions and erf are enough for every op; only two dtypes are missing."""
    found = check(install("strict"), "strict", jitted=[False], orders=[0, 1])
    assert found["failures"] == []
    assert found["known"].keys() == {"float16", "bfloat16"}
    assert all(found["known"].values())
    assert found["ops"] > 150


_JITTED = ["cross_entropy", "batch_norm", "conv2d", "dropout", "sort"]


@needs_strict
def test_standard_library_passes_jitted(install: Install) -> None:
    """A graph of many ops too: what its kernels hand on to each other fits."""
    assert check(install("strict"), "strict", jitted=[True], ops=_JITTED)["failures"] == []


@needs_torch
def test_pytorch_passes(install: Install) -> None:
    """PyTorch passes everything eagerly, in every dtype; jit's own checks are among it."""
    found = check(install("torch"), "torch", jitted=[False])
    assert found == {"failures": [], "known": {}, "ops": found["ops"]}
    assert found["ops"] > 150


@needs_torch
def test_pytorch_passes_jitted(install: Install) -> None:
    """A graph of many ops too: what its kernels hand on to each other fits."""
    found = check(install("torch"), "torch", jitted=[True], ops=_JITTED)
    assert found["failures"] == []


# The pytest plug-in, found by its own entry point


def kit(folder: Path, device: str, *options: str) -> tuple[int, str]:
    """`pytest --pyargs tinyaccel.testing --backend DEVICE`, in an empty folder."""
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    return python(
        [folder], "-m", "pytest", "-p", "no:cacheprovider", "-q", "-ra", "--pyargs",
        "tinyaccel.testing", "--backend", device, "--backend-examples", "1", *options,
    )  # fmt: skip


@needs_strict
def test_plug_in_passes_a_stranger(install: Install) -> None:
    """A test for each op and order; a missing dtype is no reason to expect any of them to fail."""
    ops = ("--backend-ops", "neg,max,argsort,one_hot")
    status, text = kit(install("strict"), "strict", *ops, "-vv")
    assert status == 0, text
    assert "xfailed" not in text
    for name in ("test_op[strict-max-order2-jitted]", "test_conventions[strict-argsort-eager]"):
        assert f"{name} PASSED" in text


@needs_strict
def test_plug_in_looks_for_missing_dtypes(install: Install) -> None:
    """What the stranger says it lacks is a test of its own."""
    status, text = kit(install("strict"), "strict", "-k", "known_difference or transfer", "-vv")
    assert status == 0, text
    for name in ("float16", "bfloat16"):
        assert f"test_known_difference[strict-{name}] PASSED" in text


def test_plug_in_fails_a_mutant(install: Install) -> None:
    """A stranger with a bug: exit status 1, and the op and the call that show it."""
    status, text = kit(install("mutant"), "mutant", "--backend-ops", "neg,add")
    assert status == 1, text
    failed = {line.split()[1] for line in text.splitlines() if line.startswith("FAILED")}
    assert any("test_op[mutant-neg-order0-eager]" in name for name in failed), text
    assert not any("-add-" in name for name in failed), text
    assert "the sign of a zero is lost" in text
