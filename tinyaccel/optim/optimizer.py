"""Optimizer: what all of them share; state, hyper-parameters, and the walk over the parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt

from tinyaccel import dtypes
from tinyaccel.backend import Device, get_device
from tinyaccel.contexts import setting
from tinyaccel.dtypes import DType
from tinyaccel.errors import ArgumentError, DeviceError, DTypeError, GradientError
from tinyaccel.ops.elementwise import expm1
from tinyaccel.shapes import Shape
from tinyaccel.tape import no_grad
from tinyaccel.tensor import Tensor, relocate, tensor
from tinyaccel.trace import TRACE, guard, refuse, updating


class Hyper:
    """A hyper-parameter that may change between steps: a 0-d tensor behind a property.

    `opt.lr` gives its present value as a tensor, `opt.lr = 0.01` assigns to it, so that a jitted
    step sees the change without being traced again.

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
        # Detached: who keeps the value of today doesn't see that of tomorrow.
        return self if optimizer is None else optimizer._hyper[self.name].detach()

    def __set__(self, optimizer: Optimizer, value: float | Tensor) -> None:
        name = type(optimizer).__name__
        if isinstance(value, Tensor):
            if self.complement or self.logarithm:
                raise ArgumentError(f"{name}: {self.name} given as a tensor; expected a number")
            optimizer._hyper[self.name].assign(_cast(value, optimizer._dtype))
        else:
            self.check(name, value)
            for key, number in self.numbers(value).items():
                optimizer._hyper[key].assign(number)
        optimizer._use(self, isinstance(value, Tensor) or value != 0)

    def check(self, owner: str, value: float) -> None:
        """Raise `ArgumentError` unless 0 <= value < below."""
        if not dtypes.is_scalar(value) or not 0 <= value < self.below:
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


