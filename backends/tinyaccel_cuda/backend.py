"""CudaBackend, an NVIDIA GPU through CuPy; CudaSimBackend, its kernels emulated on the CPU."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tinyaccel import array_api
from tinyaccel.backend import Array, Backend, Device, Executable
from tinyaccel.graph import Graph
from tinyaccel.op import Kernel
from tinyaccel_cuda import gpu, ops


class CudaBackend(Backend):
    """NVIDIA GPUs: CuPy's arrays and functions, and kernels of our own.

    Raises `ImportError` without CuPy, `DeviceError` where there is no GPU or no driver.
    """

    name: ClassVar[str] = "cuda"
    priority: ClassVar[int] = 20

    def __init__(self) -> None:
        self._count = gpu.gpu_count()
        self._cupy = gpu.import_cupy()
        self.xp: ModuleType | None = self._cupy
        self.kernels: Mapping[str, Kernel] = {
            **ops.kernels(self._cupy, "cuda"),
            "erf": gpu.import_cupy_erf(),  # not in the Array API
        }

    def devices(self) -> list[str]:
        """All GPUs that the driver lists, in its order."""
        return [f"cuda:{i}" for i in range(self._count)]

    def upload(self, array: npt.NDArray[Any], device: Device) -> Array:
        """A copy on the GPU."""
        with self._cupy.cuda.Device(_number(device)):
            return self._cupy.array(array)

    def download(self, array: Array) -> npt.NDArray[Any]:
        """A copy on the host; waits for the GPU."""
        found: npt.NDArray[Any] = self._cupy.asnumpy(array)
        return found

    def memory(self, device: Device) -> int | None:
        """What the GPU has in all."""
        with self._cupy.cuda.Device(_number(device)) as gpu_device:
            return int(gpu_device.mem_info[1])

    def synchronize(self) -> None:
        """Wait for all GPUs."""
        for i in range(self._count):
            with self._cupy.cuda.Device(i) as device:
                device.synchronize()

    def compile(self, graph: Graph, device: Device) -> Executable:
        """The interpreted graph, with its own GPU as the current one."""
        run = super().compile(graph, device)

        def on_device(arrays: Any) -> list[Array]:
            with self._cupy.cuda.Device(_number(device)):
                return run(arrays)

        return on_device

    def wrap(self, kernel: Kernel, name: str) -> Kernel:
        """The kernel, run on the GPU that holds its first array."""
        if self._count == 1:
            return kernel

        def on_device(*arrays: Array, **attrs: Any) -> Array:
            with arrays[0].device if arrays else self._cupy.cuda.Device():
                return kernel(*arrays, **attrs)

        return on_device


class CudaSimBackend(Backend):
    """The CUDA kernels on the CPU: NumPy arrays, and each kernel of our own in the emulator.

    For learning and testing: slow, and every bug that the emulator knows is a `KernelError`.
    """

    name: ClassVar[str] = "cuda-sim"
    priority: ClassVar[int] = -1
    xp: ModuleType | None = np

    def __init__(self) -> None:
        self.kernels: Mapping[str, Kernel] = {
            **ops.kernels(np, "cuda-sim"),
            "erf": _erf,  # not in the Array API
        }

    def devices(self) -> list[str]:
        """One, always."""
        return ["cuda-sim"]

    def upload(self, array: npt.NDArray[Any], device: Device) -> npt.NDArray[Any]:
        """A copy."""
        del device
        return np.array(array)

    def download(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A copy."""
        return np.array(array)

    def wrap(self, kernel: Kernel, name: str) -> Kernel:
        return array_api.numpy_arrays_out(kernel)


_math_erf = np.frompyfunc(math.erf, 1, 1)


def _erf(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(_math_erf(x.astype(np.float64))).astype(x.dtype)


def _number(device: Device) -> int:
    return int(device.name.partition(":")[2] or 0)
