"""From an op's inputs with their errors to its result with its own: a rule for each kind."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinyaccel import dtypes
from tinyaccel.budgets import indexed
from tinyaccel.budgets.local import Step, accumulated, own_error
from tinyaccel.budgets.values import Array, Bounded, Errors, distance, ends, known, size
from tinyaccel.op import Op


def _unary(step: Step, x: Bounded) -> Bounded:
    """Our functions of one variable rise or fall throughout, but for abs, sin and cos."""
    value = step.run(x.value)
    name = step.op.name
    if known(x):
        passed = step.zeros
    elif name in ("neg", "abs"):
        passed = x.error
    elif name in ("sin", "cos"):
        passed = np.minimum(x.error, 2.0)
    else:
        passed = np.maximum(*(distance(step.run(end), value) for end in ends(x)))
    return Bounded(value, passed + own_error(step, value, x))


def _binary(step: Step, a: Bounded, b: Bounded) -> Bounded:
    """Rising or falling in each variable, so the extremes are at the corners."""
    value = step.run(a.value, b.value)
    own = own_error(step, value, a, b)
    if known(a, b):
        return Bounded(value, own)
    name = step.op.name
    if name in ("add", "sub"):
        passed = a.error + b.error
    elif name == "mul":
        passed = size(a) * b.error + a.error * size(b) + a.error * b.error
    elif step.op.takes in ("integer", "whole"):
        passed = _bits_error(step, value, a, b)
    elif name == "remainder":
        passed = _remainder_error(a, b)
    else:
        corners = [step.run(p, q) for p in ends(a) for q in ends(b)]
        passed = np.max([distance(corner, value) for corner in corners], axis=0)
        if name == "atan2":
            passed = np.where(_perhaps_zero(a) & (ends(b)[0] < 0), 2 * math.pi, passed)
        elif name in ("div", "floor_divide"):
            passed = np.where(_perhaps_zero(b), np.inf, passed)
        elif name == "pow":
            passed = np.where(_perhaps_zero(a) & (ends(b)[0] < 0), np.inf, passed)
    return Bounded(value, passed + own)


def _perhaps_zero(x: Bounded) -> Array:
    """Where x may have either sign, and an op that has a pole or a jump at 0 may be beyond it."""
    return np.asarray((np.abs(x.value) <= x.error) & (x.error > 0))


def _bits_error(step: Step, value: Array, a: Bounded, b: Bounded) -> Errors:
    """Bools may be turned round where they are open; of other bits nothing is known there."""
    if value.dtype.kind != "b":
        return np.asarray(np.where(a.error + b.error > 0, np.inf, 0.0))
    turned = [x.value ^ (x.error > 0) for x in (a, b)]
    others = [step.run(p, q) for p in (a.value, turned[0]) for q in (b.value, turned[1])]
    return np.asarray(np.any([other != value for other in others], axis=0), dtype=np.float64)


def _remainder_error(a: Bounded, b: Bounded) -> Errors:
    """It jumps by b where a / b passes a whole number."""
    quotients = [np.floor(p / q) for p in ends(a) for q in ends(b)]
    smooth = np.all([q == quotients[0] for q in quotients], axis=0)
    straight = a.error + np.abs(quotients[0]) * b.error
    return np.where(smooth, straight, size(b) + b.error).astype(np.float64)


def _comparison(step: Step, a: Bounded, b: Bounded) -> Bounded:
    """Open where the two may lie either way round."""
    value = step.run(a.value, b.value)
    if known(a, b):
        return Bounded(value, step.zeros)
    (a_low, a_high), (b_low, b_high) = ends(a), ends(b)
    unsure = a.error + b.error
    if step.op.name == "equal":
        unclear = (a_low <= b_high) & (b_low <= a_high)
    else:
        unclear = step.run(a_low, b_high) != step.run(a_high, b_low)
    unclear = (unclear & (unsure > 0)) | np.isinf(unsure)
    return Bounded(value, unclear.astype(np.float64))


def equals_largest(step: Step, x: Bounded, largest: Bounded) -> Bounded:
    """x == max(x), where the maximum is one of x's own elements, to the bit.

    So there is a question only where several elements may be the largest.
    """
    value = step.run(x.value, largest.value)
    if known(x, largest):
        return Bounded(value, step.zeros)
    axes = tuple(i for i, n in enumerate(largest.value.shape) if n != x.value.shape[i])
    may = ends(x)[1] >= ends(largest)[0]
    several = np.sum(may, axis=axes, keepdims=True) > 1
    unsure = x.error + largest.error
    open_ = (may & several & (unsure > 0)) | np.isinf(unsure)
    return Bounded(value, open_.astype(np.float64))


def root_of_nonnegative(step: Step, x: Bounded) -> Bounded:
    """The square root of what can't come out below 0, such as a sum of squares: never NaN."""
    low, high = ends(x)
    value = step.run(x.value)
    ends_of_it = (step.run(np.where(x.value >= 0, np.maximum(low, 0), low)), step.run(high))
    passed = np.maximum(*(distance(end, value) for end in ends_of_it))
    return Bounded(value, passed + own_error(step, value, x))


