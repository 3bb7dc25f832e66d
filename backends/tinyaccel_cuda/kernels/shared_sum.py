"""The sum of float32 values in Numba-CUDA: the same kernel as shared_sum.cu, told in Python.

One partial sum a block; a second launch with one block adds those. Bytes moved: 4 read an element,
4 written a block.
"""

from numba import cuda, float32


@cuda.jit
def shared_sum(x, partial):  # type: ignore[no-untyped-def]  # compiled by Numba, not run as Python
    """Add each block's share of x as a tree in shared memory; the block has 256 threads."""
    share = cuda.shared.array(256, float32)
    t = cuda.threadIdx.x

    total = float32(0.0)
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        total += x[i]
    share[t] = total
    cuda.syncthreads()

    half = cuda.blockDim.x // 2
    while half > 0:
        if t < half:
            share[t] += share[t + half]
        cuda.syncthreads()
        half //= 2

    if t == 0:
        partial[cuda.blockIdx.x] = share[0]
