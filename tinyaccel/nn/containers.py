"""Modules that are made of other modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import overload

from tinyaccel.errors import ArgumentError, IndexRangeError
from tinyaccel.nn.module import Module
from tinyaccel.tensor import Tensor


class Sequential(Module):
    """Modules one after the other: each gets what the one before returned.

    Takes the modules themselves, which are then named "0", "1", ..., or one mapping of names to
    modules. It can be iterated, indexed and sliced. Raises `ArgumentError` for what is no module.

    >>> import tinyaccel as ta
    >>> net = ta.nn.Sequential(ta.nn.Flatten(), ta.nn.Linear(4, 2))
    >>> net(ta.zeros((3, 2, 2))).shape, [name for name, _ in net.named_parameters()]
    ((3, 2), ['1.weight', '1.bias'])
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            named = dict(modules[0])
        else:
            named = {str(i): module for i, module in enumerate(modules)}  # type: ignore[misc]  # checked below
        for name, module in named.items():
            self._add(name, module)

    def _add(self, name: str, module: Module) -> None:
        if not isinstance(module, Module):
            hint = "call the class" if isinstance(module, type) else "expected modules"
            got = module.__name__ if isinstance(module, type) else type(module).__name__
            raise ArgumentError(f"Sequential: entry {name!r} is {got}, no module; {hint}")
        setattr(self, name, module)

    def append(self, module: Module) -> Sequential:
        """Add one more module at the end; returns the container."""
        self._add(str(len(self)), module)
        return self

    def forward(self, x: Tensor) -> Tensor:
        for module in self:
            x = module(x)
        return x

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        self._read()
        return iter(self._modules.values())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module | Sequential:
        modules = list(self)
        if isinstance(index, slice):
            part = Sequential.__new__(Sequential)
            # Straight into the table: a part must not relabel what the whole has labelled.
            part._modules.update(list(self._modules.items())[index])
            return part
        if not -len(modules) <= index < len(modules):
            raise IndexRangeError(f"Sequential: index {index}, but it has {len(modules)} modules")
        return modules[index]
