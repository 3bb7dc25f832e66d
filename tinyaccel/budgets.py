"""Error budgets: how far each value of a graph may be from the exact one, and whether it is.

A running error analysis. Every value is computed once more in higher precision, and beside it goes
a bound on the error of whatever a backend computes in the graph's own dtypes: what the op itself
is allowed (`tinyaccel.op.Budget`), and what becomes of the errors of its inputs.
N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, SIAM 2002, section 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel import array_api, dtypes, shapes
from tinyaccel.contexts import setting
from tinyaccel.dtypes import DType
from tinyaccel.errors import CheckError, IndexRangeError, ShapeError
from tinyaccel.graph import Graph
from tinyaccel.op import OPS, Attrs, Kernel, Op, Spec
from tinyaccel.ops.define import META
from tinyaccel.passes import expand
from tinyaccel.tape import GRAD_MODE
from tinyaccel.tensor import Tensor
from tinyaccel.trace import TRACE, Trace, Var

Array: TypeAlias = npt.NDArray[Any]
Errors: TypeAlias = npt.NDArray[np.float64]

# How far a single factor may be rounded before it is multiplied: TF32 keeps 11 bits, bfloat16 8.
_FACTORS = {"highest": 0.0, "high": 2.0**-11, "fast": 2.0**-8}


class Bounded(NamedTuple):
    """A value and how far off it may be.

    value  the exact one: float64 or wider for floats, the graph's own dtype for the rest
    error  float64, the same shape. Bools count as 0 and 1: an error of 1 is an open question.
           inf says that nothing is known
    """

    value: Array
    error: Errors


# Judging


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
        distance = _distance(got, expected)
        units = np.where(distance == 0, 0.0, distance / allowed)
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
    >>> graph = Graph()
    >>> x = graph.add_input(Spec((2,), ta.float32))
    >>> graph.outputs = [graph.add_instr("exp", [x], {}, Spec((2,), ta.float32))]
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
    found = bounds(graph, inputs)
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


# Walking a graph


def bounds(graph: Graph, inputs: Sequence[Array]) -> list[Bounded]:
    """For each output of `graph`, its exact value and how far a backend's may be from it.

    inputs  host arrays, taken as exact, one per graph input

    Floats are evaluated in float64, and in NumPy's longdouble if the graph has float64 values.
    Raises `ShapeError` if an input doesn't fit the graph, `IndexRangeError` for an index outside
    its axis.
    """
    flat = expand(graph)
    wide = np.dtype(np.longdouble if dtypes.float64 in {s.dtype for s in flat.specs} else float)
    values: dict[int, Bounded] = {}
    for v, array in zip(flat.inputs, inputs, strict=True):
        if array.shape != flat.specs[v].shape:
            raise ShapeError(f"bounds: input {array.shape} for {flat.specs[v]}; must be equal")
        values[v] = _exact(array, flat.specs[v].dtype, wide)
    for v, array in flat.constants.items():
        values[v] = _exact(array, flat.specs[v].dtype, wide)
    for instr, dead in zip(flat.instrs, flat.last_uses(), strict=True):
        specs = tuple(flat.specs[v] for v in instr.inputs)
        step = _Step(OPS[instr.op], instr.attrs, specs, flat.specs[instr.out], wide)
        with np.errstate(all="ignore"):
            values[instr.out] = _settle(
                step, _rule(step.op)(step, *[values[v] for v in instr.inputs])
            )
        for v in dead:
            del values[v]
    return [values[v] for v in flat.outputs]


def _exact(array: Array, dtype: DType, wide: np.dtype[Any]) -> Bounded:
    value = array.astype(np.float64).astype(wide) if dtype.is_float else np.asarray(array)
    return Bounded(value, np.zeros(array.shape))


@dataclass(frozen=True)
class _Step:
    """One instruction, and how to run it in higher precision."""

    op: Op
    attrs: Attrs
    specs: tuple[Spec, ...]
    out: Spec
    wide: np.dtype[Any]
    zeros: Errors = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "zeros", np.zeros(self.out.shape))

    def run(self, *arrays: Array, **changed: Any) -> Array:
        return np.asarray(_kernels()[self.op.name](*arrays, **{**self.attrs, **changed}))

    @property
    def eps(self) -> float:
        """The op's unit: float32's for the narrow types, which are computed in float32."""
        inner = dtypes.float32 if self.out.dtype in array_api.LOW_PRECISION else self.out.dtype
        return inner.eps + float(np.finfo(self.wide).eps)  # what the exact value itself lacks

    def rounded(self, value: Array, error: Errors) -> Errors:
        """`error`, and the one rounding at the end of an op on a narrow type."""
        dtype = self.out.dtype
        if dtype in array_api.LOW_PRECISION:
            error = error + 0.5 * dtype.eps * (np.abs(value) + error)
        return np.where(error > 0, error + dtype.tiny, 0.0)


def _settle(step: _Step, result: Bounded) -> Bounded:
    """`result` as its dtype can hold it: what overflows for certain is infinite, the rest open."""
    value, error = result
    error = np.where(np.isnan(error), np.inf, error).astype(np.float64)
    if step.out.dtype.is_float:
        value = value.astype(step.wide)
        size, top = np.abs(value), step.out.dtype.max * (1 + step.out.dtype.eps / 2)
        finite = np.isfinite(value)
        over = finite & (size - error > top)
        error = np.where(finite & ~over & (size + error >= top), np.inf, error)
        value = np.where(over, np.copysign(np.inf, value), value).astype(step.wide)
        error = np.where(over, 0.0, error)
    return Bounded(value, error)


# Pieces that the rules share


def _distance(a: Array, b: Array) -> Errors:
    """|a - b|: 0 between equals and between NaNs, inf between NaN or infinity and the rest."""
    kind = np.longdouble if np.longdouble in (a.dtype, b.dtype) else np.float64
    same = (a == b) | ((a != a) & (b != b))
    apart = np.abs(a.astype(kind) - b.astype(kind))
    apart = np.where(np.isnan(apart), np.inf, apart)
    # Neighbouring int64 can be one and the same float64.
    return np.where(same, 0.0, np.maximum(apart, np.finfo(np.float64).tiny)).astype(np.float64)


def _size(x: Bounded) -> Errors:
    return np.abs(x.value.astype(np.float64))


def _ends(x: Bounded) -> tuple[Array, Array]:
    """The lowest and the highest that a computed value may be."""
    value = x.value if x.value.dtype.kind == "f" else x.value.astype(np.float64)
    return value - x.error, value + x.error


def _known(*inputs: Bounded) -> bool:
    return not any(x.error.any() for x in inputs)


@lru_cache(maxsize=1024)
def _derivatives(op: Op, shape: shapes.Shape, inputs: int) -> tuple[Graph, tuple[int, ...]]:
    """dy/dx_i of an elementwise op as a graph of (g, y, *x), from the op's own rule."""
    trace = Trace(op.name, captures=False)
    spec = Spec(shape, dtypes.float64)
    with setting(TRACE, trace), setting(GRAD_MODE, False):
        given = [
            Tensor._make(Var(trace, trace.graph.add_input(spec)), spec, META)
            for _ in range(inputs + 2)
        ]
        if isinstance(op.vjp, tuple):
            grads = [None if rule is None else rule(*given) for rule in op.vjp]
        else:
            grads = [] if op.vjp is None else list(op.vjp(*given))
    found = [(i, g) for i, g in enumerate(grads) if g is not None]
    trace.graph.outputs = [trace.read(g).value for _, g in found]
    return expand(trace.graph), tuple(i for i, _ in found)


