"""GradScaler: keeps the gradients of a narrow float within its range."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tinyaccel.backend import DEFAULT_DEVICE, Device, get_device
from tinyaccel.contexts import setting
from tinyaccel.errors import ArgumentError, GradientError
from tinyaccel.ops.elementwise import equal, where
from tinyaccel.ops.logic import isfinite, logical_and, logical_not
from tinyaccel.ops.reduce import all as every
from tinyaccel.optim.group import cast, computes_in
from tinyaccel.optim.hyper import is_number
from tinyaccel.optim.optimizer import check_condition
from tinyaccel.optim.state import Arrays, check_fit, host, load
from tinyaccel.tape import no_grad
from tinyaccel.tensor import Tensor, relocate, tensor
from tinyaccel.trace import TRACE, refuse


class GradScaler:
    """Multiplies the loss by a scale and divides the gradients by it: small ones survive float16.

    A scale that makes a gradient overflow is halved and the step left out; after `growth_interval`
    good steps in a row it doubles. A step reads

        scaler.scale(loss).backward()
        finite = scaler.unscale_(params)
        optimizer.step(when=finite)
        scaler.update(finite)

    and may be jitted as it stands: nothing is read back, and all state is made of tensors that
    change by `assign` alone. Between `unscale_` and `step` gradients may be clipped.

    device           where the loss is; by default the default device
    init_scale       the first scale, above 0
    growth_factor    above 1
    backoff_factor   between 0 and 1
    growth_interval  a whole number of steps, 1 or more

    Raises `ArgumentError` for an impossible number.
    P. Micikevicius et al., "Mixed Precision Training", arXiv:1710.03740, section 3.2.

    >>> import tinyaccel as ta
    >>> p = ta.tensor([1.0], requires_grad=True)
    >>> opt, scaler = ta.optim.SGD([p], lr=0.5), ta.optim.GradScaler(init_scale=1024.0)
    >>> scaler.scale((p * math.inf).sum()).backward()
    >>> finite = scaler.unscale_([p])
    >>> opt.step(when=finite)
    >>> scaler.update(finite)
    >>> p.tolist(), scaler.get_scale()
    ([1.0], 512.0)
    """

    __slots__ = ("_growth_tracker", "_scale", "backoff_factor", "device", "growth_factor",
                 "growth_interval")  # fmt: skip

    device: Device

    def __init__(
        self,
        device: str | Device | None = None,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
    ) -> None:
        _check("init_scale", init_scale, 0, math.inf)
        _check("growth_factor", growth_factor, 1, math.inf)
        _check("backoff_factor", backoff_factor, 0, 1)
        if isinstance(growth_interval, bool) or not isinstance(growth_interval, int | np.integer):
            raise ArgumentError(
                f"GradScaler: growth_interval={growth_interval!r}; expected an integer"
            )
        _check("growth_interval", growth_interval, 0, math.inf)
        self.growth_factor, self.backoff_factor = float(growth_factor), float(backoff_factor)
        self.growth_interval = int(growth_interval)
        self.device = get_device(DEFAULT_DEVICE.get() if device is None else device)
        with setting(TRACE, None):  # state is real even if a trace is going on
            self._scale = tensor(float(init_scale), dtype="float32", device=self.device)
            self._growth_tracker = tensor(0, device=self.device)
        self._scale.label, self._growth_tracker.label = "GradScaler.scale", "GradScaler.tracker"

    def scale(self, loss: Tensor) -> Tensor:
        """loss * scale, in float32 at least: in float16 the scaled loss itself would overflow."""
        return cast(loss, computes_in(loss.dtype)) * self._scale

    def unscale_(self, params: Tensor | Iterable[Tensor]) -> Tensor:
        """Divide each `.grad` by the scale; returns whether all of them are finite, 0-d bool.

        params  the tensors whose gradients the optimizer is going to use, or a single one; one
                without a gradient is passed over

        Once per step. Raises `GradientError` if none has a gradient.
        """
        tensors = [params] if isinstance(params, Tensor) else list(params)
        finite: Tensor | None = None
        with no_grad():
            inverse = 1 / self._scale
            for p in tensors:
                if (g := p.grad) is None:
                    continue
                g = cast(cast(g, computes_in(g.dtype)) * inverse, g.dtype)
                p.grad = g
                good = every(isfinite(g))
                finite = good if finite is None else logical_and(finite, good)
        if finite is None:
            raise GradientError(
                f"GradScaler.unscale_: none of {len(tensors)} parameters has a gradient; "
                "call it after scaler.scale(loss).backward()"
            )
        return finite

    def update(self, finite: Tensor) -> None:
        """Adapt the scale: smaller after a step that wasn't finite, now and then larger.

        finite  what `unscale_` gave for this step

        Raises `ArgumentError` for anything but a 0-d bool tensor.
        """
        if not isinstance(finite, Tensor):
            raise ArgumentError(f"GradScaler.update: {finite!r}; expected what unscale_ returned")
        check_condition("GradScaler.update", finite)
        with no_grad():
            good = self._growth_tracker + 1
            due = equal(good, self.growth_interval)
            grown = self._scale * self.growth_factor
            larger = where(logical_and(due, isfinite(grown)), grown, self._scale)
            self._scale.assign(where(finite, larger, self._scale * self.backoff_factor))
            self._growth_tracker.assign(where(logical_and(finite, logical_not(due)), good, 0))

    def get_scale(self) -> float:
        """The scale as a number; it is read from the device, so not in a traced function."""
        return float(self._scale.item())

    def to(self, device: str | Device) -> Self:
        """Move the state to another device, after the model; returns the scaler."""
        self.device = get_device(device)
        for t in self._tensors().values():
            relocate(t, self.device)
        return self

    def _tensors(self) -> dict[str, Tensor]:
        return {"scale": self._scale, "growth_tracker": self._growth_tracker}

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Copies of the state on the host: "scale", and "growth_tracker", the good steps so far."""
        return host(self._tensors())

    def load_state_dict(self, state: Arrays) -> None:
        """Replace the state by a saved one.

        Raises `ArgumentError` for what doesn't fit, and changes nothing then.
        """
        refuse("load_state_dict", "load outside the jitted function")
        check_fit("GradScaler", self._tensors(), state)
        load(self._tensors(), state)

    def __repr__(self) -> str:
        with setting(TRACE, None):
            scale = self._scale.item()
        return f"GradScaler(scale={scale:g}) on {self.device}"


def _check(name: str, value: object, above: float, below: float) -> None:
    """Raise `ArgumentError` unless above < value < below."""
    if not is_number(value) or not above < value < below:
        limit = f"above {above}" + ("" if below == math.inf else f" and below {below}")
        raise ArgumentError(f"GradScaler: {name}={value!r}; expected a finite number {limit}")
