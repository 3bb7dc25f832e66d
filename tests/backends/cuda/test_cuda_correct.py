"""Kernels without a bug: the emulators must raise nothing, and compute what a GPU would."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from numba import cuda, float32, int32

from tinyaccel_cuda import CudaCKernel, NumbaKernel
from tinyaccel_cuda.kernel import Order

ORDERS = get_args(Order)
T = 8  # the width of a tile


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


# Warp operations and a partial last warp


@cuda.jit(device=True)
def warp_sum(value):
    for shift in (16, 8, 4, 2, 1):
        value += cuda.shfl_xor_sync(0xFFFFFFFF, value, shift)
    return value


@cuda.jit
def warp_sums(x, out):
    t = cuda.threadIdx.x
    value = warp_sum(x[t])
    if cuda.laneid == 0:
        out[t // 32] = value


WARP_SUMS = """
template <int W> __device__ float warp_sum(float v) {
  for (int shift = W / 2; shift > 0; shift /= 2) v += __shfl_xor_sync(0xffffffffu, v, shift);
  return v;
}
extern "C" __global__ void warp_sums(const float* x, float* out) {
  float value = warp_sum<32>(x[threadIdx.x]);
  if (threadIdx.x % 32 == 0) out[threadIdx.x / 32] = value;
}"""


@pytest.mark.parametrize("order", ORDERS)
def test_warp_shuffles(order: Order) -> None:
    """Each warp adds its 32 values by shuffles, through a device function, without a barrier."""
    x = floats(128)
    for kernel in (CudaCKernel(WARP_SUMS, "warp_sums"), NumbaKernel(warp_sums)):
        out = np.zeros(4, np.float32)
        kernel.launch(1, 128, (x, out), order=order)
        np.testing.assert_allclose(out, x.reshape(4, 32).sum(1), rtol=1e-5)


@cuda.jit
def warp_words(out):
    t = cuda.threadIdx.x
    full = 0xFFFFFFFF
    out[0, t] = cuda.ballot_sync(full, t % 3 == 0) & 0x7FFFFFFF
    out[1, t] = cuda.shfl_up_sync(full, t, 1)
    out[2, t] = cuda.shfl_down_sync(full, t, 2)
    out[3, t] = cuda.shfl_sync(full, t, 5)
    out[4, t] = cuda.any_sync(full, t == 31)
    out[5, t] = cuda.all_sync(full, t < 31)
    out[6, t] = cuda.syncthreads_count(t < 7)
    out[7, t] = cuda.syncthreads_or(t == 3) + 2 * cuda.syncthreads_and(t == 3)
    out[8, t] = cuda.popc(t) + 100 * cuda.clz(t) + 10000 * cuda.ffs(t)


WARP_WORDS = """extern "C" __global__ void warp_words(int* out) {
  int t = threadIdx.x;
  unsigned full = 0xffffffffu;
  out[t] = __ballot_sync(full, t % 3 == 0) & 0x7fffffff;
  out[32 + t] = __shfl_up_sync(full, t, 1);
  out[64 + t] = __shfl_down_sync(full, t, 2);
  out[96 + t] = __shfl_sync(full, t, 5);
  out[128 + t] = __any_sync(full, t == 31);
  out[160 + t] = __all_sync(full, t < 31);
  out[192 + t] = __syncthreads_count(t < 7);
  int some = __syncthreads_or(t == 3);
  out[224 + t] = some + 2 * __syncthreads_and(t == 3);
  out[256 + t] = __popc(t) + 100 * __clz(t) + 10000 * __ffs(t);
}"""


@pytest.mark.parametrize("order", ORDERS)
def test_warp_and_block_votes(order: Order) -> None:
    """Ballots, shuffles, votes and bit counts give what their definitions say."""
    t = np.arange(32)
    expected = np.zeros((9, 32), np.int32)
    expected[0] = sum(1 << i for i in range(0, 31, 3))
    expected[1] = np.maximum(t - 1, 0)
    expected[2] = np.where(t + 2 < 32, t + 2, t)
    expected[3], expected[4], expected[5], expected[6], expected[7] = 5, 1, 0, 7, 1
    bits = [bin(i) for i in range(32)]
    expected[8] = [
        b.count("1") + 100 * (32 - i.bit_length()) + 10000 * (i & -i).bit_length()
        for i, b in enumerate(bits)
    ]
    for kernel in (CudaCKernel(WARP_WORDS, "warp_words"), NumbaKernel(warp_words)):
        out = np.zeros((9, 32), np.int32)
        kernel.launch(1, 32, (out,), order=order)
        np.testing.assert_array_equal(out, expected)


# Shared memory within one warp, ordered by syncwarp alone


@cuda.jit
def warp_reverse(x, out):
    tile = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    tile[t] = x[t]
    cuda.syncwarp()
    value = tile[t ^ 31]
    cuda.syncwarp()
    tile[t] = value + 1
    cuda.syncwarp()
    out[t] = tile[t ^ 31]


WARP_REVERSE = """extern "C" __global__ void warp_reverse(const float* x, float* out) {
  __shared__ float tile[64];
  int t = threadIdx.x;
  tile[t] = x[t];
  __syncwarp();
  float value = tile[t ^ 31];
  __syncwarp();
  tile[t] = value + 1;
  __syncwarp();
  out[t] = tile[t ^ 31];
}"""


@pytest.mark.parametrize("order", ORDERS)
def test_syncwarp_orders_the_lanes_of_a_warp(order: Order) -> None:
    """What a lane wrote before syncwarp may be read by another lane after it."""
    x = floats(64)
    for kernel in (CudaCKernel(WARP_REVERSE, "warp_reverse"), NumbaKernel(warp_reverse)):
        out = np.zeros(64, np.float32)
        kernel.launch(1, 64, (x, out), order=order)
        np.testing.assert_array_equal(out, x + 1)


# Tiles, two dimensions, dynamic shared memory, atomics


@cuda.jit
def matmul(a, b, out):
    tile_a = cuda.shared.array((T, T), float32)
    tile_b = cuda.shared.array((T, T), float32)
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    column, row = cuda.grid(2)
    total = float32(0)
    for k in range(0, a.shape[1], T):
        inside_a = row < a.shape[0] and k + x < a.shape[1]
        inside_b = column < b.shape[1] and k + y < b.shape[0]
        tile_a[y, x] = a[row, k + x] if inside_a else 0
        tile_b[y, x] = b[k + y, column] if inside_b else 0
        cuda.syncthreads()
        for i in range(T):
            total += tile_a[y, i] * tile_b[i, x]
        cuda.syncthreads()
    if row < out.shape[0] and column < out.shape[1]:
        out[row, column] = total


MATMUL = """
#define T 8
extern "C" __global__ void matmul(const float* __restrict__ a, const float* __restrict__ b,
                                  float* __restrict__ out, int m, int n, int inner) {
  __shared__ float tile_a[T][T], tile_b[T][T];
  int x = threadIdx.x, y = threadIdx.y;
  int row = blockIdx.y * T + y, column = blockIdx.x * T + x;
  float total = 0;
  for (int k = 0; k < inner; k += T) {
    tile_a[y][x] = row < m && k + x < inner ? a[row * inner + k + x] : 0.0f;
    tile_b[y][x] = column < n && k + y < inner ? b[(k + y) * n + column] : 0.0f;
    __syncthreads();
    for (int i = 0; i < T; ++i) total += tile_a[y][i] * tile_b[i][x];
    __syncthreads();
  }
  if (row < m && column < n) out[row * n + column] = total;
}"""


@pytest.mark.parametrize("order", ORDERS)
def test_tiled_matrix_product(order: Order) -> None:
    """A tiled product of odd sizes: two shared arrays, two barriers a step, a 2-d grid."""
    a, b = floats(11, 13), floats(13, 9)
    grid, block = (2, 2), (T, T)
    for kernel, sizes in ((CudaCKernel(MATMUL, "matmul"), (11, 9, 13)), (NumbaKernel(matmul), ())):
        out = np.zeros((11, 9), np.float32)
        kernel.launch(grid, block, (a, b, out, *sizes), order=order)
        np.testing.assert_allclose(out, a @ b, rtol=1e-5, atol=1e-5)


@cuda.jit
def histogram(x, out):
    counts = cuda.shared.array(0, int32)
    t = cuda.threadIdx.x
    if t < 10:
        counts[t] = 0
    cuda.syncthreads()
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.add(counts, x[i], 1)
    cuda.syncthreads()
    if t < 10:
        cuda.atomic.add(out, t, counts[t])


HISTOGRAM = """extern "C" __global__ void histogram(const int* x, int* out, int n) {
  extern __shared__ int counts[];
  int t = threadIdx.x;
  if (t < 10) counts[t] = 0;
  __syncthreads();
  int i = blockIdx.x * blockDim.x + t;
  if (i < n) atomicAdd(&counts[x[i]], 1);
  __syncthreads();
  if (t < 10) atomicAdd(&out[t], counts[t]);
}"""


@pytest.mark.parametrize("order", ORDERS)
def test_atomics_in_dynamic_shared_memory(order: Order) -> None:
    """Atomics by many threads at one address are no race, in shared or in global memory."""
    x = np.random.default_rng(0).integers(0, 10, 300).astype(np.int32)
    for kernel, more in (
        (CudaCKernel(HISTOGRAM, "histogram"), (300,)),
        (NumbaKernel(histogram), ()),
    ):
        out = np.zeros(10, np.int32)
        kernel.launch(5, 64, (x, out, *more), shared_bytes=40, order=order)
        np.testing.assert_array_equal(out, np.bincount(x, minlength=10))


@cuda.jit
def flag(x, out):
    found = cuda.shared.array(1, int32)
    t = cuda.threadIdx.x
    if t == 0:
        found[0] = 0
    cuda.syncthreads()
    if x[t] > 1:
        found[0] = 1
    cuda.syncthreads()
    out[t] = found[0]


FLAG = """extern "C" __global__ void flag(const float* x, float* out) {
  __shared__ int found;
  int t = threadIdx.x;
  if (t == 0) found = 0;
  __syncthreads();
  if (x[t] > 1) found = 1;
  __syncthreads();
  out[t] = found;
}"""


@pytest.mark.parametrize("order", ORDERS)
def test_many_threads_may_write_the_same_value(order: Order) -> None:
    """All threads that found something set the same flag to 1: harmless, and common."""
    x = np.linspace(-2, 2, 64, dtype=np.float32)
    for kernel in (CudaCKernel(FLAG, "flag"), NumbaKernel(flag)):
        out = np.zeros(64, np.float32)
        kernel.launch(1, 64, (x, out), order=order)
        np.testing.assert_array_equal(out, 1)


@cuda.jit
def rows(x, out):
    row = x[cuda.threadIdx.x]
    scratch = cuda.local.array(3, float32)
    for i in range(3):
        scratch[i] = 2 * row[i]
    out[cuda.threadIdx.x, :] = scratch


def test_views_and_local_arrays_in_numba() -> None:
    """A row of an array is a checked view; a local array belongs to its thread."""
    x, out = floats(5, 3), np.zeros((5, 3), np.float32)
    NumbaKernel(rows)[1, 5](x, out)
    np.testing.assert_array_equal(out, 2 * x)


def test_a_strided_argument_in_numba() -> None:
    """Numba takes strided arrays: the emulator too."""
    x, out = floats(10, 3), np.zeros((5, 3), np.float32)
    NumbaKernel(rows)[1, 5](x[::2], out)
    np.testing.assert_array_equal(out, 2 * x[::2])


CONSTANTS = """
__constant__ float weight[3] = {1, 2, 3};
__device__ int last(int n) { return n - 1; }
extern "C" __global__ void constants(const float4* x, float* out) {
  const float local[4] = {1, 10, 100, 1000};
  float4 v = x[threadIdx.x];
  out[threadIdx.x] = weight[last(3)] * (v.x * local[0] + v.y * local[1] + v.z + v.w)
                     + fmaxf(0, min(1, 2)) + max(threadIdx.x, 0u) * 0;
}"""


def test_vectors_constants_and_device_functions_in_c() -> None:
    """float4 loads, constant memory and local tables are no bugs."""
    x, out = floats(6, 4), np.zeros(6, np.float32)
    CudaCKernel(CONSTANTS, "constants")[1, 6](x, out)
    expected = 3 * (x[:, 0] + 10 * x[:, 1] + x[:, 2] + x[:, 3]) + 1
    np.testing.assert_allclose(out, expected, rtol=1e-5)


SPIN = """extern "C" __global__ void spin(int* out) {
  __shared__ int ready;
  if (threadIdx.x == 0) ready = 0;
  __syncthreads();
  if (threadIdx.x == 0) while (atomicAdd(&ready, 0) == 0) {}
  if (threadIdx.x == 40) atomicExch(&ready, 1);
  __syncthreads();
  out[threadIdx.x] = ready;
}"""


def test_a_thread_that_spins_lets_the_others_run() -> None:
    """A thread that waits for a flag gives way to the one that sets it."""
    out = np.zeros(64, np.int32)
    CudaCKernel(SPIN, "spin")[1, 64](out)
    np.testing.assert_array_equal(out, 1)
