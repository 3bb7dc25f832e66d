"""Schedules of the learning rate that are pure functions of the step, by PyTorch's names."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from tinyaccel.errors import ArgumentError
from tinyaccel.optim.optimizer import Optimizer
from tinyaccel.optim.schedule import Schedule, number, whole


class LambdaLR(Schedule):
    """lr = base * lr_lambda(t).

    lr_lambda  a function of the step, or a list of them, one for each group

    >>> import tinyaccel as ta
    >>> opt = ta.optim.SGD([ta.tensor([1.0], requires_grad=True)], lr=0.5)
    >>> ta.optim.LambdaLR(opt, lambda t: 0.5**t).at(2)
    [0.125]
    """

    __slots__ = ("_factors",)

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
    ) -> None:
        if callable(lr_lambda):
            self._factors = [lr_lambda] * len(optimizer.param_groups)
        else:
            self._factors = list(lr_lambda)
        if len(self._factors) != len(optimizer.param_groups):
            raise ArgumentError(
                f"LambdaLR: {len(self._factors)} functions for {len(optimizer.param_groups)} "
                "parameter groups; expected one, or one for each"
            )
        super().__init__(optimizer)

    def rate(self, count: int, base: float, group: int) -> float:
        return base * self._factors[group](count)


class StepLR(Schedule):
    """lr = base * gamma**floor(t / step_size).

    step_size  after how many steps it changes, 1 or more
    gamma      by what, 0 or more
    """

    __slots__ = ("gamma", "step_size")

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = whole("StepLR", "step_size", step_size, 1)
        self.gamma = number("StepLR", "gamma", gamma, 0, math.inf)
        super().__init__(optimizer)

    def rate(self, count: int, base: float, group: int) -> float:
        return float(base * self.gamma ** (count // self.step_size))


class MultiStepLR(Schedule):
    """lr = base * gamma**(how many milestones are at most t).

    milestones  steps; one that is listed twice counts twice
    gamma       0 or more
    """

    __slots__ = ("gamma", "milestones")

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones = sorted(whole("MultiStepLR", "milestones", m, 0) for m in milestones)
        self.gamma = number("MultiStepLR", "gamma", gamma, 0, math.inf)
        super().__init__(optimizer)

    def rate(self, count: int, base: float, group: int) -> float:
        return float(base * self.gamma ** bisect_right(self.milestones, count))


class ConstantLR(Schedule):
    """lr = base * factor for total_iters steps, then base.

    factor       from 0 to 1
    total_iters  0 or more
    """

    __slots__ = ("factor", "total_iters")

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5) -> None:
        self.factor = number("ConstantLR", "factor", factor, 0, 1)
        self.total_iters = whole("ConstantLR", "total_iters", total_iters, 0)
        super().__init__(optimizer)

    def rate(self, count: int, base: float, group: int) -> float:
        return base * self.factor if count < self.total_iters else base


class LinearLR(Schedule):
    """lr = base * f, with f going from start_factor to end_factor in total_iters equal steps.

    The usual warm-up. start_factor is above 0 and at most 1, end_factor from 0 to 1, total_iters
    1 or more.
    """

    __slots__ = ("end_factor", "start_factor", "total_iters")

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        self.start_factor = number("LinearLR", "start_factor", start_factor, 0, 1)
        if self.start_factor == 0:
            raise ArgumentError("LinearLR: start_factor=0; a step of 0 learns nothing; use 1e-3")
        self.end_factor = number("LinearLR", "end_factor", end_factor, 0, 1)
        self.total_iters = whole("LinearLR", "total_iters", total_iters, 1)
        super().__init__(optimizer)

    def rate(self, count: int, base: float, group: int) -> float:
        done = min(count, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * done)


class ExponentialLR(Schedule):
    """lr = base * gamma**t, gamma 0 or more."""

    __slots__ = ("gamma",)

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = number("ExponentialLR", "gamma", gamma, 0, math.inf)
        super().__init__(optimizer)

    def rate(self, count: int, base: float, group: int) -> float:
        return float(base * self.gamma**count)


class PolynomialLR(Schedule):
    """lr = base * (1 - t / total_iters)**power, and 0 from total_iters on.

    total_iters  1 or more
    power        0 or more
    """

    __slots__ = ("power", "total_iters")

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0) -> None:
        self.total_iters = whole("PolynomialLR", "total_iters", total_iters, 1)
        self.power = number("PolynomialLR", "power", power, 0, math.inf)
        super().__init__(optimizer)

    def rate(self, count: int, base: float, group: int) -> float:
        left = 1 - min(count, self.total_iters) / self.total_iters
        return float(base * left**self.power)


class CosineAnnealingLR(Schedule):
    """lr = eta_min + (base - eta_min) (1 + cos(pi t / T_max)) / 2.

    After T_max steps it is eta_min, and then rises again: let the last step be T_max.

    T_max    1 or more
    eta_min  0 or more

    I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
    arXiv:1608.03983.

    >>> import tinyaccel as ta
    >>> opt = ta.optim.SGD([ta.tensor([1.0], requires_grad=True)], lr=0.5)
    >>> schedule = ta.optim.CosineAnnealingLR(opt, T_max=4)
    >>> [round(schedule.at(t)[0], 3) for t in range(5)]
    [0.5, 0.427, 0.25, 0.073, 0.0]
    """

    __slots__ = ("T_max", "eta_min")

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:  # noqa: N803
        self.T_max = whole("CosineAnnealingLR", "T_max", T_max, 1)
        self.eta_min = number("CosineAnnealingLR", "eta_min", eta_min, 0, math.inf)
        super().__init__(optimizer)

    def rate(self, count: int, base: float, group: int) -> float:
        return _cosine(base, self.eta_min, count / self.T_max)


class CosineAnnealingWarmRestarts(Schedule):
    """As `CosineAnnealingLR`, from the start again after T_0 steps, then T_0 * T_mult, and so on.

    T_0, T_mult  whole numbers, 1 or more
    eta_min      0 or more

    I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
    arXiv:1608.03983.
    """

    __slots__ = ("T_0", "T_mult", "eta_min")

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,  # noqa: N803  # PyTorch's names
        T_mult: int = 1,  # noqa: N803
        eta_min: float = 0.0,
    ) -> None:
        self.T_0 = whole("CosineAnnealingWarmRestarts", "T_0", T_0, 1)
        self.T_mult = whole("CosineAnnealingWarmRestarts", "T_mult", T_mult, 1)
        self.eta_min = number("CosineAnnealingWarmRestarts", "eta_min", eta_min, 0, math.inf)
        super().__init__(optimizer)

    def rate(self, count: int, base: float, group: int) -> float:
        length = self.T_0
        if self.T_mult == 1:
            count %= length
        while count >= length:
            count, length = count - length, length * self.T_mult
        return _cosine(base, self.eta_min, count / length)


class SequentialLR(Schedule):
    """One schedule after the other: each begins, at its own step 0, where the one before ends.

    schedulers  schedules of this optimizer
    milestones  the step at which each but the first begins, in order

    >>> import tinyaccel as ta
    >>> opt = ta.optim.SGD([ta.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> warm_up = ta.optim.LinearLR(opt, start_factor=0.25, total_iters=2)
    >>> cosine = ta.optim.CosineAnnealingLR(opt, T_max=2)
    >>> schedule = ta.optim.SequentialLR(opt, [warm_up, cosine], milestones=[2])
    >>> [round(schedule.at(t)[0], 3) for t in range(5)]
    [0.25, 0.625, 1.0, 0.5, 0.0]
    """

    __slots__ = ("_schedules", "milestones")

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[Schedule], milestones: Sequence[int]
    ) -> None:
        for i, schedule in enumerate(schedulers):
            if not isinstance(schedule, Schedule):
                raise ArgumentError(
                    f"SequentialLR: schedule {i} is {type(schedule).__name__}; expected functions "
                    "of the step, which ReduceLROnPlateau isn't"
                )
            if schedule.optimizer is not optimizer:
                raise ArgumentError(
                    f"SequentialLR: schedule {i} ({type(schedule).__name__}) is of another "
                    "optimizer; make all with the same"
                )
        steps = [whole("SequentialLR", "milestones", m, 1) for m in milestones]
        if len(steps) != len(schedulers) - 1 or steps != sorted(set(steps)):
            raise ArgumentError(
                f"SequentialLR: {len(schedulers)} schedules with milestones {steps}; expected "
                "one milestone less than schedules, in ascending order"
            )
        self._schedules, self.milestones = list(schedulers), steps
        super().__init__(optimizer)

    def _now(self, count: int) -> tuple[Schedule, int]:
        """The schedule that holds after `count` steps, and how many of them are its own."""
        i = bisect_right(self.milestones, count)
        return self._schedules[i], count - (self.milestones[i - 1] if i else 0)

    def rate(self, count: int, base: float, group: int) -> float:
        schedule, own = self._now(count)
        return schedule.rate(schedule._checked(own), base, group)

    def momentum(self, count: int, group: int) -> float | None:
        schedule, own = self._now(count)
        return schedule.momentum(own, group)


def _cosine(start: float, end: float, part: float) -> float:
    """From `start`, where `part` is 0, to `end`, where it is 1, along half a wave of the cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def anneal(strategy: str) -> Callable[[float, float, float], float]:
    """How to get from a start to an end: "cos" or "linear"."""
    kinds: dict[str, Any] = {"cos": _cosine, "linear": lambda a, b, part: a + (b - a) * part}
    if strategy not in kinds:
        raise ArgumentError(f'OneCycleLR: anneal_strategy={strategy!r}; expected "cos" or "linear"')
    found: Callable[[float, float, float], float] = kinds[strategy]
    return found
