"""Summing with shared memory: a kernel as an article prints it, its bugs found, and the right one.

    python examples/cuda_shared_sum.py                  # any computer: the kernels are emulated
    python examples/cuda_shared_sum.py --device cuda    # the right kernel on an NVIDIA GPU

The threads of a block share a small, fast memory. To add 256 numbers there, half of the threads add
two numbers each, then half of those, ...: a tree, 8 steps deep instead of 255. Between two steps
every thread must wait for the others at a barrier. A GPU doesn't tell when that goes wrong: the sum
is sometimes right. The emulator does, every time.
"""

from __future__ import annotations

import argparse
import math
from types import ModuleType
from typing import Literal

import numpy as np
from numba import cuda, float32

from tinyaccel.errors import DeviceError, KernelError
from tinyaccel_cuda import CudaCKernel, NumbaKernel
from tinyaccel_cuda.gpu import gpu_count, import_cupy
from tinyaccel_cuda.kernels import cuda_c
from tinyaccel_cuda.kernels.shared_sum import shared_sum

BLOCK = 256

# 1. As printed. Two things are wrong in the loop, one before it.

PRINTED_C = """
extern "C" __global__ void printed(const float* x, float* partial) {
  __shared__ float share[256];
  int t = threadIdx.x;
  share[t] = x[blockIdx.x * blockDim.x + t];
  for (int s = 1; s < blockDim.x; s *= 2) {
    share[t] += share[t + s];
  }
  if (t == 0) partial[blockIdx.x] = share[0];
}
"""


@cuda.jit
def printed(x, partial):  # type: ignore[no-untyped-def]  # compiled by Numba, not run as Python
    share = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    share[t] = x[cuda.grid(1)]
    s = 1
    while s < cuda.blockDim.x:
        share[t] += share[t + s]
        s *= 2
    if t == 0:
        partial[cuda.blockIdx.x] = share[0]


# 2. With barriers, and only those threads adding that have something to add. One bug is left.

REPAIRED_C = """
extern "C" __global__ void repaired(const float* x, float* partial) {
  __shared__ float share[256];
  int t = threadIdx.x;
  share[t] = x[blockIdx.x * blockDim.x + t];
  __syncthreads();
  for (int s = blockDim.x / 2; s > 0; s /= 2) {
    if (t < s) share[t] += share[t + s];
    __syncthreads();
  }
  if (t == 0) partial[blockIdx.x] = share[0];
}
"""


@cuda.jit
def repaired(x, partial):  # type: ignore[no-untyped-def]  # compiled by Numba, not run as Python
    share = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x
    share[t] = x[cuda.grid(1)]
    cuda.syncthreads()
    s = cuda.blockDim.x // 2
    while s > 0:
        if t < s:
            share[t] += share[t + s]
        cuda.syncthreads()
        s //= 2
    if t == 0:
        partial[cuda.blockIdx.x] = share[0]


def show_bug(
    kernel: CudaCKernel | NumbaKernel, x: np.ndarray, order: Literal["forward", "reversed"]
) -> None:
    """Launch a faulty kernel in the emulator and print what it reports."""
    blocks = -(-x.size // BLOCK)
    try:
        kernel.launch(blocks, BLOCK, (x, np.zeros(blocks, np.float32)), order=order)
    except KernelError as error:
        print(f"  {error}\n")
    else:
        raise AssertionError(f"the emulator missed the bug in {kernel.name}")


def library(device: str) -> ModuleType:
    """NumPy for arrays on the CPU, CuPy for arrays on the GPU."""
    if device == "cuda-sim":
        return np
    try:
        gpu_count()
        return import_cupy()
    except (DeviceError, ImportError) as error:
        raise SystemExit(f"{error}") from error


def main() -> None:
    parser = argparse.ArgumentParser(description="a sum in shared memory, wrong and right")
    parser.add_argument("--device", choices=["cuda-sim", "cuda"], default="cuda-sim")
    device = parser.parse_args().device
    xp = library(device)

    n = 1000
    x = np.random.default_rng(0).standard_normal(n).astype(np.float32)
    print(f"The sum of {n} float32 numbers in {-(-n // BLOCK)} blocks of {BLOCK} threads.\n")

    print("1. As printed: nobody waits for anybody. In CUDA C, then in Numba-CUDA:\n")
    for kernel in (CudaCKernel(PRINTED_C, "printed"), NumbaKernel(printed)):
        show_bug(kernel, x, "forward")
    print("   Run the last thread first, and it walks off the end of `share` as well:\n")
    for kernel in (CudaCKernel(PRINTED_C, "printed"), NumbaKernel(printed)):
        show_bug(kernel, x[:BLOCK], "reversed")

    print(f"2. With barriers, and a tree that stays inside. But {n} is no multiple of {BLOCK}:\n")
    for kernel in (CudaCKernel(REPAIRED_C, "repaired"), NumbaKernel(repaired)):
        show_bug(kernel, x, "forward")

    print("3. Right: each thread first adds up its share of x with a grid-stride loop, which ends")
    print(f"   at n; a second launch adds the blocks' sums. On {device}:\n")
    exact = math.fsum(x.tolist())
    budget = 4 * math.sqrt(n) * float(np.finfo(np.float32).eps) * float(np.abs(x).sum())
    blocks = -(-n // BLOCK)
    there = xp.asarray(x)
    for language in ("CUDA C", "Numba-CUDA"):
        partial, total = xp.zeros(blocks, dtype=np.float32), xp.zeros(1, dtype=np.float32)
        if language == "CUDA C":
            c_kernel = cuda_c("shared_sum")
            c_kernel[blocks, BLOCK](there, partial, n)
            c_kernel[1, BLOCK](partial, total, blocks)
        else:
            numba_kernel = NumbaKernel(shared_sum)
            numba_kernel[blocks, BLOCK](there, partial)
            numba_kernel[1, BLOCK](partial, total)
        error = abs(float(total[0]) - exact)
        assert error <= budget
        print(f"  {language:10}  {float(total[0]):.6f}, off the exact sum by {error:.1e}")
    print(f"  allowed for {n} numbers: {budget:.1e}")


if __name__ == "__main__":
    main()