def equals_itself(step: Step, x: Bounded, same: Bounded) -> Bounded:
    """A comparison of a value with itself: open only where it may be NaN."""
    return Bounded(step.run(x.value, same.value), np.isinf(x.error).astype(np.float64))


def _where(step: Step, c: Bounded, a: Bounded, b: Bounded) -> Bounded:
    """Where the condition is open, the result may be either, so that far apart are they."""
    error = np.where(c.value, a.error, b.error)
    if not known(c):
        either = distance(a.value, b.value) + np.maximum(a.error, b.error)
        error = np.where(c.error > 0, either, error)
    return Bounded(step.run(c.value, a.value, b.value), error)


def _cast(step: Step, x: Bounded) -> Bounded:
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
    if known(x):
        return Bounded(value, step.zeros)
    if target.kind == "bool":
        return Bounded(value, ((np.abs(x.value) <= x.error) & (x.error > 0)).astype(np.float64))
    if source.is_float:
        return Bounded(value, np.maximum(*(distance(step.run(end), value) for end in ends(x))))
    return Bounded(value, x.error)


def _movement(step: Step, *inputs: Bounded) -> Bounded:
    changed = {"value": 0} if step.op.name == "pad" else {}
    errors = step.run(*[x.error for x in inputs], **changed)
    return Bounded(step.run(*[x.value for x in inputs]), errors)


def _creation(step: Step) -> Bounded:
    changed = {"dtype": dtypes.float64} if step.out.dtype.is_float else {}
    return Bounded(step.run(**changed), step.zeros)


def _linear(step: Step, *inputs: Bounded) -> Bounded:
    """Sums: errors add up like the terms."""
    value = step.run(*[x.value for x in inputs])
    passed = step.zeros if known(*inputs) else step.run(*[x.error for x in inputs])
    return Bounded(value, passed + accumulated(step, value, step.run(*map(size, inputs))))


def _bilinear(step: Step, a: Bounded, b: Bounded) -> Bounded:
    """Sums of products: (a + da)(b + db) - ab = a db + da b + da db."""
    value = step.run(a.value, b.value)
    passed = step.zeros
    if not known(b):
        passed = passed + step.run(size(a) + a.error, b.error)
    if not known(a):
        passed = passed + step.run(a.error, size(b))
    return Bounded(value, passed + accumulated(step, value, step.run(size(a), size(b))))


def _max(step: Step, x: Bounded) -> Bounded:
    value = step.run(x.value)
    if known(x):
        return Bounded(value, step.zeros)
    return Bounded(value, np.maximum(*(distance(step.run(end), value) for end in ends(x))))


def _argmax(step: Step, x: Bounded) -> Bounded:
    """As far off as the furthest place that may hold the largest value."""
    value = step.run(x.value)
    if known(x):
        return Bounded(value, step.zeros)
    axis = step.attrs["axis"]
    best = step.run(x.value, keepdims=True)
    low, high = ends(x)
    least = np.take_along_axis(low, best, axis)
    unsure = x.error + np.take_along_axis(x.error, best, axis)
    rival = ((high >= least) & (unsure > 0)) | np.isinf(unsure)
    places = np.arange(x.value.shape[axis]).reshape(
        [-1 if i == axis else 1 for i in range(low.ndim)]
    )
    error = np.max(np.where(rival, np.abs(places - best), 0), axis=axis, keepdims=True)
    return Bounded(value, error.reshape(value.shape).astype(np.float64))


def _custom(step: Step, *inputs: Bounded) -> Bounded:
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
    if not known(*inputs):
        pushes: list[Callable[[Array], Array]] = [np.positive, np.negative, _alternate]
        error = 2 * np.max([distance(run(push), value) for push in pushes], axis=0)
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
    "take_along_axis": indexed.take_along_axis,
    "scatter_add": indexed.scatter_add,
    "take": indexed.take,
    "index_add": indexed.index_add,
    "index_set": indexed.index_set,
    "argsort": indexed.argsort,
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


def rule(op: Op) -> Callable[..., Bounded]:
    return _BY_NAME.get(op.name) or _BY_KIND[op.kind]
