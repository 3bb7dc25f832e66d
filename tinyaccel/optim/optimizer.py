"""Optimizer: what all of them share; groups of parameters, their state, and the walk over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Self, TypeAlias

import numpy.typing as npt

from tinyaccel import dtypes
from tinyaccel.backend import Device, get_device
from tinyaccel.dtypes import DType
from tinyaccel.errors import ArgumentError, DeviceError
from tinyaccel.ops.elementwise import expm1, where
from tinyaccel.optim.group import ParameterGroup, cast, checked, computes_in
from tinyaccel.optim.hyper import Hyper, HyperPair
from tinyaccel.optim.state import Arrays, check_fit, host, load
from tinyaccel.tape import no_grad
from tinyaccel.tensor import Tensor
from tinyaccel.trace import guard, refuse, updating

Option: TypeAlias = float | tuple[float, float]
Params: TypeAlias = Iterable[Tensor | tuple[str, Tensor] | Mapping[str, object]]


class Optimizer:
    """Base of all optimizers: changes parameters by their gradients.

    params    tensors, as `model.parameters()` gives them, or pairs of name and tensor, as
              `model.named_parameters()`: leaves, floats, all on one device. Or groups:
              `[{"params": ..., "lr": 0.1}, {"params": ...}]`, each with the options that are
              its own
    options   what holds for a group that doesn't say otherwise, by name: those that are a `Hyper`
              of the class, and others, which are fixed; `defaults` shows them as they were given
    maximize  climb instead of descend

    `param_groups` are the groups: `opt.param_groups[0]["lr"] = 0.01`. A plain list of parameters
    is one group. `opt.lr = 0.01` sets all groups.

    A subclass names its per-parameter state in `buffers` (shaped as the parameter) and `counters`
    (0-d), and defines `update`; it may define `check_options` and `make_state`. All state is made
    here, as tensors on the parameters' device and changed by `assign` alone, so a whole training
    step can be jitted. float16 and bfloat16 parameters are updated in float32, which their state
    is kept in, and rounded once.

    Raises `ArgumentError`, `DTypeError`, `GradientError` or `DeviceError` for what can't be
    optimized or has an impossible value.

    >>> import tinyaccel as ta
    >>> body, head = (ta.tensor([1.0], requires_grad=True) for _ in range(2))
    >>> groups = [{"params": [body], "lr": 0.125}, {"params": [head]}]
    >>> opt = ta.optim.SGD(groups, lr=0.5)
    >>> (body + head).sum().backward()
    >>> opt.step()
    >>> body.tolist(), head.tolist()
    ([0.875], [0.5])
    """

    __slots__ = ("_groups", "defaults", "device")

    buffers: tuple[str, ...] = ()
    counters: tuple[str, ...] = ()

    device: Device
    defaults: Mapping[str, float]  # the options as they were given; flags are bools
    _groups: tuple[ParameterGroup, ...]

    def __init__(self, params: Params, **options: Option) -> None:
        name = type(self).__name__
        self.defaults = MappingProxyType(self._split(options))
        self._groups = ()
        for group in _as_groups(name, params):
            self._add(group)

    # Groups

    @property
    def param_groups(self) -> tuple[ParameterGroup, ...]:
        """The groups of parameters, each with its options; `add_param_group` adds one."""
        guard(self, "param_groups", lambda: len(self._groups))
        return self._groups

    def add_param_group(self, group: Mapping[str, object]) -> None:
        """Optimize more parameters from now on, with options of their own.

        group  "params": tensors, or pairs of name and tensor; and options by name, those that are
               missing being the optimizer's `defaults`

        A jitted step is traced again. From two groups on `state_dict` names hyper-parameters
        "groups.0.lr", "groups.1.lr", ... Raises what making an optimizer does, `TraceError` in a
        traced function; nothing is added then.
        """
        refuse("add_param_group", "add it outside the jitted function")
        self._add(group)

    def _add(self, given: Mapping[str, object]) -> None:
        name, known, declared = type(self).__name__, self._groups, self._declared()
        hypers = {n: kind for n, kind in declared.items() if isinstance(kind, Hyper)}
        pairs = {n: kind for n, kind in declared.items() if isinstance(kind, HyperPair)}
        if not isinstance(given, Mapping) or "params" not in given:
            what = list(given) if isinstance(given, Mapping) else type(given).__name__
            raise ArgumentError(
                f'{name}: a group of parameters is {what}; expected {{"params": ..., "lr": ...}}'
            )
        own = self._split({n: value for n, value in given.items() if n != "params"})
        unknown = [repr(n) for n in own if n not in self.defaults]
        if unknown:
            raise ArgumentError(
                f"{name}: a group has {', '.join(unknown)}; expected params, and any of "
                f"{', '.join([*self.defaults, *pairs])}"
            )
        params, first = given["params"], sum(len(group.params) for group in known)
        params = [params] if isinstance(params, Tensor) else params
        found = checked(name, params, first, self.device if known else None)
        if {id(p) for p, _ in found} & {id(p) for group in known for p in group.params}:
            raise ArgumentError(f"{name}: a parameter is given twice; give each once")
        options = {**self.defaults, **own}
        self.check_options(options)
        label = f"{name}.param_groups[{len(known)}]" if known else name
        group = ParameterGroup(name, label, found, options, hypers, pairs, first)
        self.make_state(group)
        self.device, self._groups = group.device, (*known, group)

    @classmethod
    def _declared(cls) -> dict[str, object]:
        """The class attributes, those of its bases first."""
        return {n: value for base in reversed(cls.__mro__) for n, value in vars(base).items()}

    @classmethod
    def _split(cls, options: Mapping[str, object]) -> dict[str, Any]:
        """The options with `betas` as beta1 and beta2."""
        declared = cls._declared()
        result: dict[str, Any] = {}
        for name, value in options.items():
            kind = declared.get(name)
            if isinstance(kind, HyperPair):
                result.update(kind.split(cls.__name__, value))
            else:
                result[name] = value
        return result

    def check_options(self, options: Mapping[str, float]) -> None:
        """Raise `ArgumentError` for fixed options of a group that can't be; for subclasses."""

    def make_state(self, group: ParameterGroup) -> None:
        """Give a new group its state tensors; a subclass may add more, as its options demand."""
        for buffer in self.buffers:
            group.add_state(buffer)
        for counter in self.counters:
            group.add_state(counter, shape=())

    @property
    def params(self) -> tuple[Tensor, ...]:
        """All parameters, group after group: this is how they are numbered."""
        return tuple(p for group in self.param_groups for p in group.params)

    @property
    def state(self) -> dict[str, list[Tensor]]:
        """The state tensors by name, one for each parameter whose group has it."""
        result: dict[str, list[Tensor]] = {}
        for group in self.param_groups:
            for name, row in group.state.items():
                result.setdefault(name, []).extend(row)
        return result

    # The step

    def step(self, when: Tensor | None = None) -> None:
        """Change every parameter that has a gradient, once.

        when  a 0-d bool tensor: where it is False, parameters and state stay as they are to the
              bit, NaN gradients or not. The device decides, nothing is read back: this is how
              `GradScaler` leaves out a step that overflowed.

        Raises `ArgumentError` for another `when`, `DeviceError` if parameters have moved and the
        optimizer hasn't.
        """
        name = type(self).__name__
        check_condition(f"{name}.step", when)
        with no_grad():
            for group in self.param_groups:
                for i, p in enumerate(group.params):
                    if p.grad is not None:
                        with updating(f"{group.name(i)} ({name})"):
                            self._step(ParameterState(group, i, when), p, p.grad)

    def _step(self, state: ParameterState, p: Tensor, g: Tensor) -> None:
        if p.device is not self.device:
            raise DeviceError(
                f"{type(self).__name__}: {state.group.name(state.index)} is on {p.device}, the "
                f"optimizer's state on {self.device}; use opt.to({p.device.name!r})"
            )
        wide = computes_in(p.dtype)
        g = -g if state.group.fixed.get("maximize", False) else g
        new = self.update(cast(p, wide), cast(g, wide), state)
        replace(p, cast(new, p.dtype), state.when)

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
        for group in self._groups:
            group.to(self.device)
        return self

    def _prefix(self, i: int) -> str:
        return "" if len(self._groups) == 1 else f"groups.{i}."

    def _tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state: "lr", "exp_avg.0", ..."""
        rows = [group.tensors(self._prefix(i)) for i, group in enumerate(self._groups)]
        return {name: t for row in rows for name, t in row.items()}

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Copies of all state on the host: hyper-parameters ("lr"; with several groups
        "groups.0.lr" and so on) and, by the parameter's number, moments and counts ("exp_avg.0").
        Flat, so that any array file can hold it.
        """
        return host(self._tensors())

    def load_state_dict(self, state: Arrays) -> None:
        """Replace all state, so that training goes on exactly as after the saved step.

        Raises `ArgumentError`, which names what is missing, unexpected or of the wrong shape;
        nothing is changed unless everything fits.
        """
        refuse("load_state_dict", "load outside the jitted function")
        saved = {name.split(".")[1] for name in state if name.startswith("groups.")}
        if len(saved or "1") != len(self._groups):
            raise ArgumentError(
                f"load_state_dict: the state doesn't fit this {type(self).__name__}: it is of "
                f"{len(saved or '1')} parameter groups, here are {len(self._groups)}; "
                "nothing was loaded"
            )
        before = [group.remember() for group in self._groups]
        for i, group in enumerate(self._groups):
            group.prepare(state, self._prefix(i))
        try:
            check_fit(type(self).__name__, self._tensors(), state)
        except ArgumentError:
            for group, kept in zip(self._groups, before, strict=True):
                group.restore(kept)
            raise
        load(self._tensors(), state)

    def __repr__(self) -> str:
        """The options as they are now: Adam(lr=0.001, ...) over 8 parameters, 93,322 numbers"""
        name, groups = type(self).__name__, self._groups
        params = [p for group in groups for p in group.params]
        total = (
            f"over {len(params)} parameters, {sum(p.size for p in params):,} numbers "
            f"on {self.device}"
        )
        if len(groups) == 1:
            return f"{name}({groups[0].describe()}) {total}"
        lines = [f"  {i}: {len(g.params)} with {g.describe()}" for i, g in enumerate(groups)]
        return "\n".join([f"{name} in {len(groups)} groups {total}", *lines])


