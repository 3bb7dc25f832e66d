"""The XLA backend, through JAX: devices "xla:cpu", "xla:gpu", ... and "tpu:0", ...

Importing this package doesn't import JAX; making a backend object does.
"""

from tinyaccel_jax.backend import TpuBackend, XlaBackend

__all__ = ["TpuBackend", "XlaBackend"]
