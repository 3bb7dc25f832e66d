"""Graph and Instr: a program as a flat list in single-assignment form.

A value is a number; `specs[value]` says what it is. Values come from `inputs`, from `constants`,
or from exactly one instruction, which stands before every use of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from tinyaccel.errors import GraphError
from tinyaccel.op import OPS, Attrs, Kernel, Spec


@dataclass(frozen=True)
class Instr:
    """One step: value `out` is `op` of the values `inputs`."""

    op: str
    inputs: tuple[int, ...]
    attrs: Attrs
    out: int


class Scope(NamedTuple):
    """Where an instruction came from, for people.

    phase  whether the function itself did it, the walk back over its tape, or an optimizer
    layer  what was at work, by its path from the outermost module: "Sequential.2 (Conv2d)"
    line   the line of the caller's own code: "train.py:12: loss = cross_entropy(model(x), y)"
    """

    phase: Literal["forward", "backward", "update"] = "forward"
    layer: str = ""
    line: str = ""

    def __str__(self) -> str:
        if self.phase == "forward":
            return self.layer
        return f"{self.phase} of {self.layer}" if self.layer else self.phase


@dataclass
class Graph:
    """A traced program, ready to be checked, printed, transformed, run or compiled.

    inputs     the values that a caller supplies, in order
    constants  values known when tracing, as host arrays
    outputs    the values that a caller receives, in order
    labels     names for people: which parameter an input is bound to
    scopes     where the value of an instruction came from, if that is known
    """

    specs: list[Spec] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    constants: dict[int, np.ndarray] = field(default_factory=dict)
    instrs: list[Instr] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    labels: dict[int, str] = field(default_factory=dict)
    scopes: dict[int, Scope] = field(default_factory=dict, compare=False)

    # Building: each call adds one value and returns its number.

    def _value(self, spec: Spec) -> int:
        self.specs.append(spec)
        return len(self.specs) - 1

    def add_input(self, spec: Spec, label: str = "") -> int:
        value = self._value(spec)
        self.inputs.append(value)
        if label:
            self.labels[value] = label
        return value

    def add_constant(self, array: np.ndarray, spec: Spec) -> int:
        value = self._value(spec)
        self.constants[value] = array
        return value

    def add_instr(self, op: str, inputs: Iterable[int], attrs: Attrs, spec: Spec) -> int:
        value = self._value(spec)
        self.instrs.append(Instr(op, tuple(inputs), attrs, value))
        return value

    # Using

    def check(self) -> None:
        """Raise `GraphError` unless every value is defined once, before its use, as inferred."""
        known = {*self.inputs, *self.constants}
        if len(known) != len(self.inputs) + len(self.constants):
            raise GraphError("graph: a value is listed twice among inputs and constants")
        for instr in self.instrs:
            missing = [v for v in instr.inputs if v not in known]
            if missing:
                raise GraphError(f"graph: {self.line(instr)} uses %{missing[0]} before it exists")
            if instr.out in known:
                raise GraphError(f"graph: %{instr.out} is assigned twice")
            inferred = OPS[instr.op].infer(*(self.specs[v] for v in instr.inputs), **instr.attrs)
            if inferred != self.specs[instr.out]:
                raise GraphError(f"graph: {self.line(instr)}, but {instr.op} infers {inferred}")
            known.add(instr.out)
        for value in self.outputs:
            if value not in known:
                raise GraphError(f"graph: output %{value} is never computed")

    def last_uses(self) -> list[tuple[int, ...]]:
        """For each instruction, the values that nothing needs after it."""
        seen = set(self.outputs) | set(self.inputs) | set(self.constants)
        result: list[tuple[int, ...]] = []
        for instr in reversed(self.instrs):
            dead = tuple({*instr.inputs, instr.out} - seen)
            seen.update(dead)
            result.append(dead)
        return result[::-1]

    def runner(
        self, kernel: Callable[[Instr], Kernel], upload: Callable[[np.ndarray], Any]
    ) -> Callable[[Sequence[Any]], list[Any]]:
        """An interpreter: a function from input arrays to output arrays.

        `kernel` finds the function that executes an instruction, `upload` makes a device array
        of a constant; both are asked once, here, and not in each run.
        """
        constants = {value: upload(array) for value, array in self.constants.items()}
        steps = [
            (kernel(instr), instr.inputs, instr.attrs, instr.out, dead)
            for instr, dead in zip(self.instrs, self.last_uses(), strict=True)
        ]

        def run(arrays: Sequence[Any]) -> list[Any]:
            values = dict(constants)
            values.update(zip(self.inputs, arrays, strict=True))
            for function, inputs, attrs, out, dead in steps:
                values[out] = function(*[values[v] for v in inputs], **attrs)
                for value in dead:
                    del values[value]
            return [values[v] for v in self.outputs]

        return run

    def memory(self) -> dict[str, int]:
        """Bytes of inputs, constants and outputs, and the most that is alive in between."""

        def size(values: Iterable[int]) -> int:
            return sum(
                math.prod(self.specs[v].shape) * self.specs[v].dtype.itemsize for v in values
            )

        alive = peak = 0
        for instr, dead in zip(self.instrs, self.last_uses(), strict=True):
            alive += size([instr.out])
            peak = max(peak, alive)
            alive -= size(dead)
        return {
            "inputs": size(self.inputs),
            "constants": size(self.constants),
            "outputs": size(set(self.outputs)),
            "peak": peak,
        }

    # Showing

    def line(self, instr: Instr) -> str:
        """One instruction as text."""
        shown = [f"%{v}" for v in instr.inputs]
        shown += [f"{name}={value!r}" for name, value in instr.attrs.items()]
        return f"%{instr.out}: {self.specs[instr.out]} = {instr.op}({', '.join(shown)})"

    def __str__(self) -> str:
        return self.to_string()

    def to_string(self, *, scopes: bool = False) -> str:
        """The whole graph as text; with `scopes`, each line says which layer it came from."""
        head = []
        for value in self.inputs:
            label = f" = {self.labels[value]}" if value in self.labels else ""
            head.append(f"  %{value}: {self.specs[value]}{label}")
        lines = ["graph(", *(line + "," for line in head), ") {"] if head else ["graph() {"]
        for value, array in self.constants.items():
            shown = array.item() if array.ndim == 0 else f"<{array.size} values>"
            lines.append(f"  %{value}: {self.specs[value]} = constant({shown})")
        for instr in self.instrs:
            origin = str(self.scopes.get(instr.out, "")) if scopes else ""
            lines.append("  " + self.line(instr) + (f"  # {origin}" if origin else ""))
        lines.append(f"  return {', '.join(f'%{v}' for v in self.outputs)}")
        return "\n".join([*lines, "}"])

    def __repr__(self) -> str:
        return (
            f"<Graph of {len(self.instrs)} instructions, {len(self.inputs)} inputs, "
            f"{len(self.outputs)} outputs; print it to see them>"
        )

    def to_dot(self) -> str:
        """The graph in Graphviz's DOT language: `dot -Tsvg` draws it."""
        lines = ["digraph {", "  node [shape=box, fontname=monospace];"]
        for value in self.inputs:
            label = self.labels.get(value, "input").replace('"', '\\"')
            lines.append(f'  v{value} [label="{label}\\n{self.specs[value]}", style=rounded];')
        for value, array in self.constants.items():
            shown = array.item() if array.ndim == 0 else self.specs[value]
            lines.append(f'  v{value} [label="{shown}", shape=plaintext];')
        for instr in self.instrs:
            lines.append(f'  v{instr.out} [label="{instr.op}\\n{self.specs[instr.out]}"];')
            lines += [f"  v{v} -> v{instr.out};" for v in instr.inputs]
        lines += [f"  v{v} [penwidth=2];" for v in self.outputs]
        return "\n".join([*lines, "}"])
