"""Which shapes and attributes an op is tested with: a list for each kind, or for one op.

Sizes are where kernels break: 0, 1, 2, around 32 (a warp), around 128 and 1,024 (a block). A file
here belongs to the file of its name in `ops`, and is found by itself. It may have

    LAYOUTS  by op: at most 12
    LARGE    by op: a few long sums, where naive summation gives in
    ROLES    by op and input: what it is, where it isn't simply a number from the op's domain:
             "condition" (bool), "index" (along the attribute axis), "label" (a class), "bits" or
             "state" (uint32)
"""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from tinyaccel.errors import ArgumentError
from tinyaccel.op import Op
from tinyaccel.testing.layouts.common import ONE, TWO, Layout

__all__ = ["Layout", "large_layouts", "layouts", "role"]

_SMALL = 200  # elements, all inputs together
_FEW = 4


@cache
def _tables(name: str) -> dict[Any, Any]:
    """All rooms' LAYOUTS, LARGE or ROLES as one."""
    found: dict[Any, Any] = {}
    for module in pkgutil.iter_modules(__path__):
        room = importlib.import_module(f"{__name__}.{module.name}")
        found |= getattr(room, name, {})
    return found


def _from_signature(body: Callable[..., object]) -> list[Layout] | None:
    """The elementwise lists, for a body of one or two inputs that needs no attributes."""
    parameters = inspect.signature(body).parameters.values()
    inputs = [p for p in parameters if p.kind is not p.KEYWORD_ONLY and p.default is p.empty]
    if any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters):
        return None
    return {1: ONE, 2: TWO}.get(len(inputs))


def layouts(op: Op, *, small: bool = False) -> Sequence[Layout]:
    """The layouts an op is tested with: at most 12, or at most 4 of few elements if `small`.

    Raises `ArgumentError` for an op of no known kind; add a line for it here.
    """
    found: list[Layout] | None = _tables("LAYOUTS").get(op.name)
    if found is None and op.kind == "unary":
        found = ONE
    elif found is None and op.kind in ("binary", "comparison"):
        found = TWO
    elif found is None and op.body is not None:
        found = _from_signature(op.body)
    if found is None:
        raise ArgumentError(f"{op.name}: no shapes to test it with; list some in testing/layouts")
    if not small:
        return found
    few = [at for at in found if sum(map(math.prod, at.shapes)) <= _SMALL]
    return (few or list(found[:1]))[:_FEW]


def large_layouts(op: Op) -> Sequence[Layout]:
    """Long sums: what a naive kernel gets wrong."""
    found: list[Layout] = _tables("LARGE").get(op.name, [])
    return found


def role(op: Op, position: int) -> str | None:
    """What an input is if it isn't simply a number from the op's domain."""
    found: str | None = _tables("ROLES").get((op.name, position))
    return found
