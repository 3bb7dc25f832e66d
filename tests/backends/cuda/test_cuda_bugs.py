"""Planted bugs: each must be reported by name, with line, block and thread, in each language.

Every kernel stands twice, in CUDA C and in Numba-CUDA; the faulty line is marked BUG, and where two
lines take part the other is marked ALSO.
"""

from __future__ import annotations

import inspect
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import numpy as np
import pytest
from numba import cuda, float32

from tinyaccel.errors import KernelError
from tinyaccel_cuda import CudaCKernel, NumbaKernel
from tinyaccel_cuda.emulator.reports import shown
from tinyaccel_cuda.kernel import Kernel, Order


def zeros(size: int) -> np.ndarray:
    return np.zeros(size, np.float32)


# The kernels. Those of Numba are compiled by nobody here: mypy sees untyped functions.


@cuda.jit
def missing_barrier(x, out):
    tile = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    tile[t] = x[t]  # BUG if the reader comes first
    out[t] = tile[63 - t]  # BUG if the writer comes first


@cuda.jit
def missing_loop_barrier(x, out):
    tile = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    tile[t] = x[t]
    cuda.syncthreads()
    half = 32
    while half > 0:
        if t < half:
            tile[t] += tile[t + half]  # BUG
        half //= 2
    if t == 0:
        out[0] = tile[0]


@cuda.jit
def two_writers(x, out):
    tile = cuda.shared.array(1, float32)
    t = cuda.threadIdx.x
    tile[0] = x[t]  # BUG
    cuda.syncthreads()
    out[t] = tile[0]


@cuda.jit
def exited_barrier(x, n):
    t = cuda.threadIdx.x
    if t < n:
        cuda.syncthreads()  # BUG
        x[t] = 1


@cuda.jit
def split_barrier(x, n):
    t = cuda.threadIdx.x
    if t < n:
        cuda.syncthreads()  # BUG
    else:
        cuda.syncthreads()  # ALSO
    x[t] = 1


@cuda.jit
def read_outside(x, out):
    i = cuda.grid(1)
    out[i] = x[i]  # BUG


@cuda.jit
def write_outside(x, out):
    i = cuda.grid(1)
    out[i - 1] = x[i]  # BUG


@cuda.jit
def shared_read_outside(x, out):
    other = cuda.shared.array(64, float32)
    tile = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    tile[t] = x[t]
    other[t] = x[t]
    cuda.syncthreads()
    out[t] = tile[t + 1] + other[t]  # BUG


@cuda.jit
def shared_write_outside(x, out):
    tile = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    tile[t] = x[t]  # BUG
    cuda.syncthreads()
    out[t] = tile[t]


@cuda.jit
def dynamic_outside(x, out):
    tile = cuda.shared.array(0, float32)
    t = cuda.threadIdx.x
    tile[t] = x[t]  # BUG
    cuda.syncthreads()
    out[t] = tile[t]


@cuda.jit
def uninitialised(x, out):
    tile = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    if t < 40:
        tile[t] = x[t]
    cuda.syncthreads()
    out[t] = tile[t]  # BUG


@cuda.jit
def deadlock(x, out):
    t = cuda.threadIdx.x
    if t % 2 == 0:
        cuda.syncwarp()  # BUG
    else:
        cuda.syncthreads()  # ALSO
    out[t] = x[t]


@cuda.jit
def bad_mask(x, out):
    t = cuda.threadIdx.x
    out[t] = cuda.shfl_down_sync(0xFFFF, x[t], 1)  # BUG


