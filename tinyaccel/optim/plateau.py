"""ReduceLROnPlateau: a smaller learning rate when a figure has stopped getting better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tinyaccel.errors import ArgumentError
from tinyaccel.optim.optimizer import Optimizer
from tinyaccel.optim.schedule import check_keys, number, per_group, set_rate, whole
from tinyaccel.tensor import Tensor
from tinyaccel.trace import refuse


class ReduceLROnPlateau:
    """lr <- max(lr * factor, min_lr) after more than `patience` steps without a better figure.

    Unlike the other schedules it depends on what it is told, `schedule.step(val_loss)`, and so
    isn't a function of the step alone.

    mode            "min" if lower is better (a loss), "max" if higher is (an accuracy)
    factor          0 or more and below 1
    patience        how many steps in a row may be no better
    threshold       by how much a better figure is better
    threshold_mode  "rel": by that part of the best so far; "abs": by that much
    cooldown        how many steps after a change don't count as bad ones
    min_lr          the lowest rate, or one for each group
    eps             a change of the rate by less isn't made

    A NaN is never better. Raises `ArgumentError` for an impossible argument.

    >>> import tinyaccel as ta
    >>> opt = ta.optim.SGD([ta.tensor([1.0], requires_grad=True)], lr=0.5)
    >>> schedule = ta.optim.ReduceLROnPlateau(opt, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.5, 2.25):
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.25]
    """

    __slots__ = ("_bad", "_best", "_cooling", "_min_lrs", "cooldown", "eps", "factor", "mode",
                 "optimizer", "patience", "threshold", "threshold_mode")  # fmt: skip

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        name = "ReduceLROnPlateau"
        for option, value, known in (
            ("mode", mode, ("min", "max")),
            ("threshold_mode", threshold_mode, ("rel", "abs")),
        ):
            if value not in known:
                raise ArgumentError(
                    f'{name}: {option}={value!r}; expected "{known[0]}" or "{known[1]}"'
                )
        self.factor = number(name, "factor", factor, 0, 1)
        if self.factor == 1:
            raise ArgumentError(f"{name}: factor=1 changes nothing; expected a number below 1")
        self.mode, self.threshold_mode, self.optimizer = mode, threshold_mode, optimizer
        self.patience = whole(name, "patience", patience, 0)
        self.threshold = number(name, "threshold", threshold, 0, math.inf)
        self.cooldown = whole(name, "cooldown", cooldown, 0)
        self.eps = number(name, "eps", eps, 0, math.inf)
        self._min_lrs = per_group(name, "min_lr", min_lr, optimizer)
        self._best: float | None = None
        self._bad = self._cooling = 0

    def step(self, metric: float | Tensor) -> None:
        """Take note of the figure, and change the rates if it is time.

        metric  a number, or a tensor of one element, which is read from the device

        Raises `TraceError` in a traced function.
        """
        refuse("ReduceLROnPlateau.step", "call it outside the jitted function")
        self._check_groups()
        value = float(metric)
        if self._better(value):
            self._best, self._bad = value, 0
        else:
            self._bad += 1
        if self._cooling > 0:
            self._cooling, self._bad = self._cooling - 1, 0
        if self._bad > self.patience:
            self._reduce()
            self._cooling, self._bad = self.cooldown, 0

    def _better(self, value: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        best = math.inf * sign if self._best is None else self._best
        if self.threshold_mode == "abs":
            return sign * value < sign * best - self.threshold
        return sign * value < sign * best * (1 - sign * self.threshold)

    def _check_groups(self) -> None:
        made, now = len(self._min_lrs), len(self.optimizer.param_groups)
        if made != now:
            raise ArgumentError(
                f"ReduceLROnPlateau: made for {made} parameter groups, the optimizer has {now} "
                "now; make the schedule after add_param_group"
            )

    def _reduce(self) -> None:
        for group, lowest in zip(self.optimizer.param_groups, self._min_lrs, strict=True):
            old = group.number("lr")
            new = max(old * self.factor, lowest)
            if old - new > self.eps:
                set_rate(group, new)

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group as it is set now."""
        return [group.number("lr") for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """What to keep for going on later, as plain JSON values; `best` is None before a step."""
        return {
            "best": self._best, "bad": self._bad, "cooling": self._cooling,
            "lrs": self.get_last_lr(),
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state; the rates are set too, as numbers of Python's precision.

        Raises `ArgumentError` for what is no such state, and changes nothing then.
        """
        refuse("load_state_dict", "load outside the jitted function")
        check_keys("ReduceLROnPlateau", self.state_dict(), state)
        rates, groups = list(state["lrs"]), self.optimizer.param_groups
        if len(rates) != len(groups):
            raise ArgumentError(
                f"load_state_dict: the state of this ReduceLROnPlateau is of {len(rates)} "
                f"parameter groups, here are {len(groups)}; nothing was loaded"
            )
        self._best = None if state["best"] is None else float(state["best"])
        self._bad, self._cooling = int(state["bad"]), int(state["cooling"])
        for group, lr in zip(groups, rates, strict=True):
            set_rate(group, float(lr))

    def __repr__(self) -> str:
        rates = ", ".join(f"{lr:.7g}" for lr in self.get_last_lr())
        return f"ReduceLROnPlateau(best {self._best}, {self._bad} without a better, lr {rates})"
