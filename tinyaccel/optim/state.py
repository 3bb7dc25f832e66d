"""State by name: what `load_state_dict` of optimizers, averages and scalers has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyaccel.errors import ArgumentError
from tinyaccel.tensor import Tensor, tensor

Arrays = Mapping[str, npt.ArrayLike]


def host(tensors: Mapping[str, Tensor]) -> dict[str, npt.NDArray[Any]]:
    """Copies of the tensors on the host, by name."""
    return {name: t.numpy() for name, t in tensors.items()}


def check_fit(owner: str, own: Mapping[str, Tensor], state: Arrays) -> None:
    """Raise `ArgumentError` unless `state` has an array of the right shape for each tensor."""
    shapes = {name: np.shape(value) for name, value in state.items()}
    problems = {
        "missing": [n for n in own if n not in shapes],
        "unexpected": [n for n in shapes if n not in own],
        "wrong shape": [
            f"{n} {shapes[n]} for {t.shape}"
            for n, t in own.items()
            if n in shapes and shapes[n] != t.shape
        ],
    }
    if any(problems.values()):
        listed = "; ".join(f"{what}: {', '.join(n)}" for what, n in problems.items() if n)
        raise ArgumentError(
            f"load_state_dict: the state doesn't fit this {owner}: {listed}; nothing was loaded"
        )


def load(own: Mapping[str, Tensor], state: Arrays) -> None:
    """Assign what `check_fit` has found to fit."""
    for name, t in own.items():
        t.assign(tensor(np.asarray(state[name]).astype(t.dtype.numpy), device=t.device))