C = {
    "missing_barrier": """
        __shared__ float tile[64];
        int t = threadIdx.x;
        tile[t] = x[t];  // BUG if the reader comes first
        out[t] = tile[63 - t];  // BUG if the writer comes first
    """,
    "missing_loop_barrier": """
        __shared__ float tile[64];
        int t = threadIdx.x;
        tile[t] = x[t];
        __syncthreads();
        for (int half = 32; half > 0; half /= 2)
          if (t < half)
            tile[t] += tile[t + half];  // BUG
        if (t == 0) out[0] = tile[0];
    """,
    "two_writers": """
        __shared__ float tile[1];
        int t = threadIdx.x;
        tile[0] = x[t];  // BUG
        __syncthreads();
        out[t] = tile[0];
    """,
    "exited_barrier": """
        int t = threadIdx.x;
        if (t < n) {
          __syncthreads();  // BUG
          x[t] = 1;
        }
    """,
    "split_barrier": """
        int t = threadIdx.x;
        if (t < n)
          __syncthreads();  // BUG
        else
          __syncthreads();  // ALSO
        x[t] = 1;
    """,
    "read_outside": """
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        out[i] = x[i];  // BUG
    """,
    "write_outside": """
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        out[i - 1] = x[i];  // BUG
    """,
    "shared_read_outside": """
        __shared__ float other[64], tile[64];
        int t = threadIdx.x;
        tile[t] = x[t];
        other[t] = x[t];
        __syncthreads();
        out[t] = tile[t + 1] + other[t];  // BUG
    """,
    "shared_write_outside": """
        __shared__ float tile[32];
        int t = threadIdx.x;
        tile[t] = x[t];  // BUG
        __syncthreads();
        out[t] = tile[t];
    """,
    "dynamic_outside": """
        extern __shared__ float tile[];
        int t = threadIdx.x;
        tile[t] = x[t];  // BUG
        __syncthreads();
        out[t] = tile[t];
    """,
    "uninitialised": """
        __shared__ float tile[64];
        int t = threadIdx.x;
        if (t < 40) tile[t] = x[t];
        __syncthreads();
        out[t] = tile[t];  // BUG
    """,
    "deadlock": """
        int t = threadIdx.x;
        if (t % 2 == 0)
          __syncwarp();  // BUG
        else
          __syncthreads();  // ALSO
        out[t] = x[t];
    """,
    "bad_mask": """
        int t = threadIdx.x;
        out[t] = __shfl_down_sync(0xffff, x[t], 1);  // BUG
    """,
}


@dataclass(frozen=True)
class Case:
    function: Any
    says: str  # a regular expression; {also} is the other line
    block: int = 0
    thread: int = 0
    args: Callable[[], tuple[object, ...]] = lambda: (np.arange(64, dtype=np.float32), zeros(64))
    grid: int = 1
    c_parameters: str = "const float* x, float* out"
    launch: dict[str, Any] = field(default_factory=dict)
    c_says: str | None = None  # where the two languages differ


RACE = r"missing barrier \(shared-memory race\)"
CASES = [
    # Thread 31 is the first to read what a later one writes: tile[32], and thread 32 does.
    Case(missing_barrier, RACE + r".*writes tile\[32\], which thread \(31, 0, 0\) read at", 0, 32),
    Case(
        missing_loop_barrier,
        RACE + r".*writes tile\[1\], which thread \(0, 0, 0\) read at .* no barrier between; put",
        0,
        1,
    ),
    Case(two_writers, RACE + r".*writes tile\[0\], which thread \(0, 0, 0\) wrote at", 0, 1),
    Case(
        exited_barrier,
        r"divergent barrier.*40 threads wait at .*syncthreads\(\) but 24 already returned, thread "
        r"\(40, 0, 0\) among them; every thread of the block must reach",
        args=lambda: (zeros(64), 40),
        c_parameters="float* x, int n",
    ),
    Case(
        split_barrier,
        r"divergent barrier.*40 threads wait at this .*syncthreads\(\) but 24 at {also}, thread "
        r"\(40, 0, 0\) among them; all threads",
        args=lambda: (zeros(64), 40),
        c_parameters="float* x, int n",
    ),
    Case(
        read_outside,
        r"out-of-bounds read.*reads x\[100\], but x has 100 elements; .* if ",
        1,
        36,
        lambda: (zeros(100), zeros(128)),
        grid=2,
    ),
    Case(write_outside, r"out-of-bounds write.*writes out\[-1\], but out has 64 elements"),
    Case(
        shared_read_outside,
        r"out-of-bounds read.*reads tile\[64\], but tile has 64 elements; make the shared array",
        0,
        63,
    ),
    Case(shared_write_outside, r"out-of-bounds write.*writes tile\[32\], but tile has 32", 0, 32),
    Case(
        dynamic_outside,
        r"out-of-bounds write.*writes tile\[48\], but tile has 48 elements",
        0,
        48,
        launch={"shared_bytes": 192},
        c_says=r"out-of-bounds write.*writes the dynamic shared memory\[48\], but the launch gave "
        "shared_bytes=192",
    ),
    Case(
        uninitialised,
        r"uninitialised shared read.*reads tile\[40\], which no thread of this block has written; "
        "shared memory starts out as garbage",
        0,
        40,
    ),
    Case(
        deadlock,
        r"deadlock.*32 threads wait in a warp operation, 32 at the barrier at {also}; all lanes",
    ),
    Case(bad_mask, r"bad warp mask.*mask 0x0000ffff leaves out the calling lane 16; set", 0, 16),
]


