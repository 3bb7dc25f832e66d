"""A first CUDA kernel: out = x + y, in CUDA C and in Numba-CUDA, on a GPU or without one.

    python examples/cuda_vector_add.py                  # any computer: the kernels are emulated
    python examples/cuda_vector_add.py --device cuda    # an NVIDIA GPU

A GPU runs the same function in many threads at once. Threads come in blocks (here of 256), blocks
in a grid; each thread finds out who it is and does its share of the work.
"""

from __future__ import annotations

import argparse
from types import ModuleType

import numpy as np
from numba import cuda

from tinyaccel.errors import DeviceError, KernelError
from tinyaccel_cuda import CudaCKernel, NumbaKernel
from tinyaccel_cuda.gpu import gpu_count, import_cupy

BLOCK = 256

# In CUDA C. `first` is the thread's number in the whole grid. The loop steps by the number of all
# threads (a grid-stride loop), so any grid computes any n, and threads that run side by side touch
# addresses that lie side by side.
CUDA_C = """
extern "C" __global__ void vector_add(const float* x, const float* y, float* out, int n) {
  int first = blockIdx.x * blockDim.x + threadIdx.x;
  int step = gridDim.x * blockDim.x;
  for (int i = first; i < n; i += step) {
    out[i] = x[i] + y[i];
  }
}
"""


# The same in Numba-CUDA: cuda.grid(1) is `first`, cuda.gridsize(1) is `step`.
@cuda.jit
def vector_add(x, y, out):  # type: ignore[no-untyped-def]  # compiled by Numba, not run as Python
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        out[i] = x[i] + y[i]


# What a beginner writes first: one element a thread, and no thread asks whether it has one.
UNGUARDED = """
extern "C" __global__ void unguarded(const float* x, const float* y, float* out) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = x[i] + y[i];
}
"""


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
    parser = argparse.ArgumentParser(description="vector addition in CUDA C and Numba-CUDA")
    parser.add_argument("--device", choices=["cuda-sim", "cuda"], default="cuda-sim")
    device = parser.parse_args().device
    xp = library(device)

    n = 10_000
    host_x, host_y = np.random.default_rng(0).standard_normal((2, n)).astype(np.float32)
    x, y = xp.asarray(host_x), xp.asarray(host_y)
    print(f"{n} float32 numbers, blocks of {BLOCK} threads, device {device}\n")

    c_kernel, numba_kernel = CudaCKernel(CUDA_C, "vector_add"), NumbaKernel(vector_add)
    for grid in (1, 16, -(-n // BLOCK)):
        share = -(-n // (grid * BLOCK))
        print(f"grid of {grid:2} blocks = {grid * BLOCK:5} threads, up to {share} elements each")
        out_c, out_numba = xp.zeros_like(x), xp.zeros_like(x)
        c_kernel[grid, BLOCK](x, y, out_c, n)
        numba_kernel[grid, BLOCK](x, y, out_numba)
        for language, out in (("CUDA C", out_c), ("Numba-CUDA", out_numba)):
            result = out if device == "cuda-sim" else xp.asnumpy(out)
            assert np.array_equal(result, host_x + host_y)
            print(f"  {language:10}  equal to NumPy in all {n} elements")

    print(f"\nNow without the test i < n: {-(-n // BLOCK) * BLOCK} threads for {n} elements.")
    print("On a GPU this reads and writes memory that isn't ours, mostly unseen. The emulator:\n")
    try:
        grid = -(-n // BLOCK)
        CudaCKernel(UNGUARDED, "unguarded")[grid, BLOCK](host_x, host_y, np.zeros_like(host_x))
    except KernelError as error:
        print(f"  {error}")
    else:
        raise AssertionError("the emulator missed the access out of bounds")


if __name__ == "__main__":
    main()
