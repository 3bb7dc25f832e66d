"""The kernels compiled for real GPUs, without one: CUDA C to machine code, Numba to PTX."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import tinyaccel_cuda.kernels

KERNELS = Path(tinyaccel_cuda.kernels.__file__).parent
SOURCES = sorted(KERNELS.glob("*.cu"))
ARCHITECTURES = ["75", "80", "90"]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_cuda_c_compiles_with_nvcc(source: Path, architecture: str, tmp_path: Path) -> None:
    """nvcc takes each .cu file as it is, and the machine code has the kernel's name."""
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc on this machine")
    made = tmp_path / "kernel.cubin"
    command = [nvcc, "-cubin", f"-arch=sm_{architecture}", "-std=c++17", "-o", made, source]
    subprocess.run(command, check=True, capture_output=True, text=True)
    assert source.stem.encode() in made.read_bytes()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_cuda_c_compiles_with_nvrtc(source: Path, architecture: str) -> None:
    """NVRTC, which CuPy uses, takes each .cu file as it is."""
    core = pytest.importorskip("cuda.core", reason="no cuda-core, which comes with the cuda extra")
    try:
        options = core.ProgramOptions(arch=f"sm_{architecture}", std="c++17")
        program = core.Program(source.read_text(), "c++", options)
    except RuntimeError as error:  # cuda-core without its NVRTC library
        pytest.skip(f"no NVRTC: {error}")
    assert source.stem.encode() in program.compile("cubin").code


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", [path.stem for path in SOURCES])
def test_numba_compiles_to_ptx(name: str, architecture: str) -> None:
    """Numba's own compiler takes each kernel's Python twin."""
    numba = pytest.importorskip("numba")
    cuda = pytest.importorskip("numba.cuda")
    module = __import__(f"tinyaccel_cuda.kernels.{name}", fromlist=[name])
    vector = numba.float32[::1]
    arrays = 3 if name == "vector_add" else 2
    try:
        ptx, _ = cuda.compile_ptx(
            getattr(module, name).py_func,
            numba.void(*[vector] * arrays),
            cc=(int(architecture[0]), int(architecture[1])),
        )
    except AttributeError as error:
        if "module 'numpy' has no attribute" not in str(error):
            raise
        pytest.skip(f"this numba-cuda is older than this NumPy: {error}")
    except (ImportError, RuntimeError, OSError) as error:
        pytest.skip(f"no NVVM or NVRTC: {error}")
    assert f"sm_{architecture}" in ptx
    assert ("bar.sync" in ptx) == (name == "shared_sum")
