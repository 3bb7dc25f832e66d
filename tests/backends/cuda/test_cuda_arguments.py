"""What a launch refuses: arguments that don't fit the kernel, shapes that no GPU takes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numba import cuda

from tinyaccel.errors import KernelError
from tinyaccel_cuda import CudaCKernel, NumbaKernel
from tinyaccel_cuda.kernels import cuda_c
from tinyaccel_cuda.signature import parse_signature

SCALE = """
// __global__ void scale(int comment)
extern "C" __global__ void __launch_bounds__(256)
scale(const float* __restrict__ x, float *out, float factor, unsigned int n, const bool on) {
  if (threadIdx.x < n && on) out[threadIdx.x] = factor * x[threadIdx.x];
}"""
X = np.ones(4, np.float32)


@cuda.jit
def scale(x, out, factor):
    out[cuda.threadIdx.x] = factor * x[cuda.threadIdx.x]


def test_the_signature_is_read_from_the_text() -> None:
    """Names, dtypes, pointers and constness come from the source; comments don't count."""
    parameters = parse_signature(SCALE, "scale").parameters
    assert [(p.name, p.dtype.name, p.pointer, p.const) for p in parameters] == [
        ("x", "float32", True, True),
        ("out", "float32", True, False),
        ("factor", "float32", False, True),
        ("n", "uint32", False, True),
        ("on", "bool", False, True),
    ]


def read_only() -> np.ndarray:
    array = np.ones(4, np.float32)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((X, X, 2.0), r"scale: got 3 arguments, expected 5: \(const float\* __restrict__ x, float"),
        (
            (X.astype(np.float64), X, 2.0, 4, True),
            r"argument 0 \(const float\* __restrict__ x\) is an array of float64, expected float32"
            r"; pass x\.astype\('float32'\)",
        ),
        ((X, 3, 2.0, 4, True), r"argument 1 \(float \*out\) is int, expected an array of float32"),
        ((X, np.float32(3), 2.0, 4, True), "argument 1 .* is float32, expected an array"),
        ((X, X, X, 4, True), "argument 2 .* is ndarray, expected a number of float32"),
        ((X, X, 2.0, 4.0, True), r"argument 3 .* is 4\.0, expected an integer of uint32"),
        ((X, X, 2.0, -1, True), r"argument 3 .* is -1, which uint32 can't hold \(0 to 4294967295"),
        ((np.ones((4, 2), np.float32)[:, 0], X, 2.0, 4, True), "argument 0 .* strided view"),
        ((X, read_only(), 2.0, 4, True), "argument 1 .* is read-only, but the kernel may write"),
    ],
)
def test_arguments_are_held_against_the_c_signature(args: tuple[object, ...], says: str) -> None:
    """Number, kind, dtype, range and layout: one clear line each, before anything runs."""
    with pytest.raises(KernelError, match=says):
        CudaCKernel(SCALE, "scale")[1, 4](*args)


def test_a_read_only_array_may_be_read() -> None:
    """A const pointer takes an array that can't be written."""
    out = np.zeros(4, np.float32)
    CudaCKernel(SCALE, "scale")[1, 4](read_only(), out, 2, 4, True)
    np.testing.assert_array_equal(out, 2)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((X, X), r"scale: got 2 arguments, expected 3: \(x, out, factor\)"),
        ((X, [1.0], 2.0), r"scale: argument 1 \(out\) is list, expected an array or a number"),
    ],
)
def test_arguments_are_held_against_the_numba_function(args: tuple[object, ...], says: str) -> None:
    """A Numba kernel has no dtypes in its text; number and kind are checked."""
    with pytest.raises(KernelError, match=says):
        NumbaKernel(scale)[1, 4](*args)


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        (
            SCALE,
            "scales",
            "scales: no __global__ function of this name in the source, which has sc",
        ),
        ("kernels/a.cu", "a", r"which has none; to read a file pass pathlib\.Path"),
        ("__global__ void f(int n) {}", "f", 'f: is not extern "C"'),
        (
            'extern "C" __global__ void f(long n) {}',
            "f",
            r"parameter \(long n\) has a type that is",
        ),
        ('extern "C" __global__ void f(float** x) {}', "f", "has a type that is not taken"),
    ],
)
def test_a_source_that_does_not_fit(text: str, name: str, says: str) -> None:
    """A missing function, C++ linkage, an unknown type: said when the kernel is made."""
    with pytest.raises(KernelError, match=says):
        CudaCKernel(text, name)


