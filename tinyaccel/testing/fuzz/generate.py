"""Random programs: an op after another, each on values that are there, kept finite on the way."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np

from tinyaccel import dtypes
from tinyaccel.dtypes import DType, Scalar
from tinyaccel.op import OPS, Interval, Op, Takes
from tinyaccel.shapes import Shape, size
from tinyaccel.testing.fuzz import places
from tinyaccel.testing.fuzz.exact import (
    ANYWHERE,
    Known,
    Rejected,
    domain,
    inside,
    of_input,
    of_step,
)
from tinyaccel.testing.fuzz.program import Arg, Array, Input, Program, Ref, Step
from tinyaccel.testing.layouts import Layout, role
from tinyaccel.testing.strategies import make_case

STEPS = (2, 40)

# How often each kind is chosen; within a kind, all ops alike.
_KINDS = {
    "unary": 3.0, "binary": 3.0, "comparison": 0.8, "ternary": 0.8, "cast": 0.8, "reduction": 2.0,
    "movement": 3.0, "indexing": 1.0, "linalg": 1.0, "window": 1.0, "creation": 0.2,
    "composite": 6.0,
}  # fmt: skip
_OTHER_FLOATS = (dtypes.float16, dtypes.bfloat16, dtypes.float64)


def _takes(takes: Takes, dtype: DType) -> bool:
    """Whether an op takes a dtype at once; integers that it would make floats count, too."""
    if takes == "number":
        return dtype.kind != "bool"
    if takes == "integer":
        return not dtype.is_float
    if takes == "whole":
        return dtype.is_integer
    return takes != "bool" or dtype.kind == "bool"


@dataclass
class Builder:
    """A program while it grows.

    mixed  whether there are floats other than float32 in it
    """

    rng: np.random.Generator
    mixed: bool = False
    inputs: list[Input] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    known: dict[int, Known] = field(default_factory=dict)

    def add_input(self, given: Input) -> Ref:
        given = replace(given, id=self._free())
        self.inputs.append(given)
        self.known[given.id] = of_input(given)
        return Ref(given.id)

    def add(self, op: str, *args: Arg, **attrs: object) -> Ref:
        """One more step; raises `Rejected`, and then there is none."""
        step = Step(self._free(), op, args, attrs)
        self.known[step.id] = of_step(step, self.known)
        self.steps.append(step)
        return Ref(step.id)

    def _free(self) -> int:
        return len(self.known)

    def place(self, op: Op) -> None:
        """Put `op` somewhere, with what it takes to bring its inputs there; or nothing at all."""
        before = len(self.inputs), len(self.steps), len(self.known)
        try:
            refs = [r for r in self.known if _takes(op.takes, self.known[r].spec.dtype)]
            near = self._choose(refs) if refs else None
            shape = places.starting_shape(self.rng) if near is None else self._shape(near)
            layout = places.layout(op, shape, self.rng)
            self.add(op.name, *self._arguments(op, layout), **layout.attrs)
        except Rejected:
            del self.inputs[before[0] :], self.steps[before[1] :]
            for gone in range(before[2], len(self.known)):
                del self.known[gone]
            raise

    def _shape(self, ref: Ref) -> Shape:
        return self.known[ref.id].spec.shape

    def _choose(self, ids: list[int]) -> Ref:
        """The latest, one that is of no use so far, or any."""
        used = {ref for step in self.steps for ref in step.refs}
        unused = [i for i in ids if i not in used]
        how = self.rng.random()
        if how < 0.4:
            return Ref(ids[-1])
        pool = unused if unused and how < 0.75 else ids
        return Ref(pool[self.rng.integers(len(pool))])

    # Arguments

    def _arguments(self, op: Op, layout: Layout) -> list[Arg]:
        """An argument for each input: one at least was computed before, if that is possible."""
        plain = [i for i in range(len(layout.shapes)) if role(op, i) is None]
        main = plain[self.rng.integers(len(plain))] if plain else -1
        result: list[Arg] = []
        for i, shape in enumerate(layout.shapes):
            if role(op, i) is None:
                scalar = i != main and not shape and op.kind in ("binary", "comparison")
                if scalar and self.rng.random() < 0.7:
                    result.append(self._scalar(op, i))
                else:
                    result.append(self._number(op, i, shape, i == main))
            else:
                result.append(self._with_role(op, i, layout))
        return result

    def _scalar(self, op: Op, position: int) -> Scalar:
        low, high = _range(domain(op, position))
        if op.takes in ("integer", "whole"):
            return int(self.rng.integers(max(int(low), 0), int(high) + 1))
        return round(float(self.rng.uniform(low, high)), 2)

    def _number(self, op: Op, position: int, shape: Shape, main: bool) -> Arg:
        """A value of `shape` that the op takes, inside its domain."""
        within = domain(op, position)
        ids = [r for r, v in self.known.items() if _takes(op.takes, v.spec.dtype)]
        fitting = [r for r in ids if self.known[r].spec.shape == shape]
        if fitting and (main or self.rng.random() < 0.6):
            found = self._squashed(self._choose(fitting), within)
        elif ids and self.rng.random() < (0.4 if main else 0.05):
            found = self._squashed(self._fitted(self._choose(ids), shape), within)
        else:
            found = None
        return self.add_input(self._new(op, shape, within)) if found is None else found

    def _with_role(self, op: Op, position: int, layout: Layout) -> Arg:
        """A condition, indices, labels, bits: of this op's own making, or computed."""
        shape = layout.shapes[position]
        what = role(op, position)
        if what == "condition":
            known = [
                r for r, v in self.known.items()
                if v.spec.dtype.kind == "bool" and v.spec.shape == shape
            ]  # fmt: skip
            if known:
                return self._choose(known)
            alike = [
                r for r, v in self.known.items() if v.spec.dtype.is_float and v.spec.shape == shape
            ]
            if alike:
                return self.add("less", self._choose(alike), round(float(self.rng.normal()), 1))
        array = make_case(op, dtypes.float32, layout, "uniform", self._seed()).arrays[position]
        if what == "index":
            n = layout.shapes[0][layout.attrs["axis"]]
            known = [r for r, v in self.known.items() if _index(v, shape, n)]
            if known and self.rng.random() < 0.8:
                return self._choose(known)
        return self.add_input(_literal(array))

    def _squashed(self, ref: Ref, within: Interval | None) -> Ref | None:
        """The value itself if it is inside; else, for floats, brought inside by a few steps."""
        value = self.known[ref.id]
        if inside(value.exact, within):
            return ref
        if not value.spec.dtype.is_float or self.rng.random() < 0.2:
            return None
        low, high = _range(within)
        half, middle = round(0.45 * (high - low), 3), round((high + low) / 2, 3)
        return self.add("add", self.add("mul", self.add("tanh", ref), half), middle)

    def _fitted(self, ref: Ref, shape: Shape) -> Ref:
        """A value brought to `shape`: broadcast, reshaped, cut off, or lengthened by an input."""
        value = self.known[ref.id]
        own, wanted = size(value.spec.shape), size(shape)
        if wanted > places.LARGE:
            raise Rejected("too large")
        try:
            if np.broadcast_shapes(value.spec.shape, shape) == shape and own < wanted:
                return self.add("broadcast_to", ref, shape=shape)
        except ValueError:
            pass
        if own != wanted:
            if len(value.spec.shape) != 1:
                ref = self.add("reshape", ref, shape=(-1,))
            if own > wanted:
                ref = self.add("slice", ref, starts=(0,), stops=(wanted,), steps=(1,))
            else:
                rest = Input(0, (wanted - own,), value.spec.dtype, seed=self._seed())
                ref = self.add("concat", ref, self.add_input(rest), axis=0)
        return ref if self._shape(ref) == shape else self.add("reshape", ref, shape=shape)

    def _new(self, op: Op, shape: Shape, within: Interval | None) -> Input:
        """A new input that `op` takes, inside its domain."""
        if size(shape) > places.LARGE:
            raise Rejected("too large")
        low, high = _range(within)
        if op.takes == "bool":
            return Input(0, shape, dtypes.bool_, seed=self._seed())
        if op.takes in ("integer", "whole") or (
            op.takes in ("any", "number") and self.rng.random() < 0.06
        ):
            whole = (float(np.ceil(low)), float(np.floor(high)))
            return Input(0, shape, dtypes.int32, "uniform", *whole, seed=self._seed())
        return replace(self._float(shape, within), id=0)

    def _float(self, shape: Shape, within: Interval | None) -> Input:
        dtype = dtypes.float32
        if self.mixed and self.rng.random() < 0.5:
            dtype = _OTHER_FLOATS[self.rng.integers(len(_OTHER_FLOATS))]
        low, high = _range(within)
        how = self.rng.random()
        if within is None and how < 0.2:
            return Input(0, shape, dtype, "ties", -3.0, 3.0, self._seed())
        if within is None and how < 0.3:
            return Input(0, shape, dtype, "spread", seed=self._seed())
        if how < 0.35:
            return Input(0, shape, dtype, "constant", round((0.6 * low + 0.4 * high), 1))
        return Input(0, shape, dtype, "uniform", low, high, self._seed())

    def _seed(self) -> int:
        return int(self.rng.integers(1000))


