"""A whole graph as a backend compiles it; if only that is off, the first value that is.

A compiler may merge, reorder and leave out, so what it computes in between can't be seen. A graph
that ends at some value can be compiled, though, and so the first value that is off is found by
halving.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel.backend import Device
from tinyaccel.budgets import Bounded, bounds, spread
from tinyaccel.graph import Graph, Instr, Scope
from tinyaccel.passes import dead_code
from tinyaccel.testing.divergence import Divergence, Extreme, larger
from tinyaccel.testing.lockstep import (
    Verdict,
    attempt,
    divergence,
    exact_alone,
    executable,
    judge,
    part,
)
from tinyaccel.testing.smallest import smallest

Array: TypeAlias = npt.NDArray[Any]

DEPTHS = (1, 2, 3, 5, 8, 13)  # of the programs that are tried, to show a bug in few lines


class Whole:
    """A graph and its inputs on one backend, compiled; `step` says of which training step."""

    def __init__(
        self, graph: Graph, arrays: Sequence[Array], device: Device, step: int | None = None
    ) -> None:
        self.graph, self.arrays, self.device, self.step = graph, list(arrays), device, step
        self.made = {instr.out: instr for instr in graph.instrs}
        self.worst = Extreme()
        self._known: dict[int, Verdict] = {}

    def judge(self, got: Sequence[Array] | Verdict, exact: Sequence[Bounded]) -> Divergence | None:
        """Hold the outputs to what rounding may do; name the first instruction that is off.

        got    the outputs, or what was wrong with all of them
        exact  `spread(graph, arrays)`
        """
        for k, value in enumerate(self.graph.outputs):
            spec = self.graph.specs[value]
            verdict = got if isinstance(got, Verdict) else judge(got[k], spec, exact[k])
            if verdict.ok:
                instr = self.made.get(value)
                scope = self.graph.scopes.get(value, Scope())
                self.worst = larger(self.worst, verdict.worst, instr.op if instr else "", scope)
                continue
            if value not in self.made:
                continue  # an input, handed on
            self._known[value] = verdict
            found = self._first_off(value)
            if found is not None:
                return found
        return None

    # Which instruction

    def _ending(self, values: Sequence[int]) -> Graph:
        """The graph as far as these values need it, its inputs all there still."""
        return dead_code(replace(self.graph, outputs=list(values)))

    def _verdict(self, value: int) -> Verdict:
        """Whether a value is off in a program that ends there."""
        if value not in self._known:
            ending = self._ending([value])
            self._known[value] = _judge_compiled(ending, self.arrays, self.device)
        return self._known[value]

    def _first_off(self, last: int) -> Divergence | None:
        """The instruction that is off first on the way to `last`, which is off; None if rounding
        alone explains it: a comparison that fell the other way, a difference that cancelled."""
        needed = {last}
        for instr in reversed(self.graph.instrs):
            if instr.out in needed:
                needed.update(instr.inputs)
        way = [instr.out for instr in self.graph.instrs if instr.out in needed]
        good, off = -1, way.index(last)
        while off - good > 1:
            middle = (good + off) // 2
            if self._verdict(way[middle]).ok:
                good = middle
            else:
                off = middle
        value = way[off]
        while wrong := [v for v in self._inputs(value) if not self._verdict(v).ok]:
            value = wrong[0]
        if self._follows(value):
            return None
        instr = self.made[value]
        scope = self.graph.scopes.get(value, Scope())
        program = self._program(instr)
        return divergence(self._known[value], instr, self.graph, self.device, scope, (), program,
                          compiled=True, step=self.step)  # fmt: skip

    def _inputs(self, value: int) -> list[int]:
        return [v for v in dict.fromkeys(self.made[value].inputs) if v in self.made]

    def _follows(self, value: int) -> bool:
        """Whether a value is right for the inputs that the program itself computed for it."""
        instr = self.made[value]
        inner = self._inputs(value)
        (exact,) = spread(self._ending([value]), self.arrays)
        spec = self.graph.specs[value]

        def run() -> Verdict:
            ending = self._ending([*inner, value])
            *before, got = executable(ending, self.device, compiled=True)(self.arrays)
            if judge(got, spec, exact).ok:
                return Verdict(problem="looking makes it go away")
            known = dict(zip(inner, before, strict=True)) | self._given()
            one, given = part(self.graph, [instr], [value], fixed=False)
            return judge(got, spec, exact_alone(one, [known[v] for v in given]))

        return not self._verdict(value).problem and attempt(run).ok

    def _given(self) -> dict[int, Array]:
        return dict(self.graph.constants) | dict(zip(self.graph.inputs, self.arrays, strict=True))

    # In few lines

    def _program(self, instr: Instr) -> tuple[Graph, list[Array]]:
        """The shortest program that ends with `instr` and is off, on small inputs."""
        wrong = bool(self._known[instr.out].problem)

        def shows(graph: Graph, arrays: Sequence[Array]) -> bool:
            try:
                verdict = _judge_compiled(graph, arrays, self.device)
            except Exception:  # the inputs aren't fit for it
                return False
            return not verdict.ok and bool(verdict.problem) == wrong

        def program(instrs: Sequence[Instr]) -> tuple[Graph, list[Array]]:
            graph, given = part(self.graph, instrs, [instr.out])
            return graph, self._exact(given)

        for depth in DEPTHS:
            instrs = self._before(instr, depth)
            if shows(*program(instrs)):
                for each in instrs[:-1]:
                    fewer = [i for i in instrs if i is not each]
                    if shows(*program(fewer)):
                        instrs = fewer
                return smallest(*program(instrs), shows)
        return self._ending([instr.out]), self.arrays

    def _before(self, last: Instr, depth: int) -> list[Instr]:
        """The instructions that are at most `depth` steps away from the end."""
        found = {last.out}
        front = [last.out]
        for _ in range(depth - 1):
            front = [v for value in front for v in self._inputs(value) if v not in found]
            found.update(front)
        return [instr for instr in self.graph.instrs if instr.out in found]

    def _exact(self, values: Sequence[int]) -> list[Array]:
        """What these values should be, rounded to their dtypes."""
        known = dict(self._given())
        inner = [v for v in values if v not in known]
        for v, exact in zip(inner, bounds(self._ending(inner), self.arrays), strict=True):
            with np.errstate(all="ignore"):
                known[v] = exact.value.astype(self.graph.specs[v].dtype.numpy)
        return [known[v] for v in values]


def _judge_compiled(graph: Graph, arrays: Sequence[Array], device: Device) -> Verdict:
    """The one output of a compiled graph, by how far rounding will take it."""
    spec = graph.specs[graph.outputs[0]]
    (exact,) = spread(graph, arrays)
    return attempt(lambda: judge(executable(graph, device, compiled=True)(arrays)[0], spec, exact))
