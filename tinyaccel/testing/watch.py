"""A device under watch: each kernel that runs on it is held to its contract, call by call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tinyaccel import dtypes
from tinyaccel.backend import Array, Backend, Device, Executable, get_device
from tinyaccel.errors import CheckError
from tinyaccel.graph import Graph
from tinyaccel.op import Kernel, Op, Spec


def spec_of(array: Array) -> Spec:
    """The Spec of any library's array."""
    return Spec(tuple(map(int, array.shape)), dtypes.as_dtype(np.dtype(array.dtype)))


class _Watched(Backend):
    """Another backend, whose kernels must return real arrays of exactly the inferred Spec."""

    name: ClassVar[str] = "watched"

    def __init__(self, device: Device) -> None:
        self.inner, self.device = device.backend, device
        self.kernels = device.backend.kernels
        self.xp = device.backend.xp
        self.array = type(self.inner.upload(np.zeros(1, np.float32), device))

    def devices(self) -> list[str]:
        return [self.device.name]

    def upload(self, array: npt.NDArray[Any], device: Device) -> Array:  # ours
        return self.inner.upload(array, self.device)

    def download(self, array: Array) -> npt.NDArray[Any]:
        return self.inner.download(array)

    def synchronize(self) -> None:
        self.inner.synchronize()

    def compile(self, graph: Graph, device: Device) -> Executable:
        return self.inner.compile(graph, self.device)

    def kernel(self, op: Op, low: bool = False) -> Kernel | None:
        kernel = self.inner.kernel(op, low)
        if kernel is None:
            return None

        def run(*arrays: Array, **attrs: Any) -> Array:
            out = kernel(*arrays, **attrs)
            self._check(op, arrays, attrs, out)
            return out

        return run

    def _check(self, op: Op, arrays: Sequence[Array], attrs: dict[str, Any], out: Array) -> None:
        wanted = op.infer(*map(spec_of, arrays), **attrs)
        if not isinstance(out, self.array):
            raise CheckError(
                f"{op.name}: its kernel on {self.device} returned {type(out).__name__}; "
                f"expected {self.array.__name__} {wanted}"
            )
        if spec_of(out) != wanted:
            raise CheckError(
                f"{op.name}: its kernel on {self.device} returned {spec_of(out)}; expected {wanted}"
            )


def watched(device: str | Device) -> Device:
    """`device` with every kernel's result checked: its array type, shape and dtype.

    Tensors are put there by `tensor(..., device=watched("cpu"))`; a kernel that breaks its
    contract raises `CheckError`, which names the op.
    """
    real = get_device(device)
    return Device(real.name, _Watched(real))
