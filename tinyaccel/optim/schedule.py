"""Schedule: what all learning rate schedules share; the rate as a function of the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinyaccel.errors import ArgumentError
from tinyaccel.optim.hyper import is_number
from tinyaccel.optim.optimizer import Optimizer
from tinyaccel.trace import refuse


class Schedule:
    """Base of all schedules: sets the learning rate of each group as training goes on.

    `schedule.step()` after each optimizer step (or each epoch: whatever the schedule counts) sets
    the next rate. A rate is a pure function of the count, `schedule.at(count)`, so a resumed run
    goes on to the bit, and what is set on the optimizer by hand lasts until the next `step`.
    Rates are tensors of the optimizer, so a jitted step sees them without being traced again.

    The rates it starts from are the groups' own when it is made; a second schedule for the same
    optimizer starts from the same ones, unless `lr` has been set by hand since.

    optimizer  whose groups to set; groups can't be added after the schedule was made

    A subclass defines `rate`. Raises `ArgumentError` for an impossible argument.
    """

    __slots__ = ("base_lrs", "count", "optimizer")

    optimizer: Optimizer
    base_lrs: list[float]  # by group, the rates it starts from
    count: int  # how many steps have been counted

    def __init__(self, optimizer: Optimizer) -> None:
        owner = type(self).__name__
        if not isinstance(optimizer, Optimizer):
            raise ArgumentError(
                f"{owner}: optimizer is {type(optimizer).__name__}; expected an optimizer, the "
                "first argument"
            )
        refuse(owner, "make it outside the jitted function")
        self.optimizer = optimizer
        self.base_lrs = []
        for group in optimizer.param_groups:
            if group.initial_lr is None:
                group.initial_lr = group.number("lr")
            self.base_lrs.append(group.initial_lr)
        self.set(0)

    def rate(self, count: int, base: float, group: int) -> float:
        """The learning rate of one group after `count` steps; subclasses define it.

        base   the group's rate at the start
        group  its number
        """
        raise NotImplementedError(f"{type(self).__name__}: define rate(self, count, base, group)")

    def momentum(self, count: int, group: int) -> float | None:
        """The momentum of one group, for a schedule that changes that too; None leaves it alone."""
        return None

    def at(self, count: int) -> list[float]:
        """The learning rate of each group after `count` steps."""
        count = self._checked(count)
        return [self.rate(count, base, i) for i, base in enumerate(self.base_lrs)]

    def set(self, count: int) -> None:
        """Set the optimizer to what holds after `count` steps, and go on counting from there.

        Raises `TraceError` in a traced function, where it would happen once.
        """
        refuse(f"{type(self).__name__}.set", "set it outside the jitted function")
        rates, groups = self.at(count), self.optimizer.param_groups
        if len(rates) != len(groups):
            raise ArgumentError(
                f"{type(self).__name__}: made for {len(rates)} parameter groups, the optimizer has "
                f"{len(groups)} now; make the schedule after add_param_group"
            )
        self.count = int(count)
        for i, (group, lr) in enumerate(zip(groups, rates, strict=True)):
            set_rate(group, lr)
            momentum = self.momentum(self.count, i)
            if momentum is None:
                continue
            if "beta1" in group:
                group["beta1"] = momentum
            else:
                group["momentum"] = momentum

    def step(self) -> None:
        """Count one step, and set the optimizer to what holds from now on."""
        self.set(self.count + 1)

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group as it is set now."""
        return self.at(self.count)

    def _checked(self, count: int) -> int:
        return whole(type(self).__name__, "step", count, 0)

    def state_dict(self) -> dict[str, Any]:
        """What to keep for going on later, as plain JSON values: the count and the first rates."""
        return {"count": self.count, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state, and set the optimizer to what holds there.

        Raises `ArgumentError` for what is no such state, and changes nothing then.
        """
        refuse("load_state_dict", "load outside the jitted function")
        own = self.state_dict()
        check_keys(type(self).__name__, own, state)
        rates = [float(lr) for lr in state["base_lrs"]]
        if len(rates) != len(self.base_lrs):
            raise ArgumentError(
                f"load_state_dict: the state of this {type(self).__name__} is of {len(rates)} "
                f"parameter groups, here are {len(self.base_lrs)}; nothing was loaded"
            )
        count, self.base_lrs = self._checked(state["count"]), rates
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group.initial_lr = lr
        self.set(count)

    def __repr__(self) -> str:
        rates = ", ".join(f"{lr:.7g}" for lr in self.get_last_lr())
        return f"{type(self).__name__}(step {self.count}, lr {rates})"


def set_rate(group: Any, lr: float) -> None:
    """Set a group's rate on a schedule's behalf: it doesn't become what a schedule starts from."""
    initial = group.initial_lr
    group["lr"] = lr
    group.initial_lr = initial


def check_keys(owner: str, own: Mapping[str, object], state: Mapping[str, object]) -> None:
    """Raise `ArgumentError` unless a saved state has the names that it should have."""
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    if missing or unexpected:
        problems = [f"missing: {', '.join(missing)}"] * bool(missing)
        problems += [f"unexpected: {', '.join(map(str, unexpected))}"] * bool(unexpected)
        raise ArgumentError(
            f"load_state_dict: the state doesn't fit this {owner}: {'; '.join(problems)}; "
            "nothing was loaded"
        )


def whole(owner: str, name: str, value: object, least: int) -> int:
    """`value` as an int, or `ArgumentError` for what is no whole number of `least` or more."""
    fits = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not fits or value < least:  # type: ignore[operator]  # fits says so
        raise ArgumentError(f"{owner}: {name}={value!r}; expected a whole number, {least} or more")
    return int(value)  # type: ignore[call-overload,no-any-return]


def number(owner: str, name: str, value: object, low: float, high: float) -> float:
    """`value` as a float, or `ArgumentError` for what is no number from `low` to `high`."""
    if not is_number(value) or not low <= value <= high:
        limit = f"from {low:g} to {high:g}" if high < float("inf") else f"{low:g} or more"
        raise ArgumentError(f"{owner}: {name}={value!r}; expected a number, {limit}")
    return float(value)


def per_group(
    owner: str, name: str, value: float | Sequence[float], optimizer: Optimizer
) -> list[float]:
    """One number for each group: the same for all, or as they are listed."""
    groups = len(optimizer.param_groups)
    values = list(value) if isinstance(value, list | tuple) else [value] * groups
    if len(values) != groups:
        raise ArgumentError(
            f"{owner}: {name} has {len(values)} values for {groups} parameter groups; "
            "expected one number, or one for each"
        )
    return [number(owner, name, v, 0, float("inf")) for v in values]