def _own_error(step: _Step, value: Array, *inputs: Bounded) -> Errors:
    """What an elementwise op itself may be off: units * eps * (|y| + sum_i |dy/dx_i * x_i|)."""
    if step.op.budget.kind == "exact" or not step.out.dtype.is_float:
        return step.zeros
    y = value.astype(np.float64)
    xs = [np.broadcast_to(x.value.astype(np.float64), y.shape) for x in inputs]
    graph, positions = _derivatives(step.op, y.shape, len(inputs))
    run = graph.runner(lambda instr: _kernels()[instr.op], np.asarray)
    size = np.abs(y)
    for i, slope in zip(positions, run([np.ones(y.shape), y, *xs]), strict=True):
        # A pole of the derivative where the value has none, as of sqrt at 0: x itself is 0 there.
        size = size + np.nan_to_num(np.abs(slope * xs[i]), nan=0.0, posinf=np.inf)
    return np.where(
        np.isfinite(y), step.rounded(y, np.asarray(step.op.budget.units * step.eps * size)), 0.0
    )


def _accumulated(step: _Step, value: Array, magnitude: Errors) -> Errors:
    """What a sum of k terms itself may be off: units * sqrt(k) * eps * sum |terms|."""
    budget, dtype = step.op.budget, step.out.dtype
    if not dtype.is_float:
        return step.zeros
    k = max(1, budget.length(*step.specs, **step.attrs)) if budget.length else 1
    factors = 2 * _FACTORS[step.attrs.get("precision", "highest")]
    own = (budget.units * math.sqrt(k) * step.eps + factors) * magnitude
    inner = dtypes.float32 if dtype in array_api.LOW_PRECISION else dtype
    own = np.where(magnitude > 0, own + k * inner.tiny, 0.0)  # each term may be flushed to 0
    own = np.where(magnitude > inner.max, np.inf, step.rounded(value, own))
    return np.where(np.isfinite(value), own, 0.0)