def _literal(array: Array) -> Input:
    """An input whose values are written out."""
    if array.size > 4 * places.SIZE:
        raise Rejected("too many values to write out")
    values = tuple(array.reshape(-1).tolist())
    return Input(0, array.shape, dtypes.as_dtype(array.dtype), "given", values=values)


def _index(value: Known, shape: Shape, n: int) -> bool:
    """Whether a computed value can serve as indices into an axis of n."""
    if not value.spec.dtype.is_integer or value.spec.shape != shape:
        return False
    return bool(np.all((value.exact.astype(float) >= -n) & (value.exact.astype(float) < n)))


def _range(within: Interval | None) -> tuple[float, float]:
    """A part of a domain where numbers are ordinary, and none near its ends."""
    low, high, away = ANYWHERE if within is None else within
    if away:
        low = max(low, away + 0.3)
    elif low > 0:
        low = low + min(0.1, 0.1 * (high - low))
    return round(max(low, -3.0), 2), round(min(high, max(low, 0) + 3.0), 2)


def _choices(only: Collection[str] | None) -> tuple[list[list[Op]], list[float]]:
    """The ops to choose from by kind, and how often each kind is chosen."""
    groups, often = [], []
    for kind, weight in _KINDS.items():
        found = [o for o in OPS.values() if o.kind == kind and (only is None or o.name in only)]
        if found:
            groups.append(found)
            often.append(weight)
    total = sum(often)
    return groups, [weight / total for weight in often]


