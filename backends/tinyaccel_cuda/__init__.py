"""NVIDIA GPUs: devices "cuda" and "cuda-sim" (the same kernels, emulated on the CPU), and kernels
of one's own in CUDA C and in Numba-CUDA. Importing this loads neither CuPy nor Numba."""

from tinyaccel_cuda.backend import CudaBackend, CudaSimBackend
from tinyaccel_cuda.kernel import CudaCKernel, NumbaKernel

__all__ = ["CudaBackend", "CudaCKernel", "CudaSimBackend", "NumbaKernel"]
