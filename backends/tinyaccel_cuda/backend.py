"""CudaBackend, an NVIDIA GPU through CuPy; CudaSimBackend, its kernels emulated on the CPU."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tinyaccel.backend import Array, Backend, Device, Executable
from tinyaccel.graph import Graph
from tinyaccel.op import Kernel, Op
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

    def kernel(self, op: Op, low: bool = False) -> Kernel | None:
        """The kernel, run on the GPU that holds its first array."""
        kernel = super().kernel(op, low)
        if kernel is None or self._count == 1:
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

    def kernel(self, op: Op, low: bool = False) -> Kernel | None:
        """The kernel, made to return an array: of a 0-d result NumPy makes a scalar."""
        found = self._wrapped.get((op, low))
        if found is None:
            kernel = super().kernel(op, low)
            if kernel is not None:
                found = self._wrapped[op, low] = _array_out(kernel)
        return found

    @cached_property
    def _wrapped(self) -> dict[tuple[Op, bool], Kernel]:
        return {}


_math_erf = np.frompyfunc(math.erf, 1, 1)


def _erf(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(_math_erf(x.astype(np.float64))).astype(x.dtype)


def _array_out(kernel: Kernel) -> Kernel:
    def run(*arrays: npt.NDArray[Any], **attrs: Any) -> npt.NDArray[Any]:
        with np.errstate(all="ignore"):  # as on a GPU, overflow and 0 / 0 are values, no warnings
            return np.asarray(kernel(*arrays, **attrs))

    return run


def _number(device: Device) -> int:
    return int(device.name.partition(":")[2] or 0)