def c_kernel(case: Case) -> tuple[CudaCKernel, str]:
    name = case.function.__name__
    text = f'extern "C" __global__ void {name}({case.c_parameters}) {{{C[name]}}}'
    return CudaCKernel(text, name), text


def lines(text: str, marker: str, first: int = 1) -> list[int]:
    return [first + i for i, line in enumerate(text.splitlines()) if marker in line]


def check(kernel: Kernel, case: Case, file: str, text: str, first: int, says: str) -> None:
    faulty = "|".join(map(str, lines(text, " BUG", first)))
    also = lines(text, " ALSO", first)
    says = says.replace("{also}", rf"{re.escape(file)}:{also[0] if also else 0}")
    args = case.args()
    before = [a.copy() for a in args if isinstance(a, np.ndarray)]
    with pytest.raises(KernelError, match=says) as caught:
        kernel.launch(case.grid, 64, args, **case.launch)
    place = (
        rf"{kernel.name}: [a-z() -]+ at {re.escape(file)}:({faulty}), "
        rf"block \({case.block}, 0, 0\), thread \({case.thread}, 0, 0\): "
    )
    message = str(caught.value)
    assert re.match(place, message), message
    assert "\n" not in message
    for array, values in zip((a for a in args if isinstance(a, np.ndarray)), before, strict=True):
        np.testing.assert_array_equal(array, values)  # a kernel that fails changes nothing


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.function.__name__)
def test_bug_in_cuda_c_is_reported(
    case: Case, compiler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The C++ emulator names the bug, the line, the block and the thread, by either compiler."""
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} on this machine")
    monkeypatch.setenv("CXX", compiler)
    kernel, text = c_kernel(case)
    check(kernel, case, f"<{kernel.name}>", text, 1, case.c_says or case.says)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.function.__name__)
def test_bug_in_numba_is_reported(case: Case) -> None:
    """The greenlet emulator says the same of the same kernel in Python."""
    function: FunctionType = case.function.py_func
    source, first = inspect.getsourcelines(function)
    check(NumbaKernel(case.function), case, shown(__file__), "".join(source), first, case.says)


@pytest.mark.parametrize("order", ["reversed", "shuffled"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.function.__name__)
def test_bug_is_found_in_every_order(case: Case, order: Order) -> None:
    """No bug hides behind an order of threads, in either language."""
    kind = re.match(r"[\w -]+", case.says)
    assert kind is not None
    for kernel in (c_kernel(case)[0], NumbaKernel(case.function)):
        for seed in range(3):
            with pytest.raises(KernelError, match=kind[0].strip()):
                kernel.launch(case.grid, 64, case.args(), order=order, seed=seed, **case.launch)


def test_a_report_after_a_report() -> None:
    """After a kernel was stopped in the middle, the same kernel runs again and reports again."""
    kernel, _ = c_kernel(CASES[0])
    messages = set()
    for _ in range(3):
        with pytest.raises(KernelError) as caught:
            kernel.launch(1, 64, CASES[0].args())
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_a_race_in_a_template_is_found() -> None:
    """Shared memory of a template is watched too: here it is used again without a barrier."""
    text = """
    template <int N> __device__ float turn(float value) {
      __shared__ float tile[N];
      tile[threadIdx.x] = value;
      __syncthreads();
      return tile[N - 1 - threadIdx.x];
    }
    extern "C" __global__ void twice(float* x) {
      x[threadIdx.x] = turn<8>(turn<8>(x[threadIdx.x]));
    }"""
    with pytest.raises(KernelError, match=r"missing barrier.*tile\[\d\], which thread"):
        CudaCKernel(text, "twice")[1, 8](zeros(8))
    fixed = text.replace(
        "return tile[N - 1 - threadIdx.x];",
        "value = tile[N - 1 - threadIdx.x]; __syncthreads(); return value;",
    )
    x = np.arange(8, dtype=np.float32)
    CudaCKernel(fixed, "twice")[1, 8](x)
    np.testing.assert_array_equal(x, np.arange(8))


def test_an_overlapping_output_is_checked_once() -> None:
    """Two arguments that are views of one array stay views of one: an in-place update works."""
    text = """extern "C" __global__ void shift(const float* x, float* out) {
        out[threadIdx.x] = x[threadIdx.x] + 1;
    }"""
    values = zeros(11)
    CudaCKernel(text, "shift")[1, 10](values[1:], values[:-1])
    expected = zeros(11)
    for i in range(10):  # thread by thread, in order
        expected[i] = expected[i + 1] + 1
    np.testing.assert_array_equal(values, expected)


def test_a_neighbouring_argument_is_out_of_bounds() -> None:
    """Running off one argument into the next is found although both lie in one NumPy array."""
    text = """extern "C" __global__ void halves(const float* x, float* out) {
        out[threadIdx.x] = x[threadIdx.x];
    }"""
    values = zeros(64)
    with pytest.raises(KernelError, match=r"reads x\[32\], but x has 32 elements"):
        CudaCKernel(text, "halves")[1, 33](values[:32], values[32:])


def test_a_null_pointer_and_a_wild_one() -> None:
    """A made-up address is reported, not followed."""
    text = """extern "C" __global__ void wild(float* x, unsigned long long address) {
        *(float*)address = x[0];
    }"""
    kernel = CudaCKernel(text, "wild")
    with pytest.raises(KernelError, match=r"writes address 0, but that is a null pointer"):
        kernel[1, 1](zeros(1), 0)
    with pytest.raises(KernelError, match=r"writes address 0x123456780, but no array is near it"):
        kernel[1, 1](zeros(1), 0x123456780)


def test_a_failed_assertion_and_a_stack_overflow() -> None:
    """assert() and endless recursion end the kernel, not the process."""
    text = """#include <cassert>
    extern "C" __global__ void claim(float* x) {
        assert(x[0] > 0);
    }"""
    with pytest.raises(KernelError, match=r"failed assertion at <claim>:3,.*assert\(x\[0\] > 0\)"):
        CudaCKernel(text, "claim")[1, 1](zeros(1))
    text = """
    __device__ float deeper(float* x, int n) { float y[16]; y[n & 15] = x[0];
      return deeper(y, n + 1) + y[0]; }
    extern "C" __global__ void endless(float* x) { x[0] = deeper(x, 0); }"""
    with pytest.raises(KernelError, match="endless: stack overflow"):
        CudaCKernel(text, "endless")[1, 1](zeros(1))


def test_python_errors_and_foreign_words_in_a_numba_kernel() -> None:
    """What Numba would not compile is an error with the kernel's line, not a bare traceback."""

    def divides(x):
        x[0] = 1 // cuda.threadIdx.x

    def foreign(x):
        x[0] = cuda.nanosleep(3)

    def fractional(x):
        x[cuda.blockDim.x / 2] = 1

    with pytest.raises(KernelError, match=r"divides: Python error at .*ZeroDivisionError"):
        NumbaKernel(divides)[1, 1](zeros(1))
    with pytest.raises(KernelError, match=r"foreign: not emulated at .*: cuda\.nanosleep; run"):
        NumbaKernel(foreign)[1, 1](zeros(1))
    with pytest.raises(KernelError, match=r"fractional: wrong index at .*index of type float; an"):
        NumbaKernel(fractional)[1, 1](zeros(1))