# Rules: from the inputs with their errors to the result with its own


def _unary(step: _Step, x: Bounded) -> Bounded:
    """Our functions of one variable rise or fall throughout, but for abs, sin and cos."""
    value = step.run(x.value)
    name = step.op.name
    if _known(x):
        passed = step.zeros
    elif name in ("neg", "abs"):
        passed = x.error
    elif name in ("sin", "cos"):
        passed = np.minimum(x.error, 2.0)
    else:
        passed = np.maximum(*(_distance(step.run(end), value) for end in _ends(x)))
    return Bounded(value, passed + _own_error(step, value, x))


def _binary(step: _Step, a: Bounded, b: Bounded) -> Bounded:
    """Rising or falling in each variable, so the extremes are at the corners."""
    value = step.run(a.value, b.value)
    own = _own_error(step, value, a, b)
    if _known(a, b):
        return Bounded(value, own)
    name = step.op.name
    if name in ("add", "sub"):
        passed = a.error + b.error
    elif name == "mul":
        passed = _size(a) * b.error + a.error * _size(b) + a.error * b.error
    elif step.op.takes == "integer":
        passed = np.where(a.error + b.error > 0, np.inf, 0.0)
    elif name == "remainder":
        passed = _remainder_error(a, b)
    else:
        corners = [step.run(p, q) for p in _ends(a) for q in _ends(b)]
        passed = np.max([_distance(corner, value) for corner in corners], axis=0)
        divisor = b if name == "div" else a
        if name in ("div", "pow"):
            pole = (np.abs(divisor.value) <= divisor.error) & (divisor.error > 0)
            pole = pole & ((name == "div") | (_ends(b)[0] < 0))
            passed = np.where(pole, np.inf, passed)
    return Bounded(value, passed + own)


def _remainder_error(a: Bounded, b: Bounded) -> Errors:
    """It jumps by b where a / b passes a whole number."""
    quotients = [np.floor(p / q) for p in _ends(a) for q in _ends(b)]
    smooth = np.all([q == quotients[0] for q in quotients], axis=0)
    straight = a.error + np.abs(quotients[0]) * b.error
    return np.where(smooth, straight, _size(b) + b.error).astype(np.float64)


def _comparison(step: _Step, a: Bounded, b: Bounded) -> Bounded:
    """Open where the two may lie either way round."""
    value = step.run(a.value, b.value)
    if _known(a, b):
        return Bounded(value, step.zeros)
    (a_low, a_high), (b_low, b_high) = _ends(a), _ends(b)
    unsure = a.error + b.error
    if step.op.name == "equal":
        unclear = (a_low <= b_high) & (b_low <= a_high)
    else:
        unclear = step.run(a_low, b_high) != step.run(a_high, b_low)
    unclear = (unclear & (unsure > 0)) | np.isinf(unsure)
    return Bounded(value, unclear.astype(np.float64))


def _where(step: _Step, c: Bounded, a: Bounded, b: Bounded) -> Bounded:
    """Where the condition is open, the result may be either, so that far apart are they."""
    error = np.where(c.value, a.error, b.error)
    if not _known(c):
        either = _distance(a.value, b.value) + np.maximum(a.error, b.error)
        error = np.where(c.error > 0, either, error)
    return Bounded(step.run(c.value, a.value, b.value), error)


