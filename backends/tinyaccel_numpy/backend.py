"""NumpyBackend: host arrays as device arrays."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyaccel.backend import Backend, Device, Executable
from tinyaccel.graph import Graph
from tinyaccel.op import Kernel, Op
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

    def kernel(self, op: Op, low: bool = False) -> Kernel | None:
        found = self._wrapped.get((op, low))
        if found is None:
            kernel = super().kernel(op, low)
            found = None if kernel is None else _array_out(kernel)
            if found is not None:
                self._wrapped[op, low] = found
        return found

    @functools.cached_property
    def _wrapped(self) -> dict[tuple[Op, bool], Kernel]:
        return {}

    def compile(self, graph: Graph, device: Device) -> Executable:
        run = super().compile(graph, device)

        def quiet(arrays: Any) -> list[Any]:
            with np.errstate(all="ignore"):
                return run(arrays)

        return quiet


def _array_out(kernel: Kernel) -> Kernel:
    """NumPy hands out scalars where a 0-d array is due, and warns where IEEE 754 has an answer."""

    def run(*arrays: Any, **attrs: Any) -> npt.NDArray[Any]:
        with np.errstate(all="ignore"):
            return np.asarray(kernel(*arrays, **attrs))

    return run