def test_something_that_is_no_function() -> None:
    """NumbaKernel takes a function or a Numba dispatcher."""
    with pytest.raises(KernelError, match="NumbaKernel: got int, expected a function"):
        NumbaKernel(3)  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.parametrize(
    ("grid", "block", "shared", "says"),
    [
        (0, 1, 0, "grid 0; expected one to three integers of at least 1"),
        (1, (1, 2, 3, 4), 0, r"block \(1, 2, 3, 4\); expected one to three"),
        (1, 1025, 0, r"block \(1025, 1, 1\) has 1025 threads; a GPU takes at most 1024"),
        (1, (1, 1, 65), 0, "64 along z"),
        ((1, 65536), 1, 0, r"grid \(1, 65536, 1\) is too large"),
        (1, 1, 300_000, "shared_bytes=300000; a block has at most 232448 bytes"),
    ],
)
def test_shapes_that_no_gpu_takes(grid: object, block: object, shared: int, says: str) -> None:
    """The emulator refuses what the hardware would."""
    args = (X, X, np.zeros(4, np.float32), 4)
    with pytest.raises(KernelError, match=says):
        cuda_c("vector_add").launch(grid, block, args, shared_bytes=shared)  # type: ignore[arg-type]


def test_an_unknown_order_and_device() -> None:
    """A mistyped option is an error, not a default."""
    args = (X, X, np.zeros(4, np.float32), 4)
    with pytest.raises(KernelError, match="order 'backward'; expected forward, reversed or shuff"):
        cuda_c("vector_add").launch(1, 4, args, order="backward")  # type: ignore[arg-type]
    with pytest.raises(KernelError, match="device 'gpu'; expected cuda or cuda-sim"):
        cuda_c("vector_add").launch(1, 4, args, device="gpu")


class OnGpu:
    """Looks like a CuPy array."""

    __cuda_array_interface__: dict[str, object] = {}  # noqa: RUF012  # a stand-in


def test_an_array_on_the_wrong_device() -> None:
    """A CuPy array on cuda-sim is named, with what to do."""
    with pytest.raises(KernelError, match="argument 1 is a CuPy array, device cuda-sim takes NumP"):
        cuda_c("vector_add").launch(1, 4, (X, OnGpu(), X, 4), device="cuda-sim")


def test_a_compile_error_names_the_users_line(tmp_path: Path) -> None:
    """The compiler's first error, with the line of the .cu text, whether string or file."""
    text = 'extern "C" __global__ void broken(float* x) {\n  x[0] = y;\n}'
    says = r"broken: does not compile: {}:2:10: .*'y'"
    with pytest.raises(KernelError, match=says.format("<broken>")):
        CudaCKernel(text, "broken")[1, 1](X)
    file = tmp_path / "broken.cu"
    file.write_text(text)
    with pytest.raises(KernelError, match=says.format(re.escape(str(file)))):
        CudaCKernel(file, "broken")[1, 1](X)


def test_a_file_may_include_its_neighbours(tmp_path: Path) -> None:
    """A .cu file's own #include is found beside it, and a change in it builds anew."""
    file, header = tmp_path / "main.cu", tmp_path / "value.h"
    file.write_text('#include "value.h"\nextern "C" __global__ void f(float* x) { x[0] = VALUE; }')
    out = np.zeros(1, np.float32)
    for value in (1, 2):
        header.write_text(f"#define VALUE {value}")
        CudaCKernel(file, "f")[1, 1](out)
        assert out[0] == value
