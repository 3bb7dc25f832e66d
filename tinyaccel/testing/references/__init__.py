"""Independent implementations that the ops are tested against: one number at a time, and exactly.

Each takes host arrays and the op's attributes, as a kernel does, and shares no code with any
kernel: mpmath with 50 digits for functions of numbers, exact sums, explicit loops over windows and
indices. Floats come as longdouble, integers wrapped around to their own dtype. A reference has its
op's name, and stands in a file of the name of the op's own. Needs mpmath (the extra `test`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy.typing as npt

from tinyaccel.errors import ArgumentError

Reference = Callable[..., npt.NDArray[Any]]


@cache
def _rooms() -> list[Any]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}") for name in names]


def reference(op: str) -> Reference:
    """The reference for an op of this library; `ArgumentError` if it has none.

    >>> import numpy as np
    >>> float(reference("exp")(np.array([0.0]))[0])
    1.0
    """
    for name in (op, f"{op}_"):  # slice_, which would hide Python's
        for room in _rooms():
            found: Reference | None = vars(room).get(name)
            if found is not None and found.__module__ == room.__name__:
                return found
    raise ArgumentError(f"{op}: has no reference; write one in tinyaccel/testing/references")