class ParameterState:
    """One parameter's state during a step: what `Optimizer.update` reads and writes.

    state["exp_avg"] is a tensor of the parameter's shape, or a count, in float32 or float64;
    setting it assigns.
    """

    def __init__(self, group: ParameterGroup, index: int, when: Tensor | None = None) -> None:
        self.group, self.index, self.when = group, index, when
        self._dtype: DType = computes_in(group.params[index].dtype)

    def __getitem__(self, name: str) -> Tensor:
        return self.group.state[name][self.index]

    def __setitem__(self, name: str, value: Tensor) -> None:
        replace(self[name], value, self.when)

    def hyper(self, name: str) -> Tensor:
        """A hyper-parameter's tensor."""
        return cast(self.group.read(name), self._dtype)

    def uses(self, name: str) -> bool:
        """Whether an optional hyper-parameter is other than 0."""
        return self.group.uses(name)

    def option(self, name: str) -> float:
        """A fixed option: eps, amsgrad, ..."""
        return self.group.fixed[name]

    def advance(self, name: str = "step") -> Tensor:
        """Count one step more; returns the new count."""
        count = self[name] + 1
        self[name] = count
        return count

    def correction(self, beta: str, step: Tensor) -> Tensor:
        """1 - beta**step, as -expm1(step * log(beta)): without cancellation when beta is near 1."""
        return -expm1(step * self.hyper(f"log {beta}"))


