"""One graph on several backends, instruction by instruction, each held to its own budget.

Every backend runs the same instruction on the same inputs, so an op that is off is found itself,
and not those that follow it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from tinyaccel import array_api
from tinyaccel.backend import Device
from tinyaccel.budgets import Bounded, Worst, bounds, measure
from tinyaccel.errors import BackendError
from tinyaccel.graph import Graph, Instr, Scope
from tinyaccel.op import OPS, Kernel, Spec
from tinyaccel.ops.define import body_graph
from tinyaccel.passes import dead_code, expand
from tinyaccel.testing.divergence import Divergence, Extreme, larger
from tinyaccel.testing.smallest import smallest
from tinyaccel.testing.strategies import keeps_signs

Array: TypeAlias = npt.NDArray[Any]
T = TypeVar("T")


def part(
    graph: Graph, instrs: Iterable[Instr], outputs: Sequence[int], *, fixed: bool = True
) -> tuple[Graph, list[int]]:
    """Some instructions of `graph` as a graph of their own, and which values its inputs are.

    fixed  whether constants stay constants; otherwise they are inputs too
    """
    new, where, given = Graph(), dict[int, int](), list[int]()
    for instr in instrs:
        for v in instr.inputs:
            if v not in where and fixed and v in graph.constants:
                where[v] = new.add_constant(graph.constants[v], graph.specs[v])
            elif v not in where:
                where[v] = new.add_input(graph.specs[v])
                given.append(v)
        inputs = [where[v] for v in instr.inputs]
        where[instr.out] = new.add_instr(instr.op, inputs, instr.attrs, graph.specs[instr.out])
    new.outputs = [where[v] for v in outputs]
    return new, given


def executable(graph: Graph, device: Device, *, compiled: bool) -> Callable[..., list[Array]]:
    """`graph` as that backend runs it, from host arrays to host arrays."""
    backend = device.backend
    flat = expand(graph, backend.instr_has_kernel)

    def kernel(instr: Instr) -> Kernel:
        low = any(flat.specs[v].dtype in array_api.LOW_PRECISION for v in instr.inputs)
        found = backend.kernel(OPS[instr.op], low)
        assert found is not None  # what has none was expanded
        return found

    if compiled:
        run = backend.compile(dead_code(flat), device)
    else:
        run = flat.runner(kernel, lambda array: backend.upload(array, device))

    def host(arrays: Sequence[Array]) -> list[Array]:
        return [backend.download(a) for a in run([backend.upload(a, device) for a in arrays])]

    return host


@dataclass(frozen=True)
class Verdict:
    """A result, and its worst element, or what is wrong with all of it."""

    worst: Worst = field(default_factory=Worst)
    problem: str = ""
    got: Array | None = None

    @property
    def ok(self) -> bool:
        return not self.problem and self.worst.ok


def judge(got: Array, spec: Spec, exact: Bounded) -> Verdict:
    """`got` against the exact value."""
    if (got.shape, got.dtype) != (spec.shape, spec.dtype.numpy):
        return Verdict(problem=f"returned {got.dtype.name}{list(got.shape)}, expected {spec}")
    return Verdict(measure(got, exact.value, exact.error), got=got)


def attempt(run: Callable[[], T]) -> T | Verdict:
    """What `run` returns, or the verdict that a kernel raised; a missing one is no such error."""
    try:
        return run()
    except BackendError:
        raise
    except Exception as error:  # a kernel may fail in any way
        text = " ".join(str(error).split())
        return Verdict(problem=f"raised {type(error).__name__}: {text}")


def judge_alone(one: Graph, arrays: Sequence[Array], device: Device, exact: Bounded) -> Verdict:
    """One instruction on one backend, eagerly."""
    spec = one.specs[one.outputs[0]]

    def run() -> Verdict:
        (got,) = executable(one, device, compiled=False)(arrays)
        verdict = judge(np.asarray(got), spec, exact)
        if verdict.ok and spec.dtype.is_float and keeps_signs(OPS[one.instrs[0].op]):
            lost = (exact.value == 0) & (np.signbit(got) != np.signbit(exact.value))
            if lost.any():
                at = [int(i) for i in np.argwhere(lost)[0]]
                return Verdict(problem=f"loses the sign of the zero at {at}")
        return verdict

    return attempt(run)


def exact_alone(one: Graph, arrays: Sequence[Array]) -> Bounded:
    """The exact result of one instruction, and how far off a backend's may be.

    A kernel may have a composite's own numbers, as sqrt(1/2) in gelu, more exactly than its body.
    """
    rounded = not OPS[one.instrs[0].op].is_primitive
    return bounds(one, arrays, rounded_constants=rounded)[0]


def divergence(
    verdict: Verdict,
    instr: Instr,
    graph: Graph,
    device: Device,
    scope: Scope,
    within: tuple[str, ...],
    program: tuple[Graph, Sequence[Array]],
    *,
    compiled: bool,
    step: int | None,
) -> Divergence:
    """The report on an instruction that is off; `program` shows it, and has been made small."""
    worst = verdict.worst
    return Divergence(
        instr.op, within, scope.layer, scope.phase, scope.line, device.name, compiled,
        worst.index, worst.got, worst.expected, worst.allowed, worst.units, verdict.problem,
        tuple(graph.specs[v] for v in instr.inputs), instr.attrs, graph.specs[instr.out],
        step=step, program=program[0], arrays=tuple(program[1]),
    )  # fmt: skip


class Lockstep:
    """The walk over a graph; `worst` and `count` tell how near to their limits the ops came."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self.devices = devices
        self.worst = {device.name: Extreme() for device in devices}
        self.count = 0
        self.number: int | None = None

    def walk(
        self, graph: Graph, arrays: Sequence[Array], number: int | None = None
    ) -> Divergence | None:
        """Run `graph` from these inputs; values go on as the first backend computed them.

        number  which step of a training run this is
        """
        self.number = number
        values = dict(graph.constants) | dict(zip(graph.inputs, arrays, strict=True))
        for instr, dead in zip(graph.instrs, graph.last_uses(), strict=True):
            scope = graph.scopes.get(instr.out, Scope())
            found = self._step(instr, graph, values, self.devices, scope, ())
            if found is not None:
                return found
            self.count += 1
            for v in dead:
                del values[v]
        return None

    def _step(
        self,
        instr: Instr,
        graph: Graph,
        values: dict[int, Array],
        devices: Sequence[Device],
        scope: Scope,
        within: tuple[str, ...],
    ) -> Divergence | None:
        """Run one instruction on `devices`; a composite without a kernel step by step."""
        whole = [d for d in devices if d.backend.instr_has_kernel(instr, graph)]
        results: dict[Device, Array] = {}
        if whole:
            one, given = part(graph, [instr], [instr.out], fixed=False)
            arrays = [values[v] for v in given]
            exact = exact_alone(one, arrays)
            for device in whole:
                verdict = judge_alone(one, arrays, device, exact)
                if not verdict.ok:
                    small = smallest(one, arrays, partial(_off, device=device, like=verdict))
                    return divergence(verdict, instr, graph, device, scope, within, small,
                                      compiled=False, step=self.number)  # fmt: skip
                name = device.name
                self.worst[name] = larger(self.worst[name], verdict.worst, instr.op, scope)
                assert verdict.got is not None
                results[device] = verdict.got
        apart = [d for d in devices if d not in results]
        if apart:
            body = body_graph(OPS[instr.op], [graph.specs[v] for v in instr.inputs], instr.attrs)
            inner = dict(body.constants)
            inner |= zip(body.inputs, (values[v] for v in instr.inputs), strict=True)
            for each in body.instrs:
                found = self._step(each, body, inner, apart, scope, (*within, instr.op))
                if found is not None:
                    return found
            results[apart[0]] = inner[body.outputs[0]]
        values[instr.out] = results[devices[0]]
        return None


def _off(one: Graph, arrays: Sequence[Array], device: Device, like: Verdict) -> bool:
    """Whether one instruction is off on these inputs too, in a like manner."""
    try:
        exact = exact_alone(one, arrays)
    except Exception:  # the inputs aren't fit for it, which its attributes show only here
        return False
    verdict = judge_alone(one, arrays, device, exact)
    return not verdict.ok and bool(verdict.problem) == bool(like.problem)
