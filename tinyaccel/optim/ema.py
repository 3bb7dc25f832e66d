"""EMA: a running average of a model's weights, often better than the weights themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy.typing as npt

from tinyaccel.backend import Device, get_device
from tinyaccel.contexts import setting
from tinyaccel.errors import ArgumentError, DeviceError
from tinyaccel.ops.elementwise import equal, where
from tinyaccel.optim.group import cast, checked, computes_in
from tinyaccel.optim.hyper import is_number
from tinyaccel.optim.optimizer import check_condition, replace
from tinyaccel.optim.state import Arrays, check_fit, host, load
from tinyaccel.tape import no_grad
from tinyaccel.tensor import Tensor, relocate, tensor
from tinyaccel.trace import TRACE, refuse


class EMA:
    """An exponential moving average of parameters: average <- average + (1 - decay) (p - average).

    The first update takes the parameters as they are, so that the start of training leaves no
    trace in the average.

    params  tensors, as `model.parameters()` gives them, or pairs of name and tensor: leaves,
            floats, all on one device. What a layer counts without training it (batch norm's
            statistics) is an average already; leave it out
    decay   how much of the average stays at each update, from 0 to 1; fixed

    float16 and bfloat16 parameters are averaged in float32. All state is made of tensors that
    change by `assign` alone, so `update` may be part of a jitted step.

    Raises `ArgumentError`, `DTypeError`, `GradientError` or `DeviceError` as `Optimizer` does.
    B. Polyak, A. Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM Journal
    on Control and Optimization 30 (1992), with exponential weights.

    >>> import tinyaccel as ta
    >>> p = ta.tensor([0.0], requires_grad=True)
    >>> ema = ta.optim.EMA([p], decay=0.75)
    >>> for value in (1.0, 2.0):
    ...     _ = p.assign(ta.tensor([value]))
    ...     ema.update()
    >>> with ema.applied():
    ...     print(p.detach())
    tensor([1.25])
    >>> p.detach()
    tensor([2.])
    """

    __slots__ = ("averages", "count", "decay", "device", "params")

    params: tuple[Tensor, ...]
    averages: list[Tensor]  # one per parameter
    count: Tensor  # of updates
    decay: float
    device: Device

    def __init__(self, params: Iterable[Tensor | tuple[str, Tensor]], decay: float = 0.999) -> None:
        if not is_number(decay) or not 0 <= decay <= 1:
            raise ArgumentError(f"EMA: decay={decay!r}; expected a number from 0 to 1")
        named = checked("EMA", params)
        self.params = tuple(p for p, _ in named)
        self.decay, self.device = float(decay), self.params[0].device
        with setting(TRACE, None):  # state is real even if a trace is going on
            self.count = tensor(0, device=self.device)
            self.averages = [cast(p.detach(), computes_in(p.dtype)) for p in self.params]
        self.count.label = "EMA.count"
        for i, (p, name) in enumerate(named):
            self.averages[i].label = f"{p.label or name or f'params[{i}]'}.average"

    def update(self, when: Tensor | None = None) -> None:
        """Take the parameters' present values into the average; after each optimizer's step.

        when  a 0-d bool tensor, as for `Optimizer.step`: where it is False nothing changes

        Raises `ArgumentError` for another `when`, `DeviceError` if parameters have moved and the
        average hasn't.
        """
        check_condition("EMA.update", when)
        with no_grad():
            first = equal(self.count, 0)
            for p, average in zip(self.params, self.averages, strict=True):
                if p.device is not self.device:
                    raise DeviceError(
                        f"EMA: {p.label or 'a parameter'} is on {p.device}, the averages on "
                        f"{self.device}; use ema.to({p.device.name!r})"
                    )
                now = cast(p, average.dtype)
                moved = average + (1 - self.decay) * (now - average)
                replace(average, where(first, now, moved), when)
            replace(self.count, self.count + 1, when)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """In the `with` block the parameters hold the averages; after it, their own values again.

        Also after an exception. What is assigned to them inside is lost. Raises `TraceError` in a
        traced function.
        """
        refuse("EMA.applied", "apply it around the jitted function")
        own = [p.detach() for p in self.params]
        try:
            for p, average in zip(self.params, self.averages, strict=True):
                p.assign(cast(average, p.dtype).to(p.device).detach())
            yield
        finally:
            for p, value in zip(self.params, own, strict=True):
                p.assign(value.to(p.device))  # they may have been moved meanwhile

    def to(self, device: str | Device) -> Self:
        """Move the averages to another device, after the model; returns the EMA."""
        self.device = get_device(device)
        for t in self._tensors().values():
            relocate(t, self.device)
        return self

    def _tensors(self) -> dict[str, Tensor]:
        return {"count": self.count, **{f"average.{i}": t for i, t in enumerate(self.averages)}}

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Copies of the state on the host: "count", and by the parameter's number "average.0"."""
        return host(self._tensors())

    def load_state_dict(self, state: Arrays) -> None:
        """Replace the averages by saved ones.

        Raises `ArgumentError` for what doesn't fit, and changes nothing then.
        """
        refuse("load_state_dict", "load outside the jitted function")
        check_fit("EMA", self._tensors(), state)
        load(self._tensors(), state)

    def __repr__(self) -> str:
        with setting(TRACE, None):
            count = self.count.item()
        return f"EMA(decay={self.decay}) of {len(self.params)} parameters after {count} updates"
