"""What the tests of an op draw: hypothesis strategies for its shapes, attributes and values.

Shapes come from a fixed list per op, at most 12, so that a compiled backend compiles each once;
values from a seed and a way of filling, so that a draw is small, and shrinks.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tinyaccel import dtypes
from tinyaccel.dtypes import DType
from tinyaccel.errors import ArgumentError, DTypeError
from tinyaccel.op import OPS, Attrs, Interval, Op, Spec
from tinyaccel.testing.layouts import Layout, large_layouts, layouts, role
from tinyaccel.testing.references import reference

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Case:
    """One call of an op: host arrays, attributes, and how the values were filled in."""

    op: str
    arrays: tuple[Array, ...]
    attrs: Attrs
    fill: str

    @property
    def specs(self) -> tuple[Spec, ...]:
        return tuple(Spec(a.shape, dtypes.as_dtype(a.dtype)) for a in self.arrays)

    def __str__(self) -> str:
        shown = [str(s) for s in self.specs]
        shown += [f"{name}={value!r}" for name, value in self.attrs.items()]
        return f"{self.op}({', '.join(shown)}) of {self.fill} values"


def accepted(op: Op) -> list[DType]:
    """The dtypes that the op computes in; those that it would cast first are left out."""
    layout = layouts(op)[0]
    free = [i for i in range(len(layout.shapes)) if role(op, i) is None]
    if not free:
        return [layout.attrs["dtype"]] if "dtype" in layout.attrs else [dtypes.uint32]
    result = []
    for dtype in dtypes.ALL:
        given = [dtype if i in free else _role_dtype(op, i) for i in range(len(layout.shapes))]
        try:
            if op.input_dtypes(given) == given:
                result.append(dtype)
        except DTypeError:
            continue
    return result


def _role_dtype(op: Op, position: int) -> DType:
    what = role(op, position)
    return {"condition": dtypes.bool_, "bits": dtypes.uint32, "state": dtypes.uint32}.get(
        what or "", dtypes.int32
    )


# Values


_SPECIAL_KINDS = ("unary", "binary", "comparison", "ternary", "movement", "cast", "reduction")
_SPECIAL_COMPOSITES = ("min", "sign", "clip", "not_equal", "expand_dims", "squeeze")
_EXACT_KINDS = ("movement", "ternary")  # which keep subnormal numbers, too


def fills(op: Op, dtype: DType) -> list[str]:
    """The ways in which an op's inputs are filled in.

    uniform   evenly over the domain
    spread    evenly over the domain's orders of magnitude, of both signs
    ties      few different values, so that many are equal
    constant  0.1 everywhere: what a naive sum accumulates to, it gets wrong
    special   NaN, infinities, zeros of both signs among the others; for integers the limits
    """
    if dtype.kind == "bool":
        return ["uniform"]
    special = op.kind in _SPECIAL_KINDS or op.name in _SPECIAL_COMPOSITES
    if dtype.is_integer:
        return ["uniform", "ties", *["special"] * special]
    return ["uniform", "spread", "ties", "constant", *["special"] * special]


def _interval(op: Op, position: int, dtype: DType) -> Interval:
    """The op's domain for an input, cut down to what the dtype can hold."""
    low, high, away = op.domain[min(position, len(op.domain) - 1)] if op.domain else Interval()
    if dtype.is_float:
        top = float(dtype.max) / 4
        low, high = max(low, -top), min(high, top)
        if low > 0:
            low = max(low, 4 * dtype.tiny)
        return Interval(low, high, away)
    low, high = max(np.ceil(low), dtype.min), min(np.floor(high), dtype.max)
    return Interval(low, high)


def _filled(op: Op, position: int, spec: Spec, fill: str, rng: np.random.Generator) -> Array:
    """The values of one input."""
    shape, dtype = spec
    if dtype.kind == "bool":
        return rng.random(shape) < 0.5
    low, high, away = _interval(op, position, dtype)
    if dtype.is_integer:
        whole = rng.integers(int(low), int(high), shape, endpoint=True)
        if fill == "ties":
            whole = np.clip(whole, int(low), int(low) + 2)
        elif fill == "special" and "shift" not in op.name and op.name != "pow":
            limits = rng.choice([dtype.min, dtype.max, 0, 1], shape)
            whole = np.where(rng.random(shape) < 0.5, whole, limits)
        return whole.astype(dtype.numpy)
    values = rng.uniform(low, high, shape)
    if fill == "spread":
        least = max(low, away, high * 1e-6, 16 * dtype.tiny)
        sizes = np.exp(rng.uniform(np.log(least), np.log(high), shape))
        values = np.where((rng.random(shape) < 0.5) & (low < 0), np.maximum(-sizes, low), sizes)
    elif fill == "ties":
        values = np.clip(rng.integers(-2, 3, shape) / 2, low, high)
    elif fill == "constant":
        values = np.full(shape, np.clip(0.1, low, high))
    elif fill == "special":
        choices = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0]
        if op.kind in _EXACT_KINDS:
            choices.append(dtype.tiny / 4)
        values = np.where(rng.random(shape) < 0.5, values, rng.choice(choices, shape))
    if away and fill != "special":
        values = np.where(np.abs(values) < away, np.copysign(away, values), values)
    return values.astype(dtype.numpy)


