"""From a program that fails to the shortest that fails in the same way.

Delta debugging: a candidate is the program with something taken away or made simpler; one that
still fails takes its place, until none does. A general shrinker of choices, as hypothesis has,
can't put a computed value in place of the steps that led to it; that is what makes these short.
A. Zeller, R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28 (2002).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from tinyaccel import dtypes
from tinyaccel.shapes import Shape, size
from tinyaccel.testing.fuzz.exact import Known, Rejected, examine
from tinyaccel.testing.fuzz.program import Fill, Input, Program, Ref, Step

_GIVEN = 64  # elements that may be written out one by one
_FILLS: tuple[Fill, ...] = ("constant", "given", "ties", "uniform", "spread")


def shrink(program: Program, fails: Callable[[Program], bool], *, seconds: float = 20) -> Program:
    """The shortest program found within `seconds` for which `fails`, which may raise."""
    end = time.monotonic() + seconds
    best, tried = program, set[Program | str]()
    while time.monotonic() < end:
        for candidate in _candidates(best):
            if time.monotonic() > end:
                return best
            key = repr(candidate)
            if key in tried or cost(candidate) >= cost(best):
                continue
            tried.add(key)
            try:
                if not fails(candidate):
                    continue
            except Exception:  # noqa: S112  # an edit may make nonsense that no rule foresees
                continue
            best = candidate
            break
        else:
            return best
    return best


def cost(program: Program) -> tuple[float, ...]:
    """What is to become smaller: steps first, then elements, inputs, and what there is to read."""
    plain = sum(i.dtype is not dtypes.float32 for i in program.inputs)
    fills = sum(1 + _FILLS.index(i.fill) for i in program.inputs if not _brief(i))
    digits = sum(len(f"{v:.9g}") for i in program.inputs for v in i.values)
    ranges = sum(abs(i.low) + abs(i.high) + i.seed / 1e4 for i in program.inputs)
    numbers = [n for s in program.steps for n in _numbers(list(s.args), s.attrs)]
    return (
        len(program.steps), sum(size(i.shape) for i in program.inputs), len(program.inputs),
        sum(len(i.shape) for i in program.inputs), plain, fills, digits,
        sum(abs(n) + len(repr(n)) for n in numbers), ranges,
    )  # fmt: skip


def _brief(given: Input) -> bool:
    return given.fill == "given" and size(given.shape) <= 8


def _numbers(*values: Any) -> Iterator[float]:
    """All numbers in nested attributes."""
    for value in values:
        if isinstance(value, Mapping):
            yield from _numbers(*value.values())
        elif isinstance(value, list | tuple) and not isinstance(value, Ref):
            yield from _numbers(*value)
        elif isinstance(value, int | float):
            yield float(value)


def _candidates(program: Program) -> Iterator[Program]:
    """Programs with less in them, the boldest cuts first."""
    try:
        known = examine(program)
    except Rejected:
        return
    for edit in (_ancestors, _cut, _bypass, _drop, _plain_loss, _sizes, _axes):
        for candidate in edit(program, known):
            yield candidate.pruned()
    for edit in (_simple_steps, _simple_inputs):
        for candidate in edit(program, known):
            yield candidate.pruned()


# Fewer steps


def _ancestors(program: Program, known: Mapping[int, Known]) -> Iterator[Program]:
    """Only what leads to one step, the shortest way first."""
    needed: dict[int, set[int]] = {i.id: set() for i in program.inputs}
    for step in program.steps:
        needed[step.id] = {step.id}.union(*(needed[ref] for ref in step.refs))
    for wanted in sorted((needed[s.id] for s in program.steps), key=len):
        if len(wanted) < len(program.steps):
            yield replace(program, steps=tuple(s for s in program.steps if s.id in wanted))


def _without(program: Program, gone: int, instead: int) -> Program:
    """Step `gone` left out, and value `instead` wherever it was used."""
    steps = []
    for step in program.steps:
        if step.id != gone:
            args = tuple(Ref(instead) if a == Ref(gone) else a for a in step.args)
            steps.append(replace(step, args=args))
    return _alive(replace(program, steps=tuple(steps)), program)


def _alive(program: Program, before: Program) -> Program:
    """Without the steps that were there for something, and are no longer."""
    wanted = set(before.left_over)
    while True:
        idle = set(program.left_over) - wanted
        if not idle or len(idle) == len(program.steps):
            return program
        program = replace(program, steps=tuple(s for s in program.steps if s.id not in idle))


def _cut(program: Program, known: Mapping[int, Known]) -> Iterator[Program]:
    """An input in place of a step: its own value, or numbers of about that size."""
    left = set(program.left_over)
    for step in reversed(program.steps):
        if step.id in left:
            continue
        for given in _like(known[step.id], 1 + max(known)):
            cut = replace(program, inputs=(*program.inputs, given))
            yield _without(cut, step.id, given.id)


def _like(value: Known, free: int) -> Iterator[Input]:
    """Inputs that may stand for a value."""
    (shape, dtype), exact = value
    drawn = exact.astype(np.float64)
    low, high = float(drawn.min()), float(drawn.max())
    if size(shape) > 8 and dtype.kind != "bool":
        low, high = (low, high) if dtype.is_integer else (_inward(low, up=True), _inward(high))
        if low <= high:
            yield Input(free, shape, dtype, "uniform", low, high)
    if size(shape) <= _GIVEN:
        values = tuple(exact.astype(dtype.numpy).reshape(-1).tolist())
        yield Input(free, shape, dtype, "given", values=values)


def _inward(value: float, *, up: bool = False) -> float:
    """Three decimals, on the inner side."""
    return (math.ceil(value * 1e3) if up else math.floor(value * 1e3)) / 1e3


def _bypass(program: Program, known: Mapping[int, Known]) -> Iterator[Program]:
    """One of a step's own inputs, or an earlier value of its kind, in its place."""
    left = set(program.left_over)
    for step in reversed(program.steps):
        if step.id in left:
            continue
        earlier = [v for v in known if v < step.id and known[v].spec == known[step.id].spec]
        for other in [*(r for r in step.refs if r in earlier), *earlier[:2]]:
            yield _without(program, step.id, other)


