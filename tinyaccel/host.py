"""Reading a tensor's values on the host: as NumPy arrays, Python numbers, or for other libraries.

All of it needs values, so none of it can be traced.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinyaccel.backend import Device
from tinyaccel.errors import ArgumentError, DTypeError, ShapeError
from tinyaccel.operators import Operators
from tinyaccel.trace import Var, leaked, refuse


class HostValues(Operators):
    """What a tensor's values can be read as. `_data` belongs to the device's backend."""

    __slots__ = ()
    _data: Any
    device: Device

    def numpy(self) -> npt.NDArray[Any]:
        """A NumPy array with the same values, a copy of its own."""
        refuse("reading a tensor's values", "keep it a tensor, or compute this outside jit")
        if isinstance(self._data, Var):
            raise leaked(self)
        return self.device.backend.download(self._data)

    def __array__(
        self,
        dtype: np.dtype[Any] | None = None,
        copy: bool | None = None,
    ) -> npt.NDArray[Any]:
        if copy is False:
            raise ArgumentError("tensor: NumPy can't share its memory; leave out copy=False")
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    def __dlpack__(self, **options: Any) -> object:
        """A copy for another library, on the same device, by the DLPack protocol."""
        refuse("exporting a tensor", "do it outside jit")
        copy = self.device.backend.upload(self.numpy(), self.device)
        return copy.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        refuse("exporting a tensor", "do it outside jit")
        if isinstance(self._data, Var):
            raise leaked(self)
        device: tuple[int, int] = self._data.__dlpack_device__()
        return device

    def item(self) -> bool | int | float:
        """The one element as a Python number."""
        if self.size != 1:
            raise ShapeError(f"item: {self.spec} has {self.size} elements; expected exactly one")
        return self.numpy().reshape(()).item()  # type: ignore[no-any-return]

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        return self.numpy().tolist()

    def __bool__(self) -> bool:
        refuse("branching on a tensor", "use where(condition, a, b)")
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        if not self.dtype.is_integer:
            raise DTypeError(f"index: {self.spec} is no integer; convert with astype")
        return int(self.item())
