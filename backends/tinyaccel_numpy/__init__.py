"""The CPU backend: NumPy arrays, and kernels that can be read. Device "cpu"."""

from tinyaccel_numpy.backend import NumpyBackend

__all__ = ["NumpyBackend"]
