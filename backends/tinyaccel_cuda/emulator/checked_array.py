"""Arrays as an emulated Numba kernel sees them: every index checked, shared memory watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

from tinyaccel_cuda.emulator import reports
from tinyaccel_cuda.emulator.races import SharedMemory, Watcher

Index: TypeAlias = "int | slice | tuple[int | slice, ...]"
Value: TypeAlias = Any  # a NumPy scalar or a Python number, whatever the kernel computes with


class CheckedArray:
    """A NumPy array that reports an index out of range, and races if it is in shared memory.

    A slice gives a view that is checked in the same way.
    """

    __slots__ = ("_data", "_memory", "_name", "_slots", "_watcher")

    def __init__(
        self,
        data: np.ndarray,
        name: str,
        watcher: Watcher,
        memory: SharedMemory | None = None,
        slots: np.ndarray | None = None,
    ) -> None:
        self._data = data
        self._name = name
        self._watcher = watcher
        self._memory = memory
        self._slots = slots  # the number of each element in the shared memory

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._data.size

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the elements."""
        return self._data.dtype

    @property
    def strides(self) -> tuple[int, ...]:
        """The bytes from one element to the next, by axis."""
        return self._data.strides

    @property
    def itemsize(self) -> int:
        """The bytes of one element."""
        return self._data.itemsize

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self._data.nbytes

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[Value]:
        return (self[i] for i in range(len(self._data)))

    def __getitem__(self, index: Index) -> Value:
        key = _key(index)
        if not self._is_element(key, writes=False):
            return self._view(key)
        if self._memory is not None and self._slots is not None:
            self._memory.read(int(self._slots[key]), self._element(key))
        return self._data[key]

    def __setitem__(self, index: Index, value: Value) -> None:
        key = _key(index)
        if not self._is_element(key, writes=True):
            view = self._view(key)
            for position in np.ndindex(view.shape):
                many = isinstance(value, (CheckedArray, np.ndarray)) and value.ndim
                view[position] = value[position] if many else value
            return
        if self._memory is None or self._slots is None:
            self._data[key] = value
            return
        before = self._data[key].tobytes()
        self._data[key] = value
        self._memory.write(
            int(self._slots[key]),
            self._element(key),
            changed=before != self._data[key].tobytes(),
        )

    def atomic(self, index: Index, update: Callable[[Value], Value], reads: bool = True) -> Value:
        """Replace an element by `update(element)` in one go; returns what it was."""
        key = _key(index)
        if not self._is_element(key, writes=True):
            place = self._watcher.place()
            raise place.error(
                "wrong index", f"an atomic on {self._element(key)}", "give one index for each axis"
            )
        if self._memory is not None and self._slots is not None:
            self._memory.atomic(int(self._slots[key]), self._element(key), reads=reads)
        old = self._data[key]
        self._data[key] = update(old)
        return old

    def _view(self, key: tuple[Any, ...]) -> CheckedArray:
        slots = None if self._slots is None else self._slots[key]
        name = self._element(key)
        return CheckedArray(self._data[key], name, self._watcher, self._memory, slots)

    def _is_element(self, key: tuple[Any, ...], writes: bool) -> bool:
        """Whether the index names one element; each of its integers is checked here."""
        shape = self._data.shape
        element = len(key) == len(shape)
        if len(key) > len(shape):
            raise self._watcher.place().error(
                "wrong index",
                f"{self._element(key)} has {len(key)} indices, {self._name} has {len(shape)} axes",
                "give one index for each axis",
            )
        for axis, i in enumerate(key):
            if isinstance(i, slice):
                element = False
            elif not isinstance(i, (int, np.integer)):
                raise self._watcher.place().error(
                    "wrong index",
                    f"{self._element(key)} has an index of type {type(i).__name__}",
                    "an index is an integer: use // instead of /, or int(...)",
                )
            elif not 0 <= i < shape[axis]:
                raise self._out_of_bounds(key, writes)
        return element

    def _out_of_bounds(self, key: tuple[Any, ...], writes: bool) -> Exception:
        count = " x ".join(map(str, self._data.shape))
        plural = "" if self._data.shape == (1,) else "s"
        return reports.out_of_bounds(
            self._watcher.place(),
            writes,
            self._element(key),
            f"{self._name} has {count} element{plural}",
            shared=self._memory is not None,
        )

    def _element(self, key: tuple[Any, ...]) -> str:
        def text(i: object) -> str:
            if not isinstance(i, slice):
                return str(i)
            ends = ["" if end is None else str(end) for end in (i.start, i.stop)]
            return ":".join(ends)

        return f"{self._name}[{', '.join(map(text, key))}]"


def _key(index: Index) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)