def _cast(step: _Step, x: Bounded) -> Bounded:
    """Floats stay as wide as they are; what becomes an integer or a bool may be open."""
    source, target = step.specs[0].dtype, step.out.dtype
    if target.is_float:
        value = x.value.astype(step.wide)
        holds = source.is_float and target.eps <= source.eps and target.max >= source.max
        size = 2 * np.abs(value).astype(np.float64)
        rounding = np.where(size > 0, step.op.budget.units * target.eps * size + target.tiny, 0.0)
        if not source.is_float:
            rounding = np.where(size * target.eps <= 4, 0.0, rounding)  # small integers fit
        return Bounded(value, x.error + np.where(np.isfinite(value) & (not holds), rounding, 0.0))
    value = step.run(x.value)
    if _known(x):
        return Bounded(value, step.zeros)
    if target.kind == "bool":
        return Bounded(value, ((np.abs(x.value) <= x.error) & (x.error > 0)).astype(np.float64))
    if source.is_float:
        ends = [step.run(end) for end in _ends(x)]
        return Bounded(value, np.max([_distance(end, value) for end in ends], axis=0))
    return Bounded(value, x.error)


def _movement(step: _Step, *inputs: Bounded) -> Bounded:
    changed = {"value": 0} if step.op.name == "pad" else {}
    errors = step.run(*[x.error for x in inputs], **changed)
    return Bounded(step.run(*[x.value for x in inputs]), errors)


def _creation(step: _Step) -> Bounded:
    changed = {"dtype": dtypes.float64} if step.out.dtype.is_float else {}
    return Bounded(step.run(**changed), step.zeros)


def _linear(step: _Step, *inputs: Bounded) -> Bounded:
    """Sums: errors add up like the terms."""
    value = step.run(*[x.value for x in inputs])
    passed = step.zeros if _known(*inputs) else step.run(*[x.error for x in inputs])
    return Bounded(value, passed + _accumulated(step, value, step.run(*map(_size, inputs))))


def _bilinear(step: _Step, a: Bounded, b: Bounded) -> Bounded:
    """Sums of products: (a + da)(b + db) - ab = a db + da b + da db."""
    value = step.run(a.value, b.value)
    passed = step.zeros
    if not _known(b):
        passed = passed + step.run(_size(a) + a.error, b.error)
    if not _known(a):
        passed = passed + step.run(a.error, _size(b))
    return Bounded(value, passed + _accumulated(step, value, step.run(_size(a), _size(b))))


def _max(step: _Step, x: Bounded) -> Bounded:
    value = step.run(x.value)
    if _known(x):
        return Bounded(value, step.zeros)
    return Bounded(value, np.maximum(*(_distance(step.run(end), value) for end in _ends(x))))


def _argmax(step: _Step, x: Bounded) -> Bounded:
    """As far off as the furthest place that may hold the largest value."""
    value = step.run(x.value)
    if _known(x):
        return Bounded(value, step.zeros)
    axis = step.attrs["axis"]
    best = step.run(x.value, keepdims=True)
    low, high = _ends(x)
    least = np.take_along_axis(low, best, axis)
    unsure = x.error + np.take_along_axis(x.error, best, axis)
    rival = ((high >= least) & (unsure > 0)) | np.isinf(unsure)
    places = np.arange(x.value.shape[axis]).reshape(
        [-1 if i == axis else 1 for i in range(low.ndim)]
    )
    error = np.max(np.where(rival, np.abs(places - best), 0), axis=axis, keepdims=True)
    return Bounded(value, error.reshape(value.shape).astype(np.float64))


def _take(step: _Step, x: Bounded, indices: Bounded) -> Bounded:
    """Where the index is open, any element of the axis may be the one."""
    error = step.run(x.error, indices.value)
    if not _known(indices) and x.value.size:
        axis = step.attrs["axis"]
        low, high = _ends(x)
        spread = np.max(high, axis=axis, keepdims=True) - np.min(low, axis=axis, keepdims=True)
        error = np.where(indices.error > 0, spread, error)
    return Bounded(step.run(x.value, indices.value), error)


def _scatter(step: _Step, x: Bounded, indices: Bounded, updates: Bounded) -> Bounded:
    """Where the index is open, the update may arrive anywhere along the axis, or not here."""
    value = step.run(x.value, indices.value, updates.value)
    error = step.run(x.error, indices.value, updates.error)
    magnitude = step.run(_size(x), indices.value, _size(updates))
    if not _known(indices):
        stray = np.where(indices.error > 0, _size(updates) + updates.error, 0.0)
        stray = np.sum(stray, axis=step.attrs["axis"], keepdims=True)
        error, magnitude = error + stray, magnitude + stray
    return Bounded(value, error + _accumulated(step, value, magnitude))


