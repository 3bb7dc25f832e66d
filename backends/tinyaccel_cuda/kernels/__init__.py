"""The kernels, each twice: in CUDA C (name.cu) and in Numba-CUDA (name.py).

vector_add   out = x + y, a grid-stride loop
shared_sum   partial[block] = the block's share of sum(x), a tree in shared memory
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tinyaccel_cuda.kernel import CudaCKernel


@cache
def cuda_c(name: str) -> CudaCKernel:
    """The kernel `name` of this package in CUDA C.

    >>> cuda_c("vector_add").name
    'vector_add'
    """
    return CudaCKernel(Path(__file__).with_name(f"{name}.cu"), name)
