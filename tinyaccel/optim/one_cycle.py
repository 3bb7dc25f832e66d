"""OneCycleLR: the learning rate up and down once, the momentum down and up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tinyaccel.errors import ArgumentError
from tinyaccel.optim.optimizer import Optimizer
from tinyaccel.optim.schedule import Schedule, number, per_group, whole
from tinyaccel.optim.schedules import anneal


class OneCycleLR(Schedule):
    """From max_lr / div_factor up to max_lr, then down to the start / final_div_factor.

    The momentum (SGD, RMSprop) or beta1 (Adam and its kin) goes the other way. Whatever rates the
    groups have doesn't matter. `step` is called after each batch.

    max_lr            the highest rate, or one for each group
    total_steps       how many steps it takes; or epochs and steps_per_epoch, whose product it is
    pct_start         which part of them goes up, above 0 and below 1
    anneal_strategy   "cos" or "linear"
    cycle_momentum    whether to change the momentum
    base_momentum, max_momentum  its lowest and highest value, or one for each group, below 1
    div_factor, final_div_factor  above 0
    three_phase       go down to the start as fast as up, and use what is left for the end

    The step after the last holds the last rate; a later one raises `ArgumentError`.
    L. Smith, N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large
    Learning Rates", arXiv:1708.07120.

    >>> import tinyaccel as ta
    >>> opt = ta.optim.SGD([ta.tensor([1.0], requires_grad=True)], momentum=0.9)
    >>> schedule = ta.optim.OneCycleLR(opt, max_lr=1.0, total_steps=11, anneal_strategy="linear")
    >>> [round(schedule.at(t)[0], 2) for t in (0, 1, 2, 5, 10)]
    [0.04, 0.46, 0.87, 0.65, 0.0]
    """

    __slots__ = ("_anneal", "_momenta", "_phases", "_rates", "total_steps")

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        name = "OneCycleLR"
        if total_steps is None and (epochs is None or steps_per_epoch is None):
            raise ArgumentError(
                f"{name}: epochs={epochs}, steps_per_epoch={steps_per_epoch}; give both, or "
                "total_steps"
            )
        if total_steps is not None:
            self.total_steps = whole(name, "total_steps", total_steps, 2)
        else:
            per_epoch = whole(name, "steps_per_epoch", steps_per_epoch, 1)
            self.total_steps = whole(name, "epochs", epochs, 1) * per_epoch
        part = number(name, "pct_start", pct_start, 0, 1)
        self._anneal = anneal(anneal_strategy)
        self._phases = self._ends(part, three_phase)
        for option, factor in (("div_factor", div_factor), ("final_div_factor", final_div_factor)):
            if not number(name, option, factor, 0, float("inf")) > 0:
                raise ArgumentError(f"{name}: {option}=0; expected a number above 0")
        self._rates = []
        for highest in per_group(name, "max_lr", max_lr, optimizer):
            first = highest / div_factor
            down = [first] if three_phase else []
            self._rates.append([first, highest, *down, first / final_div_factor])
        self._momenta: list[list[float]] = []
        if cycle_momentum:
            for group in optimizer.param_groups:
                if "momentum" not in group and "beta1" not in group:
                    raise ArgumentError(
                        f"{name}: {type(optimizer).__name__} has no momentum to change; "
                        "pass cycle_momentum=False"
                    )
            lows = per_group(name, "base_momentum", base_momentum, optimizer)
            highs = per_group(name, "max_momentum", max_momentum, optimizer)
            for low, high in zip(lows, highs, strict=True):
                last = [high] if three_phase else []
                self._momenta.append([high, low, high, *last])
        super().__init__(optimizer)

    def _ends(self, part: float, three_phase: bool) -> list[float]:
        """The step at which each phase begins, and the last one."""
        up = part * self.total_steps - 1
        down = [2 * part * self.total_steps - 2] if three_phase else []
        ends = [0.0, up, *down, self.total_steps - 1.0]
        if any(a >= b for a, b in pairwise(ends)):
            raise ArgumentError(
                f"OneCycleLR: pct_start={part:g} of {self.total_steps} steps leaves a phase "
                f"without steps (it turns at {', '.join(f'{e:g}' for e in ends)}); "
                "take more steps or another part"
            )
        return ends

    def _at(self, values: list[float], count: int) -> float:
        """Between the values at the turns, by the anneal strategy."""
        count = min(count, self.total_steps - 1)
        phase = next(i for i, end in enumerate(self._phases[1:]) if count <= end)
        start, end = self._phases[phase : phase + 2]
        return self._anneal(values[phase], values[phase + 1], (count - start) / (end - start))

    def _checked(self, count: int) -> int:
        count = super()._checked(count)
        if count > self.total_steps:
            raise ArgumentError(
                f"OneCycleLR: step {count} of a cycle of {self.total_steps}; "
                "make it with as many steps as there are"
            )
        return count

    def rate(self, count: int, base: float, group: int) -> float:
        return self._at(self._rates[group], count)

    def momentum(self, count: int, group: int) -> float | None:
        return self._at(self._momenta[group], count) if self._momenta else None