def check_condition(owner: str, when: Tensor | None) -> None:
    """Raise `ArgumentError` unless `when` is None or one bool on the device."""
    fits = isinstance(when, Tensor) and when.shape == () and when.dtype is dtypes.bool_
    if when is not None and not fits:
        arrived = str(when.spec) if isinstance(when, Tensor) else repr(when)
        raise ArgumentError(
            f"{owner}: when is {arrived}; expected a 0-d bool tensor, as GradScaler.unscale_ gives"
        )


def replace(target: Tensor, value: Tensor, when: Tensor | None) -> None:
    """Assign, but only where `when` is True, if it is given."""
    target.assign(value if when is None else where(when, value, target))


def _as_groups(name: str, params: object) -> list[Mapping[str, object]]:
    """The groups that `params` is, or the one group that it forms."""
    if isinstance(params, Mapping):
        raise ArgumentError(
            f"{name}: params is a {type(params).__name__}; expected tensors, or a list of groups: "
            '[{"params": ..., "lr": ...}]'
        )
    if isinstance(params, Tensor) or not isinstance(params, Iterable):
        checked(name, params)  # which says what is wrong
    assert isinstance(params, Iterable)
    items = list(params)
    if items and isinstance(items[0], Mapping):
        return items
    return [{"params": items}]
