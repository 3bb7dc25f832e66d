"""NumpyBackend: host arrays as device arrays."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyaccel import array_api
from tinyaccel.backend import Backend, Device
from tinyaccel.op import Kernel
from tinyaccel_numpy.kernels import KERNELS


class NumpyBackend(Backend):
    """NumPy on the CPU: the reference that the others are held against."""

    name = "cpu"
    priority = 10
    xp = np
    kernels = KERNELS

    def devices(self) -> list[str]:
        return ["cpu"]

    def upload(self, array: npt.NDArray[Any], device: Device) -> npt.NDArray[Any]:
        return np.array(array)

    def download(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.array(array)

    def memory(self, device: Device) -> int | None:
        """The machine's own, where the system says."""
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (AttributeError, OSError, ValueError):  # Windows has no sysconf
            return None

    def wrap(self, kernel: Kernel, name: str) -> Kernel:
        return array_api.numpy_arrays_out(kernel)
