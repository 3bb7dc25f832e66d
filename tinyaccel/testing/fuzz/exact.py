"""The exact value of each step, and whether a program keeps to where its ops may be judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tinyaccel import budgets
from tinyaccel.contexts import setting
from tinyaccel.errors import TinyaccelError
from tinyaccel.op import OPS, Interval, Op, Spec
from tinyaccel.ops.define import META
from tinyaccel.tensor import Tensor
from tinyaccel.testing.fuzz.program import Array, Input, Program, Ref, Step, call_step
from tinyaccel.testing.layouts import role
from tinyaccel.trace import TRACE, Trace, Var

LARGEST = 1e3  # of the values in between, so that float16 has room, and so have gradients
ANYWHERE = Interval()  # a domain that nobody has narrowed down: any size will do


class Rejected(Exception):  # noqa: N818  # no error: the generator tries something else
    """The program can't be judged, or isn't one."""


class Known(NamedTuple):
    """A value, exactly: floats in float64 or wider, the rest in its own dtype."""

    spec: Spec
    exact: Array


def of_input(given: Input) -> Known:
    array = given.array()
    return Known(given.spec, array.astype(np.float64) if given.dtype.is_float else array)


def domain(op: Op, position: int) -> Interval | None:
    """Where an input must lie; None if anywhere, or if it isn't simply a number."""
    if not op.domain or role(op, position) is not None:
        return None
    found = op.domain[min(position, len(op.domain) - 1)]
    return None if found == ANYWHERE else found


def inside(values: Array, within: Interval | None) -> bool:
    if within is None or values.dtype.kind == "b":
        return True
    low, high, away = within
    fits = (values >= low) & (values <= high) & (np.abs(values) >= away)
    return bool(fits.all())


def of_step(step: Step, known: Mapping[int, Known]) -> Known:
    """The value of a step; raises `Rejected` where it leaves the op's domain or grows too large."""
    op = OPS[step.op]
    for position, arg in enumerate(step.args):
        values = known[arg.id].exact if isinstance(arg, Ref) else np.asarray(arg)
        if not inside(values, domain(op, position)):
            raise Rejected(f"{step.op}: input {position} is outside the op's domain")
    refs = list(dict.fromkeys(step.refs))
    made = Trace("fuzz", captures=False)
    try:
        with setting(TRACE, made):
            tensors = {}
            for ref in refs:
                spec = known[ref].spec
                var = Var(made, made.graph.add_input(spec))
                tensors[ref] = Tensor._make(var, spec, META)
            out = call_step(step, tensors, META)
            made.graph.outputs = [made.read(out).value]
        ((value, _),) = budgets.bounds(made.graph, [known[ref].exact for ref in refs])
    except TinyaccelError as error:
        raise Rejected(str(error)) from None
    if not value.size:
        raise Rejected(f"{step.op}: nothing is left")
    if out.dtype.is_float and not np.all(np.abs(value) <= LARGEST):
        raise Rejected(f"{step.op}: too large, or not finite")
    return Known(out.spec, value)


def examine(program: Program) -> dict[int, Known]:
    """Every value of a program by its id; raises `Rejected`."""
    known = {given.id: of_input(given) for given in program.inputs}
    for step in program.steps:
        if any(ref not in known for ref in step.refs):
            raise Rejected("a step uses what isn't there")
        known[step.id] = of_step(step, known)
    return known
