"""Totals: what training adds up on the device, so that no step waits to be asked how it went."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinyaccel.backend import Device
from tinyaccel.errors import ArgumentError
from tinyaccel.ops.elementwise import where
from tinyaccel.ops.logic import isfinite, logical_and, logical_not
from tinyaccel.tensor import Tensor, tensor


class Figures(NamedTuple):
    """What has been added up since the last `reset`, on the host.

    loss      the mean over all samples; NaN if there are none
    accuracy  the share that was right; None if that isn't counted
    first_bad  the first step ever whose loss wasn't finite; None if there was none
    """

    samples: int
    loss: float
    accuracy: float | None
    first_bad: int | None


class Totals:
    """Sums over the steps of an epoch: a few numbers on the device, changed by each step itself.

    `add` belongs into the (jitted) step. `snapshot` keeps the sums of now without waiting for
    them, `figures` waits for those of a snapshot. The sum of the losses carries along what each
    addition rounds away (W. Kahan, "Further remarks on reducing truncation errors", 1965), so
    that a long epoch costs no digits.
    """

    def __init__(self, device: Device, counts: bool) -> None:
        self._counts = counts  # whether right answers are counted
        self.state = {
            name: tensor(np.asarray(value, dtype), device=device)
            for name, value, dtype in (
                ("loss", 0, np.float32), ("rest", 0, np.float32), ("samples", 0, np.int32),
                ("right", 0, np.int32), ("step", 0, np.int32), ("first_bad", -1, np.int32),
            )
        }  # fmt: skip
        for name, value in self.state.items():
            value.label = f"totals.{name}"

    def add(self, loss: Tensor, samples: int, right: Tensor | None) -> None:
        """Count one batch: its mean loss, its number of samples, how many were right."""
        now = self.state
        new = loss.astype("float32") * samples - now["rest"]
        total = now["loss"] + new
        now["rest"].assign((total - now["loss"]) - new)
        now["loss"].assign(total)
        now["samples"].assign(now["samples"] + samples)
        if right is not None:
            now["right"].assign(now["right"] + right)
        step = now["step"] + 1
        now["step"].assign(step)
        worse = logical_and(now["first_bad"] < 0, logical_not(isfinite(loss)))
        now["first_bad"].assign(where(worse, step, now["first_bad"]))

    def reset(self) -> None:
        """Begin an epoch: all is 0 again, but for the count of steps and the first bad one."""
        for name in ("loss", "rest", "samples", "right"):
            self.state[name].assign(0)

    def snapshot(self) -> dict[str, Tensor]:
        """The sums of now, which later steps don't change; nobody waits for them here."""
        return {name: value.detach() for name, value in self.state.items()}

    def figures(self, snapshot: Mapping[str, Tensor] | None = None) -> Figures:
        """The figures of a snapshot, or of now, once the device has come to them."""
        of = self.state if snapshot is None else snapshot
        samples, bad = int(of["samples"].item()), int(of["first_bad"].item())
        right = int(of["right"].item()) / samples if self._counts and samples else None
        loss = float(of["loss"].item()) / samples if samples else math.nan
        return Figures(samples, loss, right, None if bad < 0 else bad)

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Copies of the sums on the host."""
        return {name: value.numpy() for name, value in self.state.items()}

    def load_state_dict(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take up what `state_dict` gave. Raises `ArgumentError` if something is missing."""
        missing = [name for name in self.state if name not in state]
        if missing:
            raise ArgumentError(f"totals: {', '.join(missing)} missing; use another checkpoint")
        for name, value in self.state.items():
            value.assign(tensor(state[name].astype(value.dtype.numpy), device=value.device))
