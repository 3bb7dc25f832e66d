"""A Numba kernel's plain Python functions, copied with our `cuda` in place of numba.cuda."""

from __future__ import annotations

import sys
from types import CellType, CodeType, FunctionType, ModuleType

import numpy as np

from tinyaccel_cuda.emulator.checked_array import CheckedArray
from tinyaccel_cuda.emulator.fake_cuda import FakeCuda
from tinyaccel_cuda.emulator.races import Watcher


class Rebuilder:
    """Copies of a kernel's functions whose globals and closures hold our `cuda`."""

    def __init__(self, fake: FakeCuda, machine: Watcher) -> None:
        self._fake = fake
        self._machine = machine
        self._done: dict[object, FunctionType] = {}
        real = sys.modules.get("numba.cuda")
        self._words = {} if real is None else _words(real, fake)
        self._real = real

    def rebuild(self, function: FunctionType) -> FunctionType:
        """The function, and all that it calls on the device, in terms of the fake."""
        if function in self._done:
            return self._done[function]
        names = _global_names(function.__code__)
        space = dict(function.__globals__)
        cells = tuple(CellType() for _ in function.__closure__ or ())
        copy = FunctionType(
            function.__code__, space, function.__name__, function.__defaults__, cells or None
        )
        copy.__kwdefaults__ = function.__kwdefaults__
        self._done[function] = copy  # before its globals: it may call itself
        for name in names & space.keys():
            space[name] = self._replaced(space[name], name)
        for cell, old, name in zip(
            cells, function.__closure__ or (), function.__code__.co_freevars, strict=True
        ):
            cell.cell_contents = self._replaced(old.cell_contents, name)
        return copy

    def _replaced(self, value: object, name: str) -> object:
        if isinstance(value, ModuleType):
            if value is self._real:
                return self._fake
            return _FakeNumba(value, self._fake) if value.__name__ == "numba" else value
        if isinstance(value, np.ndarray):  # a constant of the kernel
            return CheckedArray(value, name, self._machine)
        inner = getattr(value, "py_func", None)
        if isinstance(inner, FunctionType):
            return self.rebuild(inner)
        return self._words.get(id(value), value)


class _FakeNumba:
    """The module numba with `numba.cuda` replaced."""

    def __init__(self, real: ModuleType, fake: FakeCuda) -> None:
        self._real = real
        self.cuda = fake

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


class _Word:
    """A name imported from numba.cuda (`from numba.cuda import threadIdx`), looked up when used."""

    def __init__(self, fake: FakeCuda, name: str) -> None:
        self._fake, self._name = fake, name

    def __getattr__(self, attribute: str) -> object:
        return getattr(getattr(self._fake, self._name), attribute)


def _words(real: ModuleType, fake: FakeCuda) -> dict[int, object]:
    """numba.cuda's own objects, by identity, and what stands for them here."""
    words: dict[int, object] = {}
    for name in dir(FakeCuda):
        if name.startswith("_") or not hasattr(real, name):
            continue
        changes = isinstance(getattr(FakeCuda, name), property)
        words[id(getattr(real, name))] = _Word(fake, name) if changes else getattr(fake, name)
    for name in ("shared", "local", "const", "atomic"):
        if hasattr(real, name):
            words[id(getattr(real, name))] = getattr(fake, name)
    return words


def _global_names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _global_names(constant)
    return names
