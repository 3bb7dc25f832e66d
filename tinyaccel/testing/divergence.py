"""What a comparison found: the first op that leaves its budget, or that all backends agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel.budgets import Worst, bounds
from tinyaccel.dtypes import DType
from tinyaccel.graph import Graph, Scope
from tinyaccel.op import Attrs, Spec

Array: TypeAlias = npt.NDArray[Any]

LITERAL = 64  # as many numbers are written out; more are left to a random generator


@dataclass(frozen=True)
class Divergence:
    """The first op that left its budget: which, where in the model, on which backend, how far.

    op         its name; `within` names the composites in whose bodies it ran, outermost first
    layer      the layer it came from: "Sequential.2 (Conv2d)", or "" if no module was at work
    phase      "forward", "backward", or "update" (an optimizer's step)
    line       the line of the caller's own code
    backend    the device that is off
    compiled   False: the op's kernel, run by itself. True: only the compiled program is off
    index      the element that is furthest off; `got`, `expected` and `permitted` (the largest
               error) are its values, `units` the error in units of what is permitted
    problem    what is wrong with the whole result, if it has no such element: it has another
               dtype, or the kernel raised
    inputs     the Specs of the op's inputs; `attrs` its attributes, `output` the result's Spec
    step       in a training run, which step (from 0)
    """

    op: str
    within: tuple[str, ...]
    layer: str
    phase: Literal["forward", "backward", "update"]
    line: str
    backend: str
    compiled: bool
    index: tuple[int, ...]
    got: float
    expected: float
    permitted: float
    units: float
    problem: str
    inputs: tuple[Spec, ...]
    attrs: Attrs
    output: Spec
    step: int | None = None
    program: Graph = field(default_factory=Graph, repr=False, compare=False)
    arrays: tuple[Array, ...] = field(default=(), repr=False, compare=False)

    ok = False

    def __str__(self) -> str:
        scope = str(Scope(self.phase, self.layer)) or "forward, outside any layer"
        when = "" if self.step is None else f", step {self.step}"
        how = "compiled only" if self.compiled else "eager"
        lines = [f"first divergence: {self.op} on {self.backend} ({how}), {scope}{when}"]
        if self.problem:
            lines.append(f"  {self.problem}")
        else:
            much = f"{self.units:.3g} times the permitted {self.permitted:.3g}"
            lines.append(
                f"  at {list(self.index)}: got {self.got!r}, expected {self.expected!r}: "
                f"{much if self.permitted else 'they must be equal'}"
            )
        given = [*map(str, self.inputs), *(f"{k}={v!r}" for k, v in self.attrs.items())]
        lines.append(f"  {self.op}({', '.join(given)}) -> {self.output}")
        if self.within:
            lines.append(f"  in the body of {' > '.join(self.within)}")
        if self.line:
            lines.append(f"  from {self.line}")
        lines += ["", *("    " + line if line else "" for line in self.source().splitlines())]
        return "\n".join(lines)

    def source(self) -> str:
        """A few lines of Python that show the divergence on small inputs."""
        return as_python(self.program, self.arrays, (self.backend, "cpu"), self.compiled)


@dataclass(frozen=True)
class Extreme:
    """How near a backend came to the limit: `units` of what is permitted, by which op and where."""

    units: float = 0.0
    op: str = ""
    scope: str = ""

    def __str__(self) -> str:
        if not self.op:
            return "exact"
        where = f"{self.op}, {self.scope}" if self.scope else self.op
        return f"{self.units:.2g} of the budget at most ({where})"


@dataclass(frozen=True)
class Agreement:
    """All backends agree: every op within its own budget, and the compiled programs in theirs.

    instructions  how many were held to their budgets, on every backend and in every step
    steps         how many steps of training, if it was a training run
    worst         by backend, the op that came nearest to its limit
    compiled      by backend, the output of the compiled program that did; empty if not asked for
    """

    instructions: int
    worst: Mapping[str, Extreme]
    compiled: Mapping[str, Extreme]
    steps: int | None = None

    ok = True

    def __str__(self) -> str:
        over = "" if self.steps is None else f" in {self.steps} steps"
        lines = [f"{', '.join(self.worst)} agree: {self.instructions} instructions{over}"]
        for name, extreme in self.worst.items():
            lines.append(f"  {name}: {extreme}")
            if name in self.compiled:
                lines.append(f"  {name}, compiled: {self.compiled[name]}")
        return "\n".join(lines)


Comparison: TypeAlias = Divergence | Agreement


def larger(extreme: Extreme, worst: Worst, op: str, scope: object) -> Extreme:
    return Extreme(worst.units, op, str(scope)) if worst.units > extreme.units else extreme


# As Python


def random_values(spec: Spec) -> Array:
    """What `as_python` writes instead of many numbers."""
    return np.asarray(np.random.default_rng(0).normal(size=spec.shape)).astype(spec.dtype.numpy)


def as_python(graph: Graph, arrays: Sequence[Array], devices: Sequence[str], jitted: bool) -> str:
    """A program that runs `graph` on `arrays` on each device, and prints the results.

    Arrays of more than 64 numbers that aren't `random_values` are named, not written out. The
    exact result stands at the end as a comment.
    """
    names = {v: f"x{v}" for v in range(len(graph.specs))}
    lines = ["import numpy as np", "import tinyaccel as ta"]
    lines += ["from tinyaccel.tensor import apply", ""]
    for i, (v, array) in enumerate(zip(graph.inputs, arrays, strict=True)):
        lines.append(f"{names[v]} = {_literal(array, graph.specs[v], i)}")
    lines += ["", *(["@ta.jit"] if jitted else [])]
    lines.append(f"def program({', '.join(names[v] for v in graph.inputs)}):")
    for v, array in graph.constants.items():
        lines.append(f"    {names[v]} = {_tensor(_numbers(array), graph.specs[v])}")
    for instr in graph.instrs:
        given = [f'"{instr.op}"', *(names[v] for v in instr.inputs)]
        given += [f"{key}={_attribute(value)}" for key, value in instr.attrs.items()]
        lines.append(f"    {names[instr.out]} = apply({', '.join(given)})")
    lines += [f"    return {names[graph.outputs[0]]}", ""]
    given = [_tensor(names[v], graph.specs[v]) for v in graph.inputs]
    known = ", ".join(f'"{name}"' for name in dict.fromkeys(devices))
    lines.append(f"for device in [{known}]:")
    lines.append("    with ta.default_device(device):")
    lines.append(f"        y = program({', '.join(given)}).numpy()")
    lines.append("    print(device, y.dtype, y.tolist())")
    (exact,) = bounds(graph, arrays)
    if exact.value.size <= LITERAL:
        lines.append(f"# exactly: {_numbers(exact.value)}")
    return "\n".join(lines)


def _tensor(data: str, spec: Spec) -> str:
    return f'ta.tensor({data}, dtype="{spec.dtype.name}")'


def _literal(array: Array, spec: Spec, number: int) -> str:
    if array.size == 0:
        return f"np.zeros({spec.shape})"
    if array.size <= LITERAL:
        return _numbers(array)
    if np.array_equal(array, random_values(spec)):
        return f"np.random.default_rng(0).normal(size={spec.shape})"
    return f"divergence.arrays[{number}]  # {array.size:,} numbers"


def _numbers(array: Array) -> str:
    """Nested lists, each number with no more digits than its dtype has, and 12 at most."""
    if array.ndim:
        return f"[{', '.join(_numbers(np.asarray(part)) for part in array)}]"
    if array.dtype.kind in "biu":
        return repr(array.item())
    return _number(float(f"{float(str(array[()])):.12g}"))


def _number(value: float) -> str:
    return repr(value) if np.isfinite(value) else f'float("{value!r}")'


def _attribute(value: object) -> str:
    """An attribute's value; a dtype by its name in the package."""
    if isinstance(value, DType):
        return "ta.bool_" if value.name == "bool" else f"ta.{value.name}"
    if isinstance(value, str):
        return f'"{value}"'
    return _number(value) if isinstance(value, float) else repr(value)
