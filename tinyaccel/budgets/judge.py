"""Whether what a backend computed is within its budget, and where it is furthest off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyaccel.budgets.spread import spread
from tinyaccel.budgets.values import Array, Errors, distance
from tinyaccel.budgets.walk import bounds
from tinyaccel.errors import CheckError
from tinyaccel.graph import Graph


@dataclass(frozen=True)
class Worst:
    """The element that is furthest off, in units of what is permitted: within, if at most 1."""

    output: int = 0
    index: tuple[int, ...] = ()
    got: float = 0.0
    expected: float = 0.0
    allowed: float = 0.0
    units: float = 0.0

    @property
    def ok(self) -> bool:
        return self.units <= 1

    def __str__(self) -> str:
        return (
            f"at {list(self.index)}: got {self.got!r}, expected {self.expected!r}, "
            f"{self.units:.3g} times the permitted {self.allowed:.3g}"
        )


def measure(got: Array, expected: Array, allowed: Errors, output: int = 0) -> Worst:
    """The worst element of `got`, which may be `allowed` away from `expected`.

    NaN and infinity must match where `allowed` is finite. Raises `CheckError` for another shape.
    """
    if got.shape != expected.shape:
        raise CheckError(f"check: output {output} has shape {got.shape}, not {expected.shape}")
    if not got.size:
        return Worst(output)
    with np.errstate(all="ignore"):
        off = distance(got, expected)
        units = np.where(off == 0, 0.0, off / allowed)
        units = np.where(np.isinf(allowed), 0.0, units)
    at = np.unravel_index(int(np.argmax(units)), units.shape)
    index = tuple(int(i) for i in at)
    numbers = (float(a[index]) for a in (got, expected, allowed, units))
    return Worst(output, index, *numbers)


def within(
    graph: Graph,
    inputs: Sequence[Array],
    outputs: Sequence[Array],
    reference: Sequence[Array] | None = None,
) -> Worst:
    """The worst of a graph's outputs, held against `reference` or against the exact values.

    inputs     host arrays, one per graph input
    outputs    what a backend computed from them
    reference  what another one did: both may be off, so twice the bound is permitted. Without it,
               the exact values are computed here

    >>> import tinyaccel as ta
    >>> graph = ta.Graph()
    >>> x = graph.add_input(ta.Spec((2,), ta.float32))
    >>> graph.outputs = [graph.add_instr("exp", [x], {}, ta.Spec((2,), ta.float32))]
    >>> ones = np.ones(2, np.float32)
    >>> within(graph, [ones], [np.exp(ones)]).ok, within(graph, [ones], [ones * 2.7182]).ok
    (True, False)
    """
    found = bounds(graph, inputs)
    if reference is None:
        pairs = [(value, error) for value, error in found]
    else:
        pairs = [(b, 2 * error) for b, (_, error) in zip(reference, found, strict=True)]
    worst = Worst()
    for i, (got, (expected, allowed)) in enumerate(zip(outputs, pairs, strict=True)):
        this = measure(np.asarray(got), np.asarray(expected), allowed, i)
        worst = this if this.units > worst.units else worst
    return worst


def compare(
    graph: Graph,
    inputs: Sequence[Array],
    got: Sequence[Array],
    expected: Sequence[Array],
    names: Sequence[str],
) -> None:
    """Raise `CheckError` unless two runs of `graph`, from the same inputs, agree in budget.

    Each run may be one bound away from the exact values, so two runs are at most two apart.
    Integers and bools are equal, and NaN and infinity match, except where the exact values leave
    it open. The error names the output, the index, both values and what was permitted.

    names  for each output, what to call it in the error
    """
    found = spread(graph, inputs)
    for i, (name, a, b, (_, error)) in enumerate(zip(names, got, expected, found, strict=True)):
        wanted = graph.specs[graph.outputs[i]]
        for side, array in (("jitted", a), ("eager", b)):
            if array.shape != wanted.shape or array.dtype != wanted.dtype.numpy:
                raise CheckError(
                    f"check: {name} came as {array.dtype.name}{list(array.shape)} from the "
                    f"{side} run; expected {wanted}"
                )
        worst = measure(a, b, 2 * error, i)
        if not worst.ok:
            raise CheckError(
                f"check: {name} at {list(worst.index)}: jitted {worst.got!r}, eager "
                f"{worst.expected!r}; they may differ by {worst.allowed:.3g}, and differ by "
                f"{worst.units:.3g} times that"
            )
