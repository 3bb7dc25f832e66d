"""The compiler and cache of the C++ emulator; Ctrl-C; what is said where something is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tinyaccel.errors import BackendError
from tinyaccel_cuda import CudaCKernel, NumbaKernel
from tinyaccel_cuda.emulator.compiler import cache_directory, host_text, shared_names

ONE = 'extern "C" __global__ void one(float* x) { x[threadIdx.x] = 1; }'


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TINYACCEL_CACHE", str(tmp_path))
    return tmp_path / "cuda-sim"


def test_a_kernel_is_built_once(cache: Path) -> None:
    """The same text is built once; another text, or another compiler flag, has its own file."""
    for text in (ONE, ONE, ONE.replace("= 1", "= 2")):
        CudaCKernel(text, "one")[1, 4](np.zeros(4, np.float32))
    assert len(list(cache.glob("one-*.so"))) == 2
    assert not list(cache.glob("build-*"))


def test_two_processes_may_build_at_once(cache: Path) -> None:
    """Processes that start together with an empty cache all get a whole library."""
    program = (
        "import numpy as np; from tinyaccel_cuda import CudaCKernel\n"
        f"x = np.zeros(4, np.float32); CudaCKernel({ONE!r}, 'one')[1, 4](x); print(x.sum())"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in started:
        out, errors = process.communicate(timeout=120)
        assert (out.strip(), errors) == ("4.0", "")
    assert len(list(cache.glob("*.so"))) == 1


def test_a_cache_that_others_can_write_to_is_not_used(cache: Path) -> None:
    """A library from a directory that is open to everybody would be anybody's code."""
    cache.mkdir(mode=0o777)
    cache.chmod(0o777)
    assert cache_directory() != cache


def test_no_compiler(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """CXX that points nowhere, or a machine without any: what is missing and how to get it."""
    kernel = CudaCKernel(ONE, "one")
    monkeypatch.setenv("CXX", "/nowhere/g++")
    with pytest.raises(
        BackendError, match=r"no C\+\+ compiler .*CXX=/nowhere/g\+\+ is not there; "
    ):
        kernel[1, 4](np.zeros(4, np.float32))
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendError, match=r"found neither .*; install one \(apt install g\+\+"):
        kernel[1, 4](np.zeros(4, np.float32))


def test_cxx_is_honoured(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """CXX may be a command with arguments, and it is that which runs."""
    wrapper = tmp_path / "my c++"
    wrapper.write_text(f'#!/bin/sh\ntouch "{tmp_path}/used"\nexec c++ "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("CXX", f"'{wrapper}' -O0")
    x = np.zeros(4, np.float32)
    CudaCKernel(ONE, "one")[1, 4](x)
    assert x.sum() == 4
    assert (tmp_path / "used").exists()


def test_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CUDA C can't be emulated, the way that works is named."""
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(BackendError, match="on Linux only, not on darwin; write the kernel in Num"):
        CudaCKernel(ONE, "one")[1, 4](np.zeros(4, np.float32))


def test_no_greenlet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba kernels need greenlet on the CPU: the extra is named."""

    def kernel(x):
        x[0] = 1

    monkeypatch.setitem(sys.modules, "greenlet", None)
    with pytest.raises(BackendError, match=r"greenlet, .*pip install 'tinyaccel\[cuda-sim\]'"):
        NumbaKernel(kernel)[1, 1](np.zeros(1, np.float32))


LOOPS = ["while (x[threadIdx.x] >= 0) x[threadIdx.x] += 1;", "for (;;) __syncthreads();"]


@pytest.mark.parametrize("body", LOOPS, ids=["memory", "barriers"])
def test_an_endless_kernel_can_be_interrupted(body: str) -> None:
    """Ctrl-C ends a kernel that never would, and the next launch works."""
    text = f'extern "C" __global__ void endless(float* x, int n) {{ if (n) {body} }}'
    kernel = CudaCKernel(text, "endless")
    x = np.zeros(4, np.float32)
    kernel[1, 4](x, 0)  # builds it
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            kernel[1, 4](x, 1)
    finally:
        signal.signal(signal.SIGINT, before)
    kernel[1, 4](x, 0)


def test_a_kernel_may_be_launched_from_many_threads() -> None:
    """Launches of one kernel wait for each other."""
    kernel = CudaCKernel(ONE, "one")
    arrays = [np.zeros(256, np.float32) for _ in range(8)]
    threads = [threading.Thread(target=kernel[1, 256], args=(array,)) for array in arrays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((array == 1).all() for array in arrays)


def test_shared_declarations_become_c_plus_plus() -> None:
    """Dynamic and multiple shared declarations are rewritten on their own line, others are not."""
    text = "extern __shared__ __align__(16) float s[];\n__shared__ float a[f(1, 2)], b[3][4];"
    assert host_text(text) == (
        'extern __align__(16) float s[] __asm__("tinyaccel_dynamic_shared");\n'
        "__shared__ float a[f(1, 2)]; __shared__ float b[3][4];"
    )
    assert shared_names(text) == {"a", "b"}
    assert host_text("__shared__ float tile[T][T + 1];") == "__shared__ float tile[T][T + 1];"
