"""ParameterGroup: parameters that share their options, with these options and their state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tinyaccel import dtypes
from tinyaccel.backend import Device
from tinyaccel.contexts import setting
from tinyaccel.dtypes import DType
from tinyaccel.errors import ArgumentError, DeviceError, DTypeError, GradientError
from tinyaccel.optim.hyper import Hyper, HyperPair
from tinyaccel.shapes import Shape
from tinyaccel.tensor import Tensor, relocate, tensor
from tinyaccel.trace import TRACE, guard


class ParameterGroup(Mapping[str, Any]):
    """Some of an optimizer's parameters, and the options that hold for them.

    group["params"]    the tensors, as a tuple
    group["lr"]        a hyper-parameter's present value, a 0-d tensor; `group["lr"] = 0.01`
                       assigns to it, and a jitted step isn't traced again
    group["betas"]     two of them as a pair
    group["eps"]       an option that is fixed since the group was made
    group["param_names"]  the parameters' names, if they were given

    state     the state tensors by name, one per parameter
    initial_lr  where a schedule started from; None without one, or since lr was set by hand

    Raises `ArgumentError` for a value that can't be, `KeyError` for reading what isn't there.
    """

    __slots__ = ("_dtype", "_hypers", "_names", "_numbers", "_order", "_pairs", "_tensors",
                 "_used", "device", "first", "fixed", "initial_lr", "owner", "params",
                 "state")  # fmt: skip

    owner: str  # how errors name it
    first: int  # the number of its first parameter, among all of the optimizer's
    device: Device  # where its state is
    params: tuple[Tensor, ...]
    fixed: dict[str, float]
    state: dict[str, list[Tensor]]
    initial_lr: float | None

    def __init__(
        self,
        owner: str,
        label: str,
        params: tuple[tuple[Tensor, str], ...],
        options: Mapping[str, float],
        hypers: Mapping[str, Hyper],
        pairs: Mapping[str, HyperPair],
        first: int = 0,
    ) -> None:
        self.owner, self.first, self.initial_lr, self.state = owner, first, None, {}
        self.params = tuple(p for p, _ in params)
        self._names = tuple(name for _, name in params)
        self.device = self.params[0].device
        self._order = tuple(options)
        self._hypers, self._pairs, self._used = hypers, pairs, set[str]()
        self._dtype = dtypes.promote(*[computes_in(p.dtype) for p in self.params])
        self._numbers: dict[str, float] = {}
        self._tensors: dict[str, Tensor] = {}
        self.fixed = {name: value for name, value in options.items() if name not in hypers}
        for hyper in hypers.values():
            hyper.check(owner, options[hyper.name])
        with setting(TRACE, None):  # state is real even if a trace is going on
            for hyper in hypers.values():
                value = self._numbers[hyper.name] = float(options[hyper.name])
                for key, number in hyper.numbers(value).items():
                    t = tensor(number, dtype=self._dtype, device=self.device)
                    t.label = f"{label}.{key}"
                    self._tensors[key] = t
                self._use(hyper, value != 0)

    # Options

    def __getitem__(self, name: str) -> Any:
        if name in self._hypers:
            return self.read(name)
        if name in self._pairs:
            pair = self._pairs[name]
            return self.read(pair.first), self.read(pair.second)
        if name == "params":
            return self.params
        if name == "param_names" and all(self._names):
            return self._names
        if name in self.fixed:
            return self.fixed[name]
        raise KeyError(f"{self.owner}: a group has no {name!r}; it has {', '.join(self)}")

    def __setitem__(self, name: str, value: float | tuple[float, float] | Tensor) -> None:
        if name in self._pairs:
            values = self._pairs[name].split(self.owner, value)
            for each, number in values.items():  # both are checked before one is set
                self._hypers[each].check(self.owner, number)
            for each, number in values.items():
                self[each] = number
            return
        if name not in self._hypers:
            changeable = ", ".join([*self._hypers, *self._pairs])
            raise ArgumentError(
                f"{self.owner}: {name} of a group can't be set; {changeable} can; what else there "
                "is stays as the group was made"
            )
        hyper = self._hypers[name]
        if isinstance(value, Tensor):
            if hyper.complement or hyper.logarithm:
                raise ArgumentError(f"{self.owner}: {name} given as a tensor; expected a number")
            self._tensors[name].assign(cast(value, self._dtype))
            self._numbers.pop(name, None)
            self._use(hyper, True)
        else:
            hyper.check(self.owner, value)
            assert not isinstance(value, tuple)  # the check says so
            for key, number in hyper.numbers(value).items():
                self._tensors[key].assign(number)
            self._numbers[name] = float(value)
            self._use(hyper, value != 0)
        if name == "lr":
            self.initial_lr = None

    def __iter__(self) -> Iterator[str]:
        return iter(["params", *self._order])

    def __len__(self) -> int:
        return 1 + len(self._order)

    __eq__ = object.__eq__  # a group is itself, whatever another holds
    __hash__ = object.__hash__

    def read(self, name: str) -> Tensor:
        """A hyper-parameter's present value: who keeps it doesn't see tomorrow's."""
        return self._tensors[name].detach()

    def number(self, name: str) -> float:
        """A hyper-parameter's present value as a number: as it was given, before any rounding.

        Not for traced code: it is read from the device.
        """
        with setting(TRACE, None):
            now = self._tensors[name].item()
        given = self._numbers.get(name)
        rounded = None if given is None else self._dtype.numpy.type(given)
        return float(now) if given is None or rounded != now else given

    def uses(self, name: str) -> bool:
        """Whether an optional hyper-parameter is other than 0; a trace depends on it."""
        guard(self, f"uses {name}", lambda: name in self._used)
        return name in self._used

    def _use(self, hyper: Hyper, on: bool) -> None:
        """Note whether an optional hyper-parameter takes part from now on."""
        if hyper.optional and on:
            self._used.add(hyper.name)
            if hyper.buffer is not None and hyper.buffer not in self.state:
                self.add_state(hyper.buffer)
        elif hyper.optional:
            self._used.discard(hyper.name)

    # State

    def add_state(self, name: str, value: float = 0.0, shape: Shape | None = None) -> None:
        """Give every parameter one more state tensor, of its own shape unless another is named."""
        with setting(TRACE, None):
            self.state[name] = [
                tensor(
                    np.full(p.shape if shape is None else shape, value),
                    dtype=computes_in(p.dtype), device=self.device,
                )
                for p in self.params
            ]  # fmt: skip
        for i, t in enumerate(self.state[name]):
            t.label = f"{self._label(i) or f'params[{self.first + i}]'}.{name}"

    def to(self, device: Device) -> None:
        """Move all its state."""
        self.device = device
        for t in self.tensors().values():
            relocate(t, device)

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """All its state: hyper-parameters, "lr", and by the parameter's number "exp_avg.0"."""
        named = {
            f"{name}.{self.first + i}": t
            for name, row in self.state.items()
            for i, t in enumerate(row)
        }
        return {**{f"{prefix}{key}": t for key, t in self._tensors.items()}, **named}

    def prepare(self, arrays: Mapping[str, object], prefix: str) -> None:
        """Use what a saved state uses, and make the buffers that it fills."""
        for hyper in self._hypers.values():
            if f"{prefix}{hyper.name}" in arrays:
                if hyper.buffer is not None and f"{hyper.buffer}.{self.first}" in arrays:
                    self._use(hyper, True)
                self._use(hyper, bool(np.any(np.asarray(arrays[f"{prefix}{hyper.name}"]) != 0)))

    def remember(self) -> tuple[set[str], dict[str, list[Tensor]]]:
        """What `prepare` may change, for `restore`."""
        return set(self._used), dict(self.state)

    def restore(self, before: tuple[set[str], dict[str, list[Tensor]]]) -> None:
        """Undo what `prepare` did."""
        self._used, self.state = before

    def _label(self, i: int) -> str:
        return self.params[i].label or self._names[i]

    def name(self, i: int) -> str:
        """How errors call parameter i of the group."""
        return self._label(i) or f"parameter {self.first + i}"

    def describe(self) -> str:
        """The options as they are now: "lr=0.001, momentum=0.9, nesterov=True"."""
        with setting(TRACE, None):
            now = {name: f"{self._tensors[name].item():.7g}" for name in self._hypers}
        shown = {**dict.fromkeys(self._order), **self.fixed, **now}
        return ", ".join(f"{name}={value}" for name, value in shown.items())

    def __repr__(self) -> str:
        return f"ParameterGroup({len(self.params)} parameters, {self.describe()})"