def _drop(program: Program, known: Mapping[int, Known]) -> Iterator[Program]:
    """A step that is left over, left out."""
    for gone in program.left_over:
        if len(program.steps) > 1:
            yield replace(program, steps=tuple(s for s in program.steps if s.id != gone))


def _plain_loss(program: Program, known: Mapping[int, Known]) -> Iterator[Program]:
    """No weights in the loss."""
    if program.weights:
        yield replace(program, weights={})


# Smaller


def _resized(given: Input, shape: Shape) -> Input:
    if given.fill != "given" or shape == given.shape:
        return replace(given, shape=shape)
    array = np.array(given.values).reshape(given.shape)
    if len(shape) == len(given.shape):
        array = array[tuple(slice(0, n) for n in shape)]
    return replace(given, shape=shape, values=tuple(array.reshape(-1)[: size(shape)].tolist()))


def _sizes(program: Program, known: Mapping[int, Known]) -> Iterator[Program]:
    """One size smaller: wherever it occurs, or along one axis or two."""
    present = {n for i in program.inputs for n in i.shape if n > 1}
    for n in sorted(present, reverse=True):
        for m in dict.fromkeys((1, 2, n // 2, 3 * n // 4, n - 16, n - 1)):
            if 0 < m < n:
                yield _everywhere(program, n, m)
                places = [
                    (k, axis)
                    for k, given in enumerate(program.inputs)
                    for axis, size in enumerate(given.shape)
                    if size == n
                ]
                few = len(program.steps) <= 3  # pairs are many
                for chosen in (*combinations(places, 1), *(combinations(places, 2) if few else ())):
                    yield _shorter(program, chosen, m)


def _shorter(program: Program, places: Sequence[tuple[int, int]], m: int) -> Program:
    """`m` elements along some axes of some inputs."""
    for k, axis in places:
        given = program.inputs[k]
        shape = (*given.shape[:axis], m, *given.shape[axis + 1 :])
        program = _with_input(program, k, _resized(given, shape))
    return program


def _everywhere(program: Program, n: int, m: int) -> Program:
    def changed(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(changed, value))
        return m if value == n and type(value) is int else value

    inputs = tuple(_resized(i, changed(i.shape)) for i in program.inputs)
    steps = tuple(
        replace(s, attrs={k: changed(v) if k in _OF_SHAPE else v for k, v in s.attrs.items()})
        for s in program.steps
    )
    return replace(program, inputs=inputs, steps=steps)


_OF_SHAPE = ("shape", "size", "kernel", "stops")  # attributes that speak of sizes


def _with_input(program: Program, k: int, given: Input) -> Program:
    return replace(program, inputs=(*program.inputs[:k], given, *program.inputs[k + 1 :]))


def _axes(program: Program, known: Mapping[int, Known]) -> Iterator[Program]:
    """An axis less: in all inputs, or in one."""
    yield replace(program, inputs=tuple(_resized(i, i.shape[1:]) for i in program.inputs))
    for k, given in enumerate(program.inputs):
        if given.shape:
            yield _with_input(program, k, _resized(given, given.shape[1:]))
            yield _with_input(program, k, _resized(given, given.shape[:-1]))


# Simpler


def _simple_inputs(program: Program, known: Mapping[int, Known]) -> Iterator[Program]:
    """Float32, and numbers that can be read at a glance."""
    for k, given in enumerate(program.inputs):
        if given.dtype is not dtypes.float32:
            yield _with_input(program, k, replace(given, dtype=dtypes.float32))
        if given.fill != "given":
            for fill in _FILLS[: _FILLS.index(given.fill)]:
                low = 1.0 if fill == "constant" else given.low
                if fill != "given" and (fill == "constant" or given.dtype.is_float):
                    yield _with_input(program, k, replace(given, fill=fill, low=low, values=()))
        if size(given.shape) <= _GIVEN and given.dtype.kind != "bool":
            for values in _rounder(given.array().astype(np.float64).reshape(-1)):
                kind = float if given.dtype.is_float else int
                simple = replace(
                    given, fill="given", values=tuple(map(kind, values)), low=0, high=0, seed=0
                )
                yield _with_input(program, k, simple)


def _rounder(values: np.ndarray) -> Iterator[list[float]]:
    yield [1.0] * len(values)
    yield [0.0] * len(values)
    if len(values) > 1:
        yield [float(n + 1) for n in range(len(values))]
    for digits in (0, 1, 3):
        yield (np.round(values, digits) + 0.0).tolist()
    yield values.tolist()


def _simple_steps(program: Program, known: Mapping[int, Known]) -> Iterator[Program]:
    """Each number in the arguments and attributes of a step smaller."""
    for k, step in enumerate(program.steps):
        for simple in _simpler_step(step):
            yield replace(program, steps=(*program.steps[:k], simple, *program.steps[k + 1 :]))


def _simpler_step(step: Step) -> Iterator[Step]:
    for name, value in step.attrs.items():
        for simple in _simpler(value):
            yield replace(step, attrs={**step.attrs, name: simple})
    for position, arg in enumerate(step.args):
        if not isinstance(arg, Ref):
            for simple in _simpler(arg):
                args = (*step.args[:position], simple, *step.args[position + 1 :])
                yield replace(step, args=args)


def _simpler(value: Any) -> Iterator[Any]:
    """Simpler values of the same kind."""
    if isinstance(value, bool):
        if value:
            yield False
    elif isinstance(value, int):
        yield from (n for n in (0, 1) if abs(n) < abs(value))
    elif isinstance(value, float):
        yield from (n for n in (0.0, 1.0, round(value, 1)) if n != value)
    elif isinstance(value, tuple):
        for i, part in enumerate(value):
            for simple in _simpler(part):
                yield (*value[:i], simple, *value[i + 1 :])
