"""Modules that are made of other modules."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Self, overload

from tinyaccel.errors import ArgumentError, IndexRangeError
from tinyaccel.nn.module import Module
from tinyaccel.tensor import Tensor


class ModuleList(Module):
    """Modules in a list, for a `forward` of one's own that walks over them; itself it has none.

    modules  named "0", "1", ...

    It can be iterated, indexed, sliced, appended to and extended. Raises `ArgumentError` for what
    is no module, `IndexRangeError` for an index that there isn't.

    >>> import tinyaccel as ta
    >>> layers = ta.nn.ModuleList(ta.nn.Linear(4, 4) for _ in range(3))
    >>> len(layers), len(layers[1:]), len(list(layers.parameters()))
    (3, 2, 6)
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self.extend(modules)

    def _add(self, name: str, module: Module) -> None:
        if not isinstance(module, Module):
            hint = "call the class" if isinstance(module, type) else "expected modules"
            got = module.__name__ if isinstance(module, type) else type(module).__name__
            raise ArgumentError(
                f"{type(self).__name__}: entry {name!r} is {got}, no module; {hint}"
            )
        setattr(self, name, module)

    def append(self, module: Module) -> Self:
        """Add one more module at the end; returns the container."""
        self._add(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add some more modules at the end; returns the container."""
        for module in modules:
            self.append(module)
        return self

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        self._read()
        return iter(self._modules.values())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Module | Self:
        modules = list(self)
        if isinstance(index, slice):
            part = type(self).__new__(type(self))
            # Straight into the table: a part must not relabel what the whole has labelled.
            part._modules.update(list(self._modules.items())[index])
            return part
        if not -len(modules) <= index < len(modules):
            name = type(self).__name__
            raise IndexRangeError(f"{name}: index {index}, but it has {len(modules)} modules")
        return modules[index]


class ModuleDict(Module):
    """Modules by name, for a `forward` of one's own that chooses among them; itself it has none.

    modules  a mapping of names to modules

    Raises `ArgumentError` for what is no module or a name that no attribute can have, `KeyError`
    for a name that there isn't.

    >>> import tinyaccel as ta
    >>> heads = ta.nn.ModuleDict({"kind": ta.nn.Linear(4, 3), "age": ta.nn.Linear(4, 1)})
    >>> heads["age"](ta.zeros((2, 4))).shape, list(heads)
    ((2, 1), ['kind', 'age'])
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        for name, module in (modules or {}).items():
            self[name] = module

    def __setitem__(self, name: str, module: Module) -> None:
        if not isinstance(module, Module):
            got = type(module).__name__
            raise ArgumentError(f"ModuleDict: entry {name!r} is {got}, no module; expected modules")
        setattr(self, name, module)

    def __getitem__(self, name: str) -> Module:
        self._read()
        return self._modules[name]

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        self._read()
        return iter(self._modules)

    def keys(self) -> KeysView[str]:
        """The names, in the order in which they came."""
        self._read()
        return self._modules.keys()

    def values(self) -> ValuesView[Module]:
        """The modules."""
        self._read()
        return self._modules.values()

    def items(self) -> ItemsView[str, Module]:
        """Pairs of name and module."""
        self._read()
        return self._modules.items()


class Sequential(ModuleList):
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

    def forward(self, x: Tensor) -> Tensor:
        for module in self:
            x = module(x)
        return x