def checked(
    owner: str, params: object, first: int = 0, device: Device | None = None
) -> tuple[tuple[Tensor, str], ...]:
    """The parameters with their names, or an error that says which can't be optimized.

    params   tensors, or pairs (name, tensor); without a name it is ""
    first    the number of the first of them
    device   where all must be; by default where the first is
    """
    if isinstance(params, Tensor) or not isinstance(params, Iterable):
        raise ArgumentError(
            f"{owner}: params is {type(params).__name__}; expected several tensors, "
            "as model.parameters() or [tensor]"
        )
    result = []
    for i, item in enumerate(params, first):
        named = isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)
        name, p = item if named else ("", item)
        if not isinstance(p, Tensor):
            raise ArgumentError(f"{owner}: parameter {i} is {type(p).__name__}; expected tensors")
        label = f"parameter {i}" + (f" ({p.label or name})" if p.label or name else "")
        if not p.dtype.is_float:
            raise DTypeError(f"{owner}: {label} is {p.spec}; expected a float; integers can't move")
        if not p.is_leaf:
            raise GradientError(
                f"{owner}: {label} was computed from others; expected a leaf; use detach(), or "
                "optimize what it was computed from"
            )
        device = device or p.device
        if p.device is not device:
            raise DeviceError(
                f"{owner}: parameters on {device} and {p.device}; expected one device; "
                "move the model with .to(device), or make an optimizer for each"
            )
        result.append((p, name))
    if not result:
        raise ArgumentError(f"{owner}: no parameters; does the model have any, or is it used up?")
    if len({id(p) for p, _ in result}) < len(result):
        raise ArgumentError(f"{owner}: a parameter is given twice; give each once")
    return tuple(result)


def computes_in(dtype: DType) -> DType:
    """float32 for narrower floats, otherwise the dtype itself."""
    return dtypes.promote(dtype, dtypes.float32)


def cast(value: Tensor, dtype: DType) -> Tensor:
    """`value` in `dtype`: itself, if it is that already."""
    return value if value.dtype is dtype else value.astype(dtype)