class Optimizer:
    """Base of all optimizers: changes parameters by their gradients.

    params    tensors, as `model.parameters()` gives them: leaves, floats, all on one device
    options   the options by name, those that are a `Hyper` of the class and others, which are
              fixed; `defaults` shows them as they were given
    maximize  climb instead of descend

    A subclass names its per-parameter state in `buffers` (shaped as the parameter) and `counters`
    (0-d), and defines `update`. All state is made here, as tensors on the parameters' device and
    changed by `assign` alone, so a whole training step can be jitted. float16 and bfloat16
    parameters are updated in float32, which their state is kept in, and rounded once.

    Raises `ArgumentError`, `DTypeError`, `GradientError` or `DeviceError` for what can't be
    optimized or has an impossible value.
    """

    __slots__ = ("_dtype", "_hyper", "_used", "defaults", "device", "params", "state")

    buffers: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()

    params: tuple[Tensor, ...]
    state: dict[str, list[Tensor]]  # by name, one per parameter
    device: Device
    defaults: Mapping[str, float]  # the options as they were given; flags are bools

    def __init__(self, params: Iterable[Tensor], **options: float) -> None:
        name = type(self).__name__
        self.params = _checked(name, params)
        self.device = self.params[0].device
        self.defaults = MappingProxyType(options)
        computing = [_computes_in(p.dtype) for p in self.params]
        self._dtype = dtypes.promote(*computing)
        self._hyper: dict[str, Tensor] = {}
        self._used: set[str] = set()
        self.state = {}
        with setting(TRACE, None):  # state is real even if a trace is going on
            for hyper in self._hypers():
                value = options[hyper.name]
                hyper.check(name, value)
                for key, number in hyper.numbers(value).items():
                    t = tensor(number, dtype=self._dtype, device=self.device)
                    t.label = f"{name}.{key}"
                    self._hyper[key] = t
                self._use(hyper, value != 0)
        for buffer in self.buffers:
            self.add_state(buffer)
        for counter in self.counters:
            self.add_state(counter, shape=())

    @classmethod
    def _hypers(cls) -> list[Hyper]:
        found = {n: h for base in reversed(cls.__mro__) for n, h in vars(base).items()}
        return [h for h in found.values() if isinstance(h, Hyper)]

    def add_state(self, name: str, value: float = 0.0, shape: Shape | None = None) -> None:
        """Give every parameter one more state tensor, of its own shape unless another is named."""
        with setting(TRACE, None):
            self.state[name] = [
                tensor(
                    np.full(p.shape if shape is None else shape, value),
                    dtype=_computes_in(p.dtype), device=self.device,
                )
                for p in self.params
            ]  # fmt: skip
        for i, (p, t) in enumerate(zip(self.params, self.state[name], strict=True)):
            t.label = f"{p.label or f'params[{i}]'}.{name}"

    def _use(self, hyper: Hyper, on: bool) -> None:
        """Note whether an optional hyper-parameter takes part from now on."""
        if hyper.optional and on:
            self._used.add(hyper.name)
            if hyper.buffer is not None and hyper.buffer not in self.state:
                self.add_state(hyper.buffer)
        elif hyper.optional:
            self._used.discard(hyper.name)

    def uses(self, name: str) -> bool:
        """Whether an optional hyper-parameter is other than 0; a trace depends on it."""
        guard(self, f"uses {name}", lambda: name in self._used)
        return name in self._used

    # The step

    def step(self) -> None:
        """Change every parameter that has a gradient, once."""
        maximize = self.defaults.get("maximize", False)
        with no_grad():
            for i, p in enumerate(self.params):
                g = p.grad
                if g is None:
                    continue
                if p.device is not self.device:
                    raise DeviceError(
                        f"{type(self).__name__}: {p.label or f'parameter {i}'} is on {p.device}, "
                        f"the optimizer's state on {self.device}; use opt.to({p.device.name!r})"
                    )
                wide = _computes_in(p.dtype)
                state = ParameterState(self, i, wide)
                with updating(f"{p.label or f'parameter {i}'} ({type(self).__name__})"):
                    new = self.update(_cast(p, wide), _cast(-g if maximize else g, wide), state)
                    p.assign(_cast(new, p.dtype))

    def update(self, p: Tensor, g: Tensor, state: ParameterState) -> Tensor:
        """The new value of one parameter; subclasses define it.

        p, g   its value and its gradient, in float32 or float64
        state  state["exp_avg"] and so on, read and written; state.hyper("lr")
        """
        raise NotImplementedError(f"{type(self).__name__}: define update(self, p, g, state)")

    def zero_grad(self) -> None:
        """Forget all gradients: `.grad` becomes None."""
        for p in self.params:
            p.grad = None

    # State

    def to(self, device: str | Device) -> Self:
        """Move all state to another device, after the model; returns the optimizer."""
        self.device = get_device(device)
        for t in self._tensors().values():
            relocate(t, self.device)
        return self

    def _tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state: "lr", "exp_avg.0", ..."""
        named = {f"{name}.{i}": t for name, row in self.state.items() for i, t in enumerate(row)}
        return {**self._hyper, **named}

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Copies of all state on the host: hyper-parameters ("lr") and, by the parameter's number,
        moments and counts ("exp_avg.0"). Flat, so that any array file can hold it.
        """
        return {name: t.numpy() for name, t in self._tensors().items()}

    def load_state_dict(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Replace all state, so that training goes on exactly as after the saved step.

        Raises `ArgumentError`, which names what is missing, unexpected or of the wrong shape;
        nothing is changed unless everything fits.
        """
        refuse("load_state_dict", "load outside the jitted function")
        arrays = {name: np.asarray(value) for name, value in state.items()}
        before = (set(self._used), dict(self.state))
        for hyper in self._hypers():
            if hyper.name in arrays:
                if hyper.buffer is not None and f"{hyper.buffer}.0" in arrays:
                    self._use(hyper, True)  # so that there is a buffer to be filled
                self._use(hyper, bool(np.any(arrays[hyper.name] != 0)))
        own = self._tensors()
        problems = {
            "missing": [n for n in own if n not in arrays],
            "unexpected": [n for n in arrays if n not in own],
            "wrong shape": [
                f"{n} {arrays[n].shape} for {t.shape}"
                for n, t in own.items()
                if n in arrays and arrays[n].shape != t.shape
            ],
        }
        if any(problems.values()):
            self._used, self.state = before
            listed = "; ".join(f"{what}: {', '.join(n)}" for what, n in problems.items() if n)
            raise ArgumentError(
                f"load_state_dict: the state doesn't fit this {type(self).__name__}: {listed}; "
                "nothing was loaded"
            )
        for name, t in own.items():
            t.assign(tensor(arrays[name].astype(t.dtype.numpy), device=t.device))

    def __repr__(self) -> str:
        """The options as they are now: Adam(lr=0.001, ...) over 8 parameters, 93,322 numbers"""
        options: dict[str, object] = dict(self.defaults)
        with setting(TRACE, None):
            options |= {h.name: f"{self._hyper[h.name].item():.7g}" for h in self._hypers()}
        shown = ", ".join(f"{name}={value}" for name, value in options.items())
        total = sum(p.size for p in self.params)
        return (
            f"{type(self).__name__}({shown}) "
            f"over {len(self.params)} parameters, {total:,} numbers on {self.device}"
        )


class ParameterState:
    """One parameter's state during a step: what `Optimizer.update` reads and writes.

    state["exp_avg"] is a tensor of the parameter's shape, or a count, in float32 or float64;
    setting it assigns.
    """

    def __init__(self, optimizer: Optimizer, index: int, dtype: DType) -> None:
        self._optimizer, self._index, self._dtype = optimizer, index, dtype

    def __getitem__(self, name: str) -> Tensor:
        return self._optimizer.state[name][self._index]

    def __setitem__(self, name: str, value: Tensor) -> None:
        self._optimizer.state[name][self._index].assign(value)

    def hyper(self, name: str) -> Tensor:
        """A hyper-parameter's tensor."""
        return _cast(self._optimizer._hyper[name], self._dtype)

    def advance(self, name: str = "step") -> Tensor:
        """Count one step more; returns the new count."""
        self[name] = self[name] + 1
        return self[name]

    def correction(self, beta: str, step: Tensor) -> Tensor:
        """1 - beta**step, as -expm1(step * log(beta)): without cancellation when beta is near 1."""
        return -expm1(step * self.hyper(f"log {beta}"))


def at_least_zero(name: str, **options: float) -> None:
    """Raise `ArgumentError` for a fixed option that is no number of 0 or more."""
    for option, value in options.items():
        if not dtypes.is_scalar(value) or not value >= 0:
            raise ArgumentError(f"{name}: {option}={value!r}; expected a number, 0 or more")


def _checked(name: str, params: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """The parameters as a tuple, or an error that says which can't be optimized."""
    if isinstance(params, Tensor) or not isinstance(params, Iterable):
        raise ArgumentError(
            f"{name}: params is {type(params).__name__}; expected several tensors, "
            "as model.parameters() or [tensor]"
        )
    result = tuple(params)
    if not result:
        raise ArgumentError(f"{name}: no parameters; does the model have any, or is it used up?")
    for i, p in enumerate(result):
        if not isinstance(p, Tensor):
            raise ArgumentError(f"{name}: parameter {i} is {type(p).__name__}; expected tensors")
        label = f"parameter {i}" + (f" ({p.label})" if p.label else "")
        if not p.dtype.is_float:
            raise DTypeError(f"{name}: {label} is {p.spec}; expected a float; integers can't move")
        if not p.is_leaf:
            raise GradientError(
                f"{name}: {label} was computed from others; expected a leaf; use detach(), or "
                "optimize what it was computed from"
            )
        if p.device is not result[0].device:
            raise DeviceError(
                f"{name}: parameters on {result[0].device} and {p.device}; expected one device; "
                "move the model with .to(device), or make an optimizer for each"
            )
    if len({id(p) for p in result}) < len(result):
        raise ArgumentError(f"{name}: a parameter is given twice; give each once")
    return result


def _computes_in(dtype: DType) -> DType:
    return dtypes.promote(dtype, dtypes.float32)


def _cast(value: Tensor, dtype: DType) -> Tensor:
    return value if value.dtype is dtype else value.astype(dtype)