def _custom(step: _Step, *inputs: Bounded) -> Bounded:
    """A custom op without a body says nothing of its errors, so it is tried out.

    Its host kernel runs at the inputs, and with them pushed up, down and both ways by their
    errors; twice the largest change, and a few roundings, is an estimate rather than a bound.
    Without a host kernel nothing is known.
    """
    kernel = step.op.kernels.get("cpu")
    if kernel is None:
        return Bounded(np.zeros(step.out.shape, step.out.dtype.numpy), step.zeros + np.inf)

    def run(push: Callable[[Array], Array]) -> Array:
        moved = [
            (x.value if push is _stay else x.value + push(x.error)).astype(spec.dtype.numpy)
            for x, spec in zip(inputs, step.specs, strict=True)
        ]
        return np.asarray(kernel(*moved, **step.attrs))

    value = run(_stay)
    error = step.zeros
    if not _known(*inputs):
        pushes: list[Callable[[Array], Array]] = [np.positive, np.negative, _alternate]
        error = 2 * np.max([_distance(run(push), value) for push in pushes], axis=0)
    if step.out.dtype.is_float:
        error = error + 4 * step.out.dtype.eps * np.abs(value.astype(np.float64))
    return Bounded(value, np.where(np.isfinite(value), error, 0.0))


def _stay(error: Array) -> Array:
    return error


def _alternate(error: Array) -> Array:
    signs = 1.0 - 2.0 * (np.arange(error.size) % 2)
    return np.asarray(error * signs.reshape(error.shape))


_BY_NAME: dict[str, Callable[..., Bounded]] = {
    "max": _max,
    "argmax": _argmax,
    "take_along_axis": _take,
    "scatter_add": _scatter,
    "sum": _linear,
    "fold": _linear,
}
_BY_KIND: dict[str, Callable[..., Bounded]] = {
    "unary": _unary,
    "binary": _binary,
    "comparison": _comparison,
    "ternary": _where,
    "cast": _cast,
    "movement": _movement,
    "creation": _creation,
    "linalg": _bilinear,
    "window": _bilinear,
    "custom": _custom,
}


def _rule(op: Op) -> Callable[..., Bounded]:
    return _BY_NAME.get(op.name) or _BY_KIND[op.kind]


# Kernels for higher precision: the defaults, and what NumPy lacks or does otherwise


@cache
def _kernels() -> dict[str, Kernel]:
    own: dict[str, Kernel] = {
        "erf": _erf,
        "take_along_axis": _take_along_axis,
        "scatter_add": _scatter_add,
    }
    return array_api.kernels(np) | own


def _erf(x: Array) -> Array:
    """erf as a sum of positive terms up to 3, and as 1 - erfc, which is small there, beyond.

    M. Abramowitz, I. Stegun, "Handbook of Mathematical Functions", 7.1.6.
    """
    small = np.where(np.abs(x) < 3, x, 0)
    term = total = small
    for n in range(1, 75):
        term = term * (2 * small * small / (2 * n + 1))
        total = total + term
    pi = np.arctan2(np.zeros_like(small), -np.ones_like(small))
    series = 2 / np.sqrt(pi) * np.exp(-small * small) * total
    rest = np.asarray(np.frompyfunc(math.erfc, 1, 1)(np.abs(x))).astype(x.dtype)
    return np.asarray(np.where(np.abs(x) < 3, series, np.copysign(1 - rest, x)))


def _in_range(indices: Array, n: int, op: str) -> Array:
    wrong = indices[(indices >= n) | (indices < -n)]
    if wrong.size:
        raise IndexRangeError(
            f"{op}: index {wrong[0]} is out of range for an axis of {n}; expected {-n} to {n - 1}"
        )
    return np.where(indices < 0, indices.astype(np.int64) + n, indices)


def _take_along_axis(x: Array, indices: Array, *, axis: int) -> Array:
    return np.take_along_axis(x, _in_range(indices, x.shape[axis], "take_along_axis"), axis)


def _scatter_add(x: Array, indices: Array, updates: Array, *, axis: int) -> Array:
    places: list[Array] = list(np.indices(indices.shape, sparse=True))
    places[axis] = _in_range(indices, x.shape[axis], "scatter_add")
    out = x.copy()
    np.add.at(out, tuple(places), updates)
    return out