def _with_role(op: Op, position: int, layout: Layout, rng: np.random.Generator) -> Array:
    """Indices, labels, bits: integers that mean something."""
    shape = layout.shapes[position]
    what = role(op, position)
    if what == "condition":
        return rng.random(shape) < 0.5
    if what in ("bits", "state"):
        return rng.integers(0, 2**32, shape, dtype=np.uint32)
    n = layout.shapes[0][1 if what == "label" else layout.attrs["axis"]]
    low = 0 if what == "label" else -n
    return rng.integers(low, n, shape).astype(np.int32) if n else np.zeros(shape, np.int32)


def make_case(op: Op, dtype: DType, layout: Layout, fill: str, seed: int) -> Case:
    """The case that these choices describe; the same choices give the same case."""
    rng = np.random.default_rng(seed)
    arrays = [
        _with_role(op, i, layout, rng)
        if role(op, i) is not None
        else _filled(op, i, Spec(shape, dtype), fill, rng)
        for i, shape in enumerate(layout.shapes)
    ]
    return Case(op.name, tuple(map(np.asarray, arrays)), layout.attrs, fill)


def cases(
    op: Op | str,
    dtype: DType,
    *,
    small: bool = False,
    only: Sequence[str] | None = None,
) -> SearchStrategy[Case]:
    """Calls of an op in one dtype.

    small  at most four layouts of few elements, for gradients
    only   the ways of filling in values; all that the op allows by default (see `fills`)
    """
    from hypothesis import strategies as st

    found = OPS[op] if isinstance(op, str) else op
    ways = [f for f in fills(found, dtype) if only is None or f in only]
    return st.builds(
        make_case,
        st.just(found),
        st.just(dtype),
        st.sampled_from(layouts(found, small=small)),
        st.sampled_from(ways),
        st.integers(0, 2**16),
    )


def large_cases(op: Op, dtype: DType) -> list[Case]:
    """A few long sums of numbers that all err the same way: where naive summation gives in."""
    if dtype not in (dtypes.float32, dtypes.float16):
        return []
    return [make_case(op, dtype, at, "constant", 0) for at in large_layouts(op)]


def resolve_reference(op: Op) -> Callable[..., Array]:
    """The independent implementation that `op` names; `ArgumentError` if there is none."""
    if op.reference is None:
        return reference(op.name)
    module, _, name = op.reference.partition(":")
    found = getattr(importlib.import_module(module), name, None)
    if found is None:
        raise ArgumentError(f"{op.name}: its reference {op.reference} doesn't exist")
    return found  # type: ignore[no-any-return]  # by name


# Places where every op is smooth, for finite differences


def _smooth(op: Op, layout: Layout, rng: np.random.Generator) -> list[Array]:
    """All numbers different, by more than a finite difference's step, and away from every kink."""
    free = [i for i in range(len(layout.shapes)) if role(op, i) is None]
    counts = [int(np.prod(layout.shapes[i])) for i in free]
    ranks = rng.permutation(sum(counts)) + rng.uniform(0.3, 0.45)
    parts = np.split(ranks / max(len(ranks), 1), np.cumsum(counts)[:-1]) if free else []
    arrays = {}
    for i, part in zip(free, parts, strict=True):
        low, high, away = _interval(op, i, dtypes.float64)
        low, high = max(low, -3.0), min(high, 3.0)
        if low >= 0 or away:
            low = max(low, 0.3)
        values = (low + part * (high - low)).reshape(layout.shapes[i])
        values = np.where(np.abs(values) < 0.005, values + 0.01, values)
        arrays[i] = values * rng.choice([-1, 1], values.shape) if away else values
    if op.name == "floor":
        arrays[0] = np.floor(arrays[0]) + 0.2 + 0.6 * rng.random(arrays[0].shape)
    if op.name == "remainder":  # a / b away from whole numbers
        part = 0.2 + 0.6 * rng.random(arrays[0].shape)
        arrays[1] = np.copysign(np.maximum(np.abs(arrays[1]), 1), arrays[1])
        if arrays[0].shape == arrays[1].shape:
            part = arrays[1] * (np.floor(arrays[0] / arrays[1]) + part)
        arrays[0] = part
    for bound in (layout.attrs.get("low"), layout.attrs.get("high")):
        if bound is not None:
            near = np.abs(arrays[0] - bound) < 0.01
            arrays[0] = np.where(near, arrays[0] + 0.02, arrays[0])
    return [
        arrays[i] if i in free else _with_role(op, i, layout, rng)
        for i in range(len(layout.shapes))
    ]


def make_smooth(op: Op, layout: Layout, seed: int) -> Case:
    """A float64 case in whose neighbourhood the op is smooth."""
    rng = np.random.default_rng(seed)
    attrs = dict(layout.attrs)
    if op.name == "astype":
        attrs["dtype"] = dtypes.float64
    return Case(op.name, tuple(map(np.asarray, _smooth(op, layout, rng))), attrs, "smooth")


def smooth_cases(op: Op | str) -> SearchStrategy[Case]:
    """Small float64 calls at which the op may be differentiated, as often as one likes."""
    from hypothesis import strategies as st

    found = OPS[op] if isinstance(op, str) else op
    return st.builds(
        make_smooth,
        st.just(found),
        st.sampled_from(layouts(found, small=True)),
        st.integers(0, 2**16),
    )
