"""out = x + y in Numba-CUDA: the same kernel as vector_add.cu, told in Python.

Bytes moved: 8 read and 4 written an element, for one addition. Memory sets the speed.
"""

from numba import cuda


@cuda.jit
def vector_add(x, y, out):  # type: ignore[no-untyped-def]  # compiled by Numba, not run as Python
    """Add two float32 vectors with a grid-stride loop: any grid computes any size."""
    step = cuda.gridsize(1)
    for i in range(cuda.grid(1), out.size, step):
        out[i] = x[i] + y[i]
