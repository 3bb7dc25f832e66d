"""Hyper-parameters: how an optimizer declares which of its options may change between steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeGuard, overload

from tinyaccel import dtypes
from tinyaccel.errors import ArgumentError, TraceError
from tinyaccel.tensor import Tensor
from tinyaccel.trace import TRACE

if TYPE_CHECKING:
    from tinyaccel.optim.optimizer import Optimizer


class Hyper:
    """A hyper-parameter that may change between steps: in each group a 0-d tensor.

    `group["lr"]` gives its present value as a tensor, `group["lr"] = 0.01` assigns to it, so that
    a jitted step sees the change without being traced again. `opt.lr = 0.01` assigns to every
    group; `opt.lr` reads the value that all groups share, and raises `ArgumentError` if they
    don't (in a traced function `TraceError` if there are several groups: it can't compare them).

    below       it must be smaller than this (and at least 0)
    optional    0 leaves its part of the formula out; a jitted step is traced again for that
    complement  also keep 1 - value, subtracted in float64: 1 - 0.999 isn't exact in float32
    logarithm   also keep log(value), likewise
    buffer      a state tensor per parameter that is only needed while this is in use
    """

    name: str

    def __init__(
        self,
        *,
        below: float = math.inf,
        optional: bool = False,
        complement: bool = False,
        logarithm: bool = False,
        buffer: str | None = None,
    ) -> None:
        self.below, self.optional, self.buffer = below, optional, buffer
        self.complement, self.logarithm = complement, logarithm

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, optimizer: None, owner: type) -> Hyper: ...
    @overload
    def __get__(self, optimizer: Optimizer, owner: type) -> Tensor: ...
    def __get__(self, optimizer: Optimizer | None, owner: type) -> Hyper | Tensor:
        if optimizer is None:
            return self
        found = [group.read(self.name) for group in optimizer.param_groups]
        if len(found) > 1:
            self._agree(optimizer, found)
        return found[0]

    def _agree(self, optimizer: Optimizer, found: list[Tensor]) -> None:
        """Raise unless all groups have the same value."""
        name, read = type(optimizer).__name__, f"optimizer.param_groups[i][{self.name!r}]"
        if TRACE.get() is not None:
            raise TraceError(
                f"{name}: {self.name} of {len(found)} groups, which a traced function can't "
                f"compare; read {read}"
            )
        values = [t.item() for t in found]
        if len(set(values)) > 1:
            listed = ", ".join(f"{v:.7g}" for v in values)
            raise ArgumentError(f"{name}: {self.name} differs by group ({listed}); read {read}")

    def __set__(self, optimizer: Optimizer, value: float | Tensor) -> None:
        for group in optimizer.param_groups:
            group[self.name] = value

    def check(self, owner: str, value: object) -> None:
        """Raise `ArgumentError` unless 0 <= value < below."""
        if not is_number(value) or not 0 <= value < self.below:
            limit = "0 or more" if self.below == math.inf else f"at least 0 and below {self.below}"
            raise ArgumentError(f"{owner}: {self.name}={value!r}; expected a number, {limit}")

    def numbers(self, value: float) -> dict[str, float]:
        """The value and what is derived from it, by the names they are kept under."""
        result = {self.name: float(value)}
        if self.complement:
            result[f"1-{self.name}"] = 1 - float(value)
        if self.logarithm:
            result[f"log {self.name}"] = math.log(value) if value else -math.inf
        return result


class HyperPair:
    """Two hyper-parameters that are given, read and set as one: `betas`, of beta1 and beta2."""

    name: str

    def __init__(self, first: str, second: str) -> None:
        self.first, self.second = first, second

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, optimizer: None, owner: type) -> HyperPair: ...
    @overload
    def __get__(self, optimizer: Optimizer, owner: type) -> tuple[Tensor, Tensor]: ...
    def __get__(
        self, optimizer: Optimizer | None, owner: type
    ) -> HyperPair | tuple[Tensor, Tensor]:
        if optimizer is None:
            return self
        return getattr(optimizer, self.first), getattr(optimizer, self.second)

    def __set__(self, optimizer: Optimizer, values: tuple[float, float]) -> None:
        for group in optimizer.param_groups:
            group[self.name] = values

    def split(self, owner: str, values: object) -> dict[str, float]:
        """The two values by their own names; raises `ArgumentError` for what is no pair."""
        if not isinstance(values, tuple | list) or len(values) != 2:
            raise ArgumentError(f"{owner}: {self.name}={values!r}; expected a pair of numbers")
        return {self.first: values[0], self.second: values[1]}


def is_number(value: object) -> TypeGuard[float]:
    """Whether `value` is a Python or NumPy number, and so nothing that must be read back."""
    return dtypes.is_scalar(value)


def at_least_zero(name: str, **options: object) -> None:
    """Raise `ArgumentError` for a fixed option that is no number of 0 or more."""
    for option, value in options.items():
        if not is_number(value) or not value >= 0:
            raise ArgumentError(f"{name}: {option}={value!r}; expected a number, 0 or more")