def generate(seed: int, number: int, *, ops: Collection[str] | None = None) -> Program:
    """Program `number` of `seed`: the same arguments and registry give the same program.

    ops  the ops to choose from (all by default); others are there to fit values together
    """
    rng = np.random.default_rng([seed, number])
    groups, often = _choices(ops)
    builder = Builder(rng, mixed=bool(rng.random() < 0.4))
    for _ in range(int(rng.integers(1, 3))):
        builder.add_input(builder._float(places.starting_shape(rng), None))
    low, high = STEPS
    wanted = low + int((high - low) * rng.random() ** 2.5)
    for _ in range(6 * wanted):
        group = groups[rng.choice(len(groups), p=often)]
        try:
            builder.place(group[rng.integers(len(group))])
        except Rejected:
            continue
        if len(builder.steps) >= wanted:
            break
    program = Program(tuple(builder.inputs), tuple(builder.steps), {})
    specs = {i: value.spec for i, value in builder.known.items()}
    return program.weighted(int(rng.integers(1000)), specs).pruned()


def unplaced(tries: int = 60) -> dict[str, str]:
    """The ops that no program can have, and what came of the last attempt to place each.

    Custom ops aren't among them: their kernels know one backend or two, and no domain.
    """
    result = {}
    for op in OPS.values():
        if op.kind == "custom":
            continue
        reason = ""
        for attempt in range(tries):
            rng = np.random.default_rng(attempt)
            builder = Builder(rng)
            builder.add_input(builder._float(places.starting_shape(rng), None))
            try:
                builder.place(op)
                break
            except Rejected as error:
                reason = str(error)
        else:
            result[op.name] = reason
    return result
