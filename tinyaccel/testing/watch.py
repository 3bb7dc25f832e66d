"""A device under watch: each kernel that runs on it is held to its contract, call by call."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tinyaccel import array_api, dtypes
from tinyaccel.backend import Array, Backend, Device, Executable, get_device
from tinyaccel.errors import CheckError
from tinyaccel.graph import Graph
from tinyaccel.op import Kernel, Op, Spec

_KEPT = 4  # results that are looked at again
_KEPT_BYTES = 2**15  # each


def spec_of(array: Array, xp: ModuleType | None = None) -> Spec:
    """The Spec of any library's array; `xp` knows the dtypes that NumPy can't read."""
    own = array_api.native(xp) if xp is not None else {}
    named = (ours for ours, theirs in own.items() if array.dtype == theirs)
    dtype = next(named, None) or dtypes.as_dtype(np.dtype(array.dtype))
    return Spec(tuple(map(int, array.shape)), dtype)


class _Watched(Backend):
    """Another backend, whose kernels are watched: what they return, and what they write to.

    A result is a real array of exactly the inferred Spec. No kernel changes its inputs, nor the
    result of an earlier call: the last few are kept with their values, and looked at again.
    """

    name: ClassVar[str] = "watched"

    def __init__(self, device: Device) -> None:
        self.inner, self.device = device.backend, device
        self.kernels = device.backend.kernels
        self.xp = device.backend.xp
        self.array = type(self.inner.upload(np.zeros(1, np.float32), device))
        self._results: deque[tuple[str, Array, bytes]] = deque(maxlen=_KEPT)

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
            before = [self._bytes(a) for a in arrays]
            out = kernel(*arrays, **attrs)
            self._check(op, arrays, attrs, out)
            for i, (array, was) in enumerate(zip(arrays, before, strict=True)):
                if self._bytes(array) != was:
                    raise CheckError(
                        f"{op.name}: its kernel on {self.device} changed its input {i}; "
                        "a kernel writes to none"
                    )
            self._look_again(op.name)
            values = self._bytes(out)
            if len(values) <= _KEPT_BYTES:
                self._results.append((op.name, out, values))
            return out

        return run

    def _bytes(self, array: Array) -> bytes:
        return self.inner.download(array).tobytes()

    def _look_again(self, by: str) -> None:
        """Raise where an earlier result isn't what it was."""
        for name, array, values in self._results:
            if self._bytes(array) != values:
                self._results.clear()
                raise CheckError(
                    f"{name}: a result of its kernel on {self.device} was overwritten by a later "
                    f"call, of {by}; a kernel returns an array of its own"
                )

    def _check(self, op: Op, arrays: Sequence[Array], attrs: dict[str, Any], out: Array) -> None:
        wanted = op.infer(*(spec_of(array, self.xp) for array in arrays), **attrs)
        if not isinstance(out, self.array):
            raise CheckError(
                f"{op.name}: its kernel on {self.device} returned {type(out).__name__}; "
                f"expected {self.array.__name__} {wanted}"
            )
        found = spec_of(out, self.xp)
        if found != wanted:
            raise CheckError(
                f"{op.name}: its kernel on {self.device} returned {found}; expected {wanted}"
            )


def watched(device: str | Device) -> Device:
    """`device` with every kernel held to its contract: what it returns, and what it leaves alone.

    Tensors are put there by `tensor(..., device=watched("cpu"))`. A kernel that returns another
    array type, shape or dtype, changes an input, or overwrites what it returned before, raises
    `CheckError`, which names the op.
    """
    real = get_device(device)
    return Device(real.name, _Watched(real))
